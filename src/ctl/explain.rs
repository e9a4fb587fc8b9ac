//! `poros explain`: reads what is needed with the rights of who asks, and tells it. It needs no running Poros.

pub(super) mod gather;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use kube::Client;
use serde::Serialize;
use thiserror::Error;

use crate::cluster::call::CallError;
use crate::cluster::client::{Access, ConnectError, connect};
use crate::cluster::{read, status};
use crate::view::manifest::{Document, ManifestError, one, read as documents};
use crate::view::names::absent;
use crate::view::page::Page;
use crate::view::pod::facts::{self, Pod};
use crate::view::{change, compute, pod};

/// The longest wait for the whole of standard input, in bytes read: more than a manifest may have.
const STDIN_LIMIT: u64 = 4 << 20;

/// The arguments of `poros explain`.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(subcommand)]
    what: What,
}

/// What to explain.
#[derive(Debug, Subcommand)]
enum What {
    /// Why a pod is where it is, or is not: its Compute, what that injected, which nodes fit and why others do not
    #[command(visible_aliases = ["po", "pods"], after_help = POD_EXAMPLES)]
    Pod(PodArguments),
    /// What a Compute does, who uses it, what is wrong with it, what blocks its deletion, what an edit would do
    #[command(visible_aliases = ["cmp", "computes"], after_help = COMPUTE_EXAMPLES)]
    Compute(ComputeArguments),
}

const POD_EXAMPLES: &str = "Examples:
  poros explain pod data/etl-7                  # a pod of the namespace data
  poros explain pod -n data etl-7               # the same
  poros explain pod -f deployment.yaml          # the pods that a manifest would make, asked as a dry run
  kubectl get deploy etl -o yaml | poros explain pod -f -";

const COMPUTE_EXAMPLES: &str = "Examples:
  poros explain compute query-default
  poros explain compute query-default -f changed.yaml    # what applying it would do; nothing is written
  poros explain compute -f new.yaml -o json";

/// Which pod.
#[derive(Debug, Args)]
struct PodArguments {
    /// The pod
    #[arg(
        value_name = "[NAMESPACE/]NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    pod: Option<String>,
    /// The namespace. Default: that of the kubeconfig's context
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Which Compute.
#[derive(Debug, Args)]
struct ComputeArguments {
    /// The Compute
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    compute: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What both take.
#[derive(Debug, Args)]
struct Common {
    /// A manifest that is not applied yet; - reads standard input
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    /// How to tell it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The kubeconfig to use. Default: as kubectl
    #[arg(long, env = "POROS_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

/// Why nothing can be explained.
#[derive(Debug, Error)]
pub enum ExplainError {
    /// There is no connection.
    #[error("there is no connection to a cluster")]
    Connect(#[source] ConnectError),
    /// What is to be explained could not be read.
    #[error("{what} could not be read")]
    Read {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: CallError,
    },
    /// The API server did not answer.
    #[error("the API server could not be asked")]
    Ask(#[source] CallError),
    /// It does not exist.
    #[error("{0}")]
    Absent(String),
    /// The arguments do not fit together.
    #[error("{0}")]
    Arguments(String),
    /// The file could not be read.
    #[error("{file} could not be read")]
    File {
        /// Its path.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no manifest that can be explained.
    #[error("the manifest cannot be used")]
    Manifest(#[source] ManifestError),
    /// The pod of it cannot be read.
    #[error("{file} line {line}: {text}")]
    Unreadable {
        /// The file.
        file: String,
        /// The line where its document begins.
        line: u64,
        /// What cannot be read, and why.
        text: String,
    },
    /// The stored pod cannot be read.
    #[error("the stored pod cannot be read: {0}")]
    Stored(String),
    /// The answer could not be written as JSON.
    #[error("the explanation could not be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The answer could not be written as YAML.
    #[error("the explanation could not be written as YAML")]
    Yaml(#[source] Box<serde_saphyr::ser_error::Error>),
}

/// Explains; gives back what to print.
pub async fn explain(arguments: &Explain, coloured: bool) -> Result<String, ExplainError> {
    match &arguments.what {
        What::Pod(arguments) => Box::pin(explain_pod(arguments, coloured)).await,
        What::Compute(arguments) => Box::pin(explain_compute(arguments, coloured)).await,
    }
}

async fn explain_pod(arguments: &PodArguments, coloured: bool) -> Result<String, ExplainError> {
    let common = &arguments.common;
    let given = match &common.filename {
        Some(path) => Some(file(path)?),
        None => None,
    };
    let client = client(common).await?;
    let told = match given {
        Some((name, text)) => Box::pin(pod_of_file(arguments, &client, &name, &text)).await?,
        None => Box::pin(stored_pod(arguments, &client)).await?,
    };
    render(common.output, coloured, &told, &told.page())
}

async fn stored_pod(arguments: &PodArguments, client: &Client) -> Result<pod::PodExplanation, ExplainError> {
    let given = arguments.pod.as_deref().unwrap_or_default();
    let (namespace, name) = match given.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (arguments.namespace.as_deref(), given),
    };
    if let (Some(flag), Some(namespace)) = (arguments.namespace.as_deref(), namespace)
        && flag != namespace
    {
        return Err(ExplainError::Arguments(format!(
            "{given} names the namespace {namespace}, and --namespace names {flag}; give one of them"
        )));
    }
    let namespace = namespace.unwrap_or_else(|| client.default_namespace());
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(ExplainError::Arguments(format!(
            "{given:?} is no pod; give its name, or NAMESPACE/NAME, such as data/etl-7"
        )));
    }
    let what = format!("pod {namespace}/{name}");
    let found = read::pod(client, namespace, name).await;
    let found = found.map_err(|source| ExplainError::Read { what: what.clone(), source })?;
    let Some(found) = found else {
        let there = read::pod_names(client, namespace).await;
        let absent = match there {
            Ok(there) => {
                let there: Vec<String> = there.iter().map(|name| format!("{namespace}/{name}")).collect();
                absent("pod", &format!("{namespace}/{name}"), &there)
            }
            Err(_) => format!("no {what} exists"),
        };
        return Err(ExplainError::Absent(format!(
            "{absent}. A pod that admission refused was never stored: its workload tells why (kubectl describe), or poros explain pod -f"
        )));
    };
    let mut found = facts::read(&with_kind(found)).map_err(ExplainError::Stored)?;
    found.namespace = Some(namespace.to_owned());
    Ok(pod::explain(&Box::pin(gather::pod(client, found, None, arguments.common.all_nodes)).await))
}

/// Of a typed list or get the API server may leave out what kind it is.
fn with_kind(mut pod: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = pod.as_object_mut() {
        fields.insert("kind".into(), "Pod".into());
    }
    pod
}

async fn pod_of_file(
    arguments: &PodArguments,
    client: &Client,
    file: &str,
    text: &str,
) -> Result<pod::PodExplanation, ExplainError> {
    let all = documents(file, text).map_err(ExplainError::Manifest)?;
    let document = one(file, all, "pod, or workload with a pod template", |document| {
        facts::pod_of(&document.value()).is_some()
    })
    .map_err(ExplainError::Manifest)?;
    let manifest = document.value();
    let unreadable =
        |text: String| ExplainError::Unreadable { file: file.to_owned(), line: document.place(&[]).0, text };
    let mut found = facts::read(&manifest).map_err(unreadable)?;
    let namespace = arguments.namespace.clone().or_else(|| found.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let trial = match facts::sendable(&manifest) {
        Some(mut sent) => {
            sent["metadata"]["namespace"] = namespace.clone().into();
            gather::trial(client, &namespace, &sent).await.map_err(ExplainError::Ask)?
        }
        None => pod::Trial::Unknown("the manifest has no pod".into()),
    };
    found.namespace = Some(namespace);
    found = Pod { mark: None, ..found };
    Ok(pod::explain(&Box::pin(gather::pod(client, found, Some(trial), arguments.common.all_nodes)).await))
}

async fn explain_compute(arguments: &ComputeArguments, coloured: bool) -> Result<String, ExplainError> {
    let common = &arguments.common;
    let given = match &common.filename {
        Some(path) => Some(changed(path, arguments.compute.as_deref())?),
        None => None,
    };
    let client = client(common).await?;
    let name = match &given {
        Some((_, document)) => document.name(),
        None => arguments.compute.clone().unwrap_or_default(),
    };
    let found = match (status::current(&client, &name).await, &given) {
        // A manifest can be judged without the cluster's Computes.
        (Err(CallError::NotFound(_)), Some(_)) => None,
        (Err(CallError::NotFound(_)), None) => {
            return Err(ExplainError::Absent(
                "this cluster knows no Computes: their CRD is not installed (poros crd | kubectl apply --server-side -f -)".into(),
            ));
        }
        (found, _) => {
            found.map_err(|source| ExplainError::Read { what: format!("Compute {name}"), source })?
        }
    };
    if let Some((file, document)) = given {
        let facts = Box::pin(gather::change(&client, file, document, found, common.all_nodes)).await;
        let told = change::explain(&facts);
        return render(common.output, coloured, &told, &told.page());
    }
    let Some(found) = found else {
        let there = read::computes(&client).await;
        let names: Vec<String> = there.into_iter().flatten().map(|compute| compute.name).collect();
        return Err(ExplainError::Absent(absent("Compute", &name, &names)));
    };
    let told = compute::explain(&Box::pin(gather::compute(&client, found, common.all_nodes)).await);
    render(common.output, coloured, &told, &told.page())
}

/// The Compute of a file; the one of this name, if one is given.
fn changed(path: &PathBuf, name: Option<&str>) -> Result<(String, Document), ExplainError> {
    let (file, text) = file(path)?;
    let all = documents(&file, &text).map_err(ExplainError::Manifest)?;
    let wanted = name.map_or_else(|| "Compute".to_owned(), |name| format!("Compute named {name}"));
    let is =
        |document: &Document| document.kind() == "Compute" && name.is_none_or(|name| document.name() == name);
    let document = one(&file, all, &wanted, is).map_err(ExplainError::Manifest)?;
    Ok((file, document))
}

/// The name of a file as people read it, and what is in it.
fn file(path: &PathBuf) -> Result<(String, String), ExplainError> {
    use std::io::Read as _;
    if path.as_os_str() == "-" {
        let name = "standard input".to_owned();
        let mut text = String::new();
        let read = std::io::stdin().lock().take(STDIN_LIMIT).read_to_string(&mut text);
        return match read {
            Ok(_) => Ok((name, text)),
            Err(source) => Err(ExplainError::File { file: name, source }),
        };
    }
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(source) => Err(ExplainError::File { file: name, source }),
    }
}

async fn client(common: &Common) -> Result<Client, ExplainError> {
    let access = Access { kubeconfig: common.kubeconfig.clone(), ..Access::default() };
    connect(&access, Arc::new(|_, _| {})).await.map_err(ExplainError::Connect)
}

fn render(
    output: Output,
    coloured: bool,
    told: &impl Serialize,
    page: &Page,
) -> Result<String, ExplainError> {
    match output {
        Output::Text => Ok(page.lay_out(coloured)),
        Output::Json => {
            serde_json::to_string_pretty(told).map(|text| text + "\n").map_err(ExplainError::Json)
        }
        Output::Yaml => serde_saphyr::to_string(told).map_err(|error| ExplainError::Yaml(Box::new(error))),
    }
}

//! `explain`: why a pod is where it is, what a Compute does, what an edit would do. It reads with the rights of who asks, and
//! needs no running Poros.

use std::path::{Path, PathBuf};

use kube::Client;

use crate::cluster::read;
use crate::ctl::answer::{self, Output};
use crate::ctl::failure::{Exit, Failure, Located};
use crate::ctl::files::{documents, sources};
use crate::ctl::session::Session;
use crate::ctl::{gather, named};
use crate::decide::judge::Form;
use crate::decide::problem::quoted;
use crate::decide::validate::is_name;
use crate::view::change::ChangeFacts;
use crate::view::manifest::{Allowance, Document, ManifestError, Variables, one};
use crate::view::names::{self, absent};
use crate::view::pod::facts::{self, Pod};
use crate::view::{change, compute, pod};

/// What to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A pod.
    Pod {
        /// `[NAMESPACE/]NAME`; none where a file is given.
        pod: Option<String>,
        /// The namespace; none for that of the kubeconfig's context.
        namespace: Option<String>,
        /// How.
        how: How,
    },
    /// A Compute.
    Compute {
        /// Its name.
        name: Option<String>,
        /// The environment that is put into a manifest; none leaves `$NAME` as it is.
        variables: Option<Variables>,
        /// How.
        how: How,
    },
}

/// From what to explain, and how to tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// A manifest that is not applied yet; `-` for standard input.
    pub file: Option<PathBuf>,
    /// Whether every node is to be named.
    pub all_nodes: bool,
    /// How to tell it.
    pub output: Output,
}

/// Explains.
pub async fn explain(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    match request {
        Request::Pod { pod, namespace, how } => {
            Box::pin(explain_pod(pod.as_deref(), namespace.as_deref(), &how, session)).await
        }
        Request::Compute { name, variables, how } => {
            Box::pin(explain_compute(name.as_deref(), variables.as_ref(), &how, session)).await
        }
    }
}

async fn explain_pod(
    pod: Option<&str>,
    namespace: Option<&str>,
    how: &How,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let mut told = answer::found("explain", session, async |session: &Session| {
        let Some(path) = &how.file else {
            let client = session.client().await?;
            let name = pod.unwrap_or_default();
            return Box::pin(stored_pod(&client, name, namespace, how.all_nodes)).await;
        };
        let (file, all) = read_file(path)?;
        let client = session.client().await?;
        Box::pin(pod_of_file(&client, namespace, &file, all, how.all_nodes)).await
    })
    .await?;
    told.speak(session.terminal.voice());
    answer::tell(session, how.output, &told, |style| told.page().lay_out(style))
}

async fn stored_pod(
    client: &Client,
    given: &str,
    flag: Option<&str>,
    all_nodes: bool,
) -> Result<pod::PodExplanation, Failure> {
    let (namespace, name) = match given.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (flag, given),
    };
    if let (Some(flag), Some(namespace)) = (flag, namespace)
        && flag != namespace
    {
        let text = format!(
            "{given} names the namespace {namespace}, and --namespace names {flag}; give one of them"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let namespace = namespace.unwrap_or_else(|| client.default_namespace());
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        let text = format!("{given:?} is no pod; give its name, or NAMESPACE/NAME, such as data/etl-7");
        return Err(Failure::new(Exit::Usage, text));
    }
    check_namespace(namespace)?;
    let found = read::pod(client, namespace, name).await;
    let found = found
        .map_err(|error| Failure::of_call(&format!("pod {namespace}/{name} could not be read"), &error))?;
    let Some(found) = found else { return Err(missing_pod(client, namespace, name).await) };
    let mut found = facts::read(&found)
        .map_err(|why| Failure::new(Exit::Failed, format!("the stored pod cannot be read: {why}")))?;
    found.namespace = Some(namespace.to_owned());
    Ok(pod::explain(&Box::pin(gather::pod(client, found, None, all_nodes)).await))
}

/// Of what is no namespace nothing is asked: the path of a request would lead elsewhere.
fn check_namespace(namespace: &str) -> Result<(), Failure> {
    if is_name(namespace) {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("{} can be no namespace", quoted(namespace))))
}

/// What to say of a pod that is not there.
async fn missing_pod(client: &Client, namespace: &str, name: &str) -> Failure {
    let text = match read::pod_names(client, namespace).await {
        Ok(there) => {
            let there: Vec<String> = there.iter().map(|name| format!("{namespace}/{name}")).collect();
            absent("pod", &format!("{namespace}/{name}"), &there)
        }
        Err(_) => format!("no pod named {} exists", names::told(&format!("{namespace}/{name}"))),
    };
    Failure::new(Exit::NotFound, text).remedy(format!(
        "a pod that admission refused was never stored; who made it was told why: kubectl get events -n {namespace} --field-selector reason=FailedCreate"
    ))
}

async fn pod_of_file(
    client: &Client,
    namespace: Option<&str>,
    file: &str,
    all: Vec<Document>,
    all_nodes: bool,
) -> Result<pod::PodExplanation, Failure> {
    let document = one(file, all, "pod, or workload with a pod template", |document| {
        facts::pod_of(&document.value()).is_some()
    })
    .map_err(|error| invalid(&error))?;
    let manifest = document.value();
    let unreadable = |detail: String| {
        let (line, column) = document.place(&[]);
        let text = format!("{file}:{line}:{column}: {detail}");
        let located = Located { file: file.to_owned(), line, column, detail, ..Located::default() };
        Failure { errors: vec![located], ..Failure::new(Exit::Invalid, text) }
    };
    let mut found = facts::read(&manifest).map_err(unreadable)?;
    let namespace = namespace.map(str::to_owned).or_else(|| found.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    check_namespace(&namespace)?;
    let trial = match facts::sendable(&manifest) {
        Some(mut sent) => {
            sent["metadata"]["namespace"] = namespace.clone().into();
            let trial = gather::trial(client, &namespace, &sent).await;
            trial.map_err(|error| Failure::of_call("the pod could not be tried", &error))?
        }
        None => pod::Trial::Unknown("the manifest has no pod".into()),
    };
    found.namespace = Some(namespace);
    found = Pod { mark: None, ..found };
    Ok(pod::explain(&Box::pin(gather::pod(client, found, Some(trial), all_nodes)).await))
}

async fn explain_compute(
    name: Option<&str>,
    variables: Option<&Variables>,
    how: &How,
    session: &mut Session,
) -> Result<Exit, Failure> {
    let Some(path) = &how.file else {
        let told = answer::found("explain", session, async |session: &Session| {
            let client = session.client().await?;
            let (found, _) = named::compute(&client, name.unwrap_or_default()).await?;
            let mut told = compute::explain(&Box::pin(gather::compute(&client, found, how.all_nodes)).await);
            told.speak(session.terminal.voice());
            Ok(told)
        })
        .await?;
        return answer::tell(session, how.output, &told, |style| told.page().lay_out(style));
    };
    let told = answer::found("explain", session, async |session: &Session| {
        let (file, mut document) = changed(path, name, variables)?;
        let unset = variables.map(|variables| document.interpolate(variables)).unwrap_or_default();
        let client = session.client().await?;
        let found = named::look(&client, document.judged().name()).await?;
        let facts = Box::pin(gather::change(&client, file, document, found, how.all_nodes)).await;
        Ok(change::explain(&ChangeFacts { unset, ..facts }))
    })
    .await?;
    answer::tell(session, how.output, &told, |style| told.page().lay_out(style))
}

/// The Compute of a file, in either form; the one of this name, if one is given.
fn changed(
    path: &Path,
    name: Option<&str>,
    variables: Option<&Variables>,
) -> Result<(String, Document), Failure> {
    let (file, all) = read_file(path)?;
    let wanted = name.map_or_else(|| "Compute".to_owned(), |name| format!("Compute named {name}"));
    let is = |document: &Document| {
        let mut document = document.clone();
        if let Some(variables) = variables {
            document.interpolate(variables);
        }
        let judged = document.judged();
        judged.form != Form::Foreign && name.is_none_or(|name| judged.name() == name)
    };
    let document = one(&file, all, &wanted, is).map_err(|error| invalid(&error))?;
    Ok((file, document))
}

/// A file that holds no manifest that can be explained.
fn invalid(error: &ManifestError) -> Failure {
    Failure::of(Exit::Invalid, error)
}

/// The name of a file as people read it, and its documents, all of which must be readable.
fn read_file(path: &Path) -> Result<(String, Vec<Document>), Failure> {
    let mut found = sources(&[path.to_path_buf()], false);
    let (Some(source), true) = (found.pop(), found.is_empty()) else {
        let text = format!("{} is a folder of several manifests; name one", path.display());
        return Err(Failure::new(Exit::Usage, text));
    };
    let file = source.name.clone();
    let documents =
        documents(&file, &source.read()?, &mut Allowance::default()).into_iter().collect::<Result<_, _>>()?;
    Ok((file, documents))
}

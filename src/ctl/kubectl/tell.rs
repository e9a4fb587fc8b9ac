//! The flags of `kubectl poros why`, `tree` and `explain`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::api::identifier::KINDS;
use crate::ctl::answer::Output;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::{explain, tree, why};

/// How to tell it.
#[derive(Clone, Debug, Args)]
struct Told {
    /// How to tell it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Which Compute.
#[derive(Clone, Debug, Args)]
struct Which {
    /// The Compute: NAME, compute/NAME, or compute NAME
    #[arg(value_name = "[TYPE/]NAME", required = true, num_args = 1..=2)]
    compute: Vec<String>,
}

/// Say why a Compute is as it is.
#[derive(Clone, Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    told: Told,
}

impl Why {
    pub(super) fn request(self) -> Result<why::Request, Failure> {
        Ok(why::Request { name: name(&self.which.compute)?, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show what hangs on Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Tree {
    /// The Compute: NAME, compute/NAME, or compute NAME. Default: each of them
    #[arg(value_name = "[TYPE/]NAME", num_args = 0..=2)]
    compute: Vec<String>,
    /// Name every node, pod and workload, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
}

impl Tree {
    pub(super) fn request(self) -> Result<tree::Request, Failure> {
        let name = match self.compute.as_slice() {
            [] => None,
            // `tree computes`, as `get computes`: each of them.
            [all] if KINDS.contains(&all.as_str()) => None,
            given => Some(name(given)?),
        };
        Ok(tree::Request { name, all: self.all_nodes, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// The name in what kubectl takes for one object.
fn name(given: &[String]) -> Result<String, Failure> {
    let (kind, name) = match given {
        [one] => match one.split_once('/') {
            Some((kind, name)) => (kind, name),
            None => (KINDS[0], one.as_str()),
        },
        [kind, name] => (kind.as_str(), name.as_str()),
        _ => ("", ""),
    };
    if ["pod", "pods", "po"].contains(&kind) {
        let text = format!("this tells of Computes; of a pod tells: kubectl poros explain pod {name}");
        return Err(Failure::new(Exit::Usage, text));
    }
    if !KINDS.contains(&kind) {
        return Err(Failure::new(Exit::Usage, format!("{kind:?} is not known here; there is: computes")));
    }
    if name.is_empty() {
        return Err(Failure::new(Exit::Usage, "the name of a Compute is empty"));
    }
    Ok(name.to_owned())
}

/// Explain a pod or a Compute.
#[derive(Clone, Debug, Args)]
pub(super) struct Explain {
    #[command(subcommand)]
    what: What,
}

/// What to explain.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Why a pod is where it is, or is not: its Compute, what that injected, which nodes fit and why others do not
    #[command(visible_aliases = ["po", "pods"], after_help = POD_EXAMPLES)]
    Pod(Pod),
    /// What a Compute does, who uses it, what is wrong with it, what blocks its deletion, what an edit would do
    #[command(visible_aliases = ["cmp", "computes"], after_help = COMPUTE_EXAMPLES)]
    Compute(Compute),
}

const POD_EXAMPLES: &str = "Examples:
  kubectl poros explain pod data/etl-7             # a pod of the namespace data
  kubectl poros explain pod -n data etl-7          # the same
  kubectl poros explain pod -f deployment.yaml     # the pods that a manifest would make, asked as a dry run
  kubectl get deploy etl -o yaml | kubectl poros explain pod -f -";

const COMPUTE_EXAMPLES: &str = "Examples:
  kubectl poros explain compute query-default
  kubectl poros explain compute query-default -f changed.yaml  # what applying it would do; nothing is written
  kubectl poros explain compute -f new.yaml -o json";

/// Which pod.
#[derive(Clone, Debug, Args)]
struct Pod {
    /// The pod
    #[arg(
        value_name = "[NAMESPACE/]NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    name: Option<String>,
    /// The namespace. Default: that of the kubeconfig's context
    #[arg(long, short)]
    namespace: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Which Compute.
#[derive(Clone, Debug, Args)]
struct Compute {
    /// The Compute
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, Args)]
struct How {
    /// A manifest that is not applied yet; - reads standard input
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
}

impl How {
    fn how(self) -> explain::How {
        explain::How { file: self.filename, all_nodes: self.all_nodes, output: self.told.output }
    }
}

impl Explain {
    pub(super) fn request(self) -> explain::Request {
        match self.what {
            What::Pod(Pod { name, namespace, how }) => {
                explain::Request::Pod { pod: name, namespace, how: how.how() }
            }
            What::Compute(Compute { name, how }) => explain::Request::Compute { name, how: how.how() },
        }
    }

    pub(super) fn speaks_json(&self) -> bool {
        let (What::Pod(Pod { how, .. }) | What::Compute(Compute { how, .. })) = &self.what;
        how.told.output == Output::Json
    }
}

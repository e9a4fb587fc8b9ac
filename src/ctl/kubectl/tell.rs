//! The flags of `kubectl poros why`, `tree` and `explain`.

use clap::Args;

use crate::ctl::answer::Output;
use crate::ctl::asked::Program;
use crate::ctl::failure::Failure;
use crate::ctl::kubectl::which::{Namespaces, is_kind, name};
use crate::ctl::{asked, tree, why};

/// How to tell it.
#[derive(Clone, Debug, Args)]
pub(super) struct Told {
    /// How to tell it
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
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
    #[command(flatten)]
    namespaces: Namespaces,
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
    #[command(flatten)]
    namespaces: Namespaces,
}

impl Tree {
    pub(super) fn request(self) -> Result<tree::Request, Failure> {
        let name = match self.compute.as_slice() {
            [] => None,
            // `tree computes`, as `get computes`: each of them.
            [all] if is_kind(all) => None,
            given => Some(name(given)?),
        };
        Ok(tree::Request { name, all: self.all_nodes, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

impl From<Told> for Output {
    fn from(told: Told) -> Self {
        told.output
    }
}

/// The namespace of a pod.
#[derive(Clone, Debug, Args)]
pub(super) struct Namespace {
    /// The namespace of the pod. Default: that of the kubeconfig's context
    #[arg(long, short)]
    namespace: Option<String>,
}

impl From<Namespace> for Option<String> {
    fn from(given: Namespace) -> Self {
        given.namespace
    }
}

/// Explain a pod or a Compute.
pub(super) type Explain = asked::Explain<KubectlPoros>;

/// This program.
#[derive(Clone, Debug)]
pub(super) struct KubectlPoros;

impl Program for KubectlPoros {
    type Told = Told;
    type Namespace = Namespace;
    type Namespaces = Namespaces;

    const POD_EXAMPLES: &'static str = "Examples:
  kubectl poros explain pod data/etl-7             # a pod of the namespace data
  kubectl poros explain pod -n data etl-7          # the same
  kubectl poros explain pod -f deployment.yaml     # the pods that it would make, by a dry run
  kubectl get deploy etl -o yaml | kubectl poros explain pod -f -";

    const COMPUTE_EXAMPLES: &'static str = "Examples:
  kubectl poros explain compute query-default
  kubectl poros explain compute query-default -f changed.yaml  # what applying it would do
  kubectl poros explain compute -f new.yaml -o json";
}

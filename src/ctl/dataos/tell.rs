//! The flags of `dataos-ctl describe`, `why`, `tree` and `explain`. `-o` is the owner to the reference, so `--output` has no
//! short form.

use clap::Args;

use crate::ctl::answer::Output;
use crate::ctl::asked::Program;
use crate::ctl::dataos::which::Named;
use crate::ctl::failure::Failure;
use crate::ctl::{asked, describe, tree, why};

/// How to tell it.
#[derive(Clone, Debug, Args)]
pub(super) struct Told {
    /// How to tell it
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Say why a Compute is as it is.
#[derive(Clone, Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Named,
    #[command(flatten)]
    told: Told,
}

impl Why {
    pub(super) fn request(self) -> Result<why::Request, Failure> {
        Ok(why::Request { name: self.which.one()?, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show all about a Compute.
#[derive(Clone, Debug, Args)]
pub(super) struct Describe {
    #[command(flatten)]
    which: Named,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
}

impl Describe {
    pub(super) fn request(self) -> Result<describe::Request, Failure> {
        let Self { which, all_nodes, told } = self;
        Ok(describe::Request { name: which.one()?, all_nodes, output: told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show what hangs on Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Tree {
    #[command(flatten)]
    which: Named,
    /// Name every node, pod and workload, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
}

impl Tree {
    pub(super) fn request(self) -> Result<tree::Request, Failure> {
        let Self { which, all_nodes, told } = self;
        Ok(tree::Request { name: which.name()?, all: all_nodes, output: told.output })
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
    #[arg(long)]
    namespace: Option<String>,
}

impl From<Namespace> for Option<String> {
    fn from(given: Namespace) -> Self {
        given.namespace
    }
}

/// No flag of namespaces where Computes are meant: `-n` is the name.
#[derive(Clone, Debug, Args)]
pub(super) struct Nothing {}

/// Explain a pod or a Compute.
pub(super) type Explain = asked::Explain<DataosCtl>;

/// This program.
#[derive(Clone, Debug)]
pub(super) struct DataosCtl;

impl Program for DataosCtl {
    type Told = Told;
    type Namespace = Namespace;
    type Namespaces = Nothing;

    const POD_EXAMPLES: &'static str = "Examples:
  dataos-ctl explain pod data/etl-7                # a pod of the namespace data
  dataos-ctl explain pod --namespace data etl-7    # the same
  dataos-ctl explain pod -f deployment.yaml        # the pods that it would make, by a dry run
  kubectl get deploy etl -o yaml | dataos-ctl explain pod -f -";

    const COMPUTE_EXAMPLES: &'static str = "Examples:
  dataos-ctl explain compute query-default
  dataos-ctl explain compute query-default -f changed.yaml    # what applying it would do
  dataos-ctl explain compute -f new.yaml --output json";
}

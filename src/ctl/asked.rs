//! Arguments that both programs take, each with its own short flags and in its own words.

use std::fmt::Debug;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ctl::answer::Output;
use crate::ctl::{explain, version};

/// What the programs have otherwise.
pub(super) trait Program {
    /// How to tell it.
    type Told: Args + Clone + Debug + Into<Output>;
    /// The namespace of a pod.
    type Namespace: Args + Clone + Debug + Into<Option<String>>;
    /// The flags of namespaces that a verb about Computes takes, which are in none.
    type Namespaces: Args + Clone + Debug;
    /// How a pod is explained.
    const POD_EXAMPLES: &'static str;
    /// How a Compute is explained.
    const COMPUTE_EXAMPLES: &'static str;
}

/// Show versions: of this program, of the cluster, and of the Computes that it serves.
#[derive(Clone, Debug, Args)]
pub(super) struct Version<P: Program> {
    /// Of this program alone: no cluster is asked
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    told: P::Told,
}

impl<P: Program> Version<P> {
    pub(super) fn request(self) -> version::Request {
        version::Request { client: self.client, output: self.told.into() }
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.clone().into() == Output::Json
    }
}

/// Explain a pod or a Compute.
#[derive(Clone, Debug, Args)]
pub(super) struct Explain<P: Program> {
    #[command(subcommand)]
    what: What<P>,
}

/// What to explain.
#[derive(Clone, Debug, Subcommand)]
enum What<P: Program> {
    /// Why a pod is where it is, or is not: its Compute, what that injected, which nodes fit and why others do not
    #[command(visible_aliases = ["po", "pods"], after_help = P::POD_EXAMPLES)]
    Pod(Pod<P>),
    /// What a Compute does, who uses it, what is wrong with it, what blocks its deletion, what an edit would do
    #[command(visible_aliases = ["cmp", "computes"], after_help = P::COMPUTE_EXAMPLES)]
    Compute(Compute<P>),
}

/// Which pod.
#[derive(Clone, Debug, Args)]
struct Pod<P: Program> {
    /// The pod
    #[arg(
        value_name = "[NAMESPACE/]NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    name: Option<String>,
    #[command(flatten)]
    namespace: P::Namespace,
    #[command(flatten)]
    how: How<P>,
}

/// Which Compute.
#[derive(Clone, Debug, Args)]
struct Compute<P: Program> {
    /// The Compute
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,
    #[command(flatten)]
    namespaces: P::Namespaces,
    #[command(flatten)]
    how: How<P>,
}

#[derive(Clone, Debug, Args)]
struct How<P: Program> {
    /// A manifest that is not applied yet; - reads standard input
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: P::Told,
}

impl<P: Program> How<P> {
    fn how(self) -> explain::How {
        explain::How { file: self.filename, all_nodes: self.all_nodes, output: self.told.into() }
    }
}

impl<P: Program> Explain<P> {
    pub(super) fn request(self) -> explain::Request {
        match self.what {
            What::Pod(Pod { name, namespace, how }) => {
                explain::Request::Pod { pod: name, namespace: namespace.into(), how: how.how() }
            }
            What::Compute(Compute { name, how, .. }) => explain::Request::Compute { name, how: how.how() },
        }
    }

    pub(super) fn speaks_json(&self) -> bool {
        let (What::Pod(Pod { how, .. }) | What::Compute(Compute { how, .. })) = &self.what;
        how.told.clone().into() == Output::Json
    }
}

//! Arguments that both programs take: the same, but for short flags and for the words of examples.

use std::marker::PhantomData;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ctl::answer::Output;
use crate::ctl::examples;
use crate::ctl::program::Program;
use crate::ctl::{explain, version};
use crate::view::talk::Voice;

/// A short flag of kubectl's that the reference has for something else: `-o` is the owner there, `-n` the name.
fn kubectls(short: char, voice: Voice) -> Option<char> {
    match voice {
        Voice::Dataos => None,
        Voice::Kubectl => Some(short),
    }
}

/// How to tell it.
#[derive(Debug, Args)]
pub(super) struct Told<P: Program> {
    /// How to tell it
    #[arg(long, short = kubectls('o', P::VOICE), value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    #[arg(skip)]
    program: PhantomData<P>,
}

/// The namespace of a pod.
#[derive(Debug, Args)]
struct Namespace<P: Program> {
    /// The namespace. Default: that of the kubeconfig's context
    #[arg(long, short = kubectls('n', P::VOICE))]
    namespace: Option<String>,
    #[arg(skip)]
    program: PhantomData<P>,
}

/// Show versions: of this program, of the cluster, and of the Computes that it serves.
#[derive(Debug, Args)]
pub(super) struct Version<P: Program> {
    /// Show that of this program alone; no cluster is asked
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    told: Told<P>,
}

impl<P: Program> Version<P> {
    pub(super) fn request(self) -> version::Request {
        version::Request { client: self.client, output: self.told.output }
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Explain a pod or a Compute.
#[derive(Debug, Args)]
pub(super) struct Explain<P: Program> {
    #[command(subcommand)]
    what: What<P>,
}

/// What to explain.
#[derive(Debug, Subcommand)]
enum What<P: Program> {
    /// Why a pod is where it is, or is not: its Compute, what that injected, which nodes fit and why others do not
    #[command(visible_aliases = ["po", "pods"], after_help = examples::pod(P::VOICE))]
    Pod(Pod<P>),
    /// What a Compute does, who uses it, what is wrong with it, what blocks its deletion, what an edit would do
    #[command(visible_aliases = ["cmp", "computes"], after_help = examples::compute(P::VOICE))]
    Compute(Compute<P>),
}

/// Which pod.
#[derive(Debug, Args)]
struct Pod<P: Program> {
    /// The pod
    #[arg(
        value_name = "[NAMESPACE/]NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    name: Option<String>,
    #[command(flatten)]
    namespace: Namespace<P>,
    #[command(flatten)]
    how: How<P>,
}

/// Which Compute.
#[derive(Debug, Args)]
struct Compute<P: Program> {
    /// The Compute
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,
    #[command(flatten)]
    namespaces: P::Namespaces,
    #[command(flatten)]
    how: How<P>,
    #[command(flatten)]
    environment: P::Environment,
}

#[derive(Debug, Args)]
struct How<P: Program> {
    /// A manifest that is not applied yet; - reads standard input
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told<P>,
}

impl<P: Program> How<P> {
    fn how(self) -> explain::How {
        explain::How { file: self.filename, all_nodes: self.all_nodes, output: self.told.output }
    }
}

impl<P: Program> Explain<P> {
    pub(super) fn request(self) -> explain::Request {
        match self.what {
            What::Pod(Pod { name, namespace, how }) => {
                explain::Request::Pod { pod: name, namespace: namespace.namespace, how: how.how() }
            }
            What::Compute(Compute { name, how, environment, .. }) => {
                explain::Request::Compute { name, variables: environment.into(), how: how.how() }
            }
        }
    }

    pub(super) fn speaks_json(&self) -> bool {
        let (What::Pod(Pod { how, .. }) | What::Compute(Compute { how, .. })) = &self.what;
        how.told.output == Output::Json
    }
}

//! What can be typed after `kubectl poros`: the flags mean what they mean to kubectl.

mod get;
mod tell;
mod wait;
mod which;

use clap::{Parser, Subcommand};

use crate::ctl::asked::{Explain, Version};
use crate::ctl::connection::Connection;
use crate::ctl::examples;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::program::Program;
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;
use crate::view::talk::Voice;

/// Shows Computes, and tells why they are as they are.
#[derive(Debug, Parser)]
#[command(name = "kubectl-poros", bin_name = "kubectl poros", version, max_term_width = 110)]
pub struct Kubectl {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    manners: Manners,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show Computes
    #[command(after_help = examples::KUBECTL_GET)]
    Get(Box<get::Get>),
    /// Wait until Computes are active, or what else is asked; if that cannot be, say why at once
    #[command(after_help = examples::KUBECTL_WAIT)]
    Wait(Box<wait::Wait>),
    /// Say why a Compute is as it is, in one paragraph, and what to type next
    Why(tell::Why),
    /// Show what hangs on a Compute, or on each of them: built objects, nodes, users
    Tree(tell::Tree),
    /// Explain a pod (which nodes fit, and why others do not) or a Compute (what is wrong, what an edit would do)
    Explain(Explain<Kubectl>),
    /// Show versions: of this program, of the cluster, and of the Computes that it serves
    Version(Version<Kubectl>),
}

impl Program for Kubectl {
    const VOICE: Voice = Voice::Kubectl;

    type Namespaces = which::Namespaces;
    type Environment = which::NoEnvironment;

    fn common(&self) -> (Manners, Connection) {
        (self.manners.clone(), self.connection.clone())
    }

    fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Wait(wait) => wait.speaks_json(),
            Verb::Why(why) => why.speaks_json(),
            Verb::Tree(tree) => tree.speaks_json(),
            Verb::Explain(explain) => explain.speaks_json(),
            Verb::Get(get) => get.speaks_json(),
            Verb::Version(version) => version.speaks_json(),
        }
    }

    async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Get(get) => Box::pin(crate::ctl::get::get(get.request()?, session)).await,
            Verb::Wait(wait) => Box::pin(crate::ctl::wait::wait(wait.request(session)?, session)).await,
            Verb::Why(why) => Box::pin(crate::ctl::why::why(why.request()?, session)).await,
            Verb::Tree(tree) => Box::pin(crate::ctl::tree::tree(tree.request()?, session)).await,
            Verb::Explain(explain) => {
                Box::pin(crate::ctl::explain::explain(explain.request(), session)).await
            }
            Verb::Version(version) => crate::ctl::version::version(version.request(), session).await,
        }
    }
}

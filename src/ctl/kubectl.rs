//! What can be typed after `kubectl poros`: the flags mean what they mean to kubectl.

mod get;
mod wait;
mod which;

use clap::{Parser, Subcommand};

use crate::ctl::connection::Connection;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;
use crate::ctl::version::{self, Version};

/// Shows Computes, and tells why they are as they are.
#[derive(Debug, Parser)]
#[command(name = "kubectl-poros", bin_name = "kubectl poros", version, max_term_width = 110)]
pub struct Kubectl {
    #[command(subcommand)]
    verb: Verb,
    /// How it talks.
    #[command(flatten)]
    pub manners: Manners,
    /// Which cluster.
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show Computes
    Get(get::Get),
    /// Show versions: of this program, of the cluster, and of the Computes that it serves
    Version(Version),
    /// Wait for Computes, and say why at once where it is in vain
    Wait(wait::Wait),
}

impl Kubectl {
    /// Whether what is asked for is JSON, so that errors are as well.
    pub fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Version(version) => version.speaks_json(),
            Verb::Wait(wait) => wait.speaks_json(),
            Verb::Get(_) => false,
        }
    }

    /// Does what was typed.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Get(get) => Box::pin(crate::ctl::get::get(get.request()?, session)).await,
            Verb::Version(version) => version::version(version, session).await,
            Verb::Wait(wait) => Box::pin(crate::ctl::wait::wait(wait.request()?, session)).await,
        }
    }
}

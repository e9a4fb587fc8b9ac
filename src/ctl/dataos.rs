//! What can be typed after `dataos-ctl`: the reference's verbs and short flags; what is new has long names alone.

mod asked;
mod develop;
mod get;
mod jq;

use clap::{Parser, Subcommand};

use crate::ctl::completion::{self, Completion};
use crate::ctl::connection::Connection;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;
use crate::ctl::version::{self, Version};

/// Names pools of nodes, and tells how they are.
#[derive(Debug, Parser)]
#[command(name = "dataos-ctl", bin_name = "dataos-ctl", version, max_term_width = 110)]
pub struct Dataos {
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
    /// Show Computes: your own, or everybody's with -a
    Get(get::Get),
    /// The same verbs, as the reference has them: resource get, resource apply, ...
    #[command(subcommand)]
    Resource(Resource),
    /// Run a jq filter over manifests
    Jq(jq::Jq),
    /// What helps to write manifests, and the manual
    #[command(subcommand)]
    Develop(develop::Develop),
    /// Show versions: of this program, of the cluster, and of the Computes that it serves
    Version(Version),
    /// Print the script by which a shell completes verbs, flags and names of Computes
    Completion(Completion),
}

/// Verbs that the reference has twice.
#[derive(Debug, Subcommand)]
enum Resource {
    /// Show Computes: your own, or everybody's with -a
    Get(get::Get),
}

impl Dataos {
    /// Whether what is asked for is JSON, so that errors are as well.
    pub fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Version(version) => version.speaks_json(),
            Verb::Get(_) | Verb::Resource(_) | Verb::Jq(_) | Verb::Develop(_) | Verb::Completion(_) => false,
        }
    }

    /// Does what was typed.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Get(get) | Verb::Resource(Resource::Get(get)) => {
                Box::pin(crate::ctl::get::get(get.request()?, session)).await
            }
            Verb::Jq(jq) => crate::ctl::jq::jq(jq.request(), session),
            Verb::Develop(develop) => crate::ctl::develop::develop(develop.request()?, session),
            Verb::Version(version) => version::version(version, session).await,
            Verb::Completion(completion) => completion::completion(&completion, session),
        }
    }
}

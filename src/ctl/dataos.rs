//! What can be typed after `dataos-ctl`: the reference's verbs and short flags; what is new has long names alone.

mod asked;
mod delete;
mod get;
mod wait;
mod which;

use clap::{Parser, Subcommand};

use crate::ctl::connection::Connection;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;

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
    /// Delete Computes, and wait until they are gone
    Delete(delete::Delete),
    /// Wait for Computes, and say why at once where it is in vain
    Wait(wait::Wait),
    /// The same verbs, as the reference has them: resource get, resource apply, ...
    #[command(subcommand)]
    Resource(Resource),
}

/// Verbs that the reference has twice.
#[derive(Debug, Subcommand)]
enum Resource {
    /// Show Computes: your own, or everybody's with -a
    Get(get::Get),
    /// Delete Computes, and wait until they are gone
    Delete(delete::Delete),
}

impl Dataos {
    /// Whether what is asked for is JSON, so that errors are as well.
    pub fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Wait(wait) => wait.speaks_json(),
            Verb::Get(_) | Verb::Delete(_) | Verb::Resource(_) => false,
        }
    }

    /// Does what was typed.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Get(get) | Verb::Resource(Resource::Get(get)) => {
                Box::pin(crate::ctl::get::get(get.request()?, session)).await
            }
            Verb::Delete(delete) | Verb::Resource(Resource::Delete(delete)) => {
                Box::pin(crate::ctl::delete::delete(delete.request(session)?, session)).await
            }
            Verb::Wait(wait) => Box::pin(crate::ctl::wait::wait(wait.request()?, session)).await,
        }
    }
}

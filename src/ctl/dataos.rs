//! What can be typed after `dataos-ctl`: the reference's verbs and short flags; what is new has long names alone.

mod apply;
mod asked;
mod delete;
mod develop;
mod get;
mod jq;
mod wait;
mod which;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::ctl::apply::Verb as WriteVerb;
use crate::ctl::completion::{self, Completion};
use crate::ctl::connection::Connection;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::kubectl::Kubectl;
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
    /// Make Computes, or change them, to what manifests say
    Apply(Box<apply::Apply>),
    /// Make Computes that are not there yet
    Create(Box<apply::Apply>),
    /// Change Computes that are there
    Update(Box<apply::Apply>),
    /// Delete Computes, and wait until they are gone
    Delete(delete::Delete),
    /// Wait for Computes, and say why at once where it is in vain
    Wait(wait::Wait),
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
    /// Make Computes, or change them, to what manifests say
    Apply(Box<apply::Apply>),
    /// Make Computes that are not there yet
    Create(Box<apply::Apply>),
    /// Change Computes that are there
    Update(Box<apply::Apply>),
    /// Delete Computes, and wait until they are gone
    Delete(delete::Delete),
}

impl Dataos {
    /// Whether what is asked for is JSON, so that errors are as well.
    pub fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Version(version) => version.speaks_json(),
            Verb::Apply(apply)
            | Verb::Create(apply)
            | Verb::Update(apply)
            | Verb::Resource(Resource::Apply(apply) | Resource::Create(apply) | Resource::Update(apply)) => {
                apply.speaks_json()
            }
            Verb::Wait(wait) => wait.speaks_json(),
            Verb::Get(_)
            | Verb::Delete(_)
            | Verb::Jq(_)
            | Verb::Develop(_)
            | Verb::Completion(_)
            | Verb::Resource(Resource::Get(_) | Resource::Delete(_)) => false,
        }
    }

    /// Does what was typed.
    pub async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Get(get) | Verb::Resource(Resource::Get(get)) => {
                Box::pin(crate::ctl::get::get(get.request()?, session)).await
            }
            Verb::Jq(jq) => crate::ctl::jq::jq(jq.request(), session),
            Verb::Develop(develop) => {
                let programs = [Self::command(), Kubectl::command()];
                crate::ctl::develop::develop(develop.request()?, programs, session)
            }
            Verb::Version(version) => version::version(version, session).await,
            Verb::Completion(completion) => completion::completion(&completion, session),
            Verb::Apply(apply) | Verb::Resource(Resource::Apply(apply)) => {
                write(*apply, WriteVerb::Apply, session).await
            }
            Verb::Create(apply) | Verb::Resource(Resource::Create(apply)) => {
                write(*apply, WriteVerb::Create, session).await
            }
            Verb::Update(apply) | Verb::Resource(Resource::Update(apply)) => {
                write(*apply, WriteVerb::Update, session).await
            }
            Verb::Delete(delete) | Verb::Resource(Resource::Delete(delete)) => {
                Box::pin(crate::ctl::delete::delete(delete.request(session)?, session)).await
            }
            Verb::Wait(wait) => Box::pin(crate::ctl::wait::wait(wait.request()?, session)).await,
        }
    }
}

async fn write(apply: apply::Apply, verb: WriteVerb, session: &mut Session) -> Result<Exit, Failure> {
    let request = apply.request(verb, session);
    Box::pin(crate::ctl::apply::apply(request, session)).await
}

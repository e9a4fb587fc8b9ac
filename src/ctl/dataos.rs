//! What can be typed after `dataos-ctl`: the reference's verbs and short flags; what is new has long names alone.

mod apply;
mod delete;
mod develop;
mod get;
mod jq;
mod tell;
mod wait;
mod which;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::ctl::apply::Verb as WriteVerb;
use crate::ctl::asked::{Explain, Version};
use crate::ctl::completion::{self, Completion};
use crate::ctl::connection::Connection;
use crate::ctl::examples;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::kubectl::Kubectl;
use crate::ctl::program::Program;
use crate::ctl::session::Session;
use crate::ctl::terminal::Manners;
use crate::view::talk::Voice;

/// Shows, applies and deletes Computes, which name pools of nodes, and tells why they are as they are.
#[derive(Debug, Parser)]
#[command(name = "dataos-ctl", bin_name = "dataos-ctl", version, max_term_width = 110)]
pub struct Dataos {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    manners: Manners,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Plain(OnResources),
    /// Wait until Computes are active, or what else is asked; if that cannot be, say why at once
    #[command(after_help = examples::WAIT)]
    Wait(Box<wait::Wait>),
    /// Say why a Compute is as it is, in one paragraph, and what to type next
    Why(tell::Why),
    /// Show all about a Compute: stage, conditions, what is in force, nodes, users, what happened
    Describe(tell::Describe),
    /// Show what hangs on a Compute, or on each of them: built objects, nodes, users
    Tree(tell::Tree),
    /// Explain a pod (which nodes fit, and why others do not) or a Compute (what is wrong, what an edit would do)
    Explain(Explain<Dataos>),
    /// get, apply, create, update and delete, by their long names
    #[command(subcommand)]
    Resource(OnResources),
    /// Run a jq filter over manifests
    #[command(after_help = examples::JQ)]
    Jq(jq::Jq),
    /// Print a first manifest or the schema of manifests, or write the manual
    #[command(subcommand)]
    Develop(develop::Develop),
    /// Show versions: of this program, of the cluster, and of the Computes that it serves
    Version(Version<Dataos>),
    /// Print the script by which a shell completes verbs, flags and names of Computes
    Completion(Completion),
}

/// Verbs that the reference has twice.
#[derive(Debug, Subcommand)]
enum OnResources {
    /// Show Computes: your own, or everybody's with -a
    #[command(after_help = examples::GET)]
    Get(Box<get::Get>),
    /// Make Computes, or change them, to what manifests say
    #[command(after_help = examples::APPLY)]
    Apply(Box<apply::Apply>),
    /// Make Computes that are not there yet
    #[command(after_help = examples::CREATE)]
    Create(Box<apply::Apply>),
    /// Change Computes that are there
    #[command(after_help = examples::UPDATE)]
    Update(Box<apply::Apply>),
    /// Delete Computes, and wait until they are gone
    #[command(after_help = examples::DELETE)]
    Delete(Box<delete::Delete>),
}

impl Program for Dataos {
    const VOICE: Voice = Voice::Dataos;

    type Namespaces = which::NoNamespaces;
    type Environment = which::Environment;

    fn common(&self) -> (Manners, Connection) {
        (self.manners.clone(), self.connection.clone())
    }

    fn speaks_json(&self) -> bool {
        match &self.verb {
            Verb::Plain(verb) | Verb::Resource(verb) => verb.speaks_json(),
            Verb::Wait(wait) => wait.speaks_json(),
            Verb::Why(why) => why.speaks_json(),
            Verb::Describe(describe) => describe.speaks_json(),
            Verb::Tree(tree) => tree.speaks_json(),
            Verb::Explain(explain) => explain.speaks_json(),
            Verb::Version(version) => version.speaks_json(),
            Verb::Jq(_) | Verb::Develop(_) | Verb::Completion(_) => false,
        }
    }

    async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Plain(verb) | Verb::Resource(verb) => verb.run(session).await,
            Verb::Wait(wait) => Box::pin(crate::ctl::wait::wait(wait.request(session)?, session)).await,
            Verb::Why(why) => Box::pin(crate::ctl::why::why(why.request()?, session)).await,
            Verb::Describe(describe) => {
                Box::pin(crate::ctl::describe::describe(describe.request()?, session)).await
            }
            Verb::Tree(tree) => Box::pin(crate::ctl::tree::tree(tree.request()?, session)).await,
            Verb::Explain(explain) => {
                Box::pin(crate::ctl::explain::explain(explain.request(), session)).await
            }
            Verb::Jq(jq) => crate::ctl::jq::jq(jq.request(), session),
            Verb::Develop(develop) => {
                let programs = [Self::command(), Kubectl::command()];
                crate::ctl::develop::develop(develop.request()?, programs, session)
            }
            Verb::Version(version) => crate::ctl::version::version(version.request(), session).await,
            Verb::Completion(completion) => completion::completion(&completion, session),
        }
    }
}

impl OnResources {
    fn speaks_json(&self) -> bool {
        match self {
            Self::Get(get) => get.speaks_json(),
            Self::Apply(apply) | Self::Create(apply) | Self::Update(apply) => apply.speaks_json(),
            Self::Delete(delete) => delete.speaks_json(),
        }
    }

    async fn run(self, session: &mut Session) -> Result<Exit, Failure> {
        let (write, verb) = match self {
            Self::Get(get) => return Box::pin(crate::ctl::get::get(get.request()?, session)).await,
            Self::Delete(delete) => {
                return Box::pin(crate::ctl::delete::delete(delete.request(session)?, session)).await;
            }
            Self::Apply(apply) => (apply, WriteVerb::Apply),
            Self::Create(apply) => (apply, WriteVerb::Create),
            Self::Update(apply) => (apply, WriteVerb::Update),
        };
        let request = write.request(verb, session);
        Box::pin(crate::ctl::apply::apply(request, session)).await
    }
}

//! What is asked before something is deleted, and how a Compute in use is.

use std::cell::Cell;

use kube::Client;

use crate::cluster::remove;
use crate::ctl::delete::item::{Answer, Reach, Request, asked, not_deleted, still_allowed};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::decide::observed::Compute;
use crate::view::names::{count, listed};

/// How many names a question lists.
const LISTED: usize = 10;

/// Asks whether what a selector matched is to go. Where nobody can be asked, `--yes` must say it: nobody named them.
pub(super) async fn agreed(
    names: &[String],
    request: &Request,
    session: &mut Session,
) -> Result<(), Failure> {
    if request.yes {
        return Ok(());
    }
    let what = format!("{}: {}", count(names.len(), "Compute"), listed(names, LISTED));
    if request.no_input || !session.terminal.look.asks {
        let text = format!("the selector matches {what}; nothing was deleted, for nobody can be asked");
        return Err(Failure::new(Exit::Usage, text).remedy("give --yes to delete what it matches"));
    }
    let answer = session.terminal.ask(&format!("delete {what}? Type yes: ")).await;
    if answer == "yes" { Ok(()) } else { Err(declined("nothing was deleted: the answer was not yes")) }
}

/// Who was asked said no.
fn declined(text: &str) -> Failure {
    Failure::new(Exit::Failed, text)
}

/// Deletes a Compute though it is in use. At a terminal its name is to be typed; elsewhere `--force` itself is the answer.
pub(super) async fn forced(
    client: &Client,
    compute: &Compute,
    request: &Request,
    session: &mut Session,
    reach: &Cell<Reach>,
) -> Result<Answer, Failure> {
    let (name, uid) = (&compute.name, &compute.uid);
    if session.terminal.look.asks && !request.yes && !request.no_input {
        let users = compute.status.users.clone().unwrap_or_default();
        let examples = if users.examples.is_empty() {
            String::new()
        } else {
            format!(" ({})", listed(&users.examples, LISTED))
        };
        let question = format!(
            "{name} is in use by {} and {}{examples}: they run on, and what names it anew is refused. Type {name} to delete it: ",
            count(users.workloads as usize, "workload"),
            count(users.pods as usize, "pod"),
        );
        if session.terminal.ask(&question).await != *name {
            return Err(declined(&format!("{name} was not deleted: that is not its name")));
        }
    }
    // What stood before stays; else a later slip would delete what is in use.
    let ours = !compute.delete_in_use;
    reach.set(Reach { allowed: ours, asked: false });
    remove::allow_in_use(client, name, uid, true).await.map_err(|error| not_deleted(name, &error))?;
    reach.set(Reach { allowed: ours, asked: true });
    let error = match remove::delete(client, name, uid, false).await {
        Ok(true) => return Ok(asked(compute)),
        Ok(false) => return Ok(Answer::Gone),
        Err(error) => error,
    };
    let failure = not_deleted(name, &error);
    if !ours {
        return Err(failure);
    }
    Err(match remove::allow_in_use(client, name, uid, false).await {
        Ok(()) => failure,
        Err(_) => failure.remedy(still_allowed(name, "could not be taken back")),
    })
}

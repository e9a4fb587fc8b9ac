//! `delete`: each Compute by itself, and every one is tried; then it is waited until they are gone.

mod filed;
mod force;
mod item;

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt as _;
use kube::Client;

use crate::api::identifier::Identifier;
use crate::api::names::POLICY_IN_USE;
use crate::api::status::Users;
use crate::cluster::call::CallError;
use crate::cluster::{computes, remove};
use crate::ctl::delete::filed::filed;
use crate::ctl::delete::force::{agreed, forced};
use crate::ctl::delete::item::{Item, Outcome, asked, not_deleted};
pub use crate::ctl::delete::item::{Mode, Request};
use crate::ctl::failure::{Exit, Failure, INTERRUPTED, SILENT};
use crate::ctl::named;
use crate::ctl::session::Session;
use crate::ctl::terminal;
use crate::ctl::wait::{self, Manner};
use crate::ctl::which::Which;
use crate::decide::goal::Goal;
use crate::decide::observed::Compute;
use crate::view::course::Course;
use crate::view::deletion::{refused, remedies};
use crate::view::names::count;
use crate::view::users::deletion;

const SIGN: &str = "🗑 ";
const DELETING: Manner = Manner { sign: SIGN, doing: "deleting " };

/// Deletes them.
pub async fn delete(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "delete...");
    let (failures, summary) = match Box::pin(deleted(&request, session)).await {
        Ok((failures, tally)) => (failures, tally.told()),
        Err(failure) => (vec![failure], None),
    };
    if failures.is_empty() {
        session.terminal.info(SIGN, "delete...complete");
        if let Some(summary) = summary {
            session.terminal.info("", &summary);
        }
        return Ok(Exit::Ok);
    }
    session.terminal.failed(SIGN, "delete...error");
    for failure in &failures {
        session.terminal.error(&failure.told());
    }
    if let Some(summary) = summary {
        session.terminal.warn("", &summary);
    }
    Ok(Exit::of_all(failures.iter().map(|failure| failure.exit)))
}

async fn deleted(request: &Request, session: &mut Session) -> Result<(Vec<Failure>, Tally), Failure> {
    let mut items: Vec<Item> = request.names.iter().map(|name| Item::named(name)).collect();
    items.extend(filed(&request.files, request.recursive, request.variables.as_ref()));
    let client = session.client().await?;
    if let Some(selector) = &request.selector {
        let selected = Which::Selected(selector.clone()).targets(&client).await?;
        let names: Vec<String> = selected.into_iter().map(|target| target.name).collect();
        if request.mode == Mode::Delete {
            agreed(&names, request, session).await?;
        }
        items.extend(names.iter().map(|name| Item::named(name)));
    }
    // From here on the person's interrupt is told what it left.
    let mut interrupt = pin!(terminal::interrupted().fuse());
    let mut tried = Vec::new();
    let (mut failures, mut asked, mut tally) = (Vec::new(), Vec::new(), Tally::default());
    for Item { title, name } in items {
        let outcome = match name {
            _ if tally.stopped.is_some() => Ok(Outcome::Untried),
            Ok(name) if tried.contains(&name) => continue,
            Ok(name) => {
                tried.push(name.clone());
                tokio::select! {
                    biased;
                    () = &mut interrupt => {
                        tally.stopped = Some(INTERRUPTED);
                        Err(interrupted(&name, request))
                    }
                    outcome = Box::pin(one(&client, &name, request, session)) => outcome,
                }
            }
            Err(failure) => Err(failure),
        };
        let told = match outcome {
            Ok(Outcome::Asked(target)) if request.wait.is_some() => {
                asked.push(target);
                continue;
            }
            Ok(Outcome::Asked(_) | Outcome::Deleted) => {
                tally.deleted += 1;
                "deleted"
            }
            Ok(Outcome::Nothing) => {
                tally.nothing += 1;
                "nothing"
            }
            Ok(Outcome::Untried) => {
                tally.untried += 1;
                "not tried"
            }
            Err(failure) => {
                // What is not there was not deleted, and nothing is wrong with it.
                let absent = failure.exit == Exit::NotFound;
                if failure.silent {
                    tally.stopped = Some(SILENT);
                }
                failures.push(failure);
                let (count, word) =
                    if absent { (&mut tally.nothing, "nothing") } else { (&mut tally.error, "error") };
                *count += 1;
                word
            }
        };
        session.terminal.info(SIGN, &format!("deleting {title}...{told}{}", request.mode.suffix()));
    }
    if let Some(limit) = request.wait.filter(|_| !asked.is_empty()) {
        let mut course = Course::new(Goal::deleted(), &asked);
        // What was asked to go is looked at once more, even when nobody waits for it any longer.
        let limit = if tally.stopped.is_some() { Duration::ZERO } else { limit };
        let waited = wait::run(&client, &mut course, limit, DELETING, &mut session.terminal).await;
        tally.deleted += asked.len();
        if let Err(failure) = waited {
            failures.push(failure.remedy("the deletion is under way all the same, and goes on by itself"));
            for name in course.open() {
                let title = Identifier::compute(name).told();
                session.terminal.info(SIGN, &format!("deleting {title}...deleting"));
                tally.deleted -= 1;
                tally.error += 1;
            }
        }
    }
    Ok((failures, tally))
}

fn interrupted(name: &str, request: &Request) -> Failure {
    let text = match request.mode {
        Mode::Delete => {
            format!("interrupted: whether {name} was asked to go is not known; delete it again, or get it")
        }
        Mode::ClientDryRun | Mode::ServerDryRun => "interrupted; nothing was to be deleted".into(),
    };
    Failure::new(Exit::Interrupted, text)
}

/// How many there are of each outcome.
#[derive(Default)]
struct Tally {
    deleted: usize,
    nothing: usize,
    error: usize,
    untried: usize,
    /// Why the rest was not tried.
    stopped: Option<&'static str>,
}

impl Tally {
    /// Of more than one.
    fn told(&self) -> Option<String> {
        let mut parts = Vec::new();
        for (number, word) in [(self.deleted, "deleted"), (self.nothing, "nothing")] {
            if number > 0 {
                parts.push(format!("{number} {word}"));
            }
        }
        if self.error > 0 {
            parts.push(count(self.error, "error"));
        }
        if let Some(why) = self.stopped.filter(|_| self.untried > 0) {
            parts.push(format!("{} not tried: {why}", self.untried));
        }
        (self.deleted + self.nothing + self.error + self.untried > 1).then(|| parts.join(", "))
    }
}

async fn one(
    client: &Client,
    name: &str,
    request: &Request,
    session: &mut Session,
) -> Result<Outcome, Failure> {
    let Some(compute) = named::look::<Compute>(client, name).await? else {
        if request.ignore_not_found {
            return Ok(Outcome::Nothing);
        }
        return Err(named::missing(client, name).await);
    };
    let held = deletion(&compute, None).blocked;
    if request.mode == Mode::ClientDryRun {
        return if held && !request.force { Err(in_use(&compute)) } else { Ok(Outcome::Deleted) };
    }
    let dry_run = request.mode == Mode::ServerDryRun;
    if request.force && held && !dry_run {
        return forced(client, &compute, request, session).await;
    }
    match remove::delete(client, name, &compute.uid, dry_run).await {
        // A dry run cannot set the annotation that would let it pass.
        Err(error) if request.force && dry_run && is_in_use(&error) => Ok(Outcome::Deleted),
        Err(error) if request.force && is_in_use(&error) => forced(client, &compute, request, session).await,
        Err(error) if is_in_use(&error) => {
            // Its status may have changed since: the refusal speaks of the newest.
            let newest = computes::one::<Compute>(client, name).await.ok().flatten();
            Err(in_use(newest.as_ref().filter(|newest| newest.uid == compute.uid).unwrap_or(&compute)))
        }
        Err(error) => Err(not_deleted(name, &error)),
        Ok(_) if dry_run => Ok(Outcome::Deleted),
        Ok(true) => Ok(asked(&compute)),
        Ok(false) => Ok(Outcome::Deleted),
    }
}

/// Whether the shared policy refused it for its users.
fn is_in_use(error: &CallError) -> bool {
    matches!(error, CallError::Refused { message, .. } if message.contains(POLICY_IN_USE))
}

fn in_use(compute: &Compute) -> Failure {
    let none = Users::default();
    let users = compute.status.users.as_ref().unwrap_or(&none);
    let failure = Failure::new(Exit::Conflict, refused(users));
    remedies(&compute.name, users).into_iter().fold(failure, Failure::remedy)
}

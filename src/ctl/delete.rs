//! `delete`: each Compute by itself, and every one is tried; then it is waited until they are gone.

mod force;
mod item;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use kube::Client;

use crate::api::names::POLICY_IN_USE;
use crate::api::status::Users;
use crate::cluster::call::CallError;
use crate::cluster::{computes, remove};
use crate::ctl::delete::force::{agreed, forced};
use crate::ctl::delete::item::{Answer, Item, Reach, SIGN, asked, done, not_deleted};
pub use crate::ctl::delete::item::{Mode, Request};
use crate::ctl::failure::{Exit, Failure, INTERRUPTED};
use crate::ctl::named;
use crate::ctl::report::{Done, Outcome, Report};
use crate::ctl::session::Session;
use crate::ctl::wait::{self, Manner};
use crate::ctl::which::Which;
use crate::decide::goal::Goal;
use crate::decide::observed::Compute;
use crate::view::course::Course;
use crate::view::deletion::{refused, remedies};
use crate::view::users::deletion;

const DELETING: Manner = Manner { sign: SIGN, doing: "deleting " };

/// Deletes them.
pub async fn delete(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let mut report = Report::begin(request.wording(), request.output, session);
    match Box::pin(deleted(&request, &mut report, session)).await {
        Ok(()) => report.conclude(session),
        Err(failure) => Err(report.broken_off(session, failure)),
    }
}

async fn deleted(request: &Request, report: &mut Report, session: &mut Session) -> Result<(), Failure> {
    let mut items: Vec<Item> = request.names.iter().map(|name| Item::named(name)).collect();
    items.extend(request.files.read().into_iter().map(Item::filed));
    let client = session.client().await?;
    if let Some(selector) = &request.selector {
        let selected = Which::Selected(selector.clone()).targets(&client).await;
        let selected = selected.map_err(|error| Failure::of_write("Computes could not be listed", &error))?;
        let names: Vec<String> = selected.into_iter().map(|target| target.name).collect();
        if names.is_empty() && !request.ignore_not_found {
            return Err(Failure::new(Exit::NotFound, "the selector matches no Compute"));
        }
        if request.mode == Mode::Delete && !names.is_empty() {
            agreed(&names, request, session).await?;
        }
        items.extend(names.iter().map(|name| Item::named(name)));
    }
    // From here on the person's interrupt is told what it left.
    let mut interrupt = pin!(session.interrupt.heard());
    let mut went = BTreeSet::new();
    for Item { subject, name } in items {
        let done = match name {
            _ if report.stopped.is_some() => Done::of(&subject, Outcome::Untried),
            Err(failure) => Done::failed(&subject, failure),
            Ok(name) if went.contains(&name) => Done::of(&subject, Outcome::Nothing),
            // A copy of one that did not go is tried as well: what becomes of it is not known.
            Ok(name) => {
                let reach = Cell::default();
                let done = tokio::select! {
                    biased;
                    () = &mut interrupt => {
                        report.stopped = Some(INTERRUPTED);
                        Done::failed(&subject, reach.get().interrupted(&name, request.mode))
                    }
                    answer = Box::pin(one(&client, &name, request, session, &reach)) => {
                        done(&subject, &name, answer, request)
                    }
                };
                if done.target.is_some() {
                    went.insert(name);
                }
                done
            }
        };
        report.note(session, done)?;
    }
    let going = report.going();
    if let Some(limit) = request.wait.filter(|_| !going.is_empty()) {
        report.explain(session);
        let mut course = Course::new(Goal::deleted(), &going);
        // What was asked to go is looked at once more, even when nobody waits for it any longer.
        let limit = if report.stopped.is_some() { Duration::ZERO } else { limit };
        let waited = wait::run(&client, &mut course, limit, DELETING, session).await;
        let mut left = BTreeSet::new();
        if let Err(failure) = waited {
            let onward = "the deletion is under way all the same, and goes on by itself";
            report.waited = Some(failure.remedy(onward));
            left.extend(course.open().map(str::to_owned));
        }
        report.settle(session, &left);
    }
    Ok(())
}

async fn one(
    client: &Client,
    name: &str,
    request: &Request,
    session: &mut Session,
    reach: &Cell<Reach>,
) -> Result<Answer, Failure> {
    let found = computes::one::<Compute>(client, name).await;
    let Some(compute) = found.map_err(|error| not_deleted(name, &error))? else {
        if request.ignore_not_found {
            return Ok(Answer::Nothing);
        }
        return Err(named::missing(client, name).await);
    };
    let held = deletion(&compute, None).blocked;
    if request.mode == Mode::ClientDryRun {
        return if held && !request.force { Err(in_use(&compute)) } else { Ok(Answer::Gone) };
    }
    let dry_run = request.mode == Mode::ServerDryRun;
    if request.force && held && !dry_run {
        return forced(client, &compute, request, session, reach).await;
    }
    reach.set(Reach { asked: true, ..Reach::default() });
    let answer = remove::delete(client, name, &compute.uid, dry_run).await;
    if answer.as_ref().is_err_and(is_in_use) {
        reach.set(Reach::default());
    }
    match answer {
        // A dry run cannot set the annotation that would let it pass.
        Err(error) if request.force && dry_run && is_in_use(&error) => Ok(Answer::Gone),
        Err(error) if request.force && is_in_use(&error) => {
            forced(client, &compute, request, session, reach).await
        }
        Err(error) if is_in_use(&error) => {
            // Its status may have changed since: the refusal speaks of the newest.
            let newest = computes::one::<Compute>(client, name).await.ok().flatten();
            Err(in_use(newest.as_ref().filter(|newest| newest.uid == compute.uid).unwrap_or(&compute)))
        }
        Err(error) => Err(not_deleted(name, &error)),
        Ok(_) if dry_run => Ok(Answer::Gone),
        Ok(true) => Ok(asked(&compute)),
        Ok(false) => Ok(Answer::Gone),
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

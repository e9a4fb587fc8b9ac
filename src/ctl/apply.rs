//! `apply`, `create` and `update`: manifests to the API server, each by itself, and every one is tried.

mod diff;
mod items;
mod request;
mod write;

use std::collections::BTreeMap;
use std::pin::pin;

pub use request::{Mode, Request, Verb};

use crate::cluster::computes::Sending;
use crate::ctl::apply::items::{Item, Ready};
use crate::ctl::failure::{Exit, Failure, INTERRUPTED};
use crate::ctl::filed::Subject;
use crate::ctl::report::{Done, Outcome, Report};
use crate::ctl::session::Session;
use crate::ctl::wait;
use crate::decide::goal::Goal;

/// Does it.
pub async fn apply(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let mut report = Report::begin(request.wording(), request.output, session);
    let items = items::read(&request.files);
    let client = if request.mode.offline() || items.iter().all(|item| item.ready.is_err()) {
        None
    } else {
        match session.client().await {
            Ok(client) => Some(client),
            Err(failure) => return Err(report.broken_off(session, failure)),
        }
    };
    // From here on the person's interrupt is told what it left.
    let mut interrupt = pin!(session.interrupt.heard());
    // The first document of each name, and whether the Compute stands as it says.
    let mut firsts: BTreeMap<&str, (&Ready, bool)> = BTreeMap::new();
    for item in &items {
        let done = match (&item.ready, report.stopped) {
            (_, Some(_)) => Done::of(&item.subject, Outcome::Untried),
            (Err(failure), None) => Done::failed(&item.subject, failure.clone()),
            (Ok(ready), None) => match firsts.get(ready.judged.name()) {
                Some((first, _)) if first.judged.compute != ready.judged.compute => {
                    Done::failed(&item.subject, twice(&item.subject, &first.place))
                }
                Some((_, true)) => Done::of(&item.subject, Outcome::Unchanged),
                // A copy of one that was not written is tried as well: what becomes of it is not known.
                Some((_, false)) | None => {
                    let done = tokio::select! {
                        biased;
                        () = &mut interrupt => {
                            report.stopped = Some(INTERRUPTED);
                            Done::failed(&item.subject, interrupted(&item.subject, &request))
                        }
                        done = one(&request, client.as_ref(), item, ready) => done,
                    };
                    firsts.entry(ready.judged.name()).or_insert((ready, false)).1 = done.target.is_some();
                    done
                }
            },
        };
        report.note(session, done)?;
    }
    let standing = report.standing();
    if let Some(limit) = request.wait.filter(|_| !standing.is_empty() && report.stopped.is_none())
        && let Some(client) = &client
    {
        report.explain(session);
        let active = Goal::active();
        let waited = wait::until(client, &standing, &active, limit, session);
        report.waited = Box::pin(waited).await.err();
    }
    report.conclude(session)
}

/// What becomes of one document.
async fn one(request: &Request, client: Option<&kube::Client>, item: &Item, ready: &Ready) -> Done {
    let Some(client) = client else {
        let mut done = Done::of(&item.subject, Outcome::Valid);
        done.data = (request.mode == Mode::Dereference).then(|| ready.document.clone());
        return done;
    };
    let dry_run = matches!(request.mode, Mode::ServerDryRun | Mode::Diff);
    let how = Sending { dry_run, force: request.force, only_new: false };
    match Box::pin(write::write(client, request.verb, item, ready, how)).await {
        Err(failure) => Done::failed(&item.subject, failure),
        Ok(written) => {
            let mut done = Done::of(&item.subject, told(request.mode, written.outcome));
            done.target = Some(written.target.clone());
            done.remarks.extend(written.remark());
            if request.mode == Mode::Diff && written.outcome != Outcome::Unchanged {
                done.page = Some(Box::pin(diff::page(client, item, ready, written)).await);
            }
            done
        }
    }
}

/// Of what was only compared, what would be.
fn told(mode: Mode, outcome: Outcome) -> Outcome {
    match (mode, outcome) {
        (Mode::Diff, Outcome::Created) => Outcome::New,
        (Mode::Diff, Outcome::Updated) => Outcome::Changed,
        (_, outcome) => outcome,
    }
}

fn twice(subject: &Subject, first: &str) -> Failure {
    subject.failure(
        Exit::Invalid,
        format!("another manifest of this name, with other content, is at {first}; keep one of them"),
    )
}

fn interrupted(subject: &Subject, request: &Request) -> Failure {
    let text = match request.mode {
        Mode::Write => "interrupted: whether it was written is not known; run it again, or get it",
        _ => "interrupted; nothing was to be written",
    };
    subject.failure(Exit::Interrupted, text)
}

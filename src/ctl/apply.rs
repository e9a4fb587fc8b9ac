//! `apply`, `create` and `update`: manifests to the API server, each by itself, and every one is tried.

mod diff;
mod items;
mod report;
mod waiting;
mod write;

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::Value;

use crate::cluster::computes::Sending;
use crate::ctl::apply::items::{Item, Ready};
use crate::ctl::apply::report::{Done, Outcome, Report};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::files;
use crate::ctl::session::Session;
use crate::view::manifest::Variables;

const SIGN: &str = "🛠 ";
const SIGN_ONE: &str = "🔧 ";

/// What to do with manifests.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which of the three verbs.
    pub verb: Verb,
    /// Files, folders, and `-` for standard input.
    pub files: Vec<PathBuf>,
    /// Whether subfolders are read too.
    pub recursive: bool,
    /// The environment that is put in; none: `$` is a sign like any other.
    pub variables: Option<Variables>,
    /// How far to go.
    pub mode: Mode,
    /// Whether fields that somebody else manages are taken over.
    pub force: bool,
    /// How long to wait until what was written is active.
    pub wait: Option<Duration>,
    /// How what was done is told as data; none: not at all.
    pub output: Option<Output>,
}

/// Which verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes what is not there, changes what is.
    Apply,
    /// Makes what is not there.
    Create,
    /// Changes what is there.
    Update,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Create => "create",
            Self::Update => "update",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Apply => "applying",
            Self::Create => "creating",
            Self::Update => "updating",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Apply => "applied",
            Self::Create => "created",
            Self::Update => "updated",
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes.
    Write,
    /// Offline: what is wrong with the manifests.
    Lint,
    /// The same, said as a dry run.
    ClientDryRun,
    /// The API server says what it would do.
    ServerDryRun,
    /// What would change, field by field, and on which nodes.
    Diff,
    /// Prints the manifests with the environment put in.
    Dereference,
}

impl Mode {
    fn offline(self) -> bool {
        matches!(self, Self::Lint | Self::ClientDryRun | Self::Dereference)
    }

    /// What follows the outcome.
    fn suffix(self) -> &'static str {
        match self {
            Self::ClientDryRun => " (client dry run)",
            Self::ServerDryRun => " (server dry run)",
            Self::Diff => " (nothing written)",
            Self::Write | Self::Lint | Self::Dereference => "",
        }
    }
}

/// How what was done is told as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A list of what became of each manifest.
    Json,
    /// The name of each Compute, as kubectl takes it.
    Name,
}

/// Does it.
pub async fn apply(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let mut report = Report::new(&request);
    report.talk(session, SIGN, &format!("{}...", request.verb.word()));
    let items = items::read(files::sources(&request.files, request.recursive), request.variables.as_ref());
    let client = if request.mode.offline() || items.iter().all(|item| item.ready.is_err()) {
        None
    } else {
        match session.client().await {
            Ok(client) => Some(client),
            Err(failure) => {
                report.end(session, false);
                return Err(failure);
            }
        }
    };
    // From here on the person's interrupt is told what it left.
    let mut interrupt = pin!(tokio::signal::ctrl_c().fuse());
    let mut seen = Vec::new();
    for item in items {
        let done = match (&item.ready, report.stopped.clone()) {
            (_, Some(_)) => Done::untried(&item),
            (Err(failure), None) => Done::failed(&item, failure.clone()),
            (Ok(ready), None) => match repeated(&mut seen, ready) {
                Some(Ok(())) => Done::of(&item, Outcome::Unchanged),
                Some(Err(first)) => Done::failed(&item, twice(&item, &first)),
                None => tokio::select! {
                    biased;
                    Ok(()) = &mut interrupt => {
                        report.stopped = Some("interrupted".into());
                        Done::failed(&item, interrupted(&item, &request))
                    }
                    done = one(&request, client.as_ref(), &item, ready) => done,
                },
            },
        };
        report.note(session, &request, done)?;
    }
    report.end(session, true);
    if let Some(limit) = request.wait.filter(|_| request.mode == Mode::Write)
        && let Some(client) = &client
        && report.stopped.is_none()
    {
        let names: Vec<String> = report.standing();
        tokio::select! {
            biased;
            Ok(()) = &mut interrupt => report.stopped = Some("interrupted".into()),
            waited = waiting::active(client, session, &names, limit) => report.waited(session, waited),
        }
    }
    report.conclude(session)
}

/// What becomes of one document.
async fn one(request: &Request, client: Option<&kube::Client>, item: &Item, ready: &Ready) -> Done {
    let Some(client) = client else {
        let mut done = Done::of(item, Outcome::Valid);
        done.data = (request.mode == Mode::Dereference).then(|| ready.document.value());
        return done;
    };
    let how =
        Sending { dry_run: matches!(request.mode, Mode::ServerDryRun | Mode::Diff), force: request.force };
    match Box::pin(write::write(client, request.verb, item, ready, how)).await {
        Err(failed) => {
            let mut done = Done::failed(item, failed.failure);
            done.stops = failed.stops;
            done
        }
        Ok(written) => {
            let mut done = Done::of(item, written.outcome);
            done.remarks.extend(written.remark());
            if request.mode == Mode::Diff && written.outcome != Outcome::Unchanged {
                done.page = Some(Box::pin(diff::page(client, item, ready, written)).await);
            }
            done
        }
    }
}

/// Whether the name of a document was there before: equal, or otherwise, and then in which place.
fn repeated(seen: &mut Vec<(String, Value, String)>, ready: &Ready) -> Option<Result<(), String>> {
    let name = ready.judged.name();
    if let Some((_, compute, place)) = seen.iter().find(|(there, ..)| there == name) {
        return Some(if *compute == ready.judged.compute { Ok(()) } else { Err(place.clone()) });
    }
    seen.push((name.to_owned(), ready.judged.compute.clone(), ready.place.clone()));
    None
}

fn twice(item: &Item, first: &str) -> Failure {
    item.failure(
        Exit::Invalid,
        format!("another manifest of this name, with other content, is at {first}; keep one of them"),
    )
}

fn interrupted(item: &Item, request: &Request) -> Failure {
    let text = match request.mode {
        Mode::Write => "interrupted: whether it was written is not known; run it again, or get it",
        _ => "interrupted; nothing was to be written",
    };
    item.failure(Exit::Failed, text)
}

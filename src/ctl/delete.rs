//! `delete`: each Compute by itself, and every one is tried; then it is waited until they are gone.

mod filed;
mod force;

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;

use crate::api::identifier::Identifier;
use crate::api::names::POLICY_IN_USE;
use crate::api::status::Users;
use crate::cluster::call::CallError;
use crate::cluster::{read, remove};
use crate::ctl::delete::filed::filed;
use crate::ctl::delete::force::{agreed, forced};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::wait::{self, Manner};
use crate::ctl::which::Which;
use crate::decide::goal::Goal;
use crate::decide::observed::Compute;
use crate::view::course::{Course, Target};
use crate::view::deletion::{refused, remedies};
use crate::view::manifest::Variables;
use crate::view::names::absent;
use crate::view::users::deletion;

const SIGN: &str = "🗑 ";
const DELETING: Manner = Manner { sign: SIGN, doing: "deleting " };

/// What to delete.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub struct Request {
    /// Those of these names.
    pub names: Vec<String>,
    /// Those of these manifests.
    pub files: Vec<PathBuf>,
    /// Whether subfolders are read too.
    pub recursive: bool,
    /// The environment that is put into manifests; none: `$` is a sign like any other.
    pub variables: Option<Variables>,
    /// Those that these labels select; nothing else then.
    pub selector: Option<String>,
    /// Also those that are in use.
    pub force: bool,
    /// How far to go.
    pub mode: Mode,
    /// How long to wait until they are gone; none: not at all.
    pub wait: Option<Duration>,
    /// What would be asked is answered with yes.
    pub yes: bool,
    /// Nobody is asked.
    pub no_input: bool,
    /// What is not there is no failure.
    pub ignore_not_found: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Deletes.
    #[default]
    Delete,
    /// Says what would be tried, by what can be read.
    ClientDryRun,
    /// Lets the API server say what it would do.
    ServerDryRun,
}

impl Mode {
    /// What follows the outcome.
    fn suffix(self) -> &'static str {
        match self {
            Self::Delete => "",
            Self::ClientDryRun => " (client dry run)",
            Self::ServerDryRun => " (server dry run)",
        }
    }
}

/// What became of one.
enum Outcome {
    /// It is asked to go: this incarnation.
    Asked(Target),
    /// It is gone, or would go.
    Deleted,
    /// There was none.
    Nothing,
}

/// Something that is to be deleted: its name, or why that is not known.
struct Item {
    /// `name:version:type`, or what the document calls itself.
    title: String,
    name: Result<String, Failure>,
}

/// Deletes them.
pub async fn delete(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "delete...");
    let failures = match Box::pin(deleted(&request, session)).await {
        Ok(failures) => failures,
        Err(failure) => vec![failure],
    };
    let worst = failures.iter().map(|failure| failure.exit).max().unwrap_or(Exit::Ok);
    if failures.is_empty() {
        session.terminal.info(SIGN, "delete...complete");
    } else {
        session.terminal.warn(SIGN, "delete...error");
    }
    for failure in failures {
        session.terminal.error(&failure.told());
    }
    Ok(worst)
}

async fn deleted(request: &Request, session: &mut Session) -> Result<Vec<Failure>, Failure> {
    let mut items: Vec<Item> = request.names.iter().map(|name| Item::named(name)).collect();
    items.extend(filed(&request.files, request.recursive, request.variables.as_ref()));
    if items.is_empty() && request.selector.is_none() {
        return Err(Failure::new(
            Exit::Usage,
            "which Computes? Name them with -n, -i or -f, or choose them by --selector",
        ));
    }
    let client = session.client().await?;
    if let Some(selector) = &request.selector {
        let selected = Which::Selected(selector.clone()).targets(&client).await?;
        let names: Vec<String> = selected.into_iter().map(|target| target.name).collect();
        if request.mode == Mode::Delete {
            agreed(&names, request, session)?;
        }
        items.extend(names.iter().map(|name| Item::named(name)));
    }
    let mut tried = Vec::new();
    let (mut failures, mut asked, mut tally) = (Vec::new(), Vec::new(), Tally::default());
    for Item { title, name } in items {
        let outcome = match name {
            Ok(name) if tried.contains(&name) => continue,
            Ok(name) => {
                tried.push(name.clone());
                Box::pin(one(&client, &name, request, session)).await
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
            Err(failure) => {
                // What is not there was not deleted, and nothing is wrong with it.
                let absent = failure.exit == Exit::NotFound;
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
    if let Some(text) = tally.told() {
        session.terminal.info(SIGN, &text);
    }
    Ok(failures)
}

#[derive(Default)]
struct Tally {
    deleted: usize,
    nothing: usize,
    error: usize,
}

impl Tally {
    /// Of more than one.
    fn told(&self) -> Option<String> {
        let counted = [(self.deleted, "deleted"), (self.nothing, "nothing"), (self.error, "error")];
        let all: usize = counted.iter().map(|(number, _)| number).sum();
        let words =
            counted.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
        (all > 1).then(|| words.collect::<Vec<_>>().join(", "))
    }
}

impl Item {
    fn named(name: &str) -> Self {
        Self { title: Identifier::compute(name).told(), name: Ok(name.to_owned()) }
    }
}

async fn one(
    client: &Client,
    name: &str,
    request: &Request,
    session: &mut Session,
) -> Result<Outcome, Failure> {
    let found = read::compute(client, name).await;
    let found =
        found.map_err(|error| Failure::of_call(&format!("Compute {name} could not be read"), &error))?;
    let Some(stored) = found else {
        if request.ignore_not_found {
            return Ok(Outcome::Nothing);
        }
        return Err(Failure::new(Exit::NotFound, not_there(client, name).await));
    };
    let compute = stored.compute;
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
            let newest = read::compute(client, name).await.ok().flatten().map(|stored| stored.compute);
            Err(in_use(newest.as_ref().filter(|newest| newest.uid == compute.uid).unwrap_or(&compute)))
        }
        Err(error) => Err(not_deleted(name, &error)),
        Ok(_) if dry_run => Ok(Outcome::Deleted),
        Ok(true) => Ok(asked(&compute)),
        Ok(false) => Ok(Outcome::Deleted),
    }
}

fn asked(compute: &Compute) -> Outcome {
    Outcome::Asked(Target { name: compute.name.clone(), uid: Some(compute.uid.clone()), generation: 0 })
}

async fn not_there(client: &Client, name: &str) -> String {
    match read::computes_stored(client, None).await {
        Ok(there) => {
            let there: Vec<String> = there.into_iter().map(|stored| stored.compute.name).collect();
            absent("Compute", name, &there)
        }
        // Who may not list them is told no more than that.
        Err(_) => format!("no Compute named {name} exists"),
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

fn not_deleted(name: &str, error: &CallError) -> Failure {
    let failure = Failure::of_call(&format!("Compute {name} was not deleted"), error);
    match error {
        CallError::Conflict(_) => failure
            .remedy(format!("another Compute may have the name {name} by now: look at it, and delete again")),
        _ => failure,
    }
}

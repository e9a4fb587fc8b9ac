//! `wait`: until Computes are as asked, or cannot be any more. Other verbs wait by [`until`].

mod telling;
mod watching;

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use crate::ctl::failure::{Exit, Failure};
use crate::ctl::named::{missing, unlisted};
use crate::ctl::session::Session;
use crate::ctl::terminal::Terminal;
pub use crate::ctl::wait::telling::Manner;
use crate::ctl::wait::telling::Telling;
use crate::ctl::wait::watching::Followed;
use crate::ctl::which::Which;
use crate::decide::goal::{Aim, Cause, Goal};
pub use crate::view::course::Target;
use crate::view::course::{Course, End};
use crate::view::listing::Format;
use crate::view::output::{Output, as_name};
use crate::view::talk::Voice;
use crate::view::time;

/// What stands before lines of a wait.
const SIGN: &str = "⏳ ";
const WAITING: Manner = Manner { sign: SIGN, doing: "" };

/// Longer than anybody waits: for those that set no limit.
pub const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Waits until all of these Computes are as the goal says, for so long at most; 0 looks once. Tells how they stand on the
/// way. Gives back the Computes as they were seen last, those that are left.
///
/// The failures: what cannot come any more ([`Exit::Terminal`]), what never was ([`Exit::NotFound`]), the time
/// ([`Exit::TimedOut`]), Ctrl-C ([`Exit::Interrupted`]), a right that is missing ([`Exit::Denied`]).
pub async fn until(
    client: &Client,
    targets: &[Target],
    goal: &Goal,
    limit: Duration,
    session: &mut Session,
) -> Result<Vec<Value>, Failure> {
    let mut course = Course::new(goal.clone(), targets);
    Box::pin(run(client, &mut course, limit, WAITING, session)).await?;
    Ok(course.seen())
}

/// As [`until`], of a wait that its caller wants to look at afterwards.
pub(super) async fn run(
    client: &Client,
    course: &mut Course,
    limit: Duration,
    manner: Manner,
    session: &mut Session,
) -> Result<(), Failure> {
    let interrupt = session.interrupt.heard();
    tokio::select! {
        biased;
        () = interrupt => {
            let (text, _) = course.left();
            Err(Failure::new(Exit::Interrupted, format!("interrupted: {text}")))
        }
        ended = followed(client, course, limit, manner, &mut session.terminal) => ended,
    }
}

/// Follows them to the end.
async fn followed(
    client: &Client,
    course: &mut Course,
    limit: Duration,
    manner: Manner,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let deadline = Instant::now() + limit;
    let voice = terminal.voice();
    let mut telling = Telling { manner, terminal, unsettled: None };
    let mut followed = Followed::of(course);
    let looked = Followed::look(&mut followed, client, course, &mut telling).await;
    // Whoever wrote something a moment ago waits through an API server that is away; who begins with it is told.
    let written = course.knows_all();
    match looked {
        Err(error) if !written || error.lasts() || limit.is_zero() => {
            return Err(Failure::of_call("the Computes to wait for could not be read", &error));
        }
        _ => {}
    }
    if course.end().is_none() && !limit.is_zero() {
        Followed::watch(&followed, client, course, deadline, &mut telling).await?;
    }
    match course.end() {
        Some(End::Met) => Ok(()),
        Some(End::Never { name, cause, standing }) => {
            let failure = match cause {
                Cause::Absent => missing(client, &name).await,
                Cause::Gone | Cause::Fault | Cause::Over => {
                    Failure::new(Exit::Terminal, course.hopeless(&name, cause, &standing))
                }
            };
            Err(with(failure, &standing.to_do, voice))
        }
        None => {
            let (text, to_do) = course.left();
            let after = time::told(limit);
            let text = if limit.is_zero() {
                format!("not {} yet: {text}", course.goal().told())
            } else {
                format!("timed out after {after}: {text}")
            };
            Err(with(Failure::new(Exit::TimedOut, text), &to_do, voice))
        }
    }
}

fn with(failure: Failure, to_do: &[String], voice: Voice) -> Failure {
    to_do.iter().map(|text| voice.command(text)).fold(failure, Failure::remedy)
}

/// What to wait for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which Computes.
    pub which: Which,
    /// What is to come.
    pub goal: Goal,
    /// For how long at most; 0 looks once.
    pub limit: Duration,
    /// How they are printed then; none: nothing is, or kubectl's line for each.
    pub output: Option<Output>,
}

/// Waits, and prints what was asked for.
pub async fn wait(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    session.terminal.info(SIGN, "wait...");
    match Box::pin(waited(&request, session)).await {
        Ok(text) => {
            session.terminal.info(SIGN, "wait...complete");
            session.terminal.document(&text)?;
            Ok(Exit::Ok)
        }
        Err(failure) => {
            session.terminal.failed(SIGN, "wait...error");
            Err(failure)
        }
    }
}

async fn waited(request: &Request, session: &mut Session) -> Result<String, Failure> {
    let client = session.client().await?;
    let targets = request.which.targets(&client).await.map_err(|error| unlisted(&error))?;
    if targets.is_empty() {
        if request.goal.aim == Aim::Deleted {
            return Ok(String::new());
        }
        return Err(Failure::new(Exit::NotFound, "there is no Compute to wait for"));
    }
    if let Some(odd) = request.goal.odd() {
        session.terminal.warn(SIGN, &odd);
    }
    let seen = until(&client, &targets, &request.goal, request.limit, session).await?;
    let voice = session.terminal.voice();
    let names = targets.iter().map(|target| as_name(&target.name, voice));
    Ok(match (&request.output, voice) {
        (None, Voice::Dataos) => String::new(),
        (None, Voice::Kubectl) => names.map(|name| name.replace('\n', " condition met\n")).collect(),
        // Also of those that are gone.
        (Some(Output::Name), _) => names.collect(),
        (Some(output), _) => {
            let single = targets.len() == 1;
            let format = Format { output: output.clone(), single, ..Format::plain(voice) };
            let found: Vec<_> = seen.into_iter().map(|stored| format.taken(stored)).collect();
            let width = session.terminal.look.width;
            let text = format.told(&found, Timestamp::now(), width, &mut Vec::new());
            text.map_err(|error| Failure::of(Exit::Failed, &error))?
        }
    })
}

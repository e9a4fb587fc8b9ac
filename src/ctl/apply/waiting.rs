//! Until what was written is active, or cannot become so without somebody's help.

use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep};

use crate::api::status::{AggregateStatus, Stage};
use crate::cluster::status;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::decide::observed::Compute;

/// How often the API server is asked.
const EVERY: Duration = Duration::from_millis(300);

/// Waits for each of them, all within one limit; gives back why one is not active.
pub(super) async fn active(
    client: &Client,
    session: &mut Session,
    names: &[String],
    limit: Duration,
) -> Vec<(String, Option<Failure>)> {
    let until = Instant::now() + limit;
    let mut waited = Vec::new();
    for name in names {
        let failure = one(client, session, name, limit, until).await.err();
        waited.push((name.clone(), failure));
    }
    waited
}

async fn one(
    client: &Client,
    session: &mut Session,
    name: &str,
    limit: Duration,
    until: Instant,
) -> Result<(), Failure> {
    loop {
        let found = status::current(client, name).await;
        let found =
            found.map_err(|error| Failure::of_call(&format!("Compute {name} could not be read"), &error))?;
        let Some(compute) = found else {
            return Err(Failure::new(
                Exit::NotFound,
                format!("Compute {name} is gone while it was waited for"),
            ));
        };
        let told = told(&compute);
        match state(&compute) {
            State::Active => return Ok(()),
            State::Stuck => {
                let text = format!("Compute {name} will not become active as it is: {told}");
                return Err(Failure::new(Exit::Terminal, text));
            }
            State::Underway if Instant::now() >= until => {
                let text = format!("timed out after {} s: Compute {name} is {told}", limit.as_secs());
                return Err(Failure::new(Exit::TimedOut, text));
            }
            State::Underway => {}
        }
        session.terminal.progress(&format!("waiting for {name}: {told}"));
        sleep(EVERY).await;
    }
}

enum State {
    Active,
    /// The fault came in the build itself: an edit heals it, time does not.
    Stuck,
    Underway,
}

fn state(compute: &Compute) -> State {
    let status = &compute.status;
    // An older status speaks of an older manifest.
    if status.observed_generation < compute.generation {
        return State::Underway;
    }
    match (status.aggregate_status, status.builder_state.stage) {
        (AggregateStatus::Active, _) => State::Active,
        (AggregateStatus::Error, Stage::Error)
        | (AggregateStatus::Deleting | AggregateStatus::Deleted, _) => State::Stuck,
        (AggregateStatus::Error, Stage::Building | Stage::Built) | (AggregateStatus::Pending, _) => {
            State::Underway
        }
    }
}

fn told(compute: &Compute) -> String {
    let status = &compute.status;
    if status.observed_generation < compute.generation {
        return "not seen by Poros yet".into();
    }
    let builder = &status.builder_state;
    let mut text = format!(
        "{}, stage {}, {} resources",
        status.aggregate_status.word(),
        builder.stage.word(),
        builder.summary
    );
    if !builder.info.is_empty() {
        text.push_str(": ");
        text.push_str(&builder.info);
    }
    text
}

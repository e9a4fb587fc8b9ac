//! The watch of a wait: it outlives its breaks, and an API server that starts anew.

use std::collections::BTreeSet;

use kube::Client;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::cluster::call::CallError;
use crate::cluster::watch::News;
use crate::cluster::watch::follow::{Followed, follow};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::wait::telling::Telling;
use crate::view::course::Course;

/// So many Computes are followed by a watch each; of more, one watch of all of them tells.
pub(super) const FEW: usize = 8;

/// Follows them until it is over or the time is up.
pub(super) async fn watch(
    client: &Client,
    course: &mut Course,
    deadline: Instant,
    telling: &mut Telling<'_>,
) -> Result<(), Failure> {
    let names: Vec<String> = course.names().map(str::to_owned).collect();
    let followed: Vec<Option<String>> =
        if names.len() > FEW { vec![None] } else { names.into_iter().map(Some).collect() };
    let (sender, receiver) = unbounded_channel();
    let watches = followed.iter().enumerate().map(|(index, name)| {
        let sender = sender.clone();
        // Nobody listens once it is over.
        follow(client, name.as_deref(), move |news| drop(sender.send((index, news))))
    });
    tokio::select! {
        _ = futures::future::join_all(watches) => Ok(()),
        heard = hear(receiver, &followed, course, deadline, telling) => heard,
    }
}

/// What was heard of a watch.
#[derive(Clone, Default)]
struct Heard {
    /// Whether it ever had a list.
    begun: bool,
    /// The names that it told of since it began to list.
    told: BTreeSet<String>,
    /// How often it failed since it last told anything.
    failures: u32,
}

async fn hear(
    mut receiver: UnboundedReceiver<(usize, News<Followed>)>,
    followed: &[Option<String>],
    course: &mut Course,
    deadline: Instant,
    telling: &mut Telling<'_>,
) -> Result<(), Failure> {
    let mut heard = vec![Heard::default(); followed.len()];
    while course.end().is_none() {
        let due = telling.due().map_or(deadline, |due| due.min(deadline));
        let Ok(news) = timeout_at(due, receiver.recv()).await else {
            if Instant::now() >= deadline {
                return Ok(());
            }
            telling.settle(course);
            continue;
        };
        let Some((index, news)) = news else { return Ok(()) };
        let Some(state) = heard.get_mut(index) else { continue };
        match news {
            News::Listing => state.told.clear(),
            News::Change((name, now)) => {
                state.failures = 0;
                state.told.insert(name.clone());
                let turn = course.see(&name, now.map(|stored| (stored.compute, stored.object)));
                telling.turn(&name, turn, course);
            }
            News::Synced => {
                (state.begun, state.failures) = (true, 0);
                let names = match &followed[index] {
                    Some(name) => vec![name.clone()],
                    None => course.names().map(str::to_owned).collect(),
                };
                for (name, turn) in course.see_rest(&names, &state.told) {
                    telling.turn(&name, turn, course);
                }
            }
            News::Failing { why, code } => {
                state.failures += 1;
                let text = format!("Computes could not be watched: {why}");
                match code {
                    // An API server that has just started says so to everybody; a watch that never had a list may not.
                    Some(401 | 403) if !state.begun => return Err(Failure::new(Exit::Denied, text)),
                    Some(404) if !state.begun => {
                        return Err(no_computes(&CallError::Unserved(why)));
                    }
                    // A watch that breaks once is begun anew at once.
                    _ if state.failures == 2 => {
                        telling.terminal.warn(telling.manner.sign, &format!("{text}; still waiting"));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Their CRD is not installed.
pub(super) fn no_computes(error: &CallError) -> Failure {
    Failure::of_call("this cluster knows no Computes", error)
}

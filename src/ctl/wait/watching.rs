//! The watch of a wait: it outlives its breaks, and an API server that starts anew.

use std::collections::BTreeSet;

use kube::Client;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::cluster::computes::follow::{Ended, News, follow};
use crate::cluster::computes::{Read as _, Selection, Stored};
use crate::ctl::failure::Failure;
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
    let all = || vec![Selection::default()];
    let one = |name| Selection { name: Some(name), labels: None };
    let followed: Vec<Selection> =
        if names.len() > FEW { all() } else { names.into_iter().map(one).collect() };
    let (sender, receiver) = unbounded_channel();
    let watches = followed.iter().enumerate().map(|(index, selection)| {
        let sender = sender.clone();
        follow(client, selection, None, move |news| sender.send((index, news)).map_err(drop))
    });
    tokio::select! {
        ended = futures::future::try_join_all(watches) => match ended {
            Err(Ended::Refused(error)) => Err(Failure::of_call("Computes could not be watched", &error)),
            // Nobody listens once it is over.
            Err(Ended::Told(())) | Ok(_) => Ok(()),
        },
        () = hear(receiver, &followed, course, deadline, telling) => Ok(()),
    }
}

async fn hear(
    mut receiver: UnboundedReceiver<(usize, News<Stored>)>,
    followed: &[Selection],
    course: &mut Course,
    deadline: Instant,
    telling: &mut Telling<'_>,
) {
    // How often each watch failed since it last told anything.
    let mut failures = vec![0_u32; followed.len()];
    while course.end().is_none() {
        let due = telling.due().map_or(deadline, |due| due.min(deadline));
        let Ok(news) = timeout_at(due, receiver.recv()).await else {
            if Instant::now() >= deadline {
                return;
            }
            telling.settle(course);
            continue;
        };
        let Some((index, news)) = news else { return };
        if let News::Broken(why) = news {
            failures[index] += 1;
            // A watch that breaks once is begun anew at once.
            if failures[index] == 2 {
                let text = format!("Computes could not be watched: {why}; still waiting");
                telling.terminal.warn(telling.manner.sign, &text);
            }
            continue;
        }
        failures[index] = 0;
        match news {
            News::There(stored) => drop(telling.there(stored, course)),
            News::Gone(stored) => telling.gone(stored.name(), course),
            News::All(all) => {
                let listed: BTreeSet<String> =
                    all.into_iter().map(|stored| telling.there(stored, course)).collect();
                let names = match &followed[index].name {
                    Some(name) => vec![name.clone()],
                    None => course.names().map(str::to_owned).collect(),
                };
                telling.rest(&names, &listed, course);
            }
            News::Broken(_) => {}
        }
    }
}

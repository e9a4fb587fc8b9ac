//! What a wait sees: a list, and a watch from its version on, which outlives its breaks and an API server that starts anew.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use kube::Client;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::cluster::call::CallError;
use crate::cluster::computes::follow::{Ended, News, follow};
use crate::cluster::computes::{Read as _, Selection, Stored, list};
use crate::ctl::failure::Failure;
use crate::ctl::wait::telling::Telling;
use crate::view::course::Course;

/// So many Computes are followed each by itself, so that the right to it is enough; of more, one list of all of them tells.
const FEW: usize = 8;

/// What is listed and watched.
pub(super) struct Followed {
    selection: Selection,
    /// That of the list that was seen; none before one was.
    ///
    /// A list, and not a read of the one object, also where one is meant: its version is that of all that is stored now, so
    /// that a watch can begin there without a second look, and without losing what happens in between. The version of an
    /// object may be older than the API server remembers, and of one that is not there, there is none.
    version: Option<String>,
}

impl Followed {
    /// For these.
    pub(super) fn of(course: &Course) -> Vec<Self> {
        let names: Vec<String> = course.names().map(str::to_owned).collect();
        let one = |name| Selection { name: Some(name), labels: None };
        let selections: Vec<Selection> =
            if names.len() > FEW { vec![Selection::default()] } else { names.into_iter().map(one).collect() };
        selections.into_iter().map(|selection| Self { selection, version: None }).collect()
    }

    /// Looks once.
    pub(super) async fn look(
        all: &mut [Self],
        client: &Client,
        course: &mut Course,
        telling: &mut Telling<'_>,
    ) -> Result<(), CallError> {
        let looks = all.iter_mut().map(|followed| async move {
            let listing = list::<Stored>(client, &followed.selection).await;
            (followed, listing)
        });
        for (followed, listing) in join_all(looks).await {
            let listing = listing?;
            followed.are(listing.items, course, telling);
            followed.version = Some(listing.version);
        }
        Ok(())
    }

    /// Follows them until it is over or the time is up.
    pub(super) async fn watch(
        all: &[Self],
        client: &Client,
        course: &mut Course,
        deadline: Instant,
        telling: &mut Telling<'_>,
    ) -> Result<(), Failure> {
        let (sender, receiver) = unbounded_channel();
        let watches = all.iter().enumerate().map(|(index, Self { selection, version })| {
            let sender = sender.clone();
            let tell = move |news| sender.send((index, news)).map_err(drop);
            follow(client, selection, version.clone(), tell)
        });
        tokio::select! {
            ended = try_join_all(watches) => match ended {
                Err(Ended::Refused(error)) => Err(Failure::of_call("Computes could not be watched", &error)),
                // Nobody listens once it is over.
                Err(Ended::Told(())) | Ok(_) => Ok(()),
            },
            () = hear(receiver, all, course, deadline, telling) => Ok(()),
        }
    }

    /// These are all that there are.
    fn are(&self, items: Vec<Stored>, course: &mut Course, telling: &mut Telling<'_>) {
        let listed: BTreeSet<String> =
            items.into_iter().map(|stored| telling.there(stored, course)).collect();
        let names = match &self.selection.name {
            Some(name) => vec![name.clone()],
            None => course.names().map(str::to_owned).collect(),
        };
        telling.rest(&names, &listed, course);
    }
}

async fn hear(
    mut receiver: UnboundedReceiver<(usize, News<Stored>)>,
    all: &[Followed],
    course: &mut Course,
    deadline: Instant,
    telling: &mut Telling<'_>,
) {
    // How often each watch failed since it last told anything.
    let mut failures = vec![0_u32; all.len()];
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
        match news {
            News::Broken(why) => {
                failures[index] += 1;
                // A watch that breaks once is begun anew at once.
                if failures[index] == 2 {
                    let text = format!("Computes could not be watched: {why}; still waiting");
                    telling.terminal.warn(telling.manner.sign, &text);
                }
                continue;
            }
            News::There(stored) => drop(telling.there(stored, course)),
            News::Gone(stored) => telling.gone(stored.name(), course),
            News::All(items) => all[index].are(items, course, telling),
        }
        failures[index] = 0;
    }
}

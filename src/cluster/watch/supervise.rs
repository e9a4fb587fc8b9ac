//! One watch, supervised: listed anew, begun anew and told of, so that it cannot die unseen.

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::cluster::call::{chain, is_forbidden};
use crate::cluster::client::Unknown;
use crate::world::Change;

/// The API server ends each watch after this long, and the client takes one that is silent for 5 s more as dead. It
/// goes on from where it was, so this costs one request a minute and no list.
const WATCH_TIMEOUT_SECONDS: u32 = 60;
/// Objects in a page of a list: so few that a page of the largest that people can make is not too much to hold.
const PAGE: u32 = 250;
/// The longest wait for a page of a list.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A watch that did not fail for so long is tried again at once when it does.
const HEALTHY: Duration = Duration::from_secs(60);
/// After so many failures to start in a row a watch is begun anew with a list: kube's watcher would go on from the same
/// version for ever.
const FAILURES_UNTIL_ANEW: u32 = 4;

/// What a watch tells.
#[derive(Debug)]
pub enum News {
    /// A list is about to be asked for.
    Listing,
    /// Something changed.
    Change(Change),
    /// The list is complete: from now on changes are live.
    Synced,
    /// It fails, for this reason; it goes on trying.
    Failing {
        /// Why.
        why: String,
        /// Who or what is the cause of it.
        cause: Cause,
    },
}

/// Why a watch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A permission is lacking.
    Forbidden,
    /// The API server serves no such resource.
    Unserved,
    /// The API server refuses for another reason.
    Refused,
    /// Nobody answers, or what is answered cannot be read.
    Unanswered,
}

/// The names that a watch told of. Who begins a watch anew after its death gives it the same ones, so that what went
/// meanwhile is told as gone.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<HashSet<String>>>);

impl Known {
    fn names(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a watch saw of an object.
pub(super) enum Seen<K> {
    /// It is.
    Is(K),
    /// It is gone; its uid, unless a list told that by leaving it out.
    Gone(Option<String>),
}

impl<K> Seen<K> {
    pub(super) fn map<T>(self, project: impl FnOnce(K) -> T) -> Option<T> {
        match self {
            Self::Is(object) => Some(project(object)),
            Self::Gone(_) => None,
        }
    }
}

/// Watches for ever. `project` makes of an object what is to be told of it, if anything.
pub(super) async fn supervise<K>(
    api: Api<K>,
    config: Config,
    audit: Duration,
    known: &Known,
    held: impl Fn() -> Vec<String> + Send,
    tell: impl Fn(News) + Send,
    project: impl Fn(String, Seen<K>) -> Option<Change> + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.page_size(PAGE).timeout(WATCH_TIMEOUT_SECONDS);
    let patience = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times();
    let mut pauses = patience.build();
    let mut failed: Option<Instant> = None;
    loop {
        let mut events = pin!(watcher::watcher(api.clone(), config.clone()));
        let mut listed: HashSet<String> = HashSet::new();
        let mut failures = 0;
        let audit = Instant::now() + between(audit, audit * 2);
        let mut listing = true;
        while failures < FAILURES_UNTIL_ANEW {
            let limit = if listing { Instant::now() + LIST_TIMEOUT } else { audit };
            let event = match tokio::time::timeout_at(limit, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(_) if !listing => break,
                Err(_) => {
                    let why = format!("no answer to a list within {} s", LIST_TIMEOUT.as_secs());
                    tell(News::Failing { why, cause: Cause::Unanswered });
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                    break;
                }
            };
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    failures += match &error {
                        watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code != 410 => 1,
                        // What the watch wants to go on from is gone (410), or nobody answers. Who answers next may have
                        // an etcd that was restored: a watch from a version that is still to come would tell nothing.
                        watcher::Error::WatchStartFailed(_) | watcher::Error::NoResourceVersion => {
                            FAILURES_UNTIL_ANEW
                        }
                        // An event that could not be read is lost, and a list tells what it told. A connection that broke lost none.
                        watcher::Error::WatchFailed(error)
                            if !matches!(error, kube::Error::ReadEvents(_)) =>
                        {
                            FAILURES_UNTIL_ANEW
                        }
                        _ => 0,
                    };
                    if failed.is_none_or(|failed| failed.elapsed() > HEALTHY) {
                        pauses = patience.build();
                    }
                    failed = Some(Instant::now());
                    tell(failing(&error));
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                    continue;
                }
            };
            listing = matches!(event, Event::Init | Event::InitApply(_));
            if !listing {
                failures = 0;
            }
            let change = |name: String, object: Seen<K>| {
                if let Some(change) = project(name, object) {
                    tell(News::Change(change));
                }
            };
            match event {
                Event::Init => {
                    listed.clear();
                    tell(News::Listing);
                    // What this process wrote itself is known before its watch tells of it; the list that is about to be
                    // asked for must hold it, or it is gone.
                    let held = held();
                    known.names().extend(held);
                }
                Event::InitApply(object) => {
                    let name = key(&object);
                    listed.insert(name.clone());
                    // Known also if the list breaks off.
                    known.names().insert(name.clone());
                    change(name, Seen::Is(object));
                }
                Event::InitDone => {
                    // What was there before and is not listed is gone; no event will ever say so.
                    let gone: Vec<_> = known.names().difference(&listed).cloned().collect();
                    for name in gone {
                        change(name, Seen::Gone(None));
                    }
                    *known.names() = std::mem::take(&mut listed);
                    tell(News::Synced);
                }
                Event::Apply(object) => {
                    let name = key(&object);
                    known.names().insert(name.clone());
                    change(name, Seen::Is(object));
                }
                Event::Delete(object) => {
                    let name = key(&object);
                    let object_uid = object.meta().uid.clone();
                    change(name.clone(), Seen::Gone(object_uid));
                    known.names().remove(&name);
                }
            }
        }
    }
}

/// `<name>`, or `<namespace>/<name>`.
fn key<K: Resource>(object: &K) -> String {
    match object.namespace() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}

/// A time between two, at random, so that the watches of many replicas do not begin anew at once.
fn between(least: Duration, most: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let share = RandomState::new().hash_one(()) % 1000;
    least + (most.saturating_sub(least)) * u32::try_from(share).unwrap_or_default() / 1000
}

/// Why a watch fails: what the API server said, or the error with its causes. kube's own texts repeat their sources.
fn failing(error: &watcher::Error) -> News {
    use watcher::Error;
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status)) => said(status),
        Error::WatchError(status) => said(status),
        Error::InitialListFailed(kube::Error::Service(error))
        | Error::WatchStartFailed(kube::Error::Service(error))
            if error.is::<Unknown>() =>
        {
            News::Failing { why: error.to_string(), cause: Cause::Refused }
        }
        error => News::Failing { why: chain(error), cause: Cause::Unanswered },
    }
}

fn said(status: &kube::core::Status) -> News {
    let cause = match status.code {
        404 => Cause::Unserved,
        _ if is_forbidden(status) => Cause::Forbidden,
        _ => Cause::Refused,
    };
    News::Failing { why: format!("{} (status {})", status.message, status.code), cause }
}

//! Computes as they change, for people who watch them or wait for them: from a list on, through broken watches and restarts
//! of the API server. It begins at the version of a list that was shown, which the controller's supervised watches cannot:
//! they list for themselves, and never give up.

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};

use crate::cluster::call::CallError;
use crate::cluster::computes::{Read, Selection, list};
use crate::cluster::resources;

/// One watch lasts so long, in seconds; then it goes on in the next. The client takes one that is silent for longer as dead.
const LASTS: u32 = 55;
/// The shortest and the longest wait before a broken watch is begun again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// A refusal of what was allowed before counts only if it lasts: an API server that has just started refuses everybody.
const STARTS: Duration = Duration::from_secs(30);

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum News<K> {
    /// It is there, new or changed.
    There(K),
    /// It is gone; so it was last.
    Gone(K),
    /// These are all: what happened before may have been missed.
    All(Vec<K>),
    /// The watch broke, and why. It will be begun again.
    Broken(String),
}

/// Why it ends.
#[derive(Debug)]
pub enum Ended<E> {
    /// Who was told has had enough.
    Told(E),
    /// The API server will not let it.
    Refused(CallError),
}

/// How one watch ends early.
enum Broke<E> {
    Told(E),
    /// What was to follow is forgotten: a list tells anew.
    Forgotten,
    /// `missed`: news may have been lost, or who answers next may know less, such as an etcd that was restored. A watch from
    /// a version that is still to come would tell nothing.
    Call {
        error: CallError,
        missed: bool,
    },
}

/// Tells what happens after the list of this version, or first a list where there was none; until it is told to stop, or may
/// not.
pub async fn follow<K: Read, E>(
    client: &Client,
    selection: &Selection,
    mut version: Option<String>,
    mut tell: impl FnMut(News<K>) -> Result<(), E>,
) -> Result<Infallible, Ended<E>> {
    let mut pause = PAUSE.0;
    let (mut begun, mut refused) = (false, None);
    loop {
        let mut watched = None;
        let ended = once(client, selection, &mut version, &mut watched, &mut tell).await;
        if watched.is_some() {
            (begun, refused) = (true, None);
        }
        let lasted = watched.is_some_and(|since: Instant| since.elapsed() > PAUSE.0);
        if lasted {
            pause = PAUSE.0;
        }
        match ended {
            // One that ends at once would otherwise be begun without end.
            Ok(()) if lasted => continue,
            Ok(()) => {}
            Err(Broke::Told(error)) => return Err(Ended::Told(error)),
            Err(Broke::Forgotten) => {
                version = None;
                if lasted {
                    continue;
                }
            }
            Err(Broke::Call { error, missed }) => {
                if error.lasts() {
                    let since = *refused.get_or_insert_with(Instant::now);
                    if !begun || since.elapsed() > STARTS {
                        return Err(Ended::Refused(error));
                    }
                }
                if missed {
                    version = None;
                }
                tell(News::Broken(error.chain())).map_err(Ended::Told)?;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// One watch, until the API server ends it in due time; before it a list, where there is no version to go on from.
/// `watched`: since when it watches.
async fn once<K: Read, E>(
    client: &Client,
    selection: &Selection,
    version: &mut Option<String>,
    watched: &mut Option<Instant>,
    tell: &mut impl FnMut(News<K>) -> Result<(), E>,
) -> Result<(), Broke<E>> {
    let version = if let Some(version) = version {
        version
    } else {
        let listing = list(client, selection).await;
        let listing = listing.map_err(|error| Broke::Call { error, missed: true })?;
        let version = version.insert(listing.version);
        tell(News::All(listing.items)).map_err(Broke::Told)?;
        version
    };
    let mut parameters = WatchParams::default().timeout(LASTS);
    parameters.label_selector.clone_from(&selection.labels);
    parameters.field_selector = selection.fields();
    let request = kube::core::Request::new(resources::computes(client).resource_url());
    let asked = request.watch(&parameters, version).map_err(kube::Error::BuildRequest);
    let events = client.request_events::<K::Answer>(asked.map_err(broke)?).await.map_err(broke)?;
    *watched = Some(Instant::now());
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        let news = match event.map_err(broke)? {
            WatchEvent::Added(answer) | WatchEvent::Modified(answer) => News::There(K::of(answer)),
            WatchEvent::Deleted(answer) => News::Gone(K::of(answer)),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(broke(kube::Error::Api(status))),
        };
        if let News::There(read) | News::Gone(read) = &news
            && !read.version().is_empty()
        {
            read.version().clone_into(version);
        }
        tell(news).map_err(Broke::Told)?;
    }
    Ok(())
}

fn broke<E>(error: kube::Error) -> Broke<E> {
    // A connection that broke lost nothing, and neither did a request that was refused.
    let missed = !matches!(error, kube::Error::ReadEvents(_) | kube::Error::Api(_));
    match CallError::of(error) {
        CallError::Refused { code: 410, .. } => Broke::Forgotten,
        error => Broke::Call { error, missed },
    }
}

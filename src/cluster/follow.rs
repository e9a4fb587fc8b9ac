//! Computes as they change, for a person who watches them: from a list on, through broken watches and restarts of the API
//! server.

use std::convert::Infallible;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::listed::Listed;
use crate::cluster::call::CallError;
use crate::cluster::read;
use crate::cluster::resources;

/// One watch lasts so long, in seconds; then it goes on in the next.
const LASTS: u32 = 55;
/// The shortest and the longest wait before a broken watch is begun again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

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
    Call(CallError),
}

/// Which Computes are watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// A label selector; all for none.
    pub labels: Option<String>,
    /// The one of this name.
    pub name: Option<String>,
}

/// What can be watched.
pub trait Versioned {
    /// Its `metadata.resourceVersion`.
    fn version(&self) -> &str;
}

impl Versioned for Listed {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Versioned for Value {
    fn version(&self) -> &str {
        self["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }
}

/// Tells what happens after the list of this version, until it is told to stop, or may not.
pub async fn follow<K, E>(
    client: &Client,
    watched: &Watched,
    version: String,
    mut tell: impl FnMut(News<K>) -> Result<(), E>,
) -> Result<Infallible, Ended<E>>
where
    K: Clone + DeserializeOwned + Versioned + 'static,
{
    let mut version = Some(version);
    let mut pause = PAUSE.0;
    loop {
        let began = Instant::now();
        let ended = match &mut version {
            Some(version) => once(client, watched, version, &mut tell).await,
            None => match read::computes_listed::<K>(client, watched.labels.as_deref()).await {
                Ok(listing) => {
                    version = Some(listing.version);
                    tell(News::All(listing.items)).map_err(Broke::Told)
                }
                Err(error) => Err(Broke::Call(error)),
            },
        };
        match ended {
            // One that ends at once would otherwise be begun without end.
            Ok(()) if began.elapsed() > PAUSE.0 => {
                pause = PAUSE.0;
                continue;
            }
            Ok(()) => {}
            Err(Broke::Told(error)) => return Err(Ended::Told(error)),
            Err(Broke::Forgotten) => {
                version = None;
                continue;
            }
            Err(Broke::Call(error)) if error.lasts() => return Err(Ended::Refused(error)),
            Err(Broke::Call(error)) => tell(News::Broken(error.chain())).map_err(Ended::Told)?,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// One watch, until the API server ends it in due time.
async fn once<K, E>(
    client: &Client,
    watched: &Watched,
    version: &mut String,
    tell: &mut impl FnMut(News<K>) -> Result<(), E>,
) -> Result<(), Broke<E>>
where
    K: Clone + DeserializeOwned + Versioned + 'static,
{
    let mut parameters = WatchParams::default().timeout(LASTS);
    parameters.label_selector.clone_from(&watched.labels);
    parameters.field_selector = watched.name.as_ref().map(|name| format!("metadata.name={name}"));
    let request = kube::core::Request::new(resources::computes(client).resource_url());
    let asked = request.watch(&parameters, version).map_err(kube::Error::BuildRequest);
    let broke = |error: kube::Error| match CallError::of(error) {
        CallError::Refused { code: 410, .. } => Broke::Forgotten,
        error => Broke::Call(error),
    };
    let events = client.request_events::<K>(asked.map_err(broke)?).await.map_err(broke)?;
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        let news = match event.map_err(broke)? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                object.version().clone_into(version);
                News::There(object)
            }
            WatchEvent::Deleted(object) => {
                object.version().clone_into(version);
                News::Gone(object)
            }
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(broke(kube::Error::Api(status))),
        };
        tell(news).map_err(Broke::Told)?;
    }
    Ok(())
}

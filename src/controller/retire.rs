//! What is left to do when Poros is uninstalled: nobody will take its finalizer off any more.
//!
//! Either Computes stay, and then a later deletion must not wait for a Poros that is gone ([`release`]); or they go, while
//! Poros still runs and can take down what it built ([`delete`]).

use std::time::{Duration, Instant};

use kube::Client;
use thiserror::Error;
use tracing::info;

use crate::api::names::FINALIZER;
use crate::cluster::call::CallError;
use crate::cluster::{computes, remove, status};
use crate::decide::observed::Compute;

/// Time between looks.
const LOOK: Duration = Duration::from_secs(1);
/// Nothing is to be found for this long: a Poros that stops finishes its passes for up to 6 s, and may add the finalizer in one.
const QUIET: Duration = Duration::from_secs(10);

/// Why it could not be done.
#[derive(Debug, Error)]
pub enum RetireError {
    /// The Computes could not be listed.
    #[error("the Computes could not be listed")]
    List(#[source] CallError),
    /// One cannot be deleted. What the API server says names its users.
    #[error(
        "nothing was deleted: {0}; then uninstall again, or keep what there is: upgrade with crds.keep=true before"
    )]
    Refused(String),
    /// The API server did not do as asked.
    #[error("Compute {name} could not be written")]
    Write {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: CallError,
    },
    /// What Poros wrote for itself could not be deleted.
    #[error("the Lease and the certificates of Poros in namespace {namespace} could not be deleted")]
    Own {
        /// Where they are.
        namespace: String,
        /// Why.
        #[source]
        source: CallError,
    },
    /// It took too long.
    #[error("after {} s there are left: {left}; a Poros that runs writes the finalizer, and one that does not run deletes nothing", .after.as_secs())]
    Left {
        /// How long was waited.
        after: Duration,
        /// Names.
        left: String,
    },
}

impl RetireError {
    /// Whether it will be the same the next time, unless somebody does something.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::List(_) | Self::Write { .. } | Self::Own { .. } | Self::Left { .. } => false,
        }
    }
}

async fn all(client: &Client) -> Result<Vec<Compute>, RetireError> {
    match computes::all::<Compute>(client).await {
        // The CRD is gone, and all Computes with it.
        Err(CallError::Unserved(_)) => Ok(Vec::new()),
        listed => listed.map_err(RetireError::List),
    }
}

fn names(computes: &[Compute]) -> String {
    computes.iter().take(10).map(|compute| compute.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Takes the finalizer off all Computes, until none was found with it for a while; then deletes what Poros wrote for itself
/// in its namespace. For when Poros was stopped.
pub async fn release(client: &Client, namespace: &str, limit: Duration) -> Result<(), RetireError> {
    let (start, mut found) = (Instant::now(), Instant::now());
    while found.elapsed() < QUIET {
        let mut held = all(client).await?;
        held.retain(|compute| compute.finalizers.iter().any(|finalizer| finalizer == FINALIZER));
        for compute in &held {
            match status::release(client, compute).await {
                Ok(()) => info!(compute = compute.name, "took the finalizer off"),
                // It changed meanwhile: the next look sees how.
                Err(CallError::Conflict(_)) => {}
                Err(source) => return Err(RetireError::Write { name: compute.name.clone(), source }),
            }
        }
        if !held.is_empty() {
            found = Instant::now();
        }
        if start.elapsed() > limit {
            return Err(RetireError::Left { after: limit, left: names(&held) });
        }
        tokio::time::sleep(LOOK).await;
    }
    remove::own(client, namespace)
        .await
        .map_err(|source| RetireError::Own { namespace: namespace.to_owned(), source })
}

/// Deletes all Computes, and waits until Poros has taken down what it built for them; none if one of them is in use.
pub async fn delete(client: &Client, limit: Duration) -> Result<(), RetireError> {
    let start = Instant::now();
    for compute in all(client).await?.iter().filter(|compute| !compute.deleting) {
        ask(client, compute, true).await?;
    }
    loop {
        let left = all(client).await?;
        if left.is_empty() {
            return Ok(());
        }
        if start.elapsed() > limit {
            return Err(RetireError::Left { after: limit, left: names(&left) });
        }
        for compute in left.iter().filter(|compute| !compute.deleting) {
            ask(client, compute, false).await?;
            info!(compute = compute.name, "is being deleted");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn ask(client: &Client, compute: &Compute, dry_run: bool) -> Result<(), RetireError> {
    match remove::delete(client, &compute.name, &compute.uid, dry_run).await {
        Ok(_) | Err(CallError::Conflict(_)) => Ok(()),
        Err(CallError::Refused { message, code: 403 }) => Err(RetireError::Refused(message)),
        Err(source) => Err(RetireError::Write { name: compute.name.clone(), source }),
    }
}

//! What is left to do when Poros is uninstalled: nobody will take its finalizer off any more.
//!
//! Either Computes stay, and then a later deletion must not wait for a Poros that is gone ([`release`]); or they go, while
//! Poros still runs and can take down what it built ([`delete`]).

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use thiserror::Error;
use tracing::{info, warn};

use crate::api::names::{FINALIZER, LEASE};
use crate::cluster::call::CallError;
use crate::cluster::lease::Place;
use crate::cluster::{computes, remove, status};
use crate::decide::in_use;
use crate::decide::observed::Compute;

/// Time between looks.
const LOOK: Duration = Duration::from_secs(1);
/// Calls at one time.
const AT_ONCE: usize = 16;
/// How long nobody may lead before it is said that no Poros runs: longer than a Lease lasts whose holder died.
const LEADERLESS: Duration = Duration::from_secs(30);
/// How long a look at the Lease may take.
const CALL: Duration = Duration::from_secs(10);
/// Nothing is to be found for this long: a Poros that stops finishes its passes for up to 6 s, and may add the finalizer in one.
const QUIET: Duration = Duration::from_secs(10);

/// Why it could not be done.
#[derive(Debug, Error)]
pub enum RetireError {
    /// The Computes could not be listed.
    #[error("the Computes could not be listed")]
    List(#[source] CallError),
    /// One cannot be deleted. The message names its users.
    #[error(
        "{}: {message}; then uninstall again, or keep what there is: upgrade with crds.keep=true before",
        if *deleted { "some were deleted before one came into use" } else { "this time nothing was deleted" }
    )]
    Refused {
        /// Which, its users, and what to do about them.
        message: String,
        /// Whether others were deleted before.
        deleted: bool,
    },
    /// No Poros would take its finalizer off.
    #[error(
        "this time nothing was deleted: nobody holds the Lease {LEASE} in namespace {namespace}, so no Poros runs that takes down what was built; start it (kubectl -n {namespace} scale deployment/poros --replicas=1) and uninstall again, or go without it: helm uninstall --no-hooks, then poros retire. One that runs with --leader-elect=false has no use for that Lease: delete it"
    )]
    Leaderless {
        /// Where Poros should be.
        namespace: String,
    },
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
    /// It went no further.
    #[error("since {} s there are as many left: {left}; {hint}", .after.as_secs())]
    Left {
        /// How long nothing became fewer.
        after: Duration,
        /// How many, and names.
        left: String,
        /// What to look for.
        hint: &'static str,
    },
}

impl RetireError {
    /// Whether it will be the same the next time, unless somebody does something.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { deleted, .. } => !deleted,
            Self::Leaderless { .. } => true,
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

/// Does this for each, some at a time, until one fails. Gives back what came out of each, in no order.
async fn each<'a, T, F: Future<Output = Result<T, RetireError>>>(
    computes: impl Iterator<Item = &'a Compute>,
    ask: impl Fn(&'a Compute) -> F,
) -> Result<Vec<T>, RetireError> {
    futures::stream::iter(computes.map(ask)).buffer_unordered(AT_ONCE).try_collect().await
}

/// Whether it goes on: how few are left, and since when.
struct Progress {
    limit: Duration,
    hint: &'static str,
    least: usize,
    since: Instant,
}

impl Progress {
    fn new(limit: Duration, hint: &'static str, now: Instant) -> Self {
        Self { limit, hint, least: usize::MAX, since: now }
    }

    /// So many are left: an error if that was so for too long. None left is never too late.
    fn left(&mut self, computes: &[Compute], now: Instant) -> Result<(), RetireError> {
        if computes.len() < self.least {
            (self.least, self.since) = (computes.len(), now);
        }
        let after = now.saturating_duration_since(self.since);
        if computes.is_empty() || after <= self.limit {
            return Ok(());
        }
        let names: Vec<_> = computes.iter().take(10).map(|compute| compute.name.as_str()).collect();
        let more = if computes.len() > names.len() { ", …" } else { "" };
        let left = format!("{} ({}{more})", computes.len(), names.join(", "));
        Err(RetireError::Left { after, left, hint: self.hint })
    }
}

/// Takes the finalizer off all Computes, until none was found with it for a while; then deletes what Poros wrote for itself
/// in its namespace. For when Poros was stopped. It gives up when no fewer have the finalizer for `limit`.
pub async fn release(client: &Client, namespace: &str, limit: Duration) -> Result<(), RetireError> {
    let mut found = Instant::now();
    let hint = "does a Poros run, which puts the finalizer back? Stop it first";
    let mut progress = Progress::new(limit, hint, found);
    loop {
        let mut held = all(client).await?;
        held.retain(|compute| compute.finalizers.iter().any(|finalizer| finalizer == FINALIZER));
        progress.left(&held, Instant::now())?;
        each(held.iter(), |compute| let_go(client, compute)).await?;
        if !held.is_empty() {
            info!(computes = held.len(), "took the finalizer off");
            found = Instant::now();
        } else if found.elapsed() >= QUIET.min(limit) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    remove::own(client, namespace)
        .await
        .map_err(|source| RetireError::Own { namespace: namespace.to_owned(), source })
}

async fn let_go(client: &Client, compute: &Compute) -> Result<bool, RetireError> {
    passing(compute, status::release(client, compute).await)
}

/// What may be otherwise at the next look is no failure: that look sees how it is. Gives back whether it was done.
fn passing(compute: &Compute, result: Result<(), CallError>) -> Result<bool, RetireError> {
    match result {
        Err(CallError::Conflict(_)) => Ok(false),
        Err(error) if !error.lasts() => {
            warn!(compute = compute.name, "could not be written, trying again: {}", error.chain());
            Ok(false)
        }
        Ok(()) => Ok(true),
        Err(source) => Err(RetireError::Write { name: compute.name.clone(), source }),
    }
}

/// Deletes all Computes, and waits until the Poros of this namespace has taken down what it built for them; none if one of
/// them is in use, or if no Poros runs. It gives up when no fewer are left for `limit`.
pub async fn delete(client: &Client, namespace: &str, limit: Duration) -> Result<(), RetireError> {
    let hint = "what does Poros say of them, and does another finalizer hold them?";
    let mut progress = Progress::new(limit, hint, Instant::now());
    let mut deleted = false;
    loop {
        let left = all(client).await?;
        if left.is_empty() {
            return Ok(());
        }
        if !deleted {
            led(client, namespace, limit.min(LEADERLESS)).await?;
        }
        progress.left(&left, Instant::now())?;
        let kept = || left.iter().filter(|compute| !compute.deleting);
        // All are asked about, and have answered, before the first one goes.
        let asked = each(kept(), |compute| ask(client, compute, deleted)).await?;
        if asked.iter().all(|answered| *answered) {
            deleted |= !asked.is_empty();
            each(kept(), |compute| go(client, compute)).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until somebody leads. Where there is no Lease replicas choose no leader, and one that died last holds it still:
/// neither is known from here to be gone.
async fn led(client: &Client, namespace: &str, patience: Duration) -> Result<(), RetireError> {
    let lease = Place { client: client.clone(), namespace: namespace.to_owned(), limit: CALL };
    let begin = Instant::now();
    loop {
        match lease.read().await {
            Ok(Some(record)) if record.holder().is_none() => {}
            Ok(_) => return Ok(()),
            Err(error) => {
                warn!(
                    "the Lease {LEASE} could not be read, so whether a Poros runs is not known: {}",
                    error.chain()
                );
                return Ok(());
            }
        }
        if begin.elapsed() >= patience {
            return Err(RetireError::Leaderless { namespace: namespace.to_owned() });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks whether it may be deleted, which a guard may only warn of: what was deleted could not be brought back. Gives back
/// whether there was an answer.
async fn ask(client: &Client, compute: &Compute, deleted: bool) -> Result<bool, RetireError> {
    if let Some(message) = in_use::refusal(compute) {
        return Err(RetireError::Refused { message, deleted });
    }
    match remove::delete(client, &compute.name, &compute.uid, true).await {
        // Another one by that name is asked about at the next look.
        Err(CallError::Conflict(_)) => Ok(true),
        Err(CallError::Refused { message, code: 403 }) => Err(RetireError::Refused { message, deleted }),
        result => passing(compute, result.map(|_| ())),
    }
}

/// Deletes it. One that came into use since it was asked about is refused, and then others may be gone.
async fn go(client: &Client, compute: &Compute) -> Result<bool, RetireError> {
    match remove::delete(client, &compute.name, &compute.uid, false).await {
        Err(CallError::Refused { message, code: 403 }) => {
            Err(RetireError::Refused { message, deleted: true })
        }
        result => {
            if let Ok(true) = result {
                info!(compute = compute.name, "is being deleted");
            }
            passing(compute, result.map(|_| ()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::project;
    use serde_json::json;

    fn computes(count: usize) -> Vec<Compute> {
        let one = |index| json!({"metadata": {"name": format!("c-{index}")}});
        (0..count).map(|index| project::compute(serde_json::from_value(one(index)).unwrap())).collect()
    }

    #[test]
    fn it_gives_up_when_it_goes_no_further_and_never_when_nothing_is_left() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(Duration::from_secs(120), "look", start);
        let mut left =
            |count, seconds| progress.left(&computes(count), at(seconds)).map_err(|error| error.to_string());
        for (count, seconds) in [(300, 0), (300, 119), (299, 119), (299, 238), (12, 238), (13, 300)] {
            assert_eq!(left(count, seconds), Ok(()), "{count} after {seconds} s");
        }
        let told = left(12, 359).unwrap_err();
        assert!(told.starts_with("since 121 s there are as many left: 12 (c-0, c-1, c-2,"), "{told}");
        assert!(told.ends_with("c-9, …); look"), "{told}");
        assert_eq!(left(0, 100_000), Ok(()), "all was done, however late");
    }

    #[test]
    fn a_refusal_is_final_only_while_nothing_was_deleted() {
        let refused = |deleted| RetireError::Refused { message: "Compute q is in use".into(), deleted };
        assert!(refused(false).is_refusal() && !refused(true).is_refusal());
        assert!(
            refused(false)
                .to_string()
                .starts_with("this time nothing was deleted: Compute q is in use; then")
        );
        assert!(
            refused(true).to_string().starts_with("some were deleted before one came into use: Compute q")
        );
    }
}

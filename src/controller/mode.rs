//! Keeps what places pods in step with what the API server serves: asks at the start, and again when that may have changed.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::cluster::call::CallError;
use crate::cluster::discovery;
use crate::cluster::watch::Watched;
use crate::controller::context::Context;
use crate::controller::supervise::while_on;
use crate::decide::lacks;
use crate::decide::mode::{Admission, LOOK_EVERY, agrees};

/// The longest pause between tries while the API server does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is known of what the API server serves.
pub struct Modes {
    serves: watch::Sender<Option<bool>>,
    listed: watch::Sender<BTreeSet<Watched>>,
    known: watch::Sender<bool>,
    doubted: Notify,
    asked: Notify,
}

impl Default for Modes {
    fn default() -> Self {
        Self::new()
    }
}

impl Modes {
    /// Nothing is known.
    pub fn new() -> Self {
        Self {
            serves: watch::Sender::new(None),
            listed: watch::Sender::new(BTreeSet::new()),
            known: watch::Sender::new(false),
            doubted: Notify::new(),
            asked: Notify::new(),
        }
    }

    /// A watch of policies failed: the API server may be another one, and others may follow. Asked again for a while.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// A list was made anew: asked once.
    pub fn look(&self) {
        self.asked.notify_one();
    }

    /// Mutating policies, or their bindings, are listed.
    pub fn list(&self, what: Watched) {
        self.listed.send_if_modified(|listed| listed.insert(what));
    }

    /// Whether the API server serves mutating policies; none before it said so.
    pub fn serves(&self) -> Option<bool> {
        *self.serves.borrow()
    }

    /// Whether it was decided once what places pods.
    pub fn is_known(&self) -> bool {
        *self.known.borrow()
    }

    /// Waits until it was decided once what places pods.
    pub async fn known(&self) {
        // It fails only when this is dropped, and then nobody waits.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// Runs `watching` while the API server serves mutating policies, for ever; says when that is given up.
    pub async fn while_served<F: Future<Output = ()>>(
        &self,
        what: Watched,
        watching: impl Fn() -> F,
        given_up: impl Fn(),
    ) {
        let given_up = || {
            self.listed.send_if_modified(|listed| listed.remove(&what));
            given_up();
        };
        while_on(self.serves.subscribe(), |serves| *serves == Some(true), watching, given_up).await;
    }

    /// Runs for ever. `unsynced` is what is still to be listed; `tell` is told whom a change concerns.
    pub async fn run(
        &self,
        context: &Context,
        unsynced: &watch::Sender<BTreeSet<Watched>>,
        tell: impl Fn(Vec<String>),
    ) {
        let settle = context.options.discovery_settle;
        let mut serves = self.found(discover(context).await, unsynced);
        let (mut unsettled, mut doubted): (Option<Instant>, Option<Instant>) = (None, None);
        let (mut listed, mut syncing) = (self.listed.subscribe(), unsynced.subscribe());
        let mut started = false;
        loop {
            if !started && syncing.borrow_and_update().is_empty() {
                started = true;
                let disagrees = !agrees(serves, &context.world().modes());
                unsettled = unsettled.or_else(|| disagrees.then(Instant::now));
            }
            if started {
                let listed = listed.borrow_and_update().len() == 2;
                let since = unsettled.map(|since| since.elapsed());
                self.admit(context, Admission::of(serves, listed, since, settle), &tell);
            }
            let open = |since: Option<Instant>| since.filter(|since| since.elapsed() < settle);
            let until_settled = open(unsettled).map(|since| settle.saturating_sub(since.elapsed()));
            let doubtful = open(doubted).map(|_| LOOK_EVERY);
            let next = until_settled.map(|left| left.min(LOOK_EVERY)).or(doubtful);
            let pause = async {
                match next {
                    Some(next) => tokio::time::sleep(next + Duration::from_millis(10)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.doubted.notified() => doubted = Some(Instant::now()),
                () = self.asked.notified() => {}
                _ = listed.changed() => continue,
                _ = syncing.changed(), if !started => continue,
            }
            let now = discover(context).await;
            if now != serves {
                let word = if now { "serves" } else { "does not serve" };
                info!("the API server {word} MutatingAdmissionPolicy now");
                serves = self.found(now, unsynced);
                unsettled = Some(Instant::now());
            }
        }
    }

    fn found(&self, serves: bool, unsynced: &watch::Sender<BTreeSet<Watched>>) -> bool {
        if !serves {
            // What is not served is not waited for.
            unsynced.send_if_modified(|unsynced| {
                let before = unsynced.len();
                unsynced.retain(|what| !what.is_mutating_policy());
                unsynced.len() < before
            });
        }
        self.serves.send_replace(Some(serves));
        serves
    }

    fn admit(&self, context: &Context, admission: Admission, tell: impl Fn(Vec<String>)) {
        let first = !*self.known.borrow();
        let (before, names) = {
            let mut world = context.world();
            (world.admission(), world.admit(admission))
        };
        if first || before != admission {
            info!(mode = ?admission.mode, bindings = admission.binds, "what places pods is decided");
            tell(names);
        }
        self.known.send_replace(true);
    }
}

/// Asks until there is an answer.
async fn discover(context: &Context) -> bool {
    let patience = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times();
    let mut pauses = patience.build();
    loop {
        match discovery::serves_policies(&context.client).await {
            Ok(serves) => {
                context.lacks.server(None);
                return serves;
            }
            Err(error) => {
                if let CallError::Otherwise(_) = error {
                    let version = discovery::version(&context.client).await.unwrap_or_default();
                    context.lacks.server(Some(lacks::too_old(&version)));
                } else if context.said.is_news("discovery", &error.chain(), std::time::Instant::now()) {
                    warn!("the API server does not say what it serves, asking again: {}", error.chain());
                }
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
        }
    }
}

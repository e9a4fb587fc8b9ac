//! What a chart would install, kept in place by Poros itself: for trying it without one (`--manage-policies`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::warn;

use crate::cluster::install;
use crate::cluster::watch::Watched;
use crate::controller::Controller;
use crate::decide::observed::{Compute, REFRESH};
use crate::decide::policies::{self, Choice};

/// How long Poros is not ready for want of its policies: a leader that died keeps the next one waiting for 15 s and more,
/// which installs them.
const AWAITED: Duration = Duration::from_secs(30);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// The first pause between tries.
const PAUSE: Duration = Duration::from_secs(1);

fn patience() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE)
        .with_max_delay(Duration::from_secs(60))
        .without_max_times()
}

impl Controller {
    /// Makes the namespace of Poros, which the Lease is in, and the account of the probe; and makes them anew when
    /// something refuses the probes. Each replica does.
    pub(super) async fn keep_home(self: Arc<Self>) {
        let mut pauses = patience().build();
        loop {
            if self.make_home().await {
                pauses = patience().build();
                self.context.blocked.notified().await;
            }
            // A quota blocks the probe of every Compute, and is not mended here.
            tokio::time::sleep(pauses.next().unwrap_or(PAUSE)).await;
        }
    }

    async fn make_home(&self) -> bool {
        let namespace = &self.context.options.namespace;
        let made = install::namespace(&self.context.client, namespace).await;
        if let Err(error) = &made {
            let why = error.chain();
            warn!("the namespace {namespace} or its probe account could not be made, trying again: {why}");
        }
        made.is_ok()
    }

    /// Installs the shared policies and puts back what others change of them, while this process leads.
    pub(super) async fn keep_policies(self: Arc<Self>, choice: Choice) {
        let mut unsynced = self.unsynced.subscribe();
        let policies_known =
            |unsynced: &BTreeSet<Watched>| !unsynced.iter().any(|what| matches!(what, Watched::Policies(_)));
        if unsynced.wait_for(policies_known).await.is_err() {
            return;
        }
        self.modes.known().await;
        loop {
            let term = self.leadership.won().await;
            self.leadership.during(term, self.repair_policies(&choice)).await;
        }
    }

    /// Says that the policies act once they have stood for a while, whichever process installed them: what is applied
    /// before has neither owner nor finalizer, and Poros is not ready. Where they come late or never, as where somebody
    /// refuses them, that is told otherwise, and no reason to be unready for ever.
    pub(super) async fn await_policies(self: Arc<Self>, choice: Choice) {
        self.synced().await;
        if tokio::time::timeout(AWAITED, self.policies_to_act(&choice)).await.is_err() {
            let seconds = AWAITED.as_secs();
            warn!(
                "the shared policies do not stand after {seconds} s: a Compute that is applied now has no owner until its next update"
            );
        }
        self.policies_act.store(true, Ordering::SeqCst);
    }

    async fn policies_to_act(&self, choice: &Choice) {
        let stand = || {
            let world = self.context.world();
            let servable = policies::servable(choice, world.admission().binds);
            world.lacking(servable.collect()).is_empty() && world.policies().missing.is_none()
        };
        // Something was placed by them: a restart need not wait, unless it installed them again just now. That they stand
        // says less, for another replica may have installed them.
        let proven = |compute: &Arc<Compute>| {
            compute.status.placement.as_ref().is_some_and(|placement| placement.proven_revision.is_some())
        };
        let acted = || self.context.world().computes().iter().any(proven);
        if stand() && acted() && !self.policies_written.load(Ordering::SeqCst) {
            return;
        }
        while !stand() {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(REFRESH).await;
    }

    async fn repair_policies(&self, choice: &Choice) {
        let mut pauses = patience().build();
        loop {
            let lacking = {
                let world = self.context.world();
                world.lacking(policies::servable(choice, world.admission().binds).collect())
            };
            if lacking.is_empty() {
                pauses = patience().build();
                self.policies_changed.notified().await;
                continue;
            }
            self.policies_written.store(true, Ordering::SeqCst);
            for shared in lacking {
                if let Err(error) = install::policy(&self.context.client, &shared).await {
                    let (kind, name) = (shared.kind.kind(), shared.name);
                    warn!("{kind} {name} could not be applied, trying again: {}", error.chain());
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(PAUSE)).await;
        }
    }
}

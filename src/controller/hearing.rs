//! What the watches tell: taken into the world, and, while this process leads, queued for whom it concerns.

use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::{debug, warn};

use crate::cluster::watch::{Cause, News, Watched};
use crate::controller::Controller;
use crate::decide::manifest::Kind;
use crate::decide::policies::SharedKind;
use crate::world::{Change, Written};

impl Controller {
    /// The names that are known of, of the resources that this process writes itself.
    pub(super) fn held(&self, what: Watched) -> Vec<String> {
        let written = written(what);
        match written {
            Some(Written::Child(kind)) => self.context.world().names(kind),
            // Passes read them themselves, too.
            Some(Written::Compute) => {
                let computes = self.context.world().computes();
                computes.iter().map(|compute| compute.name.clone()).collect()
            }
            None => Vec::new(),
        }
    }

    /// Takes in what a watch tells.
    pub(super) fn hear(&self, what: Watched, news: News) {
        match news {
            News::Listing => {
                if let Some(written) = written(what) {
                    self.context.world().list_begins(written);
                }
            }
            News::Change(change) => {
                self.health.heard(what);
                self.learn(change);
            }
            News::Synced => {
                self.list_ends(what);
                self.unsynced.send_if_modified(|unsynced| unsynced.remove(&what));
                self.context.metrics.watch_synced(what.plural());
            }
            News::Failing { why, cause } => {
                self.context.metrics.watch_failed(what.plural());
                if what == Watched::Computes {
                    self.context.world().lose_computes();
                }
                match cause {
                    Cause::Forbidden if what.is_dispensable() => self.context.lacks.doubt_dispensable(),
                    Cause::Forbidden => self.context.lacks.doubt(),
                    // Not served any more, or nobody there: who answers next may be another one.
                    Cause::Unserved | Cause::Unanswered if matches!(what, Watched::Policies(_)) => {
                        self.modes.doubt();
                    }
                    Cause::Unserved | Cause::Unanswered | Cause::Refused => {}
                }
                let why = format!("{why}{}", hint(what, cause));
                // Said when it begins, and once a minute.
                if self.context.said.is_news(what.plural(), &why, Instant::now()) {
                    warn!("the watch of {} failed, trying again: {why}", what.plural());
                } else {
                    debug!("the watch of {} failed, trying again: {why}", what.plural());
                }
                self.health.failed(what, why, cause, Instant::now());
                if what.is_dispensable() {
                    self.unsynced.send_if_modified(|unsynced| unsynced.remove(&what));
                }
            }
        }
    }

    /// A list is complete. After a failure, passes may have failed for the same reason: they are made again.
    fn list_ends(&self, what: Watched) {
        if let Some(written) = written(what) {
            self.context.world().list_ends(written);
        }
        if what.is_mutating_policy() {
            self.modes.list(what);
        }
        match what {
            Watched::Certificates => self.webhook.list(),
            Watched::Policies(SharedKind::Validating) => self.modes.look(),
            Watched::Servers => self.context.world().servers_listed(),
            _ => {}
        }
        if self.health.listed(what) {
            self.context.said.forget(what.plural());
            if matches!(what, Watched::Computes | Watched::Placements) {
                // They may have come back in an older version.
                self.context.lacks.doubt();
            }
            self.retry_failed();
        }
    }

    /// Takes in a change and, as a leader, queues whom it concerns.
    fn learn(&self, change: Change) {
        let shared = matches!(change, Change::Shared(..));
        let webhook = shared || matches!(change, Change::Keyring(_));
        // Requests change with each pod of the cluster, and are counters that are written once an interval at most.
        let lazily = matches!(change, Change::Scheduled(..));
        let names = self.context.world().apply(change);
        if shared {
            self.policies_changed.notify_one();
            self.tell_policies();
        }
        if webhook {
            self.webhook.look();
        }
        if !self.working.load(Ordering::SeqCst) {
            // Passes that are being cancelled may still hear replies.
            if self.queue.running() == 0 {
                self.context.world().stand_by();
            }
            return;
        }
        for name in names {
            if lazily {
                self.queue.push_within(&name, self.context.options.settings.counter_interval);
            } else {
                // A changed policy concerns every Compute, and none of them more than what people do meanwhile.
                self.queue.push(name, shared);
            }
        }
    }

    /// Another way to place pods concerns these Computes, the shared policies and the webhook.
    pub(super) fn concern(&self, names: Vec<String>) {
        self.policies_changed.notify_one();
        self.webhook.look();
        if self.working.load(Ordering::SeqCst) {
            for name in names {
                self.queue.push(name, true);
            }
        }
    }
}

/// How to mend what a watch fails of.
fn hint(what: Watched, cause: Cause) -> &'static str {
    match (cause, what) {
        (Cause::Unserved, Watched::Computes | Watched::Placements) => {
            "; are the CRDs installed? (helm upgrade with crds.enabled=true, or: poros crd | kubectl apply --server-side -f -)"
        }
        (Cause::Unserved, Watched::Policies(kind)) if !kind.is_mutating_policy() => {
            "; Poros needs ValidatingAdmissionPolicy v1: Kubernetes 1.30 or newer"
        }
        (Cause::Forbidden, Watched::Servers) => {
            "; Poros needs the verbs list and watch on it in the namespace default, and until then waits 2 s more for each proof, as where several API servers stand side by side"
        }
        (Cause::Forbidden, Watched::Certificates) => {
            "; Poros needs the verbs list and watch on the one that is called poros-webhook, in its namespace"
        }
        (Cause::Forbidden, _) => "; Poros needs the verbs list and watch on it, in the whole cluster",
        (Cause::Unserved | Cause::Refused | Cause::Unanswered, _) => "",
    }
}

/// Of what this process writes itself: what is watched by this.
fn written(what: Watched) -> Option<Written> {
    match what {
        Watched::Computes => Some(Written::Compute),
        Watched::Placements => Some(Written::Child(Kind::Placement)),
        Watched::Policies(SharedKind::MutatingBinding) => Some(Written::Child(Kind::Binding)),
        Watched::Nodes
        | Watched::Pods
        | Watched::Workloads(_)
        | Watched::Scheduled
        | Watched::Servers
        | Watched::Certificates
        | Watched::Policies(_) => None,
    }
}

//! The tasks that last as long as the process: the watches, and what runs beside the passes. One that panics is begun anew.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster;
use crate::cluster::watch::{Cause, Known, Watched};
use crate::controller::Controller;
use crate::controller::supervise::supervised;

impl Controller {
    /// Runs a task beside the passes.
    pub(super) async fn lasting<F: Future<Output = ()>>(
        self: Arc<Self>,
        what: &str,
        task: impl Fn(Arc<Self>) -> F,
    ) {
        supervised(what, &self.context.metrics, |_| {}, || task(self.clone())).await;
    }

    /// Watches this, as long as it is served and needed. One that dies is a watch that fails.
    pub(super) async fn keep_watching(self: Arc<Self>, what: Watched) {
        let known = Known::default();
        let watch = || self.clone().watch(what, known.clone());
        // What nobody watches any more does not fail.
        let given_up = || self.health.heard(what);
        let begin = || async {
            if what.is_mutating_policy() {
                self.modes.while_served(what, watch, given_up).await;
            } else if what == Watched::Certificates {
                self.webhook.while_needed(watch, given_up).await;
            } else {
                watch().await;
            }
        };
        let died = |why: &str| {
            self.context.metrics.watch_failed(what.plural());
            self.health.failed(what, format!("it died: {why}"), Cause::Unanswered, Instant::now());
        };
        supervised(&format!("the watch of {}", what.plural()), &self.context.metrics, died, begin).await;
    }

    async fn watch(self: Arc<Self>, what: Watched, known: Known) {
        let (holder, teller) = (self.clone(), self.clone());
        let held = move || holder.held(what);
        let tell = move |news| teller.hear(what, news);
        let (client, options) = (self.context.client.clone(), &self.context.options);
        cluster::watch::run(client, &options.namespace, what, options.audit, &known, held, tell).await;
    }
}

//! Default Computes: while this process leads, those that are absent when it begins are created. One that is there is never
//! written, and one that is deleted is back with the next leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{info, warn};

use crate::cluster::call::CallError;
use crate::cluster::defaults::create;
use crate::controller::Controller;
use crate::decide::defaults::DefaultCompute;

impl Controller {
    /// Runs for ever.
    pub(super) async fn keep_defaults(self: Arc<Self>) {
        self.synced().await;
        loop {
            let term = self.leadership.won().await;
            self.leadership.during(term, self.make_defaults()).await;
            self.refusals().clear();
        }
    }

    /// Does not end: what could not be created is tried again, and then there is nothing to do until the next term.
    async fn make_defaults(&self) {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_secs(60))
            .without_max_times()
            .build();
        let known = self.context.world().everything();
        let mut absent: Vec<&DefaultCompute> = Vec::new();
        absent.extend(self.context.options.defaults.iter().filter(|compute| !known.contains(&compute.name)));
        while !absent.is_empty() {
            let mut left = Vec::new();
            for compute in absent {
                if !self.make_default(compute).await {
                    left.push(compute);
                }
            }
            absent = left;
            if !absent.is_empty() {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Whether it is there now.
    async fn make_default(&self, compute: &DefaultCompute) -> bool {
        let DefaultCompute { name, manifest } = compute;
        match create(&self.context.client, manifest).await {
            Ok(()) => info!(compute = name, "created a default Compute"),
            Err(CallError::Conflict(_)) => {}
            Err(error) => {
                self.context.lacks.hear(&error);
                let why = error.chain();
                if self.context.said.is_news(name, &why, Instant::now()) {
                    warn!(compute = name, "a default Compute could not be created, trying again: {why}");
                }
                self.refusals().insert(name.clone(), why);
                return false;
            }
        }
        self.refusals().remove(name);
        true
    }
}

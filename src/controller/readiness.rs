//! What keeps this process from being ready, and what should be known beside: a line for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::cluster::watch::{Cause, Watched};
use crate::controller::Controller;
use crate::decide::lacks::{Lack, Uses};

/// How often a process that was never ready looks whether it is.
const NOTED: Duration = Duration::from_millis(200);

impl Controller {
    /// What is missing before this process can lead, or stand by to lead at once, or why it does so without knowing what
    /// is: ready when nothing is said.
    pub fn unready(&self) -> Vec<String> {
        let unsynced = self.unsynced.borrow().clone();
        let (overdue, _) = self.overdue();
        let lacks: Vec<Lack> = self.lacks().into_iter().filter(|lack| self.counts(lack)).collect();
        let unlisted = unsynced.iter().map(|what| match self.health.why(*what) {
            // What is lacking says it.
            Some((_, Cause::Forbidden)) if !lacks.is_empty() => {
                format!("{} are not listed yet: they may not be read (see above)", what.plural())
            }
            Some((why, _)) => format!("{} are not listed yet: {why}", what.plural()),
            None => format!("{} are not listed yet", what.plural()),
        });
        let election =
            self.election.iter().filter(|_| unsynced.is_empty()).filter_map(|election| election.unready());
        let policies = (unsynced.is_empty() && !self.policies_act.load(Ordering::SeqCst))
            .then(|| "the shared policies do not act yet".to_owned());
        let unknown = (unsynced.is_empty() && self.context.lacks.unknown())
            .then(|| "which permissions Poros has is not known yet".to_owned());
        lacks
            .iter()
            .map(|lack| lack.text.clone())
            .chain(unlisted)
            .chain(overdue)
            .chain(election)
            .chain(policies)
            .chain(unknown)
            .collect()
    }

    /// Notes when this process is ready for the first time, whoever asks and when.
    pub(super) async fn note_ready(self: Arc<Self>) {
        while !self.unready().is_empty() {
            tokio::time::sleep(NOTED).await;
        }
        info!("ready");
        self.was_ready.store(true, Ordering::SeqCst);
    }

    /// What does not keep this process from being ready, but should be known.
    pub fn remarks(&self) -> Vec<String> {
        let lacks = self.lacks().into_iter().filter(|lack| !self.counts(lack)).map(|lack| lack.text);
        let refused: Vec<String> = {
            let refused = self.refusals();
            let told = |(name, why)| format!("the default Compute {name} is not there: {why}");
            refused.iter().map(told).collect()
        };
        let (_, overdue) = self.overdue();
        lacks.chain(overdue).chain(refused).collect()
    }

    /// The watches that have failed for too long: those that keep this process from being ready, and the others. What is
    /// dispensable is said in the log and counted.
    fn overdue(&self) -> (Vec<String>, Vec<String>) {
        let (unsynced, answers) = (self.unsynced.borrow().clone(), self.answers());
        let told = |(what, why): (Watched, String)| format!("the watch of {} fails: {why}", what.plural());
        let overdue = self.health.overdue(Instant::now()).into_iter();
        let overdue = overdue.filter(|(what, _)| !unsynced.contains(what) && !what.is_dispensable());
        // Who answers from old news is asked no more; of all else the webhook knows nothing.
        let (counts, others): (Vec<_>, Vec<_>) =
            overdue.partition(|(what, _)| !answers || Watched::ANSWERED_FROM.contains(what));
        (counts.into_iter().map(told).collect(), others.into_iter().map(told).collect())
    }

    /// What is lacking now: a shared policy, too, unless Poros itself installs it.
    fn lacks(&self) -> Vec<Lack> {
        let mut lacks = self.context.lacks.told(self.was_ready.load(Ordering::SeqCst));
        lacks.extend(self.missing_policy().map(Lack::of));
        lacks
    }

    fn missing_policy(&self) -> Option<String> {
        let listed = self.unsynced.borrow().is_empty() && self.modes.is_known();
        let installed = self.context.options.manage_policies.is_none();
        (listed && installed).then(|| self.context.world().policies().missing.clone()).flatten()
    }

    /// Whether a lack keeps this process from being ready.
    fn counts(&self, lack: &Lack) -> bool {
        !lack.dispensable && !self.answers()
    }

    /// Who answers the webhook goes on answering, for without an answer pods are refused, and it lacks nothing for that.
    fn answers(&self) -> bool {
        self.was_ready.load(Ordering::SeqCst) && self.webhook.is_needed()
    }

    /// Says which shared policy is missing, when that is news.
    pub(super) fn tell_policies(&self) {
        if let Some(missing) = self.missing_policy()
            && self.context.said.is_news("policies", &missing, Instant::now())
        {
            warn!("{missing}");
        }
    }

    /// Runs for ever: looks for what is lacking, and has passes made again that may have failed for want of it.
    pub(super) async fn keep_looking(self: Arc<Self>) {
        let (client, home) = (&self.context.client, &self.context.options.namespace);
        self.context.lacks.run(client, home, || self.uses(), || self.retry_failed()).await;
    }

    fn uses(&self) -> Option<Uses> {
        let serves = self.modes.serves()?;
        let options = &self.context.options;
        Some(Uses {
            policies: serves,
            webhook: !serves || self.webhook.is_needed(),
            election: options.election.is_some(),
            events: options.events,
            defaults: !options.defaults.is_empty(),
        })
    }
}

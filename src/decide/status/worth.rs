//! Whether a new status is worth a write, and when: news at once, counters at most once an interval.

use std::time::Duration;

use crate::api::status::{AggregateStatus, ComputeStatus};
use crate::decide::desired::Desired;
use crate::decide::observed::Proof;
use crate::decide::truth::Truth;
use crate::decide::verdict::Facts;

/// What a new status is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is the stored one: no write.
    Nothing,
    /// Only counters differ: written at most once an interval.
    Counters(Duration),
    /// It says something new: written now.
    News,
}

/// Compares the status to be written with the stored one.
pub fn worth(facts: &Facts<'_>, status: &ComputeStatus) -> Worth {
    let stored = &facts.compute.status;
    if status == stored || is_put_back_next(facts) {
        return Worth::Nothing;
    }
    let active = |status: &ComputeStatus| status.aggregate_status == AggregateStatus::Active;
    let both_active = active(status) && active(stored);
    if use_is_news(facts, stored, status) || uncounted(status, both_active) != uncounted(stored, both_active)
    {
        return Worth::News;
    }
    match facts.observed.recall.status_written_ago {
        Some(ago) if ago < facts.settings.counter_interval => {
            Worth::Counters(facts.settings.counter_interval.saturating_sub(ago))
        }
        _ => Worth::News,
    }
}

/// Whether a new content just failed its proof: the next pass, at once, puts back what was in force or withdraws it, and
/// tells both in one write.
fn is_put_back_next(facts: &Facts<'_>) -> bool {
    let failed = matches!((facts.desired, facts.proof), (Desired::Spec(_), Some(Proof::Mismatch(_))));
    failed && facts.target.is_some_and(|target| !facts.compute.has_proven(target.revision, &target.content))
}

/// Whether it is told at once that the Compute is used or no longer used.
///
/// That it is used always, for its deletion is refused by what the status says. That it is not any more once in an interval:
/// users that come and go all the time, one after the other, are a counter.
fn use_is_news(facts: &Facts<'_>, stored: &ComputeStatus, status: &ComputeStatus) -> bool {
    match (stored.is_used(), status.is_used()) {
        (false, true) => true,
        (true, false) => {
            let recall = &facts.observed.recall;
            recall.released_ago.is_none_or(|ago| ago >= facts.settings.counter_interval)
        }
        (false, false) | (true, true) => false,
    }
}

/// The status without its counters and without the words that follow from them: of a pool that is ready, of the overlap,
/// and of a Compute that stays active. What else makes an active Compute's sentence change shows in another condition.
fn uncounted(status: &ComputeStatus, stays_active: bool) -> ComputeStatus {
    let mut rest = ComputeStatus { nodes: None, capacity: None, users: None, ..status.clone() };
    if stays_active {
        rest.builder_state.info.clear();
    }
    for condition in &mut rest.conditions {
        let counts = match condition.type_.as_str() {
            "PoolReady" => condition.status == Truth::True.word(),
            "Ready" => stays_active,
            "Overlapping" => true,
            _ => false,
        };
        if counts {
            condition.message.clear();
            condition.reason.clear();
        }
    }
    rest
}

//! From the verdict to the status that is written: conditions, counters, transitions. Equal facts give an equal status.

mod worth;

pub use self::worth::{Worth, worth};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::status::{
    AggregateStatus, BuilderState, Capacity, CloudKernelResource, ComputeStatus, PlacementStatus,
    ResourceStatus, Transition,
};
use crate::decide::applied::{Applied, State};
use crate::decide::desired::{Desired, ready_reason, said_mismatch};
use crate::decide::fault::Category;
use crate::decide::manifest::Kind;
use crate::decide::observed::Pool;
use crate::decide::pool::words;
use crate::decide::reason::Reason;
use crate::decide::truth::{self, Outcome, Truth, Words};
use crate::decide::verdict::{Facts, Verdict, Verified};

/// How many transitions a status remembers.
const HISTORY: usize = 8;
/// The longest text in a condition or a transition; the API server takes 32 Ki, a person reads less.
const TEXT: usize = 1024;
const PAUSED: &str = "Poros writes nothing for it while the annotation poros.dataos.io/paused is present; deleting it still works";
/// The condition types that Poros owns; those of others are carried along.
pub const OWNED: [&str; 11] = [
    "Ready",
    "Built",
    "PlacementVerified",
    "PoolReady",
    "Reconciling",
    "Stalled",
    "Drifted",
    "Contended",
    "Overlapping",
    "Deleting",
    "Paused",
];

/// Makes the status that the verdict calls for.
pub fn status(facts: &Facts<'_>, verdict: &Verdict) -> ComputeStatus {
    let before = &facts.compute.status;
    let words = truth::words(&verdict.outcome);
    let now = Time(facts.now);
    let paused = *facts.desired == Desired::AsItIs;
    if paused && before.transition_seq > 0 {
        return as_it_is(before, &now);
    }
    let readable = facts.compute.spec.is_ok();
    // A paused Compute's new generation is not acted on, and so not observed.
    let generation = if paused { before.observed_generation } else { facts.compute.generation };
    let mut status = ComputeStatus {
        aggregate_status: words.aggregate,
        builder_state: builder_state(facts, verdict, words, generation, &now),
        cloud_kernel_resources: if resources_as_before(facts, verdict) {
            before.cloud_kernel_resources.clone()
        } else {
            resources(facts)
        },
        placement: placement(facts, verdict, &now),
        nodes: readable.then(|| facts.observed.pool.counts.clone()),
        capacity: readable.then(|| capacity(&facts.observed.pool)),
        users: Some(facts.observed.users.clone()),
        conditions: conditions(facts, verdict, words, generation, &now),
        transition_seq: before.transition_seq,
        history: before.history.clone(),
        observed_generation: generation,
    };
    note_transition(&mut status, facts, verdict, &now);
    status
}

fn capacity(pool: &Pool) -> Capacity {
    let usage = pool.usage.as_ref();
    Capacity {
        allocatable: pool.allocatable.clone(),
        requested: usage.map(|usage| usage.requested.clone()),
        free: usage.map(|usage| usage.free.clone()),
    }
}

/// The status of a paused Compute: what it was, and that it is paused. Nothing is judged or counted anew.
fn as_it_is(before: &ComputeStatus, now: &Time) -> ComputeStatus {
    let mut status = before.clone();
    if before.condition("Paused").is_none() {
        status.conditions.push(condition("Paused", Truth::True, Reason::Paused, PAUSED, before, now));
    }
    status
}

/// Adds the transition from the stored status to this one, if there is one.
fn note_transition(status: &mut ComputeStatus, facts: &Facts<'_>, verdict: &Verdict, now: &Time) {
    let before = &facts.compute.status;
    let unseen = before.transition_seq == 0;
    let changed = before.aggregate_status != status.aggregate_status
        || before.builder_state.stage != status.builder_state.stage
        || last_reason(facts) != Some(verdict.outcome.reason().word());
    if !(unseen || changed) {
        return;
    }
    status.transition_seq = status.transition_seq.saturating_add(1);
    status.history.push(Transition {
        seq: status.transition_seq,
        from: (!unseen).then_some(before.aggregate_status),
        to: status.aggregate_status,
        stage: status.builder_state.stage,
        reason: verdict.outcome.reason().word().into(),
        message: bounded(verdict.outcome.info()),
        time: now.clone(),
    });
    let excess = status.history.len().saturating_sub(HISTORY);
    status.history.drain(..excess);
}

/// The reason of the last transition; after `deleted`, which has no condition Ready, that of the history.
fn last_reason<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let history = &facts.compute.status.history;
    ready_reason(facts.compute).or_else(|| history.last().map(|last| last.reason.as_str()))
}

fn builder_state(
    facts: &Facts<'_>,
    verdict: &Verdict,
    words: Words,
    generation: i64,
    now: &Time,
) -> BuilderState {
    let before = &facts.compute.status;
    let state = &before.builder_state;
    let (wanted, processed) = if resources_as_before(facts, verdict) {
        (state.number_of_wanted_resources, state.number_of_processed_resources)
    } else {
        (
            if *facts.desired == Desired::Nothing { 0 } else { facts.applied.needed() },
            facts.applied.in_place(),
        )
    };
    // A pending Compute is pending since it became so for this generation, whatever it waits for meanwhile.
    let same = before.aggregate_status == words.aggregate
        && before.builder_state.stage == words.stage
        && match words.aggregate {
            AggregateStatus::Pending => before.observed_generation == generation,
            _ => last_reason(facts) == Some(verdict.outcome.reason().word()),
        };
    let since = if same { before.builder_state.since.clone() } else { None };
    BuilderState {
        stage: words.stage,
        number_of_wanted_resources: wanted,
        number_of_processed_resources: processed,
        summary: format!("{processed}/{wanted}"),
        info: bounded(verdict.outcome.info()),
        since: Some(since.unwrap_or_else(|| now.clone())),
    }
}

/// Whether the built objects are reported as they were: of a paused Compute nothing is known, and of a contended one
/// the news would flip with each repair and each undoing of it.
fn resources_as_before(facts: &Facts<'_>, verdict: &Verdict) -> bool {
    let contended = verdict.contended.is_some() && facts.compute.status.condition("Contended").is_some();
    *facts.desired == Desired::AsItIs || contended
}

fn resources(facts: &Facts<'_>) -> Vec<CloudKernelResource> {
    let Applied { placement, binding, .. } = facts.applied;
    [(Kind::Placement, placement), (Kind::Binding, binding)]
        .into_iter()
        .filter_map(|(kind, state)| {
            let (status, reason) = match state {
                State::Unneeded => return None,
                State::InPlace => (ResourceStatus::Created, None),
                State::Absent if *facts.desired == Desired::Nothing => (ResourceStatus::Deleted, None),
                State::Absent => (ResourceStatus::Pending, None),
                State::Pending(why) => (ResourceStatus::Pending, Some(bounded(why))),
                State::Failed(fault) => (ResourceStatus::Error, Some(bounded(&fault.text))),
            };
            Some(CloudKernelResource {
                name: kind.name_for(&facts.observed.name),
                namespace: String::new(),
                version: kind.api_version().into(),
                kind: kind.kind().into(),
                resource: kind.plural().into(),
                dataplane: facts.settings.dataplane.clone(),
                status,
                reason,
            })
        })
        .collect()
}

fn placement(facts: &Facts<'_>, verdict: &Verdict, now: &Time) -> Option<PlacementStatus> {
    let before = facts.compute.status.placement.clone();
    let wanted = match facts.desired {
        Desired::Spec(wanted) | Desired::Kept(Some(wanted), _) | Desired::Closed(wanted) => wanted,
        Desired::Kept(None, _) | Desired::AsItIs | Desired::Nothing => return before,
    };
    if facts.applied.placement != State::InPlace {
        return before;
    }
    let mut status = PlacementStatus {
        mode: facts.observed.admission.mode,
        revision: wanted.placement.revision,
        last_revision: wanted.placement.last_revision,
        ..before.unwrap_or_default()
    };
    match (&verdict.verified, facts.target) {
        (Verified::Newly, Some(target)) => {
            status.proven_revision = Some(target.revision);
            status.proven_content = Some(target.content.clone());
            status.proven_with = Some(target.through.clone());
            status.proven_at = Some(now.clone());
        }
        (Verified::Failed(_), Some(target)) if status.proven_revision == Some(target.revision) => {
            status.proven_revision = None;
            status.proven_content = None;
            status.proven_with = None;
            status.proven_at = None;
        }
        _ => {}
    }
    Some(status)
}

fn conditions(
    facts: &Facts<'_>,
    verdict: &Verdict,
    row: Words,
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    let before = &facts.compute.status;
    let mut conditions = Vec::new();
    let mut say = |type_: &str, truth: Truth, reason: Reason, message: &str| {
        conditions.push(Condition {
            observed_generation: Some(generation),
            ..condition(type_, truth, reason, message, before, now)
        });
    };
    let (reason, info) = (verdict.outcome.reason(), verdict.outcome.info());
    if let Some(truth) = row.ready {
        say("Ready", truth, reason, info);
        let (truth, reason, message) = built(verdict);
        say("Built", truth, reason, &message);
        let (truth, reason, message) = placement_verified(facts, verdict);
        say("PlacementVerified", truth, reason, &message);
        let (truth, reason, message) = pool_ready(facts, verdict);
        say("PoolReady", truth, reason, &message);
    }
    if row.reconciling {
        say("Reconciling", Truth::True, reason, info);
    }
    if row.stalled {
        say("Stalled", Truth::True, reason, info);
    }
    if let Some(text) = &verdict.drifted {
        say("Drifted", Truth::True, Reason::Drifted, text);
    }
    if let Some(text) = &verdict.contended {
        say("Contended", Truth::True, Reason::Fault(Category::Contended), text);
    }
    if let Some(overlap) = &facts.observed.pool.overlap {
        say("Overlapping", Truth::True, Reason::NodesShared, &words::overlapping(overlap));
    }
    if row.deleting {
        say("Deleting", Truth::True, reason, info);
    }
    if *facts.desired == Desired::AsItIs {
        say("Paused", Truth::True, Reason::Paused, PAUSED);
    }
    let foreign = before.conditions.iter().filter(|condition| !OWNED.contains(&condition.type_.as_str()));
    conditions.extend(foreign.cloned());
    conditions
}

/// A condition; its transition time moves only with its status.
fn condition(
    type_: &str,
    truth: Truth,
    reason: Reason,
    message: &str,
    before: &ComputeStatus,
    now: &Time,
) -> Condition {
    let unchanged = before.condition(type_).filter(|old| old.status == truth.word());
    Condition {
        type_: type_.into(),
        status: truth.word().into(),
        reason: reason.word().into(),
        message: bounded(message),
        observed_generation: Some(before.observed_generation),
        last_transition_time: unchanged.map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
    }
}

fn built(verdict: &Verdict) -> (Truth, Reason, String) {
    let reason = verdict.outcome.reason();
    match &verdict.outcome {
        Outcome::FailedInBuild(fault) => (Truth::False, reason, fault.text.clone()),
        Outcome::Building { info, .. } if reason != Reason::AwaitingPool => {
            (Truth::Unknown, reason, info.clone())
        }
        Outcome::Deleting { info, .. } => (Truth::False, reason, info.clone()),
        Outcome::Deleted => (Truth::False, reason, String::new()),
        Outcome::Building { .. } | Outcome::Active { .. } | Outcome::FailedAfterBuild(_) => {
            (Truth::True, Reason::Built, "every resource was put in place".into())
        }
    }
}

fn placement_verified(facts: &Facts<'_>, verdict: &Verdict) -> (Truth, Reason, String) {
    if let Desired::Kept(_, fault) = facts.desired {
        // A mismatch in plain words: after a restart it is read back from here.
        return match fault.why_mismatched() {
            Some(why) => (Truth::False, Reason::Fault(fault.category), why.into()),
            None => (
                Truth::Unknown,
                Reason::Fault(fault.category),
                "the spec cannot be built, so nothing of it can be proven".into(),
            ),
        };
    }
    match &verdict.verified {
        Verified::Newly | Verified::Standing => (
            Truth::True,
            Reason::Proven,
            "a dry-run pod that names this Compute came back placed as it says".into(),
        ),
        // While a failed proof is tried again, it is a failed proof.
        Verified::Pending(_) if matches!(&verdict.outcome, Outcome::FailedInBuild(fault) if fault.category == Category::ProofMismatch) => {
            (Truth::False, Reason::Fault(Category::ProofMismatch), said_mismatch(facts.compute).into())
        }
        Verified::Pending(why) => (Truth::Unknown, Reason::ProofPending, why.clone()),
        Verified::Blocked(why) => (Truth::Unknown, Reason::Fault(Category::ProofBlocked), why.clone()),
        Verified::Failed(why) => (Truth::False, Reason::Fault(Category::ProofMismatch), why.clone()),
    }
}

fn pool_ready(facts: &Facts<'_>, verdict: &Verdict) -> (Truth, Reason, String) {
    if let Err(fault) = facts.valid {
        let text = "the pool is not judged while the spec cannot be built";
        return (Truth::Unknown, Reason::Fault(fault.category), text.into());
    }
    if let Some(fault) = &verdict.pool {
        return (Truth::False, Reason::Fault(fault.category), fault.text.clone());
    }
    let (reason, message) = words::ready(&facts.observed.pool);
    (Truth::True, reason, message)
}

/// A text of at most [`TEXT`] characters.
fn bounded(text: &str) -> String {
    if text.chars().count() <= TEXT {
        return text.to_owned();
    }
    text.chars().take(TEXT - 1).chain(['…']).collect()
}

/// The time of this pass as Kubernetes stores it: whole seconds.
pub fn stored_time(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

//! From what was found, done and proven to the one outcome of a pass. The rule that tells the two errors apart is here.

mod rivals;
mod wakes;

use std::time::Duration;

use crate::api::status::{AggregateStatus, Stage};
use crate::decide::applied::State;
use crate::decide::desired::{Desired, Wanted, held_by_users, ready_reason};
use crate::decide::fault::{Category, Fault};
use crate::decide::in_use::override_command;
use crate::decide::observed::Proof;
use crate::decide::outcome::rivals::{contended, drifted};
use crate::decide::outcome::wakes::Wakes;
use crate::decide::plan::Action;
use crate::decide::pool;
use crate::decide::prove;
use crate::decide::reason::Reason;
use crate::decide::truth::Outcome;
use crate::decide::verdict::{Facts, Verdict, Verified};

/// Draws the outcome.
pub fn outcome(facts: &Facts<'_>) -> Verdict {
    let mut wakes = Wakes::default();
    let contended = contended(facts, &mut wakes);
    let verified = match verified(facts, &mut wakes) {
        // Said once, not anew with each repair and each undoing of it.
        Verified::Pending(_) if contended.is_some() => {
            Verified::Pending("the proof waits until the other writer stops".into())
        }
        verified => verified,
    };
    let drifted = drifted(facts, &verified);
    let pool = pool_fault(facts, &mut wakes);
    let outcome = match facts.desired {
        Desired::Nothing | Desired::Closed(_) => {
            if let Action::Linger(left) = facts.plan.placement {
                wakes.at(left);
            }
            deleting(facts)
        }
        Desired::Kept(standing, fault) => {
            retry_wake(facts, fault, &mut wakes);
            let text = format!("{}; {}", fault.text, instead(facts, standing.as_ref()));
            Outcome::FailedInBuild(Fault::new(fault.category, text))
        }
        Desired::AsItIs => as_before(facts),
        Desired::Spec(wanted) => {
            building(facts, wanted, &verified, contended.as_ref(), pool.as_ref(), &mut wakes)
        }
    };
    Verdict { outcome, verified, pool, drifted, contended, wake: wakes.0 }
}

const REFUSED: &str = "nothing is in force: pods that name this Compute are refused";

/// What pods get while the spec cannot be in force.
fn instead(facts: &Facts<'_>, standing: Option<&Wanted>) -> String {
    let revision = standing.filter(|wanted| wanted.bound).map(|wanted| wanted.placement.revision);
    // Without bindings the Placement itself says whether it is in force.
    let bearer = match &facts.applied.binding {
        State::Unneeded => &facts.applied.placement,
        binding => binding,
    };
    let withdrawn = standing.is_some_and(|wanted| wanted.placement.withdrawn);
    match (revision, bearer) {
        (Some(revision), State::InPlace) => format!("revision {revision} stays in force"),
        (None, State::InPlace) if withdrawn && facts.applied.all_in_place() => REFUSED.into(),
        (None, State::Absent) => REFUSED.into(),
        (_, State::Failed(fault)) => format!("and what stands could not be mended: {}", fault.text),
        (Some(revision), _) => format!("revision {revision} is put back in force"),
        (None, _) => "what stands is being withdrawn".into(),
    }
}

fn verified(facts: &Facts<'_>, wakes: &mut Wakes) -> Verified {
    let Some(target) = facts.target.filter(|_| facts.applied.all_in_place()) else {
        return Verified::Pending("nothing is in place to be proven".into());
    };
    if let Some(after) = facts.prove_in {
        wakes.at(after);
    }
    match facts.proof {
        Some(Proof::Proven) => Verified::Newly,
        Some(Proof::Mismatch(why)) => Verified::Failed(why.clone()),
        Some(Proof::Blocked(why) | Proof::Unreachable(why)) => Verified::Blocked(why.clone()),
        Some(Proof::NotYet(_)) | None => {
            let again = matches!(facts.desired, Desired::Spec(_))
                && (facts.applied.wrote.is_some() || facts.observed.recall.changed_ago.is_some());
            if prove::is_proven(facts.compute, target) && !again {
                Verified::Standing
            } else {
                Verified::Pending(format!("the proof of revision {} is under way", target.revision))
            }
        }
    }
}

/// Whether the desired revision was proven before or is now.
fn proven(facts: &Facts<'_>, verified: &Verified) -> bool {
    let before =
        facts.target.is_some_and(|target| facts.compute.has_proven(target.revision, &target.content));
    match verified {
        Verified::Newly | Verified::Standing => true,
        Verified::Failed(_) => false,
        Verified::Pending(_) | Verified::Blocked(_) => before,
    }
}

/// What is wrong with the pool, after the grace against flapping.
fn pool_fault(facts: &Facts<'_>, wakes: &mut Wakes) -> Option<Fault> {
    let valid = facts.valid.as_ref().ok()?;
    let found = pool::judge(&facts.observed.pool, valid.min_ready_nodes);
    let status = &facts.compute.status;
    let counted =
        status.condition("PoolReady").filter(|condition| condition.status == "False").and_then(|condition| {
            Some(Fault::new(Category::of_word(&condition.reason)?, condition.message.clone()))
        });
    let grace = facts.settings.pool_grace;
    // The grace is for nodes that come and go: what an edit asks for is told at once.
    let left = facts.observed.recall.pool_flapped_ago.and_then(|ago| grace.checked_sub(ago));
    let Some(left) = left.filter(|left| !left.is_zero() && !edited(facts)) else { return found };
    match (status.aggregate_status, found, counted) {
        (AggregateStatus::Active, Some(_), None) => {
            wakes.at(left);
            None
        }
        (AggregateStatus::Error, None, Some(counted)) => {
            wakes.at(left);
            Some(counted)
        }
        (_, found, _) => found,
    }
}

/// Whether the status speaks of another revision than the one that is wanted now.
fn edited(facts: &Facts<'_>) -> bool {
    let said = facts.compute.status.placement.as_ref().map(|placement| placement.revision);
    facts.target.is_none_or(|target| said != Some(target.revision))
}

/// Whether the status says that the Compute is active with this revision.
fn was_active(facts: &Facts<'_>, revision: u64) -> bool {
    let status = &facts.compute.status;
    status.aggregate_status == AggregateStatus::Active
        && status.placement.as_ref().is_some_and(|placement| placement.revision == revision)
}

fn deleting(facts: &Facts<'_>) -> Outcome {
    if held_by_users(facts.observed, facts.compute) {
        let users = &facts.observed.users;
        return Outcome::Deleting {
            reason: Reason::InUse,
            info: format!(
                "it is still in use ({}); it goes when its users are gone, or at once: {}",
                users.examples.join(", "),
                override_command(&facts.observed.name)
            ),
        };
    }
    if let Some(fault) = facts.applied.fault() {
        return Outcome::Deleting { reason: Reason::Fault(fault.category), info: fault.text.clone() };
    }
    if facts.applied.all_absent() {
        return Outcome::Deleted;
    }
    Outcome::Deleting { reason: Reason::Removing, info: "what was built for it is being removed".into() }
}

/// The outcome that the status speaks of, for a Compute that Poros may not touch.
fn as_before(facts: &Facts<'_>) -> Outcome {
    let status = &facts.compute.status;
    let said = ready_reason(facts.compute).and_then(Category::of_word);
    let info = status.builder_state.info.clone();
    let fault = || Fault::new(said.unwrap_or(Category::Internal), info.clone());
    match (status.aggregate_status, status.builder_state.stage) {
        (AggregateStatus::Active, _) => Outcome::Active { info },
        (AggregateStatus::Error, Stage::Building) => Outcome::FailedAfterBuild(fault()),
        (AggregateStatus::Error, _) => Outcome::FailedInBuild(fault()),
        _ => Outcome::Building { reason: Reason::Paused, info: "paused before it was built".into() },
    }
}

fn retry_wake(facts: &Facts<'_>, fault: &Fault, wakes: &mut Wakes) {
    if fault.category == Category::ProofMismatch {
        let (times, ago) = match &facts.observed.recall.rejected {
            Some(rejected) => (rejected.times, rejected.ago),
            None => (1, facts.observed.recall.known_for),
        };
        wakes.at(crate::decide::desired::retry_after(times).saturating_sub(ago) + Duration::from_millis(10));
    }
}

/// The outcome of a Compute whose spec is to be in force.
fn building(
    facts: &Facts<'_>,
    wanted: &Wanted,
    verified: &Verified,
    contended: Option<&String>,
    pool: Option<&Fault>,
    wakes: &mut Wakes,
) -> Outcome {
    let revision = wanted.placement.revision;
    let proven = proven(facts, verified);
    let deadline = Deadline::of(facts, proven, wakes);
    let failed = |fault: Fault| {
        if fault.category.in_build(proven) {
            Outcome::FailedInBuild(fault)
        } else {
            Outcome::FailedAfterBuild(fault)
        }
    };
    // Without its policy a binding cannot even be written: the cause is told, not its effect.
    let effect = facts.applied.fault().is_none_or(|fault| fault.category == Category::ApplyFailed);
    if let Some(text) = facts.observed.policies.missing.as_ref().filter(|_| effect) {
        let missing_for = facts.observed.recall.policies_missing_for;
        if missing_for >= facts.settings.policy_grace {
            return failed(Fault::new(Category::PolicyMissing, text.clone()));
        }
        wakes.at(facts.settings.policy_grace.saturating_sub(missing_for));
        if facts.applied.fault().is_some() {
            return deadline.waiting(facts, Reason::Fault(Category::PolicyMissing), text.clone());
        }
    }
    if let Some(fault) = facts.applied.fault() {
        return match fault.category {
            Category::ApplyFailed if !deadline.passed => {
                deadline.waiting(facts, Reason::Fault(Category::ApplyFailed), fault.text.clone())
            }
            // An API server that has just started refuses everybody until it has read its roles.
            Category::Forbidden if facts.observed.recall.trouble_for < facts.settings.forbidden_grace => {
                wakes.at(facts.settings.forbidden_grace.saturating_sub(facts.observed.recall.trouble_for));
                deadline.waiting(facts, Reason::Fault(Category::Forbidden), fault.text.clone())
            }
            _ => failed(fault.clone()),
        };
    }
    if let Some(why) = facts.applied.waits_for().filter(|_| contended.is_none()) {
        let text = format!("an object that Poros builds {why}");
        let lasts = proven && facts.observed.recall.trouble_for >= facts.settings.pool_grace;
        if deadline.passed || lasts {
            return failed(Fault::new(Category::ApplyFailed, text));
        }
        wakes.at(facts.settings.pool_grace);
        return deadline.waiting(facts, Reason::Building, text);
    }
    match verified {
        Verified::Newly | Verified::Standing => {}
        Verified::Failed(why) => {
            return failed(Fault::mismatch(why));
        }
        // An error is over when the proof passes, not when it is tried.
        Verified::Pending(_) if stays_error(facts, proven) => return as_before(facts),
        Verified::Pending(why)
            if !proven || facts.compute.status.aggregate_status == AggregateStatus::Error =>
        {
            return Outcome::Building { reason: Reason::Building, info: why.clone() };
        }
        Verified::Pending(_) => {}
        Verified::Blocked(why) => {
            let blocked_for = facts.observed.recall.blocked_for.unwrap_or_default();
            if !(proven || was_active(facts, revision)) && blocked_for < facts.settings.proof_blocked_grace {
                wakes.at(facts.settings.proof_blocked_grace.saturating_sub(blocked_for));
                return Outcome::Building {
                    reason: Reason::Fault(Category::ProofBlocked),
                    info: blocked(why),
                };
            }
        }
    }
    if let Some(text) = contended {
        return failed(Fault::new(Category::Contended, text.clone()));
    }
    if let Some(fault) = pool {
        return match facts.compute.status.aggregate_status {
            AggregateStatus::Active | AggregateStatus::Error if !edited(facts) => failed(fault.clone()),
            _ if deadline.passed => Outcome::FailedAfterBuild(fault.clone()),
            _ => Outcome::Building {
                reason: Reason::AwaitingPool,
                info: match verified {
                    Verified::Blocked(why) => format!("built, but {}; {}", blocked(why), fault.text),
                    _ => format!("built and proven; {}", fault.text),
                },
            },
        };
    }
    let but = match verified {
        Verified::Blocked(why) => Some(blocked(why)),
        _ => pool::words::hint(&facts.observed.pool).map(str::to_owned),
    };
    let info = match but {
        Some(but) => format!("revision {revision} is in force, but {but}"),
        None => format!("revision {revision} is in force"),
    };
    Outcome::Active { info }
}

/// Whether the error in the status stands until the proof passes: one of the built objects, while it is repaired and
/// proven; or a failed proof of this very generation, while it is tried again.
fn stays_error(facts: &Facts<'_>, proven: bool) -> bool {
    let status = &facts.compute.status;
    match (status.aggregate_status, status.builder_state.stage) {
        (AggregateStatus::Error, Stage::Building) => proven,
        (AggregateStatus::Error, Stage::Error) => {
            !proven
                && status.observed_generation == facts.compute.generation
                && ready_reason(facts.compute) == Some(Category::ProofMismatch.word())
        }
        _ => false,
    }
}

fn blocked(why: &str) -> String {
    format!("the proof could not be made: {why}")
}

/// How long the Compute may still be pending.
struct Deadline {
    passed: bool,
    proven: bool,
}

impl Deadline {
    fn of(facts: &Facts<'_>, proven: bool, wakes: &mut Wakes) -> Self {
        let allowed = facts.valid.as_ref().map_or(0, |valid| valid.progress_deadline_seconds);
        let allowed = Duration::from_secs(u64::from(allowed));
        let elapsed = if facts.compute.status.aggregate_status == AggregateStatus::Active {
            facts.observed.recall.trouble_for
        } else {
            pending_for(facts)
        };
        let passed = elapsed >= allowed;
        let pending =
            facts.compute.status.aggregate_status == AggregateStatus::Pending || elapsed > Duration::ZERO;
        if pending && !passed {
            wakes.at(allowed.saturating_sub(elapsed) + Duration::from_millis(10));
        }
        Self { passed, proven }
    }

    /// Waiting is `pending` for a Compute that was never active with this revision, and nothing new for one that is, or
    /// that is in error already.
    fn waiting(&self, facts: &Facts<'_>, reason: Reason, info: String) -> Outcome {
        let status = &facts.compute.status;
        match status.aggregate_status {
            // A revision that was proven once is not the one of which the status says that it is in force.
            AggregateStatus::Active if self.proven && !edited(facts) => as_before(facts),
            AggregateStatus::Error if status.observed_generation == facts.compute.generation => {
                as_before(facts)
            }
            _ => Outcome::Building { reason, info },
        }
    }
}

/// How long the Compute has been pending with this generation, by its status; a clock that went back counts as nothing.
fn pending_for(facts: &Facts<'_>) -> Duration {
    let status = &facts.compute.status;
    let same = status.aggregate_status == AggregateStatus::Pending
        && status.observed_generation == facts.compute.generation;
    match &status.builder_state.since {
        Some(since) if same => Duration::try_from(facts.now.duration_since(since.0)).unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

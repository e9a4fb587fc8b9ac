//! One pass over one Compute: observe, validate, desired, plan, apply, probe, prove, outcome, status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::api::status::{AggregateStatus, ComputeStatus};
use crate::cluster::apply::{Carried, apply};
use crate::cluster::call::CallError;
use crate::cluster::{computes, probe::probe, status as write};
use crate::controller::context::Context;
use crate::controller::memory::Next;
use crate::decide::applied::Applied;
use crate::decide::desired::{Desired, Wanted, desired};
use crate::decide::fault::Category;
use crate::decide::observed::{Compute, Observed, Proof, Target};
use crate::decide::outcome::outcome;
use crate::decide::plan::{Plan, plan};
use crate::decide::prove::{self, Answer, When};
use crate::decide::status::{Worth, status, stored_time, worth};
use crate::decide::truth::Outcome;
use crate::decide::validate::validate;
use crate::decide::verdict::{Facts, Verdict};
use crate::world::Change;

/// Conflicts for less than this are lost races, and no news to anybody.
const RACE: Duration = Duration::from_secs(2);

/// Makes a pass.
pub async fn pass(context: &Context, name: &str) -> Next {
    let mut observed = context.world().observe(name);
    let Some(compute) = observed.compute.clone() else { return sweep(context, &observed).await };
    let settings = &context.options.settings;
    let valid = validate(&compute, settings);
    observed.recall = context.memories().recall(&observed, &valid, Instant::now());
    let desired = desired(&observed, &valid);
    let plan = plan(&observed, &desired, settings);
    let Carried { applied, changes, looked, conflict, held } =
        apply(&context.client, name, Some(&compute), &plan).await;
    context.learn_seen(looked);
    let compute = held.map_or(compute, Arc::new);
    let progress = !changes.is_empty();
    context.learn_own(changes);
    if applied.fault().is_some_and(|fault| fault.category == Category::Forbidden) {
        context.lacks.doubt();
    }
    for kind in plan.repaired(&applied) {
        context.metrics.repaired(kind.kind());
    }
    context.memories().note_applied(name, plan.rival(), &applied, Instant::now());
    if conflict && observed.recall.trouble_for < RACE {
        // What was decided is void: the next pass sees what changed.
        return Next { conflict, progress, ..Next::default() };
    }
    let (target, proof, prove_in) = prove(context, &observed, &compute, &desired, &applied).await;
    let facts = Facts {
        observed: &observed,
        compute: &compute,
        valid: &valid,
        desired: &desired,
        plan: &plan,
        applied: &applied,
        target: target.as_ref(),
        proof: proof.as_ref(),
        prove_in,
        settings,
        now: stored_time(Timestamp::now()),
    };
    let verdict = outcome(&facts);
    context.memories().note_outcome(name, &verdict.outcome);
    debug!(compute = name, outcome = verdict.outcome.reason().word(), "pass");
    let mut next =
        Next { wake: verdict.wake, retry: applied.fault().is_some(), conflict, progress, ..Next::default() };
    report(context, &facts, &verdict, &mut next).await;
    next
}

/// Proves what stands, if it is due: what is to be proven, what came of it, and when to try (again).
async fn prove(
    context: &Context,
    observed: &Observed,
    compute: &Compute,
    desired: &Desired,
    applied: &Applied,
) -> (Option<Target>, Option<Proof>, Option<Duration>) {
    let Some(task) = prove::task(observed, compute, desired, applied) else { return (None, None, None) };
    match task.when {
        When::Not => (Some(task.target), None, None),
        When::In(wait) => (Some(task.target), task.known, Some(wait)),
        When::Now => {
            let proof = try_proof(context, observed, task.wanted, &task.target).await;
            let again = prove::again(&proof);
            (Some(task.target), Some(proof), again)
        }
    }
}

async fn try_proof(context: &Context, observed: &Observed, wanted: &Wanted, target: &Target) -> Proof {
    let (name, options) = (&observed.name, &context.options);
    let answer = probe(&context.client, &options.namespace, &options.probe_image, name).await;
    if let Answer::Forbidden(_) = &answer {
        context.lacks.doubt();
    }
    let proof = prove::judge(&answer, observed, wanted, &options.settings);
    let word = match &proof {
        Proof::Proven => "proven",
        Proof::NotYet(_) => "not-yet",
        Proof::Mismatch(_) => "mismatch",
        Proof::Blocked(_) => "blocked",
        Proof::Unreachable(_) => "unreachable",
    };
    context.metrics.probed(word);
    if let Proof::Blocked(_) = &proof {
        context.blocked.notify_one();
    }
    debug!(compute = name, revision = target.revision, result = ?proof, "proof");
    context.memories().note_proof(name, target, &proof, Instant::now());
    proof
}

/// Writes the status if it says something new, and lets a deleted Compute go.
async fn report(context: &Context, facts: &Facts<'_>, verdict: &Verdict, next: &mut Next) {
    let (name, compute) = (&facts.observed.name, facts.compute);
    let new = status(facts, verdict);
    let mut stored = None;
    match worth(facts, &new) {
        Worth::Nothing => {}
        Worth::Counters(wait) => next.wake = Some(next.wake.map_or(wait, |wake| wake.min(wait))),
        Worth::News => match write::write(&context.client, compute, &new).await {
            Ok(written) => {
                if new.transition_seq != compute.status.transition_seq {
                    told(name, &new, verdict);
                }
                context.memories().note_status(name, &compute.status, &new, Instant::now());
                context.events.tell(compute, &new);
                context.learn_own(vec![Change::Compute(name.clone(), Some(Box::new(written.clone())))]);
                stored = Some(written);
            }
            Err(error) => {
                look_again(context, compute, &error).await;
                return failed(context, name, "the status could not be written", &error, next);
            }
        },
    }
    let held = compute.finalizers.iter().any(|held| held == crate::api::names::FINALIZER);
    if verdict.outcome == Outcome::Deleted && held {
        match write::release(&context.client, stored.as_ref().unwrap_or(compute)).await {
            Ok(()) => context.metrics.wrote(1),
            Err(error) => {
                look_again(context, compute, &error).await;
                failed(context, name, "the finalizer could not be removed", &error, next);
            }
        }
    }
}

/// Reads a Compute of which a write found that it is not as known: should its watch have missed that, nothing else says so.
async fn look_again(context: &Context, compute: &Compute, error: &CallError) {
    if !matches!(error, CallError::Conflict(_) | CallError::NotFound(_) | CallError::Unserved(_)) {
        return;
    }
    let name = compute.name.clone();
    match computes::one::<Compute>(&context.client, &name).await {
        Ok(Some(live)) => context.learn_seen(vec![Change::Compute(name, Some(Box::new(live)))]),
        Ok(None) => context.learn_seen(vec![Change::Gone(name, compute.uid.clone())]),
        // The next pass meets the same, or the watch has told by then.
        Err(_) => {}
    }
}

/// The Compute is gone: what still bears its mark goes too, once the API server itself says that it is gone.
async fn sweep(context: &Context, observed: &Observed) -> Next {
    let name = &observed.name;
    let plan: Plan = plan(observed, &Desired::Nothing, &context.options.settings);
    if !plan.writes() {
        return Next { gone: true, ..Next::default() };
    }
    match computes::one::<Compute>(&context.client, name).await {
        Ok(Some(live)) => {
            context.learn_seen(vec![Change::Compute(name.clone(), Some(Box::new(live)))]);
            return Next { wake: Some(Duration::from_secs(1)), ..Next::default() };
        }
        Ok(None) => {}
        Err(error) => {
            warn!(compute = name, "what an old incarnation left could not be judged: {}", error.chain());
            return Next::retry();
        }
    }
    let Carried { applied, changes, looked, conflict, .. } = apply(&context.client, name, None, &plan).await;
    context.learn_seen(looked);
    info!(compute = name, removed = changes.len(), "removed what a Compute that is gone had left");
    context.learn_own(changes);
    Next { retry: applied.fault().is_some(), conflict, gone: applied.all_absent(), ..Next::default() }
}

/// Logs a transition: into an error as a warning.
fn told(name: &str, new: &ComputeStatus, verdict: &Verdict) {
    let (status, stage) = (new.aggregate_status.word(), new.builder_state.stage.word());
    let (reason, seq, info) = (verdict.outcome.reason().word(), new.transition_seq, &new.builder_state.info);
    if new.aggregate_status == AggregateStatus::Error {
        warn!(compute = name, status, stage, reason, seq, "{info}");
    } else {
        info!(compute = name, status, stage, reason, seq, "{info}");
    }
}

fn failed(context: &Context, name: &str, what: &str, error: &CallError, next: &mut Next) {
    match error {
        // Somebody wrote in between; the watch tells what.
        CallError::Conflict(_) => next.conflict = true,
        // It is gone; the watch tells that, or the next look does.
        CallError::NotFound(_) | CallError::Unserved(_) => next.retry = true,
        error => {
            context.lacks.hear(error);
            let why = error.chain();
            // The same for all Computes when a permission is missing: said of one of them.
            let of = if let CallError::Forbidden(_) = error { what } else { name };
            if context.said.is_news(of, &why, Instant::now()) {
                warn!(compute = name, "{what}, trying again: {why}");
            }
            next.retry = true;
        }
    }
}

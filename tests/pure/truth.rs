//! The truth table, row by row, from every state before.

use jiff::Timestamp;
use poros::api::status::{AggregateStatus, ComputeStatus, Stage};
use poros::decide::applied::{Applied, State};
use poros::decide::desired::desired;
use poros::decide::fault::{Category, Fault};
use poros::decide::observed::{Compute, Observed, Recall, Settings};
use poros::decide::plan::plan;
use poros::decide::reason::Reason;
use poros::decide::status::{Worth, status, worth};
use poros::decide::truth::{Outcome, Truth, words};
use poros::decide::validate::validate;
use poros::decide::verdict::{Facts, Verdict, Verified};

use crate::sim::{Sim, spec};

/// Every outcome; of the two errors, one of each category.
fn outcomes() -> Vec<Outcome> {
    let text = || "because".to_owned();
    let mut outcomes = vec![
        Outcome::Building { reason: Reason::Building, info: text() },
        Outcome::Building { reason: Reason::AwaitingPool, info: text() },
        Outcome::Active { info: text() },
        Outcome::Deleting { reason: Reason::InUse, info: text() },
        Outcome::Deleted,
    ];
    for category in Category::ALL {
        outcomes.push(Outcome::FailedInBuild(Fault::new(category, text())));
        outcomes.push(Outcome::FailedAfterBuild(Fault::new(category, text())));
    }
    outcomes
}

/// kstatus by its published rules, of a status alone.
fn kstatus(status: &ComputeStatus, generation: i64) -> &'static str {
    let condition = |type_: &str| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_)
            .map(|condition| condition.status.as_str())
    };
    if status.observed_generation != generation || condition("Reconciling") == Some("True") {
        return "InProgress";
    }
    if condition("Stalled") == Some("True") {
        return "Failed";
    }
    match condition("Ready") {
        None | Some("True") => "Current",
        Some(_) => "InProgress",
    }
}

/// Writes the status of an outcome over a Compute.
fn report(compute: &Compute, outcome: &Outcome, second: i64) -> (ComputeStatus, Worth) {
    let settings = Settings::default();
    let mut sim = Sim::new();
    sim.settle(std::time::Duration::from_secs(5));
    let observed = Observed {
        name: compute.name.clone(),
        compute: Some(std::sync::Arc::new(compute.clone())),
        placement: sim.placement.clone().map(std::sync::Arc::new),
        binding: sim.binding.clone().map(std::sync::Arc::new),
        pool: sim.pool.clone(),
        users: sim.users.clone(),
        policies: sim.policies.clone(),
        doubted: false,
        api_servers: Some(1),
        admission: sim.mode,
        recall: Recall::default(),
    };
    let valid = validate(compute, &settings);
    let desired = desired(&observed, &valid);
    let plan = plan(&observed, &desired, &settings);
    let applied =
        Applied { placement: State::InPlace, binding: State::InPlace, wrote: None, repaired: false };
    let facts = Facts {
        observed: &observed,
        compute,
        valid: &valid,
        desired: &desired,
        plan: &plan,
        applied: &applied,
        target: None,
        proof: None,
        prove_in: None,
        settings: &settings,
        now: Timestamp::from_second(second).unwrap(),
    };
    let verdict = Verdict {
        outcome: outcome.clone(),
        verified: Verified::Standing,
        pool: None,
        drifted: None,
        contended: None,
        wake: None,
    };
    let new = status(&facts, &verdict);
    let worth = worth(&facts, &new);
    (new, worth)
}

#[test]
fn every_outcome_after_every_state_is_written_as_the_table_says() {
    let unseen = Sim::new().compute.unwrap();
    let mut befores = vec![unseen.clone()];
    for before in outcomes() {
        let (status, _) = report(&unseen, &before, 100);
        befores.push(Compute { status, ..unseen.clone() });
    }
    for state in &befores {
        for outcome in outcomes() {
            let (new, value) = report(state, &outcome, 200);
            let row = words(&outcome);
            assert_eq!((new.aggregate_status, new.builder_state.stage), (row.aggregate, row.stage));
            let condition = |type_: &str| new.conditions.iter().find(|condition| condition.type_ == type_);
            assert_eq!(condition("Ready").map(|ready| ready.status.as_str()), row.ready.map(Truth::word));
            assert_eq!(condition("Reconciling").is_some(), row.reconciling);
            assert_eq!(condition("Stalled").is_some(), row.stalled);
            assert_eq!(condition("Deleting").is_some(), row.deleting);
            assert!(new.conditions.iter().all(|condition| condition.observed_generation == Some(1)));
            let expected = match &outcome {
                Outcome::Building { .. } | Outcome::FailedAfterBuild(_) => Some("InProgress"),
                Outcome::Active { .. } => Some("Current"),
                Outcome::FailedInBuild(_) => Some("Failed"),
                Outcome::Deleting { .. } | Outcome::Deleted => None, // Terminating, by the deletionTimestamp alone
            };
            assert!(expected.is_none_or(|expected| kstatus(&new, 1) == expected), "{outcome:?}");

            // A transition is counted if and only if (status, stage, reason) changed.
            let before = &state.status;
            let last = before.history.last().map(|last| (last.to, last.stage, last.reason.as_str()));
            let changed = last != Some((row.aggregate, row.stage, outcome.reason().word()));
            assert_eq!(
                new.transition_seq,
                before.transition_seq + u64::from(changed),
                "{last:?} -> {outcome:?}"
            );
            assert_eq!(new.history.len(), before.history.len() + usize::from(changed));
            assert_eq!(value == Worth::Nothing, !changed, "equal means no write: {last:?} -> {outcome:?}");
            if let (true, Some(transition)) = (changed, new.history.last()) {
                assert_eq!(transition.from, before.history.last().map(|last| last.to));
                assert_eq!((transition.to, transition.seq), (row.aggregate, new.transition_seq));
            }

            // Said again later, it is the same to the last byte: no clock in a status but that of the change.
            let stored = Compute { status: new.clone(), ..state.clone() };
            assert_eq!(report(&stored, &outcome, 300), (new, Worth::Nothing), "{outcome:?}");
        }
    }
}

#[test]
fn active_with_stage_error_cannot_be_written() {
    for outcome in outcomes() {
        let row = words(&outcome);
        let ready = row.ready == Some(Truth::True);
        assert_eq!(ready, row.aggregate == AggregateStatus::Active, "only Active is Ready");
        assert!(row.stage != Stage::Error || row.aggregate == AggregateStatus::Error);
        assert!(!(row.reconciling && row.stalled));
    }
}

#[test]
fn an_unseen_compute_is_in_progress_for_every_tool() {
    let unseen = Sim::new().compute.unwrap();
    assert_eq!(kstatus(&unseen.status, unseen.generation), "InProgress");
}

#[test]
fn the_conditions_of_others_are_carried_along_and_texts_are_bounded() {
    let mut compute = Sim::new().compute.unwrap();
    let theirs: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = serde_json::from_value(serde_json::json!({
        "type": "example.com/Audited", "status": "True", "reason": "Yes", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    compute.status.conditions.push(theirs.clone());
    compute.spec = Ok(spec("a"));
    let (new, _) = report(&compute, &Outcome::Active { info: "é".repeat(5000) }, 1);
    assert!(new.conditions.contains(&theirs));
    assert_eq!(new.builder_state.info.chars().count(), 1024);
}

#[test]
fn the_history_keeps_the_last_eight() {
    let mut compute = Sim::new().compute.unwrap();
    for round in 0..10 {
        for outcome in [
            Outcome::Active { info: String::new() },
            Outcome::FailedAfterBuild(Fault::new(Category::NoReadyNodes, "")),
        ] {
            compute.status = report(&compute, &outcome, round).0;
        }
    }
    let seqs: Vec<_> = compute.status.history.iter().map(|transition| transition.seq).collect();
    assert_eq!(seqs, (13..=20).collect::<Vec<_>>());
}

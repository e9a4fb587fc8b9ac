//! Events: on transitions alone, none on the straight way, each once.

use std::time::Duration;

use poros::api::status::{ComputeStatus, Transition, Users};
use poros::decide::events::{Event, events, name};
use poros::decide::manifest::Kind;
use poros::decide::observed::Proof;
use serde_json::json;

use crate::sim::{NAME, Sim};

const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(600);

/// The events of all statuses that were written so far, as Poros would tell them.
fn told(sim: &Sim) -> Vec<Event> {
    sim.written.iter().flat_map(|(compute, written)| events(&compute.status, written)).collect()
}

/// `Warning NoNodesMatch Watch`.
fn words(sim: &Sim) -> Vec<String> {
    let word = |event: &Event| {
        format!(
            "{} {} {}",
            if event.warning { "Warning" } else { "Normal" },
            event.reason.word(),
            event.action
        )
    };
    told(sim).iter().map(word).collect()
}

fn active() -> Sim {
    let mut sim = Sim::new();
    sim.settle(SOON);
    sim
}

#[test]
fn the_straight_way_to_active_and_an_edit_tell_nothing() {
    let mut sim = Sim::new();
    sim.nodes(0);
    sim.settle(SOON);
    sim.nodes(2);
    sim.settle(SOON);
    sim.edit(|compute| compute.spec.as_mut().unwrap().description = Some("new".into()));
    sim.settle(SOON);
    sim.edit(|compute| {
        compute.spec.as_mut().unwrap().node_pool.node_selector = [("pool".into(), "b".into())].into();
    });
    sim.settle(SOON);
    sim.users = Users { pods: 3, ..Users::default() };
    sim.settle(LATER);
    assert!(sim.written.len() >= 5, "there was something to be told: {}", sim.written.len());
    assert_eq!(words(&sim), [""; 0]);
}

#[test]
fn an_error_and_its_end_are_told_once() {
    let mut sim = active();
    sim.nodes(0);
    sim.settle(LATER);
    assert_eq!(words(&sim), ["Warning NoNodesMatch Watch"]);
    sim.nodes(2);
    sim.settle(LATER);
    assert_eq!(words(&sim), ["Warning NoNodesMatch Watch", "Normal Active Recover"]);
    sim.restart();
    sim.settle(LATER);
    assert_eq!(words(&sim).len(), 2, "a restart tells nothing anew");
}

#[test]
fn an_error_that_is_edited_away_is_told_to_be_over() {
    let mut sim = Sim::new();
    sim.edit(|compute| compute.spec.as_mut().unwrap().dataplane = Some("elsewhere".into()));
    sim.settle(SOON);
    sim.edit(|compute| compute.spec.as_mut().unwrap().dataplane = None);
    sim.settle(SOON);
    assert_eq!(words(&sim), ["Warning UnknownDataplane Validate", "Normal Active Recover"]);
}

#[test]
fn one_fault_after_another_is_news() {
    let mut sim = active();
    sim.nodes(0);
    sim.settle(LATER);
    sim.policies.missing = Some("it is absent".into());
    sim.policies.fingerprint = "policies-2".into();
    sim.settle(LATER);
    assert_eq!(words(&sim), ["Warning NoNodesMatch Watch", "Warning PolicyMissing Prove"]);
}

#[test]
fn a_drift_is_told_with_field_and_manager() {
    let mut sim = active();
    let child = sim.slot(Kind::Placement).as_mut().unwrap();
    child.spec["nodeSelector"] = json!({"rival": "1"});
    child.writers = vec![poros::decide::difference::Writer {
        manager: "kubectl-edit".into(),
        time: "2026-11-22T14:00:00Z".into(),
        fields: json!({"f:spec": {"f:nodeSelector": {"f:pool": {}, "f:rival": {}}}}),
    }];
    sim.settle(SOON);
    assert_eq!(words(&sim), ["Warning Drifted Repair"]);
    let note = &told(&sim)[0].note;
    assert!(note.contains("spec.nodeSelector") && note.contains("kubectl-edit"), "{note}");
}

#[test]
fn a_deletion_is_told_when_it_is_held_and_when_it_is_done() {
    let mut sim = active();
    sim.users = Users { pods: 1, examples: vec!["Pod/default/a".into()], ..Users::default() };
    sim.edit(|compute| compute.deleting = true);
    sim.settle(SOON);
    assert_eq!(words(&sim), ["Warning InUse Delete"]);
    sim.users = Users::default();
    sim.settle(SOON);
    assert_eq!(words(&sim), ["Warning InUse Delete", "Normal Deleted Delete"]);
}

#[test]
fn a_proof_that_is_blocked_is_told_when_it_counts() {
    let mut sim = Sim::new();
    sim.admission = Proof::Blocked("no quota".into());
    sim.settle(Duration::from_secs(20));
    assert_eq!(words(&sim), [""; 0], "within its grace it is a step of the way");
    sim.settle(LATER);
    assert_eq!(words(&sim), ["Warning ProofBlocked Prove"]);
}

#[test]
fn names_are_of_the_status_alone_and_none_is_used_twice() {
    let mut sim = active();
    for round in 0..4 {
        sim.nodes(0);
        sim.settle(LATER);
        sim.nodes(2);
        sim.settle(LATER);
        *sim.slot(if round % 2 == 0 { Kind::Placement } else { Kind::Binding }) = None;
        sim.settle(LATER);
    }
    let names: Vec<_> = told(&sim).iter().map(|event| name(NAME, "uid-1", event)).collect();
    assert!(names.len() >= 12, "{names:?}");
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    let again: Vec<_> = told(&sim).iter().map(|event| name(NAME, "uid-1", event)).collect();
    assert_eq!(again, names);
    let longest = Event { key: format!("{}.contended.{:x}", u64::MAX, i64::MAX), ..told(&sim)[0].clone() };
    let longest = name(&"a".repeat(48), "01234567-89ab-cdef-0123-456789abcdef", &longest);
    assert!(longest.len() <= 253, "{longest}");
}

#[test]
fn a_note_is_bounded_by_bytes() {
    let before = ComputeStatus::default();
    let transition: Transition = serde_json::from_value(json!({
        "seq": 1, "to": "error", "stage": "error", "reason": "NameTaken", "message": "é".repeat(1024),
        "time": "2026-11-22T14:00:00Z",
    }))
    .unwrap();
    let after = ComputeStatus { transition_seq: 1, history: vec![transition], ..ComputeStatus::default() };
    let note = &events(&before, &after)[0].note;
    assert!(note.len() <= 1024 && note.len() > 1000 && note.ends_with('…'), "{} bytes", note.len());
}

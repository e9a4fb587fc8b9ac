//! Plans: same facts, same plan; carried out once, nothing is left; revisions are numbers of contents.

use std::time::Duration;

use poros::api::names::ANNOTATION_OWNER_UID;
use poros::api::status::{AggregateStatus, PlacementMode, Stage};
use poros::decide::manifest::Kind;
use poros::decide::mode::Admission;
use poros::decide::observed::Proof;
use poros::decide::truth::Outcome;
use serde_json::json;

use crate::sim::{Sim, foreign, spec};

const SOON: Duration = Duration::from_secs(5);

fn active() -> Sim {
    let mut sim = Sim::new();
    let verdict = sim.settle(SOON).unwrap();
    assert!(matches!(verdict.outcome, Outcome::Active { .. }), "{verdict:?}");
    sim
}

fn revision(sim: &Sim) -> u64 {
    sim.placement.as_ref().unwrap().spec["revision"].as_u64().unwrap()
}

fn said(sim: &Sim) -> (AggregateStatus, Stage, String) {
    let status = &sim.compute.as_ref().unwrap().status;
    let reason = status.history.last().map(|last| last.reason.clone()).unwrap_or_default();
    (status.aggregate_status, status.builder_state.stage, reason)
}

#[test]
fn a_new_compute_costs_two_children_and_two_statuses() {
    let sim = active();
    assert_eq!(sim.writes, 4);
    assert_eq!(sim.written.len(), 2);
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let mut sim = active();
    sim.restart();
    sim.writes = 0;
    sim.settle(Duration::from_secs(3600));
    assert_eq!(sim.writes, 0);
}

#[test]
fn an_edit_of_a_description_is_one_write() {
    let mut sim = active();
    sim.writes = 0;
    sim.edit(|compute| compute.spec.as_mut().unwrap().description = Some("new".into()));
    sim.settle(SOON);
    assert_eq!((sim.writes, revision(&sim)), (1, 1));
}

#[test]
fn an_edit_of_the_pool_gets_a_new_number_and_going_back_the_old_one() {
    let mut sim = active();
    sim.writes = 0;
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    sim.settle(SOON);
    assert_eq!((sim.writes, revision(&sim)), (3, 2), "one child and two statuses");
    sim.edit(|compute| compute.spec = Ok(spec("a")));
    sim.settle(SOON);
    assert_eq!(revision(&sim), 1, "the number of content that has one");
    sim.edit(|compute| compute.spec = Ok(spec("c")));
    sim.settle(SOON);
    assert_eq!(revision(&sim), 3, "a number once used is never given to other content");
}

#[test]
fn an_edit_that_fails_its_proof_is_taken_back() {
    let mut sim = active();
    sim.admission = Proof::Mismatch("spec.tolerations: stripped".into());
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    sim.settle(Duration::from_secs(2));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Error, "ProofMismatch".into()));
    assert_eq!(revision(&sim), 1, "what was proven last is in force");
    assert!(sim.binding.is_some());
    sim.admission = Proof::Proven;
    sim.settle(Duration::from_secs(20));
    assert_eq!(said(&sim).0, AggregateStatus::Active, "it is tried again");
    assert_eq!(sim.placement.as_ref().unwrap().spec["nodeSelector"], json!({"pool": "b"}));
}

#[test]
fn a_first_build_that_fails_its_proof_is_withdrawn() {
    let mut sim = Sim::new();
    sim.admission = Proof::Mismatch("spec.tolerations: stripped".into());
    sim.settle(Duration::from_secs(3));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Error, "ProofMismatch".into()));
    assert!(sim.binding.is_none(), "nothing is in force, so pods are refused");
    sim.restart();
    sim.settle(Duration::from_secs(3));
    assert_eq!(said(&sim).2, "ProofMismatch", "also after a restart");
    sim.admission = Proof::Proven;
    sim.settle(Duration::from_secs(20));
    assert_eq!(said(&sim).0, AggregateStatus::Active);
}

#[test]
fn a_spec_that_cannot_be_built_leaves_in_force_what_was() {
    let mut sim = active();
    sim.edit(|compute| compute.spec.as_mut().unwrap().dataplane = Some("elsewhere".into()));
    sim.settle(SOON);
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Error, "UnknownDataplane".into()));
    assert_eq!(revision(&sim), 1);
    sim.binding = None;
    sim.settle(SOON);
    assert!(sim.binding.is_some(), "and is kept so");
    sim.edit(|compute| compute.spec = Err("spec: unknown variant".into()));
    sim.settle(SOON);
    assert_eq!(said(&sim).2, "Undecodable");
    assert!(sim.binding.is_some());
    sim.edit(|compute| compute.spec = Ok(spec("a")));
    sim.settle(SOON);
    assert_eq!(said(&sim).0, AggregateStatus::Active);
}

#[test]
fn a_child_changed_or_removed_is_repaired_without_leaving_active() {
    for kind in [Kind::Placement, Kind::Binding] {
        for removed in [true, false] {
            let mut sim = active();
            let seq = sim.compute.as_ref().unwrap().status.transition_seq;
            if removed {
                *sim.slot(kind) = None;
            } else {
                sim.slot(kind).as_mut().unwrap().spec["nodeSelector"] = json!({"rival": "1"});
            }
            sim.settle(SOON);
            let status = &sim.compute.as_ref().unwrap().status;
            assert_eq!(
                (status.aggregate_status, status.transition_seq),
                (AggregateStatus::Active, seq),
                "{kind:?}"
            );
            assert!(!status.conditions.iter().any(|condition| condition.type_ == "Drifted"), "it is over");
            assert_eq!(revision(&sim), 1, "the same content, the same number");
            let drifted =
                sim.written.iter().any(|(_, status)| status.conditions.iter().any(|c| c.type_ == "Drifted"));
            assert!(drifted, "it was said while it lasted");
        }
    }
}

#[test]
fn a_foreign_object_is_left_alone_and_said() {
    for kind in [Kind::Placement, Kind::Binding] {
        let mut sim = Sim::new();
        *sim.slot(kind) = Some(foreign(kind));
        sim.settle(SOON);
        assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Error, "NameTaken".into()), "{kind:?}");
        assert_eq!(*sim.slot(kind), Some(foreign(kind)));
        *sim.slot(kind) = None;
        sim.settle(Duration::from_secs(600));
        assert_eq!(said(&sim).0, AggregateStatus::Active);

        let mut sim = active();
        *sim.slot(kind) = Some(foreign(kind));
        sim.settle(SOON);
        assert_eq!(
            said(&sim),
            (AggregateStatus::Error, Stage::Building, "NameTaken".into()),
            "it was proven before"
        );
    }
}

#[test]
fn a_child_of_a_dead_incarnation_is_replaced() {
    let mut sim = active();
    let mut again = Sim::new();
    again.compute.as_mut().unwrap().uid = "uid-2".into();
    (again.placement, again.binding) = (sim.placement.take(), sim.binding.take());
    again.settle(SOON);
    let new = again.placement.clone().unwrap();
    assert_eq!(new.annotations[ANNOTATION_OWNER_UID], "uid-2");
    assert_eq!(said(&again).0, AggregateStatus::Active);
}

#[test]
fn deletion_waits_for_users_closed_and_leaves_nothing() {
    // A workload that names it holds it as well as a pod does, also while it runs none.
    for (pods, workloads) in [(1, 0), (0, 1), (2, 3)] {
        let mut sim = active();
        (sim.users.pods, sim.users.workloads) = (pods, workloads);
        sim.edit(|compute| compute.deleting = true);
        sim.settle(SOON);
        assert_eq!(said(&sim), (AggregateStatus::Deleting, Stage::Building, "InUse".into()));
        assert_eq!(sim.placement.as_ref().unwrap().spec["closed"], true);
        (sim.users.pods, sim.users.workloads) = (0, 0);
        sim.settle(SOON);
        assert!(sim.compute.is_none() && sim.placement.is_none() && sim.binding.is_none());
        let (_, last) = sim.written.last().unwrap();
        assert_eq!(
            (last.aggregate_status, last.builder_state.stage),
            (AggregateStatus::Deleted, Stage::Built)
        );
    }
}

const WEBHOOK: Admission = Admission { mode: PlacementMode::Webhook, binds: false };

fn summary(sim: &Sim) -> String {
    sim.compute.as_ref().unwrap().status.builder_state.summary.clone()
}

#[test]
fn by_webhook_a_compute_costs_one_child_and_the_placement_says_what_is_in_force() {
    let mut sim = Sim::new();
    sim.mode = WEBHOOK;
    sim.settle(SOON);
    assert_eq!((sim.writes, summary(&sim), sim.binding.is_none()), (3, "1/1".into(), true));
    assert!(sim.in_force());
    // An edit that fails its proof is put back.
    sim.admission = Proof::Mismatch("spec.tolerations: stripped".into());
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    sim.settle(SOON);
    assert_eq!((revision(&sim), said(&sim).2), (1, "ProofMismatch".into()));
    assert!(sim.in_force());

    // One that was never proven is withdrawn, stays so over a restart, and comes back under its number.
    let mut sim = Sim::new();
    (sim.mode, sim.admission) = (WEBHOOK, Proof::Mismatch("spec.tolerations: stripped".into()));
    sim.settle(Duration::from_secs(3));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Error, "ProofMismatch".into()));
    assert_eq!((sim.placement.as_ref().unwrap().spec["withdrawn"] == true, sim.in_force()), (true, false));
    let info = |sim: &Sim| sim.compute.as_ref().unwrap().status.builder_state.info.clone();
    assert!(info(&sim).ends_with("pods that name this Compute are refused"), "{}", info(&sim));
    sim.restart();
    (sim.writes, sim.admission) = (0, Proof::Proven);
    sim.pass().ok().unwrap();
    assert_eq!((sim.writes, sim.in_force()), (0, false), "not before it is due to be tried again");
    sim.settle(Duration::from_secs(600));
    assert_eq!((said(&sim).0, revision(&sim), sim.in_force()), (AggregateStatus::Active, 1, true));
}

#[test]
fn another_mode_is_told_and_proven_and_is_nobodys_drift() {
    let mut sim = active();
    let seq = sim.compute.as_ref().unwrap().status.transition_seq;
    let both = |binds| Admission { mode: PlacementMode::Both, binds };
    for (mode, expect) in
        [(both(false), "1/1"), (WEBHOOK, "1/1"), (both(true), "2/2"), (Admission::default(), "2/2")]
    {
        (sim.writes, sim.mode) = (0, mode);
        if mode == WEBHOOK {
            // Meanwhile the binding went with the API server that had it.
            sim.binding = None;
        }
        sim.settle(SOON);
        let status = sim.compute.as_ref().unwrap().status.clone();
        assert_eq!((said(&sim).0, summary(&sim).as_str()), (AggregateStatus::Active, expect));
        assert_eq!(status.placement.as_ref().unwrap().mode, mode.mode);
        assert_eq!(status.transition_seq, seq, "{:?}", status.history);
        assert!(status.condition("Drifted").is_none());
        assert!(sim.writes <= 3, "two statuses, and a binding that is new: {}", sim.writes);
    }
    let drifted = sim.written.iter().any(|(_, status)| status.condition("Drifted").is_some());
    assert!(!drifted);
}

#[test]
fn a_paused_compute_is_said_to_be_so_once_whatever_it_was() {
    let unseen = Sim::new();
    let mut pending = Sim::new();
    pending.nodes(0);
    pending.settle(SOON);
    let mut failed = active();
    failed.edit(|compute| compute.spec.as_mut().unwrap().dataplane = Some("elsewhere".into()));
    failed.settle(SOON);
    for mut sim in [unseen, pending, failed, active()] {
        let before = sim.compute.as_ref().unwrap().status.clone();
        sim.edit(|compute| compute.paused = true);
        sim.writes = 0;
        for _ in 0..5 {
            sim.nodes(1);
            sim.pass().ok().unwrap();
            sim.wait(SOON);
        }
        let after = sim.compute.as_ref().unwrap().status.clone();
        assert_eq!(sim.writes, 1, "the status that says so: {after:?}");
        assert_eq!(after.condition("Paused").map(|paused| paused.status.as_str()), Some("True"));
        assert_eq!(after.aggregate_status, before.aggregate_status);
        assert_eq!(after.transition_seq, before.transition_seq.max(1), "{:?}", after.history);
    }
}

#[test]
fn a_pool_fault_counts_after_its_grace_and_is_over_after_it() {
    let mut sim = active();
    sim.nodes(0);
    sim.pass().ok().unwrap();
    assert_eq!(said(&sim).0, AggregateStatus::Active, "within the grace");
    sim.settle(Duration::from_secs(11));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Building, "NoNodesMatch".into()));
    sim.nodes(1);
    sim.pass().ok().unwrap();
    assert_eq!(said(&sim).0, AggregateStatus::Error, "within the grace");
    sim.settle(Duration::from_secs(11));
    assert_eq!(said(&sim).0, AggregateStatus::Active);
}

#[test]
fn more_or_fewer_nodes_than_asked_for_by_an_edit_need_no_grace() {
    let mut sim = active();
    let ask = |sim: &mut Sim, nodes: u32| {
        sim.edit(|compute| compute.spec.as_mut().unwrap().node_pool.min_ready_nodes = nodes);
        sim.pass().ok().unwrap();
        said(sim)
    };
    assert_eq!(ask(&mut sim, 5), (AggregateStatus::Error, Stage::Building, "NoReadyNodes".into()));
    assert_eq!(
        ask(&mut sim, 1).0,
        AggregateStatus::Active,
        "the words would speak of what is asked for no more"
    );
}

#[test]
fn an_edit_of_something_else_does_not_cut_the_grace() {
    let mut sim = active();
    let describe = |sim: &mut Sim, words: &str| {
        sim.wait(SOON);
        sim.edit(|compute| compute.spec.as_mut().unwrap().description = Some(words.into()));
        sim.pass().ok().unwrap();
        let status = &sim.compute.as_ref().unwrap().status;
        assert_eq!(status.observed_generation, sim.compute.as_ref().unwrap().generation);
        said(sim).0
    };
    sim.nodes(0);
    sim.pass().ok().unwrap();
    assert_eq!(describe(&mut sim, "a blip"), AggregateStatus::Active);
    sim.settle(Duration::from_secs(11));
    assert_eq!(said(&sim).0, AggregateStatus::Error, "no blip");
    sim.nodes(2);
    sim.pass().ok().unwrap();
    assert_eq!(describe(&mut sim, "back for a moment"), AggregateStatus::Error);
    // What an edit asks for is judged at once.
    sim.edit(|compute| compute.spec.as_mut().unwrap().node_pool.min_ready_nodes = 2);
    sim.pass().ok().unwrap();
    assert_eq!(said(&sim).0, AggregateStatus::Active);
    // And a blip after it has its grace again.
    sim.nodes(1);
    sim.pass().ok().unwrap();
    assert_eq!(said(&sim).0, AggregateStatus::Active);
    sim.settle(Duration::from_secs(11));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Building, "NoReadyNodes".into()));
}

#[test]
fn a_pool_that_never_comes_is_an_error_after_the_deadline() {
    let mut sim = Sim::new();
    sim.nodes(0);
    sim.settle(Duration::from_secs(200));
    assert_eq!(said(&sim), (AggregateStatus::Pending, Stage::Building, "AwaitingPool".into()));
    sim.settle(Duration::from_secs(200));
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Building, "NoNodesMatch".into()));
}

#[test]
fn a_rival_gets_few_repairs_and_a_name() {
    let mut sim = active();
    sim.writes = 0;
    for _ in 0..600 {
        if let Some(binding) = &mut sim.binding {
            binding.spec["paramRef"] = json!({"name": "rival"});
        }
        sim.pass().ok().unwrap();
        sim.wait(Duration::from_millis(100));
    }
    assert_eq!(said(&sim), (AggregateStatus::Error, Stage::Building, "Contended".into()));
    assert!(
        sim.writes <= 3 + 7 + 6,
        "3 repairs, then one each 10 s of the minute, and a few statuses: {}",
        sim.writes
    );
    sim.settle(Duration::from_secs(120));
    assert_eq!(said(&sim).0, AggregateStatus::Active, "60 s of quiet");
}

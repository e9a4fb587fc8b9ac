//! Anything in any order, with kills at any write: in the end, what is wanted stands, and no status ever lied.

use std::collections::HashMap;
use std::time::Duration;

use poros::api::status::{AggregateStatus, PlacementMode, Stage};
use poros::decide::manifest::Kind;
use poros::decide::mode::Admission;
use poros::decide::observed::{Overlap, Proof};
use proptest::prelude::*;
use serde_json::json;

use crate::sim::{Sim, foreign, spec};

#[derive(Clone, Debug)]
enum Event {
    Pool(u8),
    Describe(u8),
    Elsewhere,
    Undecodable,
    Servers(Option<usize>),
    Paused(bool),
    Nodes(u32),
    Pods(u32),
    Workloads(u32),
    Overlap(bool),
    Stripping(bool),
    Blocked(bool),
    PolicyMissing(bool),
    PolicyChanged(u8),
    RemoveChild(bool),
    ChangeChild(bool),
    ForeignChild(bool),
    HeldChild(bool),
    Unfinalised,
    KillAfter(u32),
    Mode(PlacementMode, bool),
    Restart,
    Pass,
    Wait(u16),
    Settle(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3u8).prop_map(Event::Pool),
        1 => (0..2u8).prop_map(Event::Describe),
        1 => Just(Event::Elsewhere),
        1 => Just(Event::Undecodable),
        1 => prop::option::of(0..4usize).prop_map(Event::Servers),
        1 => any::<bool>().prop_map(Event::Paused),
        2 => (0..3u32).prop_map(Event::Nodes),
        1 => (0..2u32).prop_map(Event::Pods),
        1 => (0..2u32).prop_map(Event::Workloads),
        1 => any::<bool>().prop_map(Event::Overlap),
        2 => any::<bool>().prop_map(Event::Stripping),
        1 => any::<bool>().prop_map(Event::Blocked),
        1 => any::<bool>().prop_map(Event::PolicyMissing),
        1 => (0..2u8).prop_map(Event::PolicyChanged),
        2 => any::<bool>().prop_map(Event::RemoveChild),
        2 => any::<bool>().prop_map(Event::ChangeChild),
        1 => any::<bool>().prop_map(Event::ForeignChild),
        1 => any::<bool>().prop_map(Event::HeldChild),
        1 => Just(Event::Unfinalised),
        3 => (0..4u32).prop_map(Event::KillAfter),
        2 => mode().prop_map(|(mode, binds)| Event::Mode(mode, binds)),
        1 => Just(Event::Restart),
        4 => Just(Event::Pass),
        3 => (0..20_000u16).prop_map(Event::Wait),
        3 => (0..400u16).prop_map(Event::Settle),
    ]
}

fn mode() -> impl Strategy<Value = (PlacementMode, bool)> {
    prop_oneof![
        Just((PlacementMode::Policy, true)),
        Just((PlacementMode::Both, true)),
        Just((PlacementMode::Both, false)),
        Just((PlacementMode::Webhook, false)),
    ]
}

fn child(placement: bool) -> Kind {
    if placement { Kind::Placement } else { Kind::Binding }
}

fn happen(sim: &mut Sim, event: &Event) {
    match event {
        Event::Pool(pool) => sim.edit(|compute| compute.spec = Ok(spec(["a", "b", "c"][usize::from(*pool)]))),
        Event::Describe(text) => sim.edit(|compute| {
            if let Ok(spec) = &mut compute.spec {
                spec.description = Some(text.to_string());
            }
        }),
        Event::Elsewhere => sim.edit(|compute| {
            if let Ok(spec) = &mut compute.spec {
                spec.dataplane = Some("elsewhere".into());
            }
        }),
        Event::Undecodable => sim.edit(|compute| compute.spec = Err("spec: it is not one".into())),
        Event::Servers(servers) => sim.api_servers = *servers,
        Event::Paused(paused) => sim.edit(|compute| compute.paused = *paused),
        Event::Nodes(nodes) => sim.nodes(*nodes),
        Event::Pods(pods) => sim.users.pods = *pods,
        Event::Workloads(workloads) => sim.users.workloads = *workloads,
        Event::Overlap(overlaps) => {
            let other = || Overlap { names: vec!["other".into()], more: 0, nodes: Some(1) };
            sim.pool.overlap = overlaps.then(other);
        }
        Event::Stripping(true) => sim.admission = Proof::Mismatch("spec.tolerations: stripped".into()),
        Event::Blocked(true) => sim.admission = Proof::Blocked("exceeded quota".into()),
        Event::Stripping(false) | Event::Blocked(false) => sim.admission = Proof::Proven,
        Event::PolicyMissing(missing) => sim.policies.missing = missing.then(|| "placement is absent".into()),
        Event::PolicyChanged(version) => sim.policies.fingerprint = format!("policies-{version}").into(),
        Event::RemoveChild(placement) => *sim.slot(child(*placement)) = None,
        Event::ChangeChild(placement) => {
            if let Some(child) = sim.slot(child(*placement)) {
                child.spec["closed"] = json!("rival");
            }
        }
        Event::ForeignChild(placement) => *sim.slot(child(*placement)) = Some(foreign(child(*placement))),
        Event::HeldChild(placement) => {
            if let Some(child) = sim.slot(child(*placement)) {
                child.deleting = true;
            }
        }
        Event::Unfinalised => sim.edit(|compute| compute.finalizers.clear()),
        Event::KillAfter(writes) => sim.kill_after = Some(*writes),
        Event::Mode(mode, binds) => sim.mode = Admission { mode: *mode, binds: *binds },
        Event::Restart => sim.restart(),
        Event::Pass => drop(sim.pass()),
        Event::Wait(milliseconds) => sim.wait(Duration::from_millis(u64::from(*milliseconds))),
        Event::Settle(seconds) => drop(sim.settle(Duration::from_secs(u64::from(*seconds)))),
    }
}

/// Takes away all that is wrong. Foreign objects are removed by who made them.
fn heal(sim: &mut Sim) {
    sim.kill_after = None;
    sim.admission = Proof::Proven;
    sim.policies.missing = None;
    sim.nodes(2);
    (sim.users.pods, sim.users.workloads) = (0, 0);
    for kind in [Kind::Placement, Kind::Binding] {
        if sim.slot(kind).as_ref().is_some_and(|child| child.uid == "foreign" || child.deleting) {
            *sim.slot(kind) = None;
        }
    }
    sim.edit(|compute| {
        compute.paused = false;
        compute.spec = Ok(spec("final"));
    });
}

/// What must hold of every status ever written, and of every number ever given.
fn check_road(sim: &Sim) {
    let mut last_seq = 0;
    for (compute, status) in &sim.written {
        let word = (status.aggregate_status, status.builder_state.stage);
        assert!(
            status.transition_seq == last_seq || status.transition_seq == last_seq + 1,
            "a gap in {status:?}"
        );
        last_seq = status.transition_seq;
        let ready = status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        assert_eq!(ready, word.0 == AggregateStatus::Active);
        assert!(word.1 != Stage::Error || word.0 == AggregateStatus::Error);
        assert!(
            status.builder_state.number_of_processed_resources
                <= status.builder_state.number_of_wanted_resources
                || word.0 == AggregateStatus::Deleting
        );
        let paused = status.conditions.iter().any(|c| c.type_ == "Paused");
        assert!(paused || status.observed_generation == compute.generation);
        let state = &status.builder_state;
        let whole = state.number_of_processed_resources == state.number_of_wanted_resources;
        let said = status.conditions.iter().any(|c| ["Drifted", "Contended"].contains(&c.type_.as_str()));
        assert!(
            word.0 != AggregateStatus::Active || whole || said || paused,
            "active with an object that is not in place: {status:?}"
        );
        if word.0 == AggregateStatus::Active && !paused {
            let placement = status.placement.as_ref().unwrap();
            let blocked = status
                .conditions
                .iter()
                .any(|c| c.type_ == "PlacementVerified" && c.reason == "ProofBlocked");
            assert!(
                blocked || placement.proven_revision == Some(placement.revision),
                "active without a proof: {status:?}"
            );
        }
    }
    let mut numbers = HashMap::new();
    for (revision, content) in &sim.contents {
        let known = numbers.entry(revision).or_insert(content);
        assert_eq!(*known, content, "revision {revision} was given to two contents");
    }
}

/// Once found by the model below: the number of a foreign Placement is nobody's, also where Poros gave the same one.
#[test]
fn a_foreign_placement_with_the_number_of_ours_says_nothing_of_that_number() {
    let mut sim = Sim::new();
    sim.settle(Duration::from_secs(60));
    happen(&mut sim, &Event::Pool(1));
    sim.settle(Duration::from_secs(60));
    let ours = sim.placement.clone().unwrap().spec;
    assert_eq!((&ours["revision"], &ours["nodeSelector"]), (&json!(2), &json!({"pool": "b"})));
    happen(&mut sim, &Event::ForeignChild(true));
    assert_eq!(sim.placement.as_ref().unwrap().spec["revision"], ours["revision"]);
    let verdict = sim.settle(Duration::from_secs(60)).unwrap();
    assert_eq!(verdict.outcome.reason().word(), "NameTaken");
    // An edit meanwhile gets a number of its own once there is room for it.
    happen(&mut sim, &Event::Pool(2));
    sim.settle(Duration::from_secs(60));
    happen(&mut sim, &Event::RemoveChild(true));
    sim.settle(Duration::from_secs(60));
    let ours = sim.placement.clone().unwrap().spec;
    assert_eq!((&ours["revision"], &ours["nodeSelector"]), (&json!(3), &json!({"pool": "c"})));
    check_road(&sim);
}

/// Found by the model below, with longer roads: what is in force was never proven (its proof is blocked), and an edit back to
/// what was cannot be written yet. The new generation is not active by what is said of the old one.
#[test]
fn an_edit_back_to_proven_content_that_waits_is_not_active() {
    let mut sim = Sim::new();
    sim.settle(Duration::from_secs(2));
    happen(&mut sim, &Event::Blocked(true));
    happen(&mut sim, &Event::Pool(1));
    let verdict = sim.settle(Duration::from_secs(31)).unwrap();
    assert_eq!(verdict.outcome.reason().word(), "Active");
    happen(&mut sim, &Event::HeldChild(true));
    happen(&mut sim, &Event::Pool(0));
    happen(&mut sim, &Event::Pass);
    let status = &sim.compute.as_ref().unwrap().status;
    assert_eq!(status.aggregate_status, AggregateStatus::Pending, "{status:?}");
    check_road(&sim);
    happen(&mut sim, &Event::RemoveChild(true));
    sim.settle(Duration::from_secs(60));
    let (status, placement) = (&sim.compute.as_ref().unwrap().status, sim.placement.as_ref().unwrap());
    assert_eq!(status.aggregate_status, AggregateStatus::Active);
    assert_eq!(
        (&placement.spec["revision"], &placement.spec["nodeSelector"]),
        (&json!(1), &json!({"pool": "a"}))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_converges_and_never_lies(events in prop::collection::vec(event(), 0..40)) {
        let mut sim = Sim::new();
        for event in &events {
            happen(&mut sim, event);
        }
        heal(&mut sim);
        sim.settle(Duration::from_secs(900));
        let compute = sim.compute.clone().unwrap();
        let placement = sim.placement.clone().unwrap();
        prop_assert_eq!(compute.status.aggregate_status, AggregateStatus::Active, "{:?}", compute.status);
        prop_assert_eq!(&placement.spec["nodeSelector"], &json!({"pool": "final"}));
        prop_assert_eq!(&placement.spec["closed"], &json!(false));
        prop_assert!(sim.binding.is_some() || !sim.mode.binds);
        prop_assert!(sim.in_force());
        let wanted = if sim.mode.binds { 2 } else { 1 };
        prop_assert_eq!(compute.status.builder_state.number_of_wanted_resources, wanted);
        prop_assert_eq!(compute.status.placement.map(|placement| placement.mode), Some(sim.mode.mode));
        prop_assert_eq!(compute.finalizers.len(), 1);
        check_road(&sim);

        // Converged: the same plan again is no plan at all, also after a restart.
        sim.writes = 0;
        sim.settle(Duration::from_secs(120));
        sim.restart();
        sim.settle(Duration::from_secs(120));
        prop_assert_eq!(sim.writes, 0);

        sim.edit(|compute| compute.deleting = true);
        sim.settle(Duration::from_secs(120));
        prop_assert!(sim.compute.is_none() && sim.placement.is_none());
        prop_assert!(sim.binding.is_none() || !sim.mode.binds);
    }
}

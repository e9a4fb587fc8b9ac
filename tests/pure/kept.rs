//! What is in force stays in force, and what is proven is proven: whoever dies in between, and whatever people edit.

use std::time::Duration;

use poros::api::status::{AggregateStatus, ComputeStatus};
use poros::decide::fault::{Category, Fault};
use poros::decide::observed::Proof;
use poros::decide::verdict::Verified;

use crate::sim::{Sim, spec};

const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(300);

fn stored(sim: &Sim) -> &ComputeStatus {
    &sim.compute.as_ref().unwrap().status
}

fn info(sim: &Sim) -> &str {
    &stored(sim).builder_state.info
}

fn reason(sim: &Sim) -> &str {
    &stored(sim).condition("Ready").unwrap().reason
}

fn blocked() -> Proof {
    Proof::Blocked("exceeded quota".into())
}

/// Active, though its proof could never be made.
fn unproven() -> Sim {
    let mut sim = Sim::new();
    sim.admission = blocked();
    sim.settle(Duration::from_secs(60));
    assert_eq!(stored(&sim).aggregate_status, AggregateStatus::Active);
    assert_eq!(stored(&sim).condition("PlacementVerified").unwrap().status, "Unknown");
    assert!(sim.in_force());
    sim
}

/// A spec that cannot be built.
fn misdirect(sim: &mut Sim) {
    sim.edit(|compute| compute.spec.as_mut().unwrap().dataplane = Some("elsewhere".into()));
}

#[test]
fn what_is_in_force_without_a_proof_outlasts_a_spec_that_cannot_be_built() {
    let mut sim = unproven();
    misdirect(&mut sim);
    for round in 0..4 {
        sim.settle(LATER);
        assert_eq!(reason(&sim), "UnknownDataplane");
        assert!(info(&sim).ends_with("; revision 1 stays in force"), "{}", info(&sim));
        assert!(sim.in_force(), "round {round}");
        if round % 2 == 0 {
            sim.restart();
        } else {
            // Another spec that cannot be built.
            sim.edit(|compute| compute.spec.as_mut().unwrap().description = Some("words".into()));
        }
    }
    // Mended: as before, and under the same number.
    sim.edit(|compute| compute.spec = Ok(spec("a")));
    sim.settle(LATER);
    assert_eq!(
        (stored(&sim).aggregate_status, info(&sim).split(',').next()),
        (AggregateStatus::Active, Some("revision 1 is in force"))
    );
}

#[test]
fn what_is_in_force_without_a_proof_ends_when_its_proof_fails() {
    let mut sim = unproven();
    misdirect(&mut sim);
    sim.settle(SOON);
    assert!(sim.in_force());
    sim.admission = Proof::Mismatch("spec.nodeSelector[pool]: expected \"a\", found none".into());
    sim.settle(LATER);
    assert!(!sim.in_force(), "{}", info(&sim));
    assert!(
        info(&sim).ends_with("nothing is in force: pods that name this Compute are refused"),
        "{}",
        info(&sim)
    );
    sim.restart();
    sim.settle(LATER);
    assert!(!sim.in_force());
}

#[test]
fn a_proof_that_failed_before_it_could_not_be_made_ends_nothing() {
    for edited in [false, true] {
        // Accepted as active, and as built though its pool never came.
        for nodes in [2, 0] {
            for restarts in [false, true] {
                let mut sim = Sim::new();
                if edited {
                    sim.settle(SOON);
                    sim.edit(|compute| compute.spec = Ok(spec("b")));
                }
                sim.nodes(nodes);
                sim.admission = Proof::Mismatch("spec.nodeSelector[pool]: found none".into());
                sim.settle(SOON);
                assert_eq!(reason(&sim), "ProofMismatch");
                sim.admission = blocked();
                sim.settle(2 * LATER);
                let expect = if nodes == 0 { AggregateStatus::Error } else { AggregateStatus::Active };
                assert_eq!(stored(&sim).aggregate_status, expect, "{}", info(&sim));
                let revision = stored(&sim).placement.as_ref().unwrap().revision;
                assert!(sim.in_force());
                if restarts {
                    sim.restart();
                }
                misdirect(&mut sim);
                sim.settle(LATER);
                assert_eq!(reason(&sim), "UnknownDataplane");
                assert!(
                    info(&sim).ends_with(&format!("; revision {revision} stays in force")),
                    "edited: {edited}, {nodes} nodes, restarts: {restarts}: {}",
                    info(&sim)
                );
                let pool = if edited { "b" } else { "a" };
                assert_eq!(sim.placement.as_ref().unwrap().spec["nodeSelector"]["pool"], pool);
                assert!(sim.in_force());
            }
        }
    }
}

#[test]
fn what_was_never_in_force_by_the_status_is_refused_when_the_spec_cannot_be_built() {
    let mut pending = Sim::new();
    pending.admission = blocked();
    pending.settle(Duration::from_secs(5));
    assert_eq!(stored(&pending).aggregate_status, AggregateStatus::Pending);
    misdirect(&mut pending);
    pending.settle(LATER);
    assert!(!pending.in_force());

    // Also where it could not be withdrawn at first: that it still stands says nothing.
    let mut refused = Sim::new();
    refused.admission = blocked();
    refused.settle(Duration::from_secs(5));
    refused.refusal = Some(Fault::new(Category::ApplyFailed, "etcd is full"));
    misdirect(&mut refused);
    refused.settle(SOON);
    assert_eq!((reason(&refused), refused.in_force()), ("UnknownDataplane", true));
    refused.refusal = None;
    refused.settle(LATER);
    assert!(!refused.in_force(), "{}", info(&refused));
}

#[test]
fn an_edit_that_fails_its_proof_is_told_in_one_write_with_what_stays_in_force() {
    let mut sim = Sim::new();
    sim.settle(SOON);
    sim.admission = Proof::Mismatch("spec.nodeSelector[pool]: expected \"b\", found none".into());
    sim.edit(|compute| compute.spec = Ok(spec("b")));
    let before = sim.written.len();
    sim.settle(SOON);
    let told: Vec<_> = sim.written[before..]
        .iter()
        .map(|(_, status)| status)
        .filter(|status| status.aggregate_status == AggregateStatus::Error)
        .collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].builder_state.info.ends_with("; revision 1 stays in force"),
        "{}",
        told[0].builder_state.info
    );
    assert!(sim.in_force());
}

#[test]
fn what_is_spoilt_after_it_was_proven_is_proven_no_more() {
    let mut sim = Sim::new();
    sim.settle(SOON);
    sim.admission = Proof::Mismatch("spec.nodeSelector[pool]: expected \"a\", found none".into());
    sim.binding = None;
    sim.settle(SOON);
    assert!(!sim.in_force());
    assert_eq!(stored(&sim).placement.as_ref().unwrap().proven_revision, None);
}

#[test]
fn a_repair_whose_leader_died_is_proven_by_the_next_one() {
    for spoilt in [false, true] {
        let mut sim = Sim::new();
        sim.settle(SOON);
        sim.placement.as_mut().unwrap().spec["nodeSelector"] = serde_json::json!({"pool": "rival"});
        let (verdict, _) = sim.pass().ok().unwrap().unwrap();
        assert!(matches!(verdict.verified, Verified::Pending(_)), "repaired, and not proven yet");
        assert!(stored(&sim).condition("Drifted").is_some());
        sim.restart();
        if spoilt {
            sim.admission = Proof::Mismatch("spec.nodeSelector[pool]: expected \"a\", found none".into());
        }
        let (verdict, wake) = sim.pass().ok().unwrap().unwrap();
        assert!(matches!(verdict.verified, Verified::Pending(_)), "{:?}", verdict.verified);
        assert!(wake.is_some() && stored(&sim).condition("Drifted").is_some(), "until it is proven");
        let verdict = sim.settle(SOON).unwrap();
        if spoilt {
            assert_eq!(reason(&sim), "ProofMismatch");
        } else {
            assert_eq!(verdict.verified, Verified::Newly);
            assert_eq!(stored(&sim).condition("Drifted"), None);
            // And no more than that.
            sim.restart();
            assert_eq!(sim.settle(SOON).unwrap().verified, Verified::Standing);
        }
    }
}

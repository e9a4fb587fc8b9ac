//! The table of faults against the rules: each fault is caused, and the status says what the table claims.

use std::time::Duration;

use poros::api::status::{AggregateStatus, ComputeStatus, Stage};
use poros::decide::fault::{Blame, Category, Fault};
use poros::decide::manifest::Kind;
use poros::decide::observed::Proof;

use crate::sim::{Sim, foreign};

const LONG: Duration = Duration::from_secs(400);

/// Causes a fault. `proven` says whether the desired revision was proven before.
fn cause(sim: &mut Sim, category: Category, proven: bool) {
    let broken = |sim: &mut Sim, category, text: &str| {
        sim.refusal = Some(Fault::new(category, text));
        // Something must be written for a refusal to be heard.
        *sim.slot(Kind::Binding) = None;
    };
    match category {
        Category::Undecodable => sim.edit(|compute| compute.spec = Err("spec: unknown variant".into())),
        Category::InvalidSpec => sim.edit(|compute| {
            compute.spec.as_mut().unwrap().node_pool.node_selector.clear();
        }),
        Category::UnknownDataplane => {
            sim.edit(|compute| compute.spec.as_mut().unwrap().dataplane = Some("elsewhere".into()));
        }
        Category::NameTaken => *sim.slot(Kind::Binding) = Some(foreign(Kind::Binding)),
        Category::Forbidden => broken(sim, category, "poros cannot create placements"),
        Category::ApplyFailed => broken(sim, category, "no answer"),
        Category::PolicyMissing => {
            sim.policies.missing = Some("a policy is absent".into());
            sim.admission = Proof::Mismatch("spec.nodeSelector[pool] is missing".into());
        }
        Category::ProofMismatch | Category::ProofBlocked => {
            let why = "spec.nodeSelector[pool] is missing".to_owned();
            let blocked = category == Category::ProofBlocked;
            sim.admission = if blocked { Proof::Blocked(why) } else { Proof::Mismatch(why) };
            if proven {
                sim.policies.fingerprint = "policies-2".into();
            }
        }
        Category::Contended => {
            for _ in 0..5 {
                *sim.slot(Kind::Binding) = None;
                sim.settle(Duration::from_secs(2));
            }
        }
        Category::NoNodesMatch => sim.nodes(0),
        Category::NoReadyNodes => sim.pool.counts.ready = 0,
        Category::Internal => {}
    }
}

fn condition<'a>(status: &'a ComputeStatus, type_: &str) -> Option<&'a str> {
    status.condition(type_).map(|condition| condition.status.as_str())
}

#[test]
fn each_fault_is_told_as_its_row_says() {
    for category in Category::ALL {
        // Nothing outside of Poros causes a bug in it.
        if category == Category::Internal {
            continue;
        }
        for proven in [false, true] {
            // A rival can only undo what stood.
            if category == Category::Contended && !proven {
                continue;
            }
            let mut sim = Sim::new();
            if proven {
                sim.settle(Duration::from_secs(5));
                assert_eq!(sim.compute.as_ref().unwrap().status.aggregate_status, AggregateStatus::Active);
            }
            cause(&mut sim, category, proven);
            if category != Category::Contended {
                sim.settle(LONG);
            }
            let status = &sim.compute.as_ref().unwrap().status;
            let row = category.row();
            let at = format!("{category:?}, proven before: {proven}: {status:?}");
            let words = (status.aggregate_status, status.builder_state.stage);
            if row.blame == Blame::AsBefore {
                assert_eq!(words, (AggregateStatus::Active, Stage::Built), "{at}");
            } else {
                let reason = &status.condition("Ready").unwrap().reason;
                assert_eq!(*reason, category.word(), "{at}");
                // The pool is awaited after the proof.
                let proven = proven || matches!(category, Category::NoNodesMatch | Category::NoReadyNodes);
                let in_build = category.in_build(proven);
                let stage = if in_build { Stage::Error } else { Stage::Building };
                assert_eq!(words, (AggregateStatus::Error, stage), "{at}");
                assert_eq!(condition(status, "Built"), Some(if in_build { "False" } else { "True" }), "{at}");
                assert_eq!(condition(status, "Stalled").is_some(), in_build, "{at}");
                assert_eq!(condition(status, "Reconciling").is_some(), !in_build, "{at}");
            }
            for (type_, claimed) in [("PlacementVerified", row.verified), ("PoolReady", row.pool_ready)] {
                if let Some(claimed) = claimed {
                    assert_eq!(condition(status, type_), Some(claimed), "{type_} of {at}");
                }
            }
            let mismatch = status.condition("PlacementVerified").unwrap().reason == "ProofMismatch";
            assert_eq!(mismatch, category == Category::ProofMismatch, "{at}");
        }
    }
}

#[test]
fn every_row_says_what_to_do_and_ends_as_its_place_asks() {
    for category in Category::ALL {
        let row = category.row();
        let word = category.word();
        assert!(!row.to_do.is_empty(), "{word}");
        assert!(row.what.ends_with('.'), "{word}: a sentence");
        for fragment in [row.pods, row.healed_by] {
            assert!(!fragment.ends_with('.'), "{word}: {fragment:?} is put into a sentence");
        }
        for (what, command) in row.to_do {
            assert!(command.starts_with("kubectl ") || command.starts_with("poros "), "{word}: {command}");
            assert!(!what.ends_with(['.', ':']), "{word}: {what}");
        }
    }
}

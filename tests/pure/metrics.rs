//! What a scrape says of the Computes: read strictly.

#[path = "../it/harness/exposition.rs"]
#[allow(dead_code)] // shared with the cluster ring
mod exposition;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exposition::Exposition;
use poros::api::status::{AggregateStatus, NodeCounts, Users};
use poros::decide::observed::Compute;
use poros::telemetry::Metrics;
use poros::web::states::{Group, States};

use crate::sim::Sim;

const ALL: [Group; 4] = [Group::Totals, Group::Status, Group::Conditions, Group::Counts];

fn scrape(computes: &[Arc<Compute>], groups: &[Group]) -> String {
    let states = States::new(computes.to_vec(), groups.iter().copied().collect::<BTreeSet<_>>());
    Metrics::new().render(Box::new(states))
}

/// A Compute of this name, as Poros left it.
fn settled(name: &str, change: impl FnOnce(&mut Sim)) -> Arc<Compute> {
    let mut sim = Sim::new();
    sim.settle(Duration::from_secs(5));
    change(&mut sim);
    sim.settle(Duration::from_secs(600));
    Arc::new(Compute { name: name.into(), ..sim.compute.unwrap() })
}

#[test]
fn each_compute_is_told_in_series_that_agree_with_its_status() {
    let counts = NodeCounts { matched: 4, ready: 3, schedulable: 2, summary: "2/4".into() };
    let well = settled("well", |sim| {
        sim.pool.counts = counts;
        sim.users = Users { pods: 7, outdated_pods: 5, ..Users::default() };
    });
    let ill = settled("ill", |sim| sim.nodes(0));
    let text = scrape(&[well, ill], &ALL);
    let read = Exposition::read(&text);
    let is = |name: &str, labels: &[(&str, &str)], expect: f64| {
        assert_eq!(read.value(name, labels), Some(expect), "{name} {labels:?} in\n{text}");
    };
    assert_eq!(read.one_hot("poros_compute_status", "well", "status"), "active");
    assert_eq!(read.one_hot("poros_compute_status", "ill", "status"), "error");
    assert_eq!(read.one_hot("poros_compute_stage", "ill", "stage"), "building");
    is("poros_compute_fault", &[("compute", "ill"), ("category", "NoNodesMatch")], 1.0);
    assert_eq!(read.of("well").iter().filter(|sample| sample.name == "poros_compute_fault").count(), 0);
    is("poros_compute_condition", &[("compute", "ill"), ("type", "PoolReady"), ("status", "false")], 1.0);
    is("poros_compute_condition", &[("compute", "well"), ("type", "Ready"), ("status", "true")], 1.0);
    for (state, count) in [("matched", 4.0), ("ready", 3.0), ("schedulable", 2.0)] {
        is("poros_compute_nodes", &[("compute", "well"), ("state", state)], count);
    }
    for (state, count) in [("wanted", 2.0), ("processed", 2.0)] {
        is("poros_compute_resources", &[("compute", "ill"), ("state", state)], count);
    }
    for (kind, count) in [("pods", 7.0), ("outdated", 5.0)] {
        is("poros_compute_users", &[("compute", "well"), ("kind", kind)], count);
    }
    is("poros_computes", &[("status", "active")], 1.0);
    is("poros_computes", &[("status", "error")], 1.0);
    is("poros_computes", &[("status", "deleting")], 0.0);
    is("poros_faults", &[("category", "NoNodesMatch")], 1.0);
    is("poros_faults", &[("category", "NameTaken")], 0.0);
    is("poros_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let last = read.value("poros_compute_last_transition_timestamp_seconds", &[("compute", "ill")]);
    assert!(last.is_some_and(|last| last > 0.0));
}

#[test]
fn groups_can_be_switched_off() {
    let one = [settled("one", |_| {})];
    let read = |groups: &[Group]| Exposition::read(&scrape(&one, groups));
    assert_eq!(read(&[]).of("one").len(), 0);
    assert_eq!(read(&[Group::Totals]).of("one").len(), 0);
    assert_eq!(read(&[Group::Totals]).value("poros_computes", &[("status", "active")]), Some(1.0));
    assert_eq!(read(&[Group::Status]).of("one").len(), 9);
    assert_eq!(read(&[Group::Conditions]).of("one").len(), 4);
    assert_eq!(read(&[Group::Counts]).of("one").len(), 7);
    assert_eq!(read(&[Group::Counts]).value("poros_computes", &[("status", "active")]), None);
}

#[test]
fn a_word_that_is_none_of_ours_is_no_label_and_a_strange_name_breaks_nothing() {
    let mut strange = Compute::clone(&settled("a\"b\\c\nd", |_| {}));
    strange.status.aggregate_status = AggregateStatus::Error;
    strange.status.conditions[0].reason = "Forged".into();
    strange.status.conditions[1].status = "Perhaps".into();
    strange.status.conditions[2].type_ = "example.com/Foreign".into();
    let text = scrape(&[Arc::new(strange)], &ALL);
    let read = Exposition::read(&text);
    assert_eq!(
        read.value("poros_compute_fault", &[("compute", "a\"b\\c\nd"), ("category", "Unknown")]),
        Some(1.0)
    );
    for word in ["Forged", "Perhaps", "Foreign"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
}

#[test]
fn a_scrape_of_ten_thousand_computes_is_sound_and_told_how_long_it_took() {
    let one = settled("one", |sim| sim.nodes(0));
    let computes: Vec<_> =
        (0..10_000).map(|index| Arc::new(Compute { name: format!("c-{index}"), ..(*one).clone() })).collect();
    let begin = Instant::now();
    let text = scrape(&computes, &ALL);
    let took = begin.elapsed();
    let read = Exposition::read(&text);
    assert_eq!(read.of("c-9999").len(), 10 + 5 + 7);
    assert_eq!(read.value("poros_faults", &[("category", "NoNodesMatch")]), Some(10_000.0));
    println!("10,000 Computes: {} series, {} KiB, {took:.1?}", read.0.len(), text.len() / 1024);
}

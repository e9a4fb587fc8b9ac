//! What a scrape says of the Computes: read strictly.

#[path = "../it/harness/exposition.rs"]
#[allow(dead_code)] // shared with the cluster ring
mod exposition;

use std::collections::BTreeSet;
use std::path::Path;
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
    let counts =
        NodeCounts { matched: 4, ready: 3, schedulable: 2, summary: "2/4".into(), ..NodeCounts::default() };
    let well = settled("well", |sim| {
        sim.pool.counts = counts;
        sim.users = Users { pods: 7, outdated_pods: 5, workloads: 3, ..Users::default() };
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
    for (kind, count) in [("pods", 7.0), ("outdated", 5.0), ("workloads", 3.0)] {
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
    assert_eq!(read(&[Group::Counts]).of("one").len(), 8);
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
fn a_scrape_of_many_computes_is_sound_and_tells_how_long_it_takes() {
    let one = settled("one", |sim| sim.nodes(0));
    let computes: Vec<_> =
        (0..10_000).map(|index| Arc::new(Compute { name: format!("c-{index}"), ..(*one).clone() })).collect();
    let read = Exposition::read(&scrape(&computes[..1000], &ALL));
    assert_eq!(read.of("c-999").len(), 10 + 5 + 8);
    assert_eq!(read.value("poros_faults", &[("category", "NoNodesMatch")]), Some(1000.0));
    let begin = Instant::now();
    let text = scrape(&computes, &ALL);
    let (took, series) = (begin.elapsed(), text.lines().filter(|line| !line.starts_with('#')).count());
    println!("10,000 Computes: {series} series, {} KiB, {took:.1?}", text.len() / 1024);
    assert!(series > 230_000);
}

/// docs/metrics.md, from a scrape in which each metric was used.
fn table() -> String {
    let metrics = Metrics::new();
    metrics.passed(Duration::from_millis(1), false);
    metrics.probed("proven");
    metrics.watch_failed("nodes");
    metrics.watch_synced("nodes");
    metrics.repaired("Placement");
    metrics.event("written");
    metrics.asked("list", "nodes".into(), "2xx");
    let states = States::new(vec![settled("ill", |sim| sim.nodes(0))], ALL.into());
    let read = Exposition::read(&metrics.render(Box::new(states)));
    let rows = read.families.iter().map(|(family, kind, help)| {
        let of_family = |name: &str| {
            name.strip_prefix(family.as_str())
                .is_some_and(|rest| ["", "_total", "_info", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let samples = || read.samples.iter().filter(|sample| of_family(&sample.name));
        let name = samples().map(|sample| sample.name.as_str()).min_by_key(|name| name.len()).unwrap();
        let name = if kind == "histogram" { family } else { name };
        let labels: BTreeSet<_> = samples().flat_map(|sample| sample.labels.keys()).collect();
        let labels: Vec<_> =
            labels.into_iter().filter(|label| *label != "le").map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {kind} | {} | {} |\n", labels.join(", "), help.trim_end_matches('.'))
    });
    String::from(
        "# Metrics\n\nWhat `/metrics` serves, in the OpenMetrics text format. Made from the code.\n\n\
         Those that begin with `poros_compute`, and `poros_faults`, are written from the cache at each scrape, so that nothing outlives its\n\
         Compute. They come from the leader alone: a sum over all replicas counts each Compute once, and while nobody leads there are none.\n\
         All others are each process's own. `--metrics` chooses among the groups: `totals` (`poros_computes`, `poros_faults`: as many\n\
         series for one Compute as for ten thousand), `status`, `conditions`, `counts` (about 9, 5 and 8 series a Compute). No label holds\n\
         a node, a pod or a text.\n\n\
         | metric | type | labels | what it says |\n|---|---|---|---|\n",
    ) + &rows.collect::<String>()
}

#[test]
fn the_table_of_metrics_is_what_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("POROS_BLESS").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        table(),
        "docs/metrics.md is not what is served; POROS_BLESS=1 cargo test --test pure writes it"
    );
}

//! Times and memory, told and never asserted:
//! `cargo build --release && POROS_REPORT=1 POROS_BINARY=$PWD/target/release/poros cargo test --test it -- report`.
//!
//! Listed only when asked for. Noisy machines make noisy numbers: compare within one run.

mod admission;
mod getting;
mod scale;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, PostParams};
use kube::runtime::watcher;
use poros::api::compute::Compute;
use serde_json::{Value, json};
use xtask::rig::Options;

use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, create, node, pod, pods, raw_computes};
use crate::harness::poros::Poros;
use crate::harness::wait::condition;
use crate::harness::{trial, until};

pub fn trials() -> Vec<libtest_mimic::Trial> {
    if std::env::var_os("POROS_REPORT").is_none() {
        return Vec::new();
    }
    vec![
        trial("report::of_times_and_memory", of_times_and_memory),
        trial("report::of_ten_thousand_computes", scale::of_ten_thousand_computes),
        trial("report::of_admission", admission::of_admission),
        trial("report::of_get", getting::of_get),
    ]
}

/// When each Compute was first seen built and first seen active.
type Seen = Arc<Mutex<HashMap<String, (Option<Instant>, Option<Instant>)>>>;

async fn of_times_and_memory() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-report"))).await.unwrap();
    let client = cluster.client().await;
    for index in 0..100 {
        node(&client, &format!("report-{index}"), "report", true).await;
    }
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    let seen = watch(client.clone());
    println!("\nbase: RSS {} MiB with 100 nodes", rss(&poros));
    one_by_one(&client, &seen, 50).await;
    let cpu = cpu(&poros);
    burst(&client, &seen, "burst", 500).await;
    println!(
        "CPU of Poros per Compute of the burst: {:.2} ms",
        (self::cpu(&poros) - cpu).as_secs_f64() * 1000.0 / 500.0
    );
    let (_, metrics) = poros.get("/metrics").unwrap();
    for line in metrics.lines().filter(|line| line.starts_with("poros_probes_total")) {
        println!("    {line}");
    }
    burst(&client, &seen, "more", 450).await;
    println!("RSS {} MiB with 1000 Computes and 100 nodes", rss(&poros));
}

fn pooled(name: &str) -> Value {
    let mut compute = compute(name);
    compute["spec"]["nodePool"]["nodeSelector"] = json!({"pool": "report"});
    compute
}

fn watch(client: Client) -> Seen {
    let seen = Seen::default();
    let writer = seen.clone();
    tokio::spawn(async move {
        let api: Api<Compute> = Api::all(client);
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = events.next().await {
            let Ok(watcher::Event::Apply(compute) | watcher::Event::InitApply(compute)) = event else {
                continue;
            };
            let now = Instant::now();
            let mut seen = writer.lock().unwrap();
            let (built, active) = seen.entry(compute.metadata.name.clone().unwrap()).or_default();
            if condition(&compute, "Built") == "True" {
                built.get_or_insert(now);
            }
            if condition(&compute, "Ready") == "True" {
                active.get_or_insert(now);
            }
        }
    });
    seen
}

async fn one_by_one(client: &Client, seen: &Seen, count: usize) {
    let (mut built, mut active, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        let name = format!("single-{index}");
        let start = Instant::now();
        create(&raw_computes(client), &pooled(&name)).await.unwrap();
        let refreshed = refreshed(client, &name).await;
        let (at_built, at_active) = await_seen(seen, &name).await;
        built.push(at_built - start);
        active.push(at_active - start);
        after.push(at_active.saturating_duration_since(refreshed));
    }
    tell(&format!("{count} Computes, one by one: apply to Built"), built);
    tell("    apply to Active", active);
    tell("    the binding's refresh to Active (the proof, the status, and its way here)", after);
}

/// When admission first placed a pod of this Compute. Asked every 10 ms, by dry runs.
async fn refreshed(client: &Client, name: &str) -> Instant {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let pod = serde_json::from_value(pod("report-probe", name)).unwrap();
    loop {
        if pods(client).create(&dry, &pod).await.is_ok() {
            return Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn burst(client: &Client, seen: &Seen, prefix: &str, count: usize) {
    let start = Instant::now();
    let applied: Vec<(String, Instant)> = futures::stream::iter(0..count)
        .map(|index| async move {
            let name = format!("{prefix}-{index}");
            let at = Instant::now();
            create(&raw_computes(client), &pooled(&name)).await.unwrap();
            (name, at)
        })
        .buffer_unordered(16)
        .collect()
        .await;
    println!("{count} Computes in a burst: applied within {:?}", start.elapsed());
    let (mut built, mut active) = (Vec::new(), Vec::new());
    for (name, at) in applied {
        let (at_built, at_active) = await_seen(seen, &name).await;
        built.push(at_built - at);
        active.push(at_active - at);
    }
    tell("    apply to Built", built);
    tell("    apply to Active", active);
    println!("    all Active after {:?}", start.elapsed());
}

async fn await_seen(seen: &Seen, name: &str) -> (Instant, Instant) {
    until(&format!("{name} to be active"), Duration::from_secs(120), || async {
        match seen.lock().unwrap().get(name) {
            Some((Some(built), Some(active))) => Ok((*built, *active)),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!(
        "{what}: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(50),
        at(95),
        at(99),
        at(100)
    );
}

/// Resident memory in MiB.
fn rss(poros: &Poros) -> u64 {
    memory(poros, "VmRSS:") / 1024
}

/// A line of what the kernel says of the memory of Poros, in KiB: `VmRSS:` now, `VmHWM:` at most.
fn memory(poros: &Poros, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", poros.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// User and system time so far, at the usual 100 ticks a second.
fn cpu(poros: &Poros) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", poros.id())).unwrap();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap().split(' ').skip(12).take(2).map(|f| f.parse().unwrap()).collect();
    Duration::from_millis((fields[0] + fields[1]) * 10)
}

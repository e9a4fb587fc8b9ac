//! Ten thousand Computes and ten thousand nodes: time to ready, memory, scrapes, and how soon a node's news is in a status.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::Api;
use kube::runtime::watcher;
use poros::api::compute::Compute;
use serde_json::json;
use xtask::rig::Options;

use super::{cpu, memory, rss, tell};
use crate::harness::audit::{Audit, counted};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{nodes, patch};
use crate::harness::poros::Poros;
use crate::harness::seed;

const POOLS: usize = 100;

pub async fn of_ten_thousand_computes() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-scale"))).await.unwrap();
    let client = cluster.client().await;
    cluster.install_policies();
    println!();
    let empty = started(&cluster, 0, 0).await;
    seed::nodes(&client, 0..1000, POOLS).await;
    let (mut known, mut before) = (0, started(&cluster, 0, 1000).await);
    println!("    per node: {:.2} KiB", each(before, empty, 1000));
    for count in [1000, 5000, 10_000] {
        seed::computes(&client, "scale", known..count, POOLS).await;
        let now = started(&cluster, count, 1000).await;
        println!("    per Compute since the last line: {:.2} KiB", each(now, before, count - known));
        (known, before) = (count, now);
        if count != 5000 {
            node_to_status(&cluster, &client, count).await;
            scrape(&cluster, count).await;
        }
    }
    for (from, to) in [(1000, 5000), (5000, 10_000)] {
        // In pools that no Compute has: no status changes by them.
        seed::nodes(&client, from..to, to).await;
        let now = started(&cluster, known, to).await;
        println!("    per node since the last line: {:.2} KiB", each(now, before, to - from));
        before = now;
    }
}

/// Starts Poros, waits until it looked at all Computes, and tells times and memory. Gives back its memory in KiB.
async fn started(cluster: &Cluster, computes: usize, nodes: usize) -> u64 {
    let audit = Audit::from_now(cluster);
    let start = Instant::now();
    // Who asks how far it is must not measure the answers.
    let poros = Poros::start(cluster, &["--metrics=none"]);
    let ready = start.elapsed();
    seed::passes(&poros, computes, Duration::from_secs(300)).await;
    let looked = start.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (steady, peak) = (memory(&poros, "VmRSS:"), memory(&poros, "VmHWM:"));
    println!(
        "{computes} Computes, {nodes} nodes: ready after {ready:.1?}, each looked at after {looked:.1?}; RSS steady {} MiB, peak {} MiB",
        steady / 1024,
        peak / 1024
    );
    println!("    CPU of Poros {:.1?}; asked: {}", cpu(&poros), asked(&audit));
    steady
}

/// What Poros asked of the API server, by verb and resource; each page of a list is a request of its own.
fn asked(audit: &Audit) -> String {
    let counts = counted(audit.poros().iter());
    let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    counts.join(", ")
}

/// How long a scrape takes, how large it is, and what memory it leaves.
async fn scrape(cluster: &Cluster, computes: usize) {
    let poros = Poros::start(cluster, &[]);
    seed::passes(&poros, computes, Duration::from_secs(300)).await;
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..20 {
        let start = Instant::now();
        size = poros.get("/metrics").unwrap().1.len();
        times.push(start.elapsed());
    }
    tell(&format!("a scrape of {} KiB with {computes} Computes", size / 1024), times);
    println!("    RSS after many of them {} MiB", rss(&poros));
}

/// A node leaves its pool and comes back: from the answer to the change to the event of the first status that tells it.
async fn node_to_status(cluster: &Cluster, client: &Client, computes: usize) {
    let _poros = Poros::start(cluster, &["--counter-interval=0"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let api: Api<Compute> = Api::all(client.clone());
    let only = watcher::Config::default().fields("metadata.name=scale-3");
    let mut events = std::pin::pin!(watcher(api, only));
    let mut times = Vec::new();
    for round in 0..100 {
        let (pool, count) = if round % 2 == 0 { ("elsewhere", 9) } else { ("pool-3", 10) };
        patch(&nodes(client), "seed-3", &json!({"metadata": {"labels": {"pool": pool}}})).await;
        let start = Instant::now();
        loop {
            let Some(Ok(event)) = events.next().await else { continue };
            let (watcher::Event::Apply(compute) | watcher::Event::InitApply(compute)) = event else {
                continue;
            };
            if compute.status.and_then(|status| status.nodes).is_some_and(|nodes| nodes.matched == count) {
                break;
            }
        }
        times.push(start.elapsed());
        // The burst of the other Computes of that pool is over.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let others = computes / POOLS;
    tell(
        &format!(
            "with --counter-interval=0, a node leaves or joins a pool of {others} Computes, to the status of one of them"
        ),
        times,
    );
}

/// The difference in KiB that each of so many objects makes.
fn each(more: u64, fewer: u64, objects: usize) -> f64 {
    let objects = u32::try_from(objects).unwrap();
    f64::from(u32::try_from(more.saturating_sub(fewer)).unwrap()) / f64::from(objects)
}

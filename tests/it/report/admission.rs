//! What admission adds to the create of a pod, with 1, 100 and 1,000 Computes.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};
use xtask::rig::Options;

use super::tell;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{dry_run, pod, pods};
use crate::harness::seed;

const TRIES: usize = 200;

pub async fn of_admission() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-admission"))).await.unwrap();
    let client = cluster.client().await;
    println!();
    tell("a pod's create, dry run, without Poros", creates(&client, &unlabelled()).await);
    cluster.install_policies();
    let mut known = 0;
    for count in [1, 100, 1000] {
        seed::computes(&client, "add", known..count, 1).await;
        known = count;
        // The API server's refresh of its policies.
        tokio::time::sleep(Duration::from_secs(3)).await;
        tell(&format!("with {count} Computes: an unlabelled pod"), creates(&client, &unlabelled()).await);
        tell("    a labelled one", creates(&client, &pod("labelled", "add-0")).await);
    }
}

fn unlabelled() -> Value {
    let mut pod = pod("unlabelled", "add-0");
    pod["metadata"]["labels"] = json!({});
    pod
}

async fn creates(client: &Client, pod: &Value) -> Vec<Duration> {
    let mut times = Vec::new();
    for index in 0..TRIES + 20 {
        let start = Instant::now();
        dry_run(&pods(client), pod).await.unwrap();
        // The first ones warm connections and caches up.
        if index >= 20 {
            times.push(start.elapsed());
        }
    }
    times
}

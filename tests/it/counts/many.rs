//! A thousand nodes and a thousand Computes: what changes on one node concerns those that it concerns.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use xtask::rig::Options;

use crate::harness::audit::Audit;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{computes, nodes, patch};
use crate::harness::poros::Poros;
use crate::harness::{seed, until, wait};
use crate::trials;

trials![a_node_that_moves_concerns_only_the_computes_of_its_pools];

const NODES: usize = 1000;
const COMPUTES: usize = 1000;
const POOLS: usize = 100;
/// Computes that select one pool.
const EACH: usize = COMPUTES / POOLS;

async fn a_node_that_moves_concerns_only_the_computes_of_its_pools() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(Options::api_only("it-many")));
    let cluster = cluster.await.unwrap();
    let client = cluster.client().await;
    cluster.install_policies();
    seed::nodes(&client, 0..NODES, POOLS).await;
    seed::computes(&client, "many", 0..COMPUTES, POOLS).await;

    let audit = Audit::from_now(&cluster);
    let poros = Poros::start(&cluster, &["--counter-interval=1"]);
    let before = seed::passes(&poros, COMPUTES, Duration::from_secs(180)).await;
    assert_eq!(before, COMPUTES, "one pass over each");
    // What was seeded is what Poros itself would have written: proofs would be due within 2 s.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(audit.writes(), [], "a start with {COMPUTES} unchanged Computes writes nothing");
    assert_eq!(audit.probes(), 0, "and proves nothing");
    assert_eq!(seed::passes_so_far(&poros), before, "and looks at none twice");

    // From pool-7 to pool-8.
    patch(&nodes(&client), "seed-7", &json!({"metadata": {"labels": {"pool": "pool-8"}}})).await;
    for index in (0..COMPUTES).filter(|index| [7, 8].contains(&(index % POOLS))) {
        let (name, count) = (seed::name("many", index), if index % POOLS == 7 { 9 } else { 11 });
        until(&format!("{name} to have {count} nodes"), wait::LIMIT, || async {
            let compute = computes(&client).get(&name).await.map_err(|error| error.to_string())?;
            let nodes = compute.status.and_then(|status| status.nodes).unwrap_or_default();
            if nodes.matched == count { Ok(()) } else { Err(nodes.summary) }
        })
        .await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let looked_at = seed::passes_so_far(&poros) - before;
    // Each is looked at for the node, and for the echo of its status.
    assert!((2 * EACH..=4 * EACH).contains(&looked_at), "{looked_at} passes for {} Computes", 2 * EACH);
    let expect = [("update computes/status".to_owned(), 2 * EACH)];
    assert_eq!(audit.writes(), expect, "one status for each Compute whose pool changed");

    // A heartbeat changes nothing that anybody asked for.
    let before = seed::passes_so_far(&poros);
    let beat = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Seed", "message": "",
        "lastHeartbeatTime": "2030-01-01T00:00:00Z"}]}});
    for index in 0..20 {
        let patch = Patch::Merge(&beat);
        nodes(&client).patch_status(&format!("seed-{index}"), &PatchParams::default(), &patch).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(seed::passes_so_far(&poros), before, "heartbeats are no reason for a pass");
    assert_eq!(audit.writes(), expect);
}

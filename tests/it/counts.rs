//! What a Compute costs the API server, counted in its audit log. Counts are asserted; times are only told.

mod many;

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::json;
use xtask::rig::{Options, node_yaml};

use crate::harness::audit::Audit;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, create, patch, raw_computes};
use crate::harness::poros::Poros;
use crate::harness::{trial, until, wait};

pub fn trials() -> Vec<libtest_mimic::Trial> {
    let story = trial("counts::a_compute_costs_no_more_than_it_must", a_compute_costs_no_more_than_it_must);
    std::iter::once(story).chain(many::trials()).collect()
}

/// Nodes that send heartbeats, and Computes that stand while nothing happens.
const NODES: usize = COMPUTES + 2;
const COMPUTES: usize = 50;
/// So long that what is done once a minute shows.
const IDLE: Duration = Duration::from_secs(65);
/// As in a cluster: it leads by its Lease.
const FLAGS: [&str; 2] = ["--manage-policies", "--leader-elect=true"];

/// One story on one cluster: each part begins where the last one ended.
async fn a_compute_costs_no_more_than_it_must() {
    let cluster = tokio::task::spawn_blocking(|| {
        Cluster::start(Options {
            kwok: true,
            heartbeat: Duration::from_secs(10),
            ..Options::api_only("it-counts")
        })
    });
    let cluster = cluster.await.unwrap();
    let client = cluster.client().await;
    heartbeating_nodes(&cluster);
    let poros = Poros::start(&cluster, &FLAGS);

    a_new_compute(&cluster, &client).await;
    edits(&cluster, &client).await;
    for index in 0..COMPUTES {
        create(&raw_computes(&client), &pooled(&format!("counts-{index}"), index)).await.unwrap();
    }
    for index in 0..COMPUTES {
        wait::active(&client, &format!("counts-{index}")).await;
    }
    let poros = a_restart(&cluster, &client, poros).await;
    idleness(&cluster, &client).await;
    drop(poros);
}

/// A Compute over a node of its own: `Overlapping` would be news to every other one.
fn pooled(name: &str, index: usize) -> serde_json::Value {
    let mut compute = compute(name);
    let host = format!("counts-{index}");
    compute["spec"]["nodePool"] = json!({"nodeSelector": {"pool": "counts", "kubernetes.io/hostname": host}});
    compute
}

fn heartbeating_nodes(cluster: &Cluster) {
    let nodes: String =
        (0..NODES).map(|index| node_yaml(&format!("counts-{index}"), &[("pool", "counts")], &[])).collect();
    let file = cluster.rig.dir().join("nodes.yaml");
    std::fs::write(&file, nodes).unwrap();
    cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"]);
}

async fn a_new_compute(cluster: &Cluster, client: &Client) {
    let audit = Audit::from_now(cluster);
    create(&raw_computes(client), &pooled("counts-new", COMPUTES + 1)).await.unwrap();
    wait::active(client, "counts-new").await;
    let expect = [
        ("create mutatingadmissionpolicybindings".to_owned(), 1),
        ("create placements".to_owned(), 1),
        ("update computes/status".to_owned(), 2),
    ];
    assert_eq!(writes(&audit), expect, "a new Compute costs two children and two statuses");
    let probes = audit.probes();
    assert!((1..=3).contains(&probes), "a new Compute was proven with {probes} dry runs; 1 to 3 are allowed");
    let reads: Vec<_> = audit
        .poros()
        .into_iter()
        .filter(|request| ["get", "list"].contains(&request.verb.as_str()))
        .filter(|request| request.resource != "leases")
        .collect();
    assert_eq!(reads, [], "nothing is read that the watches tell");
}

async fn edits(cluster: &Cluster, client: &Client) {
    let audit = Audit::from_now(cluster);
    patch(&raw_computes(client), "counts-new", &json!({"spec": {"description": "new words"}})).await;
    wait::active(client, "counts-new").await;
    assert_eq!(
        writes(&audit),
        [("update computes/status".to_owned(), 1)],
        "an edit of a description is one write"
    );
    assert_eq!(audit.probes(), 0, "and nothing to be proven");

    let audit = Audit::from_now(cluster);
    let tolerations = json!([{"key": "extra", "operator": "Exists"}]);
    patch(&raw_computes(client), "counts-new", &json!({"spec": {"nodePool": {"tolerations": tolerations}}}))
        .await;
    wait::active(client, "counts-new").await;
    let writes = writes(&audit);
    assert_eq!(writes[0], ("update computes/status".to_owned(), 2), "{writes:?}");
    assert_eq!(writes[1..], [("update placements".to_owned(), 1)], "an edit of the pool is one child");
    assert!((1..=3).contains(&audit.probes()));
}

async fn a_restart(cluster: &Cluster, client: &Client, poros: Poros) -> Poros {
    let (took, well) = poros.stop();
    assert!(well && took < Duration::from_secs(10), "a stop took {took:?}");
    let audit = Audit::from_now(cluster);
    let poros = Poros::start(cluster, &FLAGS);
    // Passes over all of them, and over `counts-new`, were made when the counter says so.
    until("a pass over each Compute", wait::LIMIT, || async {
        let (_, metrics) = poros.get("/metrics").map_err(|error| error.to_string())?;
        let passes = metrics.lines().filter(|line| line.starts_with("poros_passes_total"));
        let passes: usize = passes.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
        if passes > COMPUTES { Ok(()) } else { Err(format!("{passes} passes")) }
    })
    .await;
    // What a restart must not do might come late: proofs are due within 2 s.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let managed = |what: &str| what.contains("namespaces") || what.contains("serviceaccounts");
    let writes: Vec<_> = writes(&audit).into_iter().filter(|(what, _)| !managed(what)).collect();
    assert_eq!(
        writes,
        [],
        "a restart with {COMPUTES} unchanged Computes writes nothing (but the namespace that --manage-policies keeps)"
    );
    assert_eq!(audit.probes(), 0, "and proves nothing anew");
    seen_soon(client, "after the restart").await;
    poros
}

async fn idleness(cluster: &Cluster, client: &Client) {
    let (audit, start) = (Audit::from_now(cluster), Instant::now());
    tokio::time::sleep(IDLE).await;
    let (lease, others): (Vec<_>, Vec<_>) = audit
        .poros()
        .into_iter()
        .filter(|request| request.verb != "watch")
        .partition(|request| request.resource == "leases");
    assert_eq!(others, [], "idle, Poros asks for nothing but watches");
    let renewals = lease.iter().filter(|request| request.verb == "update" && request.code == 200).count();
    // Three times in its deadline of 10 s; on a slow machine fewer, but never none.
    let idle = start.elapsed();
    let most = usize::try_from(idle.as_secs() * 3 / 10).unwrap() + 1;
    println!("idle for {idle:?}: {renewals} renewals of the Lease");
    assert!((3..=most).contains(&renewals) && renewals == lease.len(), "in {idle:?}: {lease:?}");
    let beats =
        audit.all().iter().filter(|request| request.resource == "nodes/status" && request.writes()).count();
    assert!(beats >= 2 * NODES, "only {beats} heartbeats of {NODES} nodes came: the idleness proves nothing");
    seen_soon(client, "after a while of idleness").await;
}

/// All writes but those of the Lease, which are a matter of time.
fn writes(audit: &Audit) -> Vec<(String, usize)> {
    audit.writes().into_iter().filter(|(what, _)| !what.ends_with(" leases")).collect()
}

/// An edit is seen before a dead watch would be found out, which takes 65 s: a dead one cannot pass for a quiet one.
async fn seen_soon(client: &Client, when: &str) {
    let start = Instant::now();
    patch(&raw_computes(client), "counts-0", &json!({"spec": {"description": when}})).await;
    wait::active(client, "counts-0").await;
    println!("an edit {when} was seen after {:?}", start.elapsed());
}

//! Users and pools that change all the time: what is told at once, what at most once an interval, and what all pods request.
//!
//! With the intervals that Poros has by default, so it has a control plane of its own.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Patch, PatchParams};
use poros::api::compute::Compute;
use serde_json::{Value, json};

use super::users::{workload, workloads};
use super::{apply, own, poolless, reason, seq};
use crate::harness::audit::Audit;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    compute, computes, create, delete, dynamic, node, nodes, patch, pod, pods, raw_computes, with,
};
use crate::harness::poros::{Poros, READY};
use crate::harness::until;
use crate::harness::wait::{self, condition, info, message};
use crate::trials;

trials![pools_and_users_that_churn_cost_little_and_are_told_truly];

/// Counters are written at most this often, by default.
const INTERVAL: Duration = Duration::from_secs(10);
const NODES: usize = 60;

async fn pools_and_users_that_churn_cost_little_and_are_told_truly() {
    let (cluster, client) = own("it-usage").await;
    let poros = a_lacking_right_is_named(&cluster, &client).await;
    a_workload_is_told_at_once(&client).await;
    poros.kill();
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    pods_that_churn_are_counted_seldom(&cluster, &client).await;
    nodes_that_flip_are_counted_seldom(&cluster, &client).await;
    assert!(!watches_all_pods(&poros), "without --pool-usage nobody watches all pods");
    poros.kill();

    let poros = Poros::start(&cluster, &["--manage-policies", "--pool-usage", "--counter-interval=1"]);
    until("all pods to be watched", wait::LIMIT, || {
        std::future::ready(if watches_all_pods(&poros) { Ok(()) } else { Err(String::new()) })
    })
    .await;
    what_pods_request_is_counted(&client).await;
    a_nightly_workload_holds_a_compute_at_noon(&cluster, &client).await;
    let log = poros.log_text();
    assert!(!log.contains("panicked"), "{log}");
}

fn watches_all_pods(poros: &Poros) -> bool {
    poros.get("/metrics").unwrap().1.contains("poros_watch_synced{resource=\"scheduled pods\"} 1")
}

/// Gives back the Poros that lacked it: it counts so seldom that what it tells soon, it tells at once.
async fn a_lacking_right_is_named(cluster: &Cluster, client: &Client) -> Poros {
    cluster.expect_refusals();
    let role = async |group: &str| {
        let api = dynamic(client, "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", None);
        let mut rules = api.get("poros").await.unwrap().data["rules"].take();
        let of_cron_jobs = rules
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .find(|rule| rule["resources"].as_array().unwrap().contains(&json!("cronjobs")));
        of_cron_jobs.unwrap()["apiGroups"] = json!([group]);
        patch(&api, "poros", &json!({"rules": rules})).await;
    };
    role("nothing.example.com").await;
    let flags = ["--manage-policies", "--counter-interval=200"];
    let poros = Poros::launch(cluster, &cluster.poros_kubeconfig(), &flags);
    until("the lacking right to be named", wait::LIMIT, || async {
        let (code, unready) = poros.get("/readyz").map_err(|error| error.to_string())?;
        let named = ["cronjobs", "jobs"].map(|what| unready.contains(&format!("{what} are not listed yet")));
        let log = poros.log_text();
        let right = "cannot list resource \"cronjobs\" in API group \"batch\"";
        let hint = "Poros needs the verbs list and watch on it";
        let only = !unready.contains("deployments");
        match (code, named, only, log.contains(right) && log.contains(hint)) {
            (503, [true, true], true, true) => Ok(()),
            seen => Err(format!("{seen:?} {unready}")),
        }
    })
    .await;
    role("batch").await;
    poros.await_ready(READY);
    cluster.assert_policies();
    poros
}

async fn a_workload_is_told_at_once(client: &Client) {
    let name = "usage-workload";
    poolless(client, name).await;
    let soon = async |expect: u32| {
        until(&format!("{expect} workloads to be told at once"), wait::LIMIT, || async {
            let users = computes(client).get(name).await.unwrap().status.and_then(|status| status.users);
            let users = users.unwrap_or_default();
            if users.workloads == expect { Ok(()) } else { Err(format!("{users:?}")) }
        })
        .await;
    };
    let deployments = workloads(client, "Deployment");
    create(&deployments, &workload("Deployment", name, name)).await.unwrap();
    soon(1).await;
    delete(&deployments, name).await.unwrap();
    soon(0).await;
}

/// How often Poros wrote the status of a Compute since.
fn status_writes(audit: &Audit, name: &str) -> usize {
    let of = audit.poros().into_iter();
    of.filter(|request| request.what() == "update computes/status" && request.name == name).count()
}

async fn pods_that_churn_are_counted_seldom(cluster: &Cluster, client: &Client) {
    let name = "usage-churn";
    poolless(client, name).await;
    create(&pods(client), &pod("usage-stays", name)).await.unwrap();
    wait::used(client, name, 1).await;
    let (audit, start) = (Audit::from_now(cluster), Instant::now());
    let mut made = 0;
    while start.elapsed() < INTERVAL * 2 + INTERVAL / 5 || made < 200 {
        let names: Vec<String> = (made..made + 20).map(|index| format!("usage-{index}")).collect();
        let api = pods(client);
        let each = futures::stream::iter(&names).for_each_concurrent(10, |pod_name| {
            let (api, manifest) = (api.clone(), pod(pod_name, name));
            async move {
                create(&api, &manifest).await.unwrap();
                delete(&api, pod_name).await.unwrap();
            }
        });
        each.await;
        made += 20;
    }
    let (took, writes) = (start.elapsed(), status_writes(&audit, name));
    println!("usage: {made} pods made and removed in {took:?}: {writes} status writes");
    let most = 1 + usize::try_from(took.as_secs() / INTERVAL.as_secs()).unwrap();
    assert!((1..=most).contains(&writes), "{writes} writes in {took:?}; 1 to {most} are allowed");
    delete(&pods(client), "usage-stays").await.unwrap();
}

async fn nodes_that_flip_are_counted_seldom(cluster: &Cluster, client: &Client) {
    let name = "usage-nodes";
    let names: Vec<String> = (0..NODES).map(|index| format!("usage-nodes-{index}")).collect();
    for node_name in &names {
        node(client, node_name, name, true).await;
    }
    apply(client, &compute(name)).await;
    wait::active(client, name).await;
    let all = format!("{NODES}/{NODES}");
    let active = wait::compute(client, name, "over all nodes", |compute| {
        compute
            .status
            .as_ref()
            .and_then(|status| status.nodes.as_ref())
            .is_some_and(|nodes| nodes.summary == all)
    })
    .await;
    let start = Instant::now();
    for ready in ["False", "True"] {
        let (audit, begun) = (Audit::from_now(cluster), Instant::now());
        flip(client, &names, ready).await;
        let took = begun.elapsed();
        let (summary, word) = match ready {
            "True" => (format!("{NODES}/{NODES}"), "active/built Active"),
            _ => (format!("0/{NODES}"), "error/building NoReadyNodes"),
        };
        wait::compute(client, name, &format!("{summary} {word}"), |compute| {
            let nodes = compute.status.as_ref().and_then(|status| status.nodes.as_ref());
            nodes.is_some_and(|nodes| nodes.summary == summary) && wait::words(compute) == word
        })
        .await;
        let writes = status_writes(&audit, name);
        println!("usage: {NODES} nodes flipped to Ready={ready} in {took:?}: {writes} status writes");
        assert!(writes <= 11, "{writes} writes for {NODES} nodes that flip");
    }
    let healed = wait::active(client, name).await;
    assert_eq!(seq(&healed), seq(&active) + 2, "there and back, in {:?}", start.elapsed());
}

async fn flip(client: &Client, names: &[String], ready: &str) {
    let status = json!({"status": {"conditions": [
        {"type": "Ready", "status": ready, "reason": "Test", "message": ""},
    ]}});
    let each = futures::stream::iter(names).for_each_concurrent(20, |name| {
        let (api, status) = (nodes(client), status.clone());
        async move {
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        }
    });
    each.await;
}

/// A pod that runs on a node without being scheduled there, with these requests.
fn placed(name: &str, node: &str, cpu: &str) -> Value {
    let mut placed = pod(name, "x");
    placed["metadata"]["labels"] = json!({});
    placed["spec"]["nodeName"] = json!(node);
    let requests = |cpu: &str| json!({"requests": {"cpu": cpu, "memory": "1Gi"}});
    placed["spec"]["containers"][0]["resources"] = requests(cpu);
    let image = placed["spec"]["containers"][0]["image"].clone();
    placed["spec"]["initContainers"] = json!([
        {"name": "side", "image": image, "restartPolicy": "Always", "resources": requests("250m")},
        {"name": "first", "image": image, "resources": requests("500m")},
    ]);
    placed
}

/// Requested cpu, memory and pods, free cpu and memory, by the status.
fn capacity(compute: &Compute) -> [String; 5] {
    let capacity = compute.status.as_ref().and_then(|status| status.capacity.clone()).unwrap_or_default();
    let (requested, free) = (capacity.requested.unwrap_or_default(), capacity.free.unwrap_or_default());
    [(&requested, "cpu"), (&requested, "memory"), (&requested, "pods"), (&free, "cpu"), (&free, "memory")]
        .map(|(part, resource)| part.get(resource).map(|quantity| quantity.0.clone()).unwrap_or_default())
}

async fn what_pods_request_is_counted(client: &Client) {
    let name = "usage-requests";
    node(client, "usage-requests-1", name, true).await;
    node(client, "usage-requests-2", name, true).await;
    create(&pods(client), &placed("usage-requests-1", "usage-requests-1", "1")).await.unwrap();
    apply(client, &compute(name)).await;
    wait::active(client, name).await;
    // Each node offers 4 processors, 16Gi and 110 pods.
    let counts = async |expect: [&str; 5]| {
        let what = format!("{expect:?}");
        wait::compute(client, name, &what, |compute| capacity(compute) == expect.map(str::to_owned)).await
    };
    // 1 + 250m of the sidecar; 1Gi of each of the two.
    counts(["1250m", "2Gi", "1", "6750m", "30Gi"]).await;
    create(&pods(client), &placed("usage-requests-2", "usage-requests-2", "100m")).await.unwrap();
    // The init container beside the sidecar needs more processors than the containers: 500m + 250m.
    counts(["2", "4Gi", "2", "6", "28Gi"]).await;
    let done = json!({"status": {"phase": "Succeeded"}});
    pods(client)
        .patch_status("usage-requests-1", &PatchParams::default(), &Patch::Merge(&done))
        .await
        .unwrap();
    counts(["750m", "2Gi", "1", "7250m", "30Gi"]).await;
    // What runs on a node that takes no pods is none of the capacity.
    patch(&nodes(client), "usage-requests-2", &json!({"spec": {"unschedulable": true}})).await;
    counts(["0", "0", "0", "4", "16Gi"]).await;
}

async fn a_nightly_workload_holds_a_compute_at_noon(cluster: &Cluster, client: &Client) {
    let name = "usage-nightly";
    poolless(client, name).await;
    let cron_jobs = workloads(client, "CronJob");
    create(&cron_jobs, &workload("CronJob", name, name)).await.unwrap();
    wait::compute(client, name, "in use", |compute| {
        let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
        users.is_some_and(|users| users.workloads == 1)
    })
    .await;
    // What admission lets through, the finalizer holds.
    let level = r#"{"spec":{"validationActions":["Warn"]}}"#;
    cluster.kubectl(&[
        "patch",
        "validatingadmissionpolicybinding",
        "in-use.poros.dataos.io",
        "--type=merge",
        "-p",
        level,
    ]);
    until("the guard to let go", wait::LIMIT, || async {
        delete(&raw_computes(client), name).await.map_err(|error| error.to_string())
    })
    .await;
    let held = wait::says(client, name, "deleting/building InUse").await;
    assert!(info(&held).contains("CronJob/default/usage-nightly"), "{}", info(&held));
    assert_eq!((reason(&held, "Deleting"), condition(&held, "Ready")), ("InUse", "False"));
    assert!(message(&held, "Deleting").contains("kubectl annotate compute usage-nightly"), "{held:?}");
    wait::refused(client, name, &format!("Compute {name} is being deleted and takes no new pods")).await;
    delete(&cron_jobs, name).await.unwrap();
    wait::gone(client, name).await;
    // The escape lets one go that is still named.
    let other = "usage-escape";
    apply(client, &with(compute(other), "/spec/nodePool/minReadyNodes", json!(0))).await;
    wait::active(client, other).await;
    create(&cron_jobs, &workload("CronJob", other, other)).await.unwrap();
    wait::compute(client, other, "in use", |compute| {
        let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
        users.is_some_and(|users| users.workloads == 1)
    })
    .await;
    delete(&raw_computes(client), other).await.unwrap();
    wait::says(client, other, "deleting/building InUse").await;
    let escape = json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}});
    patch(&raw_computes(client), other, &escape).await;
    wait::gone(client, other).await;
    assert!(cron_jobs.get_opt(other).await.unwrap().is_some(), "nothing else was deleted");
}

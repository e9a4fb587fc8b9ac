//! What admission adds to the create of a pod, with 1, 100 and 1,000 Computes, whatever places pods.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject};
use poros::api::status::PlacementMode;
use serde_json::{Value, json};
use xtask::rig::Options;

use super::tell;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, create, dry_run, dynamic, pod, pods, raw_computes, with};
use crate::harness::poros::Poros;
use crate::harness::{until, wait};
use crate::rows::served;

const TRIES: usize = 200;

pub async fn of_admission() {
    let old = Options::api_only("it-admission-webhook").without_mutating_policies();
    for (mode, options) in
        [(PlacementMode::Policy, Options::api_only("it-admission")), (PlacementMode::Webhook, old)]
    {
        by(mode, options).await;
    }
}

async fn by(mode: PlacementMode, options: Options) {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.unwrap();
    let client = cluster.client().await;
    served(&client).await;
    println!("\nplaced by {mode:?}");
    tell("a pod's create, dry run, without Poros", creates(&client, &unlabelled()).await);
    tell("    a Deployment's", deploys(&client, &deployment(None)).await);
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    let mut known = 0;
    for count in [1, 100, 1000] {
        computes(&client, &poros, known..count).await;
        known = count;
        let told = wait::active(&client, "add-0").await.status.unwrap();
        assert_eq!(told.placement.unwrap().mode, mode);
        // The API server's refresh of its policies.
        tokio::time::sleep(Duration::from_secs(3)).await;
        tell(&format!("with {count} Computes: an unlabelled pod"), creates(&client, &unlabelled()).await);
        tell("    a labelled one", creates(&client, &pod("labelled", "add-0")).await);
        if count <= 100 && mode == PlacementMode::Policy {
            defaults(&cluster, &client).await;
        }
    }
    tell("    a Deployment without the label", deploys(&client, &deployment(None)).await);
    tell("    a Deployment with the label", deploys(&client, &deployment(Some("add-0"))).await);
}

/// Makes Computes that need no node, and waits until they are in force.
async fn computes(client: &Client, poros: &Poros, indices: std::ops::Range<usize>) {
    let all = indices.end;
    let made = futures::stream::iter(indices).map(|index| async move {
        let compute = with(compute(&format!("add-{index}")), "/spec/nodePool/minReadyNodes", json!(0));
        create(&raw_computes(client), &compute).await.unwrap();
    });
    made.buffer_unordered(16).collect::<Vec<()>>().await;
    until(&format!("{all} Computes to be active"), Duration::from_secs(600), || async {
        let active = poros.metric("poros_computes{status=\"active\"}").unwrap_or_default();
        if active.to_string() == all.to_string() { Ok(()) } else { Err(format!("{active} are")) }
    })
    .await;
}

/// What the default of a namespace costs where it is installed: it is asked once for each Placement.
async fn defaults(cluster: &Cluster, client: &Client) {
    cluster.install_policies_with(&["--namespace-defaults"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let other = creates(client, &unlabelled()).await;
    tell("    with namespace defaults installed, an unlabelled one elsewhere", other);
    cluster.kubectl(&["label", "namespace", "default", "poros.dataos.io/default-compute=add-0"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = dry_run(&pods(client), &unlabelled()).await.unwrap();
    assert_eq!(seen.data["spec"]["nodeSelector"]["pool"], "add-0", "the default is in force");
    let defaulted = creates(client, &unlabelled()).await;
    tell("    an unlabelled one in a namespace that names its Compute", defaulted);
    cluster.kubectl(&["label", "namespace", "default", "poros.dataos.io/default-compute-"]);
    let kinds = "mutatingadmissionpolicybindings,mutatingadmissionpolicies";
    cluster.kubectl(&["delete", kinds, "--field-selector=metadata.name=defaults.poros.dataos.io"]);
}

/// A Deployment that names this Compute on itself and in its pod template.
fn deployment(compute: Option<&str>) -> Value {
    let labels = match compute {
        Some(compute) => json!({"app": "report", "poros.dataos.io/compute": compute}),
        None => json!({"app": "report"}),
    };
    let containers = json!([{"name": "main", "image": "registry.k8s.io/pause:3.10"}]);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "report", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app": "report"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    })
}

async fn deploys(client: &Client, deployment: &Value) -> Vec<Duration> {
    timed(&dynamic(client, "apps/v1", "Deployment", "deployments", Some("default")), deployment).await
}

fn unlabelled() -> Value {
    let mut pod = pod("unlabelled", "add-0");
    pod["metadata"]["labels"] = json!({});
    pod
}

async fn creates(client: &Client, pod: &Value) -> Vec<Duration> {
    timed(&pods(client), pod).await
}

async fn timed(api: &Api<DynamicObject>, object: &Value) -> Vec<Duration> {
    let mut times = Vec::new();
    for index in 0..TRIES + 20 {
        let start = Instant::now();
        dry_run(api, object).await.unwrap();
        // The first ones warm connections and caches up.
        if index >= 20 {
            times.push(start.elapsed());
        }
    }
    times
}

//! Label and marks of a pod stay as admission saw them; all else of it is anybody's.

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::refused;
use crate::harness::objects::{create, delete, patch, pod, pods};
use crate::harness::wait;
use crate::rows::{clear, poolless, shared};
use crate::trials;

trials![
    what_placed_a_pod_stays_written_on_it,
    a_label_that_comes_later_is_refused,
    what_else_is_written_to_a_pod_is_let_through,
];

const LABEL: &str = "poros.dataos.io/compute";

async fn merge(client: &Client, name: &str, part: &Value) -> Result<DynamicObject, kube::Error> {
    pods(client).patch(name, &PatchParams::default(), &Patch::Merge(part)).await
}

async fn unused(client: &Client, name: &str, pod: &str) {
    delete(&pods(client), pod).await.unwrap();
    wait::used(client, name, 0).await;
    clear(client, name).await;
}

async fn what_placed_a_pod_stays_written_on_it() {
    let (client, name) = (shared().await.client().await, "guards-labels");
    poolless(&client, name).await;
    create(&pods(&client), &pod("guards-labels-1", name)).await.unwrap();
    for label in [json!("another"), json!(""), json!(null)] {
        let part = json!({"metadata": {"labels": {LABEL: label}}});
        let said = refused("so its label poros.dataos.io/compute stays", || {
            merge(&client, "guards-labels-1", &part)
        })
        .await;
        assert!(said.contains("the pod was placed by Compute guards-labels when it was created"), "{said}");
    }
    for mark in ["placed-by", "closed", "conflict"] {
        for value in [json!("guards-labels/2"), json!(null)] {
            if value.is_null() && mark != "placed-by" {
                continue;
            }
            let part = json!({"metadata": {"annotations": {format!("poros.dataos.io/{mark}"): value}}});
            refused("admission alone sets them", || merge(&client, "guards-labels-1", &part)).await;
        }
    }
    unused(&client, name, "guards-labels-1").await;
}

async fn a_label_that_comes_later_is_refused() {
    let (client, name) = (shared().await.client().await, "guards-later");
    poolless(&client, name).await;
    let mut plain = pod("guards-later-1", name);
    plain["metadata"]["labels"] = json!({"app": "plain"});
    create(&pods(&client), &plain).await.unwrap();
    let part = json!({"metadata": {"labels": {LABEL: name}}});
    let said = refused("cannot be added now", || merge(&client, "guards-later-1", &part)).await;
    assert!(said.contains("delete the pod and create it again with the label"), "{said}");
    // Without the label its annotations are its own.
    let part = json!({"metadata": {"annotations": {"poros.dataos.io/placed-by": "mine"}}});
    merge(&client, "guards-later-1", &part).await.unwrap();
    unused(&client, name, "guards-later-1").await;
}

/// What controllers, kubelets and people do to a pod in its life.
async fn what_else_is_written_to_a_pod_is_let_through() {
    let (client, name) = (shared().await.client().await, "guards-written");
    poolless(&client, name).await;
    create(&pods(&client), &pod("guards-written-1", name)).await.unwrap();
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "some", "controller": true,
        "uid": "00000000-0000-4000-8000-000000000001",
    }]);
    let parts = [
        json!({"metadata": {"labels": {"team": "data"}, "annotations": {"note": "kept"}}}),
        json!({"metadata": {"ownerReferences": owner, "finalizers": ["batch.kubernetes.io/job-tracking"]}}),
        json!({"metadata": {"ownerReferences": null, "finalizers": null}}),
        json!({"spec": {"activeDeadlineSeconds": 3600}}),
    ];
    for part in &parts {
        patch(&pods(&client), "guards-written-1", part).await;
    }
    let running = json!({"status": {"phase": "Running"}});
    pods(&client)
        .patch_status("guards-written-1", &PatchParams::default(), &Patch::Merge(&running))
        .await
        .unwrap();
    unused(&client, name, "guards-written-1").await;
}

//! Workloads that are half labelled are let through, and whoever applies them is told.

use serde_json::{Value, json};

use super::kubectl;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{create, delete, dynamic};
use crate::harness::until;
use crate::rows::shared;
use crate::trials;

trials![half_a_label_is_warned_of_and_a_whole_one_is_not, controllers_are_told_nothing];

const LABEL: &str = "poros.dataos.io/compute";

/// A workload that names these Computes: on itself, and in its pod template.
fn workload(kind: &str, own: Option<&str>, inside: Option<&str>) -> Value {
    let name = format!("guards-{}", kind.to_lowercase());
    let labels = |compute: Option<&str>| match compute {
        Some(compute) => json!({"app": name, LABEL: compute}),
        None => json!({"app": name}),
    };
    let batch = ["Job", "CronJob"].contains(&kind);
    let mut pod = json!({
        "metadata": {"labels": labels(inside)},
        "spec": {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}]},
    });
    if batch {
        pod["spec"]["restartPolicy"] = json!("Never");
    }
    let mut spec = json!({"template": pod});
    match kind {
        "Job" => {}
        "CronJob" => spec = json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": spec}}),
        _ => spec["selector"] = json!({"matchLabels": {"app": name}}),
    }
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
    }
    json!({
        "apiVersion": if batch { "batch/v1" } else { "apps/v1" },
        "kind": kind,
        "metadata": {"name": name, "labels": labels(own)},
        "spec": spec,
    })
}

/// The warnings that whoever applies this gets. It is let through in any case.
fn warnings(cluster: &Cluster, manifest: &Value) -> String {
    let said = kubectl(cluster, &["create", "--dry-run=server", "-f", "-"], Some(manifest));
    assert!(said.done, "{}", said.stderr);
    said.stderr
}

async fn half_a_label_is_warned_of_and_a_whole_one_is_not() {
    let cluster = shared().await;
    let (a, b) = (Some("guards-a"), Some("guards-b"));
    until("the guard to act", super::LIMIT, || async {
        let said = warnings(cluster, &workload("Deployment", a, None));
        if said.contains("Warning: ") { Ok(()) } else { Err(said) }
    })
    .await;
    for (kind, template) in [
        ("Deployment", "spec.template"),
        ("StatefulSet", "spec.template"),
        ("Job", "spec.template"),
        ("CronJob", "spec.jobTemplate.spec.template"),
    ] {
        let what = format!("{kind} default/guards-{}", kind.to_lowercase());
        for (own, inside, words) in [
            (
                a,
                None,
                format!(
                    "{what} names Compute guards-a only on itself, so its pods are not placed: add the label {LABEL}: guards-a to {template}.metadata.labels"
                ),
            ),
            (
                None,
                a,
                format!(
                    "{what} names Compute guards-a only in its pod template, so the Compute does not count as in use while no pod runs: add the label {LABEL}: guards-a to metadata.labels"
                ),
            ),
            (
                a,
                b,
                format!(
                    "{what} names Compute guards-a on itself and Compute guards-b in its pod template, which is the one that its pods get: name one in both"
                ),
            ),
        ] {
            let said = warnings(cluster, &workload(kind, own, inside));
            assert!(said.contains(&words), "{kind} {own:?} {inside:?}: {said}");
            assert_eq!(said.matches("Warning: ").count(), 1, "{said}");
        }
        for both in [a, None] {
            assert_eq!(warnings(cluster, &workload(kind, both, both)), "", "{kind} {both:?}");
        }
    }
    let said = warnings(cluster, &workload("DaemonSet", a, a));
    assert!(said.contains("its pods will be refused: a DaemonSet plans from its own template"), "{said}");
    assert_eq!(warnings(cluster, &workload("DaemonSet", None, None)), "");
    let mut unnamed = workload("Job", None, a);
    unnamed["metadata"].as_object_mut().unwrap().remove("name");
    unnamed["metadata"]["generateName"] = json!("guards-unnamed-");
    let said = warnings(cluster, &unnamed);
    assert!(said.contains("Job default/guards-unnamed-"), "{said}");
}

/// They copy what people wrote, and nobody reads what they are told.
async fn controllers_are_told_nothing() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let deployments = dynamic(&client, "apps/v1", "Deployment", "deployments", Some("default"));
    let mut manifest = workload("Deployment", None, Some("guards-a"));
    manifest["metadata"]["name"] = json!("guards-controlled");
    create(&deployments, &manifest).await.unwrap();
    let asked = ["label", "deployment", "guards-controlled", "--overwrite", "-n", "default"];
    let said = until("the guard to act", super::LIMIT, || async {
        let said = kubectl(cluster, &[&asked[..], &["a=b", "--dry-run=server"]].concat(), None);
        if said.stderr.contains("Warning: ") { Ok(said) } else { Err(said.stderr) }
    })
    .await;
    assert!(said.done);
    let binding = ["create", "clusterrolebinding", "guards-controller", "--clusterrole=cluster-admin"];
    cluster.kubectl(&[&binding[..], &["--serviceaccount=kube-system:guards-controller"]].concat());
    let controller = "system:serviceaccount:kube-system:guards-controller";
    until("the controller to be allowed", super::LIMIT, || async {
        let said = kubectl(cluster, &[&asked[..], &["c=d", "--as", controller]].concat(), None);
        assert!(!said.stderr.contains("Warning: "), "{}", said.stderr);
        if said.done { Ok(()) } else { Err(said.stderr) }
    })
    .await;
    // What a CronJob makes of its template is the CronJob's affair.
    let mut job = workload("Job", None, Some("guards-a"));
    job["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "controller": true,
        "uid": "00000000-0000-4000-8000-000000000001",
    }]);
    assert_eq!(warnings(cluster, &job), "");
    delete(&deployments, "guards-controlled").await.unwrap();
}

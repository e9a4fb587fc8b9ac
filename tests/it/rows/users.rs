//! Who uses a Compute, who owns it, and what its users mean for its deletion.

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use poros::api::status::Users;
use serde_json::{Value, json};

use super::{clear, edit, poolless, shared};
use crate::harness::objects::{
    compute, computes, create, delete, dry_run, dynamic, patch, pod, pods, raw_computes, refusal, with,
};
use crate::harness::people::{as_user, grant};
use crate::harness::until;
use crate::harness::wait;
use crate::trials;

trials![
    pods_that_name_a_compute_are_its_users_until_they_finish,
    pods_of_an_older_revision_are_outdated,
    workloads_that_carry_the_label_are_users_until_they_are_done,
    a_compute_in_use_is_not_deleted,
    a_compute_that_detaches_its_pods_is_deleted_in_use,
    the_owner_is_who_made_it_and_stays_so,
];

async fn users(client: &Client, name: &str, expect: u32) -> Users {
    let compute = wait::used(client, name, expect).await;
    compute.status.unwrap().users.unwrap()
}

async fn pods_that_name_a_compute_are_its_users_until_they_finish() {
    let (client, name) = (shared().await.client().await, "rows-users");
    poolless(&client, name).await;
    assert_eq!(users(&client, name, 0).await, Users::default());
    create(&pods(&client), &pod("rows-users-1", name)).await.unwrap();
    let one = users(&client, name, 1).await;
    assert_eq!((one.namespaces, one.outdated_pods), (1, 0));
    assert_eq!(one.examples, ["Pod/default/rows-users-1"]);
    for index in 2..=7 {
        create(&pods(&client), &pod(&format!("rows-users-{index}"), name)).await.unwrap();
    }
    assert_eq!(users(&client, name, 7).await.examples.len(), 5, "a status does not grow with its users");
    // A pod that is done uses nothing.
    let done = json!({"status": {"phase": "Succeeded"}});
    pods(&client).patch_status("rows-users-1", &PatchParams::default(), &Patch::Merge(&done)).await.unwrap();
    users(&client, name, 6).await;
    for index in 1..=7 {
        delete(&pods(&client), &format!("rows-users-{index}")).await.unwrap();
    }
    users(&client, name, 0).await;
    clear(&client, name).await;
}

async fn pods_of_an_older_revision_are_outdated() {
    let (client, name) = (shared().await.client().await, "rows-outdated");
    poolless(&client, name).await;
    create(&pods(&client), &pod("rows-outdated-1", name)).await.unwrap();
    users(&client, name, 1).await;
    edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "other"}}}})).await;
    let told = wait::compute(&client, name, "used by an outdated pod", |compute| {
        let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
        users.is_some_and(|users| users.outdated_pods == 1)
    })
    .await;
    assert_eq!(told.status.unwrap().users.unwrap().pods, 1);
    delete(&pods(&client), "rows-outdated-1").await.unwrap();
    users(&client, name, 0).await;
    clear(&client, name).await;
}

/// A workload of the namespace `default` whose own label names a Compute, and whose pod template does not.
pub fn workload(kind: &str, name: &str, compute: &str) -> Value {
    let template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}]},
    });
    let once = with(template.clone(), "/spec/restartPolicy", json!("Never"));
    let selector = json!({"matchLabels": {"app": name}});
    let (version, spec) = match kind {
        "Deployment" => ("apps/v1", json!({"replicas": 0, "selector": selector, "template": template})),
        "StatefulSet" => (
            "apps/v1",
            json!({"replicas": 0, "serviceName": name, "selector": selector, "template": template}),
        ),
        "CronJob" => {
            ("batch/v1", json!({"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": once}}}))
        }
        _ => ("batch/v1", json!({"template": once})),
    };
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": {"poros.dataos.io/compute": compute}},
        "spec": spec,
    })
}

/// Workloads of the namespace `default`.
pub fn workloads(client: &Client, kind: &str) -> Api<DynamicObject> {
    let version = if kind.ends_with("Job") { "batch/v1" } else { "apps/v1" };
    dynamic(client, version, kind, &format!("{}s", kind.to_lowercase()), Some("default"))
}

async fn workloads_that_carry_the_label_are_users_until_they_are_done() {
    let (client, name) = (shared().await.client().await, "rows-workloads");
    poolless(&client, name).await;
    let told = async |expect: u32| {
        let what = format!("used by {expect} workloads");
        let compute = wait::compute(&client, name, &what, |compute| {
            let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
            users.is_some_and(|users| users.workloads == expect)
        })
        .await;
        compute.status.unwrap().users.unwrap()
    };
    // Scaled to nothing, or at noon before the night: they name it all the same.
    for (count, kind) in (1..).zip(["CronJob", "Deployment", "StatefulSet", "Job"]) {
        create(&workloads(&client, kind), &workload(kind, name, name)).await.unwrap();
        told(count).await;
    }
    create(&pods(&client), &pod("rows-workloads-pod", name)).await.unwrap();
    let all = users(&client, name, 1).await;
    assert_eq!((all.workloads, all.namespaces), (4, 1));
    let kinds: Vec<_> = all.examples.iter().map(|example| example.split('/').next().unwrap()).collect();
    assert_eq!(kinds, ["Deployment", "StatefulSet", "CronJob", "Job", "Pod"], "{:?}", all.examples);
    // A Job that is complete uses nothing.
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "Test", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let done = json!({"status": {
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z", "succeeded": 1,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
    }});
    let jobs = workloads(&client, "Job");
    jobs.patch_status(name, &PatchParams::default(), &Patch::Merge(&done)).await.unwrap();
    told(3).await;
    // The label of a workload counts, not that of its pod template; and it may be taken off.
    let mut template = workload("Deployment", "rows-workloads-template", "x");
    template["metadata"]["labels"] = json!({});
    template["spec"]["template"]["metadata"]["labels"]["poros.dataos.io/compute"] = json!(name);
    create(&workloads(&client, "Deployment"), &template).await.unwrap();
    let off = json!({"metadata": {"labels": {"poros.dataos.io/compute": null}}});
    patch(&workloads(&client, "StatefulSet"), name, &off).await;
    assert_eq!(told(2).await.pods, 1);
    delete(&pods(&client), "rows-workloads-pod").await.unwrap();
    delete(&workloads(&client, "CronJob"), name).await.unwrap();
    assert_eq!(told(1).await.examples, ["Deployment/default/rows-workloads"]);
    for kind in ["Deployment", "StatefulSet", "Job"] {
        delete(&workloads(&client, kind), name).await.unwrap();
    }
    delete(&workloads(&client, "Deployment"), "rows-workloads-template").await.unwrap();
    assert_eq!(told(0).await, Users::default());
    clear(&client, name).await;
}

async fn a_compute_in_use_is_not_deleted() {
    let (client, name) = (shared().await.client().await, "rows-in-use");
    poolless(&client, name).await;
    for pod_name in ["rows-in-use-1", "rows-in-use-2"] {
        create(&pods(&client), &pod(pod_name, name)).await.unwrap();
    }
    users(&client, name, 2).await;
    wait::held(&client, name).await;
    let (code, message, _) = refusal(delete(&raw_computes(&client), name).await);
    assert_eq!(code, 403, "{message}");
    for words in [
        "Compute rows-in-use is in use by 2 pods",
        "Pod/default/rows-in-use-1, Pod/default/rows-in-use-2",
        "kubectl annotate compute rows-in-use poros.dataos.io/delete-in-use=true",
    ] {
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
    let held = computes(&client).get(name).await.unwrap();
    assert_eq!(held.metadata.deletion_timestamp, None);
    assert_eq!(wait::words(&held), "active/built Active");
    edit(&client, name, json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}}))
        .await;
    clear(&client, name).await;
    // Its pods run on; new ones are refused.
    assert!(pods(&client).get_opt("rows-in-use-1").await.unwrap().is_some());
    wait::refused(&client, name, "Compute rows-in-use is not in force").await;
    for pod_name in ["rows-in-use-1", "rows-in-use-2"] {
        delete(&pods(&client), pod_name).await.unwrap();
    }
}

async fn a_compute_that_detaches_its_pods_is_deleted_in_use() {
    let (client, name) = (shared().await.client().await, "rows-detach");
    poolless(&client, name).await;
    create(&pods(&client), &pod("rows-detach-1", name)).await.unwrap();
    users(&client, name, 1).await;
    wait::held(&client, name).await;
    refusal(delete(&raw_computes(&client), name).await);
    edit(&client, name, json!({"spec": {"deletionPolicy": "Detach"}})).await;
    wait::active(&client, name).await;
    clear(&client, name).await;
    assert!(pods(&client).get_opt("rows-detach-1").await.unwrap().is_some(), "its pod runs on");
    wait::refused(&client, name, "Compute rows-detach is not in force").await;
    delete(&pods(&client), "rows-detach-1").await.unwrap();
}

fn owner(compute: &DynamicObject) -> &str {
    compute.data["spec"]["owner"].as_str().unwrap_or_default()
}

async fn the_owner_is_who_made_it_and_stays_so() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let verbs = ["create", "get", "patch", "update"];
    grant(&client, "rows-alice", "computes", &verbs).await;
    grant(&client, "rows-bob", "computes", &verbs).await;
    grant(&client, "rows-gitops", "computes", &[&verbs[..], &["assign-owner"]].concat()).await;
    let alice = raw_computes(&as_user(cluster, "rows-alice").await);
    let bob = raw_computes(&as_user(cluster, "rows-bob").await);
    let gitops = raw_computes(&as_user(cluster, "rows-gitops").await);
    let manifest = |name: &str| with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    for (api, user) in [(&alice, "rows-alice"), (&bob, "rows-bob"), (&gitops, "rows-gitops")] {
        until(&format!("{user} to be allowed, and to be the owner"), wait::LIMIT, || async {
            let made = dry_run(api, &manifest("rows-alices")).await.map_err(|error| error.to_string())?;
            if owner(&made) == user { Ok(()) } else { Err(owner(&made).to_owned()) }
        })
        .await;
    }
    // Nobody can make a Compute in another's name, nor give it away.
    let forged = with(manifest("rows-alices"), "/spec/owner", json!("bob"));
    let made = create(&alice, &forged).await.unwrap();
    assert_eq!(owner(&made), "rows-alice");
    assert_eq!(made.metadata.finalizers.as_deref(), Some(&["poros.dataos.io/cleanup".to_owned()][..]));
    wait::active(&client, "rows-alices").await;
    let to = |owner: Value| json!({"spec": {"owner": owner, "description": "edited"}});
    assert_eq!(owner(&patch(&alice, "rows-alices", &to(json!("bob"))).await), "rows-alice");
    assert_eq!(owner(&patch(&bob, "rows-alices", &to(json!("rows-bob"))).await), "rows-alice");
    assert_eq!(owner(&patch(&bob, "rows-alices", &to(json!(null))).await), "rows-alice", "nor take it off");
    // Who may assign owners can.
    assert_eq!(owner(&patch(&gitops, "rows-alices", &to(json!("carol"))).await), "carol");
    assert_eq!(owner(&patch(&gitops, "rows-alices", &to(json!(null))).await), "carol", "but not drop it");
    let mut named = manifest("rows-carols");
    named["spec"]["owner"] = json!("carol");
    assert_eq!(owner(&create(&gitops, &named).await.unwrap()), "carol");
    let unnamed = create(&gitops, &manifest("rows-gitopss")).await.unwrap();
    assert_eq!(owner(&unnamed), "rows-gitops");
    for name in ["rows-alices", "rows-carols", "rows-gitopss"] {
        wait::active(&client, name).await;
        clear(&client, name).await;
    }
}

//! Owner and finalizer are set inside the API server, and no applier of manifests sees a difference by that.

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{LIMIT, kubectl};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, computes, dry_run, patch, raw_computes, with};
use crate::harness::people::{as_user, grant};
use crate::harness::{until, wait};
use crate::rows::{clear, shared};
use crate::trials;

trials![
    server_side_appliers_see_no_drift,
    a_client_side_diff_is_empty,
    an_owner_that_an_applier_may_not_give_is_no_endless_edit,
    a_name_that_the_api_server_makes_up_is_no_hindrance,
];

const VERBS: [&str; 4] = ["create", "get", "patch", "update"];

fn manifest(name: &str, owner: Option<&str>) -> Value {
    let manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    match owner {
        Some(owner) => with(manifest, "/spec/owner", json!(owner)),
        None => manifest,
    }
}

/// Computes, as somebody who may write them, and perhaps name their owners.
async fn applier(cluster: &Cluster, client: &Client, user: &str, assigns: bool) -> Api<DynamicObject> {
    let verbs = if assigns { [&VERBS[..], &["assign-owner"]].concat() } else { VERBS.to_vec() };
    grant(client, user, "computes", &verbs).await;
    let api = raw_computes(&as_user(cluster, user).await);
    // A policy that was just installed acts after about a second.
    until("the applier to be allowed, and the policy to act", LIMIT, || async {
        let made = dry_run(&api, &manifest("guards-try", None)).await.map_err(|error| error.to_string())?;
        if owner(&made) == user { Ok(()) } else { Err(format!("owner {:?}", owner(&made))) }
    })
    .await;
    api
}

/// What an applier compares: everything but the bookkeeping of writes.
fn compared(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    for field in ["managedFields", "resourceVersion"] {
        value["metadata"].as_object_mut().unwrap().remove(field);
    }
    value.as_object_mut().unwrap().remove("status");
    value
}

fn owner(object: &DynamicObject) -> &str {
    object.data["spec"]["owner"].as_str().unwrap_or_default()
}

/// As Flux does: apply; then ask by a dry run whether an apply would change anything, and apply only if it would.
async fn settled(api: &Api<DynamicObject>, manager: &str, manifest: &Value) -> DynamicObject {
    let name = manifest["metadata"]["name"].as_str().unwrap();
    let apply = PatchParams::apply(manager).force();
    let first = api.patch(name, &apply, &Patch::Apply(manifest)).await.unwrap();
    let dry = PatchParams { dry_run: true, ..apply.clone() };
    let live = api.get(name).await.unwrap();
    let would = api.patch(name, &dry, &Patch::Apply(manifest)).await.unwrap();
    assert_eq!(compared(&would), compared(&live), "{manager} sees a drift");
    let again = api.patch(name, &apply, &Patch::Apply(manifest)).await.unwrap();
    assert_eq!(
        again.metadata.generation, first.metadata.generation,
        "{manager} makes a generation of nothing"
    );
    again
}

async fn server_side_appliers_see_no_drift() {
    let (cluster, name) = (shared().await, "guards-applied");
    let client = cluster.client().await;
    let flux = applier(cluster, &client, "guards-flux", true).await;
    let person = applier(cluster, &client, "guards-person", false).await;
    let given = settled(&flux, "kustomize-controller", &manifest(name, Some("guards-alice"))).await;
    assert_eq!(owner(&given), "guards-alice");
    assert_eq!(given.metadata.finalizers.as_deref(), Some(&["poros.dataos.io/cleanup".to_owned()][..]));
    let generation = wait::active(&client, name).await.metadata.generation;
    // A second manager, who may not name owners, applies the same without one; then the first again.
    let second = settled(&person, "kubectl", &manifest(name, None)).await;
    assert_eq!((owner(&second), second.metadata.generation), ("guards-alice", generation));
    let third = settled(&flux, "kustomize-controller", &manifest(name, Some("guards-alice"))).await;
    assert_eq!(third.metadata.generation, generation);
    // The owner goes from the manifest: the Compute keeps it, and nothing drifts by that either.
    let without = settled(&flux, "kustomize-controller", &manifest(name, None)).await;
    assert_eq!((owner(&without), without.metadata.generation), ("guards-alice", generation));
    clear(&client, name).await;
    // A manifest that never named an owner.
    let never = settled(&flux, "kustomize-controller", &manifest(name, None)).await;
    assert_eq!(owner(&never), "guards-flux");
    wait::active(&client, name).await;
    settled(&flux, "kustomize-controller", &manifest(name, None)).await;
    clear(&client, name).await;
}

/// As Argo CD does: an apply, and a diff against what is stored; on the client's side, and on the server's.
async fn a_client_side_diff_is_empty() {
    let (cluster, name) = (shared().await, "guards-diffed");
    let client = cluster.client().await;
    applier(cluster, &client, "guards-argo", true).await;
    for (given, expect) in [(Some("guards-bob"), "guards-bob"), (None, "guards-argo")] {
        for side in ["--server-side=false", "--server-side=true"] {
            let manifest = manifest(name, given);
            let ask = |verb: &str| {
                kubectl(cluster, &[verb, side, "-f", "-", "--as", "guards-argo"], Some(&manifest))
            };
            let applied = ask("apply");
            assert!(applied.done, "{}", applied.stderr);
            let applied = raw_computes(&client).get(name).await.unwrap();
            assert_eq!(owner(&applied), expect);
            wait::active(&client, name).await;
            let diff = ask("diff");
            assert!(diff.done && diff.stdout.is_empty(), "{side}: {}{}", diff.stdout, diff.stderr);
            let again = ask("apply");
            assert!(again.done, "{}", again.stderr);
            if side.ends_with("false") {
                assert!(again.stdout.contains("unchanged"), "{}", again.stdout);
            }
            let now = computes(&client).get(name).await.unwrap();
            assert_eq!(now.metadata.generation, applied.metadata.generation);
            clear(&client, name).await;
        }
    }
}

/// Who may not name owners keeps asking for another one: each apply is answered alike, and nothing is written.
async fn an_owner_that_an_applier_may_not_give_is_no_endless_edit() {
    let (cluster, name) = (shared().await, "guards-forged");
    let client = cluster.client().await;
    let person = applier(cluster, &client, "guards-forger", false).await;
    let forged = manifest(name, Some("somebody-else"));
    let first = settled(&person, "kubectl", &forged).await;
    assert_eq!(owner(&first), "guards-forger");
    let active = wait::active(&client, name).await;
    let again = settled(&person, "kubectl", &forged).await;
    assert_eq!(again.metadata.generation, active.metadata.generation);
    // Nor can the finalizer be taken away for good: Poros holds what it built.
    patch(&raw_computes(&client), name, &json!({"metadata": {"finalizers": null}})).await;
    wait::compute(&client, name, "held again", |compute| {
        compute.metadata.finalizers.as_deref() == Some(&["poros.dataos.io/cleanup".to_owned()][..])
    })
    .await;
    clear(&client, name).await;
}

/// At admission such a Compute has no name yet.
async fn a_name_that_the_api_server_makes_up_is_no_hindrance() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let (flux, person) = (
        applier(cluster, &client, "guards-naming-flux", true).await,
        applier(cluster, &client, "guards-naming", false).await,
    );
    for (api, wanted) in [(&flux, "bob"), (&person, "guards-naming")] {
        let mut manifest = manifest("", Some("bob"));
        manifest["metadata"] = json!({"generateName": "guards-made-up-"});
        let made = dry_run(api, &manifest).await.unwrap();
        assert_eq!(owner(&made), wanted);
        assert_eq!(made.metadata.finalizers.as_deref(), Some(&["poros.dataos.io/cleanup".to_owned()][..]));
    }
}

//! The faults of a spec and of a name: `UnknownDataplane`, `NameTaken`. Those of a stored spec are in `stored`.

use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::{apply, clear, edit, reason, revision, shared};
use crate::harness::objects::{bindings, compute, create, delete, placements, raw_computes, with};
use crate::harness::wait::{self, condition, info};
use crate::kstatus::{self, Kstatus};
use crate::trials;

trials![
    a_compute_for_another_dataplane_is_not_built,
    a_bad_edit_leaves_in_force_what_was,
    a_foreign_placement_of_its_name_is_left_alone,
    a_foreign_binding_of_its_name_is_left_alone,
    a_broken_compute_costs_its_neighbour_nothing,
];

async fn a_compute_for_another_dataplane_is_not_built() {
    let (client, name) = (shared().await.client().await, "rows-elsewhere");
    let manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    apply(&client, &with(manifest, "/spec/dataplane", json!("elsewhere"))).await;
    let failed = wait::says(&client, name, "error/error UnknownDataplane").await;
    let found = ["Ready", "Stalled", "Reconciling", "Built", "PlacementVerified", "PoolReady"]
        .map(|type_| condition(&failed, type_));
    assert_eq!(found, ["False", "True", "", "False", "Unknown", "Unknown"]);
    assert_eq!(kstatus::of(&failed), Kstatus::Failed);
    assert!(info(&failed).starts_with("spec.dataplane is \"elsewhere\""), "{}", info(&failed));
    for words in ["\"hub\"", "; nothing is in force: pods that name this Compute are refused"] {
        assert!(info(&failed).contains(words), "{}", info(&failed));
    }
    assert!(placements(&client).get_opt(name).await.unwrap().is_none(), "nothing is built");
    wait::refused(&client, name, &format!("Compute {name} is not in force")).await;
    edit(&client, name, json!({"spec": {"dataplane": "hub"}})).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    clear(&client, name).await;
}

async fn a_bad_edit_leaves_in_force_what_was() {
    let (client, name) = (shared().await.client().await, "rows-moved");
    apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    wait::active(&client, name).await;
    let placement = placements(&client).get(name).await.unwrap();
    let bad = json!({"spec": {"dataplane": "elsewhere", "nodePool": {"nodeSelector": {"pool": "other"}}}});
    edit(&client, name, bad).await;
    let failed = wait::says(&client, name, "error/error UnknownDataplane").await;
    assert_eq!(reason(&failed, "PlacementVerified"), "UnknownDataplane");
    assert!(info(&failed).ends_with("; revision 1 stays in force"), "{}", info(&failed));
    let pod = wait::placed(&client, name, 1).await;
    assert_eq!(pod["spec"]["nodeSelector"]["pool"], name, "placed as before the edit");
    let after = placements(&client).get(name).await.unwrap();
    assert_eq!(after.metadata.resource_version, placement.metadata.resource_version, "untouched");
    edit(&client, name, json!({"spec": {"dataplane": "hub"}})).await;
    wait::active(&client, name).await;
    assert_eq!(revision(&client, name).await, (2, 2));
    let pod = wait::placed(&client, name, 2).await;
    assert_eq!(pod["spec"]["nodeSelector"]["pool"], "other");
    clear(&client, name).await;
}

/// A Compute meets an object of its child's name that somebody else made; then that object goes.
async fn name_taken(name: &str, kind: &str, api: Api<DynamicObject>, rival: Value) {
    let client = shared().await.client().await;
    let rival_name = rival["metadata"]["name"].as_str().unwrap().to_owned();
    let before = create(&api, &rival).await.unwrap();
    let manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    apply(&client, &manifest).await;
    let failed = wait::says(&client, name, "error/error NameTaken").await;
    assert!(
        info(&failed).starts_with(&format!("{kind} {rival_name} exists and was not built by Poros")),
        "{}",
        info(&failed)
    );
    let resources = &failed.status.as_ref().unwrap().cloud_kernel_resources;
    let taken = resources.iter().find(|resource| resource.kind == kind).unwrap();
    assert!(taken.reason.as_ref().unwrap().contains(&rival_name), "{taken:?}");
    wait::refused(&client, name, &format!("Compute {name} is not in force")).await;
    // An edit makes Poros look again; it must keep its hands off all the same.
    edit(&client, name, json!({"spec": {"description": "still taken"}})).await;
    wait::says(&client, name, "error/error NameTaken").await;
    assert_eq!(api.get(&rival_name).await.unwrap(), before, "the foreign object is untouched");
    // Nor does it go with the Compute.
    delete(&raw_computes(&client), name).await.unwrap();
    wait::gone(&client, name).await;
    assert_eq!(api.get(&rival_name).await.unwrap(), before, "the foreign object is untouched");
    apply(&client, &manifest).await;
    wait::says(&client, name, "error/error NameTaken").await;
    delete(&api, &rival_name).await.unwrap();
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    clear(&client, name).await;
}

async fn a_foreign_placement_of_its_name_is_left_alone() {
    let client = shared().await.client().await;
    let rival = json!({
        "apiVersion": "poros.dataos.io/v1beta1",
        "kind": "Placement",
        "metadata": {"name": "rows-taken", "annotations": {"made-by": "somebody"}},
        "spec": {"revision": 5, "lastRevision": 5, "nodeSelector": {"a": "b"}, "tolerations": [], "closed": false},
    });
    name_taken("rows-taken", "Placement", placements(&client), rival).await;
}

async fn a_foreign_binding_of_its_name_is_left_alone() {
    let client = shared().await.client().await;
    let rival = foreign_binding("poros-rows-bound");
    name_taken("rows-bound", "MutatingAdmissionPolicyBinding", bindings(&client), rival).await;
}

/// A binding that somebody else made: it binds nothing, for its policy does not exist.
pub fn foreign_binding(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": "somebody-elses.example.com",
            "matchResources": {"objectSelector": {"matchLabels": {"nobody": "carries-this"}}},
        },
    })
}

async fn a_broken_compute_costs_its_neighbour_nothing() {
    let client = shared().await.client().await;
    let good = with(compute("rows-neighbour"), "/spec/nodePool/minReadyNodes", json!(0));
    let bad = with(compute("rows-broken"), "/spec/dataplane", json!("elsewhere"));
    apply(&client, &good).await;
    let before = wait::active(&client, "rows-neighbour").await;
    apply(&client, &bad).await;
    wait::says(&client, "rows-broken", "error/error UnknownDataplane").await;
    edit(&client, "rows-neighbour", json!({"spec": {"description": "still served"}})).await;
    let after = wait::active(&client, "rows-neighbour").await;
    assert_eq!(super::seq(&before), super::seq(&after));
    clear(&client, "rows-broken").await;
    clear(&client, "rows-neighbour").await;
}

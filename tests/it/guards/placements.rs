//! Placements are Poros's alone: whoever may write them by RBAC is still sent to the Compute.

use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::{LIMIT, refused, taken};
use crate::harness::objects::{create, placements, with};
use crate::harness::people::{as_user, grant};
use crate::harness::until;
use crate::rows::{clear, poolless, revision, shared};
use crate::trials;

trials![a_placement_is_written_by_poros_and_by_no_user];

async fn a_placement_is_written_by_poros_and_by_no_user() {
    let (cluster, name) = (shared().await, "guards-builder");
    let client = cluster.client().await;
    let every = ["get", "list", "create", "update", "patch", "delete", "deletecollection"];
    grant(&client, "guards-builder-user", "placements", &every).await;
    poolless(&client, name).await;
    let user = placements(&as_user(cluster, "guards-builder-user").await);
    let stored = taken("the user to be allowed", || user.get(name)).await;
    let words = |name: &str| {
        format!(
            "Placement {name} is written by Poros alone: change its Compute instead (kubectl edit compute {name})"
        )
    };
    let part = Patch::Merge(json!({"spec": {"nodeSelector": {"pool": "mine"}}}));
    refused(&words(name), || async { user.patch(name, &PatchParams::default(), &part).await }).await;
    let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    refused(&words(name), || async { user.patch(name, &PatchParams::default(), &label).await }).await;
    let mine = with(serde_json::to_value(&stored).unwrap(), "/metadata", json!({"name": "guards-mine"}));
    refused(&words("guards-mine"), || create(&user, &mine)).await;
    refused(&words(name), || async {
        user.delete(name, &DeleteParams::default()).await.map(|_| stored.clone())
    })
    .await;
    let which = ListParams::default().fields(&format!("metadata.name={name}"));
    refused(&words(name), || async {
        user.delete_collection(&DeleteParams::default(), &which).await.map(|_| stored.clone())
    })
    .await;
    let now = placements(&client).get(name).await.unwrap();
    assert_eq!(now.metadata.resource_version, stored.metadata.resource_version, "nothing came through");
    // The garbage collector takes references to owners that are gone off, and removes what was theirs.
    let collector = "system:serviceaccount:kube-system:generic-garbage-collector";
    let collector = placements(&as_user(cluster, collector).await);
    collector.patch(name, &PatchParams::default(), &label).await.unwrap();
    collector.delete(name, &DeleteParams::default()).await.unwrap();
    // And an administrator's hand is what drift is about: Poros puts it back.
    taken("the Placement to be built again", || async { placements(&client).get(name).await }).await;
    placements(&client).patch(name, &PatchParams::default(), &part).await.unwrap();
    crate::harness::wait::proven(&client, name).await;
    until("the selector to be put back", LIMIT, || async {
        let selector = placements(&client).get(name).await.unwrap().data["spec"]["nodeSelector"].clone();
        if selector == json!({"pool": name}) { Ok(()) } else { Err(selector.to_string()) }
    })
    .await;
    assert_eq!(revision(&client, name).await.0, 1);
    clear(&client, name).await;
}

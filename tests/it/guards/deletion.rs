//! However a Compute in use is deleted, it is refused, and the users are named.

use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use super::{kubectl, refused};
use crate::harness::objects::{create, delete, pod, pods, raw_computes, refusal};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::wait;
use crate::rows::{clear, edit, own, poolless, shared};
use crate::trials;

trials![a_compute_in_use_is_deleted_by_no_way, users_that_no_status_tells_of_yet_hold_a_compute];

async fn a_compute_in_use_is_deleted_by_no_way() {
    let (cluster, name) = (shared().await, "guards-used");
    let client = cluster.client().await;
    poolless(&client, name).await;
    edit(&client, name, json!({"metadata": {"labels": {"guards": "used"}}})).await;
    create(&pods(&client), &pod("guards-used-1", name)).await.unwrap();
    wait::used(&client, name, 1).await;
    wait::held(&client, name).await;
    let words = "Compute guards-used is in use by 1 pod (Pod/default/guards-used-1); remove them first, or allow it: kubectl annotate compute guards-used poros.dataos.io/delete-in-use=true";
    let stored = raw_computes(&client).get(name).await.unwrap();
    for how in ["background", "foreground", "orphan"] {
        let cascade = format!("--cascade={how}");
        for which in [&["computes", name][..], &["computes", "--selector=guards=used"][..]] {
            let said = kubectl(cluster, &[&["delete", &cascade][..], which].concat(), None);
            assert!(
                !said.done && said.stderr.contains(words),
                "{how} {which:?}: {}{}",
                said.stdout,
                said.stderr
            );
        }
    }
    let which = ListParams::default().labels("guards=used");
    refused(words, || async {
        raw_computes(&client)
            .delete_collection(&DeleteParams::default(), &which)
            .await
            .map(|_| stored.clone())
    })
    .await;
    let held = raw_computes(&client).get(name).await.unwrap();
    assert_eq!(held.metadata.deletion_timestamp, None);
    assert_eq!(held.metadata.finalizers, stored.metadata.finalizers);
    // Of more users than are named the message says that there are more.
    for index in 2..=6 {
        create(&pods(&client), &pod(&format!("guards-used-{index}"), name)).await.unwrap();
    }
    wait::used(&client, name, 6).await;
    let said = kubectl(cluster, &["delete", "compute", name], None);
    assert!(said.stderr.contains("in use by 6 pods (Pod/default/guards-used-1, "), "{}", said.stderr);
    assert!(said.stderr.contains("Pod/default/guards-used-5, …); remove"), "{}", said.stderr);
    // A word that says no is no escape.
    let escape = |value| json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": value}}});
    edit(&client, name, escape("false")).await;
    assert!(!kubectl(cluster, &["delete", "compute", name], None).done);
    // The command in the message is the way.
    edit(&client, name, escape("true")).await;
    clear(&client, name).await;
    for index in 1..=6 {
        delete(&pods(&client), &format!("guards-used-{index}")).await.unwrap();
    }
}

/// The guard reads the status, and that is a moment old: a pod that came in since holds the Compute by its finalizer.
async fn users_that_no_status_tells_of_yet_hold_a_compute() {
    let (cluster, client) = own("it-race").await;
    let (name, flags) = ("race", [&["--manage-policies"], &SHORT[..]].concat());
    let poros = Poros::start(&cluster, &flags);
    poolless(&client, name).await;
    poros.kill();
    create(&pods(&client), &pod("race-1", name)).await.unwrap();
    delete(&raw_computes(&client), name).await.expect("no status tells of a user");
    create(&pods(&client), &pod("race-2", name)).await.expect("it is in force until somebody closes it");
    let _poros = Poros::start(&cluster, &flags);
    let held = wait::says(&client, name, "deleting/building InUse").await;
    assert!(wait::info(&held).contains("Pod/default/race-1, Pod/default/race-2"), "{}", wait::info(&held));
    wait::refused(&client, name, "Compute race is being deleted and takes no new pods").await;
    wait::held(&client, name).await;
    // Deleted once more, it says what it waits for.
    let said = refusal(delete(&raw_computes(&client), name).await).1;
    assert!(said.contains("Compute race is in use by 2 pods"), "{said}");
    delete(&pods(&client), "race-1").await.unwrap();
    delete(&pods(&client), "race-2").await.unwrap();
    wait::gone(&client, name).await;
    wait::refused(&client, name, "Compute race is not in force").await;
}

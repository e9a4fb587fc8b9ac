//! Deleting and Deleted: what is written before a Compute is gone, and that nothing outlives it.

use std::time::Duration;

use serde_json::json;

use super::{apply, clear, shared};
use crate::harness::objects::{compute, delete, patch, raw_computes, with};
use crate::harness::until;
use crate::harness::wait;
use crate::kstatus;
use crate::trials;

trials![
    the_last_version_of_a_compute_says_deleted,
    a_compute_that_somebody_else_holds_stays_deleted,
    a_compute_that_was_never_built_goes_too,
];

/// What was last seen of a Compute, once that is `deleted`.
async fn last_words(name: &str) -> kstatus::Seen {
    until("the last version of it to be seen", wait::LIMIT, || async {
        let last = kstatus::seen(name).pop();
        last.filter(|seen| seen.words.starts_with("deleted/")).ok_or(format!("{:?}", kstatus::seen(name)))
    })
    .await
}

async fn the_last_version_of_a_compute_says_deleted() {
    let (client, name) = (shared().await.client().await, "rows-deleted");
    apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    clear(&client, name).await;
    let last = last_words(name).await;
    assert_eq!(last.words.trim(), "deleted/built", "no condition Ready, hence no reason");
    assert!(!last.has_ready, "{last:?}");
    assert_eq!(last.holds, ["Deleting"]);
    assert_eq!(last.last_reason, "Deleted");
    wait::refused(&client, name, &format!("Compute {name} is not in force")).await;
}

async fn a_compute_that_somebody_else_holds_stays_deleted() {
    let (client, name) = (shared().await.client().await, "rows-held");
    let mut manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    manifest["metadata"]["finalizers"] = json!(["example.com/hold"]);
    apply(&client, &manifest).await;
    wait::active(&client, name).await;
    delete(&raw_computes(&client), name).await.unwrap();
    let held = wait::compute(&client, name, "deleted", |compute| {
        wait::words(compute).trim() == "deleted/built"
            && compute.metadata.finalizers.as_deref() == Some(&["example.com/hold".to_owned()][..])
    })
    .await;
    assert_eq!(kstatus::of(&held), kstatus::Kstatus::Terminating);
    let status = held.status.as_ref().unwrap();
    assert_eq!(status.builder_state.summary, "0/0");
    wait::refused(&client, name, &format!("Compute {name} is not in force")).await;
    // Touching it wakes nothing up.
    patch(&raw_computes(&client), name, &json!({"metadata": {"labels": {"a": "b"}}})).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let still = crate::harness::objects::computes(&client).get(name).await.unwrap();
    assert_eq!(still.status, held.status);
    patch(&raw_computes(&client), name, &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&client, name).await;
}

async fn a_compute_that_was_never_built_goes_too() {
    let (client, name) = (shared().await.client().await, "rows-unbuilt");
    apply(&client, &with(compute(name), "/spec/dataplane", json!("elsewhere"))).await;
    wait::says(&client, name, "error/error UnknownDataplane").await;
    clear(&client, name).await;
    assert_eq!(last_words(name).await.last_reason, "Deleted");
}

//! Other writers: a forged status, a finalizer that is taken away.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{LIMIT, childless, pool, settled};
use crate::harness::objects::{compute, computes, create, delete, patch, placements, raw_computes, with};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Seen};
use crate::harness::{until, wait};
use crate::trials;

trials![
    a_forged_status_of_a_compute_that_cannot_be_built_is_corrected,
    a_forged_status_of_a_compute_that_was_never_built_is_corrected,
    a_status_that_is_taken_away_is_written_again,
    a_finalizer_that_is_taken_away_is_put_back,
    a_compute_that_goes_before_its_finalizer_is_back_leaves_nothing,
    a_compute_that_goes_before_the_reply_to_its_status_leaves_nothing,
    a_child_that_goes_before_the_reply_to_its_create_is_repaired,
    a_child_that_is_said_to_belong_to_another_is_put_right,
];

/// Longer than the watch takes to tell what happened, and the test to do what it does meanwhile.
const LATE: Duration = Duration::from_secs(5);

/// A status that says all is well.
fn forged(generation: i64) -> Value {
    let condition = |name: &str| {
        json!({
            "type": name, "status": "True", "reason": if name == "Ready" { "Active" } else { "Forged" }, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation,
        })
    };
    json!({"status": {
        "aggregateStatus": "active",
        "builderState": {
            "stage": "built", "numberOfWantedResources": 2, "numberOfProcessedResources": 2, "summary": "2/2",
            "info": "revision 7 is in force",
        },
        "placement": {"mode": "Policy", "revision": 7, "lastRevision": 7, "provenRevision": 7},
        "conditions": [condition("Ready"), condition("Built"), condition("PlacementVerified"), condition("PoolReady")],
        "observedGeneration": generation,
    }})
}

async fn forge(stage: &Stage, name: &str, status: &Value) {
    raw_computes(&stage.client)
        .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

async fn a_forged_status_of_a_compute_that_cannot_be_built_is_corrected() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    let value = with(compute("forged-broken"), "/spec/dataplane", json!("elsewhere"));
    create(&raw_computes(client), &value).await.unwrap();
    wait::says(client, "forged-broken", "error/error UnknownDataplane").await;
    forge(&stage, "forged-broken", &forged(1)).await;
    let corrected = wait::says(client, "forged-broken", "error/error UnknownDataplane").await;
    assert_ne!(wait::condition(&corrected, "PlacementVerified"), "True");
    assert_eq!(corrected.status.unwrap().builder_state.number_of_processed_resources, 0);
    childless(client, "forged-broken").await;
    wait::refused(client, "forged-broken", "is not in force").await;
}

async fn a_forged_status_of_a_compute_that_was_never_built_is_corrected() {
    let stage = Stage::new().await;
    let client = &stage.client;
    pool(client, "forged-new").await;
    create(&raw_computes(client), &compute("forged-new")).await.unwrap();
    create(&raw_computes(client), &compute("forged-poolless")).await.unwrap();
    for name in ["forged-new", "forged-poolless"] {
        forge(&stage, name, &forged(1)).await;
        wait::refused(client, name, "is not in force").await;
    }
    let _poros = stage.poros();
    // A number that was said to be used is not given away again; which one it is does not matter.
    let proven = until("the forged one to be built and proven", LIMIT, || async {
        let compute = computes(client).get("forged-new").await.map_err(|error| error.to_string())?;
        let placement = compute.status.as_ref().and_then(|status| status.placement.clone());
        let proven = placement.filter(|placement| placement.proven_at.is_some());
        let verified = wait::condition(&compute, "PlacementVerified") == "True";
        let proven = proven.and_then(|placement| placement.proven_revision);
        proven.filter(|_| verified).ok_or_else(|| wait::words(&compute))
    })
    .await;
    settled(client, "forged-new", proven).await;
    wait::placed(client, "forged-new", proven).await;
    until("the poolless one to say so", LIMIT, || async {
        let compute = computes(client).get("forged-poolless").await.map_err(|error| error.to_string())?;
        let words = wait::words(&compute);
        if words.contains("active") { Err(words) } else { Ok(()) }
    })
    .await;
}

async fn a_status_that_is_taken_away_is_written_again() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "blank").await;
    create(&raw_computes(client), &compute("blank")).await.unwrap();
    settled(client, "blank", 1).await;
    let blank = json!({"status": {
        "aggregateStatus": "pending", "placement": null, "conditions": null, "history": null, "transitionSeq": 0,
        "observedGeneration": -1,
    }});
    forge(&stage, "blank", &blank).await;
    settled(client, "blank", 1).await;
}

async fn a_finalizer_that_is_taken_away_is_put_back() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "unheld").await;
    let value = with(compute("unheld"), "/metadata/finalizers", json!(["example.com/of-others"]));
    create(&raw_computes(client), &value).await.unwrap();
    settled(client, "unheld", 1).await;
    let others = json!({"metadata": {"finalizers": ["example.com/of-others"]}});
    patch(&raw_computes(client), "unheld", &others).await;
    until("the finalizer to be back", LIMIT, || async {
        let compute = raw_computes(client).get("unheld").await.map_err(|error| error.to_string())?;
        let both = ["example.com/of-others", "poros.dataos.io/cleanup"];
        if compute.finalizers() == both { Ok(()) } else { Err(format!("{:?}", compute.finalizers())) }
    })
    .await;
    settled(client, "unheld", 1).await;
    // The other's finalizer holds it, Poros's does not: what was built is gone, and the status says so.
    delete(&raw_computes(client), "unheld").await.unwrap();
    childless(client, "unheld").await;
    until("Poros to let go", LIMIT, || async {
        let compute = computes(client).get("unheld").await.map_err(|error| error.to_string())?;
        let words = wait::words(&compute);
        let let_go = compute.finalizers() == ["example.com/of-others"] && words.starts_with("deleted/built");
        if let_go { Ok(()) } else { Err(format!("{words} {:?}", compute.finalizers())) }
    })
    .await;
    patch(&raw_computes(client), "unheld", &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(client, "unheld").await;
}

async fn a_compute_that_goes_before_its_finalizer_is_back_leaves_nothing() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "escaped").await;
    create(&raw_computes(client), &compute("escaped")).await.unwrap();
    settled(client, "escaped", 1).await;
    let put_back = |seen: &Seen| seen.is("PATCH", "computes") && seen.name == "escaped";
    stage.proxy.on(Act::Hold(LATE), 1, put_back);
    let mark = stage.proxy.mark();
    patch(&raw_computes(client), "escaped", &json!({"metadata": {"finalizers": null}})).await;
    stage.proxy.await_count("Poros to put it back", mark, 1, put_back).await;
    delete(&raw_computes(client), "escaped").await.unwrap();
    assert!(raw_computes(client).get_opt("escaped").await.unwrap().is_none(), "nothing holds it");
    childless(client, "escaped").await;
    wait::refused(client, "escaped", "is not in force").await;
}

async fn a_compute_that_goes_before_the_reply_to_its_status_leaves_nothing() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "overtaken").await;
    create(&raw_computes(client), &compute("overtaken")).await.unwrap();
    settled(client, "overtaken", 1).await;
    let written = |seen: &Seen| seen.is("PUT", "computes/status") && seen.name == "overtaken";
    stage.proxy.on(Act::HoldReply(LATE), 1, written);
    let mark = stage.proxy.mark();
    patch(&raw_computes(client), "overtaken", &json!({"spec": {"description": "new"}})).await;
    stage.proxy.await_count("the status to be stored", mark, 1, |seen| written(seen) && seen.done()).await;
    patch(&raw_computes(client), "overtaken", &json!({"metadata": {"finalizers": null}})).await;
    delete(&raw_computes(client), "overtaken").await.unwrap();
    // The reply that comes now speaks of a Compute that is gone.
    childless(client, "overtaken").await;
}

async fn a_child_that_goes_before_the_reply_to_its_create_is_repaired() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "overtaken-child").await;
    let written = |seen: &Seen| seen.is("POST", "placements") && seen.name == "overtaken-child";
    stage.proxy.on(Act::HoldReply(LATE), 1, written);
    let mark = stage.proxy.mark();
    create(&raw_computes(client), &compute("overtaken-child")).await.unwrap();
    stage.proxy.await_count("the Placement to be stored", mark, 1, |seen| written(seen) && seen.done()).await;
    delete(&placements(client), "overtaken-child").await.unwrap();
    stage.proxy.await_count("the Placement to be made again", mark, 2, written).await;
    // The first number went with the Placement before it was proven; whether it is used again does not matter.
    let compute = wait::active(client, "overtaken-child").await;
    let revision = compute.status.unwrap().placement.unwrap().revision;
    settled(client, "overtaken-child", revision).await;
}

/// An owner that is not there would have the garbage collector remove the child.
async fn a_child_that_is_said_to_belong_to_another_is_put_right() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "owned").await;
    create(&raw_computes(client), &compute("owned")).await.unwrap();
    let uid = settled(client, "owned", 1).await.uid().unwrap();
    let stranger = json!([{
        "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "name": "owned",
        "uid": "00000000-0000-0000-0000-000000000000",
    }]);
    patch(&placements(client), "owned", &json!({"metadata": {"ownerReferences": stranger}})).await;
    until("the owner to be named again", LIMIT, || async {
        let placement = placements(client).get("owned").await.map_err(|error| error.to_string())?;
        let owners = placement.owner_references();
        if owners.iter().any(|owner| owner.uid == uid) { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
    wait::proven(client, "owned").await;
    settled(client, "owned", 1).await;
}

//! Watches that end, expire, or are refused: what changed meanwhile is seen soon after.

use serde_json::json;

use super::{LIMIT, SOON, WATCHES, pool, settled, settled_within};
use crate::harness::objects::{compute, computes, create, delete, patch, placements, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Order, Seen};
use crate::harness::until;
use crate::trials;

trials![
    watches_that_are_cut_go_on,
    watches_that_expire_in_their_stream_begin_anew_with_a_list,
    watches_that_are_refused_as_expired_begin_anew_with_a_list,
    a_child_that_goes_before_its_watch_told_of_it_is_missed_all_the_same,
];

fn a_list(seen: &Seen) -> bool {
    seen.verb == "GET" && !seen.watch && seen.name.is_empty()
}

fn a_watch(seen: &Seen) -> bool {
    seen.watch
}

/// A change of a description is seen, which needs the watch of Computes alone.
async fn is_seen(stage: &Stage, name: &str, text: &str) {
    patch(&raw_computes(&stage.client), name, &json!({"spec": {"description": text}})).await;
    until(&format!("the change {text:?} of {name} to be seen"), SOON, || async {
        let compute = computes(&stage.client).get(name).await.map_err(|error| error.to_string())?;
        let observed = compute.status.as_ref().map(|status| status.observed_generation);
        if observed == compute.metadata.generation { Ok(()) } else { Err(format!("generation {observed:?}")) }
    })
    .await;
}

async fn watches_that_are_cut_go_on() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    pool(&stage.client, "cut").await;
    create(&raw_computes(&stage.client), &compute("cut")).await.unwrap();
    settled(&stage.client, "cut", 1).await;
    for round in 0..3 {
        let mark = stage.proxy.mark();
        stage.proxy.order(Order::Cut, None);
        is_seen(&stage, "cut", &format!("round {round}")).await;
        stage.proxy.await_count("all watches to begin again", mark, WATCHES, a_watch).await;
        let seen: Vec<_> = stage.proxy.since(mark).into_iter().filter(a_list).collect();
        assert!(seen.is_empty(), "a watch that was cut goes on from where it was: {seen:?}");
    }
    // Every other watch is alive too: a node event, a child's event.
    delete(&placements(&stage.client), "cut").await.unwrap();
    until("the Placement to be repaired", SOON, || async {
        placements(&stage.client).get("cut").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    settled(&stage.client, "cut", 1).await;
}

async fn watches_that_expire_in_their_stream_begin_anew_with_a_list() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    pool(&stage.client, "expired").await;
    create(&raw_computes(&stage.client), &compute("expired")).await.unwrap();
    settled(&stage.client, "expired", 1).await;
    let mark = stage.proxy.mark();
    stage.proxy.order(Order::Expire, None);
    is_seen(&stage, "expired", "after the watch expired").await;
    stage.proxy.await_count("all resources to be listed again", mark, WATCHES, a_list).await;
    delete(&placements(&stage.client), "expired").await.unwrap();
    until("the Placement to be repaired", SOON, || async {
        placements(&stage.client).get("expired").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    settled(&stage.client, "expired", 1).await;
}

async fn watches_that_are_refused_as_expired_begin_anew_with_a_list() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    pool(&stage.client, "gone").await;
    create(&raw_computes(&stage.client), &compute("gone")).await.unwrap();
    settled(&stage.client, "gone", 1).await;
    stage.proxy.on(Act::Answer(410), u32::MAX, a_watch);
    let mark = stage.proxy.mark();
    stage.proxy.order(Order::Cut, None);
    // More tries than the supervisor lets pass. kube's own watcher would go on like this for ever.
    stage.proxy.await_count("watches to be refused", mark, 5 * WATCHES, a_watch).await;
    create(&raw_computes(&stage.client), &compute("gone-new")).await.unwrap();
    pool(&stage.client, "gone-new").await;
    // No watch has begun since; it is the lists that tell.
    settled_within(&stage.client, "gone-new", 1, LIMIT).await;
    let served = stage.proxy.count(mark, |seen| seen.watch && seen.act.is_none());
    assert_eq!(served, 0, "no watch was to be served");
    let mark = stage.proxy.mark();
    stage.proxy.clear();
    stage
        .proxy
        .await_count("all watches to begin again", mark, WATCHES, |seen| seen.watch && seen.done())
        .await;
    is_seen(&stage, "gone", "after watches were served again").await;
}

/// What Poros wrote it knows at once. If that goes while the watch says nothing, the next list lacks an object of which
/// the watch had never told: it is missing all the same.
async fn a_child_that_goes_before_its_watch_told_of_it_is_missed_all_the_same() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    pool(&stage.client, "untold").await;
    stage.proxy.order(Order::Silence, Some("placements"));
    create(&raw_computes(&stage.client), &compute("untold")).await.unwrap();
    settled(&stage.client, "untold", 1).await;
    delete(&placements(&stage.client), "untold").await.unwrap();
    stage.proxy.order(Order::Expire, Some("placements"));
    until("the Placement to be repaired", SOON, || async {
        placements(&stage.client).get("untold").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    settled(&stage.client, "untold", 1).await;
}

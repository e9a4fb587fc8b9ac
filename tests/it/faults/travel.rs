//! Time travel: lists and watches that tell of what was, as a stale API server or a stale cache would. What stands for a
//! newer incarnation, or a newer edit, is not touched for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{LIMIT, childless, edit, gone_without_a_trace, pool, quiet, settled};
use crate::harness::objects::{
    bindings, compute, computes, create, delete, dynamic, patch, placements, raw_computes,
};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Order, Seen};
use crate::harness::until;
use crate::trials;

trials![
    a_list_of_a_dead_incarnation_costs_the_living_one_nothing,
    a_list_of_a_compute_that_is_being_deleted_costs_its_successor_nothing,
    a_list_from_before_an_edit_does_not_undo_it,
    a_list_from_before_a_deletion_builds_nothing,
    a_list_without_a_compute_costs_it_nothing,
    events_that_come_again_from_an_older_time_do_no_harm,
];

/// So long Poros is told the old story.
const TOLD: Duration = Duration::from_secs(4);

/// Has Poros list this instead of what there is, from now on; and begin to list.
async fn replay(stage: &Stage, resource: &'static str, items: Vec<Value>) {
    let mark = stage.proxy.mark();
    stage.proxy.lists(resource, move |_, mut list| {
        list["items"] = items.clone().into();
        // As old as what it tells of: the watch that begins here tells the rest, so it must not begin.
        list
    });
    stage.proxy.order(Order::Expire, Some(resource));
    stage.proxy.await_count("the old list", mark, 1, move |seen| a_list(seen, resource)).await;
}

fn a_list(seen: &Seen, resource: &str) -> bool {
    seen.verb == "GET" && !seen.watch && seen.name.is_empty() && seen.resource == resource
}

/// The Compute as it is now, as a list has it.
async fn snapshot(stage: &Stage, name: &str) -> Value {
    serde_json::to_value(raw_computes(&stage.client).get(name).await.unwrap()).unwrap()
}

/// What stands for a Compute: uids and specs of both children.
async fn standing(stage: &Stage, name: &str) -> [(Option<String>, Value); 2] {
    let placement = placements(&stage.client).get(name).await.unwrap();
    let binding = bindings(&stage.client).get(&format!("poros-{name}")).await.unwrap();
    [placement, binding].map(|child| (child.uid(), child.data["spec"].clone()))
}

/// While Poros is told the old story, what stands is not touched; when it hears the truth again, all is as it was.
async fn unharmed(
    stage: &Stage,
    name: &str,
    revision: u64,
    before: [(Option<String>, Value); 2],
    mark: usize,
) {
    tokio::time::sleep(TOLD).await;
    assert_eq!(standing(stage, name).await, before, "{}", stage.proxy.writes(mark));
    let harm = stage.proxy.since(mark).into_iter().filter(|seen| {
        seen.writes(name) && (seen.verb == "DELETE" || seen.is("PUT", "placements")) && seen.done()
    });
    assert_eq!(harm.count(), 0, "{}", stage.proxy.writes(mark));
    stage.proxy.clear();
    stage.proxy.order(Order::Expire, None);
    settled(&stage.client, name, revision).await;
    assert_eq!(standing(stage, name).await, before, "{}", stage.proxy.writes(mark));
}

/// Deletes a Compute and makes it anew; gives back what it was before.
async fn successor(stage: &Stage, name: &str, deleting: bool) -> Value {
    let client = &stage.client;
    pool(client, name).await;
    create(&raw_computes(client), &compute(name)).await.unwrap();
    settled(client, name, 1).await;
    let mut old = snapshot(stage, name).await;
    if deleting {
        old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    delete(&raw_computes(client), name).await.unwrap();
    gone_without_a_trace(client, name).await;
    create(&raw_computes(client), &compute(name)).await.unwrap();
    settled(client, name, 1).await;
    old
}

async fn a_list_of_a_dead_incarnation_costs_the_living_one_nothing() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    let old = successor(&stage, "reborn", false).await;
    let (before, mark) = (standing(&stage, "reborn").await, stage.proxy.mark());
    replay(&stage, "computes", vec![old]).await;
    unharmed(&stage, "reborn", 1, before, mark).await;
}

/// Told by its first list: this Poros has never seen anything newer.
async fn a_list_of_a_compute_that_is_being_deleted_costs_its_successor_nothing() {
    let stage = Stage::new().await;
    let poros = stage.poros();
    let old = successor(&stage, "dying", true).await;
    poros.kill();
    let (before, mark) = (standing(&stage, "dying").await, stage.proxy.mark());
    stage.proxy.lists("computes", move |_, mut list| {
        list["items"] = json!([old]);
        list
    });
    let _next = started(&stage);
    unharmed(&stage, "dying", 1, before, mark).await;
}

fn started(stage: &Stage) -> Poros {
    let poros = stage.launch(&SHORT);
    poros.await_ready(READY);
    poros
}

async fn a_list_from_before_an_edit_does_not_undo_it() {
    let stage = Stage::new().await;
    let poros = stage.poros();
    let client = &stage.client;
    pool(client, "edited").await;
    create(&raw_computes(client), &compute("edited")).await.unwrap();
    settled(client, "edited", 1).await;
    let old = snapshot(&stage, "edited").await;
    patch(&raw_computes(client), "edited", &edit("edited")).await;
    settled(client, "edited", 2).await;
    let (before, mark) = (standing(&stage, "edited").await, stage.proxy.mark());
    replay(&stage, "computes", vec![old.clone()]).await;
    unharmed(&stage, "edited", 2, before.clone(), mark).await;
    // And one that knows nothing else.
    poros.kill();
    let mark = stage.proxy.mark();
    stage.proxy.lists("computes", move |_, mut list| {
        list["items"] = json!([old]);
        list
    });
    let _next = started(&stage);
    unharmed(&stage, "edited", 2, before, mark).await;
}

async fn a_list_from_before_a_deletion_builds_nothing() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    let client = &stage.client;
    pool(client, "ghost").await;
    create(&raw_computes(client), &compute("ghost")).await.unwrap();
    settled(client, "ghost", 1).await;
    let old = snapshot(&stage, "ghost").await;
    delete(&raw_computes(client), "ghost").await.unwrap();
    gone_without_a_trace(client, "ghost").await;
    let mark = stage.proxy.mark();
    replay(&stage, "computes", vec![old]).await;
    tokio::time::sleep(TOLD).await;
    let made = stage.proxy.count(mark, |seen| seen.writes("ghost") && seen.verb == "POST");
    assert_eq!(made, 0, "{}", stage.proxy.writes(mark));
    childless(client, "ghost").await;
    stage.proxy.clear();
    stage.proxy.order(Order::Expire, None);
    quiet::holds(&stage, Duration::from_secs(5)).await;
}

async fn a_list_without_a_compute_costs_it_nothing() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    let client = &stage.client;
    pool(client, "unlisted").await;
    create(&raw_computes(client), &compute("unlisted")).await.unwrap();
    settled(client, "unlisted", 1).await;
    let (before, mark) = (standing(&stage, "unlisted").await, stage.proxy.mark());
    replay(&stage, "computes", Vec::new()).await;
    // It is looked for before anything is removed, and found: from then on it is known again.
    patch(&raw_computes(client), "unlisted", &json!({"spec": {"description": "new"}})).await;
    unharmed(&stage, "unlisted", 1, before, mark).await;
}

/// Each event of Computes and of both children is told again after each later one, oldest first.
async fn events_that_come_again_from_an_older_time_do_no_harm() {
    let stage = Stage::new().await;
    for resource in ["computes", "placements", "mutatingadmissionpolicybindings"] {
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        stage.proxy.events(resource, move |event| {
            let mut told = told.lock().unwrap();
            let old: Vec<Value> = told.iter().rev().take(6).rev().cloned().collect();
            told.push(event.clone());
            // What is true comes last.
            [vec![event.clone()], old, vec![event]].concat()
        });
    }
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "echoed").await;
    let mark = stage.proxy.mark();
    create(&raw_computes(client), &compute("echoed")).await.unwrap();
    settled(client, "echoed", 1).await;
    patch(&raw_computes(client), "echoed", &edit("echoed")).await;
    settled(client, "echoed", 2).await;
    delete(&raw_computes(client), "echoed").await.unwrap();
    gone_without_a_trace(client, "echoed").await;
    create(&raw_computes(client), &compute("echoed")).await.unwrap();
    settled(client, "echoed", 1).await;
    for resource in ["placements", "mutatingadmissionpolicybindings"] {
        let done = |verb| {
            stage.proxy.count(mark, |seen| seen.writes("echoed") && seen.is(verb, resource) && seen.done())
        };
        assert_eq!((done("POST"), done("DELETE")), (2, 1), "{}", stage.proxy.writes(mark));
    }
    let uid = computes(client).get("echoed").await.unwrap().uid();
    let living = dynamic(client, "poros.dataos.io/v1beta1", "Placement", "placements", None);
    until("the living one's Placement to stay", LIMIT, || async {
        let owner =
            living.get("echoed").await.map_err(|error| error.to_string())?.owner_references().to_vec();
        if owner.iter().any(|owner| Some(&owner.uid) == uid.as_ref()) {
            Ok(())
        } else {
            Err(format!("{owner:?}"))
        }
    })
    .await;
}

//! A replica with old news: its watch of Computes is silent, while it hears of what others build. It must not undo that.

use std::time::Duration;

use serde_json::json;

use super::{LIMIT, Replica, children, gapless, pooled};
use crate::harness::objects::{bindings, compute, computes, create, delete, patch, placements, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Order, Seen};
use crate::harness::{until, wait};
use crate::trials;

trials![
    what_stands_for_a_newer_incarnation_is_not_torn_down,
    what_stands_for_a_newer_generation_is_not_put_back,
    what_went_with_its_compute_is_not_built_anew,
];

const FORCED: [&str; 1] = ["--leader-elect=false"];

/// Two leaders by force, of which the second one hears no more of Computes.
async fn one_of_two_is_deaf(name: &str) -> (Stage, Replica, Replica) {
    let stage = Stage::new().await;
    let (first, deaf) = (Replica::start(&stage, &FORCED).await, Replica::start(&stage, &FORCED).await);
    pooled(&stage.client, name).await;
    wait::proven(&stage.client, name).await;
    // It has heard of the last status, too: only news is to be missing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    deaf.proxy.order(Order::Silence, Some("computes"));
    (stage, first, deaf)
}

/// Waits until the deaf one asked the API server itself, and for what it might do wrong after that.
async fn it_asks(deaf: &Replica, mark: usize, name: &str) {
    until("the deaf one to ask for the Compute", LIMIT, || async {
        let asked = deaf.proxy.count(mark, |seen| is_look(seen, name));
        if asked > 0 { Ok(()) } else { Err(deaf.proxy.writes(mark)) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}

fn is_look(seen: &Seen, name: &str) -> bool {
    seen.verb == "GET" && seen.resource == "computes" && seen.name == name && !seen.watch
}

async fn what_stands_for_a_newer_incarnation_is_not_torn_down() {
    let name = "stale-incarnation";
    let (stage, _first, deaf) = one_of_two_is_deaf(name).await;
    let client = &stage.client;
    let mark = deaf.proxy.mark();
    delete(&raw_computes(client), name).await.unwrap();
    wait::gone(client, name).await;
    create(&raw_computes(client), &compute(name)).await.unwrap();
    let active = wait::proven(client, name).await;
    let standing = children(client, name).await;
    it_asks(&deaf, mark, name).await;
    assert_eq!(children(client, name).await, standing);
    // Once it has asked, it may build the new one as well as the other leader.
    let log = deaf.proxy.since(mark);
    let asked = log.iter().position(|seen| is_look(seen, name)).unwrap();
    let harm = log.iter().enumerate().filter(|(place, seen)| {
        let child = seen.writes(name) && seen.done() && seen.resource != "computes/status";
        child && (seen.verb != "POST" || *place < asked)
    });
    assert_eq!(harm.count(), 0, "{}", deaf.proxy.writes(mark));
    assert_eq!(wait::words(&active), "active/built Active");
}

async fn what_stands_for_a_newer_generation_is_not_put_back() {
    let name = "stale-generation";
    let (stage, _first, deaf) = one_of_two_is_deaf(name).await;
    let client = &stage.client;
    let mark = deaf.proxy.mark();
    let edit = json!({"spec": {"nodePool": {"tolerations": [{"key": "new", "operator": "Exists"}]}}});
    patch(&raw_computes(client), name, &edit).await;
    wait::placed(client, name, 2).await;
    let before = placements(client).get(name).await.unwrap();
    it_asks(&deaf, mark, name).await;
    let after = placements(client).get(name).await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version,
        "{}",
        deaf.proxy.writes(mark)
    );
    gapless(&wait::proven(client, name).await);
}

async fn what_went_with_its_compute_is_not_built_anew() {
    let name = "stale-deletion";
    let (stage, _first, deaf) = one_of_two_is_deaf(name).await;
    let client = &stage.client;
    let mark = deaf.proxy.mark();
    delete(&raw_computes(client), name).await.unwrap();
    wait::gone(client, name).await;
    it_asks(&deaf, mark, name).await;
    assert_eq!(deaf.proxy.count(mark, |seen| seen.writes(name) && seen.is("POST", "placements")), 0);
    let posts = deaf.proxy.count(mark, |seen| seen.writes(name) && seen.verb == "POST" && !seen.dry_run);
    assert_eq!(posts, 0, "{}", deaf.proxy.writes(mark));
    let left = (
        computes(client).get_opt(name).await.unwrap().is_some(),
        placements(client).get_opt(name).await.unwrap().is_some(),
        bindings(client).get_opt(&format!("poros-{name}")).await.unwrap().is_some(),
    );
    assert_eq!(left, (false, false, false));
}

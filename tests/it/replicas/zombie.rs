//! A leader that stands still (SIGSTOP) while another one takes over, and then goes on: it must do nothing, and what it
//! had sent before must be refused, however late it arrives.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::json;

use super::{BRIEF, LIMIT, Replica, children, gapless, holder, pooled};
use crate::harness::objects::{compute, computes, create, delete, patch, raw_computes, with};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Seen};
use crate::harness::{until, wait};
use crate::trials;

trials![what_a_leader_that_stood_still_had_sent_is_refused];

/// With the times that `poros run` has by itself.
pub(super) mod slow {
    use super::{Duration, story};

    crate::trials![; slow: what_a_leader_that_stood_still_for_a_minute_had_sent_is_refused];

    async fn what_a_leader_that_stood_still_for_a_minute_had_sent_is_refused() {
        story(&["--leader-elect=true"], Duration::from_secs(60)).await;
    }
}

async fn what_a_leader_that_stood_still_had_sent_is_refused() {
    story(&BRIEF, Duration::ZERO).await;
}

/// The writes that are on their way when it stops: one of each kind.
const LATE: [(&str, &str, &str); 4] = [
    ("PUT", "placements", "zombie-edited"),
    ("DELETE", "mutatingadmissionpolicybindings", "poros-zombie-deleted"),
    ("POST", "placements", "zombie-new"),
    ("PUT", "computes/status", "zombie-told"),
];

fn is_late(seen: &Seen) -> bool {
    LATE.iter().any(|(verb, resource, name)| seen.is(verb, resource) && seen.name == *name)
}

/// A leader stands still until another one has taken over and is done, and for so long at least.
async fn story(flags: &[&str], pause: Duration) {
    let stage = Stage::new().await;
    let (zombie, next) = Replica::two(&stage, flags).await;
    let client = &stage.client;
    for name in ["zombie-edited", "zombie-deleted", "zombie-told"] {
        pooled(client, name).await;
        wait::active(client, name).await;
    }
    let mark = zombie.proxy.mark();
    for (verb, resource, name) in LATE {
        let is = move |seen: &Seen| seen.is(verb, resource) && seen.name == name;
        zombie.proxy.on(Act::Late, 1, is);
    }
    let edit =
        |value: &str| json!({"spec": {"nodePool": {"tolerations": [{"key": value, "operator": "Exists"}]}}});
    patch(&raw_computes(client), "zombie-edited", &edit("first")).await;
    delete(&raw_computes(client), "zombie-deleted").await.unwrap();
    pooled(client, "zombie-new").await;
    patch(&raw_computes(client), "zombie-told", &json!({"spec": {"description": "new"}})).await;
    zombie.proxy.await_count("the writes that come late", mark, LATE.len(), is_late).await;
    let stopped = Instant::now();
    zombie.poros.signal("STOP");

    next.await_lead().await;
    println!("the next leader led {:?} after the first one stood still", stopped.elapsed());
    for name in ["zombie-edited", "zombie-new", "zombie-told"] {
        gapless(&wait::active(client, name).await);
    }
    wait::gone(client, "zombie-deleted").await;
    // What stands now is newer than anything that is still on its way.
    patch(&raw_computes(client), "zombie-edited", &edit("second")).await;
    let again = with(compute("zombie-deleted"), "/spec/nodePool/minReadyNodes", json!(0));
    create(&raw_computes(client), &again).await.unwrap();
    wait::placed(client, "zombie-edited", 3).await;
    let names = ["zombie-edited", "zombie-deleted", "zombie-new", "zombie-told"];
    let mut standing = Vec::new();
    for name in names {
        gapless(&wait::active(client, name).await);
        standing.push(versions(client, name).await);
    }

    zombie.proxy.release();
    let answered = |seen: &Seen| is_late(seen) && seen.answer.is_some();
    zombie.proxy.await_count("the late writes to arrive", mark, LATE.len(), answered).await;
    tokio::time::sleep(pause.saturating_sub(stopped.elapsed())).await;
    let leader = holder(client).await;
    let woken = zombie.proxy.mark();
    zombie.poros.signal("CONT");
    zombie.await_end(0).await;
    println!("a stop of {:?} was noticed", stopped.elapsed());
    // Time for all that it might do wrong.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for seen in zombie.proxy.since(mark).iter().filter(|seen| is_late(seen)) {
        assert!(matches!(seen.answer, Some(404 | 409)), "{seen} was done");
    }
    assert_eq!(
        zombie.proxy.count(woken, |seen| seen.write.is_some() && seen.done()),
        0,
        "{}",
        zombie.proxy.writes(woken)
    );
    assert_eq!(holder(client).await, leader, "the Lease stays where it is");
    for (name, before) in names.into_iter().zip(standing) {
        assert_eq!(versions(client, name).await, before, "{name} was written to");
        gapless(&computes(client).get(name).await.unwrap());
    }
    zombie.poros.await_ready(LIMIT);

    // And it leads again when it is its turn, in the same process.
    drop(next.poros);
    zombie.await_lead().await;
    pooled(client, "zombie-last").await;
    until("the one that stood still to work again", LIMIT, || async {
        let words = computes(client).get("zombie-last").await.map(|compute| wait::words(&compute)).unwrap();
        if words == "active/built Active" { Ok(()) } else { Err(words) }
    })
    .await;
}

/// The version of a Compute, and the uids of its children.
async fn versions(client: &Client, name: &str) -> (Option<String>, [String; 2]) {
    let compute = computes(client).get(name).await.unwrap();
    (compute.metadata.resource_version, children(client, name).await)
}

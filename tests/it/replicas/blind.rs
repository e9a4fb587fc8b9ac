//! A leader that sees no more: it makes way for one that does, and where nobody does, one leads on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{BRIEF, LIMIT, Replica, gapless, holder, pooled};
use crate::harness::objects::{patch, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Order, Seen};
use crate::harness::{until, wait};
use crate::trials;

trials![
    a_leader_that_sees_no_more_makes_way,
    a_blind_leader_that_cannot_release_its_lease_is_followed_when_that_is_silent,
];

/// What a watch that fails must not take longer than.
const GRACE: Duration = Duration::from_secs(2);

/// From now on it neither lists nor watches nodes.
fn blind(replica: &Replica) {
    let looks = |seen: &Seen| seen.resource == "nodes" && seen.name.is_empty() && seen.verb == "GET";
    replica.proxy.on(Act::Answer(403), u32::MAX, looks);
    replica.proxy.order(Order::Cut, Some("nodes"));
}

fn ready(replica: &Replica) -> bool {
    replica.poros.get("/readyz").is_ok_and(|(code, _)| code == 200)
}

/// What it tells of the Computes.
fn tells(replica: &Replica) -> bool {
    replica.poros.get("/metrics").unwrap().1.contains("\nporos_computes{")
}

async fn a_leader_that_sees_no_more_makes_way() {
    let stage = Stage::new().await;
    let grace = format!("--watch-grace={}", GRACE.as_secs());
    let (first, second) = Replica::two(&stage, &[&BRIEF[..], &[&grace]].concat()).await;
    let client = &stage.client;
    assert_eq!((tells(&first), tells(&second)), (true, false), "the leader alone tells of the Computes");
    pooled(client, "blind").await;
    wait::active(client, "blind").await;
    let start = Instant::now();
    blind(&first);
    second.await_lead().await;
    println!("a blind leader made way after {:?} (grace {GRACE:?})", start.elapsed());
    first.await_end(0).await;
    assert!(!ready(&first) && ready(&second));
    assert_eq!((tells(&first), tells(&second)), (false, true));
    patch(&raw_computes(client), "blind", &json!({"spec": {"description": "seen by the second"}})).await;
    gapless(&wait::active(client, "blind").await);

    // Now nobody sees. One of them leads all the same, and neither hands the Lease to and fro.
    blind(&second);
    until("the second one to make way", LIMIT, || async {
        if first.poros.log_text().matches("became the leader").count() == 2
            || second.poros.log_text().contains("leads no more")
        {
            Ok(())
        } else {
            Err("it leads on".to_owned())
        }
    })
    .await;
    until("one of them to lead", LIMIT, || async {
        if first.poros.leads() || second.poros.leads() { Ok(()) } else { Err("nobody leads".to_owned()) }
    })
    .await;
    let (leads, led) = (first.poros.leads(), holder(client).await);
    tokio::time::sleep(4 * GRACE).await;
    assert_eq!((first.poros.leads(), holder(client).await), (leads, led), "it leads on");
    patch(&raw_computes(client), "blind", &json!({"spec": {"description": "by what is known"}})).await;
    gapless(&wait::active(client, "blind").await);

    // Who sees again is ready, and takes nothing from anybody.
    first.proxy.clear();
    second.proxy.clear();
    until("both to be ready", LIMIT, || async {
        if ready(&first) && ready(&second) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    assert_eq!(first.poros.leads(), leads);
}

async fn a_blind_leader_that_cannot_release_its_lease_is_followed_when_that_is_silent() {
    // It is blind after two seconds, long before its deadline.
    let flags = [
        "--leader-elect=true",
        "--lease-duration=10",
        "--lease-renew-deadline=8",
        "--lease-retry=0.7",
        "--watch-grace=1",
    ];
    let stage = Stage::new().await;
    let (first, second) = Replica::two(&stage, &flags).await;
    let client = &stage.client;
    pooled(client, "blind-and-bound").await;
    wait::active(client, "blind-and-bound").await;
    // No write of the Lease is taken until the release has failed; from then on each would be.
    let refused = Arc::new(AtomicBool::new(true));
    let while_refused = refused.clone();
    first.proxy.on(Act::Answer(503), u32::MAX, move |seen| {
        seen.is("PUT", "leases") && while_refused.load(Ordering::SeqCst)
    });
    let start = Instant::now();
    blind(&first);
    until("the release to fail", LIMIT, || async {
        let log = first.poros.log_text();
        if log.contains("the Lease could not be released") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let mark = first.proxy.mark();
    refused.store(false, Ordering::SeqCst);
    second.await_lead().await;
    println!("a blind leader that could not release was followed after {:?} (Lease 10 s)", start.elapsed());
    let log = first.poros.log_text();
    assert_eq!(log.matches("became the leader").count(), 1, "it led on, and sees nothing");
    assert!(log.contains("leads no more: its watches fail"), "it lost by time, and had nothing to release");
    assert_eq!(first.proxy.count(mark, |seen| seen.write.is_some()), 0, "it wrote, and sees nothing");
    let name = "blind-and-bound";
    patch(&raw_computes(client), name, &json!({"spec": {"description": "seen by the second"}})).await;
    gapless(&wait::active(client, name).await);
}

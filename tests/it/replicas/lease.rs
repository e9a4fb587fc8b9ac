//! The Lease: taken over from the dead, handed over by who stops, deleted, stolen, filled with garbage, forbidden.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};

use super::{BRIEF, BRIEF_LEASE, LIMIT, Replica, gapless, holder, leases, pooled};
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{bindings, computes, create, delete, patch, raw_computes};
use crate::harness::poros::SHORT;
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Point};
use crate::harness::{until, wait};
use crate::trials;

trials![
    a_leader_that_is_killed_at_work_is_followed_when_its_lease_is_silent,
    a_leader_that_stops_hands_over_at_once,
    a_repair_whose_leader_was_killed_is_proven_by_the_next_one,
    a_lease_that_is_deleted_is_made_anew_and_a_stolen_one_is_respected,
    garbage_in_the_lease_delays_nobody_and_hurries_nobody,
    without_rights_on_the_lease_poros_says_so_and_waits,
    a_leader_that_cannot_renew_stops_and_stands_by,
];

/// The times that `poros run` has by itself.
const LEASE: Duration = Duration::from_secs(15);

async fn a_leader_that_is_killed_at_work_is_followed_when_its_lease_is_silent() {
    let stage = Stage::new().await;
    let (first, second) = Replica::two(&stage, &["--leader-elect=true"]).await;
    let client = &stage.client;
    pooled(client, "before-the-kill").await;
    let before = wait::active(client, "before-the-kill").await;
    let mark = second.proxy.mark();
    // Between its two children.
    let pid = first.poros.id();
    first.proxy.on(Act::Kill(Point::AfterCommit, pid), 1, |seen| {
        seen.writes("at-the-kill") && seen.is("POST", "placements")
    });
    pooled(client, "at-the-kill").await;
    until("the kill", LIMIT, || async { if first.proxy.killed() { Ok(()) } else { Err("it lives".into()) } })
        .await;
    let start = Instant::now();
    assert_eq!(second.proxy.count(mark, |seen| seen.write.is_some()), 0, "who stands by writes nothing");
    second.await_lead().await;
    let led = start.elapsed();
    let after = wait::active(client, "at-the-kill").await;
    println!(
        "killed leader: the next one led after {led:?} (in fair weather within {:?}), the work was done after {:?}",
        LEASE + Duration::from_secs(2),
        start.elapsed()
    );
    // That bound is held on a clock of its own (tests/pure/election.rs): where many things run at once it is more.
    gapless(&after);
    let unharmed = wait::active(client, "before-the-kill").await;
    assert_eq!(unharmed.metadata.resource_version, before.metadata.resource_version, "nothing to be done");
}

async fn a_leader_that_stops_hands_over_at_once() {
    let stage = Stage::new().await;
    let (first, second) = Replica::two(&stage, &["--leader-elect=true"]).await;
    let client = &stage.client;
    for index in 0..5 {
        pooled(client, &format!("handed-{index}")).await;
    }
    let start = Instant::now();
    let (took, well) = first.poros.stop();
    assert!(well && took < Duration::from_secs(10), "well: {well}, after {took:?}");
    second.await_lead().await;
    let led = start.elapsed().saturating_sub(took);
    println!("a leader that stops ended after {took:?}; the next one led {led:?} after that");
    assert!(led < LEASE, "nobody waits for the Lease to run out: {led:?}");
    for index in 0..5 {
        gapless(&wait::active(client, &format!("handed-{index}")).await);
    }
    // The last write of who stopped is that of the Lease.
    let log = first.proxy.since(0);
    let last = log.iter().rfind(|seen| seen.write.is_some()).unwrap();
    assert!(last.is("PUT", "leases") && last.done(), "{last}");
    // A stop with nobody to follow leaves a Lease that nobody holds.
    let (took, well) = second.poros.stop();
    assert!(well && took < Duration::from_secs(10), "well: {well}, after {took:?}");
    assert_eq!(holder(client).await, None);
}

async fn a_repair_whose_leader_was_killed_is_proven_by_the_next_one() {
    let stage = Stage::new().await;
    let (first, second) = Replica::two(&stage, &BRIEF).await;
    let (client, name) = (&stage.client, "repaired");
    pooled(client, name).await;
    wait::proven(client, name).await;
    // It has repaired, and told of it; its proof is due after that.
    let pid = first.poros.id();
    first.proxy.on(Act::Kill(Point::AfterReply, pid), 1, |seen| {
        seen.writes("repaired") && seen.is("PUT", "computes/status")
    });
    let mark = second.proxy.mark();
    delete(&bindings(client), "poros-repaired").await.unwrap();
    until("the kill", LIMIT, || async { if first.proxy.killed() { Ok(()) } else { Err("it lives".into()) } })
        .await;
    let left = computes(client).get(name).await.unwrap();
    assert_eq!(wait::condition(&left, "Drifted"), "True");
    second.await_lead().await;
    let proven = wait::compute(client, name, "proven again", |compute| {
        wait::condition(compute, "Drifted").is_empty()
            && wait::condition(compute, "PlacementVerified") == "True"
    })
    .await;
    let proofs = second.proxy.count(mark, |seen| seen.dry_run && seen.name.ends_with(name));
    assert!(proofs > 0, "it is said to be proven, and nobody proved it");
    gapless(&proven);
}

async fn a_lease_that_is_deleted_is_made_anew_and_a_stolen_one_is_respected() {
    let stage = Stage::new().await;
    let (first, second) = Replica::two(&stage, &BRIEF).await;
    let client = &stage.client;
    delete(&leases(client), "poros").await.unwrap();
    until("the Lease to be made anew", LIMIT, || async {
        match holder(client).await {
            Some(holder) => Ok(holder),
            None => Err("there is none".to_owned()),
        }
    })
    .await;
    // Whoever was faster: in the end one of them leads.
    one_leads(&first, &second).await;
    pooled(client, "after-the-deletion").await;
    // Who held the Lease that was deleted may lead for a moment beside who made the new one. That does no harm: what the one
    // has proven the other proves too.
    wait::compute(client, "after-the-deletion", "active and proven", |compute| {
        wait::words(compute) == "active/built Active"
            && wait::condition(compute, "PlacementVerified") == "True"
    })
    .await;

    let now = "2026-01-01T00:00:00.000000Z";
    let stolen = json!({"spec": {"holderIdentity": "a-thief", "renewTime": now, "acquireTime": now}});
    let (start, robbed) = (Instant::now(), if first.poros.leads() { &first } else { &second });
    let ends = robbed.ends();
    patch(&leases(client), "poros", &stolen).await;
    robbed.await_end(ends).await;
    println!("after the theft nobody led after {:?}", start.elapsed());
    until("the Lease to be taken back", LIMIT, || async {
        match holder(client).await.as_deref() {
            Some("a-thief") => Err("the thief has it".to_owned()),
            Some(_) => Ok(()),
            None => Err("nobody has it".to_owned()),
        }
    })
    .await;
    let took = start.elapsed();
    println!("a stolen Lease was taken back after {took:?}");
    assert!(took > BRIEF_LEASE - Duration::from_millis(500), "before the thief was silent: {took:?}");
    one_leads(&first, &second).await;
    pooled(client, "after-the-theft").await;
    gapless(&wait::active(client, "after-the-theft").await);
}

/// Waits until exactly one of two leads.
async fn one_leads(first: &Replica, second: &Replica) {
    until("one of two to lead", LIMIT, || async {
        match (first.poros.leads(), second.poros.leads()) {
            (true, false) | (false, true) => Ok(()),
            both => Err(format!("{both:?}")),
        }
    })
    .await;
}

async fn garbage_in_the_lease_delays_nobody_and_hurries_nobody() {
    let stage = Stage::new().await;
    let client = &stage.client;
    let garbage = [
        json!({"leaseDurationSeconds": i32::MAX, "leaseTransitions": i32::MAX, "renewTime": "2036-01-01T00:00:00.000000Z"}),
        json!({"leaseDurationSeconds": 1, "renewTime": "1990-01-01T00:00:00.000000Z"}),
        json!({"leaseDurationSeconds": null, "leaseTransitions": null, "renewTime": null, "acquireTime": null}),
        json!({"leaseDurationSeconds": 0}),
        json!({"leaseDurationSeconds": -1, "leaseTransitions": -1}),
    ];
    let mut tried = 0;
    for mut spec in garbage {
        spec["holderIdentity"] = json!(format!("nobody-{tried}"));
        if !write_lease(client, &spec).await {
            println!("the API server takes no Lease with {spec}");
            continue;
        }
        tried += 1;
        let start = Instant::now();
        let poros = stage.launch(&[&["--manage-policies"], &SHORT[..], &BRIEF].concat());
        until("the Lease to be taken", LIMIT, || async {
            if poros.leads() { Ok(()) } else { Err(super::last_words(&poros)) }
        })
        .await;
        let took = start.elapsed();
        assert!(took >= BRIEF_LEASE, "{spec} hurried: {took:?}");
        let stored = leases(client).get("poros").await.unwrap();
        assert_eq!(stored.data["spec"]["leaseDurationSeconds"], BRIEF_LEASE.as_secs());
        assert!(stored.data["spec"]["leaseTransitions"].as_i64().unwrap() >= 1, "{stored:?}");
    }
    assert!(tried >= 3, "only {tried} were taken");
}

/// Puts this spec into the Lease; false if the API server refuses it.
async fn write_lease(client: &Client, spec: &Value) -> bool {
    let _ = delete(&leases(client), "poros").await;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "poros"}, "spec": spec,
    });
    create(&leases(client), &lease).await.is_ok()
}

async fn without_rights_on_the_lease_poros_says_so_and_waits() {
    let stage = Stage::alone().await;
    let (cluster, client) = (stage.cluster(), &stage.client);
    cluster.expect_refusals();
    let rules = cluster.kubectl(&["get", "role", "poros", "-n", "poros-system", "-o=jsonpath={.rules}"]);
    let pods = r#"[{"apiGroups":[""],"resources":["pods"],"verbs":["create"]}]"#;
    let role = |rules: &str| {
        let patch = format!(r#"{{"rules":{rules}}}"#);
        cluster.kubectl(&["patch", "role", "poros", "-n", "poros-system", "--type=merge", "-p", &patch]);
    };
    role(pods);
    wait::may(cluster, NAMESPACE, "get", "leases.coordination.k8s.io", false).await;
    let poros = stage.launch(&[&["--manage-policies"], &SHORT[..], &BRIEF].concat());
    let verb = r#"cannot get resource "leases" in API group "coordination.k8s.io""#;
    until("Poros to say what it lacks", LIMIT, || async {
        let (code, text) = poros.get("/readyz").map_err(|error| error.to_string())?;
        if code == 503 && text.contains(verb) { Ok(()) } else { Err(format!("{code} {text}")) }
    })
    .await;
    until("the log to say how to mend it", LIMIT, || async {
        let log = poros.log_text();
        let error = log.lines().find(|line| line.contains("ERROR") && line.contains(verb));
        if error.is_some_and(|line| line.contains("get, create and update on leases")) {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(poros.metric("poros_lease_failures_total").is_some_and(|failures| failures >= 1.0));
    assert_eq!(poros.metric("poros_leader"), Some(0.0));
    pooled(client, "without-rights").await;
    // Said once a minute, not with each try.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let said = poros.log_text().lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(said, 1, "{}", poros.log_text());
    let untouched = raw_computes(client).get("without-rights").await.unwrap();
    assert_eq!(untouched.data["status"]["observedGeneration"], -1, "nobody leads, so nobody writes");
    role(&rules);
    wait::active(client, "without-rights").await;
    poros.await_ready(LIMIT);
}

async fn a_leader_that_cannot_renew_stops_and_stands_by() {
    let stage = Stage::new().await;
    let first = Replica::first(&stage, &BRIEF).await;
    let client = &stage.client;
    pooled(client, "unrenewed").await;
    wait::active(client, "unrenewed").await;
    // Only the Lease fails: all else would go on, and must not.
    first.proxy.on(Act::Answer(503), 1000, |seen| seen.resource == "leases");
    first.await_end(0).await;
    let log = first.poros.log_text();
    assert!(log.contains("leads no more: the Lease was not renewed for 4.5 s"), "{log}");
    until("what was under way to be over", LIMIT, || async {
        if first.poros.leads() { Err(super::last_words(&first.poros)) } else { Ok(()) }
    })
    .await;
    let mark = first.proxy.mark();
    first.poros.await_ready(LIMIT);
    pooled(client, "unrenewed-new").await;
    patch(&raw_computes(client), "unrenewed", &json!({"spec": {"description": "nobody leads"}})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let writes = first.proxy.count(mark, |seen| seen.write.is_some() && seen.resource != "leases");
    assert_eq!(writes, 0, "{}", first.proxy.writes(mark));
    first.proxy.clear();
    first.await_lead().await;
    wait::active(client, "unrenewed-new").await;
    wait::active(client, "unrenewed").await;
}

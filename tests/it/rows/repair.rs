//! What others do to the children of a Compute: drift is undone, a rival is borne, a pause is kept.

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::drift::{RIVAL, meddle};
use super::{clear, edit, poolless, revision, seq, shared};
use crate::harness::audit::Audit;
use crate::harness::objects::{bindings, delete, patch, placements};
use crate::harness::until;
use crate::harness::wait::{self, LIMIT, condition, info};
use crate::kstatus;
use crate::trials;

trials![
    a_placement_that_somebody_edits_is_put_back,
    a_binding_that_somebody_edits_is_put_back,
    a_child_that_somebody_deletes_is_built_again,
    a_rival_gets_few_repairs_and_is_outlived,
    a_paused_compute_is_left_alone,
];

/// Waits until a child has this spec again.
async fn put_back(api: &Api<DynamicObject>, name: &str, spec: &Value) -> DynamicObject {
    until(&format!("{name} to be put back"), LIMIT, || async {
        let child = api.get(name).await.map_err(|error| error.to_string())?;
        if child.data["spec"] == *spec { Ok(child) } else { Err(child.data["spec"].to_string()) }
    })
    .await
}

/// Waits until the Compute is active, proven and free of drift, and asserts that it was active all the while.
async fn settled(client: &Client, name: &str, since: u64) {
    let calm = wait::compute(client, name, "proven again", |compute| {
        condition(compute, "Drifted").is_empty() && condition(compute, "PlacementVerified") == "True"
    })
    .await;
    assert_eq!(wait::words(&calm), "active/built Active");
    assert_eq!(seq(&calm), since, "a repair is no transition");
    assert_eq!(revision(client, name).await, (1, 1), "the content has its number still");
}

/// Two edits of a child, each put back. More in a short while would read as a rival's work.
async fn edits_are_put_back(name: &str, children: fn(&Client) -> Api<DynamicObject>, edits: [Value; 2]) {
    let client = shared().await.client().await;
    let active = poolless(&client, name).await;
    let api = children(&client);
    let bound = format!("poros-{name}");
    let child = if api.get_opt(&bound).await.unwrap().is_some() { &bound } else { name };
    for change in edits {
        let before = api.get(child).await.unwrap();
        patch(&api, child, &change).await;
        let after = put_back(&api, child, &before.data["spec"]).await;
        assert_eq!(after.metadata.uid, before.metadata.uid, "repaired, not replaced");
        // What others add and Poros does not own is theirs.
        let labels = after.metadata.labels.unwrap_or_default();
        assert_eq!(labels.get("team").map(String::as_str), Some("data"), "{labels:?}");
        settled(&client, name, seq(&active)).await;
        wait::placed(&client, name, 1).await;
    }
    let told = until("the drift to be told", LIMIT, || async {
        let seen = kstatus::seen(name);
        let told = seen.iter().any(|seen| seen.holds.iter().any(|type_| type_ == "Drifted"));
        if told { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
    .await;
    let after: Vec<_> = told.iter().skip_while(|seen| seen.words != "active/built Active").collect();
    assert!(after.iter().all(|seen| seen.words == "active/built Active"), "it stays active: {after:?}");
    clear(&client, name).await;
}

async fn a_placement_that_somebody_edits_is_put_back() {
    let labels = json!({"team": "data"});
    let edits = [
        json!({"metadata": {"labels": labels}, "spec": {"nodeSelector": {"pool": "wrong"}, "tolerations": []}}),
        json!({"metadata": {"labels": labels}, "spec": {"closed": true}}),
    ];
    edits_are_put_back("rows-drift", placements, edits).await;
}

async fn a_binding_that_somebody_edits_is_put_back() {
    let labels = json!({"team": "data"});
    let selector = json!({"objectSelector": {"matchLabels": {"x": "y"}}});
    let edits = [
        json!({"metadata": {"labels": labels}, "spec": {"matchResources": selector}}),
        json!({"metadata": {"labels": labels}, "spec": {"paramRef": {"name": "another"}}}),
    ];
    edits_are_put_back("rows-drift-bound", bindings, edits).await;
}

async fn a_child_that_somebody_deletes_is_built_again() {
    let (client, name) = (shared().await.client().await, "rows-deleted-child");
    let active = poolless(&client, name).await;
    let binding = format!("poros-{name}");
    for (api, child) in [(placements(&client), name), (bindings(&client), binding.as_str())] {
        let before = api.get(child).await.unwrap();
        delete(&api, child).await.unwrap();
        let after = put_back(&api, child, &before.data["spec"]).await;
        assert_ne!(after.metadata.uid, before.metadata.uid, "it was gone");
        settled(&client, name, seq(&active)).await;
        wait::placed(&client, name, 1).await;
    }
    clear(&client, name).await;
}

async fn a_rival_gets_few_repairs_and_is_outlived() {
    let cluster = shared().await;
    let (client, name) = (cluster.client().await, "rows-rival");
    let active = poolless(&client, name).await;
    let (api, binding) = (bindings(&client), format!("poros-{name}"));
    let wanted = api.get(&binding).await.unwrap().data["spec"].clone();
    let rival =
        json!({"spec": {"matchResources": {"objectSelector": {"matchLabels": {"rival": "was-here"}}}}});
    let audit = Audit::from_now(cluster);
    let (start, lasting) = (Instant::now(), Duration::from_secs(7));
    let (mut repairs, mut stable, mut told) = (0u64, None, false);
    while start.elapsed() < lasting || ((!told || repairs < 4) && start.elapsed() < LIMIT) {
        if api.get(&binding).await.unwrap().data["spec"] == wanted {
            repairs += 1;
            meddle(&api, &binding, &rival).await;
        }
        let compute = crate::harness::objects::computes(&client).get(name).await.unwrap();
        if wait::words(&compute) == "error/building Contended" {
            told = true;
            assert_eq!(condition(&compute, "Contended"), "True");
            assert!(info(&compute).contains(&format!("poros-{name}")), "{}", info(&compute));
            let named = format!("another writer ({RIVAL}) undid");
            assert!(info(&compute).starts_with(&named), "{}", info(&compute));
            let first = *stable.get_or_insert(seq(&compute));
            assert_eq!(seq(&compute), first, "the error stands still while the rival is at work");
        } else {
            assert!(!told, "it flaps: {}", wait::words(&compute));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told, "the rival was never told of; {repairs} repairs");
    // Three at once, then one each second; the first round of the rival counts as well.
    let lasted = start.elapsed();
    assert!((4..=5 + lasted.as_secs()).contains(&repairs), "{repairs} repairs in {lasted:?}");
    let healed = wait::active(&client, name).await;
    let written = |resource: &str, object: &str| {
        let requests = audit.poros().into_iter();
        requests
            .filter(|request| request.writes() && request.resource == resource && request.name == object)
            .count()
    };
    let undone = written("mutatingadmissionpolicybindings", &binding);
    // Each repair that the rival saw, and at most one after it stopped.
    assert!(
        (repairs..=repairs + 1).contains(&(undone as u64 + 1)),
        "{undone} repairs, of which {repairs} - 1 were undone"
    );
    let statuses = written("computes/status", name);
    println!("a rival for {lasted:?}: {undone} repairs, {statuses} statuses");
    assert!(statuses <= 10, "{statuses} statuses for one error: each repair is no news");
    assert_eq!(written("placements", name), 0, "the Placement is not touched for what befalls the binding");
    // Events are written one after the other: once the recovery is told, so is all that came before it.
    let told = until("the recovery to be told", LIMIT, || async {
        let told = super::told::events(&client, name).await;
        let over = told.iter().any(|event| event.data["action"] == "Recover");
        if over { Ok(told) } else { Err(format!("{} events", told.len())) }
    })
    .await;
    let contended = told.iter().filter(|event| event.data["reason"] == "Contended").count();
    assert_eq!(contended, 1, "told once, not with each repair");
    assert_eq!(condition(&healed, "Contended"), "");
    assert_eq!(api.get(&binding).await.unwrap().data["spec"], wanted);
    assert_eq!(seq(&healed), seq(&active) + 2, "one transition to the error and one back");
    wait::placed(&client, name, 1).await;
    clear(&client, name).await;
}

async fn a_paused_compute_is_left_alone() {
    let (client, name) = (shared().await.client().await, "rows-paused");
    let active = poolless(&client, name).await;
    edit(&client, name, json!({"metadata": {"annotations": {"poros.dataos.io/paused": "true"}}})).await;
    let paused =
        wait::compute(&client, name, "paused", |compute| condition(compute, "Paused") == "True").await;
    assert_eq!(wait::words(&paused), "active/built Active");
    let before = placements(&client).get(name).await.unwrap();
    let generation =
        edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "other"}}}})).await;
    delete(&bindings(&client), &format!("poros-{name}")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = placements(&client).get(name).await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "nothing is written");
    assert!(bindings(&client).get_opt(&format!("poros-{name}")).await.unwrap().is_none(), "nor made");
    let held = crate::harness::objects::computes(&client).get(name).await.unwrap();
    let observed = held.status.as_ref().unwrap().observed_generation;
    assert_eq!(observed, generation - 1, "the edit is not acted on, and so not observed");
    assert_eq!(kstatus::of(&held), kstatus::Kstatus::InProgress);
    assert_eq!(seq(&held), seq(&active));
    edit(&client, name, json!({"metadata": {"annotations": {"poros.dataos.io/paused": null}}})).await;
    let resumed = wait::active(&client, name).await;
    assert_eq!(condition(&resumed, "Paused"), "");
    assert_eq!(revision(&client, name).await, (2, 2));
    wait::placed(&client, name, 2).await;
    clear(&client, name).await;
}

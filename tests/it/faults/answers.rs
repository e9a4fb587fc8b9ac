//! Writes that the API server refuses, or whose request or reply is lost: each kind of write of a whole life.

use kube::ResourceExt as _;
use serde_json::json;

use super::{childless, edit, gone_without_a_trace, pool, settled};
use crate::harness::objects::{bindings, compute, create, delete, patch, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Said, Seen};
use crate::harness::until;
use crate::trials;

trials![
    a_conflict_at_each_kind_of_write_is_overcome,
    throttling_of_each_kind_of_write_is_overcome,
    an_internal_error_at_each_kind_of_write_is_overcome,
    a_lost_request_at_each_kind_of_write_is_overcome,
    a_lost_reply_at_each_kind_of_write_makes_no_duplicate,
    a_timeout_after_the_effect_of_each_kind_of_write_makes_no_duplicate;
    slow:
    five_conflicts_in_a_row_at_each_kind_of_write_are_overcome,
    an_unavailable_api_server_at_each_kind_of_write_is_overcome,
];

/// Every kind of write that Poros makes for a Compute.
const WRITES: [(&str, &str); 8] = [
    ("POST", "placements"),
    ("POST", "mutatingadmissionpolicybindings"),
    ("PUT", "computes/status"),
    ("PUT", "placements"),
    ("PUT", "mutatingadmissionpolicybindings"),
    ("DELETE", "mutatingadmissionpolicybindings"),
    ("DELETE", "placements"),
    ("PATCH", "computes"),
];

async fn a_conflict_at_each_kind_of_write_is_overcome() {
    life("conflict", Act::Answer(409), 1).await;
}

async fn five_conflicts_in_a_row_at_each_kind_of_write_are_overcome() {
    life("conflicts", Act::Answer(409), 5).await;
}

async fn throttling_of_each_kind_of_write_is_overcome() {
    life("throttled", Act::Answer(429), 1).await;
}

async fn an_internal_error_at_each_kind_of_write_is_overcome() {
    life("internal", Act::Answer(500), 1).await;
}

async fn an_unavailable_api_server_at_each_kind_of_write_is_overcome() {
    life("unavailable", Act::Answer(503), 1).await;
}

async fn a_lost_request_at_each_kind_of_write_is_overcome() {
    life("lost-request", Act::LoseRequest, 1).await;
}

async fn a_lost_reply_at_each_kind_of_write_makes_no_duplicate() {
    life("lost-reply", Act::LoseReply, 1).await;
}

async fn a_timeout_after_the_effect_of_each_kind_of_write_makes_no_duplicate() {
    life("timed-out", Act::Say(Said { effect: true, ..Said::status(504) }), 1).await;
}

/// A life with every kind of write in it; the first of each kind, and the first proofs, meet the fault.
async fn life(name: &'static str, act: Act, times: u32) {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, name).await;
    for (verb, resource) in WRITES {
        stage.proxy.on(act, times, move |seen| seen.writes(name) && seen.is(verb, resource));
    }
    stage.proxy.on(act, times, move |seen| seen.dry_run && seen.name.ends_with(name));
    let mark = stage.proxy.mark();

    create(&raw_computes(client), &compute(name)).await.unwrap();
    settled(client, name, 1).await;
    patch(&raw_computes(client), name, &edit(name)).await;
    settled(client, name, 2).await;
    // A repair is the only write over a binding; a finalizer that is put back is a patch, as its removal is.
    patch(&raw_computes(client), name, &json!({"metadata": {"finalizers": null}})).await;
    until("the finalizer to be back", super::LIMIT, || async {
        let compute = raw_computes(client).get(name).await.map_err(|error| error.to_string())?;
        if compute.finalizers().is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .await;
    let binding = format!("poros-{name}");
    patch(&bindings(client), &binding, &json!({"spec": {"matchResources": {"objectSelector": null}}})).await;
    until("the binding to be repaired", super::LIMIT, || async {
        let binding = bindings(client).get(&binding).await.map_err(|error| error.to_string())?;
        let selector = &binding.data["spec"]["matchResources"]["objectSelector"];
        let whole = selector["matchLabels"]["poros.dataos.io/compute"] == name;
        if whole { Ok(()) } else { Err(binding.data.to_string()) }
    })
    .await;
    settled(client, name, 2).await;
    delete(&raw_computes(client), name).await.unwrap();
    gone_without_a_trace(client, name).await;

    let log = stage.proxy.since(mark);
    let writes: Vec<&Seen> = log.iter().filter(|seen| seen.writes(name)).collect();
    for (verb, resource) in WRITES {
        let hurt = writes.iter().filter(|seen| seen.is(verb, resource) && seen.act.is_some()).count();
        assert_eq!(hurt, times as usize, "{verb} {resource} met the fault too seldom");
    }
    for (verb, resource) in WRITES.into_iter().filter(|(verb, _)| matches!(*verb, "POST" | "DELETE")) {
        let done = writes.iter().filter(|seen| seen.is(verb, resource) && seen.done()).count();
        assert_eq!(done, 1, "{verb} {resource} was done {done} times:\n{}", stage.proxy.writes(mark));
    }
    childless(client, name).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
}

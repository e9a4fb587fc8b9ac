//! What comes over the wire is broken, doubled, missing, or no answer at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{LIMIT, SOON, edit, gone_without_a_trace, pool, settled, settled_within};
use crate::harness::objects::{compute, computes, create, delete, node, patch, placements, raw_computes};
use crate::harness::poros::{READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Body, Order, Said, Seen};
use crate::harness::{until, wait};
use crate::trials;

trials![
    lists_and_watches_that_break_off_anywhere_are_asked_for_again,
    events_that_are_doubled_and_swapped_do_no_harm,
    an_event_that_never_came_is_made_up_for_by_the_audit,
    a_child_of_which_no_watch_told_is_found_by_the_write_that_meets_it,
    bookmarks_from_the_future_and_a_storm_of_them_do_no_harm,
    a_list_whose_next_page_is_gone_begins_anew,
    garbage_instead_of_answers_is_no_answer,
    an_event_that_cannot_be_read_is_made_up_for_by_a_list,
    connections_that_break_while_idle_make_no_write_twice,
];

fn a_list(seen: &Seen) -> bool {
    seen.verb == "GET" && !seen.watch && seen.name.is_empty()
}

async fn lists_and_watches_that_break_off_anywhere_are_asked_for_again() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "broken-off").await;
    create(&raw_computes(client), &compute("broken-off")).await.unwrap();
    settled(client, "broken-off", 1).await;
    // Before the first byte, in the middle of a word, of an object, at the last bracket.
    for (round, after) in [0, 1, 40, 700, 2_000].into_iter().enumerate() {
        for watch in [false, true] {
            stage.proxy.on(Act::CutReply(after), 4, move |seen| {
                seen.verb == "GET" && seen.name.is_empty() && seen.watch == watch
            });
        }
        let text = format!("round {round}");
        stage.proxy.order(Order::Expire, None);
        patch(&raw_computes(client), "broken-off", &json!({"spec": {"description": text}})).await;
        seen_within(&stage, "broken-off", LIMIT).await;
    }
    stage.proxy.clear();
    delete(&placements(client), "broken-off").await.unwrap();
    until("the Placement to be built again", LIMIT, || async {
        placements(client).get("broken-off").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    settled(client, "broken-off", 1).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    let harm = stage.proxy.count(0, |seen| seen.writes("broken-off") && seen.verb == "DELETE");
    assert_eq!(harm, 0, "half a list is no list");
}

/// The current generation is observed.
async fn seen_within(stage: &Stage, name: &str, limit: Duration) {
    until(&format!("the change of {name} to be seen"), limit, || async {
        let compute = computes(&stage.client).get(name).await.map_err(|error| error.to_string())?;
        let observed = compute.status.as_ref().map(|status| status.observed_generation);
        if observed == compute.metadata.generation { Ok(()) } else { Err(format!("generation {observed:?}")) }
    })
    .await;
}

async fn events_that_are_doubled_and_swapped_do_no_harm() {
    let stage = Stage::new().await;
    for resource in ["computes", "placements", "mutatingadmissionpolicybindings", "nodes"] {
        let mut last: Option<Value> = None;
        stage.proxy.events(resource, move |event| {
            // The one before is told again, after this one and before it is repeated.
            let before = last.replace(event.clone());
            [Some(event.clone()), before, Some(event)].into_iter().flatten().collect()
        });
    }
    let (_poros, client) = (stage.poros(), &stage.client);
    let mark = stage.proxy.mark();
    for index in 0..3 {
        let name = format!("doubled-{index}");
        pool(client, &name).await;
        create(&raw_computes(client), &compute(&name)).await.unwrap();
        settled(client, &name, 1).await;
        patch(&raw_computes(client), &name, &edit(&name)).await;
        settled(client, &name, 2).await;
    }
    for index in 0..3 {
        let name = format!("doubled-{index}");
        delete(&raw_computes(client), &name).await.unwrap();
        gone_without_a_trace(client, &name).await;
        for resource in ["placements", "mutatingadmissionpolicybindings"] {
            let done = |verb| {
                stage.proxy.count(mark, |seen| seen.writes(&name) && seen.is(verb, resource) && seen.done())
            };
            assert_eq!((done("POST"), done("DELETE")), (1, 1), "{}", stage.proxy.writes(mark));
        }
    }
}

async fn an_event_that_never_came_is_made_up_for_by_the_audit() {
    let stage = Stage::new().await;
    stage.poros().kill();
    let client = &stage.client;
    pool(client, "hidden").await;
    let poros = stage.launch(&[&["--audit-interval=2"], &SHORT[..]].concat());
    poros.await_ready(READY);
    create(&raw_computes(client), &compute("hidden")).await.unwrap();
    settled(client, "hidden", 1).await;
    // From now on no watch tells anything, and none ends: only the audit can tell.
    for resource in ["computes", "placements", "mutatingadmissionpolicybindings", "nodes"] {
        stage.proxy.events(resource, |_| Vec::new());
    }
    stage.proxy.order(Order::Cut, None);
    patch(&raw_computes(client), "hidden", &edit("hidden")).await;
    settled(client, "hidden", 2).await;
    delete(&placements(client), "hidden").await.unwrap();
    until("the Placement to be built again", LIMIT, || async {
        placements(client).get("hidden").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    node(client, "hidden-node", "hidden", false).await;
    wait::says(client, "hidden", "error/building NoReadyNodes").await;
    delete(&raw_computes(client), "hidden").await.unwrap();
    gone_without_a_trace(client, "hidden").await;
}

/// A rival's change of which no watch tells: the next write meets a conflict, looks, and goes on.
async fn a_child_of_which_no_watch_told_is_found_by_the_write_that_meets_it() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "unseen").await;
    create(&raw_computes(client), &compute("unseen")).await.unwrap();
    settled(client, "unseen", 1).await;
    stage.proxy.order(Order::Silence, Some("placements"));
    patch(&placements(client), "unseen", &json!({"metadata": {"labels": {"team": "data"}}})).await;
    patch(&raw_computes(client), "unseen", &edit("unseen")).await;
    settled_within(client, "unseen", 2, SOON).await;
    stage.proxy.order(Order::Expire, Some("placements"));
}

async fn bookmarks_from_the_future_and_a_storm_of_them_do_no_harm() {
    let stage = Stage::new().await;
    stage.poros().kill();
    let bookmark = |version: &str| {
        json!({"type": "BOOKMARK", "object": {
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "metadata": {"resourceVersion": version},
        }})
    };
    stage.proxy.events("computes", move |event| {
        let mut events = vec![event];
        events.extend((0..2_000).map(|_| bookmark("1")));
        events.push(bookmark("9000000000000000000"));
        events
    });
    let client = &stage.client;
    pool(client, "bookmarked").await;
    let poros = stage.launch(&[&["--audit-interval=5"], &SHORT[..]].concat());
    poros.await_ready(READY);
    create(&raw_computes(client), &compute("bookmarked")).await.unwrap();
    settled(client, "bookmarked", 1).await;
    // The watch goes on from what is still to come, and the API server has nothing to tell: the audit has.
    stage.proxy.order(Order::Cut, None);
    patch(&raw_computes(client), "bookmarked", &json!({"spec": {"description": "new"}})).await;
    seen_within(&stage, "bookmarked", LIMIT).await;
}

/// The first page is empty and points at a second, which is refused as too old, once; then it is served.
async fn a_list_whose_next_page_is_gone_begins_anew() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "paged").await;
    create(&raw_computes(client), &compute("paged")).await.unwrap();
    settled(client, "paged", 1).await;
    let lists = AtomicU32::new(0);
    stage.proxy.lists("computes", move |_, list| {
        if lists.fetch_add(1, Ordering::Relaxed) < 1 {
            let version = list["metadata"]["resourceVersion"].clone();
            return json!({
                "apiVersion": "poros.dataos.io/v1beta1", "kind": "ComputeList",
                "metadata": {"resourceVersion": version, "continue": "second"}, "items": [],
            });
        }
        list
    });
    stage.proxy.on(Act::Answer(410), 1, |seen| seen.query.contains("continue=second"));
    let mark = stage.proxy.mark();
    stage.proxy.order(Order::Expire, Some("computes"));
    let refused = |seen: &Seen| a_list(seen) && seen.query.contains("continue=second") && seen.act.is_some();
    stage.proxy.await_count("the second page to be refused", mark, 1, refused).await;
    patch(&raw_computes(client), "paged", &json!({"spec": {"description": "new"}})).await;
    seen_within(&stage, "paged", SOON).await;
    let harm = stage.proxy.count(mark, |seen| seen.writes("paged") && seen.verb != "PUT");
    assert_eq!(harm, 0, "an empty page is no empty list:\n{}", stage.proxy.writes(mark));
}

const GARBAGE: [Said; 7] = [
    Said::garbage(Body::Text("<html><body>Please log in</body></html>")),
    Said::garbage(Body::Text("")),
    Said::garbage(Body::Text("{}")),
    Said::garbage(Body::Text(
        r#"{"apiVersion":"v1","kind":"PodList","metadata":{"resourceVersion":"5"},"items":[]}"#,
    )),
    Said::garbage(Body::Deep(10_000)),
    // What claims to be packed, and is not.
    Said {
        header: Some(("content-encoding", "gzip")),
        ..Said::garbage(Body::Text("\u{1f}\u{8b}\u{8}\u{0}"))
    },
    Said::garbage(Body::Text("{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n")),
];

async fn garbage_instead_of_answers_is_no_answer() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "garbage").await;
    create(&raw_computes(client), &compute("garbage")).await.unwrap();
    settled(client, "garbage", 1).await;
    let mark = stage.proxy.mark();
    for (round, answer) in GARBAGE.into_iter().enumerate() {
        for watch in [false, true] {
            let reads = move |seen: &Seen| seen.verb == "GET" && seen.name.is_empty() && seen.watch == watch;
            stage.proxy.on(Act::Say(answer), 3, reads);
        }
        stage.proxy.on(Act::Say(answer), 1, |seen| seen.is("PUT", "computes/status"));
        stage.proxy.order(Order::Expire, None);
        let text = format!("round {round}");
        patch(&raw_computes(client), "garbage", &json!({"spec": {"description": text}})).await;
        seen_within(&stage, "garbage", LIMIT).await;
    }
    // Nothing seemed to be gone: a list of another kind, which reads as an empty one, is no answer either.
    let harm = stage.proxy.count(mark, |seen| seen.writes("garbage") && seen.verb != "PUT");
    assert_eq!(harm, 0, "{}", stage.proxy.writes(mark));
    assert!(poros.log_text().contains(", the API server answered with \"PodList\" of \"v1\""), "it is told");
    stage.proxy.clear();
    settled(client, "garbage", 1).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    assert!(!poros.log_text().contains("Please log in"), "what cannot be read is not copied into the log");
}

async fn an_event_that_cannot_be_read_is_made_up_for_by_a_list() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "unread").await;
    create(&raw_computes(client), &compute("unread")).await.unwrap();
    settled(client, "unread", 1).await;
    stage.proxy.events("computes", |event| {
        let spoiled = event["object"]["spec"]["description"] == "spoiled";
        vec![if spoiled { json!({"type": "MODIFIED", "object": 7}) } else { event }]
    });
    stage.proxy.order(Order::Cut, Some("computes"));
    patch(&raw_computes(client), "unread", &json!({"spec": {"description": "spoiled"}})).await;
    seen_within(&stage, "unread", SOON).await;
}

async fn connections_that_break_while_idle_make_no_write_twice() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    let mark = stage.proxy.mark();
    for index in 0..10 {
        let name = format!("idle-{index}");
        pool(client, &name).await;
        stage.proxy.hang_up();
        create(&raw_computes(client), &compute(&name)).await.unwrap();
        stage.proxy.hang_up();
        settled(client, &name, 1).await;
        for resource in ["placements", "mutatingadmissionpolicybindings"] {
            let asked = stage.proxy.count(mark, |seen| seen.writes(&name) && seen.is("POST", resource));
            assert_eq!(asked, 1, "{}", stage.proxy.writes(mark));
        }
    }
}

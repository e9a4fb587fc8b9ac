//! Answers that come late, by drops, or never; and throttling that names an absurd time to wait.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use super::{LIMIT, WATCHES, pool, settled, settled_within};
use crate::harness::objects::{compute, create, raw_computes, with};
use crate::harness::poros::{READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Body, Said};
use crate::harness::until;
use crate::trials;

trials![
    a_write_that_is_never_answered_costs_nobody_else_anything,
    no_wish_for_a_pause_is_obeyed_beyond_reason,
    readiness_ends_while_the_api_server_throttles_and_comes_back_after,
];

const NEVER: Duration = Duration::from_secs(3600);

async fn a_write_that_is_never_answered_costs_nobody_else_anything() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "never").await;
    stage.proxy.on(Act::Hold(NEVER), 1, |seen| seen.writes("never") && seen.is("POST", "placements"));
    let mark = stage.proxy.mark();
    create(&raw_computes(client), &compute("never")).await.unwrap();
    stage.proxy.await_count("the write", mark, 1, |seen| seen.is("POST", "placements")).await;
    let names: Vec<String> = (0..20).map(|index| format!("never-other-{index}")).collect();
    for name in &names {
        let value = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
        create(&raw_computes(client), &value).await.unwrap();
    }
    join_all(names.iter().map(|name| settled(client, name, 1))).await;
    // None of the others waited for its deadline of 10 s: before it is tried again, all of them are at work.
    let log = stage.proxy.since(mark);
    let posts = log.iter().filter(|seen| seen.is("POST", "placements")).map(|seen| seen.name.as_str());
    let before: Vec<&str> = posts.skip(1).take_while(|name| *name != "never").collect();
    assert_eq!(before.len(), names.len(), "{}", stage.proxy.writes(mark));
    settled_within(client, "never", 1, LIMIT).await;
    poros.await_ready(LIMIT);
}

/// What an API server may say beside 429.
const WISHES: [Option<&str>; 6] = [
    None,
    Some("0"),
    Some("1"),
    Some("3600"),
    Some("18446744073709551615"),
    Some("Sun, 06 Nov 2094 08:49:37 GMT"),
];

async fn no_wish_for_a_pause_is_obeyed_beyond_reason() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    for (index, wish) in WISHES.into_iter().enumerate() {
        let name: &'static str = format!("wish-{index}").leak();
        let answer = Said { header: wish.map(|wish| ("retry-after", wish)), ..Said::status(429) };
        for (verb, resource) in [("POST", "placements"), ("PUT", "computes/status")] {
            stage.proxy.on(Act::Say(answer), 1, move |seen| seen.writes(name) && seen.is(verb, resource));
        }
        // And one for a list and a watch each, of whichever resource asks first.
        for watch in [true, false] {
            let reads = move |seen: &crate::harness::proxy::Seen| {
                seen.verb == "GET" && seen.name.is_empty() && seen.watch == watch
            };
            stage.proxy.on(Act::Say(answer), 2, reads);
        }
        pool(client, name).await;
    }
    stage.proxy.order(crate::harness::proxy::Order::Expire, None);
    for index in 0..WISHES.len() {
        create(&raw_computes(client), &compute(&format!("wish-{index}"))).await.unwrap();
    }
    let names: Vec<String> = (0..WISHES.len()).map(|index| format!("wish-{index}")).collect();
    join_all(names.iter().map(|name| settled(client, name, 1))).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
}

async fn readiness_ends_while_the_api_server_throttles_and_comes_back_after() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.launch(&[&["--watch-grace=10"], &SHORT[..]].concat()), &stage.client);
    poros.await_ready(READY);
    pool(client, "throttled").await;
    stage.proxy.on(Act::Answer(429), u32::MAX, |_| true);
    let mark = stage.proxy.mark();
    stage.proxy.order(crate::harness::proxy::Order::Cut, None);
    create(&raw_computes(client), &compute("throttled")).await.unwrap();
    until("readiness to end", LIMIT, || async {
        match poros.get("/readyz").map_err(|error| error.to_string())? {
            (503, text) if text.contains("fails: ") => Ok(()),
            (code, text) => Err(format!("{code} {text}")),
        }
    })
    .await;
    let asked = stage.proxy.count(mark, |_| true);
    println!("throttled: {asked} requests of {WATCHES} watches until readiness ended");
    assert!(asked < WATCHES * 15, "{asked} requests until then are a storm");
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    let begin = Instant::now();
    stage.proxy.clear();
    settled(client, "throttled", 1).await;
    println!("throttled: converged {:.1} s after the last refusal", begin.elapsed().as_secs_f64());
    until("readiness to come back", LIMIT, || async {
        let (code, text) = poros.get("/readyz").map_err(|error| error.to_string())?;
        if code == 200 { Ok(()) } else { Err(text) }
    })
    .await;
}

/// The slow ones: each waits out a deadline of Poros.
pub mod patient {
    use super::{
        Act, Body, Duration, NEVER, READY, Said, Stage, WATCHES, compute, create, pool, raw_computes,
        settled_within, until,
    };
    use crate::harness::proxy::Order;
    use crate::trials;

    trials![;
        slow:
        watches_that_are_never_answered_are_found_out,
        a_list_that_comes_by_drops_is_asked_for_again,
        an_endless_answer_costs_bounded_memory,
    ];

    /// A watch is given up after 75 s of silence.
    const FOUND_OUT: Duration = Duration::from_secs(150);

    async fn watches_that_are_never_answered_are_found_out() {
        let stage = Stage::new().await;
        let (_poros, client) = (stage.poros(), &stage.client);
        // Each watch that begins now: taken by the API server, and forgotten.
        stage.proxy.on(Act::Hold(NEVER), u32::try_from(WATCHES).unwrap(), |seen| seen.watch);
        let mark = stage.proxy.mark();
        stage.proxy.order(Order::Cut, None);
        stage.proxy.await_count("all watches to begin again", mark, WATCHES, |seen| seen.watch).await;
        pool(client, "forgotten").await;
        create(&raw_computes(client), &compute("forgotten")).await.unwrap();
        settled_within(client, "forgotten", 1, FOUND_OUT).await;
    }

    async fn a_list_that_comes_by_drops_is_asked_for_again() {
        let stage = Stage::new().await;
        stage.poros().kill();
        let nodes = |seen: &crate::harness::proxy::Seen| !seen.watch && seen.resource == "nodes";
        stage.proxy.on(Act::Drip(Duration::from_secs(1)), 1, nodes);
        let mark = stage.proxy.mark();
        let poros = stage.launch(&["--manage-policies"]);
        stage.proxy.await_count("the first list", mark, 1, nodes).await;
        until("the list to be given up", Duration::from_secs(100), || async {
            let asked = stage.proxy.count(mark, nodes);
            if asked > 1 { Ok(()) } else { Err(poros.get("/readyz").map_or_else(|e| e.to_string(), |a| a.1)) }
        })
        .await;
        poros.await_ready(READY);
    }

    async fn an_endless_answer_costs_bounded_memory() {
        let stage = Stage::new().await;
        let (poros, client) = (stage.poros(), &stage.client);
        pool(client, "endless").await;
        let before = peak(poros.id());
        let endless = Act::Say(Said::garbage(Body::Large(2 << 30)));
        stage.proxy.on(endless, 1, |seen| seen.verb == "GET" && !seen.watch && seen.resource == "computes");
        stage.proxy.on(endless, 1, |seen| seen.watch && seen.resource == "nodes");
        stage.proxy.on(endless, 1, |seen| seen.is("POST", "placements"));
        stage.proxy.order(Order::Expire, None);
        create(&raw_computes(client), &compute("endless")).await.unwrap();
        settled_within(client, "endless", 1, Duration::from_secs(180)).await;
        let peak = peak(poros.id());
        println!("endless answers: {} MiB at most, {} MiB before", peak >> 10, before >> 10);
        // One list of 128 MiB, as its bytes and as what is read from them.
        assert!(peak - before < 512 << 10, "{} MiB", peak >> 10);
    }

    /// The most memory that a process ever had, in KiB.
    fn peak(pid: u32) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}

//! Slow: the API server and etcd are killed and frozen, again and again, while Computes are made, edited and deleted; Poros
//! is asked to stop at any moment; an API server that forgot what it knew answers a watch with a real 410.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use poros::api::compute::Compute;
use serde_json::json;
use xtask::rig::{Component, Rig, Signal};

use super::outages::make;
use super::{LIMIT, WATCHES, edit, pool, quiet, settled, settled_within};
use crate::harness::objects::{compute, computes, create, delete, patch, raw_computes};
use crate::harness::poros::{READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Order};
use crate::harness::{until, wait};
use crate::trials;

trials![;
    slow:
    a_control_plane_that_dies_and_freezes_under_churn_hurts_none,
    a_stop_at_any_moment_of_churn_is_in_time_and_loses_nothing,
    a_watch_that_an_api_server_cannot_resume_begins_anew,
];

/// All is well again so long after the last fault.
const CONVERGED: Duration = Duration::from_secs(60);

/// Makes, edits and deletes Computes until it is told to stop; every name whose last wish is that it be there is kept.
async fn churn(client: Client, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let api = raw_computes(&client);
    let mut alive = BTreeSet::new();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("churn-{}", round % 12);
        // The API server may be away: what it does not take is not wished for.
        if !alive.contains(&name) {
            if create(&api, &compute(&name)).await.is_ok() {
                alive.insert(name);
            }
        } else if round % 3 == 0 {
            if delete(&api, &name).await.is_ok() {
                alive.remove(&name);
            }
        } else {
            let _ = api.patch(&name, &PatchParams::default(), &Patch::Merge(edit(&name))).await;
        }
        round += 1;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    alive
}

fn signal(rig: &Rig, component: Component, signal: &str) {
    let pid = rig.pid_of(component).unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// A fault of the control plane, and its end.
async fn strike(rig: &Rig, round: u32) {
    match round % 4 {
        0 => {
            rig.stop_apiserver(Signal::Kill).unwrap();
            rig.start_apiserver().unwrap();
        }
        1 => {
            signal(rig, Component::Apiserver, "-STOP");
            tokio::time::sleep(Duration::from_secs(if round == 1 { 30 } else { 4 })).await;
            signal(rig, Component::Apiserver, "-CONT");
        }
        2 => {
            rig.stop_etcd(Signal::Kill).unwrap();
            rig.start_etcd().unwrap();
        }
        _ => {
            signal(rig, Component::Etcd, "-STOP");
            tokio::time::sleep(Duration::from_secs(4)).await;
            signal(rig, Component::Etcd, "-CONT");
        }
    }
}

/// No transition was lost, and none was told twice.
fn gapless(compute: &Compute) {
    let status = compute.status.as_ref().unwrap();
    let numbers: Vec<u64> = status.history.iter().map(|transition| transition.seq).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&status.transition_seq));
}

/// Every Compute that is there is active as it is now, within the limit in all.
async fn all_settle(stage: &Stage, limit: Duration) -> Duration {
    let begin = Instant::now();
    let client = &stage.client;
    let names: Vec<String> = until("the API server to answer", limit, || async {
        let list =
            raw_computes(client).list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(list.items.into_iter().filter_map(|item| item.metadata.name).collect())
    })
    .await;
    for name in names {
        until(
            &format!("{name} to be active as it is now, or gone"),
            limit.saturating_sub(begin.elapsed()),
            || async {
                let found = computes(client).get_opt(&name).await.map_err(|error| error.to_string())?;
                let Some(compute) = found else { return Ok(()) };
                let observed = compute.status.as_ref().map(|status| status.observed_generation);
                let words = wait::words(&compute);
                let verified = wait::condition(&compute, "PlacementVerified") == "True";
                if words == "active/built Active" && verified && observed == compute.metadata.generation {
                    gapless(&compute);
                    return Ok(());
                }
                Err(format!("{words} {}", wait::info(&compute)))
            },
        )
        .await;
    }
    begin.elapsed()
}

async fn a_control_plane_that_dies_and_freezes_under_churn_hurts_none() {
    const ROUNDS: u32 = 40;
    let stage = Stage::new().await;
    let (poros, rig) = (stage.poros(), &stage.cluster().rig);
    for index in 0..12 {
        pool(&stage.client, &format!("churn-{index}")).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let churning = tokio::spawn(churn(stage.client.clone(), stop.clone()));
    for round in 0..ROUNDS {
        strike(rig, round).await;
        // Different times between two faults find Poros at different steps.
        tokio::time::sleep(Duration::from_millis(300 + u64::from(round * 700 % 3_000))).await;
        assert_eq!(poros.get("/healthz").unwrap().0, 200);
    }
    stop.store(true, Ordering::Relaxed);
    let alive = churning.await.unwrap();
    let took = all_settle(&stage, CONVERGED).await;
    println!("{ROUNDS} faults of the control plane; converged {:.1} s after the last", took.as_secs_f64());
    for name in &alive {
        assert!(
            computes(&stage.client).get_opt(name).await.unwrap().is_some(),
            "{name} was taken, and is lost"
        );
    }
    // The same process is ready again.
    poros.await_ready(LIMIT);
    quiet::holds(&stage, Duration::from_secs(120)).await;
}

async fn a_stop_at_any_moment_of_churn_is_in_time_and_loses_nothing() {
    const STOPS: u64 = 30;
    let stage = Stage::new().await;
    stage.poros().kill();
    for index in 0..12 {
        pool(&stage.client, &format!("churn-{index}")).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let churning = tokio::spawn(churn(stage.client.clone(), stop.clone()));
    let mut longest = Duration::ZERO;
    for round in 0..STOPS {
        let poros = stage.launch(&SHORT);
        poros.await_ready(READY);
        tokio::time::sleep(Duration::from_millis(round * 137 % 1_500)).await;
        let (took, well) = poros.stop();
        assert!(well && took < Duration::from_secs(10), "well: {well}, after {took:?}");
        longest = longest.max(took);
    }
    stop.store(true, Ordering::Relaxed);
    churning.await.unwrap();
    let poros = stage.launch(&SHORT);
    poros.await_ready(READY);
    let took = all_settle(&stage, CONVERGED).await;
    println!("{STOPS} stops, the longest {longest:?}; converged {:.1} s after", took.as_secs_f64());
    quiet::holds(&stage, Duration::from_secs(15)).await;
}

async fn a_watch_that_an_api_server_cannot_resume_begins_anew() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    let rig = &stage.cluster().rig;
    pool(client, "forgot").await;
    create(&raw_computes(client), &compute("forgot")).await.unwrap();
    settled(client, "forgot", 1).await;
    // The watches that begin now are on their way while the API server is started anew, with an empty cache.
    let watches = u32::try_from(WATCHES).unwrap();
    stage.proxy.on(Act::Hold(Duration::from_secs(25)), watches, |seen| seen.watch);
    let mark = stage.proxy.mark();
    stage.proxy.order(Order::Cut, None);
    stage.proxy.await_count("all watches to begin again", mark, WATCHES, |seen| seen.watch).await;
    for round in 0..50 {
        patch(&raw_computes(client), "forgot", &json!({"spec": {"description": format!("round {round}")}}))
            .await;
    }
    rig.stop_apiserver(Signal::Kill).unwrap();
    rig.start_apiserver().unwrap();
    make(client, &compute("forgot-new")).await;
    pool(client, "forgot-new").await;
    settled_within(client, "forgot-new", 1, LIMIT + LIMIT).await;
    settled_within(client, "forgot", 1, CONVERGED).await;
    let log = poros.log_text();
    assert!(log.contains("too old resource version"), "no real 410 was met");
}

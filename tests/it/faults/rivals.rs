//! Other writers that win every race for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{LIMIT, edit, pool, quiet, settled, settled_within};
use crate::harness::objects::{compute, create, patch, placements, raw_computes};
use crate::harness::proxy::Act;
use crate::harness::proxy::stage::Stage;
use crate::trials;

trials![
    a_writer_that_never_rests_does_not_starve_a_compute,
    conflicts_without_end_cost_few_requests_and_end_with_their_cause,
];

/// Writes to a Compute and its Placement what Poros does not care about, without a pause.
async fn rival(client: Client, name: &'static str, stop: Arc<AtomicBool>) -> u32 {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let note = json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
        let parameters = PatchParams::default();
        // The Placement may not be there yet.
        let _ = raw_computes(&client).patch(name, &parameters, &Patch::Merge(&note)).await;
        let _ = placements(&client).patch(name, &parameters, &Patch::Merge(&note)).await;
        round += 1;
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    round
}

async fn a_writer_that_never_rests_does_not_starve_a_compute() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "starved").await;
    let stop = Arc::new(AtomicBool::new(false));
    create(&raw_computes(client), &compute("starved")).await.unwrap();
    let (mark, begin) = (stage.proxy.mark(), Instant::now());
    let rival = tokio::spawn(rival(client.clone(), "starved", stop.clone()));
    settled_within(client, "starved", 1, LIMIT).await;
    patch(&raw_computes(client), "starved", &edit("starved")).await;
    settled_within(client, "starved", 2, LIMIT).await;
    let took = begin.elapsed();
    stop.store(true, Ordering::Relaxed);
    let rounds = rival.await.unwrap();
    let writes = stage.proxy.count(mark, |seen| seen.writes("starved"));
    println!(
        "built and edited in {:.1} s against {rounds} writes of a rival: {writes} writes",
        took.as_secs_f64()
    );
    assert!(rounds > 5, "the rival was there: {rounds}");
    // A build and an edit are seven writes; each of them may lose some races, but none is tried without a pause.
    let bound = 20.0 + 10.0 * took.as_secs_f64();
    assert!(f64::from(u32::try_from(writes).unwrap()) <= bound, "{writes} writes in {took:?}");
    settled(client, "starved", 2).await;
}

async fn conflicts_without_end_cost_few_requests_and_end_with_their_cause() {
    let stage = Stage::new().await;
    let (_poros, client) = (stage.poros(), &stage.client);
    pool(client, "refused").await;
    stage.proxy.on(Act::Answer(409), u32::MAX, |seen| seen.writes("refused"));
    let mark = stage.proxy.mark();
    create(&raw_computes(client), &compute("refused")).await.unwrap();
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(12)).await;
    stage.proxy.await_count("some tries", mark, 5, |seen| seen.writes("refused")).await;
    let asked = stage.proxy.count(mark, |seen| seen.writes("refused"));
    println!("conflicts: {asked} writes in {:?}", begin.elapsed());
    assert!(asked < 40, "{asked} writes:\n{}", stage.proxy.writes(mark));
    stage.proxy.clear();
    let begin = Instant::now();
    settled(client, "refused", 1).await;
    println!("conflicts: converged {:.1} s after the last", begin.elapsed().as_secs_f64());
    quiet::holds(&stage, Duration::from_secs(15)).await;
}

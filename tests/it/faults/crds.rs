//! A CRD is removed and comes back while Poros runs.

use std::time::{Duration, Instant};

use super::{LIMIT, childless, pool, settled, settled_within};
use crate::harness::objects::{compute, create, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::until;
use crate::trials;

trials![crds_that_go_and_come_back_are_waited_for];

/// A CRD that is back may be unknown to admission for half a minute.
const BACK: Duration = Duration::from_secs(120);

async fn crds_that_go_and_come_back_are_waited_for() {
    let stage = Stage::alone().await;
    let (poros, client) = (stage.poros(), &stage.client);
    let cluster = stage.cluster();
    pool(client, "stays").await;
    create(&raw_computes(client), &compute("stays")).await.unwrap();
    settled(client, "stays", 1).await;

    cluster.kubectl(&["delete", "crd", "placements.poros.dataos.io", "--timeout=90s"]);
    until("the log to say so", LIMIT, || async {
        let log = poros.log_text();
        let said = log.contains("does not serve placements") || log.contains("are the CRDs installed?");
        if said { Ok(()) } else { Err(log[log.len().saturating_sub(2_000)..].to_owned()) }
    })
    .await;
    // Some tries fail by then, so that the next one is seconds away.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    cluster.install_crds();
    let begin = Instant::now();
    settled_within(client, "stays", 1, BACK).await;
    println!("placements: as it was {:.1} s after the CRD was back", begin.elapsed().as_secs_f64());

    // Its Computes go with it, in order: Poros lets them.
    cluster.kubectl(&["delete", "crd", "computes.poros.dataos.io", "--timeout=90s"]);
    childless(client, "stays").await;
    cluster.install_crds();
    let begin = Instant::now();
    until("a Compute to be taken", BACK, || async {
        create(&raw_computes(client), &compute("stays")).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    settled_within(client, "stays", 1, BACK).await;
    println!("computes: a new one is active {:.1} s after the CRD was back", begin.elapsed().as_secs_f64());
    poros.await_ready(LIMIT);
}

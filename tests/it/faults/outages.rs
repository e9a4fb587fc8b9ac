//! The API server is gone for a while: killed, unreachable, or there without the CRDs.

use std::time::Duration;

use poros::api::compute::Compute;
use poros::api::status::AggregateStatus;
use serde_json::json;
use xtask::rig::{Options, Signal};

use super::{AFTER_A_START, LIMIT, SOON, edit, pool, settled, settled_within};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{bindings, compute, create, delete, patch, placements, raw_computes};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::{until, wait};
use crate::trials;

trials![
    an_api_server_that_is_killed_while_computes_are_built_and_edited_hurts_none,
    what_was_changed_by_hand_during_an_outage_is_repaired_after_it,
    without_the_crds_poros_waits_and_says_so,
    a_poros_that_sees_nothing_for_long_says_that_it_is_not_ready,
];

/// `/readyz` of a Poros that has seen the cluster: ready, or not and with words for what is missing.
fn readyz(poros: &Poros) -> u16 {
    let (code, text) = poros.get("/readyz").unwrap();
    let sensible = code == 200 || (code == 503 && text.contains("not ready: "));
    assert!(sensible, "{code} {text}");
    code
}

/// Creates it as soon as the API server takes it: one that has just started refuses Computes for some seconds, until it
/// has told its policies of the CRD.
pub(super) async fn make(client: &kube::Client, value: &serde_json::Value) {
    until("a Compute to be taken", LIMIT, || async {
        let made = create(&raw_computes(client), value).await;
        made.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

/// Nobody is to be woken for an outage of seconds.
fn no_error(compute: &Compute) {
    let history = &compute.status.as_ref().unwrap().history;
    let error = history.iter().find(|transition| transition.to == AggregateStatus::Error);
    assert!(error.is_none(), "{:?} was an error: {history:?}", compute.metadata.name);
}

async fn an_api_server_that_is_killed_while_computes_are_built_and_edited_hurts_none() {
    let stage = Stage::new().await;
    let (rig, client) = (&stage.cluster().rig, &stage.client);
    let poros = stage.poros();
    let computes = raw_computes(client);
    create(&computes, &compute("killed-pending")).await.unwrap();
    wait::says(client, "killed-pending", "pending/building AwaitingPool").await;
    // Different times between the last change and the kill find Poros at different steps.
    for (round, pause) in [0, 300].into_iter().enumerate() {
        let name = |kind: &str, index: usize| format!("killed-{round}-{kind}-{index}");
        for kind in ["new", "old"] {
            for index in 0..4 {
                pool(client, &name(kind, index)).await;
            }
        }
        for index in 0..4 {
            make(client, &compute(&name("old", index))).await;
        }
        for index in 0..4 {
            settled(client, &name("old", index), 1).await;
        }
        for index in 0..4 {
            patch(&computes, &name("old", index), &edit(&name("old", index))).await;
            create(&computes, &compute(&name("new", index))).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        rig.stop_apiserver(Signal::Kill).unwrap();
        assert_eq!(poros.get("/healthz").unwrap().0, 200);
        readyz(&poros);
        rig.start_apiserver().unwrap();
        for index in 0..4 {
            // After a start, admission refuses every pod that names a Compute for up to 30 s: until then it does not
            // know the kind of its parameters.
            no_error(&settled_within(client, &name("old", index), 2, AFTER_A_START).await);
            no_error(&settled_within(client, &name("new", index), 1, AFTER_A_START).await);
        }
    }
    wait::says(client, "killed-pending", "pending/building AwaitingPool").await;
    pool(client, "killed-pending").await;
    settled(client, "killed-pending", 1).await;
    // The same process is ready again.
    poros.await_ready(LIMIT);
}

async fn what_was_changed_by_hand_during_an_outage_is_repaired_after_it() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    let names = ["hand-none", "hand-removed", "hand-unbound", "hand-changed", "hand-deleted"];
    for name in names {
        pool(client, name).await;
        create(&raw_computes(client), &compute(name)).await.unwrap();
    }
    for name in names {
        settled(client, name, 1).await;
    }
    stage.proxy.outage();
    delete(&placements(client), "hand-removed").await.unwrap();
    delete(&bindings(client), "poros-hand-unbound").await.unwrap();
    let elsewhere = json!({"spec": {"nodeSelector": {"pool": "elsewhere"}, "closed": true}});
    patch(&placements(client), "hand-changed", &elsewhere).await;
    delete(&raw_computes(client), "hand-deleted").await.unwrap();
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    readyz(&poros);
    stage.proxy.clear();
    until("all to be repaired", LIMIT, || async {
        let error = |error: kube::Error| error.to_string();
        placements(client).get("hand-removed").await.map_err(error)?;
        bindings(client).get("poros-hand-unbound").await.map_err(error)?;
        let changed = placements(client).get("hand-changed").await.map_err(error)?;
        let spec = &changed.data["spec"];
        let whole = spec["nodeSelector"] == json!({"pool": "hand-changed"}) && spec["closed"] == false;
        if whole { Ok(()) } else { Err(spec.to_string()) }
    })
    .await;
    for name in &names[..4] {
        settled(client, name, 1).await;
        wait::placed(client, name, 1).await;
    }
    super::gone_without_a_trace(client, "hand-deleted").await;
    poros.await_ready(LIMIT);
}

async fn without_the_crds_poros_waits_and_says_so() {
    let cluster = Cluster::bare(Options::api_only("it-bare"));
    let poros = Poros::launch(&cluster, &cluster.poros_kubeconfig(), &["--manage-policies"]);
    until("Poros to say what is missing, and no more", SOON, || async {
        let (code, text) = poros.get("/readyz").map_err(|error| error.to_string())?;
        let named = text.contains("computes are not listed") && text.contains("placements are not listed");
        let only = !text.contains("nodes") && !text.contains("pods");
        if code == 503 && named && only { Ok(()) } else { Err(format!("{code} {text}")) }
    })
    .await;
    until("the log to say how to mend it", SOON, || async {
        let log = poros.log_text();
        if log.contains("are the CRDs installed? (helm upgrade with crds.enabled=true, or: poros crd | kubectl apply --server-side -f -)") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200);
    cluster.install_crds();
    poros.await_ready(READY);
    let client = cluster.client().await;
    pool(&client, "late").await;
    make(&client, &compute("late")).await;
    settled(&client, "late", 1).await;
}

async fn a_poros_that_sees_nothing_for_long_says_that_it_is_not_ready() {
    let stage = Stage::new().await;
    drop(stage.poros());
    let poros = stage.launch(&[&["--watch-grace=3"], &SHORT[..]].concat());
    poros.await_ready(READY);
    let begin = std::time::Instant::now();
    stage.proxy.outage();
    let said = until("Poros to be unready", LIMIT, || {
        let (code, text) = poros.get("/readyz").unwrap();
        std::future::ready(if code == 503 { Ok(text) } else { Err(text) })
    })
    .await;
    assert!(begin.elapsed() > Duration::from_secs(3), "a short outage is no news: {:?}", begin.elapsed());
    assert!(said.contains("the watch of ") && said.contains(" fails: "), "{said}");
    assert_eq!(poros.get("/healthz").unwrap().0, 200, "it is not to be restarted for that");
    stage.proxy.clear();
    poros.await_ready(LIMIT);
}

//! Poros as a process: it stops in time, it says how it is, and what happened while it was down is taken up.

use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::json;

use super::{childless, pool, settled};
use crate::harness::objects::{bindings, compute, create, delete, patch, placements, raw_computes, with};
use crate::harness::proxy::Act;
use crate::harness::proxy::stage::Stage;
use crate::harness::{until, wait};
use crate::trials;

trials![
    a_stop_during_work_takes_less_than_ten_seconds_and_ends_well,
    a_stop_during_a_write_that_is_not_answered_takes_less_than_ten_seconds,
    health_readiness_and_metrics_are_served,
    a_compute_made_anew_while_poros_was_down_is_another_incarnation,
    a_replacement_whose_replies_come_late_is_known_all_the_same,
    a_compute_that_went_while_poros_was_down_leaves_nothing,
    while_poros_is_down_what_was_in_force_places_and_unknown_names_are_refused,
];

const IN_TIME: Duration = Duration::from_secs(10);

async fn a_stop_during_work_takes_less_than_ten_seconds_and_ends_well() {
    let stage = Stage::new().await;
    let poros = stage.poros();
    let names: Vec<String> = (0..20).map(|index| format!("stop-{index}")).collect();
    for name in &names {
        pool(&stage.client, name).await;
        create(&raw_computes(&stage.client), &compute(name)).await.unwrap();
    }
    let (took, well) = poros.stop();
    assert!(well && took < IN_TIME, "well: {well}, after {took:?}");
    let _next = stage.poros();
    for name in &names {
        settled(&stage.client, name, 1).await;
    }
}

async fn a_stop_during_a_write_that_is_not_answered_takes_less_than_ten_seconds() {
    let stage = Stage::new().await;
    let poros = stage.poros();
    pool(&stage.client, "held").await;
    stage.proxy.on(Act::Hold(Duration::from_secs(30)), 1, |seen| seen.is("POST", "placements"));
    let mark = stage.proxy.mark();
    create(&raw_computes(&stage.client), &compute("held")).await.unwrap();
    stage.proxy.await_count("the write", mark, 1, |seen| seen.is("POST", "placements")).await;
    let (took, well) = poros.stop();
    assert!(well && took < IN_TIME, "well: {well}, after {took:?}");
    let _next = stage.poros();
    settled(&stage.client, "held", 1).await;
}

async fn health_readiness_and_metrics_are_served() {
    let stage = Stage::new().await;
    let poros = stage.poros();
    pool(&stage.client, "metrics").await;
    create(&raw_computes(&stage.client), &compute("metrics")).await.unwrap();
    settled(&stage.client, "metrics", 1).await;
    assert_eq!(poros.get("/healthz").unwrap(), (200, "ok\n".into()));
    assert_eq!(poros.get("/readyz").unwrap(), (200, "ok\n".into()));
    let value = |text: &str, metric: &str| {
        let line = text.lines().find(|line| line.starts_with(metric));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    // A pass is counted after it has written the status.
    let text = until("all that happened to be counted", wait::LIMIT, || {
        let (code, text) = poros.get("/metrics").unwrap();
        assert_eq!(code, 200);
        let metrics = [
            "poros_passes_total{result=\"done\"}",
            "poros_api_writes_total",
            "poros_probes_total{result=\"proven\"}",
            "poros_pass_duration_seconds_count",
            "poros_watch_synced{resource=\"computes\"}",
        ];
        let lacking = metrics.iter().find(|metric| value(&text, metric).is_none_or(|value| value < 1.0));
        std::future::ready(lacking.map_or(Ok(text.clone()), |metric| Err(format!("{metric} in\n{text}"))))
    })
    .await;
    assert_eq!(value(&text, "poros_pass_panics_total"), Some(0.0), "{text}");
    assert!(text.trim_end().ends_with("# EOF"), "OpenMetrics ends with its mark");
    assert_eq!(poros.get("/nothing").unwrap().0, 404);
}

async fn a_compute_made_anew_while_poros_was_down_is_another_incarnation() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "anew").await;
    pool(client, "anew-other").await;
    create(&raw_computes(client), &compute("anew")).await.unwrap();
    let first = settled(client, "anew", 1).await;
    let old = [
        placements(client).get("anew").await.unwrap().uid(),
        bindings(client).get("poros-anew").await.unwrap().uid(),
    ];
    poros.kill();
    patch(&raw_computes(client), "anew", &json!({"metadata": {"finalizers": null}})).await;
    delete(&raw_computes(client), "anew").await.unwrap();
    let mut other = compute("anew");
    other["spec"]["nodePool"] = compute("anew-other")["spec"]["nodePool"].clone();
    create(&raw_computes(client), &other).await.unwrap();
    let _next = stage.poros();
    let second = settled(client, "anew", 1).await;
    assert_ne!(first.uid(), second.uid());
    let new = [
        placements(client).get("anew").await.unwrap().uid(),
        bindings(client).get("poros-anew").await.unwrap().uid(),
    ];
    assert!(old[0] != new[0] && old[1] != new[1], "what the dead one left was taken over: {new:?}");
    let pod = wait::placed(client, "anew", 1).await;
    assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": "anew-other"}));
    let seq = second.status.unwrap().history.first().map(|transition| transition.seq);
    assert_eq!(seq, Some(1), "the history is the second one's own");
}

/// The watch tells of the old child's end and of the new child before the replies do.
async fn a_replacement_whose_replies_come_late_is_known_all_the_same() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "replaced").await;
    create(&raw_computes(client), &compute("replaced")).await.unwrap();
    settled(client, "replaced", 1).await;
    poros.kill();
    patch(&raw_computes(client), "replaced", &json!({"metadata": {"finalizers": null}})).await;
    delete(&raw_computes(client), "replaced").await.unwrap();
    create(&raw_computes(client), &compute("replaced")).await.unwrap();
    let writes =
        [("DELETE", "placements"), ("POST", "placements"), ("POST", "mutatingadmissionpolicybindings")];
    for (verb, resource) in writes {
        let late = Act::HoldReply(Duration::from_secs(1));
        stage.proxy.on(late, 1, move |seen| seen.writes("replaced") && seen.is(verb, resource));
    }
    let mark = stage.proxy.mark();
    let _next = stage.poros();
    settled(client, "replaced", 1).await;
    for (verb, resource) in writes {
        let asked = stage.proxy.count(mark, |seen| seen.writes("replaced") && seen.is(verb, resource));
        assert_eq!(asked, 1, "{verb} {resource}:\n{}", stage.proxy.writes(mark));
    }
}

async fn a_compute_that_went_while_poros_was_down_leaves_nothing() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    pool(client, "went").await;
    create(&raw_computes(client), &compute("went")).await.unwrap();
    settled(client, "went", 1).await;
    poros.kill();
    patch(&raw_computes(client), "went", &json!({"metadata": {"finalizers": null}})).await;
    delete(&raw_computes(client), "went").await.unwrap();
    let _next = stage.poros();
    childless(client, "went").await;
}

async fn while_poros_is_down_what_was_in_force_places_and_unknown_names_are_refused() {
    let stage = Stage::new().await;
    let (poros, client) = (stage.poros(), &stage.client);
    for name in ["down", "down-broken"] {
        pool(client, name).await;
        let value = compute(name);
        let dataplane = if name == "down" { "hub" } else { "elsewhere" };
        create(&raw_computes(client), &with(value, "/spec/dataplane", json!(dataplane))).await.unwrap();
    }
    settled(client, "down", 1).await;
    wait::says(client, "down-broken", "error/error UnknownDataplane").await;
    poros.kill();
    create(&raw_computes(client), &compute("down-new")).await.unwrap();
    let pod = wait::placed(client, "down", 1).await;
    assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": "down"}));
    for name in ["down-broken", "down-new", "down-unknown"] {
        wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    }
}

//! What people and machines are told beside the status: events and metrics.

use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use poros::decide::manifest::Kind;
use serde_json::json;

use super::drift::{RIVAL, meddle};
use super::{apply, clear, edit, own, poolless};
use crate::harness::audit::Audit;
use crate::harness::cluster::Cluster;
use crate::harness::exposition::Exposition;
use crate::harness::objects::{bindings, compute, delete, dynamic, with};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::until;
use crate::harness::wait::{self, LIMIT};
use crate::trials;

trials![events_and_metrics_say_what_happened_and_nothing_else];

fn stored(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "events.k8s.io/v1", "Event", "events", Some("default"))
}

/// The events about a Compute, the oldest first.
pub async fn events(client: &Client, name: &str) -> Vec<DynamicObject> {
    let mut events = stored(client).list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| event.data["regarding"]["name"] == name);
    events.sort_by_key(|event| event.metadata.resource_version.as_ref().and_then(|v| v.parse::<u64>().ok()));
    events
}

/// `Warning NoNodesMatch Watch`.
fn words(events: &[DynamicObject]) -> Vec<String> {
    let word = |event: &DynamicObject, key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
    let told = |event| format!("{} {} {}", word(event, "type"), word(event, "reason"), word(event, "action"));
    events.iter().map(told).collect()
}

/// Waits until these are the events about a Compute.
pub async fn told(client: &Client, name: &str, expect: &[&str]) -> Vec<DynamicObject> {
    until(&format!("the events {expect:?} of {name}"), LIMIT, || async {
        let found = events(client, name).await;
        if words(&found) == expect { Ok(found) } else { Err(format!("{:?}", words(&found))) }
    })
    .await
}

async fn events_and_metrics_say_what_happened_and_nothing_else() {
    let (cluster, client) = own("it-told").await;
    let flags = [&["--manage-policies", "--instance=poros-told"], &SHORT[..]].concat();
    let poros = Poros::start(&cluster, &flags);
    events_are_of_transitions_alone(&cluster, &client).await;
    states_are_metrics_and_go_with_their_compute(&poros, &client).await;
    without_the_right_passes_go_on(&cluster, &client, &poros).await;
    poros.kill();
    what_is_not_wanted_is_not_told(&cluster, &client).await;
}

async fn events_are_of_transitions_alone(cluster: &Cluster, client: &Client) {
    let (name, audit) = ("told-events", Audit::from_now(cluster));
    poolless(client, name).await;
    edit(client, name, json!({"spec": {"nodePool": {"tolerations": null}}})).await;
    wait::active(client, name).await;
    edit(client, name, json!({"spec": {"dataplane": "elsewhere"}})).await;
    wait::says(client, name, "error/error UnknownDataplane").await;
    // What comes next in the queue of events shows that nothing came before it.
    let first = told(client, name, &["Warning UnknownDataplane Validate"]).await;
    edit(client, name, json!({"spec": {"dataplane": "hub"}})).await;
    let active = wait::active(client, name).await;
    let over = ["Warning UnknownDataplane Validate", "Normal Active Recover"];
    told(client, name, &over).await;
    let selector = json!({"spec": {"matchResources": {"objectSelector": {"matchLabels": {"x": "y"}}}}});
    meddle(&bindings(client), &Kind::Binding.name_for(name), &selector).await;
    let all = told(client, name, &[over[0], over[1], "Warning Drifted Repair"]).await;
    wait::proven(client, name).await;
    let note = all[2].data["note"].as_str().unwrap();
    assert!(note.contains("spec.matchResources.objectSelector") && note.contains(RIVAL), "{note}");

    let (event, uid) = (&first[0], active.metadata.uid.as_deref().unwrap());
    let regarding =
        json!({"apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "name": name, "uid": uid});
    assert_eq!(event.data["regarding"], regarding);
    assert_eq!(event.data["reportingController"], "poros.dataos.io/poros");
    assert_eq!(event.data["reportingInstance"], "poros-told");
    let event_name = event.metadata.name.as_deref().unwrap();
    assert!(event_name.starts_with(&format!("{name}.{}.", &uid[..8])), "{event_name}");

    let described = cluster.kubectl(&["describe", "compute", name]);
    let shown = cluster.kubectl(&["events", "--for", &format!("compute/{name}")]);
    for text in [described, shown] {
        for words in ["UnknownDataplane", "Drifted", RIVAL] {
            assert!(text.contains(words), "{words} is not in:\n{text}");
        }
    }
    clear(client, name).await;
    told(client, name, &[over[0], over[1], "Warning Drifted Repair", "Normal Deleted Delete"]).await;
    assert_eq!(audit.events(), 4, "each is written once");
    assert!(!audit.writes().iter().any(|(what, _)| what.contains("events")), "{:?}", audit.writes());
}

fn scrape(poros: &Poros) -> Exposition {
    let (code, text) = poros.get("/metrics").unwrap();
    assert_eq!(code, 200, "{text}");
    Exposition::read(&text)
}

async fn states_are_metrics_and_go_with_their_compute(poros: &Poros, client: &Client) {
    let (well, ill) = ("told-well", "told-ill");
    poolless(client, well).await;
    apply(client, &with(compute(ill), "/spec/dataplane", json!("elsewhere"))).await;
    wait::says(client, ill, "error/error UnknownDataplane").await;
    // An event is written beside the pass, and what Poros knows of a Compute it hears by a watch: the status may be seen
    // first.
    let events = [("result", "written")];
    let read = until("the fifth event to be written, and the fault to be known", LIMIT, || {
        let read = scrape(poros);
        let written = read.value("poros_events_total", &events);
        let known = read.value("poros_faults", &[("category", "UnknownDataplane")]);
        let both = written == Some(5.0) && known == Some(1.0);
        std::future::ready(if both { Ok(read) } else { Err(format!("{written:?} {known:?}")) })
    })
    .await;
    let documented = include_str!("../../../docs/metrics.md");
    for (family, kind, help) in &read.families {
        let row =
            documented.lines().find(|row| row.starts_with(&format!("| `{family}")) && row.contains(kind));
        assert!(
            row.is_some_and(|row| row.contains(help.trim_end_matches('.'))),
            "{family} is not in docs/metrics.md"
        );
    }
    assert_eq!(read.one_hot("poros_compute_status", well, "status"), "active");
    assert_eq!(read.one_hot("poros_compute_stage", well, "stage"), "built");
    assert_eq!(read.one_hot("poros_compute_status", ill, "status"), "error");
    assert_eq!(read.one_hot("poros_compute_fault", ill, "category"), "UnknownDataplane");
    assert_eq!(read.value("poros_faults", &[("category", "UnknownDataplane")]), Some(1.0));
    assert_eq!(
        read.value("poros_compute_resources", &[("compute", well), ("state", "processed")]),
        Some(2.0)
    );
    assert_eq!(read.value("poros_events_total", &events), Some(5.0));
    let asked = |verb, resource, code| {
        read.value("poros_api_requests_total", &[("verb", verb), ("resource", resource), ("code", code)])
    };
    assert!(asked("list", "computes", "2xx") >= Some(1.0) && asked("watch", "nodes", "2xx") >= Some(1.0));
    assert!(
        asked("update", "computes/status", "2xx") >= Some(2.0) && asked("create", "pods", "2xx") >= Some(1.0)
    );
    assert_eq!(asked("create", "placements", "none"), None, "nothing went unanswered");
    let repairs = [("kind", "MutatingAdmissionPolicyBinding")];
    assert_eq!(read.value("poros_drift_repairs_total", &repairs), Some(1.0));
    assert_eq!(read.value("poros_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    clear(client, ill).await;
    until("its series to be gone", LIMIT, || {
        let left = scrape(poros).of(ill).len();
        std::future::ready(if left == 0 { Ok(()) } else { Err(format!("{left} series")) })
    })
    .await;
    assert!(!scrape(poros).of(well).is_empty());
}

async fn without_the_right_passes_go_on(cluster: &Cluster, client: &Client, poros: &Poros) {
    let name = "told-well";
    cluster.expect_refusals();
    cluster.kubectl(&["delete", "rolebinding", "poros-events", "-n", "default"]);
    wait::may(cluster, "default", "create", "events.events.k8s.io", false).await;
    for (dataplane, words) in [("elsewhere", "error/error UnknownDataplane"), ("hub", "active/built Active")]
    {
        edit(client, name, json!({"spec": {"dataplane": dataplane}})).await;
        wait::says(client, name, words).await;
    }
    until("both events to be refused", LIMIT, || {
        let refused = scrape(poros).value("poros_events_total", &[("result", "forbidden")]);
        std::future::ready(if refused == Some(2.0) { Ok(()) } else { Err(format!("{refused:?}")) })
    })
    .await;
    let log = until("the log to say so", LIMIT, || {
        let log = poros.log_text();
        // Whole lines alone.
        std::future::ready(if log.contains("events are not written") && log.ends_with('\n') {
            Ok(log)
        } else {
            Err(log)
        })
    })
    .await;
    let said: Vec<_> = log.lines().filter(|line| line.contains("events are not written")).collect();
    assert_eq!(said.len(), 1, "said once: {said:?}");
    assert!(said[0].contains("cannot create resource"), "{said:?}");
    assert_eq!(events(client, name).await.len(), 0);
}

async fn what_is_not_wanted_is_not_told(cluster: &Cluster, client: &Client) {
    let flags = [&["--events=false", "--metrics=totals"], &SHORT[..]].concat();
    let (poros, audit, name) = (Poros::start(cluster, &flags), Audit::from_now(cluster), "told-well");
    edit(client, name, json!({"spec": {"dataplane": "elsewhere"}})).await;
    wait::says(client, name, "error/error UnknownDataplane").await;
    let read = until("the error to be counted", LIMIT, || {
        let read = scrape(&poros);
        let counted = read.value("poros_computes", &[("status", "error")]);
        std::future::ready(if counted == Some(1.0) { Ok(read) } else { Err(format!("{counted:?}")) })
    })
    .await;
    assert_eq!(read.of(name).len(), 0);
    delete(&crate::harness::objects::raw_computes(client), name).await.unwrap();
    wait::gone(client, name).await;
    assert_eq!(audit.events(), 0);
}

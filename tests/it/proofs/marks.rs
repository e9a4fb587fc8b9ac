//! What admission does to pods that name a Compute, whoever wrote them.

use kube::Client;
use serde_json::{Value, json};

use crate::harness::objects::{compute, create, delete, dry_run, pod, pods, refusal};
use crate::harness::wait;
use crate::rows::{apply, clear, poolless, shared};
use crate::trials;

trials![
    a_forged_mark_opens_nothing,
    a_copied_mark_opens_nothing,
    what_a_pod_brings_along_is_kept_and_nothing_is_doubled,
    a_pod_that_asks_for_other_nodes_is_refused,
    a_pod_of_a_daemon_set_is_refused,
    a_pod_without_the_label_is_left_alone,
    a_pod_is_marked_by_its_own_compute_alone,
];

const MARK: &str = "poros.dataos.io/placed-by";

fn annotated(mut pod: Value, annotations: Value) -> Value {
    pod["metadata"]["annotations"] = annotations;
    pod
}

/// Sends a pod that must be refused; gives back the message. What refuses it acts a moment after it is made.
async fn refused(client: &Client, pod: &Value) -> String {
    wait::refused(client, "proofs-nobody", "Compute proofs-nobody is not in force").await;
    let (code, message, _) = refusal(dry_run(&pods(client), pod).await);
    assert!(code == 403 || code == 422, "{code}: {message}");
    message
}

async fn a_forged_mark_opens_nothing() {
    let client = shared().await.client().await;
    // With one Compute proven and another name refused, every policy acts: a new one takes up to a second.
    poolless(&client, "proofs-forger").await;
    wait::refused(&client, "proofs-nobody", "Compute proofs-nobody is not in force").await;
    for mark in ["proofs-nobody/1", "proofs-nobody/", "proofs-nobody/1/2"] {
        let forged = annotated(pod("proofs-forged", "proofs-nobody"), json!({MARK: mark}));
        let message = refused(&client, &forged).await;
        assert!(message.contains("Compute proofs-nobody is not in force"), "{mark}: {message}");
    }
    clear(&client, "proofs-forger").await;
}

async fn a_copied_mark_opens_nothing() {
    let (client, name) = (shared().await.client().await, "proofs-copied");
    poolless(&client, name).await;
    create(&pods(&client), &pod("proofs-copied-1", name)).await.unwrap();
    let placed = pods(&client).get("proofs-copied-1").await.unwrap();
    let mark = placed.metadata.annotations.as_ref().unwrap()[MARK].clone();
    assert_eq!(mark, "proofs-copied/1");
    // The pod of somebody who saw it, naming a Compute that does not exist, and one that starts with its name.
    for other in ["proofs-nobody", "proofs-copied-too", "proofs"] {
        let copied = annotated(pod("proofs-copied-2", other), json!({MARK: mark}));
        let message = refused(&client, &copied).await;
        assert!(message.contains(&format!("Compute {other} is not in force")), "{message}");
    }
    // On a pod of the same Compute the mark is made anew, whatever revision it claims; other marks are taken off.
    let claims = json!({
        MARK: "proofs-copied/99",
        "poros.dataos.io/closed": "true",
        "poros.dataos.io/conflict": "a=b (pool: c)",
        "example.com/kept": "yes",
    });
    let again = dry_run(&pods(&client), &annotated(pod("proofs-copied-2", name), claims)).await.unwrap();
    let annotations = again.metadata.annotations.unwrap();
    assert_eq!(annotations[MARK], "proofs-copied/1");
    assert_eq!(annotations["example.com/kept"], "yes");
    for taken in ["poros.dataos.io/closed", "poros.dataos.io/conflict"] {
        assert_eq!(annotations.get(taken), None, "{taken}");
    }
    delete(&pods(&client), "proofs-copied-1").await.unwrap();
    let compute = crate::harness::objects::raw_computes(&client);
    wait::used(&client, name, 0).await;
    delete(&compute, name).await.unwrap();
    wait::gone(&client, name).await;
}

async fn what_a_pod_brings_along_is_kept_and_nothing_is_doubled() {
    let (client, name) = (shared().await.client().await, "proofs-kept");
    let mut manifest = compute(name);
    manifest["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    manifest["spec"]["nodePool"]["tolerations"] = json!([
        {"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]);
    apply(&client, &manifest).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    let mut brings = pod("proofs-kept-1", name);
    brings["spec"]["nodeSelector"] = json!({"pool": name, "disk": "ssd"});
    brings["spec"]["tolerations"] = json!([
        {"key": "spot", "operator": "Exists"},
        {"key": "own", "operator": "Equal", "value": "x", "effect": "NoExecute"},
    ]);
    let placed = dry_run(&pods(&client), &brings).await.unwrap();
    assert_eq!(placed.data["spec"]["nodeSelector"], json!({"pool": name, "disk": "ssd"}));
    // The API server adds two of its own, for nodes that fail.
    let tolerations = placed.data["spec"]["tolerations"].as_array().unwrap();
    let of = |key: &str| tolerations.iter().filter(|toleration| toleration["key"] == key).count();
    assert_eq!((of("spot"), of("own"), of("dedicated")), (1, 1, 1), "{tolerations:?}");
    let added: Vec<_> = tolerations
        .iter()
        .filter(|t| !t["key"].as_str().unwrap().starts_with("node.kubernetes.io/"))
        .collect();
    assert_eq!(added.len(), 3, "{tolerations:?}");
    clear(&client, name).await;
}

async fn a_pod_that_asks_for_other_nodes_is_refused() {
    let (client, name) = (shared().await.client().await, "proofs-conflict");
    poolless(&client, name).await;
    let mut elsewhere = pod("proofs-conflict-1", name);
    elsewhere["spec"]["nodeSelector"] = json!({"pool": "elsewhere", "disk": "ssd"});
    let message = refused(&client, &elsewhere).await;
    for words in [
        "the pod asks for other nodes than Compute proofs-conflict has",
        "pool=elsewhere (pool: proofs-conflict)",
        "drop these keys from its nodeSelector",
    ] {
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
    assert!(!message.contains("disk"), "a key that the pool does not speak of is the pod's own: {message}");
    clear(&client, name).await;
}

async fn a_pod_of_a_daemon_set_is_refused() {
    let (client, name) = (shared().await.client().await, "proofs-daemon");
    poolless(&client, name).await;
    let owned = |kind: &str| {
        let mut owned = pod("proofs-daemon-1", name);
        owned["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "apps/v1", "kind": kind, "name": "agent", "uid": "00000000-0000-4000-8000-000000000001"},
        ]);
        owned
    };
    let message = refused(&client, &owned("DaemonSet")).await;
    for words in ["a DaemonSet plans from its own template", "node selector of Compute proofs-daemon"] {
        assert!(message.contains(words), "{words:?} is not in: {message}");
    }
    dry_run(&pods(&client), &owned("ReplicaSet")).await.unwrap();
    clear(&client, name).await;
}

async fn a_pod_without_the_label_is_left_alone() {
    let client = shared().await.client().await;
    let mut plain = pod("proofs-plain", "any");
    plain["metadata"]["labels"] = json!({"app": "plain"});
    plain["metadata"]["annotations"] = json!({MARK: "mine/1"});
    let stored = dry_run(&pods(&client), &plain).await.unwrap();
    assert_eq!(stored.metadata.annotations.unwrap()[MARK], "mine/1", "nobody asked Poros about this one");
    assert!(stored.data["spec"].get("nodeSelector").is_none(), "{}", stored.data["spec"]);
    let tolerations = stored.data["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    let foreign = |t: &Value| t["key"].as_str().unwrap_or_default().starts_with("node.kubernetes.io/");
    assert!(tolerations.iter().all(foreign), "{tolerations:?}");
}

async fn a_pod_is_marked_by_its_own_compute_alone() {
    let client = shared().await.client().await;
    for name in ["proofs-one", "proofs-one-more"] {
        poolless(&client, name).await;
    }
    for name in ["proofs-one", "proofs-one-more"] {
        let placed = wait::placed(&client, name, 1).await;
        assert_eq!(placed["spec"]["nodeSelector"], json!({"pool": name}));
    }
    for name in ["proofs-one", "proofs-one-more"] {
        clear(&client, name).await;
    }
}

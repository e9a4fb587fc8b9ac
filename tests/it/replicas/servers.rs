//! Two API servers on one etcd: Active holds on both, and a teardown waits for both.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::{Value, json};
use xtask::rig::{Component, Options};

use super::LIMIT;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    bindings, compute, create, delete, dry_run, dynamic, placements, pod, pods, raw_computes, with,
};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::trials;

trials![active_holds_on_every_api_server];

/// Rounds, and how many of them at a time: side by side they meet the refreshes at different moments.
const ROUNDS: usize = 20;
const ABREAST: usize = 4;

async fn active_holds_on_every_api_server() {
    let options = Options { second_apiserver: true, ..Options::api_only("it-servers") };
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.unwrap();
    let (client, second) = (cluster.client().await, second(&cluster).await);
    let _poros = Poros::start(&cluster, &[&["--manage-policies"], &SHORT[..]].concat());
    until("the second API server to know Computes and policies", LIMIT, || async {
        let tried = dry_run(&pods(&second), &pod("nobody", "nobody")).await;
        match tried {
            Err(error) if error.to_string().contains("Compute nobody is not in force") => Ok(()),
            other => Err(format!("{:?}", other.map(|_| ()).map_err(|error| error.to_string()))),
        }
    })
    .await;
    ready(&client, "servers-first").await;

    // As long as one names itself, nobody waits for the other: how often that shows is chance, and told.
    let (early, took, _) = rounds(&client, &second, "one", 8).await;
    println!("one API server named: Active after {took:?} on average; of 8 pods {early} were refused by the other");
    let pace = took;

    let slices = dynamic(&client, "discovery.k8s.io/v1", "EndpointSlice", "endpointslices", Some("default"));
    create(&slices, &slice(&["192.0.2.1", "192.0.2.2"])).await.unwrap();
    until("a proof to wait for the other API server", LIMIT, || async {
        let (_, took, _) = rounds(&client, &second, &format!("try-{}", nanos()), 1).await;
        if took > Duration::from_secs(2) { Ok(()) } else { Err(format!("{took:?}")) }
    })
    .await;
    let (early, took, lingered) = rounds(&client, &second, "two", ROUNDS).await;
    println!("two API servers named: Active after {took:?} on average; of {ROUNDS} pods {early} were refused by the other");
    assert_eq!(early, 0, "a pod of an active Compute was refused by the other API server");
    assert!(took > pace, "{took:?} is not more than {pace:?}");
    println!("a Placement outlived its binding by {lingered:?} at least");
    assert!(lingered >= Duration::from_millis(1800), "{lingered:?}");
}

fn nanos() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()
}

/// A client of the second API server, as admin.
async fn second(cluster: &Cluster) -> Client {
    let text = std::fs::read_to_string(cluster.rig.kubeconfig()).unwrap();
    let text = text.replace(&cluster.rig.url(), &cluster.rig.url_of(Component::SecondApiserver));
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn slice(addresses: &[&str]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "endpoints": addresses.iter().map(|address| json!({"addresses": [address]})).collect::<Vec<_>>(),
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    })
}

/// Creates a Compute that needs no node, and waits until it is active.
async fn ready(client: &Client, name: &str) -> Duration {
    let start = Instant::now();
    let manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    create(&raw_computes(client), &manifest).await.unwrap();
    wait::active(client, name).await;
    start.elapsed()
}

/// Rounds of create, Active, a pod through the other server, delete. Gives back how many pods were refused, how long it
/// took to Active on average, and the shortest time that a Placement outlived its binding.
async fn rounds(client: &Client, second: &Client, prefix: &str, count: usize) -> (usize, Duration, Duration) {
    let (mut refused, mut total, mut lingered) = (0, Duration::ZERO, Duration::MAX);
    let names: Vec<String> = (0..count).map(|index| format!("{prefix}-{index}")).collect();
    for names in names.chunks(ABREAST) {
        for (early, took, lived) in join_all(names.iter().map(|name| round(client, second, name))).await {
            refused += usize::from(early);
            total += took;
            lingered = lingered.min(lived);
        }
    }
    (refused, total / u32::try_from(count).unwrap(), lingered)
}

async fn round(client: &Client, second: &Client, name: &str) -> (bool, Duration, Duration) {
    let took = ready(client, name).await;
    let made = create(&pods(second), &pod(&format!("{name}-pod"), name)).await;
    let refused = match made {
        Ok(pod) => {
            placed(&serde_json::to_value(pod).unwrap(), name);
            delete(&pods(client), &format!("{name}-pod")).await.unwrap();
            false
        }
        Err(error) => {
            in_words(&error.to_string(), name);
            true
        }
    };
    let lingered = torn_down(client, second, name).await;
    (refused, took, lingered)
}

fn placed(pod: &Value, name: &str) {
    let mark = &pod["metadata"]["annotations"]["poros.dataos.io/placed-by"];
    assert_eq!(*mark, json!(format!("{name}/1")), "let through without its mark: {pod}");
    assert_eq!(pod["spec"]["nodeSelector"]["pool"], json!(name), "let through unplaced: {pod}");
}

/// Ours, or the API server's own for the moment in which it knows the binding and no Placement.
fn in_words(error: &str, name: &str) {
    let ours = error.contains(&format!("Compute {name} is not in force")) || error.contains("is being deleted");
    assert!(ours || error.contains("no params found"), "{error}");
}

/// Deletes a Compute, and tries its pods on both servers until it is gone; gives back how long its Placement outlived its
/// binding.
async fn torn_down(client: &Client, second: &Client, name: &str) -> Duration {
    // The pod is gone for who deletes as soon as it is for the policy.
    until("the Compute to be deleted", LIMIT, || async {
        delete(&raw_computes(client), name).await.map_err(|error| error.to_string())
    })
    .await;
    let (mut unbound, start) = (None, Instant::now());
    loop {
        for server in [client, second] {
            match dry_run(&pods(server), &pod(&format!("{name}-try"), name)).await {
                Ok(pod) => placed(&serde_json::to_value(pod).unwrap(), name),
                Err(error) => in_words(&error.to_string(), name),
            }
        }
        if bindings(client).get_opt(&format!("poros-{name}")).await.unwrap().is_none() {
            unbound.get_or_insert_with(Instant::now);
        }
        if placements(client).get_opt(name).await.unwrap().is_none() {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{name} is not gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wait::gone(client, name).await;
    for server in [client, second] {
        let error = dry_run(&pods(server), &pod(&format!("{name}-try"), name)).await.unwrap_err().to_string();
        in_words(&error, name);
    }
    unbound.map(|unbound| unbound.elapsed()).unwrap_or_default()
}

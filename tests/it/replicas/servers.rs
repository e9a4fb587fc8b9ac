//! Two API servers on one etcd: Active holds on both, and a teardown waits for both.

use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::{Value, json};
use xtask::rig::{Component, Options};

use super::LIMIT;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    compute, create, delete, dry_run, dynamic, placements, pod, pods, raw_computes, with,
};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::{rows, trials};

trials![active_holds_on_every_api_server];

/// Rounds, and how many of them at a time: side by side they meet the refreshes at different moments.
const ROUNDS: usize = 20;
const ABREAST: usize = 4;
/// Rounds with an API server that lags, and for how long.
const LAGS: usize = 4;
const LAG: Duration = Duration::from_millis(1500);
/// In seconds: how long Poros waits for the API servers that it does not ask. The times of the audit log begin a little later.
const REFRESH: f64 = 1.95;

async fn active_holds_on_every_api_server() {
    let options = Options { apiservers: 2, ..Options::api_only("it-servers") };
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
    let (early, pace) = rounds(&client, &second, "one", 8).await;
    println!(
        "one API server named: Active after {pace:?} on average; of 8 pods {early} were refused by the other"
    );
    // By chance, so more than once if need be.
    let mut early = 0;
    for prefix in ["one", "one-more", "one-last"] {
        if early == 0 {
            early = lagging(&cluster, &second, prefix).await;
            println!("    the other lags: of {LAGS} pods {early} were refused");
        }
    }
    assert!(early > 0, "nothing lagged: what follows tests nothing");

    let slices = dynamic(&client, "discovery.k8s.io/v1", "EndpointSlice", "endpointslices", Some("default"));
    create(&slices, &slice(&["192.0.2.1", "192.0.2.2"])).await.unwrap();
    until("Poros to wait for the other API server", LIMIT, || async {
        let prefix = format!("try-{}", nanos());
        rounds(&client, &second, &prefix, 1).await;
        let lingered = lingered(&cluster, &format!("{prefix}-0"));
        if lingered >= REFRESH { Ok(()) } else { Err(format!("{lingered:.3} s")) }
    })
    .await;
    let (early, took) = rounds(&client, &second, "two", ROUNDS).await;
    println!(
        "two API servers named: Active after {took:?} on average; of {ROUNDS} pods {early} were refused by the other"
    );
    assert_eq!(early, 0, "a pod of an active Compute was refused by the other API server");
    assert!(took.as_secs_f64() >= REFRESH, "a proof after {took:?} has not waited for the other");
    let early = lagging(&cluster, &second, "two").await;
    println!("    the other lags: of {LAGS} pods {early} were refused");
    assert_eq!(early, 0, "a pod of an active Compute was refused by an API server that lagged");
    for (prefix, least, most) in [("one", 0.0, REFRESH), ("two", REFRESH, 60.0)] {
        let lingered = lingered(&cluster, &format!("{prefix}-0"));
        println!("{prefix}: a Placement outlived its binding by {lingered:.3} s");
        assert!((least..most).contains(&lingered), "{prefix}: {lingered}");
    }
}

/// Rounds in which the other API server stands still while a Compute is built, for so long that its refresh comes after
/// the proof and before what is waited for more. Gives back how many pods it refused.
async fn lagging(cluster: &Cluster, second: &Client, prefix: &str) -> usize {
    let (client, mut refused) = (cluster.client().await, 0);
    for index in 0..LAGS {
        let name = format!("{prefix}-lag-{index}");
        let pid = cluster.rig.pid_of(Component::SecondApiserver).unwrap().to_string();
        let signal = |signal: &str| Command::new("kill").args([signal, &pid]).status().unwrap();
        signal("-STOP");
        let later = async {
            tokio::time::sleep(LAG).await;
            signal("-CONT");
        };
        let early = tokio::join!(later, tried(&client, second, &name)).1.0;
        refused += usize::from(early);
        torn_down(&client, second, &name).await;
    }
    refused
}

/// For how many seconds the Placement of a Compute outlived its binding, by the audit log.
fn lingered(cluster: &Cluster, name: &str) -> f64 {
    let log = std::fs::read_to_string(cluster.rig.audit_log()).unwrap();
    let time = |resource: &str, name: &str, time: &str| {
        let mut deletes =
            log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| {
                line["verb"] == "delete"
                    && line["objectRef"]["resource"] == resource
                    && line["objectRef"]["name"] == name
                    && line["responseStatus"]["code"] == 200
            });
        deletes.next_back().unwrap()[time].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    let binding = time("mutatingadmissionpolicybindings", &format!("poros-{name}"), "stageTimestamp");
    let placement = time("placements", name, "requestReceivedTimestamp");
    placement.duration_since(binding).as_secs_f64()
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
    rows::apply(client, &manifest).await;
    wait::active(client, name).await;
    start.elapsed()
}

/// Rounds of create, Active, a pod through the other server, delete. Gives back how many pods were refused, and how long it
/// took to Active on average.
async fn rounds(client: &Client, second: &Client, prefix: &str, count: usize) -> (usize, Duration) {
    let (mut refused, mut total) = (0, Duration::ZERO);
    let names: Vec<String> = (0..count).map(|index| format!("{prefix}-{index}")).collect();
    for names in names.chunks(ABREAST) {
        let round = async |name: &String| {
            let tried = tried(client, second, name).await;
            torn_down(client, second, name).await;
            tried
        };
        for (early, took) in join_all(names.iter().map(round)).await {
            refused += usize::from(early);
            total += took;
        }
    }
    (refused, total / u32::try_from(count).unwrap())
}

/// Makes a Compute and, as soon as it is active, a pod of it through the other server: whether that was refused, and how
/// long it took to Active.
async fn tried(client: &Client, second: &Client, name: &str) -> (bool, Duration) {
    let took = ready(client, name).await;
    match create(&pods(second), &pod(&format!("{name}-pod"), name)).await {
        Ok(pod) => {
            placed(&serde_json::to_value(pod).unwrap(), name);
            delete(&pods(client), &format!("{name}-pod")).await.unwrap();
            (false, took)
        }
        Err(error) => {
            in_words(&error.to_string(), name);
            (true, took)
        }
    }
}

fn placed(pod: &Value, name: &str) {
    let mark = &pod["metadata"]["annotations"]["poros.dataos.io/placed-by"];
    assert_eq!(*mark, json!(format!("{name}/1")), "let through without its mark: {pod}");
    assert_eq!(pod["spec"]["nodeSelector"]["pool"], json!(name), "let through unplaced: {pod}");
}

/// Ours, or the API server's own for the moment in which it knows the binding and no Placement.
fn in_words(error: &str, name: &str) {
    let ours =
        error.contains(&format!("Compute {name} is not in force")) || error.contains("is being deleted");
    assert!(ours || error.contains("no params found"), "{error}");
}

/// Deletes a Compute, and tries its pods on both servers until it is gone: they are placed or refused, never let through.
async fn torn_down(client: &Client, second: &Client, name: &str) {
    // The pod is gone for who deletes as soon as it is for the policy.
    until("the Compute to be deleted", LIMIT, || async {
        delete(&raw_computes(client), name).await.map_err(|error| error.to_string())
    })
    .await;
    let start = Instant::now();
    loop {
        for server in [client, second] {
            match dry_run(&pods(server), &pod(&format!("{name}-try"), name)).await {
                Ok(pod) => placed(&serde_json::to_value(pod).unwrap(), name),
                Err(error) => in_words(&error.to_string(), name),
            }
        }
        if placements(client).get_opt(name).await.unwrap().is_none() {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{name} is not gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    wait::gone(client, name).await;
    for server in [client, second] {
        until("both API servers to know that it is gone", LIMIT, || async {
            match dry_run(&pods(server), &pod(&format!("{name}-try"), name)).await {
                Ok(pod) => {
                    placed(&serde_json::to_value(pod).unwrap(), name);
                    Err("placed".to_owned())
                }
                Err(error) => {
                    in_words(&error.to_string(), name);
                    Ok(())
                }
            }
        })
        .await;
    }
}

//! `poros explain` as a process, against the real API server: what it tells, and with which rights.

use std::path::Path;
use std::process::{Command, Stdio};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::cluster::{self, Cluster};
use crate::harness::objects::{
    compute, create, delete, dynamic, node, nodes, patch, pod, pods, raw_computes, with,
};
use crate::harness::wait;
use crate::trials;

trials![a_pod_is_told_what_placed_it_and_which_nodes_fit,];

/// What `poros explain` printed, and how it ended.
struct Told {
    out: String,
    err: String,
    code: i32,
}

fn ask_as(kubeconfig: &Path, arguments: &[&str], stdin: &str) -> Told {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_poros"))
        .arg("explain")
        .args(arguments)
        .env("POROS_KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("poros starts");
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
}

fn ask(cluster: &Cluster, arguments: &[&str]) -> Told {
    ask_as(&cluster.rig.kubeconfig(), arguments, "")
}

async fn a_pod_is_told_what_placed_it_and_which_nodes_fit() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-pod");
    for index in 1..=4 {
        node(&client, &format!("explain-pod-{index}"), name, index != 4).await;
    }
    patch(&nodes(&client), "explain-pod-3", &json!({"spec": {"unschedulable": true}})).await;
    create(&raw_computes(&client), &compute(name)).await.unwrap();
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    let mut wanted = pod("explain-pod-a", name);
    wanted["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    create(&pods(&client), &wanted).await.unwrap();
    println!("{}", ask(cluster, &["pod", "default/explain-pod-a"]).out);
    println!("{}", ask(cluster, &["pod", "default/explain-pod-a", "-o", "json"]).out);
    println!("{}", ask(cluster, &["compute", name]).out);
    let told = ask(cluster, &["compute", "explain-pot"]);
    println!("{} {}", told.err, told.code);
    let told = ask(cluster, &["pod", "explain-pod-b"]);
    println!("{} {}", told.err, told.code);
    let changed = with(compute(name), "/spec/nodePool/nodeSelector", json!({"pool": name, "disk": "ssd"}));
    let told = ask_as(&cluster.rig.kubeconfig(), &["compute", "-f", "-"], &changed.to_string());
    println!("{}{} {}", told.out, told.err, told.code);
    let refused =
        serde_json::to_string(&with(wanted.clone(), "/spec/nodeSelector/pool", json!("other"))).unwrap();
    let told = ask_as(&cluster.rig.kubeconfig(), &["pod", "-f", "-"], &refused);
    println!("{}{} {}", told.out, told.err, told.code);
    delete(&pods(&client), "explain-pod-a").await.unwrap();
    panic!();
}

//! `why`, `describe`, `tree` and `explain` of Computes in each state, on a control plane of their own, whose nodes are known.

mod files;

use kube::Client;
use serde_json::{Value, json};

use super::transcript::Transcript;
use crate::harness::audit::{Audit, counted};
use crate::harness::cluster::{Cluster, POROS_USER};
use crate::harness::objects::{compute, create, delete, node, nodes, patch, pod, pods, raw_computes, with};
use crate::harness::people::grant;
use crate::harness::poros::{Poros, SHORT};
use crate::harness::until;
use crate::harness::wait;
use crate::rows::{apply, own};
use crate::trials;

trials![computes_in_every_state_are_told];

async fn computes_in_every_state_are_told() {
    let (cluster, client) = own("it-words").await;
    let _poros = Poros::start(&cluster, &[&["--manage-policies"], &SHORT[..]].concat());
    states(&cluster, &client).await;
    grant(&client, "bob", "computes", &["get", "list"]).await;
    let denied = denied(&cluster, "words-denied");
    until("bob to be allowed", wait::LIMIT, || async {
        let told = denied.quietly("kubectl poros why active");
        if told.code == 0 { Ok(()) } else { Err(told.err) }
    })
    .await;
    whys(&cluster);
    descriptions(&cluster);
    trees(&cluster);
    explanations(&cluster);
    files::manifests(&cluster);
    files::data(&cluster);
    what_may_not_be_seen_is_said(denied);
}

/// Computes that are active, pending, in error of both kinds, and held by a user while they are deleted.
async fn states(cluster: &Cluster, client: &Client) {
    let manifest = |name: &str| with(compute(name), "/spec/owner", json!("ann"));
    let poolless = |name: &str| with(manifest(name), "/spec/nodePool/minReadyNodes", json!(0));
    for index in 1..=3 {
        node(client, &format!("active-{index}"), "active", index != 3).await;
    }
    patch(&nodes(client), "active-2", &json!({"spec": {"unschedulable": true}})).await;
    node(client, "broken-1", "broken", true).await;
    node(client, "pending-1", "pending", false).await;
    let described = with(manifest("active"), "/spec/description", json!("for queries of all teams"));
    apply(client, &with(described, "/spec/tags", json!(["gold", "team-a"]))).await;
    apply(client, &manifest("broken")).await;
    apply(client, &manifest("pending")).await;
    apply(client, &with(poolless("elsewhere"), "/spec/dataplane", json!("elsewhere"))).await;
    apply(client, &poolless("going")).await;
    for name in ["active", "broken", "going"] {
        wait::active(client, name).await;
        wait::placed(client, name, 1).await;
    }
    wait::says(client, "elsewhere", "error/error UnknownDataplane").await;
    wait::says(client, "pending", "pending/building AwaitingPool").await;
    for (name, compute) in [("active-a", "active"), ("active-b", "active"), ("going-a", "going")] {
        create(&pods(client), &pod(name, compute)).await.unwrap();
    }
    wait::used(client, "active", 2).await;
    wait::used(client, "going", 1).await;
    node(client, "broken-1", "broken", false).await;
    wait::says(client, "broken", "error/building NoReadyNodes").await;
    let level = r#"{"spec":{"validationActions":["Warn"]}}"#;
    let guard =
        ["patch", "validatingadmissionpolicybinding", "in-use.poros.dataos.io", "--type=merge", "-p", level];
    cluster.kubectl(&guard);
    until("the guard to let go", wait::LIMIT, || async {
        delete(&raw_computes(client), "going").await.map_err(|error| error.to_string())
    })
    .await;
    wait::says(client, "going", "deleting/building InUse").await;
    // What an event tells comes a moment after the status.
    for (name, reason) in [("broken", "NoReadyNodes"), ("elsewhere", "UnknownDataplane"), ("going", "InUse")]
    {
        until(&format!("the event {reason} of {name}"), wait::LIMIT, || async {
            let found = cluster.kubectl(&["get", "events", "-n", "default", "-o", "name"]);
            if found.contains(name) { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

const STATES: [&str; 5] = ["active", "pending", "elsewhere", "broken", "going"];

fn whys(cluster: &Cluster) {
    let mut told = Transcript::new("words-why", cluster, "ann");
    for name in STATES {
        told.run(&format!("kubectl poros why {name}"));
    }
    told.run("dataos-ctl why -t compute -n active");
    told.run("dataos-ctl why -i 'active | v1beta | compute' -q");
    told.run("kubectl poros why compute/brokn");
    told.run("dataos-ctl why -n brokn --output json");
    told.run("kubectl poros why pod/active-a");
    told.run("dataos-ctl why -t pod -n active-a");
    told.run("dataos-ctl why");
    told.run("kubectl poros why broken -o json");
    told.compare();
}

fn descriptions(cluster: &Cluster) {
    let mut told = Transcript::new("words-describe", cluster, "ann");
    for name in STATES {
        told.run(&format!("dataos-ctl describe -t compute -n {name} -q"));
    }
    told.set("LANG", "C");
    told.run("dataos-ctl describe -n broken --all-nodes | head -20");
    told.run("dataos-ctl describe -n nobody");
    let json = told.quietly("dataos-ctl describe -n active -q --output json");
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["name"], &json["owner"], &json["status"]),
        (&json!("active"), &json!("ann"), &json!("active"))
    );
    assert_eq!(json["placement"]["provenRevision"], 1);
    let yaml = told.quietly("dataos-ctl describe -n active -q --output yaml");
    let yaml: Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!(yaml["conditions"], json["conditions"]);
    told.compare();
}

fn trees(cluster: &Cluster) {
    let mut told = Transcript::new("words-tree", cluster, "ann");
    let audit = Audit::from_now(cluster);
    told.run("kubectl poros tree");
    let asked: Vec<_> = audit.all().into_iter().filter(|request| request.user != POROS_USER).collect();
    let lists = counted(asked.iter().filter(|request| request.verb == "list"));
    let kinds = [
        "computes",
        "cronjobs",
        "deployments",
        "jobs",
        "mutatingadmissionpolicybindings",
        "nodes",
        "placements",
        "pods",
        "statefulsets",
    ];
    let once: Vec<(String, usize)> = kinds.iter().map(|kind| (format!("list {kind}"), 1)).collect();
    assert_eq!(lists, once, "one request for each kind");
    told.run("kubectl poros tree compute broken");
    told.run("dataos-ctl tree -n active --all-nodes --plain");
    told.run("kubectl poros tree actve");
    told.compare();
}

fn explanations(cluster: &Cluster) {
    let mut told = Transcript::new("words-explain", cluster, "ann");
    told.run("kubectl poros explain compute broken");
    told.run("dataos-ctl explain pod active-a --namespace default");
    told.run("kubectl poros explain pod -n default active-c");
    told.run("dataos-ctl explain compute -o json active");
    told.file("native.yaml", native("active"));
    told.set("POOL", "broken");
    told.run("dataos-ctl explain compute -f native.yaml");
    told.run("kubectl poros explain compute active -f native.yaml");
    told.run("dataos-ctl explain compute another -f native.yaml -q");
    told.file("unset.yaml", native("$NOBODY"));
    told.run("dataos-ctl explain compute -f unset.yaml -q");
    told.compare();
}

/// A manifest as DataOS has it, whose pool the environment names.
fn native(name: &str) -> String {
    format!(
        "name: {name}\nversion: v1beta\ntype: compute\n\
         compute:\n  purpose: query\n  nodePool:\n    nodeSelector: {{pool: $POOL}}\n"
    )
}

/// What a user may see who may read Computes alone.
fn denied(cluster: &Cluster, name: &'static str) -> Transcript {
    let text = std::fs::read_to_string(cluster.rig.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!("bob");
    let path = cluster.rig.dir().join("cli-bob.kubeconfig");
    std::fs::write(&path, serde_saphyr::to_string(&kubeconfig).unwrap()).unwrap();
    Transcript::with_kubeconfig(name, cluster, path)
}

fn what_may_not_be_seen_is_said(mut told: Transcript) {
    told.run("kubectl poros why active");
    told.run("dataos-ctl describe -n broken -q");
    told.run("kubectl poros tree active");
    told.run("kubectl poros explain pod default/active-a");
    told.compare();
}

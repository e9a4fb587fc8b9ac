//! `wait`: each way in which it ends, and that nothing which breaks on the way ends it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtask::rig::{Options, Signal};

use super::transcript::{Printed, Transcript};
use crate::harness::cluster::{self, Cluster};
use crate::harness::objects::{compute, delete, node, nodes, patch, raw_computes, with};
use crate::harness::proxy::{Act, Order, Proxy, Seen};
use crate::harness::wait;
use crate::rows::{apply, clear, edit};
use crate::trials;

trials![
    each_end_of_a_wait_is_told_by_its_exit_code,
    what_comes_or_goes_meanwhile_is_seen,
    watches_that_break_end_no_wait,
    one_list_and_one_watch_suffice,
    an_api_server_that_is_killed_ends_no_wait,
];

pub(super) fn poolless(name: &str) -> Value {
    with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))
}

/// A command that is under way.
pub(super) fn begin(told: &Transcript, line: &str) -> Child {
    // The shell gives its place to the program, so that a signal reaches it.
    let mut command = told.command(&format!("exec {line}"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its end. A wait that does not end is ended by its own `--timeout`.
pub(super) async fn end(child: Child) -> Printed {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    Printed {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

async fn each_end_of_a_wait_is_told_by_its_exit_code() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let [active, empty, elsewhere] = ["cli-wait-active", "cli-wait-empty", "cli-wait-elsewhere"];
    apply(&client, &poolless(active)).await;
    apply(&client, &with(compute(empty), "/spec/progressDeadlineSeconds", json!(1))).await;
    apply(&client, &with(compute(elsewhere), "/spec/dataplane", json!("elsewhere"))).await;
    wait::active(&client, active).await;
    wait::says(&client, empty, "error/building NoNodesMatch").await;
    wait::says(&client, elsewhere, "error/error UnknownDataplane").await;
    let mut told = Transcript::new("wait", cluster, "ann");
    // What else there is, is other tests' business.
    told.replace("(no Compute named .*There are:) .*", "$1 …");
    told.run("dataos-ctl wait -t compute -n cli-wait-active");
    told.run("dataos-ctl wait -i 'cli-wait-active | v1beta | compute' --id compute:v1beta:cli-wait-active --for stage=built --output name");
    told.run("dataos-ctl wait -t compute -n cli-wait-active --for jsonpath='{.status.nodes.summary}'=0/0 -q");
    told.run("dataos-ctl wait -t compute -n cli-wait-none --for deleted");
    told.run("dataos-ctl wait -t compute -n cli-wait-activ");
    told.run("dataos-ctl wait -t compute -n cli-wait-active --for deleted --timeout 0");
    // Waiting does not heal it: it ends at once, and long before its time.
    let begun = Instant::now();
    told.run("dataos-ctl wait -t compute -n cli-wait-active -n cli-wait-elsewhere --timeout 10m");
    assert!(begun.elapsed() < Duration::from_secs(60));
    // A node may still come.
    told.run("dataos-ctl wait -t compute -n cli-wait-empty --timeout 2s");
    told.run("dataos-ctl wait -t compute -n cli-wait-empty --while status=pending");
    told.run("dataos-ctl wait -t compute -n cli-wait-empty --for status=active --while status=pending");
    told.run("dataos-ctl wait -t compute -n cli-wait-none --for created --timeout 0 --output json");
    told.run("dataos-ctl wait -t compute -n cli-wait-active --for status=activ");
    told.run("dataos-ctl wait -t compute -n cli-wait-active --for condition=Raedy --timeout 1s");
    told.run("kubectl poros wait compute/cli-wait-active --for=condition=Blessed --timeout=0");
    told.run("dataos-ctl wait -t compute --for stage=built");
    told.run("kubectl poros wait compute/cli-wait-active --for=condition=Ready");
    told.run("kubectl poros wait computes cli-wait-active cli-wait-none --for=delete --timeout=2s");
    told.run("kubectl poros wait pods/a");
    // What manifests name is waited for by both programs; the environment is put in by one, as kubectl puts in none.
    let manifest = |name: &str| super::apply::native(name);
    let config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    told.file("folder/active.yaml", manifest(active) + config);
    told.file("folder/more/variable.yaml", manifest("$WHICH"));
    told.file("wrong.yaml", manifest("Active") + "---\na: [\n");
    told.file("none.yaml", config);
    told.set("WHICH", active);
    told.run("dataos-ctl wait -f folder -R --for stage=built --output name");
    told.run("kubectl poros wait -f folder --for=condition=Ready -o name");
    told.run("kubectl poros wait -f folder/more/variable.yaml");
    told.run("dataos-ctl wait -f wrong.yaml");
    told.run("dataos-ctl wait -f wrong.yaml --output json");
    told.run("dataos-ctl wait -f none.yaml");
    told.run("dataos-ctl wait -f nowhere.yaml");
    told.run("dataos-ctl get -f folder/more/variable.yaml --output name");
    // As `get` shows them: a list, and to kubectl the one that was named.
    for (line, path) in [
        ("dataos-ctl wait -n cli-wait-active --output json", "/0"),
        ("kubectl poros wait compute/cli-wait-active -o json", ""),
        ("kubectl poros wait computes cli-wait-active cli-wait-empty --for create -o json", "/items/1"),
    ] {
        let printed = told.quietly(line);
        let shown: Value = serde_json::from_str(&printed.out).unwrap();
        let shown = shown.pointer(path).unwrap();
        assert_eq!((&shown["kind"], printed.err.as_str()), (&json!("Compute"), ""), "{line}");
        assert_eq!(shown["metadata"]["managedFields"], Value::Null);
    }
    told.compare();
    for name in [active, empty, elsewhere] {
        clear(&client, name).await;
    }
}

async fn what_comes_or_goes_meanwhile_is_seen() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-wait-comes";
    let mut told = Transcript::new("wait-comes", cluster, "ann");
    // Nothing tells of a watch on the shared control plane: that one is under way is shown by its first line.
    let line = "dataos-ctl wait -n cli-wait-comes --for created";
    let child = begin(&told, line);
    tokio::time::sleep(Duration::from_secs(2)).await;
    apply(&client, &compute(name)).await;
    told.note(line, &end(child).await);
    let pool = "dataos-ctl wait -n cli-wait-comes";
    wait::says(&client, name, "pending/building AwaitingPool").await;
    let child = begin(&told, pool);
    tokio::time::sleep(Duration::from_secs(2)).await;
    node(&client, "cli-wait-comes-1", name, true).await;
    told.note(pool, &end(child).await);
    // An edit is waited for, not what was before it.
    edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "cli-wait-no-pool"}}}})).await;
    let child = begin(&told, pool);
    tokio::time::sleep(Duration::from_secs(2)).await;
    delete(&raw_computes(&client), name).await.unwrap();
    told.note(pool, &end(child).await);
    told.compare();
    wait::gone(&client, name).await;
    delete(&nodes(&client), "cli-wait-comes-1").await.unwrap();
}

pub(super) fn of_computes(seen: &Seen) -> bool {
    seen.resource == "computes"
}

fn watch_of_computes(seen: &Seen) -> bool {
    seen.resource == "computes" && seen.watch
}

async fn watches_that_break_end_no_wait() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-wait-breaks";
    apply(&client, &compute(name)).await;
    wait::says(&client, name, "pending/building AwaitingPool").await;
    let proxy = Proxy::start(cluster).await;
    let mut told = Transcript::with_kubeconfig("wait-breaks", cluster, proxy.kubeconfig().to_owned());
    told.replace("could not be watched: .*; still", "could not be watched: …; still");
    let line = "dataos-ctl wait -n cli-wait-breaks --timeout 2m";
    let child = begin(&told, line);
    proxy.await_count("its watch", 0, 1, watch_of_computes).await;
    // It does not ask again and again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = proxy.count(0, of_computes);
    assert_eq!(asked, 2, "one list, one watch: {:?}", proxy.since(0));
    for order in [Order::Cut, Order::Expire] {
        let mark = proxy.mark();
        proxy.order(order, None);
        proxy.await_count("its watch, begun anew", mark, 1, watch_of_computes).await;
    }
    // Nobody answers for a while, and what happens meanwhile is seen all the same.
    let mark = proxy.mark();
    proxy.outage();
    node(&client, "cli-wait-breaks-1", name, true).await;
    wait::active(&client, name).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.clear();
    told.note(line, &end(child).await);
    assert!(proxy.count(mark, of_computes) > 0);
    // Ctrl-C says how it stood.
    edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "cli-wait-no-pool"}}}})).await;
    wait::says(&client, name, "pending/building AwaitingPool").await;
    let mark = proxy.mark();
    let child = begin(&told, line);
    proxy.await_count("its watch", mark, 1, watch_of_computes).await;
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    told.note(&format!("{line}  # Ctrl-C"), &end(child).await);
    told.compare();
    clear(&client, name).await;
    delete(&nodes(&client), "cli-wait-breaks-1").await.unwrap();
}

async fn one_list_and_one_watch_suffice() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-wait-asks";
    apply(&client, &poolless(name)).await;
    wait::active(&client, name).await;
    let proxy = Proxy::start(cluster).await;
    let told = Transcript::with_kubeconfig("wait-asks", cluster, proxy.kubeconfig().to_owned());
    // What is there, what is not, and more than are followed one by one.
    let many: Vec<String> = (0..9).map(|number| format!("-n cli-wait-asks-{number}")).collect();
    for which in [
        "-n cli-wait-asks --for deleted".to_owned(),
        "-n cli-wait-asks-none --for created".to_owned(),
        format!("{} --for created", many.join(" ")),
    ] {
        let mark = proxy.mark();
        let printed = end(begin(&told, &format!("dataos-ctl wait {which} --timeout 3s"))).await;
        assert_eq!(printed.code, 7, "{}", printed.err);
        let asked = (proxy.count(mark, of_computes), proxy.count(mark, watch_of_computes));
        assert_eq!(asked, (2, 1), "{which}: {:?}", proxy.since(mark));
    }
    // What goes after the list and before the watch is seen as well.
    proxy.on(Act::Hold(Duration::from_secs(5)), 1, watch_of_computes);
    let mark = proxy.mark();
    let child = begin(&told, "dataos-ctl wait -n cli-wait-asks --for deleted --timeout 1m");
    proxy.await_count("its watch", mark, 1, watch_of_computes).await;
    clear(&client, name).await;
    let printed = end(child).await;
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert_eq!(proxy.count(mark, of_computes), 2, "{:?}", proxy.since(mark));
}

/// Of a cluster where Poros does not run: what holds a deletion is told, and an API server that starts anew changes nothing.
async fn an_api_server_that_is_killed_ends_no_wait() {
    let cluster = tokio::task::spawn_blocking(|| {
        let cluster = Cluster::start(Options::api_only("it-cli-wait"));
        cluster.install_policies();
        cluster
    });
    let cluster = cluster.await.unwrap();
    let client = cluster.client().await;
    let name = "cli-wait-killed";
    apply(&client, &poolless(name)).await;
    let mut told = Transcript::new("wait-killed", &cluster, "ann");
    told.replace("could not be watched: .*; still", "could not be watched: …; still");
    told.run("dataos-ctl wait -n cli-wait-killed --timeout 2s");
    told.run("dataos-ctl delete -t compute -n cli-wait-killed --timeout 2s");
    let line = "dataos-ctl wait -n cli-wait-killed --for deleted --timeout 3m";
    let child = begin(&told, line);
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.rig.stop_apiserver(Signal::Kill).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.rig.start_apiserver().unwrap();
    cluster.await_served();
    patch(&raw_computes(&client), name, &json!({"metadata": {"finalizers": null}})).await;
    told.note(line, &end(child).await);
    told.compare();
}

//! Ctrl-C while something is awaited: it ends every verb, and what it left is told.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use super::apply::native;
use super::transcript::{Printed, Transcript};
use super::wait::{begin, end};
use crate::harness::cluster::{self, Cluster};
use crate::harness::proxy::{Act, Proxy, Seen};
use crate::rows::clear;
use crate::trials;

trials![the_first_look_of_a_wait_is_left_at_once];

/// Longer than anything here takes.
const NEVER: Act = Act::Hold(Duration::from_secs(600));

/// A kubeconfig with which somebody who may do everything comes through the proxy, to which no certificate of a client does.
fn through(cluster: &Cluster, proxy: &Proxy, name: &str) -> PathBuf {
    cluster.kubectl(&["create", "serviceaccount", name, "-n", "default"]);
    let who = format!("--serviceaccount=default:{name}");
    cluster.kubectl(&["create", "clusterrolebinding", name, "--clusterrole=cluster-admin", &who]);
    let token = cluster.kubectl(&["create", "token", name, "-n", "default"]);
    let text = std::fs::read_to_string(proxy.kubeconfig()).unwrap();
    let mut kubeconfig: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["token"] = token.trim().into();
    let path = cluster.rig.dir().join(format!("{name}.kubeconfig"));
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

fn interrupt(child: &Child) {
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
}

/// Begins, waits for a request that is never answered, and interrupts.
async fn interrupted(
    told: &Transcript,
    proxy: &Proxy,
    line: &str,
    at: impl Fn(&Seen) -> bool + Copy + Send + 'static,
) -> Printed {
    proxy.clear();
    proxy.on(NEVER, u32::MAX, at);
    let mark = proxy.mark();
    let child = begin(told, line);
    proxy.await_count(line, mark, 1, at).await;
    interrupt(&child);
    let printed = end(child).await;
    assert_eq!(printed.code, 130, "{line}: {}", printed.err);
    assert_eq!(proxy.count(mark, |seen| seen.watch), 0, "{:?}", proxy.since(mark));
    printed
}

fn list(seen: &Seen) -> bool {
    seen.verb == "GET" && seen.resource == "computes" && seen.name.is_empty() && !seen.watch
}

async fn the_first_look_of_a_wait_is_left_at_once() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-interrupts";
    let proxy = Proxy::start(cluster).await;
    let told = Transcript::with_kubeconfig("interrupts", cluster, through(cluster, &proxy, name));
    told.file("poor.yaml", native(name).replace("minReadyNodes: 0", "minReadyNodes: 1"));
    let printed = interrupted(&told, &proxy, "dataos-ctl apply -f poor.yaml --wait --timeout 15s", list).await;
    for words in ["...created", "interrupted: nothing was seen of it", "1 created, not all active"] {
        assert!(printed.err.contains(words), "{words} in {}", printed.err);
    }
    for line in [
        "dataos-ctl wait -n cli-interrupts --for stage=built --timeout 15s",
        "dataos-ctl delete -t compute -n cli-interrupts --timeout 15s",
    ] {
        let printed = interrupted(&told, &proxy, line, list).await;
        assert!(printed.err.contains("interrupted: nothing was seen of it"), "{}", printed.err);
    }
    // What a wait in vain asks at its end, to say what there is, is left as well.
    let mark = proxy.mark();
    proxy.clear();
    proxy.nth(NEVER, 2, list);
    let child = begin(&told, "dataos-ctl wait -n cli-interrupts-none --timeout 15s");
    proxy.await_count("what there is", mark, 2, list).await;
    interrupt(&child);
    let printed = end(child).await;
    assert_eq!(printed.code, 130, "{}", printed.err);
    proxy.clear();
    clear(&client, name).await;
}

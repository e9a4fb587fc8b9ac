//! Ctrl-C while something is awaited: it ends every verb, and what it left is told.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use super::apply::native;
use super::live::Live;
use super::transcript::{Printed, Transcript};
use super::wait::{begin, end, poolless};
use crate::harness::cluster::{self, Cluster};
use crate::harness::objects::{computes, create, delete, pod, pods};
use crate::harness::proxy::{Act, Proxy, Seen};
use crate::harness::wait;
use crate::rows::{apply, clear};
use crate::trials;

trials![the_first_look_of_a_wait_is_left_at_once, a_forced_deletion_that_is_left_tells_what_it_left];

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
    let printed =
        interrupted(&told, &proxy, "dataos-ctl apply -f poor.yaml --wait --timeout 15s", list).await;
    for words in ["...created", "interrupted: nothing was seen of it"] {
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
    // The deletion went on by itself.
    wait::gone(&client, name).await;
}

async fn a_forced_deletion_that_is_left_tells_what_it_left() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (name, user) = ("cli-interrupts-used", "cli-interrupts-user");
    apply(&client, &poolless(name)).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    create(&pods(&client), &pod(user, name)).await.unwrap();
    wait::used(&client, name, 1).await;
    wait::held(&client, name).await;
    let proxy = Proxy::start(cluster).await;
    let told = Transcript::with_kubeconfig("interrupts-used", cluster, through(cluster, &proxy, name));
    let forced = "dataos-ctl delete -t compute -n cli-interrupts-used --force";
    let annotated = async || computes(&client).get(name).await.unwrap().metadata.annotations.is_some();
    let remedy = "kubectl annotate compute cli-interrupts-used poros.dataos.io/delete-in-use-";
    // The annotation is not answered yet: it may be there.
    let writes = |verb| move |seen: &Seen| seen.verb == verb && seen.resource == "computes";
    let printed = interrupted(&told, &proxy, forced, writes("PATCH")).await;
    assert!(printed.err.contains(&format!("interrupted: {name} was not asked to go")), "{}", printed.err);
    assert!(printed.err.contains(remedy), "{}", printed.err);
    // It is there, and the deletion is not answered yet.
    let printed = interrupted(&told, &proxy, forced, writes("DELETE")).await;
    let unknown = format!("interrupted: whether {name} was asked to go is not known");
    assert!(printed.err.contains(&unknown), "{}", printed.err);
    assert!(printed.err.contains(remedy) && annotated().await, "{}", printed.err);
    proxy.clear();
    let taken = told.quietly(remedy);
    assert!(taken.code == 0 && !annotated().await, "{}", taken.err);
    // At the question nothing was asked of the cluster but to read.
    let mark = proxy.mark();
    let mut asked = Live::at_a_terminal(&told, forced);
    asked.shows(1, &format!("Type {name} to delete it")).await;
    asked.interrupt();
    let printed = asked.end().await;
    assert_eq!(printed.code, 130, "{}", printed.out);
    assert!(printed.out.contains(&format!("interrupted: {name} was not asked to go")), "{}", printed.out);
    assert!(!printed.out.contains("annotate"), "{}", printed.out);
    assert_eq!(proxy.count(mark, |seen| seen.write.is_some()), 0, "{:?}", proxy.since(mark));
    delete(&pods(&client), user).await.unwrap();
    clear(&client, name).await;
}

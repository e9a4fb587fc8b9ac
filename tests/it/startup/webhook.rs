//! What the webhook needs is missed where it is called, and nowhere else; and who answers it goes on.

use std::process::Command;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use poros::decide::registration::{self, Endpoint};
use poros::decide::rights::{Need, RIGHTS, Right, Scope};
use serde_json::json;
use xtask::rig::Options;

use super::{BRIEF, names, readyz, strict, without};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, computes, create, node, raw_computes};
use crate::harness::poros::{Poros, READY};
use crate::harness::proxy::{Order, Proxy};
use crate::harness::{until, wait};
use crate::rows::poolless;
use crate::trials;

trials![who_answers_the_webhook_goes_on_answering, where_nobody_calls_it_its_rights_are_not_missed];

/// The rights of the webhook alone.
pub fn rights() -> Vec<&'static Right> {
    RIGHTS.iter().filter(|right| right.need == Need::Webhook).collect()
}

/// Takes these rights away, and gives back all others.
fn take(cluster: &Cluster, gone: &[&Right]) {
    for scope in [Scope::Cluster, Scope::Home] {
        without(cluster, scope, gone);
    }
}

/// Registers the webhook as the chart does: whom to trust is left to Poros.
fn register(cluster: &Cluster) {
    let mut object = registration::to_json(&Endpoint::Url("https://127.0.0.1:1".into()), "");
    for webhook in object["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"].as_object_mut().unwrap().remove("caBundle");
    }
    let file = cluster.rig.dir().join("registration.json");
    std::fs::write(&file, object.to_string()).unwrap();
    cluster.kubectl(&["apply", "-f", file.to_str().unwrap()]);
}

/// Waits until `/readyz` has this code and a line with these words, and gives back its lines.
async fn says(poros: &Poros, code: u16, words: &str) -> Vec<String> {
    until(&format!("{code} with {words:?}"), wait::LIMIT, || async {
        let (found, lines) = readyz(poros)?;
        let told = lines.iter().any(|line| line.contains(words));
        if found == code && told { Ok(lines) } else { Err(format!("{found} {}", lines.join("\n"))) }
    })
    .await
}

async fn is_ready_without_a_remark(poros: &Poros) {
    until("nothing to be lacking", wait::LIMIT, || async {
        let (code, lines) = readyz(poros)?;
        if (code, lines.as_slice()) == (200, &["ok".to_owned()]) { Ok(()) } else { Err(lines.join("\n")) }
    })
    .await;
}

async fn logs(poros: &Poros, words: &str) {
    until(&format!("{words:?} in the log"), READY, || async {
        let log = poros.log_text();
        if log.lines().any(|line| line.contains(words)) { Ok(()) } else { Err(log) }
    })
    .await;
}

async fn who_answers_the_webhook_goes_on_answering() {
    let cluster = strict(Options::api_only("it-startup-webhook").without_mutating_policies()).await;
    let client = cluster.client().await;
    assert_eq!(rights().len(), 4);
    take(&cluster, &rights());
    cluster.install_crds();
    let printed =
        Command::new(env!("CARGO_BIN_EXE_poros")).args(["policies", "--validating-only"]).output().unwrap();
    let file = cluster.rig.dir().join("policies.yaml");
    std::fs::write(&file, printed.stdout).unwrap();
    cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
    register(&cluster);
    let proxy = Proxy::start(&cluster).await;
    let poros = Poros::launch(&cluster, proxy.kubeconfig(), &[&BRIEF[..], &["--watch-grace=1"]].concat());
    until("all four to be missed", wait::LIMIT, || async {
        let (code, lines) = readyz(&poros)?;
        let missed = lines.iter().filter(|line| line.starts_with("not ready: Poros may not")).count();
        if (code, missed) == (503, 4) { Ok(()) } else { Err(lines.join("\n")) }
    })
    .await;
    take(&cluster, &[]);
    // Nobody asks it whether it is.
    logs(&poros, "poros::controller::readiness: ready").await;
    // Once it answers, it goes on, whatever it may write no more: unanswered, pods would be refused.
    let status = RIGHTS.iter().find(|right| right.resources == ["computes/status"]).unwrap();
    take(&cluster, &[status]);
    wait::may(&cluster, "default", "update", "computes.poros.dataos.io/status", false).await;
    create(&raw_computes(&client), &compute("startup-answered")).await.unwrap();
    assert_eq!(names(&poros, status).await, 200);
    let (_, lines) = readyz(&poros).unwrap();
    assert_eq!(lines[0], "ok");
    take(&cluster, &[]);
    until("it to be written", wait::LIMIT, || async {
        let words = wait::words(&computes(&client).get("startup-answered").await.unwrap());
        if words == "no status" || words.starts_with("pending/building Unseen") { Err(words) } else { Ok(()) }
    })
    .await;

    // And whatever it sees no more, but for what it answers from.
    let read = |resource: &str| RIGHTS.iter().find(|right| right.resources.contains(&resource)).unwrap();
    take(&cluster, &[read("nodes")]);
    wait::may(&cluster, "default", "watch", "nodes", false).await;
    proxy.order(Order::Cut, Some("nodes"));
    let lines = says(&poros, 200, "the watch of nodes fails: ").await;
    assert_eq!(lines[0], "ok");
    take(&cluster, &[read("placements")]);
    wait::may(&cluster, "default", "watch", "placements.poros.dataos.io", false).await;
    proxy.order(Order::Cut, Some("placements"));
    says(&poros, 503, "not ready: the watch of placements fails: ").await;
    take(&cluster, &[]);
    // A watch is well when it tells something.
    wait::may(&cluster, "default", "watch", "placements.poros.dataos.io", true).await;
    node(&client, "startup-heard", "startup-heard", true).await;
    create(&raw_computes(&client), &compute("startup-heard")).await.unwrap();
    is_ready_without_a_remark(&poros).await;
}

/// An upgrade to Kubernetes 1.36, and of the release after it: for ten minutes both ways would stand, but nobody registers
/// the webhook any more, and the rights for it are gone.
async fn where_nobody_calls_it_its_rights_are_not_missed() {
    let cluster = strict(Options::api_only("it-startup-uncalled")).await;
    let client = cluster.client().await;
    take(&cluster, &rights());
    cluster.install_crds();
    cluster.install_policies();
    cluster.kubectl(&["create", "serviceaccount", "poros-probe", "-n", crate::harness::cluster::NAMESPACE]);
    let proxy = Proxy::start(&cluster).await;
    let flags = [&BRIEF[..], &["--watch-grace=1"]].concat();
    let poros = Poros::launch(&cluster, proxy.kubeconfig(), &flags);
    poros.await_ready(READY);
    poolless(&client, "startup-upgraded").await;
    drop(poros);
    let before = json!({"status": {"placement": {"mode": "Webhook"}}});
    computes(&client)
        .patch_status("startup-upgraded", &PatchParams::default(), &Patch::Merge(&before))
        .await
        .unwrap();

    let mark = proxy.mark();
    let poros = Poros::launch(&cluster, proxy.kubeconfig(), &flags);
    logs(&poros, "mode=Both").await;
    poros.await_ready(READY);
    wait::proven(&client, "startup-upgraded").await;
    is_ready_without_a_remark(&poros).await;
    let secrets = |mark| proxy.count(mark, |seen| seen.resource == "secrets");
    assert_eq!(secrets(mark), 0, "what it may not it does not try");

    // A registration that is left behind is answered, and what that needs is missed; it is told beside, for who answers goes on.
    register(&cluster);
    let lines = says(&poros, 200, "Poros may not").await;
    assert_eq!(lines[0], "ok");
    take(&cluster, &[]);
    logs(&poros, "the API server is told whom to trust").await;
    is_ready_without_a_remark(&poros).await;

    // Under a replica that runs on.
    cluster.kubectl(&["delete", "mutatingwebhookconfiguration", "poros.dataos.io"]);
    take(&cluster, &rights());
    logs(&poros, "the webhook is no longer registered, and served no longer").await;
    let mark = proxy.mark();
    proxy.order(Order::Cut, None);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(secrets(mark), 0, "its Secret is watched no longer");
    is_ready_without_a_remark(&poros).await;
}

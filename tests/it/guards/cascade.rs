//! Deletion with the cluster's own controllers at work: the garbage collector, and the end of Poros's namespace.

use kube::api::DeleteParams;
use serde_json::json;
use xtask::rig::Options;

use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    bindings, compute, create, dynamic, patch, placements, pod, pods, raw_computes, with,
};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::{until, wait};
use crate::kstatus;
use crate::rows::{apply, served};
use crate::trials;

trials![deletion_holds_with_the_clusters_own_controllers_at_work];

async fn deletion_holds_with_the_clusters_own_controllers_at_work() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(Options::whole("it-cascade"))).await.unwrap();
    kstatus::record(&cluster);
    let client = cluster.client().await;
    served(&client).await;
    // As somebody tries it beside the cluster, as an administrator; what is deleted below is not its own account.
    let home = "cascade-home";
    let flags = [&["--manage-policies", "--namespace", home], &SHORT[..]].concat();
    let poros = Poros::launch(&cluster, cluster.rig.kubeconfig(), &flags);
    poros.await_ready(READY);
    cluster.assert_policies();
    every_cascade_leaves_nothing(&client).await;
    a_namespace_that_goes_blocks_proofs_alone_and_is_made_again(&client, home).await;
    let log = poros.log_text();
    assert!(!log.contains("panicked"), "{log}");
}

async fn every_cascade_leaves_nothing(client: &kube::Client) {
    for (index, how) in
        [DeleteParams::background(), DeleteParams::foreground(), DeleteParams::orphan()].iter().enumerate()
    {
        let name = format!("cascade-{index}");
        apply(client, &with(compute(&name), "/spec/nodePool/minReadyNodes", json!(0))).await;
        wait::active(client, &name).await;
        wait::placed(client, &name, 1).await;
        create(&pods(client), &pod(&format!("{name}-pod"), &name)).await.unwrap();
        wait::used(client, &name, 1).await;
        wait::held(client, &name).await;
        let refusal = raw_computes(client).delete(&name, how).await.unwrap_err().to_string();
        assert!(refusal.contains("is in use by 1 pod"), "{refusal}");
        let escape = json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}});
        patch(&raw_computes(client), &name, &escape).await;
        raw_computes(client).delete(&name, how).await.unwrap();
        wait::gone(client, &name).await;
        until("the children to be gone", wait::LIMIT, || async {
            let left = (
                placements(client).get_opt(&name).await.unwrap().is_some(),
                bindings(client).get_opt(&format!("poros-{name}")).await.unwrap().is_some(),
            );
            if left == (false, false) { Ok(()) } else { Err(format!("{how:?} leaves {left:?}")) }
        })
        .await;
        assert!(pods(client).get_opt(&format!("{name}-pod")).await.unwrap().is_some(), "its pod runs on");
        wait::refused(client, &name, &format!("Compute {name} is not in force")).await;
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods(client).delete(&format!("{name}-pod"), &now).await.unwrap();
    }
}

async fn a_namespace_that_goes_blocks_proofs_alone_and_is_made_again(client: &kube::Client, home: &str) {
    let namespaces = dynamic(client, "v1", "Namespace", "namespaces", None);
    let before = "cascade-before";
    apply(client, &with(compute(before), "/spec/nodePool/minReadyNodes", json!(0))).await;
    let active = wait::active(client, before).await;
    wait::placed(client, before, 1).await;
    let uid = namespaces.get(home).await.unwrap().metadata.uid;
    namespaces.delete(home, &DeleteParams::default()).await.unwrap();
    until("the namespace to be gone", wait::LIMIT, || async {
        match namespaces.get_opt(home).await.unwrap() {
            Some(there) if there.metadata.uid == uid => Err("it is there".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    // What was proven stays in force and says so.
    wait::placed(client, before, 1).await;
    assert_eq!(crate::rows::seq(&wait::active(client, before).await), crate::rows::seq(&active));
    // To delete needs no proof.
    raw_computes(client).delete(before, &DeleteParams::default()).await.unwrap();
    wait::gone(client, before).await;
    // A Compute that is to be proven makes Poros notice; it makes its home again, and proves.
    apply(client, &with(compute("cascade-after"), "/spec/nodePool/minReadyNodes", json!(0))).await;
    until("the namespace to be made again", wait::LIMIT, || async {
        namespaces.get(home).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    wait::proven(client, "cascade-after").await;
    raw_computes(client).delete("cascade-after", &DeleteParams::default()).await.unwrap();
    wait::gone(client, "cascade-after").await;
}

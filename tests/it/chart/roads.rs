//! The odd roads: restores that lose status and uids, a downgrade, replicas of two versions, CRDs that the chart takes over
//! or lets go, two installs, and a namespace that is deleted instead of uninstalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use kube::Client;
use kube::api::{ListParams, ObjectMeta};
use serde_json::{Value, json};
use xtask::rig::Options;

use super::CHART;
use super::release::{Installed, identity};
use crate::harness::cluster::{Cluster, NAMESPACE};
use crate::harness::objects::{
    bindings, create, delete, dry_run, patch, placements, pod, pods, raw_computes,
};
use crate::harness::{until, wait};
use crate::rows::{poolless, served};
use crate::trials;

trials![
    a_restore_that_lost_status_and_uids_heals,
    versions_that_meet_leave_computes_alone,
    helm_says_why_it_will_not,
    a_namespace_that_is_deleted_leaves_what_an_install_takes_up,
];

const NAMES: [&str; 2] = ["restored-a", "restored-b"];

/// Asks for pods of these Computes all the time. None may come back neither placed nor refused.
struct Watchman {
    stop: Arc<AtomicBool>,
    placed: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Watchman {
    fn start(client: &Client) -> Self {
        let (stop, placed, refused) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (client, stopped, well, no) = (client.clone(), stop.clone(), placed.clone(), refused.clone());
        let task = tokio::spawn(async move {
            let mut unplaced = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                for name in NAMES {
                    match dry_run(&pods(&client), &pod(&format!("{name}-watch"), name)).await {
                        Ok(pod) => {
                            let marks = pod.metadata.annotations.unwrap_or_default();
                            let mark = marks.get("poros.dataos.io/placed-by").cloned().unwrap_or_default();
                            if mark.starts_with(&format!("{name}/")) {
                                well.fetch_add(1, Ordering::SeqCst);
                            } else {
                                unplaced.push(format!("{name}: {mark:?}"));
                            }
                        }
                        Err(_) => {
                            no.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            unplaced
        });
        Self { stop, placed, refused, task }
    }

    async fn stop(self) -> (u32, u32) {
        self.stop.store(true, Ordering::SeqCst);
        assert_eq!(self.task.await.unwrap(), [] as [String; 0], "pods went in silently unplaced");
        (self.placed.load(Ordering::SeqCst), self.refused.load(Ordering::SeqCst))
    }
}

/// An object as a backup gives it back: without status, and as a new one.
fn restored(object: &kube::api::DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    value.as_object_mut().unwrap().remove("status");
    let metadata = value["metadata"].as_object_mut().unwrap();
    for field in
        ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"]
    {
        metadata.remove(field);
    }
    value
}

struct Backup {
    computes: Vec<Value>,
    placements: Vec<Value>,
    bindings: Vec<Value>,
}

impl Backup {
    async fn take(client: &Client) -> Self {
        let mut backup = Self { computes: vec![], placements: vec![], bindings: vec![] };
        for name in NAMES {
            backup.computes.push(restored(&raw_computes(client).get(name).await.unwrap()));
            backup.placements.push(restored(&placements(client).get(name).await.unwrap()));
            backup.bindings.push(restored(&bindings(client).get(&format!("poros-{name}")).await.unwrap()));
        }
        backup
    }

    async fn put_back_computes(&self, client: &Client) {
        for compute in &self.computes {
            until("the Compute to be restored", wait::LIMIT, || async {
                create(&raw_computes(client), compute).await.map(|_| ()).map_err(|error| error.to_string())
            })
            .await;
        }
    }

    /// Poros may have been faster: what is there is left alone, as a restore leaves it.
    async fn put_back_children(&self, client: &Client) {
        for (api, objects) in [(placements(client), &self.placements), (bindings(client), &self.bindings)] {
            for object in objects {
                match create(&api, object).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    result => drop(result.unwrap()),
                }
            }
        }
    }
}

async fn lose_everything(client: &Client) {
    for name in NAMES {
        patch(&raw_computes(client), name, &json!({"metadata": {"finalizers": null}})).await;
        delete(&raw_computes(client), name).await.unwrap();
        // The garbage collector may be faster.
        let _ = delete(&placements(client), name).await;
        let _ = delete(&bindings(client), &format!("poros-{name}")).await;
    }
    until("nothing to be left", wait::LIMIT, || async {
        let computes = raw_computes(client).list(&ListParams::default()).await.unwrap().items.len();
        let placed = placements(client).list(&ListParams::default()).await.unwrap().items.len();
        if computes + placed == 0 { Ok(()) } else { Err(format!("{computes} Computes, {placed} Placements")) }
    })
    .await;
}

/// Each is active, and what is built for it is built for it as it is now.
async fn all_is_well(client: &Client) {
    for name in NAMES {
        let compute = wait::proven(client, name).await;
        let uid = compute.metadata.uid.clone().unwrap();
        let owned = |metadata: &ObjectMeta| {
            let owners = metadata.owner_references.clone().unwrap_or_default();
            owners.iter().map(|owner| owner.uid.clone()).collect::<Vec<_>>() == [uid.clone()]
        };
        until(&format!("what is built for {name} to be its own"), wait::LIMIT, || async {
            let placement = placements(client).get(name).await.map_err(|error| error.to_string())?;
            let binding =
                bindings(client).get(&format!("poros-{name}")).await.map_err(|error| error.to_string())?;
            match (owned(&placement.metadata), owned(&binding.metadata)) {
                (true, true) => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })
        .await;
        let revision = compute.status.as_ref().unwrap().placement.as_ref().unwrap().revision;
        wait::placed(client, name, revision).await;
    }
}

async fn a_restore_that_lost_status_and_uids_heals() {
    let options = Options { controller_manager: true, ..Options::api_only("it-chart-restore") };
    let installed = Installed::start(options, &[]).await;
    let client = &installed.client;
    installed.cluster.await_policies();
    wait::account(client, "default").await;
    let poros = installed.poros();
    for name in NAMES {
        poolless(client, name).await;
    }
    let backup = Backup::take(client).await;
    let before = raw_computes(client).get(NAMES[0]).await.unwrap().metadata.uid;

    // Poros is away, as after a loss of the whole cluster; Computes first, as Velero does.
    drop(poros);
    lose_everything(client).await;
    let watchman = Watchman::start(client);
    backup.put_back_computes(client).await;
    backup.put_back_children(client).await;
    let poros = installed.poros();
    all_is_well(client).await;
    let (placed, refused) = watchman.stop().await;
    println!("Computes first, Poros away: {placed} pods were placed, {refused} refused");
    assert!(placed > 0);
    assert_ne!(raw_computes(client).get(NAMES[0]).await.unwrap().metadata.uid, before);

    // Poros runs meanwhile.
    lose_everything(client).await;
    let watchman = Watchman::start(client);
    backup.put_back_computes(client).await;
    backup.put_back_children(client).await;
    all_is_well(client).await;
    let (placed, refused) = watchman.stop().await;
    println!("Computes first, Poros there: {placed} pods were placed, {refused} refused");
    assert!(placed > 0);

    // In the wrong order: what is built comes back first, for Computes that are not there.
    lose_everything(client).await;
    let watchman = Watchman::start(client);
    backup.put_back_children(client).await;
    until("what nobody owns to be collected", wait::LIMIT, || async {
        let left = placements(client).list(&ListParams::default()).await.unwrap().items.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} Placements")) }
    })
    .await;
    backup.put_back_computes(client).await;
    all_is_well(client).await;
    let (placed, refused) = watchman.stop().await;
    println!("in the wrong order: {placed} pods were placed, {refused} refused");
    assert!(placed > 0 && refused > 0, "without a Compute pods are refused");
    poros.await_ready(wait::LIMIT);
}

/// Says of the shared policies that they are of another version.
fn policies_of(cluster: &Cluster, version: u32) {
    for kind in ["validatingadmissionpolicies", "mutatingadmissionpolicies"] {
        let version = format!("poros.dataos.io/policy-version={version}");
        let labelled = "app.kubernetes.io/part-of=poros";
        cluster.kubectl(&["annotate", kind, "-l", labelled, "--overwrite", &version]);
    }
}

/// Makes a policy another one, as another version would have it: it places and refuses as before.
async fn reworded(installed: &Installed) {
    let text = json!({"spec": {"failurePolicy": "Ignore"}});
    let policies = crate::harness::objects::dynamic(
        &installed.client,
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        None,
    );
    let before = policies.get("workloads.poros.dataos.io").await.unwrap();
    assert_ne!(before.data["spec"]["failurePolicy"], "Ignore");
    patch(&policies, "workloads.poros.dataos.io", &text).await;
}

async fn versions_that_meet_leave_computes_alone() {
    let installed = Installed::start(Options::api_only("it-chart-versions"), &[]).await;
    let (cluster, client) = (&installed.cluster, &installed.client);
    cluster.await_policies();
    let elects =
        ["--leader-elect=true", "--lease-duration=3", "--lease-renew-deadline=2", "--lease-retry=0.5"];
    let first = installed.replica(&elects);
    poolless(client, "met").await;
    let before = identity(&wait::proven(client, "met").await);

    // The chart is newer than the Poros that leads, as in a roll-out and after a rollback of the image alone.
    policies_of(cluster, 3);
    reworded(&installed).await;
    let second = installed.replica(&elects);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let met = wait::active(client, "met").await;
    assert_eq!(identity(&met), before, "a Poros leaves newer policies alone");
    assert_eq!(first.get("/readyz").unwrap(), (200, "ok\n".into()));
    wait::placed(client, "met", 1).await;
    // One leads, whichever: on a machine that stood still for a moment the Lease has moved.
    let is_first = until("one of both to lead", wait::LIMIT, || async {
        let (first, second) = (first.leads(), second.leads());
        if first == second { Err(format!("the first: {first}, the second: {second}")) } else { Ok(first) }
    })
    .await;
    let (old, new) = if is_first { (first, second) } else { (second, first) };
    // It still works: an edit is placed.
    patch(
        &raw_computes(client),
        "met",
        &json!({"spec": {"nodePool": {"tolerations": [{"key": "extra", "operator": "Exists"}]}}}),
    )
    .await;
    wait::placed(client, "met", 2).await;
    let before = identity(&wait::proven(client, "met").await);
    // The roll-out goes on: the old one goes, and the new one takes over.
    let (_, well) = old.stop();
    assert!(well);
    until("the new one to lead", wait::LIMIT, || async {
        if new.leads() { Ok(()) } else { Err("it does not".into()) }
    })
    .await;
    assert_eq!(identity(&wait::active(client, "met").await), before);

    // The chart is older: said, with both versions and a remedy, and pods are placed as its policies say.
    policies_of(cluster, 1);
    let told = wait::says(client, "met", "error/building PolicyMissing").await;
    let words = "ValidatingAdmissionPolicy workloads.poros.dataos.io is of version 1, older than the ";
    assert!(
        wait::info(&told).contains(words) && wait::info(&told).contains("poros policies"),
        "{}",
        wait::info(&told)
    );
    let (_, body) = new.get("/readyz").unwrap();
    assert!(body.contains(words), "{body}");
    wait::placed(client, "met", 2).await;
    // Helm 4 leaves alone what somebody else wrote, unless it is told not to.
    let output = installed.command(&["upgrade", "poros", CHART]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("conflict occurred while applying object"), "{said}");
    installed.helm(&["upgrade", "poros", CHART, "--force-conflicts"]);
    assert_eq!(identity(&wait::proven(client, "met").await), before, "nothing is rebuilt");
    new.await_ready(wait::LIMIT);
}

async fn helm_says_why_it_will_not() {
    let options = Options { helm: true, ..Options::api_only("it-chart-roads") };
    let cluster = tokio::task::spawn_blocking(|| Cluster::empty(options)).await.unwrap();
    let installed = Installed::on(cluster).await;
    let (cluster, client) = (&installed.cluster, &installed.client);
    let refused = |arguments: &[&str], words: &str| {
        let output = installed.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    };
    refused(&["install", "poros", CHART], "namespaces \"poros-system\" not found");
    // CRDs that somebody applied: Helm takes over nothing that is not its own, unless it is told to.
    cluster.install_crds();
    served(client).await;
    let mut kept = crate::harness::objects::compute("by-hand");
    kept["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    create(&raw_computes(client), &kept).await.unwrap();
    let uid = |name: &'static str| async move {
        raw_computes(client).get(name).await.unwrap().metadata.uid.unwrap()
    };
    let made = uid("by-hand").await;
    let create_namespace = "--create-namespace";
    refused(
        &["install", "poros", CHART, create_namespace],
        "exists and cannot be imported into the current release",
    );
    installed.helm(&["install", "poros", CHART, create_namespace, "--take-ownership"]);
    assert_eq!(uid("by-hand").await, made);
    cluster.await_policies();

    // Once in a cluster.
    let words = "annotation validation error: key \"meta.helm.sh/release-name\" must equal \"second\"";
    refused(&["install", "second", CHART], words);
    refused(&["install", "poros", CHART], "a name that is still in use");

    // keep is turned off and on, and CRDs are let go only while they are kept.
    let keeps = |kept: bool| {
        let path = r"jsonpath={.metadata.annotations.helm\.sh/resource-policy}";
        for object in ["crd/computes.poros.dataos.io", "validatingadmissionpolicy/placed.poros.dataos.io"] {
            assert_eq!(
                cluster.kubectl(&["get", object, "-o", path]),
                if kept { "keep" } else { "" },
                "{object}"
            );
        }
    };
    keeps(true);
    installed.helm(&["upgrade", "poros", CHART, "--set=crds.keep=false"]);
    keeps(false);
    refused(
        &["upgrade", "poros", CHART, "--set=crds.enabled=false"],
        "Helm would delete them, and all Computes with them; upgrade with crds.keep=true first",
    );
    assert_eq!(uid("by-hand").await, made);
    installed.helm(&["upgrade", "poros", CHART, "--set=crds.keep=true"]);
    keeps(true);
    installed.helm(&["upgrade", "poros", CHART, "--set=crds.enabled=false"]);
    assert_eq!(uid("by-hand").await, made, "what is kept stays when the chart has it no more");
    installed.helm(&["upgrade", "poros", CHART, "--set=crds.enabled=true"]);
    let _poros = installed.poros();
    wait::active(client, "by-hand").await;
    assert_eq!(uid("by-hand").await, made);
}

async fn a_namespace_that_is_deleted_leaves_what_an_install_takes_up() {
    let options = Options {
        controller_manager: true,
        // Services are looked up as objects: by name, whoever answers names here would be asked.
        extra_apiserver_args: vec!["--enable-aggregator-routing=true".into()],
        ..Options::api_only("it-chart-namespace")
    }
    .without_mutating_policies();
    let installed = Installed::start(options, &[]).await;
    let (cluster, client) = (&installed.cluster, &installed.client);
    // Its account goes with the namespace.
    cluster.expect_refusals();
    wait::account(client, "default").await;
    let poros = installed.poros();
    // The webhook is called at a Service that no pod is behind here: told, with the name of the Service.
    let mut manifest = crate::harness::objects::compute("left");
    manifest["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    create(&raw_computes(client), &manifest).await.unwrap();
    let words = "service \"poros-webhook\"";
    wait::compute(client, "left", "told of the Service", |compute| wait::info(compute).contains(words)).await;
    drop(poros);

    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=60s"]);
    // Labelled pods are refused, for nobody answers; no Compute is lost.
    wait::refused(client, "left", "failed calling webhook").await;
    let left = raw_computes(client).get("left").await.unwrap();
    assert!(!left.metadata.finalizers.unwrap_or_default().is_empty(), "its deletion would wait for Poros");
    let output = installed.command(&["uninstall", "poros"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("release: not found"), "{said}");
    // An install under the same name takes all of it up, and can be uninstalled.
    installed.helm(&["install", "poros", CHART, "--create-namespace"]);
    let _poros = installed.poros();
    wait::compute(client, "left", "told of the Service", |compute| wait::info(compute).contains(words)).await;
    assert_eq!(raw_computes(client).get("left").await.unwrap().metadata.uid, left.metadata.uid);
    installed.helm(&["uninstall", "poros", "--no-hooks"]);
    wait::refused(client, "left", "left").await;
}

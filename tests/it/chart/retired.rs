//! What an uninstall does with Computes: how many requests that takes, and what it refuses though the guard does not.

use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use serde_json::json;
use xtask::rig::Options;

use super::release::{GROUP, Installed, retire};
use crate::harness::audit::{Audit, counted};
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{bindings, create, delete, dynamic, patch, placements, raw_computes};
use crate::harness::{seed, until, wait};
use crate::trials;

trials![a_few_computes_are_retired; slow: many_computes_are_retired];

const POOLS: usize = 10;

/// The levels of the guard that refuses deletions of what is in use.
async fn level(installed: &Installed, actions: &[&str]) {
    let kind = "ValidatingAdmissionPolicyBinding";
    let api = dynamic(&installed.client, GROUP, kind, "validatingadmissionpolicybindings", None);
    patch(&api, "in-use.poros.dataos.io", &json!({"spec": {"validationActions": actions}})).await;
}

/// What it says is what the guard says where it denies.
pub(super) async fn a_guard_that_only_warns_is_kept_to(installed: &Installed, kubeconfig: &Path) {
    let client = &installed.client;
    let try_it = || async {
        let parameters = DeleteParams { dry_run: true, ..DeleteParams::default() };
        let tried = raw_computes(client).delete("chart-used", &parameters).await;
        tried.map(|_| ()).map_err(|error| error.to_string())
    };
    let denied = try_it().await.unwrap_err();
    level(installed, &["Audit"]).await;
    until("the guard to let it through", wait::LIMIT, try_it).await;
    let (well, said) = retire(kubeconfig, &["--delete-computes"]);
    let words = said.split("nothing was deleted: ").nth(1).and_then(|rest| rest.split("; then").next());
    assert!(!well && words.is_some_and(|words| denied.contains(words)), "{said}\nis not\n{denied}");
    for name in ["chart-used", "chart-free"] {
        let compute = raw_computes(client).get(name).await.unwrap();
        assert!(compute.metadata.deletion_timestamp.is_none(), "{name} is being deleted");
    }
    level(installed, &["Deny"]).await;
}

/// A Poros that stops lets its Lease go; this one chooses no leader, and so has none.
async fn nothing_is_deleted_without_a_leader(installed: &Installed, kubeconfig: &Path, count: usize) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "poros", "namespace": NAMESPACE}, "spec": {"holderIdentity": ""},
    });
    let lease = serde_json::from_value(lease).unwrap();
    let leases = dynamic(&installed.client, "coordination.k8s.io/v1", "Lease", "leases", Some(NAMESPACE));
    create(&leases, &lease).await.unwrap();
    let (well, said) = retire(kubeconfig, &["--delete-computes", "--timeout=2"]);
    assert!(!well && said.contains("nothing was deleted: nobody holds the Lease poros"), "{said}");
    delete(&leases, "poros").await.unwrap();
    let left = raw_computes(&installed.client).list(&ListParams::default()).await.unwrap().items;
    assert_eq!(left.iter().filter(|one| one.metadata.deletion_timestamp.is_none()).count(), count);
}

async fn a_few_computes_are_retired() {
    computes_are_retired("it-chart-few", 60).await;
}

async fn many_computes_are_retired() {
    computes_are_retired("it-chart-many", 1000).await;
}

async fn computes_are_retired(name: &'static str, count: usize) {
    let installed = Installed::start(Options::api_only(name), &["--set=crds.keep=false"]).await;
    let (cluster, client) = (&installed.cluster, &installed.client);
    cluster.await_policies();
    let hooks = super::read(&installed.helm(&["get", "hooks", "poros"]));
    seed::nodes(client, 0..POOLS, POOLS).await;
    let done_by = |account: &str, audit: &Audit| {
        let all = audit.of(&format!("system:serviceaccount:poros-system:{account}"));
        counted(all.iter().filter(|request| request.resource == "computes"))
    };
    let of = |counts: &[(String, usize)], what: &str| {
        counts.iter().find(|(of, _)| of == what).map_or(0, |(_, count)| *count)
    };

    // With crds.keep=false, while Poros runs.
    seed::computes(client, "gone", 0..count, POOLS).await;
    let poros = installed.poros();
    seed::passes(&poros, count, Duration::from_secs(180)).await;
    let (kubeconfig, audit) =
        (installed.hook_account(&hooks, "poros-delete-computes"), Audit::from_now(cluster));
    nothing_is_deleted_without_a_leader(&installed, &kubeconfig, count).await;
    let start = Instant::now();
    let (well, said) = retire(&kubeconfig, &["--delete-computes"]);
    assert!(well, "{said}");
    let took = start.elapsed();
    let counts = done_by("poros-delete-computes", &audit);
    assert_eq!(
        of(&counts, "delete computes"),
        2 * count,
        "each is asked about, and then deleted: {counts:?}"
    );
    println!("{count} Computes were deleted, with all that was built for them, in {took:?}: {counts:?}");
    let none = |api: Api<DynamicObject>| async move {
        let left = api.list(&ListParams::default()).await.unwrap().items;
        left.iter().filter(|object| object.metadata.name.as_ref().unwrap().contains("gone-")).count()
    };
    assert_eq!((none(placements(client)).await, none(bindings(client)).await), (0, 0));
    drop(poros);

    // With crds.keep=true, after Poros stopped; and where nothing is left to be done, however short the patience.
    seed::computes(client, "kept", 0..count, POOLS).await;
    let (kubeconfig, audit) = (installed.hook_account(&hooks, "poros-retire"), Audit::from_now(cluster));
    let start = Instant::now();
    let (well, said) = retire(&kubeconfig, &["--timeout=3"]);
    assert!(well, "{said}");
    let took = start.elapsed();
    let counts = done_by("poros-retire", &audit);
    assert_eq!(of(&counts, "patch computes"), count, "{counts:?}");
    println!(
        "the finalizer was taken off {count} Computes in {took:?}, of which 3 s were of waiting: {counts:?}"
    );
    let held = raw_computes(client).list(&ListParams::default()).await.unwrap().items;
    assert_eq!(held.len(), count);
    assert!(held.iter().all(|compute| compute.metadata.finalizers.clone().unwrap_or_default().is_empty()));
}

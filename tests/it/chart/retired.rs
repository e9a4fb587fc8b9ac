//! What an uninstall does with Computes: how many requests that takes, and what it refuses though the guard does not.

use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, ListParams};
use serde_json::json;
use xtask::rig::Options;

use super::installed::{Installed, retire};
use crate::harness::audit::{Audit, counted};
use crate::harness::objects::{bindings, dynamic, patch, placements, raw_computes};
use crate::harness::{seed, until, wait};
use crate::trials;

trials![a_few_computes_are_retired; slow: many_computes_are_retired];

const GROUP: &str = "admissionregistration.k8s.io/v1";
const POOLS: usize = 10;

/// The levels of the guard that refuses deletions of what is in use.
async fn level(installed: &Installed, actions: &[&str]) {
    let kind = "ValidatingAdmissionPolicyBinding";
    let api = dynamic(&installed.client, GROUP, kind, "validatingadmissionpolicybindings", None);
    patch(&api, "in-use.poros.dataos.io", &json!({"spec": {"validationActions": actions}})).await;
}

/// `denied` is what was said where the guard denied.
pub(super) async fn a_guard_that_only_warns_is_kept_to(
    installed: &Installed,
    kubeconfig: &Path,
    denied: &str,
) {
    let (_, words) = denied.split_once("denied request: ").expect("the guard denied it");
    level(installed, &["Audit"]).await;
    let client = &installed.client;
    until("the guard to let it through", wait::LIMIT, || async {
        let parameters = kube::api::DeleteParams::default().dry_run();
        let tried = raw_computes(client).delete("chart-used", &parameters).await;
        tried.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    let (well, said) = retire(kubeconfig, &["--delete-computes"]);
    assert!(!well && said.contains(&format!("nothing was deleted: {words}")), "{said}\nis not\n{words}");
    for name in ["chart-used", "chart-free"] {
        let compute = raw_computes(client).get(name).await.unwrap();
        assert!(compute.metadata.deletion_timestamp.is_none(), "{name} is being deleted");
    }
    level(installed, &["Deny"]).await;
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
    let start = Instant::now();
    let (well, said) = retire(&kubeconfig, &["--delete-computes"]);
    assert!(well, "{said}");
    let took = start.elapsed();
    let counts = done_by("poros-delete-computes", &audit);
    assert_eq!(of(&counts, "dry-run delete computes"), count, "{counts:?}");
    assert_eq!(of(&counts, "delete computes"), count, "{counts:?}");
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

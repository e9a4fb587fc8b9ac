//! `PolicyMissing`, where somebody else owns the shared policies; and a guard that only warns.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use poros::decide::policies::POLICY_VERSION;
use serde_json::json;

use super::{apply, clear, edit, own, poolless, reason, seq};
use crate::harness::audit::{Audit, Request};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    compute, create, delete, dynamic, patch, placements, pod, pods, raw_computes, refusal, with,
};
use crate::harness::poros::Poros;
use crate::harness::until;
use crate::harness::wait::{self, condition, info};
use crate::kstatus;
use crate::trials;

trials![a_shared_policy_that_is_absent_or_altered_is_told_and_nothing_else_is];

const GROUP: &str = "admissionregistration.k8s.io/v1";
const GRACE: Duration = Duration::from_secs(4);

/// Applies what `poros policies` prints, as its help says.
fn apply_policies(cluster: &Cluster) {
    let printed = Command::new(env!("CARGO_BIN_EXE_poros")).arg("policies").output().unwrap();
    assert!(printed.status.success());
    let mut kubectl = cluster.rig.kubectl();
    kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut kubectl = kubectl.spawn().unwrap();
    kubectl.stdin.take().unwrap().write_all(&printed.stdout).unwrap();
    let output = kubectl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // kubectl remarks that a policy which a test changed by other means lacks its annotation; nothing else.
    let remarks = said.lines().filter(|line| !line.contains("last-applied-configuration")).count();
    assert!(output.status.success() && remarks == 0, "{said}");
}

fn policies(client: &Client) -> Api<DynamicObject> {
    dynamic(client, GROUP, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", None)
}

async fn a_shared_policy_that_is_absent_or_altered_is_told_and_nothing_else_is() {
    let (cluster, client) = own("it-policies").await;
    let flags = ["--policy-grace=4", "--proof-patience=3", "--counter-interval=1", "--contended-quiet=4"];
    let audit = Audit::from_now(&cluster);
    let poros = Poros::launch(&cluster, &cluster.poros_kubeconfig(), &flags);
    without_policies_nothing_is_built(&cluster, &client, &poros).await;
    an_absent_policy_is_told_after_the_grace(&cluster, &client).await;
    an_altered_policy_is_told_and_a_newer_one_is_not(&cluster, &client).await;
    a_compute_whose_guard_only_warned_is_held_by_its_users(&cluster, &client).await;
    // Reported, never written: a shared object's name has a dot, a child's has none.
    let shared = |request: &Request| {
        request.writes() && request.resource.contains("admissionpolic") && request.name.contains('.')
    };
    let meddled: Vec<_> = audit.poros().into_iter().filter(shared).collect();
    assert_eq!(meddled, [], "Poros writes no shared policy");
    assert!(audit.all().iter().any(shared), "others did, so the audit log would tell");
    let log = poros.log_text();
    assert!(!log.contains("panicked"), "{log}");
}

async fn without_policies_nothing_is_built(cluster: &Cluster, client: &Client, poros: &Poros) {
    let name = "policies-none";
    let absent = "ValidatingAdmissionPolicy placed.poros.dataos.io is absent";
    apply(client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    let failed = wait::says(client, name, "error/error PolicyMissing").await;
    assert!(info(&failed).contains(absent), "{}", info(&failed));
    assert_eq!(condition(&failed, "Stalled"), "True");
    let (code, unready) = poros.get("/readyz").unwrap();
    assert!(code == 503 && unready.contains(absent), "{code} {unready}");
    // Where admission does not set it, Poros does.
    wait::compute(client, name, "held by Poros", |compute| {
        compute.metadata.finalizers.as_deref() == Some(&["poros.dataos.io/cleanup".to_owned()][..])
    })
    .await;
    apply_policies(cluster);
    wait::active(client, name).await;
    poros.await_ready(wait::LIMIT);
    wait::placed(client, name, 1).await;
    clear(client, name).await;
}

async fn an_absent_policy_is_told_after_the_grace(cluster: &Cluster, client: &Client) {
    let name = "policies-gone";
    let active = poolless(client, name).await;
    // Shorter than the grace: no news.
    let mut policy = policies(client).get("placement.poros.dataos.io").await.unwrap();
    policy.metadata.resource_version = None;
    policy.metadata.uid = None;
    delete(&policies(client), "placement.poros.dataos.io").await.unwrap();
    policies(client).create(&PostParams::default(), &policy).await.unwrap();
    edit(client, name, json!({"spec": {"description": "after a short absence"}})).await;
    wait::placed(client, name, 1).await;
    let still = wait::proven(client, name).await;
    assert_eq!(seq(&still), seq(&active), "{:?}", still.status);
    delete(&policies(client), "placement.poros.dataos.io").await.unwrap();
    let failed = wait::says(client, name, "error/building PolicyMissing").await;
    assert!(
        info(&failed).contains(
            "MutatingAdmissionPolicy placement.poros.dataos.io is absent; apply the shared policies again: poros policies | kubectl apply --server-side --force-conflicts -f -"
        ),
        "{}",
        info(&failed)
    );
    assert_eq!(condition(&failed, "Reconciling"), "True");
    // Unplaced pods are refused, not let through.
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    // It stays the cause, also when the proof that it spoils has had its time; and a new Compute says so too.
    let fresh = "policies-fresh";
    apply(client, &with(compute(fresh), "/spec/nodePool/minReadyNodes", json!(0))).await;
    let new = wait::says(client, fresh, "error/error PolicyMissing").await;
    assert!(info(&new).contains("placement.poros.dataos.io is absent"), "{}", info(&new));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let later = wait::says(client, name, "error/building PolicyMissing").await;
    assert_eq!(seq(&later), seq(&failed), "{:?}", later.status.unwrap().history);
    wait::says(client, fresh, "error/error PolicyMissing").await;
    apply_policies(cluster);
    wait::proven(client, name).await;
    wait::proven(client, fresh).await;
    wait::placed(client, name, 1).await;
    clear(client, fresh).await;
    clear(client, name).await;
}

async fn an_altered_policy_is_told_and_a_newer_one_is_not(cluster: &Cluster, client: &Client) {
    let name = "policies-altered";
    let active = poolless(client, name).await;
    // A newer chart's text is not judged.
    let newer = json!({
        "metadata": {"annotations": {"poros.dataos.io/policy-version": "99"}},
        "spec": {"failurePolicy": "Ignore"},
    });
    patch(&policies(client), "marks.poros.dataos.io", &newer).await;
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    let fine =
        wait::compute(client, name, "proven again", |c| condition(c, "PlacementVerified") == "True").await;
    assert_eq!(wait::words(&fine), "active/built Active");
    assert_eq!(seq(&fine), seq(&active));
    // The same under our own version is an alteration.
    let version = POLICY_VERSION.to_string();
    let ours = json!({"metadata": {"annotations": {"poros.dataos.io/policy-version": version}}});
    patch(&policies(client), "marks.poros.dataos.io", &ours).await;
    let failed = wait::says(client, name, "error/building PolicyMissing").await;
    let words = "MutatingAdmissionPolicy marks.poros.dataos.io was altered at spec.failurePolicy";
    assert!(info(&failed).contains(words), "{}", info(&failed));
    // What is in force keeps placing.
    wait::placed(client, name, 1).await;
    apply_policies(cluster);
    let restored = json!({"spec": {"failurePolicy": "Fail"}});
    patch(&policies(client), "marks.poros.dataos.io", &restored).await;
    wait::proven(client, name).await;
    clear(client, name).await;
}

/// The enforcement of each guard is the chart's choice. Where deletion in use only warns, the finalizer holds.
async fn a_compute_whose_guard_only_warned_is_held_by_its_users(cluster: &Cluster, client: &Client) {
    let name = "policies-held";
    let active = poolless(client, name).await;
    create(&pods(client), &pod("policies-held-1", name)).await.unwrap();
    wait::used(client, name, 1).await;
    wait::held(client, name).await;
    let (code, ..) = refusal(delete(&raw_computes(client), name).await);
    assert_eq!(code, 403);
    let level = r#"{"spec":{"validationActions":["Warn"]}}"#;
    let guard =
        ["patch", "validatingadmissionpolicybinding", "in-use.poros.dataos.io", "--type=merge", "-p", level];
    cluster.kubectl(&guard);
    tokio::time::sleep(GRACE + Duration::from_millis(500)).await;
    let fine = wait::active(client, name).await;
    assert_eq!(seq(&fine), seq(&active), "another level is no fault");
    until("the guard to let go", wait::LIMIT, || async {
        delete(&raw_computes(client), name).await.map_err(|error| error.to_string())
    })
    .await;
    let held = wait::says(client, name, "deleting/building InUse").await;
    assert!(info(&held).contains("Pod/default/policies-held-1"), "{}", info(&held));
    super::told::told(client, name, &["Warning InUse Delete"]).await;
    assert_eq!((condition(&held, "Ready"), condition(&held, "Deleting")), ("False", "True"));
    assert_eq!(reason(&held, "Deleting"), "InUse");
    assert_eq!(kstatus::of(&held), kstatus::Kstatus::Terminating);
    assert_eq!(placements(client).get(name).await.unwrap().data["spec"]["closed"], true);
    wait::refused(client, name, &format!("Compute {name} is being deleted and takes no new pods")).await;
    assert_eq!(held.metadata.finalizers.as_deref(), Some(&["poros.dataos.io/cleanup".to_owned()][..]));
    delete(&pods(client), "policies-held-1").await.unwrap();
    wait::gone(client, name).await;
    super::told::told(client, name, &["Warning InUse Delete", "Normal Deleted Delete"]).await;
    assert!(placements(client).get_opt(name).await.unwrap().is_none());
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
}

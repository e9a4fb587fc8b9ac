//! Placement, whatever places pods: one suite, run where policies do, where the webhook does, and where both stand.

mod same;

use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams};
use libtest_mimic::Trial;
use poros::api::compute::Compute;
use poros::api::status::PlacementMode;
use serde_json::{Value, json};
use xtask::rig::{MutatingPolicies, Options, Signal};

use crate::harness::cluster::{Cluster, kubernetes};
use crate::harness::objects::{
    bindings, compute, create, delete, dry_run, dynamic, placements, pod, pods, raw_computes, refusal, with,
};
use crate::harness::poros::Poros;
use crate::harness::wait::{self, info};
use crate::harness::{trial, until};
use crate::kstatus;
use crate::proofs::webhook::Stripper;
use crate::rows::{apply, clear, poolless, revision, served};

/// The first minor version that serves MutatingAdmissionPolicy in `v1`.
const POLICIES_SINCE: u32 = 36;

/// What can be on the Kubernetes of this run: an API server without mutating policies is upgraded to the main one.
pub fn trials() -> Vec<Trial> {
    let webhook = trial("placement::the_webhook_places_pods", the_webhook_places_pods);
    let minor =
        kubernetes().map(|version| version.trim_start_matches("1.").parse::<u32>().expect("like 1.30"));
    if minor.is_some_and(|minor| minor < POLICIES_SINCE) {
        return vec![webhook, trial("placement::an_upgrade_goes_through_both", an_upgrade_goes_through_both)];
    }
    vec![
        webhook,
        trial("placement::policies_place_pods", policies_place_pods),
        trial("placement::both_place_pods_until_it_is_settled", both_place_pods_until_it_is_settled),
    ]
}

const FLAGS: [&str; 5] = [
    "--manage-policies",
    "--proof-patience=4",
    "--counter-interval=1",
    "--policy-grace=20",
    "--pool-grace=1",
];
/// A restarted API server that has policies refuses labelled pods for up to 30 s.
const AFTER_RESTART: Duration = Duration::from_secs(120);

/// A control plane, and what is expected to place pods on it.
struct Setting<'a> {
    cluster: &'a Cluster,
    client: Client,
    mode: PlacementMode,
    /// Whether the API server has MutatingAdmissionPolicy.
    binds: bool,
}

async fn started(options: Options) -> (Cluster, Client) {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.unwrap();
    kstatus::record(&cluster);
    let client = cluster.client().await;
    served(&client).await;
    (cluster, client)
}

async fn policies_place_pods() {
    let (cluster, client) = started(Options::api_only("it-place-policy")).await;
    let _poros = Poros::start(&cluster, &FLAGS);
    let setting = Setting { cluster: &cluster, client, mode: PlacementMode::Policy, binds: true };
    setting.suite("by-policy").await;
    assert!(registrations(&setting.client).get_opt("poros.dataos.io").await.unwrap().is_none());
}

async fn the_webhook_places_pods() {
    let (cluster, client) = started(Options::api_only("it-place-webhook").without_mutating_policies()).await;
    let poros = Poros::start(&cluster, &FLAGS);
    let setting = Setting { cluster: &cluster, client, mode: PlacementMode::Webhook, binds: false };
    setting.suite("by-webhook").await;
    absent_poros_refuses_labelled_pods_alone(&setting, poros).await;
}

/// Policies, then an older API server, then a newer one again: nothing is ever placed wrong, and both ways stand between.
async fn both_place_pods_until_it_is_settled() {
    let (cluster, client) = started(Options::api_only("it-place-both")).await;
    let (long, short) = (settling("--discovery-settle=600"), settling("--discovery-settle=3"));
    let poros = Poros::start(&cluster, &long);
    let mut setting = Setting { cluster: &cluster, client, mode: PlacementMode::Policy, binds: true };
    poolless(&setting.client, "both-stands").await;
    let by_policy = same::drive(&setting).await;

    restart_apiserver(&cluster, MutatingPolicies::Off);
    (setting.mode, setting.binds) = (PlacementMode::Both, false);
    setting.says_mode("both-stands").await;
    setting.suite("both-old").await;
    drop(poros);
    // A Poros that starts in an overlap that was not seen to its end goes on with it.
    let poros = Poros::start(&cluster, &short);
    setting.mode = PlacementMode::Webhook;
    setting.says_mode("both-stands").await;
    let by_webhook = same::drive(&setting).await;
    same::compare(&by_policy, &by_webhook);
    drop(poros);

    let poros = Poros::start(&cluster, &long);
    setting.says_mode("both-stands").await;
    restart_apiserver(&cluster, MutatingPolicies::OfVersion);
    upgraded(&mut setting, "both-stands", "both-new", poros).await;
}

/// The flags, with a wish when a change of the API server counts as settled.
fn settling(wish: &str) -> Vec<&str> {
    FLAGS.into_iter().chain([wish]).collect()
}

/// The API server has policies since its restart: both ways place, under this Poros, until the next one finds it settled.
async fn upgraded(setting: &mut Setting<'_>, stands: &str, suite: &str, poros: Poros) {
    (setting.mode, setting.binds) = (PlacementMode::Both, true);
    let back = setting.says_mode(stands).await;
    assert_eq!(wait::condition(&back, "Drifted"), "", "an upgrade is nobody's drift: {:?}", back.status);
    setting.suite(suite).await;
    drop(poros);
    let poros = Poros::start(setting.cluster, &settling("--discovery-settle=3"));
    setting.mode = PlacementMode::Policy;
    setting.says_mode(stands).await;
    setting.registration_goes().await;
    drop(poros);
    // The policies alone place.
    wait::placed(&setting.client, stands, 1).await;
}

/// The same with two real versions: Kubernetes is upgraded under a Compute that stands.
async fn an_upgrade_goes_through_both() {
    let (cluster, client) = started(Options::api_only("it-place-upgrade")).await;
    let (long, short) = (settling("--discovery-settle=600"), settling("--discovery-settle=3"));
    let poros = Poros::start(&cluster, &long);
    let mut setting = Setting { cluster: &cluster, client, mode: PlacementMode::Webhook, binds: false };
    poolless(&setting.client, "upgrade-stands").await;
    let by_webhook = same::drive(&setting).await;

    tokio::task::block_in_place(|| cluster.rig.set_kubernetes(None)).unwrap();
    restart_apiserver(&cluster, MutatingPolicies::OfVersion);
    upgraded(&mut setting, "upgrade-stands", "upgrade-both", poros).await;
    let _poros = Poros::start(&cluster, &short);
    same::compare(&same::drive(&setting).await, &by_webhook);
}

fn registrations(client: &Client) -> kube::Api<kube::api::DynamicObject> {
    let group = "admissionregistration.k8s.io/v1";
    dynamic(client, group, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", None)
}

fn restart_apiserver(cluster: &Cluster, mutating_policies: MutatingPolicies) {
    cluster.rig.set_mutating_policies(mutating_policies);
    cluster.rig.stop_apiserver(Signal::Term).unwrap();
    cluster.rig.start_apiserver().unwrap();
}

impl Setting<'_> {
    /// Waits until a Compute is active and proven, and says the mode of this setting.
    async fn says_mode(&self, name: &str) -> Compute {
        let computes = crate::harness::objects::computes(&self.client);
        until(&format!("{name} to say {:?}", self.mode), AFTER_RESTART, || async {
            let compute = computes.get(name).await.map_err(|error| error.to_string())?;
            let status = compute.status.clone().unwrap_or_default();
            let placement = status.placement.clone().unwrap_or_default();
            let summary = if self.binds { "2/2" } else { "1/1" };
            let proven = wait::condition(&compute, "PlacementVerified") == "True";
            let fits = placement.mode == self.mode && status.builder_state.summary == summary && proven;
            if fits && wait::words(&compute) == "active/built Active" {
                Ok(compute)
            } else {
                Err(format!("{} {}", wait::words(&compute), serde_json::to_string(&status).unwrap()))
            }
        })
        .await
    }

    async fn registration_goes(&self) {
        until("the registration to go", wait::LIMIT, || async {
            let left =
                registrations(&self.client).get_opt("poros.dataos.io").await.map_err(|e| e.to_string())?;
            if left.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
        })
        .await;
    }

    /// The suite; `name` is that of its Compute, and of what it makes.
    async fn suite(&self, name: &str) {
        let client = &self.client;
        apply(client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
        let active = self.says_mode(name).await;
        let resources = active.status.unwrap().cloud_kernel_resources;
        assert_eq!(resources.len(), if self.binds { 2 } else { 1 }, "{resources:?}");
        let held = active.metadata.finalizers.unwrap_or_default();
        assert_eq!(held, ["poros.dataos.io/cleanup"]);
        self.pods_are_placed(name).await;
        self.what_must_not_be_placed_is_refused(name).await;
        self.an_edit_places_anew(name).await;
        self.what_fails_its_proof_is_not_in_force(name).await;
        self.a_compute_that_goes_takes_no_pods(name).await;
    }

    async fn pods_are_placed(&self, name: &str) {
        let stored = create(&pods(&self.client), &pod(&format!("{name}-1"), name)).await.unwrap();
        assert_eq!(stored.data["spec"]["nodeSelector"], json!({"pool": name}));
        let toleration =
            json!({"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"});
        assert!(stored.data["spec"]["tolerations"].as_array().unwrap().contains(&toleration));
        assert_eq!(stored.metadata.annotations.unwrap()["poros.dataos.io/placed-by"], format!("{name}/1"));
        delete(&pods(&self.client), &format!("{name}-1")).await.unwrap();
    }

    async fn what_must_not_be_placed_is_refused(&self, name: &str) {
        let client = &self.client;
        wait::refused(client, "nobody", "Compute nobody is not in force").await;
        let mut forged = pod("forged", "nobody");
        forged["metadata"]["annotations"] = json!({"poros.dataos.io/placed-by": "nobody/1"});
        let (code, message, _) = refusal(dry_run(&pods(client), &forged).await);
        assert!(code == 403 && message.contains("Compute nobody is not in force"), "{code}: {message}");
        let mut elsewhere = pod("elsewhere", name);
        elsewhere["spec"]["nodeSelector"] = json!({"pool": "elsewhere"});
        let (_, message, _) = refusal(dry_run(&pods(client), &elsewhere).await);
        let words = format!("pool=elsewhere (pool: {name}); drop these keys");
        assert!(message.contains(&words), "{message}");
    }

    async fn an_edit_places_anew(&self, name: &str) {
        let selector = json!({"spec": {"nodePool": {"nodeSelector": {"pool": name, "more": "x"}}}});
        edit(&self.client, name, selector).await;
        wait::active(&self.client, name).await;
        let placed = wait::placed(&self.client, name, 2).await;
        assert_eq!(placed["spec"]["nodeSelector"], json!({"pool": name, "more": "x"}));
    }

    async fn what_fails_its_proof_is_not_in_force(&self, name: &str) {
        let client = &self.client;
        let stripper = Stripper::serve(client, "spoilt").await;
        stripper.start().await;
        let tolerating = |key: &str| json!([{"key": key, "operator": "Exists"}]);
        // An edit is put back.
        edit(client, name, json!({"spec": {"nodePool": {"tolerations": tolerating("spoilt")}}})).await;
        wait::says(client, name, "error/error ProofMismatch").await;
        let put_back = wait::compute(client, name, "put back", |c| info(c).contains("stays in force")).await;
        assert!(info(&put_back).ends_with("; revision 2 stays in force"), "{}", info(&put_back));
        wait::placed(client, name, 2).await;
        assert_eq!(revision(client, name).await, (2, 3));
        edit(client, name, json!({"spec": {"nodePool": {"tolerations": tolerating("fine")}}})).await;
        wait::active(client, name).await;
        // What was never proven places nothing.
        let fresh = format!("{name}-new");
        let manifest = with(compute(&fresh), "/spec/nodePool/minReadyNodes", json!(0));
        apply(client, &with(manifest, "/spec/nodePool/tolerations", tolerating("spoilt"))).await;
        let failed = wait::says(client, &fresh, "error/error ProofMismatch").await;
        wait::refused(client, &fresh, &format!("Compute {fresh} is not in force")).await;
        let failed = wait::compute(client, &failed.metadata.name.unwrap(), "withdrawn", |c| {
            info(c).contains("are refused")
        })
        .await;
        assert!(info(&failed).ends_with("pods that name this Compute are refused"), "{}", info(&failed));
        let stored = placements(client).get(&fresh).await.unwrap();
        assert_eq!(stored.data["spec"]["withdrawn"], json!(true), "{}", stored.data);
        until("the binding to be withdrawn", wait::LIMIT, || async {
            let left =
                bindings(client).get_opt(&format!("poros-{fresh}")).await.map_err(|e| e.to_string())?;
            if left.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
        })
        .await;
        stripper.stop().await;
        wait::active(client, &fresh).await;
        assert_eq!(revision(client, &fresh).await, (1, 1));
        wait::placed(client, &fresh, 1).await;
        clear(client, &fresh).await;
        wait::refused(client, &fresh, &format!("Compute {fresh} is not in force")).await;
    }

    /// Where the guard only warns, users hold a Compute that is deleted, and it is closed to new ones.
    async fn a_compute_that_goes_takes_no_pods(&self, name: &str) {
        let client = &self.client;
        let user = format!("{name}-user");
        create(&pods(client), &pod(&user, name)).await.unwrap();
        wait::used(client, name, 1).await;
        let level = r#"{"spec":{"validationActions":["Warn"]}}"#;
        let guard = "validatingadmissionpolicybinding/in-use.poros.dataos.io";
        self.cluster.kubectl(&["patch", guard, "--type=merge", "-p", level]);
        until("the guard to let go", wait::LIMIT, || async {
            delete(&raw_computes(client), name).await.map_err(|error| error.to_string())
        })
        .await;
        wait::says(client, name, "deleting/building InUse").await;
        wait::refused(client, name, &format!("Compute {name} is being deleted and takes no new pods")).await;
        delete(&pods(client), &user).await.unwrap();
        wait::gone(client, name).await;
        assert!(placements(client).get_opt(name).await.unwrap().is_none());
        wait::refused(client, name, &format!("Compute {name} is not in force")).await;
        self.cluster.kubectl(&[
            "patch",
            guard,
            "--type=merge",
            "-p",
            r#"{"spec":{"validationActions":["Deny"]}}"#,
        ]);
    }
}

/// The price of the webhook: without a Poros nobody places. Nothing else is touched, and it is over when one is back.
async fn absent_poros_refuses_labelled_pods_alone(setting: &Setting<'_>, poros: Poros) {
    let (client, name) = (&setting.client, "absent");
    let before = poolless(client, name).await;
    poros.kill();
    let (code, message, _) = refusal(dry_run(&pods(client), &pod("absent-1", name)).await);
    assert!(code == 500 && message.contains("pods.poros.dataos.io"), "{code}: {message}");
    let mut plain = pod("plain", name);
    plain["metadata"]["labels"] = json!({"app": "plain"});
    dry_run(&pods(client), &plain).await.unwrap();
    // Computes can be written.
    edit(client, name, json!({"spec": {"description": "while nobody looks"}})).await;
    let placement = placements(client).get(name).await.unwrap();
    let _poros = Poros::start(setting.cluster, &FLAGS);
    wait::placed(client, name, 1).await;
    let after = wait::active(client, name).await;
    assert_eq!(crate::rows::seq(&after), crate::rows::seq(&before), "a restart is no transition");
    assert_eq!(placements(client).get(name).await.unwrap(), placement, "and writes no child");
    clear(client, name).await;
}

/// Edits a Compute. Right after a policy on Computes is made, that may answer 503 once more.
async fn edit(client: &Client, name: &str, change: Value) {
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&change));
    until("the edit to be taken", wait::LIMIT, || async {
        match raw_computes(client).patch(name, &parameters, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 503 => Err(status.message),
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// A pod or a refusal as it compares: without what differs from try to try.
fn comparable(result: Result<kube::api::DynamicObject, kube::Error>) -> Value {
    match result {
        Ok(object) => {
            let mut annotations = json!(object.metadata.annotations.unwrap_or_default());
            // The order of keys in this one is chance inside the API server.
            if let Some(conflict) = annotations.get_mut("poros.dataos.io/conflict") {
                let mut parts: Vec<_> = conflict.as_str().unwrap().split(", ").map(String::from).collect();
                parts.sort();
                *conflict = json!(parts);
            }
            json!({
                "annotations": annotations,
                "labels": object.metadata.labels,
                "finalizers": object.metadata.finalizers,
                "spec": object.data["spec"],
            })
        }
        Err(kube::Error::Api(status)) => {
            // Here, too, the order of keys that differ is chance.
            let mut parts: Vec<_> = status.message.split([':', ',', ';']).map(str::trim).collect();
            parts.sort_unstable();
            json!([status.code, parts])
        }
        Err(error) => panic!("no answer of the API server: {error}"),
    }
}

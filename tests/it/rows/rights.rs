//! Faults of rights and of the API server: `Forbidden`, `ApplyFailed`, `ProofBlocked`; and what needs longer graces.
//!
//! All of it changes what is not a Compute's own, so it has a control plane of its own.

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::faults::foreign_binding;
use super::{apply, clear, edit, own, poolless, revision, seq};
use crate::harness::cluster::{Cluster, NAMESPACE, POROS_USER};
use crate::harness::objects::{
    bindings, compute, computes, create, delete, dry_run, dynamic, node, placements, pod, pods, with,
};
use crate::harness::poros::Poros;
use crate::harness::until;
use crate::harness::wait::{self, LIMIT, condition, info};
use crate::{kstatus, trials};

trials![faults_of_rights_and_of_the_api_server_heal, what_is_within_a_grace_or_a_restart_is_no_news];

const GROUP: &str = "admissionregistration.k8s.io/v1";
/// By these Poros writes Placements.
const ALL: [&str; 4] = ["create", "update", "delete", "build"];
const WITHOUT_CREATE: [&str; 3] = ["update", "delete", "build"];

fn poolless_manifest(name: &str) -> Value {
    with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))
}

async fn faults_of_rights_and_of_the_api_server_heal() {
    let (cluster, client) = own("it-rights").await;
    let flags = [
        "--manage-policies",
        "--forbidden-grace=1",
        "--proof-blocked-grace=4",
        "--counter-interval=1",
        "--probe-image=registry.example.com/poros:1",
    ];
    let _poros = Poros::start(&cluster, &flags);
    poolless(&client, "rights-before").await;
    forbidden_names_verb_and_resource(&cluster, &client).await;
    apply_failed_is_pending_until_the_deadline(&client).await;
    a_blocked_proof_is_no_fault_but_is_told(&client).await;
    a_proof_passes_where_registries_and_users_are_limited(&cluster, &client).await;
    let unharmed = wait::active(&client, "rights-before").await;
    assert_eq!(seq(&unharmed), unharmed.status.as_ref().unwrap().history.len() as u64);
    clear(&client, "rights-before").await;
}

/// Sets the verbs by which Poros writes Placements, and waits until the API server says so.
async fn placements_verbs(cluster: &Cluster, verbs: &[&str], may_create: bool) {
    cluster.expect_refusals();
    let role: Value =
        serde_json::from_str(&cluster.kubectl(&["get", "clusterrole", "poros", "-o", "json"])).unwrap();
    let writes = |rule: &Value| {
        rule["resources"] == json!(["placements"])
            && rule["verbs"].as_array().unwrap().contains(&json!("build"))
    };
    let place = role["rules"].as_array().unwrap().iter().position(writes).unwrap();
    let verbs_path = format!("/rules/{place}/verbs");
    let patch = json!([{"op": "replace", "path": verbs_path, "value": verbs}]).to_string();
    cluster.kubectl(&["patch", "clusterrole", "poros", "--type=json", "-p", &patch]);
    wait::may(cluster, "default", "create", "placements.poros.dataos.io", may_create).await;
}

async fn forbidden_names_verb_and_resource(cluster: &Cluster, client: &Client) {
    let name = "rights-forbidden";
    placements_verbs(cluster, &WITHOUT_CREATE, false).await;
    apply(client, &poolless_manifest(name)).await;
    kstatus::was(name, "pending/building Forbidden").await;
    let failed = wait::says(client, name, "error/error Forbidden").await;
    for words in [POROS_USER, "cannot create resource \"placements\"", "\"poros.dataos.io\""] {
        assert!(info(&failed).contains(words), "{words:?} is not in: {}", info(&failed));
    }
    let status = failed.status.as_ref().unwrap();
    assert_eq!(status.builder_state.summary, "0/2");
    assert_eq!(condition(&failed, "Stalled"), "True");
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    // One that stood has lost its child: that fault comes after the build.
    let stood = "rights-stood";
    placements_verbs(cluster, &ALL, true).await;
    wait::active(client, name).await;
    poolless(client, stood).await;
    placements_verbs(cluster, &WITHOUT_CREATE, false).await;
    delete(&placements(client), stood).await.unwrap();
    wait::says(client, stood, "error/building Forbidden").await;
    placements_verbs(cluster, &ALL, true).await;
    wait::proven(client, stood).await;
    wait::placed(client, stood, 1).await;
    clear(client, stood).await;
    clear(client, name).await;
}

async fn apply_failed_is_pending_until_the_deadline(client: &Client) {
    let name = "rights-refused";
    let policies = dynamic(client, GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", None);
    let bound =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    let (policy, policy_name) = refusing_placements(name);
    let binding = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy_name},
        "spec": {"policyName": policy_name, "validationActions": ["Deny"]},
    });
    create(&policies, &policy).await.unwrap();
    create(&bound, &binding).await.unwrap();
    refused(client, name).await;
    let mut manifest = poolless_manifest(name);
    manifest["spec"]["progressDeadlineSeconds"] = json!(4);
    apply(client, &manifest).await;
    let waiting = kstatus::was(name, "pending/building ApplyFailed").await;
    assert!(waiting.info.contains("not on a Friday"), "{}", waiting.info);
    assert!(waiting.holds.contains(&"Reconciling".to_owned()), "{waiting:?}");
    let failed = wait::says(client, name, "error/error ApplyFailed").await;
    assert!(info(&failed).contains("not on a Friday"), "{}", info(&failed));
    let resource = &failed.status.as_ref().unwrap().cloud_kernel_resources[0];
    assert!(resource.reason.as_ref().unwrap().contains("not on a Friday"), "{resource:?}");
    delete(&bound, policy_name).await.unwrap();
    wait::active(client, name).await;

    // After the build: what stood is taken away, and cannot be put back.
    create(&bound, &binding).await.unwrap();
    refused(client, name).await;
    delete(&placements(client), name).await.unwrap();
    let failed = wait::says(client, name, "error/building ApplyFailed").await;
    assert!(info(&failed).contains("not on a Friday"), "{}", info(&failed));
    delete(&bound, policy_name).await.unwrap();
    delete(&policies, policy_name).await.unwrap();
    wait::proven(client, name).await;
    clear(client, name).await;
}

/// Waits until the policy of [`refusing_placements`] acts.
async fn refused(client: &Client, name: &str) {
    let placement = json!({
        "apiVersion": "poros.dataos.io/v1beta1", "kind": "Placement", "metadata": {"name": name},
        "spec": {"revision": 1, "lastRevision": 1, "nodeSelector": {"a": "b"}, "tolerations": [], "closed": false},
    });
    until("the policy to refuse", LIMIT, || async {
        match dry_run(&placements(client), &placement).await {
            Ok(_) => Err("it was taken".to_owned()),
            Err(error) if error.to_string().contains("not on a Friday") => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

/// A policy of somebody else that refuses the Placement of this name.
fn refusing_placements(name: &str) -> (Value, &'static str) {
    let policy_name = "friday.example.com";
    let policy = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": policy_name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["poros.dataos.io"], "apiVersions": ["*"],
                "operations": ["CREATE"], "resources": ["placements"],
            }]},
            "validations": [{
                "expression": format!("object.metadata.name != '{name}'"),
                "message": "not on a Friday",
            }],
        },
    });
    (policy, policy_name)
}

async fn a_blocked_proof_is_no_fault_but_is_told(client: &Client) {
    let name = "rights-blocked";
    let quotas = dynamic(client, "v1", "ResourceQuota", "resourcequotas", Some(NAMESPACE));
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "nothing"},
        "spec": {"hard": {"pods": "0"}},
    });
    create(&quotas, &quota).await.unwrap();
    // A controller would do this.
    let status = json!({"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}});
    quotas.patch_status("nothing", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let there = dynamic(client, "v1", "Pod", "pods", Some(NAMESPACE));
    until("the quota to hold", LIMIT, || async {
        let mut plain = pod("plain", "nobody");
        plain["metadata"]["labels"] = json!({});
        match dry_run(&there, &plain).await {
            Ok(_) => Err("it was taken".to_owned()),
            Err(error) if error.to_string().contains("exceeded quota: nothing") => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    apply(client, &poolless_manifest(name)).await;
    let waiting = kstatus::was(name, "pending/building ProofBlocked").await;
    assert!(waiting.info.starts_with("the proof could not be made: "), "{}", waiting.info);
    assert!(waiting.info.contains("exceeded quota: nothing"), "{}", waiting.info);
    let unproven = wait::says(client, name, "active/built Active").await;
    assert_eq!(condition(&unproven, "PlacementVerified"), "Unknown");
    assert_eq!(super::reason(&unproven, "PlacementVerified"), "ProofBlocked");
    assert!(
        info(&unproven).starts_with("revision 1 is in force, but the proof could not be made: "),
        "{}",
        info(&unproven)
    );
    // It is in force all the same.
    wait::placed(client, name, 1).await;
    // One that was proven stays active, and its edits too come through.
    delete(&quotas, "nothing").await.unwrap();
    let proven = wait::compute(client, name, "proven", |c| condition(c, "PlacementVerified") == "True").await;
    assert_eq!(wait::words(&proven), "active/built Active");
    assert_eq!(info(&proven), "revision 1 is in force");
    assert_eq!(seq(&proven), seq(&unproven), "no transition");
    clear(client, name).await;
}

/// As clusters limit what may run: images of one registry alone, no user id of one's own choice, and `restricted`.
async fn a_proof_passes_where_registries_and_users_are_limited(cluster: &Cluster, client: &Client) {
    let (name, limit) = ("rights-limited", "limit.example.com");
    cluster.kubectl(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"]);
    let policy = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": limit},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
            ]},
            "validations": [{
                "expression": "object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))",
                "message": "not of our registry",
            }, {
                "expression": "!has(object.spec.securityContext.runAsUser) && !has(object.spec.securityContext.fsGroup)",
                "message": "not of our range",
            }],
        },
    });
    let binding = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": limit},
        "spec": {
            "policyName": limit, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}},
        },
    });
    let policies = dynamic(client, GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", None);
    let bound =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    create(&policies, &policy).await.unwrap();
    create(&bound, &binding).await.unwrap();
    let there = dynamic(client, "v1", "Pod", "pods", Some(NAMESPACE));
    until("the limit to hold", LIMIT, || async {
        match dry_run(&there, &poros::decide::prove::pod("nobody", "elsewhere/poros:1")).await {
            Err(error) if error.to_string().contains("not of our registry") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    apply(client, &poolless_manifest(name)).await;
    wait::proven(client, name).await;
    clear(client, name).await;
    delete(&bound, limit).await.unwrap();
    delete(&policies, limit).await.unwrap();
}

async fn what_is_within_a_grace_or_a_restart_is_no_news() {
    let (cluster, client) = own("it-graces").await;
    let flags = ["--manage-policies", "--pool-grace=8", "--counter-interval=100"];
    let poros = Poros::start(&cluster, &flags);
    a_flap_is_no_transition(&client).await;
    users_are_told_at_once(&client).await;
    a_name_taken_while_poros_was_down_is_told_after_the_build(&cluster, &client, poros, &flags).await;
}

async fn a_flap_is_no_transition(client: &Client) {
    let name = "graces-flap";
    node(client, "graces-flap-1", name, true).await;
    apply(client, &compute(name)).await;
    let active = wait::active(client, name).await;
    for _ in 0..3 {
        node(client, "graces-flap-1", name, false).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        node(client, "graces-flap-1", name, true).await;
    }
    // What Poros says next, it says having seen all that.
    edit(client, name, json!({"spec": {"description": "after the flap"}})).await;
    let after = wait::active(client, name).await;
    assert_eq!(seq(&after), seq(&active), "{:?}", after.status);
    // A fault that lasts counts after the grace, not before.
    let start = Instant::now();
    node(client, "graces-flap-1", name, false).await;
    wait::says(client, name, "error/building NoReadyNodes").await;
    assert!(start.elapsed() > Duration::from_secs(7), "the grace was cut short: {:?}", start.elapsed());
    // And is over after it, not before.
    let start = Instant::now();
    node(client, "graces-flap-1", name, true).await;
    wait::active(client, name).await;
    assert!(start.elapsed() > Duration::from_secs(7), "{:?}", start.elapsed());
    clear(client, name).await;
}

/// Counters are written at most every 100 s here, but from none to one user and back is news.
async fn users_are_told_at_once(client: &Client) {
    let name = "graces-users";
    poolless(client, name).await;
    let soon = async |expect: u32| {
        until(&format!("{expect} users to be told at once"), LIMIT, || async {
            let compute = computes(client).get(name).await.unwrap();
            let users = compute.status.and_then(|status| status.users).unwrap_or_default();
            if users.pods == expect { Ok(()) } else { Err(format!("{users:?}")) }
        })
        .await;
    };
    create(&pods(client), &pod("graces-users-1", name)).await.unwrap();
    soon(1).await;
    create(&pods(client), &pod("graces-users-2", name)).await.unwrap();
    delete(&pods(client), "graces-users-2").await.unwrap();
    delete(&pods(client), "graces-users-1").await.unwrap();
    soon(0).await;
    clear(client, name).await;
}

async fn a_name_taken_while_poros_was_down_is_told_after_the_build(
    cluster: &Cluster,
    client: &Client,
    poros: Poros,
    flags: &[&str],
) {
    let name = "graces-taken";
    poolless(client, name).await;
    poros.kill();
    let (api, binding) = (bindings(client), format!("poros-{name}"));
    delete(&api, &binding).await.unwrap();
    let foreign = create(&api, &foreign_binding(&binding)).await.unwrap();
    let _poros = Poros::start(cluster, flags);
    let failed = wait::says(client, name, "error/building NameTaken").await;
    assert!(info(&failed).contains(&binding), "{}", info(&failed));
    assert_eq!(condition(&failed, "Reconciling"), "True");
    assert_eq!(api.get(&binding).await.unwrap(), foreign, "untouched");
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    delete(&api, &binding).await.unwrap();
    wait::active(client, name).await;
    assert_eq!(revision(client, name).await, (1, 1));
    wait::placed(client, name, 1).await;
    clear(client, name).await;
}

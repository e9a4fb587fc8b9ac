//! What Poros's own account may not do, and that it can do all that it must; with no right to write policies.

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{LIMIT, refused, taken};
use crate::harness::cluster::{Cluster, NAMESPACE, POROS_USER};
use crate::harness::objects::{
    bindings, create, delete, dry_run, dynamic, patch, placements, pod, pods, raw_computes,
};
use crate::harness::people::as_user;
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::rows::{clear, edit, own, poolless};
use crate::trials;

trials![the_account_of_poros_is_kept_to_its_business];

const GROUP: &str = "admissionregistration.k8s.io/v1";

async fn the_account_of_poros_is_kept_to_its_business() {
    let (cluster, client) = own("it-account").await;
    cluster.kubectl(&["delete", "clusterrolebinding", "poros-manage-policies"]);
    cluster.install_policies();
    let poros = Poros::start(&cluster, &SHORT);
    let account = as_user(&cluster, POROS_USER).await;
    pods_are_probes_and_dry_runs(&account).await;
    a_life_of_a_compute_needs_no_more(&client).await;
    of_a_compute_it_changes_its_own_finalizer_alone(&client, &account).await;
    of_a_webhook_it_changes_the_authority_alone(&cluster, &client, &account).await;
    policies_are_not_asked_about_bindings(&client, &account).await;
    let log = poros.log_text();
    // A proof that comes before its binding is acted on is refused as any pod would be, and by that guard alone.
    let early = |line: &&str| line.contains("result=NotYet(") && line.contains("'placed.poros.dataos.io'");
    let denied: Vec<&str> =
        log.lines().filter(|line| line.contains("denied request")).filter(|line| !early(line)).collect();
    assert!(denied.is_empty(), "{}", denied.join("\n"));
}

async fn pods_are_probes_and_dry_runs(account: &Client) {
    let there = dynamic(account, "v1", "Pod", "pods", Some(NAMESPACE));
    let words = "Poros's account may create pods only as a dry run, to prove a placement";
    let plain = |name: &str| {
        let mut plain = pod(name, "nobody");
        plain["metadata"]["labels"] = json!({});
        plain
    };
    refused(words, || async { dry_run(&there, &plain("other")).await }).await;
    refused(words, || async { create(&there, &plain("poros-probe-1")).await }).await;
    dry_run(&there, &plain("poros-probe-1")).await.unwrap();
}

/// Built, edited, repaired, held and deleted.
async fn a_life_of_a_compute_needs_no_more(client: &Client) {
    let name = "account-life";
    poolless(client, name).await;
    edit(client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "other"}}}})).await;
    wait::active(client, name).await;
    wait::placed(client, name, 2).await;
    delete(&bindings(client), &format!("poros-{name}")).await.unwrap();
    delete(&placements(client), name).await.unwrap();
    until("both to be built again", LIMIT, || async {
        let there = placements(client).get(name).await.is_ok()
            && bindings(client).get(&format!("poros-{name}")).await.is_ok();
        if there { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    wait::proven(client, name).await;
    wait::placed(client, name, 2).await;
    patch(&raw_computes(client), name, &json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    wait::compute(client, name, "held by Poros too", |compute| {
        compute.metadata.finalizers.as_ref().is_some_and(|held| held.len() == 2)
    })
    .await;
    create(&pods(client), &pod("account-life-1", name)).await.unwrap();
    wait::used(client, name, 1).await;
    delete(&pods(client), "account-life-1").await.unwrap();
    wait::used(client, name, 0).await;
    patch(&raw_computes(client), name, &json!({"metadata": {"finalizers": ["poros.dataos.io/cleanup"]}}))
        .await;
    clear(client, name).await;
}

async fn of_a_compute_it_changes_its_own_finalizer_alone(client: &Client, account: &Client) {
    let name = "account-compute";
    poolless(client, name).await;
    let words = "Poros's account may change nothing of a Compute but its status and Poros's own finalizer";
    let computes = raw_computes(account);
    for part in [
        json!({"spec": {"description": "mine"}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}}),
        json!({"metadata": {"finalizers": ["poros.dataos.io/cleanup", "example.com/hold"]}}),
    ] {
        refused(words, || async {
            computes.patch(name, &PatchParams::default(), &Patch::Merge(&part)).await
        })
        .await;
    }
    // The finalizer of somebody else is not Poros's to take off.
    let held = json!({"metadata": {"finalizers": ["poros.dataos.io/cleanup", "example.com/hold"]}});
    patch(&raw_computes(client), name, &held).await;
    let off = json!({"metadata": {"finalizers": ["poros.dataos.io/cleanup"]}});
    refused(words, || async { computes.patch(name, &PatchParams::default(), &Patch::Merge(&off)).await })
        .await;
    patch(&raw_computes(client), name, &off).await;
    clear(client, name).await;
}

async fn of_a_webhook_it_changes_the_authority_alone(cluster: &Cluster, client: &Client, account: &Client) {
    let kind = |client| {
        dynamic(client, GROUP, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", None)
    };
    cluster.kubectl(&[
        "create",
        "clusterrole",
        "account-webhooks",
        "--verb=get,patch",
        "--resource=mutatingwebhookconfigurations",
    ]);
    cluster.kubectl(&[
        "create",
        "clusterrolebinding",
        "account-webhooks",
        "--clusterrole=account-webhooks",
        "--serviceaccount=poros-system:poros",
    ]);
    let configuration = json!({
        "apiVersion": GROUP, "kind": "MutatingWebhookConfiguration", "metadata": {"name": "account.example.com"},
        "webhooks": [{
            "name": "account.example.com",
            "clientConfig": {"url": "https://127.0.0.1:1/never"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    let stored = create(&kind(client), &configuration).await.unwrap();
    let webhooks = kind(account);
    let merge = async |part: Value| {
        webhooks.patch("account.example.com", &PatchParams::default(), &Patch::Merge(&part)).await
    };
    let changed = |change: fn(&mut Value)| {
        let mut webhooks = stored.data["webhooks"].clone();
        change(&mut webhooks);
        json!({"webhooks": webhooks})
    };
    let words = "Poros's account may change nothing of a webhook but its caBundle";
    for part in [
        changed(|webhooks| webhooks[0]["clientConfig"]["url"] = json!("https://127.0.0.1:2/never")),
        changed(|webhooks| webhooks[0]["rules"][0]["resources"] = json!(["pods"])),
        changed(|webhooks| webhooks[0]["failurePolicy"] = json!("Ignore")),
        changed(|webhooks| webhooks[0]["namespaceSelector"] = json!({"matchLabels": {"a": "b"}})),
        changed(|webhooks| *webhooks = json!([])),
    ] {
        refused(words, || merge(part.clone())).await;
    }
    let authority = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let mut webhooks_now = stored.data["webhooks"].clone();
    webhooks_now[0]["clientConfig"]["caBundle"] = json!(k8s_openapi::ByteString(authority.into_bytes()));
    taken("the authority to be written", || merge(json!({"webhooks": webhooks_now}))).await;
    delete(&kind(client), "account.example.com").await.unwrap();
}

/// What the API server leaves out: policies are never asked about policies and their bindings, so none can hold the
/// account to bindings of its own policy. RBAC and the lack of any right to write policies limit it instead.
async fn policies_are_not_asked_about_bindings(client: &Client, account: &Client) {
    let policy = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "nothing.example.com"},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["admissionregistration.k8s.io"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]},
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
            ]},
            "validations": [{"expression": "false", "message": "nothing goes"}],
        },
    });
    let bound = json!({
        "apiVersion": GROUP, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "nothing.example.com"},
        "spec": {"policyName": "nothing.example.com", "validationActions": ["Deny"]},
    });
    let policies = dynamic(client, GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", None);
    let bounds =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    create(&policies, &policy).await.unwrap();
    create(&bounds, &bound).await.unwrap();
    let maps = dynamic(client, "v1", "ConfigMap", "configmaps", Some("default"));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "account"}});
    refused("nothing goes", || async { dry_run(&maps, &map).await }).await;
    let own = json!({
        "apiVersion": GROUP, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "account"},
        "spec": {"policyName": "somebody-elses.example.com"},
    });
    let theirs: Api<DynamicObject> = bindings(account);
    create(&theirs, &own).await.expect("the policy that says no to everything is not asked");
    delete(&theirs, "account").await.unwrap();
    // But it can write no policy to bind.
    let refusal = create(
        &dynamic(account, GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", None),
        &policy,
    )
    .await;
    assert!(refusal.unwrap_err().to_string().contains("cannot create resource"));
    delete(&bounds, "nothing.example.com").await.unwrap();
    delete(&policies, "nothing.example.com").await.unwrap();
}

//! What is left to whoever has the token of Poros: each thing is tried, so that SECURITY.md tells neither less nor more.

use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use super::forbidden::call;
use super::release::Installed;
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{bindings, create, delete, dry_run, dynamic, patch, pod, pods};
use crate::harness::until;
use crate::harness::wait::{self, LIMIT};

const GROUP: &str = "admissionregistration.k8s.io/v1";

/// Without the guard, the right to create Secrets would be a right to be anybody of the namespace: a Secret of that type is
/// filled with a token, and what is called as Poros's own it may read.
pub(super) async fn a_token_could_be_anybodys_but_for_the_guard(installed: &Installed, stolen: &Client) {
    let client = &installed.client;
    let api =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    let level = |actions: Value| {
        let part = json!({"spec": {"validationActions": actions}});
        let api = &api;
        async move { patch(api, "account.poros.dataos.io", &part).await }
    };
    let (secrets, one) = (
        format!("POST /api/v1/namespaces/{NAMESPACE}/secrets"),
        format!("GET /api/v1/namespaces/{NAMESPACE}/secrets/poros-webhook"),
    );
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "poros-webhook", "annotations": {"kubernetes.io/service-account.name": "poros-probe"}},
    });
    level(json!(["Audit"])).await;
    succeeds(stolen, &secrets, &secret).await;
    until("a token of another account", LIMIT, || async {
        let (_, read) = call(stolen, &one, &Value::Null).await;
        if read.contains("\"token\":") { Ok(()) } else { Err(read) }
    })
    .await;
    level(json!(["Deny"])).await;
    delete(&dynamic(client, "v1", "Secret", "secrets", Some(NAMESPACE)), "poros-webhook").await.unwrap();
    until("the guard to act again", LIMIT, || async {
        let (code, said) = call(stolen, &format!("{secrets}?dryRun=All"), &secret).await;
        if code == 403 { Ok(()) } else { Err(said) }
    })
    .await;
}

/// Tries until the API server does it: what was changed a moment ago it acts on within a second or so.
async fn succeeds(client: &Client, what: &str, body: &Value) -> String {
    until(what, LIMIT, || async {
        match call(client, what, body).await {
            (200, text) => Ok(text),
            (code, said) => Err(format!("{code}: {said}")),
        }
    })
    .await
}

/// All of it is about Computes, about pods that name one, about what Poros must read, and about bindings of mutating
/// policies that somebody else wrote.
pub(super) async fn what_is_left_to_who_has_the_token(installed: &Installed, stolen: &Client) {
    let client = &installed.client;
    it_reads_what_pods_are_told(client, stolen).await;
    it_says_what_it_likes_of_computes(stolen).await;
    it_has_the_lease_and_the_one_secret(stolen).await;
    it_places_and_refuses_pods_that_name_a_compute_and_no_others(client, stolen).await;
    it_binds_what_others_wrote_if_it_may_read_the_parameters(client, stolen).await;
}

async fn it_reads_what_pods_are_told(client: &Client, stolen: &Client) {
    let mut told = pod("stolen-told", "none");
    told["metadata"]["labels"] = json!({});
    told["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "value": "in-plain-sight"}]);
    wait::account(client, "default").await;
    create(&pods(client), &told).await.unwrap();
    for what in ["GET /api/v1/pods", "GET /api/v1/namespaces/default/pods"] {
        assert!(succeeds(stolen, what, &Value::Null).await.contains("in-plain-sight"));
    }
    delete(&pods(client), "stolen-told").await.unwrap();
}

async fn it_says_what_it_likes_of_computes(stolen: &Client) {
    let one = "/apis/poros.dataos.io/v1beta1/computes/victim";
    let mut compute: Value =
        serde_json::from_str(&succeeds(stolen, &format!("GET {one}"), &Value::Null).await).unwrap();
    compute["status"] = json!({
        "aggregateStatus": "active", "builderState": {"stage": "built", "summary": "2/2", "info": "forged"},
        "observedGeneration": 1, "transitionSeq": 1, "users": {"pods": 7},
    });
    let stored = succeeds(stolen, &format!("PUT {one}/status"), &compute).await;
    assert!(stored.contains("forged"), "{stored}");
    // Its finalizer is its own, so a deletion would leave behind what was built.
    succeeds(stolen, &format!("PATCH {one}"), &json!({"metadata": {"finalizers": null}})).await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "forged", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Forged", "action": "Forge",
        "reportingController": "poros.dataos.io/poros", "reportingInstance": "forged",
        "regarding": {"apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "name": "victim"},
    });
    succeeds(stolen, "POST /apis/events.k8s.io/v1/namespaces/default/events", &event).await;
}

async fn it_has_the_lease_and_the_one_secret(stolen: &Client) {
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "poros"},
        "spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 3600},
    });
    succeeds(stolen, &format!("POST {leases}"), &lease).await;
    let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "poros-webhook"}});
    succeeds(stolen, &format!("POST {secrets}"), &secret).await;
    succeeds(stolen, &format!("GET {secrets}/poros-webhook"), &Value::Null).await;
}

const PLACEMENTS: &str = "POST /apis/poros.dataos.io/v1beta1/placements";
const BINDINGS: &str = "POST /apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings";

fn placement(name: &str) -> Value {
    json!({
        "apiVersion": "poros.dataos.io/v1beta1", "kind": "Placement", "metadata": {"name": name},
        "spec": {"revision": 1, "lastRevision": 1, "nodeSelector": {"mine": "all"}, "tolerations": [{"operator": "Exists"}], "closed": false},
    })
}

/// A binding that speaks of everything that its policy speaks of.
fn binding(name: &str, policy: &str, parameter: Option<&str>) -> Value {
    let mut binding = json!({
        "apiVersion": GROUP, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": policy, "matchResources": {"namespaceSelector": {}, "objectSelector": {}}},
    });
    if let Some(parameter) = parameter {
        binding["spec"]["paramRef"] = json!({"name": parameter, "parameterNotFoundAction": "Deny"});
    }
    binding
}

async fn it_places_and_refuses_pods_that_name_a_compute_and_no_others(client: &Client, stolen: &Client) {
    succeeds(stolen, PLACEMENTS, &placement("forged")).await;
    succeeds(stolen, BINDINGS, &binding("forged", "placement.poros.dataos.io", Some("forged"))).await;
    let placed = until("a pod to be placed by what was forged", LIMIT, || async {
        dry_run(&pods(client), &pod("stolen-1", "forged")).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(placed.data["spec"]["nodeSelector"], json!({"mine": "all"}));
    let refused = dry_run(&pods(client), &pod("stolen-1", "victim")).await.unwrap_err().to_string();
    assert!(refused.contains("Compute victim is not in force"), "by another's Placement: {refused}");
    others_are_left_alone(client).await;
    // A parameter that is not there, and all pods that name a Compute are refused.
    succeeds(stolen, BINDINGS, &binding("absent", "placement.poros.dataos.io", Some("never-there"))).await;
    until("all pods that name a Compute to be refused", LIMIT, || async {
        match dry_run(&pods(client), &pod("stolen-1", "forged")).await {
            Err(error) if error.to_string().contains("no params found") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    others_are_left_alone(client).await;
    for name in ["forged", "absent"] {
        delete(&bindings(client), name).await.unwrap();
    }
}

/// Pods that name no Compute, those of the cluster among them.
async fn others_are_left_alone(client: &Client) {
    for namespace in ["default", "kube-system"] {
        wait::account(client, namespace).await;
        let mut plain = pod("stolen-plain", "none");
        plain["metadata"]["labels"] = json!({});
        let there = dynamic(client, "v1", "Pod", "pods", Some(namespace));
        let seen = dry_run(&there, &plain).await.unwrap();
        assert!(seen.data["spec"].get("nodeSelector").is_none(), "{namespace}");
    }
}

async fn it_binds_what_others_wrote_if_it_may_read_the_parameters(client: &Client, stolen: &Client) {
    let policies: Api<DynamicObject> =
        dynamic(client, GROUP, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", None);
    let policy = |name: &str| {
        let expression = r#"[JSONPatch{op: "add", path: "/data", value: {"stolen": "yes"}}]"#;
        json!({
            "apiVersion": GROUP, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
                ]},
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
            },
        })
    };
    let mut of_maps = policy("maps.example.com");
    of_maps["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    create(&policies, &policy("plain.example.com")).await.unwrap();
    create(&policies, &of_maps).await.unwrap();
    // It may not read ConfigMaps, so it may not have a policy read them either.
    let mut bound = binding("maps", "maps.example.com", Some("kube-root-ca.crt"));
    bound["spec"]["paramRef"]["namespace"] = json!("default");
    let (code, said) = call(stolen, BINDINGS, &bound).await;
    let words = "permission on the object referenced by paramRef";
    assert!(code == 422 && said.contains(words), "{code}: {said}");

    succeeds(stolen, BINDINGS, &binding("plain", "plain.example.com", None)).await;
    let maps = dynamic(client, "v1", "ConfigMap", "configmaps", Some("default"));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stolen"}});
    let changed = async |expect: bool| {
        until("the policy of somebody else", LIMIT, || async {
            let seen = dry_run(&maps, &map).await.map_err(|error| error.to_string())?;
            if seen.data.get("data").is_some() == expect { Ok(()) } else { Err(format!("{:?}", seen.data)) }
        })
        .await;
    };
    changed(true).await;
    delete(&bindings(client), "plain").await.unwrap();
    // And it undoes bindings of others.
    create(&bindings(client), &binding("theirs", "plain.example.com", None)).await.unwrap();
    changed(true).await;
    let theirs = format!("{}/theirs", BINDINGS.replace("POST", "DELETE"));
    succeeds(stolen, &theirs, &Value::Null).await;
    changed(false).await;
    // Those of the chart are no exception.
    for name in ["marks", "computes"] {
        let own = format!("{}/{name}.poros.dataos.io?dryRun=All", BINDINGS.replace("POST", "DELETE"));
        succeeds(stolen, &own, &Value::Null).await;
    }
}

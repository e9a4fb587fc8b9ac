//! The same pods and Computes, through whatever places pods now: what would be stored, or the refusal, case by case.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::config::KubeConfigOptions;
use serde_json::{Value, json};

use super::{Setting, comparable};
use crate::harness::objects::{compute, dry_run, dynamic, patch, pod, pods, raw_computes, with};
use crate::harness::{until, wait};
use crate::rows::apply;

const NAME: &str = "same";
const MARK: &str = "poros.dataos.io/placed-by";

/// Drives all cases. The Compute that they name stands from the first time on.
pub async fn drive(setting: &Setting<'_>) -> Vec<(String, Value)> {
    let client = &setting.client;
    if raw_computes(client).get_opt(NAME).await.unwrap().is_none() {
        let mut manifest = with(compute(NAME), "/spec/nodePool/minReadyNodes", json!(0));
        manifest["spec"]["nodePool"]["nodeSelector"] =
            json!({"pool": NAME, "dataos.io/tier": "x", "zone": "z1"});
        manifest["spec"]["nodePool"]["tolerations"] = json!([
            {"key": "dedicated", "operator": "Equal", "value": NAME, "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists"},
            {"key": "empty", "operator": "Equal", "value": "", "effect": "NoExecute"},
        ]);
        apply(client, &manifest).await;
    }
    setting.says_mode(NAME).await;
    let mut results = Vec::new();
    for (case, pod) in pod_cases() {
        results.push((case.to_owned(), comparable(dry_run(&pods(client), &pod).await)));
    }
    assert!(
        results[0].1["spec"]["nodeSelector"]["pool"] == NAME,
        "the first case is placed: {}",
        results[0].1
    );
    results.extend(compute_cases(setting).await);
    results
}

/// What the webhook does must be what the policies do, in every case.
pub fn compare(by_policy: &[(String, Value)], by_webhook: &[(String, Value)]) {
    assert_eq!(by_policy.len(), by_webhook.len());
    for ((case, policy), (_, webhook)) in by_policy.iter().zip(by_webhook) {
        assert_eq!(policy, webhook, "{case}: the webhook does otherwise than the policies");
    }
}

fn pod_cases() -> Vec<(&'static str, Value)> {
    let plain = || pod("same-1", NAME);
    let spec = |parts: Value| {
        let mut pod = plain();
        for (key, value) in parts.as_object().unwrap() {
            pod["spec"][key] = value.clone();
        }
        pod
    };
    let annotated = |compute: &str, annotations: Value| {
        let mut pod = pod("same-1", compute);
        pod["metadata"]["annotations"] = annotations;
        pod
    };
    let owned = |kind: &str| {
        let mut owned = plain();
        owned["metadata"]["ownerReferences"] = json!([
            {"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "00000000-0000-4000-8000-000000000001"},
        ]);
        owned
    };
    let spot = json!({"key": "spot", "operator": "Exists"});
    let empty = json!({"key": "empty", "operator": "Equal", "effect": "NoExecute"});
    vec![
        ("plain", plain()),
        ("no spec of its own but empty maps", spec(json!({"nodeSelector": {}, "tolerations": []}))),
        ("keys of its own", spec(json!({"nodeSelector": {"disk": "ssd", "pool": NAME}}))),
        ("one key that differs", spec(json!({"nodeSelector": {"pool": "elsewhere"}}))),
        (
            "two keys that differ",
            spec(json!({"nodeSelector": {"zone": "z2", "dataos.io/tier": "y", "a": "b"}})),
        ),
        ("an empty value that differs", spec(json!({"nodeSelector": {"zone": ""}}))),
        (
            "tolerations of its own",
            spec(json!({"tolerations": [{"key": "own", "operator": "Exists"}, spot]})),
        ),
        ("a toleration without its operator", spec(json!({"tolerations": [{"key": "spot"}]}))),
        (
            "a toleration for seconds",
            spec(
                json!({"tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}),
            ),
        ),
        ("a toleration with an empty value", spec(json!({"tolerations": [empty]}))),
        (
            "everything it would be given",
            spec(json!({
                "nodeSelector": {"pool": NAME, "dataos.io/tier": "x", "zone": "z1"},
                "tolerations": [{"key": "dedicated", "operator": "Equal", "value": NAME, "effect": "NoSchedule"}, spot, empty],
            })),
        ),
        ("annotations of its own", annotated(NAME, json!({"example.com/a~b": "c"}))),
        (
            "forged marks",
            annotated(
                NAME,
                json!({
                    MARK: "same/99", "poros.dataos.io/closed": "true", "poros.dataos.io/conflict": "a", "x": "y",
                }),
            ),
        ),
        ("its own mark, copied", annotated(NAME, json!({MARK: "same/1"}))),
        ("a Compute that is not there", pod("same-1", "nobody")),
        ("one that is not there, with its mark forged", annotated("nobody", json!({MARK: "nobody/1"}))),
        ("a name that begins with another's", annotated("sam", json!({MARK: "same/1"}))),
        ("an empty name", pod("same-1", "")),
        ("of a DaemonSet", owned("DaemonSet")),
        ("of a ReplicaSet", owned("ReplicaSet")),
        ("without the label", with(plain(), "/metadata/labels", json!({"app": "x"}))),
        ("without the label, with a mark", {
            let mut pod = annotated(NAME, json!({MARK: "mine/1"}));
            pod["metadata"]["labels"] = json!({});
            pod
        }),
    ]
}

/// Computes as written by somebody who may not assign owners, and by somebody who may.
async fn compute_cases(setting: &Setting<'_>) -> Vec<(String, Value)> {
    let admin = &setting.client;
    rights(admin).await;
    let anna = raw_computes(&as_user(setting, "anna").await);
    let flux = raw_computes(&as_user(setting, "flux").await);
    for (user, api) in [("anna", &anna), ("flux", &flux)] {
        until(&format!("the rights of {user}"), wait::LIMIT, || async {
            let made = dry_run(api, &compute("owned")).await.map_err(|error| error.to_string())?;
            if made.data["spec"]["owner"] == user { Ok(()) } else { Err(made.data["spec"].to_string()) }
        })
        .await;
    }
    let named = |owner: &str| with(compute("owned"), "/spec/owner", json!(owner));
    let held = |finalizers: Value| {
        let mut held = compute("owned");
        held["metadata"]["finalizers"] = finalizers;
        held
    };
    let mut results = Vec::new();
    for (case, api, manifest) in [
        ("created by anna", &anna, compute("owned")),
        ("created by anna, for bob", &anna, named("bob")),
        ("created by flux", &flux, compute("owned")),
        ("created by flux, for bob", &flux, named("bob")),
        ("created with a finalizer", &anna, held(json!(["example.com/x"]))),
        ("created with ours", &anna, held(json!(["poros.dataos.io/cleanup"]))),
    ] {
        results.push((case.to_owned(), comparable(dry_run(api, &manifest).await)));
    }
    assert_eq!(results[1].1["spec"]["owner"], "anna");
    assert_eq!(results[3].1["spec"]["owner"], "bob");
    let kept = "owned-kept";
    apply(
        admin,
        &with(with(compute(kept), "/spec/nodePool/minReadyNodes", json!(0)), "/spec/owner", json!("eve")),
    )
    .await;
    for (case, api, change) in [
        ("edited by anna", &anna, json!({"spec": {"description": "x"}})),
        ("edited by anna, owner and all", &anna, json!({"spec": {"description": "x", "owner": "anna"}})),
        ("edited by anna, the owner taken away", &anna, json!({"spec": {"description": "x", "owner": null}})),
        ("edited by flux, for bob", &flux, json!({"spec": {"owner": "bob"}})),
        ("edited by flux, the owner taken away", &flux, json!({"spec": {"owner": null}})),
        ("annotated by anna", &anna, json!({"metadata": {"annotations": {"a": "b"}}})),
    ] {
        let parameters = kube::api::PatchParams { dry_run: true, ..Default::default() };
        let edited = api.patch(kept, &parameters, &kube::api::Patch::Merge(&change)).await;
        results.push((case.to_owned(), comparable(edited)));
    }
    patch(&raw_computes(admin), kept, &json!({"spec": {"description": "before it goes"}})).await;
    crate::rows::clear(admin, kept).await;
    results
}

async fn rights(client: &Client) {
    let group = "rbac.authorization.k8s.io/v1";
    let roles = dynamic(client, group, "ClusterRole", "clusterroles", None);
    let bound = dynamic(client, group, "ClusterRoleBinding", "clusterrolebindings", None);
    for (user, verbs) in [
        ("anna", json!(["get", "create", "patch"])),
        ("flux", json!(["get", "create", "patch", "assign-owner"])),
    ] {
        let role = json!({
            "apiVersion": group, "kind": "ClusterRole", "metadata": {"name": user},
            "rules": [{"apiGroups": ["poros.dataos.io"], "resources": ["computes"], "verbs": verbs}],
        });
        let binding = json!({
            "apiVersion": group, "kind": "ClusterRoleBinding", "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
        });
        put(&roles, user, &role).await;
        put(&bound, user, &binding).await;
    }
}

async fn put(api: &Api<DynamicObject>, name: &str, object: &Value) {
    let parameters = kube::api::PatchParams::apply("test").force();
    api.patch(name, &parameters, &kube::api::Patch::Apply(object)).await.unwrap();
}

/// The admin, who acts as somebody else.
async fn as_user(setting: &Setting<'_>, user: &str) -> Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(setting.cluster.rig.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).unwrap()
}

//! The objects that tests make: Computes, nodes, pods; each in its own names.

use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use poros::api::compute::Compute;
use serde_json::{Value, json};

/// A Compute whose pool is the nodes labelled `pool: <name>`, with a toleration of the taint `dedicated=<name>`.
pub fn compute(name: &str) -> Value {
    json!({
        "apiVersion": "poros.dataos.io/v1beta1",
        "kind": "Compute",
        "metadata": {"name": name},
        "spec": {
            "purpose": "query",
            "nodePool": {
                "nodeSelector": {"pool": name},
                "tolerations": [{"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"}],
            },
        },
    })
}

/// Computes, typed.
pub fn computes(client: &Client) -> Api<Compute> {
    Api::all(client.clone())
}

/// An API of any kind: `dynamic(client, "v1", "Pod", "pods", Some("default"))`.
pub fn dynamic(
    client: &Client,
    api_version: &str,
    kind: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Undecoded Computes.
pub fn raw_computes(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "poros.dataos.io/v1beta1", "Compute", "computes", None)
}

/// Placements.
pub fn placements(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "poros.dataos.io/v1beta1", "Placement", "placements", None)
}

/// Bindings.
pub fn bindings(client: &Client) -> Api<DynamicObject> {
    dynamic(
        client,
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        None,
    )
}

/// Nodes.
pub fn nodes(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "v1", "Node", "nodes", None)
}

/// Pods of the namespace `default`.
pub fn pods(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "v1", "Pod", "pods", Some("default"))
}

fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

/// Creates an object.
pub async fn create(api: &Api<DynamicObject>, value: &Value) -> Result<DynamicObject, kube::Error> {
    api.create(&PostParams::default(), &object(value)).await
}

/// Merges a patch into an object.
pub async fn patch(api: &Api<DynamicObject>, name: &str, patch: &Value) -> DynamicObject {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap_or_else(|error| panic!("patch {name}: {error}"))
}

/// Deletes an object.
pub async fn delete(api: &Api<DynamicObject>, name: &str) -> Result<(), kube::Error> {
    api.delete(name, &DeleteParams::default()).await.map(|_| ())
}

/// Makes a node of the pool `<pool>`, or changes whether it is ready.
pub async fn node(client: &Client, name: &str, pool: &str, ready: bool) {
    let api = nodes(client);
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"pool": pool}},
        "spec": {"taints": [{"key": "dedicated", "value": pool, "effect": "NoSchedule"}]},
    });
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&node)).await.unwrap();
    // Admission taints a new node as not ready, which only a controller manager would take back.
    patch(&api, name, &json!({"spec": node["spec"]})).await;
    let status = json!({
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "reason": "Test", "message": ""}],
        },
    });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

/// A pod that names a Compute.
pub fn pod(name: &str, compute: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"poros.dataos.io/compute": compute}},
        "spec": {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}]},
    })
}

/// An object as admission would let it be stored; nothing is.
pub async fn dry_run(api: &Api<DynamicObject>, value: &Value) -> Result<DynamicObject, kube::Error> {
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object(value)).await
}

/// What the API server said when it refused: the HTTP status, the message and the fields that it names.
pub fn refusal<T>(result: Result<T, kube::Error>) -> (u16, String, Vec<String>) {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(kube::Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let fields = causes.map(|cause| cause.field.clone()).collect();
            (status.code, status.message.clone(), fields)
        }
        Err(error) => panic!("no answer of the API server: {error}"),
    }
}

/// An object with one part set (or, with null, removed): `with(compute("a"), "/spec/layer", json!("system"))`.
pub fn with(mut value: Value, pointer: &str, part: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} has no parent"));
    if part.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else {
        parent[key] = part;
    }
    value
}

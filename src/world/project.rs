//! From objects as the API server sends them to the projections that Poros keeps.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicyBindingSpec, MutatingAdmissionPolicySpec, MutatingWebhook,
    ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{Object, PartialObjectMeta};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::compute::TaintEffect;
use crate::api::names::{
    ANNOTATION_DELETE_IN_USE, ANNOTATION_PAUSED, ANNOTATION_POLICY_VERSION, LABEL_COMPUTE, MANAGER_BUILDER,
    MARK_PLACED_BY,
};
use crate::decide::certificate::StoredKeyring;
use crate::decide::difference::Writer;
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::decide::policies::{SharedKind, Stored};
use crate::decide::pool::{Node, Taint};
use crate::decide::requests::{Container, Needs, Resources, Said, requests};
use crate::world::servers::Slice;
use crate::world::usage::Scheduled;
use crate::world::users::Pod;

/// A node on the wire, without what Poros never reads: images, volumes and addresses are skipped while parsing.
pub type WireNode = Object<WireNodeSpec, WireNodeStatus>;

/// `spec` of a [`WireNode`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireNodeSpec {
    unschedulable: bool,
    taints: Vec<WireTaint>,
}

#[derive(Clone, Debug, Deserialize)]
struct WireTaint {
    key: String,
    #[serde(default)]
    value: String,
    effect: String,
}

/// `status` of a [`WireNode`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireNodeStatus {
    conditions: Vec<WireCondition>,
    allocatable: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
struct WireCondition {
    r#type: String,
    status: String,
}

/// A Job on the wire, without what Poros never reads.
pub type WireJob = Object<IgnoredAny, WireJobStatus>;

/// `status` of a [`WireJob`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireJobStatus {
    conditions: Vec<WireCondition>,
}

/// A pod on the wire, without what Poros never reads.
pub type WirePod = Object<WirePodSpec, IgnoredAny>;

/// `spec` of a [`WirePod`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WirePodSpec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    resources: Said,
    overhead: Resources,
}

/// The projection of a Compute. What cannot be read of it is said in `spec`, so that it degrades itself alone.
pub fn compute(object: DynamicObject) -> Compute {
    let DynamicObject { metadata, mut data, .. } = object;
    // Any value but "false" switches it on, as the policies read it.
    let annotated = |key: &str| {
        let value = metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        value.is_some_and(|value| value != "false")
    };
    let part = |data: &mut serde_json::Value, key: &str| {
        data.get_mut(key).map(serde_json::Value::take).unwrap_or_default()
    };
    let spec = serde_json::from_value(part(&mut data, "spec")).map_err(|why| format!("spec: {why}"));
    // A status that cannot be read is as good as none: it is derived from the cluster again.
    let status = serde_json::from_value(part(&mut data, "status")).unwrap_or_else(|_| unseen());
    Compute {
        paused: annotated(ANNOTATION_PAUSED),
        delete_in_use: annotated(ANNOTATION_DELETE_IN_USE),
        deleting: metadata.deletion_timestamp.is_some(),
        generation: metadata.generation.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        finalizers: metadata.finalizers.unwrap_or_default(),
        spec,
        status,
    }
}

/// The status of a Compute that Poros has not seen.
fn unseen() -> crate::api::status::ComputeStatus {
    crate::api::status::ComputeStatus { observed_generation: -1, ..Default::default() }
}

/// The projection of a Placement or a binding.
pub fn child(kind: Kind, object: DynamicObject) -> Child {
    let DynamicObject { metadata, mut data, .. } = object;
    let ObjectMeta {
        uid,
        resource_version,
        deletion_timestamp,
        labels,
        annotations,
        owner_references,
        finalizers,
        managed_fields,
        ..
    } = metadata;
    let mut child = Child {
        uid: uid.unwrap_or_default(),
        resource_version: resource_version.unwrap_or_default(),
        deleting: deletion_timestamp.is_some(),
        labels: labels.unwrap_or_default(),
        annotations: annotations.unwrap_or_default(),
        owners: owner_references.unwrap_or_default(),
        finalizers: finalizers.unwrap_or_default(),
        spec: {
            let spec = data.get_mut("spec").map(Value::take).unwrap_or_default();
            match kind {
                Kind::Placement => spec,
                Kind::Binding => known::<MutatingAdmissionPolicyBindingSpec>(spec),
            }
        },
        writers: Vec::new(),
    };
    if !child.is_untouched() {
        child.writers = managed_fields.unwrap_or_default().into_iter().filter_map(writer).collect();
    }
    child
}

/// Another manager of an object; none where it is Poros itself.
fn writer(entry: ManagedFieldsEntry) -> Option<Writer> {
    let manager = entry.manager.filter(|manager| manager != MANAGER_BUILDER)?;
    let time = entry.time.map(|time| time.0.to_string()).unwrap_or_default();
    Some(Writer { manager, time, fields: entry.fields_v1?.0 })
}

/// A spec of the admission API, without fields that this Poros does not know.
///
/// A newer Kubernetes gives its new fields defaults, and stores them: compared, they would read as somebody's change of
/// every policy and binding on the day of the upgrade. A spec that does not fit the types is kept as it is.
fn known<T: DeserializeOwned + Serialize>(spec: Value) -> Value {
    let typed = T::deserialize(&spec).and_then(serde_json::to_value);
    typed.unwrap_or(spec)
}

/// The projection of a shared policy or its binding, or of the registration of the webhook.
pub fn shared(kind: SharedKind, mut object: DynamicObject) -> Stored {
    let annotations = object.metadata.annotations.unwrap_or_default();
    let version = annotations.get(ANNOTATION_POLICY_VERSION).and_then(|version| version.parse().ok());
    let spec = object.data.get_mut("spec").map(Value::take).unwrap_or_default();
    let spec = match kind {
        SharedKind::Mutating => known::<MutatingAdmissionPolicySpec>(spec),
        SharedKind::MutatingBinding => known::<MutatingAdmissionPolicyBindingSpec>(spec),
        SharedKind::Validating => known::<ValidatingAdmissionPolicySpec>(spec),
        SharedKind::ValidatingBinding => known::<ValidatingAdmissionPolicyBindingSpec>(spec),
        SharedKind::Webhook => known::<Vec<MutatingWebhook>>(
            object.data.get_mut("webhooks").map(Value::take).unwrap_or_default(),
        ),
    };
    Stored { version: version.unwrap_or_default(), spec }
}

/// The projection of an `EndpointSlice` of the API servers.
pub fn slice(object: k8s_openapi::api::discovery::v1::EndpointSlice) -> Slice {
    let ready = object.endpoints.unwrap_or_default().into_iter().filter(|endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    Slice { family: object.address_type, addresses: ready.flat_map(|endpoint| endpoint.addresses).collect() }
}

/// The projection of the Secret with the certificates of the webhook. What cannot be read is as good as none.
pub fn keyring(object: &DynamicObject) -> StoredKeyring {
    let stored: Option<ByteString> = serde_json::from_value(object.data["data"][KEYRING].clone()).ok();
    let keyring = stored.and_then(|stored| serde_json::from_slice(&stored.0).ok());
    StoredKeyring {
        resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
        keyring: keyring.unwrap_or_default(),
    }
}

/// The key of the Secret under which the certificates of the webhook are.
pub const KEYRING: &str = "keyring.json";

/// The projection of a node.
pub fn node(object: WireNode) -> Node {
    let status = object.status.unwrap_or_default();
    let effect = |effect: &str| match effect {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    };
    let taints = object.spec.taints.into_iter();
    Node {
        labels: object.metadata.labels.unwrap_or_default(),
        ready: status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "Ready" && condition.status == "True"),
        unschedulable: object.spec.unschedulable,
        taints: taints
            .filter_map(|taint| {
                Some(Taint { effect: effect(&taint.effect)?, key: taint.key, value: taint.value })
            })
            .collect(),
        allocatable: status.allocatable,
    }
}

/// The projection of a pod that a Compute placed: it carries the label and the mark of that Compute.
///
/// A pod without the mark was not placed by it (the label was put on later, say), and so does not use it.
pub fn pod(object: &PartialObjectMeta<k8s_openapi::api::core::v1::Pod>) -> Option<Pod> {
    let compute = object.metadata.labels.as_ref()?.get(LABEL_COMPUTE)?.clone();
    let mark = object.metadata.annotations.as_ref()?.get(MARK_PLACED_BY)?;
    let revision = mark.strip_prefix(compute.as_str())?.strip_prefix('/')?.parse().ok();
    Some(Pod { compute, revision })
}

/// The Compute that a workload names by its own label, not by that of its pod template.
pub fn workload(metadata: &ObjectMeta) -> Option<String> {
    metadata.labels.as_ref()?.get(LABEL_COMPUTE).cloned()
}

/// The Compute that a Job names by its own label, until it is complete or has failed: then it uses nothing any more.
pub fn job(object: &WireJob) -> Option<String> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let finished = conditions.into_iter().any(|condition| {
        matches!(condition.r#type.as_str(), "Complete" | "Failed") && condition.status == "True"
    });
    if finished { None } else { workload(&object.metadata) }
}

/// The projection of a pod that is scheduled.
pub fn scheduled(object: WirePod) -> Scheduled {
    let WirePodSpec { node_name, containers, init_containers, resources, overhead } = object.spec;
    let needs = Needs { containers, init_containers, resources, overhead };
    Scheduled { node: node_name, requests: requests(&needs).into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::placement::PlacementSpec;
    use crate::decide::manifest::Manifest;
    use crate::decide::observed::Standing;
    use crate::decide::policies;
    use serde_json::json;

    #[test]
    fn what_a_newer_kubernetes_adds_to_a_policy_is_no_change() {
        for shared in policies::known() {
            let mut object: DynamicObject = serde_json::from_value(shared.to_json()).unwrap();
            let as_written = super::shared(shared.kind, object.clone());
            assert_eq!(
                as_written.spec, shared.spec,
                "every field that Poros writes is known: {}",
                shared.name
            );
            object.data["spec"]["fieldOfTomorrow"] = json!("its default");
            assert_eq!(super::shared(shared.kind, object.clone()), as_written);
            object.data["spec"]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
            if !matches!(shared.kind, SharedKind::MutatingBinding | SharedKind::ValidatingBinding) {
                assert_ne!(super::shared(shared.kind, object), as_written, "a field of today is one");
            }
        }
    }

    fn compute() -> Compute {
        let object = json!({"metadata": {"name": "query", "uid": "u-1"}, "spec": {}});
        super::compute(serde_json::from_value(object).unwrap())
    }

    /// A Placement as it is stored after Poros and somebody else wrote it.
    fn stored(change: impl FnOnce(&mut Value)) -> Child {
        let spec = PlacementSpec {
            revision: 1,
            last_revision: 1,
            node_selector: [("pool".to_owned(), "query".to_owned())].into(),
            tolerations: Vec::new(),
            previous: None,
            closed: false,
            withdrawn: false,
        };
        let mut object = Manifest::placement(&compute(), &spec).to_json(None);
        let entry = |manager: &str, fields: Value| {
            json!({
                "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-11-22T14:00:07Z",
                "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        };
        object["metadata"]["managedFields"] = json!([
            entry(MANAGER_BUILDER, json!({"f:spec": {"f:revision": {}}})),
            entry("kubectl-edit", json!({"f:spec": {"f:nodeSelector": {"f:pool": {}}}})),
        ]);
        change(&mut object);
        child(Kind::Placement, serde_json::from_value(object).unwrap())
    }

    fn set(pointer: &str, value: Value) -> Child {
        stored(|object| {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = object.pointer_mut(parent).unwrap();
            let key = key.replace("~1", "/");
            match value {
                Value::Null => parent.as_object_mut().unwrap().remove(&key).map_or((), drop),
                value => parent[&key] = value,
            }
        })
    }

    #[test]
    fn who_wrote_is_kept_only_of_what_is_not_as_poros_wrote_it() {
        let foreign = [
            stored(|_| {}),
            set("/metadata/labels/team", json!("data")),
            set("/metadata/annotations/a", json!("b")),
            set("/metadata/finalizers", json!(["example.com/hold"])),
            stored(|object| {
                let owners = object["metadata"]["ownerReferences"].as_array_mut().unwrap();
                owners.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u-9"}));
            }),
        ];
        for child in foreign {
            assert_eq!(child.writers, []);
        }
        let changed = set("/spec/nodeSelector/pool", json!("wrong"));
        let managers: Vec<_> = changed.writers.iter().map(|writer| writer.manager.as_str()).collect();
        assert_eq!(managers, ["kubectl-edit"], "Poros is no other manager");
    }

    #[test]
    fn an_object_that_lost_one_sign_of_poros_is_still_its_own() {
        let signs = [
            "/metadata/labels/app.kubernetes.io~1managed-by",
            "/metadata/annotations/poros.dataos.io~1owner-uid",
            "/metadata/ownerReferences",
        ];
        for sign in signs {
            for value in [json!(null), if sign.ends_with("References") { json!([]) } else { json!("x") }] {
                let child = set(sign, value);
                assert_eq!(child.standing("u-1"), Standing::Ours, "{sign}");
                assert!(!child.is_untouched(), "{sign}");
            }
            assert_eq!(set(sign, json!(null)).standing("u-2"), Standing::DeadIncarnation, "{sign}");
        }
        let other = stored(|object| {
            object["metadata"]["labels"] = json!({});
            object["metadata"]["annotations"] = json!({});
        });
        assert_eq!(other.standing("u-1"), Standing::Foreign, "one sign alone says nothing");
    }
}

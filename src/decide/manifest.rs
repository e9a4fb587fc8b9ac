//! The two objects that are built for a Compute, as they are written: the Placement and its binding.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::names::{
    ANNOTATION_CONTENT_HASH, ANNOTATION_GENERATION, ANNOTATION_HASH_VERSION, ANNOTATION_OWNER_UID,
    API_VERSION, LABEL_COMPUTE, LABEL_MANAGED_BY, MANAGED_BY, POLICY_PLACEMENT, binding_name,
};
use crate::api::placement::PlacementSpec;
use crate::decide::hash;
use crate::decide::observed::{Child, Compute};

/// Which of the two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The Placement.
    Placement,
    /// The MutatingAdmissionPolicyBinding.
    Binding,
}

impl Kind {
    /// Its `apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Placement => API_VERSION,
            Self::Binding => "admissionregistration.k8s.io/v1",
        }
    }

    /// Its `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Placement => "Placement",
            Self::Binding => "MutatingAdmissionPolicyBinding",
        }
    }

    /// Its resource, as in a URL of the API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Placement => "placements",
            Self::Binding => "mutatingadmissionpolicybindings",
        }
    }

    /// Its name for a Compute of this name.
    pub fn name_for(self, compute: &str) -> String {
        match self {
            Self::Placement => compute.to_owned(),
            Self::Binding => binding_name(compute),
        }
    }
}

/// An object to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which of the two.
    pub kind: Kind,
    /// `metadata.name`.
    pub name: String,
    /// Labels that Poros sets; others are left alone.
    pub labels: BTreeMap<String, String>,
    /// Annotations that Poros sets; others are left alone.
    pub annotations: BTreeMap<String, String>,
    /// Name and uid of the Compute that owns it.
    pub owner: (String, String),
    /// `spec`, with every field that the API server would default, so that stored and wanted compare as they are.
    pub spec: Value,
}

impl Manifest {
    /// The Placement of a Compute.
    pub fn placement(compute: &Compute, spec: &PlacementSpec) -> Self {
        // A PlacementSpec has string keys only, so it always serialises; null would be refused by the CRD.
        Self::new(Kind::Placement, compute, serde_json::to_value(spec).unwrap_or_default())
    }

    /// The binding that puts the Placement of a Compute in force.
    pub fn binding(compute: &Compute) -> Self {
        let spec = json!({
            "policyName": POLICY_PLACEMENT,
            "paramRef": {"name": compute.name, "parameterNotFoundAction": "Deny"},
            "matchResources": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {"matchLabels": {LABEL_COMPUTE: compute.name}},
            },
        });
        Self::new(Kind::Binding, compute, spec)
    }

    fn new(kind: Kind, compute: &Compute, spec: Value) -> Self {
        let text =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            kind,
            name: kind.name_for(&compute.name),
            labels: text(&[(LABEL_MANAGED_BY, MANAGED_BY), (LABEL_COMPUTE, &compute.name)]),
            annotations: text(&[
                (ANNOTATION_OWNER_UID, &compute.uid),
                (ANNOTATION_CONTENT_HASH, &hash::of(&spec)),
                (ANNOTATION_HASH_VERSION, hash::HASH_VERSION),
                (ANNOTATION_GENERATION, &compute.generation.to_string()),
            ]),
            owner: (compute.name.clone(), compute.uid.clone()),
            spec,
        }
    }

    /// The first field in which a stored object differs from what is wanted; none if it is as wanted.
    pub fn difference(&self, stored: &Child) -> Option<String> {
        if let Some(path) = first_difference("spec", &self.spec, &stored.spec) {
            return Some(path);
        }
        for (key, value) in &self.labels {
            if stored.labels.get(key) != Some(value) {
                return Some(format!("metadata.labels[{key}]"));
            }
        }
        // Hashes made another way say nothing about drift (an upgrade must not rewrite every child).
        let hashed_alike =
            stored.annotations.get(ANNOTATION_HASH_VERSION).is_none_or(|v| v == hash::HASH_VERSION);
        // The generation is told along with a write, and is no reason for one.
        for (key, value) in self.annotations.iter().filter(|(key, _)| *key != ANNOTATION_GENERATION) {
            let judged = key == ANNOTATION_OWNER_UID || hashed_alike;
            if judged && stored.annotations.get(key) != Some(value) {
                return Some(format!("metadata.annotations[{key}]"));
            }
        }
        if !stored.owners.iter().any(|owner| owner.uid == self.owner.1) {
            return Some("metadata.ownerReferences".into());
        }
        None
    }

    /// The object as JSON; `over` is the stored object that it replaces, whose foreign labels, annotations, owners and
    /// finalizers it keeps.
    pub fn to_json(&self, over: Option<&Child>) -> Value {
        let mut labels = over.map(|child| child.labels.clone()).unwrap_or_default();
        labels.extend(self.labels.clone());
        let mut annotations = over.map(|child| child.annotations.clone()).unwrap_or_default();
        annotations.extend(self.annotations.clone());
        let foreign = over.iter().flat_map(|child| &child.owners).filter(|owner| owner.uid != self.owner.1);
        let mut owners: Vec<Value> = foreign.map(|owner| json!(owner)).collect();
        owners.push(json!({
            "apiVersion": API_VERSION,
            "kind": "Compute",
            "name": self.owner.0,
            "uid": self.owner.1,
            "controller": true,
            "blockOwnerDeletion": false,
        }));
        let mut object = json!({
            "apiVersion": self.kind.api_version(),
            "kind": self.kind.kind(),
            "metadata": {
                "name": self.name,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": owners,
            },
            "spec": self.spec,
        });
        if let Some(child) = over {
            object["metadata"]["finalizers"] = json!(child.finalizers);
            object["metadata"]["uid"] = json!(child.uid);
            object["metadata"]["resourceVersion"] = json!(child.resource_version);
        }
        object
    }
}

/// The path of the first difference between two JSON values.
pub fn first_difference(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys: std::collections::BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (wanted.get(key), found.get(key)) {
                    (Some(wanted), Some(found)) => first_difference(&path, wanted, found),
                    _ => Some(path),
                }
            })
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).enumerate().find_map(|(index, (wanted, found))| {
                first_difference(&format!("{path}[{index}]"), wanted, found)
            })
        }
        (wanted, found) => (wanted != found).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let wanted = json!({"a": {"b": [1, {"c": 2}]}, "d": true});
        let check = |found: Value, expect: Option<&str>| {
            assert_eq!(first_difference("spec", &wanted, &found).as_deref(), expect, "{found}");
        };
        check(wanted.clone(), None);
        check(json!({"a": {"b": [1, {"c": 3}]}, "d": true}), Some("spec.a.b[1].c"));
        check(json!({"a": {"b": [1]}, "d": true}), Some("spec.a.b"));
        check(json!({"a": {"b": [1, {"c": 2}]}}), Some("spec.d"));
        check(json!({"a": {"b": [1, {"c": 2}]}, "d": true, "e": 1}), Some("spec.e"));
        check(json!(null), Some("spec"));
    }
}

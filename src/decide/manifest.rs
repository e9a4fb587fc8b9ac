//! The two objects that are built for a Compute, as they are written: the Placement and its binding.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};

use crate::api::names::{
    ANNOTATION_CONTENT_HASH, ANNOTATION_GENERATION, ANNOTATION_HASH_VERSION, ANNOTATION_OWNER_UID,
    API_VERSION, LABEL_COMPUTE, LABEL_MANAGED_BY, MANAGED_BY, POLICY_PLACEMENT, binding_name,
};
use crate::api::placement::PlacementSpec;
use crate::decide::difference::{self, Difference, Step};
use crate::decide::hash;
use crate::decide::observed::{Child, Compute, is_compute};

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
        let spec = serde_json::to_value(spec).unwrap_or_default();
        Self::new(Kind::Placement, &compute.name, &compute.uid, compute.generation, spec)
    }

    /// The binding that puts the Placement of a Compute in force.
    pub fn binding(compute: &Compute) -> Self {
        let spec = Self::binding_spec(&compute.name);
        Self::new(Kind::Binding, &compute.name, &compute.uid, compute.generation, spec)
    }

    /// The spec of the binding of a Compute of this name.
    pub fn binding_spec(compute: &str) -> Value {
        json!({
            "policyName": POLICY_PLACEMENT,
            "paramRef": {"name": compute, "parameterNotFoundAction": "Deny"},
            "matchResources": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {"matchLabels": {LABEL_COMPUTE: compute}},
            },
        })
    }

    /// An object with this spec for the Compute of this name, uid and generation.
    pub fn new(kind: Kind, compute: &str, uid: &str, generation: i64, spec: Value) -> Self {
        let text =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            kind,
            name: kind.name_for(compute),
            labels: text(&[(LABEL_MANAGED_BY, MANAGED_BY), (LABEL_COMPUTE, compute)]),
            annotations: text(&[
                (ANNOTATION_OWNER_UID, uid),
                (ANNOTATION_CONTENT_HASH, &hash::of(&spec)),
                (ANNOTATION_HASH_VERSION, hash::HASH_VERSION),
                (ANNOTATION_GENERATION, &generation.to_string()),
            ]),
            owner: (compute.to_owned(), uid.to_owned()),
            spec,
        }
    }

    /// The first field in which a stored object differs from what is wanted; none if it is as wanted.
    pub fn difference(&self, stored: &Child) -> Option<Difference> {
        if let Some(difference) = difference::first(&[Step::Key("spec".into())], &self.spec, &stored.spec) {
            return Some(difference);
        }
        let differs = |map: &str, key: &String, wanted: &String, stored: &BTreeMap<String, String>| {
            let found = stored.get(key);
            (found != Some(wanted)).then(|| Difference::at(&["metadata", map, key], found.is_none()))
        };
        let label = |(key, value)| differs("labels", key, value, &stored.labels);
        if let Some(difference) = self.labels.iter().find_map(label) {
            return Some(difference);
        }
        // Hashes made another way say nothing about drift (an upgrade must not rewrite every child). One that is what ours
        // would be was made our way, whatever stands beside it.
        let noted = |key: &str| stored.annotations.get(key);
        let hashed_alike = noted(ANNOTATION_HASH_VERSION).is_none_or(|version| version == hash::HASH_VERSION)
            || noted(ANNOTATION_CONTENT_HASH) == self.annotations.get(ANNOTATION_CONTENT_HASH);
        // The generation is told along with a write, and is no reason for one.
        let judged =
            |key: &String| key != ANNOTATION_GENERATION && (key == ANNOTATION_OWNER_UID || hashed_alike);
        let annotation = |(key, value)| differs("annotations", key, value, &stored.annotations);
        if let Some(difference) = self.annotations.iter().filter(|(key, _)| judged(key)).find_map(annotation)
        {
            return Some(difference);
        }
        let wanted = self.owner_reference(stored.owners.iter());
        let ours: Vec<_> = stored.owners.iter().filter(|owner| is_compute(owner)).collect();
        (ours != [&wanted]).then(|| {
            let mut difference = Difference::at(&["metadata", "ownerReferences"], ours.is_empty());
            difference.path.extend(ours.first().map(|owner| Step::Uid(owner.uid.clone())));
            difference
        })
    }

    /// The object as it is stored under this uid and version while nobody else touches it.
    pub fn stored(self, uid: &str, resource_version: &str) -> Child {
        Child {
            uid: uid.to_owned(),
            resource_version: resource_version.to_owned(),
            deleting: false,
            owners: vec![self.owner_reference([].iter())],
            labels: self.labels,
            annotations: self.annotations,
            finalizers: Vec::new(),
            spec: self.spec,
            writers: Vec::new(),
        }
    }

    /// The ownerReference, beside those of others: an object has at most one that is its controller.
    fn owner_reference<'a>(&self, mut others: impl Iterator<Item = &'a OwnerReference>) -> OwnerReference {
        let controlled = others.any(|owner| !is_compute(owner) && owner.controller == Some(true));
        OwnerReference {
            api_version: API_VERSION.into(),
            kind: "Compute".into(),
            name: self.owner.0.clone(),
            uid: self.owner.1.clone(),
            controller: Some(!controlled),
            block_owner_deletion: Some(false),
        }
    }

    /// The object as JSON; `over` is the stored object that it replaces, whose foreign labels, annotations, owners and
    /// finalizers it keeps.
    pub fn to_json(&self, over: Option<&Child>) -> Value {
        let mut labels = over.map(|child| child.labels.clone()).unwrap_or_default();
        labels.extend(self.labels.clone());
        let mut annotations = over.map(|child| child.annotations.clone()).unwrap_or_default();
        annotations.extend(self.annotations.clone());
        let foreign = || over.iter().flat_map(|child| &child.owners).filter(|owner| !is_compute(owner));
        let mut owners: Vec<Value> = foreign().map(|owner| json!(owner)).collect();
        // In its old place, if it has one: who compares lists sees no change then.
        let place = over.and_then(|child| child.owners.iter().position(is_compute)).unwrap_or(owners.len());
        owners.insert(place.min(owners.len()), json!(self.owner_reference(foreign())));
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

//! A Compute as lists show it: the few fields that a row needs, each read leniently, so that one Compute that does not fit
//! our types is a row like the others, and a long list takes little memory.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use crate::api::lenient::{Lenient, or_nothing};

/// A Compute as lists show it. What is absent or of another type is empty.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// Name, labels and times.
    #[serde(deserialize_with = "or_nothing")]
    pub metadata: Metadata,
    /// What was written.
    #[serde(deserialize_with = "or_nothing")]
    pub spec: Spec,
    /// What Poros says.
    #[serde(deserialize_with = "or_nothing")]
    pub status: Status,
}

/// Of `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// When it was created.
    #[serde(deserialize_with = "or_nothing")]
    pub creation_timestamp: Option<Time>,
    /// When it was asked to go.
    #[serde(deserialize_with = "or_nothing")]
    pub deletion_timestamp: Option<Time>,
    /// Which version of the spec this is.
    #[serde(deserialize_with = "or_nothing")]
    pub generation: i64,
    /// Which version of the whole this is.
    #[serde(deserialize_with = "or_nothing")]
    pub resource_version: String,
}

/// Of `spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// What the pool is for.
    #[serde(deserialize_with = "or_nothing")]
    pub purpose: String,
    /// Who applied it.
    #[serde(deserialize_with = "or_nothing")]
    pub owner: String,
    /// Words to find it by.
    #[serde(deserialize_with = "or_nothing")]
    pub tags: Vec<String>,
    /// The nodes of the pool.
    #[serde(deserialize_with = "or_nothing")]
    pub node_pool: NodePool,
}

/// Of `spec.nodePool`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodePool {
    /// Labels of its nodes.
    #[serde(deserialize_with = "or_nothing")]
    pub node_selector: BTreeMap<String, String>,
}

/// Of `status`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// The state in one word.
    #[serde(deserialize_with = "or_nothing")]
    pub aggregate_status: String,
    /// How far the builder got.
    #[serde(deserialize_with = "or_nothing")]
    pub builder_state: Builder,
    /// The nodes of the pool.
    #[serde(deserialize_with = "or_nothing")]
    pub nodes: Nodes,
    /// Who uses it.
    #[serde(deserialize_with = "or_nothing")]
    pub users: Users,
    /// The condition `Ready` among others.
    #[serde(deserialize_with = "or_nothing")]
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    #[serde(deserialize_with = "or_nothing")]
    pub observed_generation: i64,
}

/// Of `status.builderState`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Builder {
    /// The stage.
    #[serde(deserialize_with = "or_nothing")]
    pub stage: String,
    /// Objects in place / objects wanted.
    #[serde(deserialize_with = "or_nothing")]
    pub summary: String,
    /// What the builder does, or what went wrong, in a sentence.
    #[serde(deserialize_with = "or_nothing")]
    pub info: String,
    /// Since when.
    #[serde(deserialize_with = "or_nothing")]
    pub since: Option<Time>,
}

/// Of `status.nodes`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Nodes {
    /// Schedulable nodes / nodes that the selector matches.
    #[serde(deserialize_with = "or_nothing")]
    pub summary: String,
}

/// Of `status.users`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Users {
    /// Pods that it placed.
    #[serde(deserialize_with = "or_nothing")]
    pub pods: u64,
    /// Workloads that carry its label.
    #[serde(deserialize_with = "or_nothing")]
    pub workloads: u64,
}

/// Of `status.conditions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type", deserialize_with = "or_nothing")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "or_nothing")]
    pub status: String,
    /// Why, in one word.
    #[serde(deserialize_with = "or_nothing")]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(deserialize_with = "or_nothing")]
    pub message: String,
}

impl Listed {
    /// The condition `Ready`, if it is there.
    pub fn ready(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == "Ready")
    }
}

/// Structures, all of whose fields are read leniently.
macro_rules! objects {
    ($($object:ty),*) => {
        $(impl Lenient for $object {
            fn of_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(map))
            }
        })*
    };
}

objects!(Metadata, Spec, NodePool, Status, Builder, Nodes, Users, Condition);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_empty_and_the_rest_is_read() {
        let stored = json!({
            "metadata": {"name": "a", "generation": "x", "creationTimestamp": "2026-11-22T09:00:00Z"},
            "spec": {"owner": "ann", "tags": "one", "purpose": null, "nodePool": []},
            "status": {"aggregateStatus": "active", "users": {"pods": 3, "workloads": -1}, "conditions": [{"type": "Ready"}]},
        });
        let listed: Listed = serde_json::from_value(stored).unwrap();
        assert_eq!((listed.metadata.name.as_str(), listed.metadata.generation), ("a", 0));
        assert!(listed.metadata.creation_timestamp.is_some());
        assert_eq!((listed.spec.owner.as_str(), listed.spec.tags.len()), ("ann", 0));
        assert_eq!(listed.status.users, Users { pods: 3, workloads: 0 });
        assert!(listed.ready().is_some());
        let nothing: Listed =
            serde_json::from_value(json!({"metadata": {"name": "b"}, "spec": "x"})).unwrap();
        assert_eq!(nothing.metadata.name, "b");
    }
}

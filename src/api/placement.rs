//! `Placement`: what is in force for a Compute. Poros alone writes it; admission reads it as its parameter.

#![allow(unreachable_pub)] // KubeSchema repeats each struct inside a function, where `pub` reaches nobody
#![allow(clippy::duplicated_attributes)] // clippy takes the columns of one attribute for repetitions

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::api::compute::Toleration;

/// The selector and tolerations that are in force for the Compute of the same name.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "poros.dataos.io",
    version = "v1beta1",
    kind = "Placement",
    plural = "placements",
    shortname = "plc",
    category = "dataos",
    derive = "PartialEq",
    doc = "The selector and tolerations that are in force for the Compute of the same name. Written by Poros alone: edit the Compute instead.",
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".spec.revision",
        description = "The number of this content"
    ),
    printcolumn(
        name = "Closed",
        type_ = "boolean",
        json_path = ".spec.closed",
        description = "Whether new pods are refused"
    ),
    printcolumn(name = "Selector", type_ = "string", json_path = ".spec.nodeSelector"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    /// The number of this content. It changes only with the selector or the tolerations.
    pub revision: u64,
    /// The highest number ever used; none is ever given to other content.
    pub last_revision: u64,
    /// Labels that a node must carry.
    #[schemars(schema_with = "selector_schema")]
    pub node_selector: BTreeMap<String, String>,
    /// Tolerations that a pod is given.
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// The last content that was proven before this one; it is put back if this one's proof fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousPlacement>,
    /// New pods are refused: the Compute is being deleted.
    pub closed: bool,
    /// Nothing is in force: the webhook places no pods by it. To the policy the absence of the binding says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// Content that was proven.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousPlacement {
    /// Its number.
    pub revision: u64,
    /// Labels that a node must carry.
    #[schemars(schema_with = "selector_schema")]
    pub node_selector: BTreeMap<String, String>,
    /// Tolerations that a pod is given.
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
}

fn selector_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

//! `Compute`: the resource that people write. A name for a pool of nodes.

#![allow(unreachable_pub)] // KubeSchema repeats each struct inside a function, where `pub` reaches nobody
#![allow(clippy::duplicated_attributes)] // clippy takes the columns of one attribute for repetitions

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::status::ComputeStatus;

/// A Compute gives a pool of nodes a name. A pod that carries the label `poros.dataos.io/compute: <name>`
/// is placed on that pool's nodes.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "poros.dataos.io",
    version = "v1beta1",
    kind = "Compute",
    plural = "computes",
    shortname = "cmp",
    category = "dataos",
    status = "ComputeStatus",
    derive = "PartialEq",
    doc = "A Compute gives a pool of nodes a name. A pod that carries the label `poros.dataos.io/compute: <name>` is placed on the nodes of that pool.",
    printcolumn(
        name = "Purpose",
        type_ = "string",
        json_path = ".spec.purpose",
        description = "What the pool is for"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.aggregateStatus",
        description = "The state in one word"
    ),
    printcolumn(
        name = "Stage",
        type_ = "string",
        json_path = ".status.builderState.stage",
        description = "How far the builder got"
    ),
    printcolumn(
        name = "Nodes",
        type_ = "string",
        json_path = ".status.nodes.summary",
        description = "Schedulable nodes of the pool / nodes that the selector matches"
    ),
    printcolumn(
        name = "Resources",
        type_ = "string",
        json_path = ".status.builderState.summary",
        description = "Objects in place / objects wanted"
    ),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", description = "Who applied it"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(
        name = "Selector",
        type_ = "string",
        json_path = ".spec.nodePool.nodeSelector",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ComputeSpec {
    /// The cluster that the Compute is for. Default: the dataplane that Poros runs for (`poros run --dataplane`, `hub`).
    /// Another one is a fault of the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub dataplane: Option<String>,
    /// What the pool is for: `runnable` (workflows, services, workers), `query` (query clusters) or `gpu`.
    pub purpose: Purpose,
    /// Whose it is: `user` (the default) or `system` (shipped with the platform).
    #[serde(default)]
    pub layer: Layer,
    /// Who applied it. Set and kept by the API server's admission; only who may `assign-owner` can choose another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub owner: Option<String>,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "atomic"))]
    pub tags: Vec<String>,
    /// The nodes of the pool.
    pub node_pool: NodePool,
    /// How long, in seconds, the Compute may be `pending` before that is an error.
    #[serde(default = "default_progress_deadline")]
    #[schemars(range(min = 1, max = 86_400))]
    pub progress_deadline_seconds: u32,
    /// What deleting does while pods use the Compute: `Block` (the default) refuses it, `Detach` lets them run on.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_progress_deadline() -> u32 {
    300
}

/// The nodes of a Compute, and what a pod needs to land on them.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// Labels that a node of the pool carries: 1 to 32 pairs, all of which must match.
    #[schemars(schema_with = "node_selector_schema")]
    #[x_kube(
        validation = Rule::new("self.all(k, k.size() <= 317 && (k.contains('/') ? k.substring(0, k.indexOf('/')).matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && k.indexOf('/') <= 253 : true))")
            .message("a label key's prefix is a DNS subdomain of at most 253 characters, such as example.com in example.com/role"),
        validation = Rule::new("self.all(k, (k.contains('/') ? k.substring(k.indexOf('/') + 1) : k).matches('^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
            .message("a label key's name has 1 to 63 characters: letters, digits, '-', '_', '.', with a letter or digit at both ends"),
        validation = Rule::new("self.all(k, self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))")
            .message("a label value has at most 63 characters: letters, digits, '-', '_', '.', with a letter or digit at both ends")
    )]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of the nodes that a pod of this Compute tolerates: 0 to 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(
        validation = Rule::new("self.all(t, self.exists_one(u, u == t))").message("each toleration is listed once")
    )]
    pub tolerations: Vec<Toleration>,
    /// How many nodes must be ready before the Compute is active; 0 for a pool that an autoscaler grows from nothing.
    #[serde(default = "default_min_ready_nodes")]
    #[schemars(range(max = 100_000))]
    pub min_ready_nodes: u32,
}

fn default_min_ready_nodes() -> u32 {
    1
}

fn node_selector_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

/// A taint that a pod of the Compute tolerates (core/v1 `Toleration`).
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.operator != 'Exists' || !has(self.value) || self.value == ''").message("operator Exists takes no value").field_path(".value"),
    validation = Rule::new("self.operator == 'Exists' || (has(self.key) && self.key != '')").message("operator Equal needs a key").field_path(".key"),
    validation = Rule::new("!has(self.key) || self.key == '' || self.key.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')")
        .message("a taint key is a label key, such as dedicated or example.com/dedicated").field_path(".key"),
    validation = Rule::new("!has(self.key) || self.key.indexOf('/') <= 253")
        .message("a taint key's prefix is a DNS subdomain of at most 253 characters").field_path(".key")
)]
pub struct Toleration {
    /// The taint's key; none, with operator Exists, tolerates every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub key: Option<String>,
    /// `Equal` (the default): key and value are the taint's. `Exists`: the key is.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// The taint's value, with operator Equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"))]
    pub value: Option<String>,
    /// The taint's effect; none tolerates all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// How a toleration compares itself with a taint.
#[derive(
    JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TolerationOperator {
    /// Key and value are the taint's.
    #[default]
    Equal,
    /// The key is the taint's, whatever its value.
    Exists,
}

/// What a taint does to pods that do not tolerate it.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New pods are not scheduled.
    NoSchedule,
    /// New pods are scheduled elsewhere if possible.
    PreferNoSchedule,
    /// New pods are not scheduled and running ones are evicted.
    NoExecute,
}

impl TaintEffect {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// What a pool is for.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Workflows, services, workers.
    Runnable,
    /// Query clusters.
    Query,
    /// Workloads that need a GPU.
    Gpu,
}

impl Purpose {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Runnable => "runnable",
            Self::Query => "query",
            Self::Gpu => "gpu",
        }
    }
}

/// Whose a Compute is.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// A user's.
    #[default]
    User,
    /// The platform's own.
    System,
}

impl Layer {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// What deleting a Compute does while pods use it.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionPolicy {
    /// It is refused.
    #[default]
    Block,
    /// The pods run on where they are.
    Detach,
}

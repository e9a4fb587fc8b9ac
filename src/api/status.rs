//! The status of a Compute: what Poros found, did and proved.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a Compute, written by Poros alone.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComputeStatus {
    /// The state in one word: `pending`, `active`, `error`, `deleting` or `deleted`.
    pub aggregate_status: AggregateStatus,
    /// How far the builder got.
    pub builder_state: BuilderState,
    /// The objects that Poros builds for this Compute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub cloud_kernel_resources: Vec<CloudKernelResource>,
    /// How pods are placed, and what was proven of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementStatus>,
    /// How many nodes the pool has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCounts>,
    /// What the nodes of the pool offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Who uses the Compute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// Conditions: `Ready`, `Built`, `PlacementVerified`, `PoolReady`; and, only while true, `Reconciling`, `Stalled`,
    /// `Drifted`, `Contended`, `Overlapping`, `Deleting`, `Paused`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The number of the last transition; never reused in the life of this Compute.
    pub transition_seq: u64,
    /// The last 8 transitions, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<Transition>,
    /// The `metadata.generation` that this status speaks of; -1 before Poros has seen the Compute.
    pub observed_generation: i64,
}

impl ComputeStatus {
    /// Whether it says that anybody uses the Compute.
    pub fn is_used(&self) -> bool {
        self.users.as_ref().is_some_and(Users::any)
    }

    /// The condition of this type, if it is there.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

/// The state of a Compute in one word.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AggregateStatus {
    /// It is being built, or its pool is awaited.
    #[default]
    Pending,
    /// It is in force, proven, and its pool is ready.
    Active,
    /// Something is wrong; the stage says where.
    Error,
    /// It is being removed.
    Deleting,
    /// It is gone.
    Deleted,
}

impl AggregateStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Error, Self::Deleting, Self::Deleted];

    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Error => "error",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}

/// How far the builder got.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// At work. With status `error`: the fault came after the build.
    #[default]
    Building,
    /// Done.
    Built,
    /// The fault came in the build itself.
    Error,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Building, Self::Built, Self::Error];

    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Built => "built",
            Self::Error => "error",
        }
    }
}

/// What the builder has done.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuilderState {
    /// `building`, `built` or `error`.
    pub stage: Stage,
    /// How many objects the Compute needs.
    pub number_of_wanted_resources: u32,
    /// How many of them are in place.
    pub number_of_processed_resources: u32,
    /// `processed/wanted`, for people.
    pub summary: String,
    /// What the builder does or what went wrong, in a sentence.
    #[schemars(length(max = 2048))]
    pub info: String,
    /// Since when it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// An object that Poros builds for a Compute.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CloudKernelResource {
    /// Its name.
    pub name: String,
    /// Its namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// Its API group and version.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its resource, as in a URL of the API.
    pub resource: String,
    /// The cluster that it is on.
    pub dataplane: String,
    /// `created`, `pending`, `error` or `deleted`.
    pub status: ResourceStatus,
    /// Why it is not in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// The state of a built object.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceStatus {
    /// Not yet in place.
    #[default]
    Pending,
    /// In place, as wanted.
    Created,
    /// It could not be put in place.
    Error,
    /// Removed.
    Deleted,
}

/// How pods are placed, and what was proven of it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlacementStatus {
    /// What places the pods: `Policy`, inside the API server; `Webhook`, served by Poros; or `Both`.
    pub mode: PlacementMode,
    /// The revision of the Placement that stands.
    pub revision: u64,
    /// The highest revision ever used.
    pub last_revision: u64,
    /// The revision that was proven last; none before the first proof and after a failed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_revision: Option<u64>,
    /// When it was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Time>,
    /// A hash of the selector and tolerations that were proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_content: Option<String>,
    /// A hash of the binding and the shared policies that the proof went through; when they change, it is made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_with: Option<String>,
}

/// What places the pods.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlacementMode {
    /// A MutatingAdmissionPolicy inside the API server.
    #[default]
    Policy,
    /// A mutating webhook that Poros serves: the API server has no MutatingAdmissionPolicy.
    Webhook,
    /// Both, while it is not settled which of them the API server can do.
    Both,
}

/// How many nodes the pool has. Counts only: a status never grows with the pool.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeCounts {
    /// Nodes that the selector matches.
    pub matched: u32,
    /// Of these, nodes whose condition Ready is True.
    pub ready: u32,
    /// Of these, nodes that take new pods of this Compute: not cordoned, and no taint that it does not tolerate.
    pub schedulable: u32,
    /// Nodes that are ready and not cordoned, and kept from this Compute by a taint alone (`NoSchedule` or `NoExecute`) that
    /// it does not tolerate.
    pub untolerated: u32,
    /// Nodes that no such taint keeps for those who tolerate it: pods that name no Compute may run there too.
    pub untainted: u32,
    /// `schedulable/matched`, for people.
    pub summary: String,
}

/// What the nodes of the pool offer, and what pods take of it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capacity {
    /// The sum of `status.allocatable` over the schedulable nodes: cpu, memory, pods and up to 13 more, by name.
    #[schemars(schema_with = "quantities")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// The sum of the requests of all unfinished pods on those nodes, whichever Compute they name, of the same resources.
    /// Only with `poros run --pool-usage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantities")]
    pub requested: Option<BTreeMap<String, Quantity>>,
    /// What `allocatable` leaves beyond `requested`: at least 0. Only with `poros run --pool-usage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantities")]
    pub free: Option<BTreeMap<String, Quantity>>,
}

/// The schema of amounts by resource. What the type itself says is a page for each of them.
fn quantities(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "description": "A Kubernetes quantity, such as 1500m or 32Gi.",
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// Who uses the Compute.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Users {
    /// Pods that name the Compute and are not finished.
    pub pods: u32,
    /// Of these, pods that an older revision placed.
    pub outdated_pods: u32,
    /// Workloads that carry the label themselves: Deployments, `StatefulSets`, Jobs and `CronJobs`.
    pub workloads: u32,
    /// Namespaces that these pods and workloads are in.
    pub namespaces: u32,
    /// At most 5 of them, workloads first, as `<kind>/<namespace>/<name>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub examples: Vec<String>,
}

impl Users {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.pods > 0 || self.workloads > 0
    }
}

/// One change of (status, stage, reason).
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// Its number, from 1.
    pub seq: u64,
    /// The status before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<AggregateStatus>,
    /// The status after.
    pub to: AggregateStatus,
    /// The stage after.
    pub stage: Stage,
    /// The reason word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// The sentence that was in `builderState.info`.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When.
    pub time: Time,
}

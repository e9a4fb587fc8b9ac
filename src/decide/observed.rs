//! What one pass knows: the Compute, what stands for it, its pool, its users, and what earlier passes left in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::compute::{ComputeSpec, TaintEffect};
use crate::api::names::{
    ANNOTATION_CONTENT_HASH, ANNOTATION_GENERATION, ANNOTATION_HASH_VERSION, ANNOTATION_OWNER_UID, GROUP,
    LABEL_COMPUTE, LABEL_MANAGED_BY, MANAGED_BY,
};
use crate::api::placement::PlacementSpec;
use crate::api::status::{ComputeStatus, NodeCounts, Users};
use crate::decide::applied::Pace;
use crate::decide::difference::Writer;
use crate::decide::hash;
use crate::decide::mode::Admission;

/// How long things may last before they count. All of them are settings of `poros run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The cluster that this Poros runs for.
    pub dataplane: String,
    /// A pool fault of an active Compute counts after this long, and is over after this long.
    pub pool_grace: Duration,
    /// A shared policy may be absent or altered this long.
    pub policy_grace: Duration,
    /// Poros may lack a permission this long.
    pub forbidden_grace: Duration,
    /// A proof that cannot be made holds a new Compute back this long.
    pub proof_blocked_grace: Duration,
    /// Admission may take this long to act on what was applied before a missing placement counts as wrong.
    pub proof_patience: Duration,
    /// After this long without a repair, a rival counts as gone.
    pub contended_quiet: Duration,
    /// Time between repairs while a rival is at work.
    pub repair_interval: Duration,
    /// Counters in a status are written at most this often.
    pub counter_interval: Duration,
    /// A watch may fail this long before Poros says that it is not ready.
    pub watch_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dataplane: "hub".into(),
            pool_grace: Duration::from_secs(10),
            policy_grace: Duration::from_secs(60),
            forbidden_grace: Duration::from_secs(10),
            proof_blocked_grace: Duration::from_secs(30),
            proof_patience: Duration::from_secs(15),
            contended_quiet: Duration::from_secs(60),
            repair_interval: Duration::from_secs(10),
            counter_interval: Duration::from_secs(10),
            watch_grace: Duration::from_secs(60),
        }
    }
}

/// All that one pass looks at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The name: of the Compute, and of the pass.
    pub name: String,
    /// The Compute; none when it is gone.
    pub compute: Option<Arc<Compute>>,
    /// The Placement of that name, whoever made it.
    pub placement: Option<Arc<Child>>,
    /// The binding of that name, whoever made it.
    pub binding: Option<Arc<Child>>,
    /// The nodes that the selector matches now.
    pub pool: Pool,
    /// The pods and workloads that name the Compute now.
    pub users: Users,
    /// The shared policies.
    pub policies: Policies,
    /// Whether what is known of the Compute may be old: it was told by a list, or after something newer.
    pub doubted: bool,
    /// How many API servers stand side by side, as far as they tell: 0 if none does; none if they could not be asked.
    pub api_servers: Option<usize>,
    /// What places pods.
    pub admission: Admission,
    /// What earlier passes of this process left.
    pub recall: Recall,
}

/// Within this an API server that is not asked acts on a policy or binding that was written: each reads them anew once a
/// second.
pub const REFRESH: Duration = Duration::from_secs(2);

impl Observed {
    /// How long other API servers than the one that answers may take to act on what was written. Where it is not known how
    /// many there are, there may be several.
    pub fn others_refresh(&self) -> Duration {
        if self.api_servers.is_none_or(|servers| servers > 1) { REFRESH } else { Duration::ZERO }
    }
}

/// A Compute as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Compute {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`: the identity of this incarnation.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// Whether it carries the annotation that stops Poros.
    pub paused: bool,
    /// Whether it carries the annotation that allows its deletion while in use.
    pub delete_in_use: bool,
    /// The spec, or why it could not be read.
    pub spec: Result<ComputeSpec, String>,
    /// The status; the default's values where there is none.
    pub status: ComputeStatus,
}

impl Compute {
    /// Whether the status says that this content was proven under this number.
    pub fn has_proven(&self, revision: u64, content: &str) -> bool {
        self.status.placement.as_ref().is_some_and(|placement| {
            placement.proven_revision == Some(revision)
                && placement.proven_content.as_deref() == Some(content)
        })
    }
}

/// A built object as stored, whoever made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<OwnerReference>,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// `spec`, as it is.
    pub spec: serde_json::Value,
    /// Who else wrote to it; kept only while it is not as Poros wrote it, for that is when it is asked for.
    pub writers: Vec<Writer>,
}

/// Whose a built object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Built by Poros for this incarnation.
    Ours,
    /// Built by Poros for an incarnation of this name that is gone.
    DeadIncarnation,
    /// Not built by Poros.
    Foreign,
}

impl Child {
    /// Whose it is, seen from the Compute incarnation `uid`.
    pub fn standing(&self, uid: &str) -> Standing {
        // Label, annotation and ownerReference say it, and two of them are enough: some tools put their own name into the
        // label, and who changes one of the others makes an object that is to be mended, not one that is not ours.
        let labelled = self.labels.get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY);
        let annotated = self.annotations.get(ANNOTATION_OWNER_UID);
        let owner = self.owners.iter().find(|owner| is_compute(owner)).map(|owner| &owner.uid);
        match u8::from(labelled) + u8::from(annotated.is_some()) + u8::from(owner.is_some()) {
            0 | 1 => Standing::Foreign,
            _ if [annotated, owner].into_iter().flatten().any(|owner| owner == uid) => Standing::Ours,
            _ => Standing::DeadIncarnation,
        }
    }

    /// Whether all that Poros writes is as Poros wrote it, by what the object says of itself.
    pub fn is_untouched(&self) -> bool {
        let label = |key: &str| self.labels.get(key).map(String::as_str);
        let annotation = |key: &str| self.annotations.get(key).map(String::as_str);
        let mut references = self.owners.iter().filter(|owner| is_compute(owner));
        let (Some(owner), None) = (references.next(), references.next()) else { return false };
        label(LABEL_MANAGED_BY) == Some(MANAGED_BY)
            && label(LABEL_COMPUTE) == Some(&owner.name)
            && annotation(ANNOTATION_OWNER_UID) == Some(&owner.uid)
            && annotation(ANNOTATION_HASH_VERSION) == Some(hash::HASH_VERSION)
            && (owner.controller, owner.block_owner_deletion) == (Some(true), Some(false))
            && self.is_as_written()
    }

    /// Whether its spec is what Poros wrote, by the hash that it carries. One made another way is taken at its word.
    pub fn is_as_written(&self) -> bool {
        let annotated = |key: &str| self.annotations.get(key).map(String::as_str);
        annotated(ANNOTATION_HASH_VERSION) != Some(hash::HASH_VERSION)
            || annotated(ANNOTATION_CONTENT_HASH) == Some(hash::of(&self.spec).as_str())
    }

    /// The uid of the incarnation that it was written for; empty where that is not told.
    pub fn owner_uid(&self) -> &str {
        self.annotations.get(ANNOTATION_OWNER_UID).map_or("", String::as_str)
    }

    /// The generation of the Compute that it was written for; 0 where that is not told.
    pub fn generation(&self) -> i64 {
        let told = self.annotations.get(ANNOTATION_GENERATION);
        told.and_then(|generation| generation.parse().ok()).unwrap_or_default()
    }

    /// The spec of a Placement; none if it does not read as one.
    pub fn placement_spec(&self) -> Option<PlacementSpec> {
        serde_json::from_value(self.spec.clone()).ok()
    }
}

/// Whether this is a reference to a Compute: no one but Poros makes those.
pub fn is_compute(owner: &OwnerReference) -> bool {
    owner.kind == "Compute" && owner.api_version.split('/').next() == Some(GROUP)
}

/// The nodes that a selector matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pool {
    /// How many there are.
    pub counts: NodeCounts,
    /// The first few taints that keep ready nodes from the Compute.
    pub taints: Vec<Taint>,
    /// How many more such taints there are.
    pub more_taints: usize,
    /// What the schedulable ones offer, summed.
    pub allocatable: BTreeMap<String, Quantity>,
    /// What pods take of that; none unless all pods are watched.
    pub usage: Option<Usage>,
    /// The other Computes whose pools have some of the same nodes, if there are any.
    pub overlap: Option<Overlap>,
}

/// What the pods on the schedulable nodes of a pool request together, by resource, and what that leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// What they request, whichever Compute they name, if any.
    pub requested: BTreeMap<String, Quantity>,
    /// What the nodes offer beyond that.
    pub free: BTreeMap<String, Quantity>,
}

/// Computes that share nodes with one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// The first few of them, by name.
    pub names: Vec<String>,
    /// How many more there are; not exact where they are many.
    pub more: usize,
    /// How many nodes are shared; none when all are.
    pub nodes: Option<u32>,
}

/// A taint of a node (core/v1 `Taint`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty for none.
    pub value: String,
    /// Its effect.
    pub effect: TaintEffect,
}

/// The shared policies that every placement goes through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The first one that is absent or altered, and how.
    pub missing: Option<String>,
    /// A hash of the specs of all of them, as stored.
    pub fingerprint: Arc<str>,
}

/// What this process remembers of a Compute from its earlier passes. Losing it costs time, never correctness.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recall {
    /// How long ago this process first saw the Compute.
    pub known_for: Duration,
    /// How long ago something that a proof depends on changed; none when nothing did since the start.
    pub changed_ago: Option<Change>,
    /// Proofs tried since that change.
    pub probes: u32,
    /// How long ago the last of them was tried.
    pub probed_ago: Option<Duration>,
    /// The last proof tried, and of what.
    pub proof: Option<(Target, Proof)>,
    /// How long proofs have been blocked without a break.
    pub blocked_for: Option<Duration>,
    /// How long ago nodes made the pool ready, or not ready; none where an edit of how many it asks for did.
    pub pool_flapped_ago: Option<Duration>,
    /// Repairs of children in the last while.
    pub repairs: u32,
    /// How long ago the last repair was.
    pub repaired_ago: Option<Duration>,
    /// The first other manager that was seen to undo what Poros built, since the repairs began.
    pub rival: Option<String>,
    /// The content that failed its proof and was taken back, how often in a row, and how long ago last.
    pub rejected: Option<Rejected>,
    /// How long a shared policy has been absent or altered.
    pub policies_missing_for: Duration,
    /// How long the API server has not done what it was asked, without a break.
    pub trouble_for: Duration,
    /// How long the binding has not been there; none while it is, or while that was not seen.
    pub unbound_for: Option<Duration>,
    /// How long ago the last status was written.
    pub status_written_ago: Option<Duration>,
    /// How long ago the last status was written that told that nobody uses the Compute any more.
    pub released_ago: Option<Duration>,
}

/// Something that a proof depends on has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How long ago.
    pub ago: Duration,
    /// How fast admission acts on it.
    pub pace: Pace,
}

/// Content that failed its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its hash.
    pub content: String,
    /// How it failed: the field, what was expected and what was found.
    pub text: String,
    /// The fingerprint of the shared policies then.
    pub policies: String,
    /// How often in a row it failed.
    pub times: u32,
    /// How long ago it failed last.
    pub ago: Duration,
}

/// What a proof is a proof of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The revision of the Placement.
    pub revision: u64,
    /// A hash of its selector and tolerations.
    pub content: String,
    /// A hash of the binding and the shared policies.
    pub through: String,
}

/// What came of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The pod came back placed as the Placement says.
    Proven,
    /// Admission does not act on what was applied yet.
    NotYet(String),
    /// The pod came back placed otherwise.
    Mismatch(String),
    /// Something else refuses the probe.
    Blocked(String),
    /// The API server did not answer.
    Unreachable(String),
}

//! What Poros knows of the cluster: projections of watched objects. A change goes in, the names it concerns come out.
//!
//! Synchronous, without client or clock. An event whose projection is unchanged ends here.

pub mod nodes;
pub mod project;
pub mod users;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::api::names::{WEBHOOK, binding_name, compute_of_binding};
use crate::api::placement::PlacementSpec;
use crate::api::status::PlacementMode;
use crate::decide::admission::in_force;
use crate::decide::certificate::StoredKeyring;
use crate::decide::manifest::Kind;
use crate::decide::mode::Admission;
use crate::decide::observed::{Child, Compute, Observed, Policies, Recall};
use crate::decide::policies::{SharedKind, Stored, compare};
use crate::decide::pool::Node;
use crate::decide::validate::normal;
use crate::world::nodes::Nodes;
use crate::world::users::{Pod, Pods};

/// A change of one watched object: what it is now, or that it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A Compute, by name.
    Compute(String, Option<Box<Compute>>),
    /// A Placement, by name.
    Placement(String, Option<Box<Child>>),
    /// A MutatingAdmissionPolicyBinding, by name, that bears the name of a Compute's binding.
    Binding(String, Option<Box<Child>>),
    /// The Placement or binding of this name and uid is gone; another that has the name by now stays.
    Removed(Kind, String, String),
    /// A node, by name.
    Node(String, Option<Box<Node>>),
    /// An unfinished pod that names a Compute, by `<namespace>/<name>`.
    Pod(String, Option<Pod>),
    /// A shared policy or its binding, or the registration of the webhook.
    Shared((SharedKind, String), Option<Stored>),
    /// The certificates of the webhook.
    Keyring(Option<Box<StoredKeyring>>),
}

/// A kind of which this process writes objects itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Written {
    /// Computes.
    Compute,
    /// Placements or bindings.
    Child(Kind),
}

/// Who tells of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A watch.
    Heard,
    /// The answer to a write of this process.
    Own,
}

/// Everything that is watched, as projections.
#[derive(Debug, Default)]
pub struct World {
    computes: HashMap<String, Arc<Compute>>,
    placements: HashMap<String, Arc<Child>>,
    bindings: HashMap<String, Arc<Child>>,
    nodes: Nodes,
    pods: Pods,
    shared: BTreeMap<(SharedKind, String), Stored>,
    policies: Policies,
    admission: Admission,
    keyring: Option<Arc<StoredKeyring>>,
    /// By Compute: uids that went since it was last observed. A reply that is heard late must not bring them back.
    departed: HashMap<String, HashSet<String>>,
    /// What this process wrote since the list of its kind began that the watch goes on from: what that list or watch
    /// tells of it may be older. All else that they tell is true, even with a lower version: etcd may have been restored.
    written: HashSet<(Written, String)>,
}

impl World {
    /// An empty world: nothing was seen, so every shared policy is missing.
    pub fn new() -> Self {
        Self { policies: compare(&BTreeMap::new(), Admission::default()), ..Self::default() }
    }

    /// Takes in a change; returns the names of the Computes that it concerns.
    pub fn apply(&mut self, change: Change) -> Vec<String> {
        self.take(change, Source::Heard)
    }

    /// A list of this kind begins. It holds all that was written before, so nothing of that is newer than what it tells.
    pub fn list_begins(&mut self, kind: Written) {
        self.written.retain(|(written, _)| *written != kind);
    }

    fn take(&mut self, change: Change, source: Source) -> Vec<String> {
        match change {
            Change::Compute(name, compute) => self.compute(name, compute, source),
            Change::Placement(name, child) => self.child(Kind::Placement, &name, child, source),
            Change::Binding(name, child) => self.child(Kind::Binding, &name, child, source),
            Change::Removed(kind, name, uid) => {
                let held = self.children(kind).get(&name).is_some_and(|child| child.uid == uid);
                if held { self.child(kind, &name, None, source) } else { Vec::new() }
            }
            Change::Node(name, node) => self.nodes.apply(name, node.map(|node| *node)),
            Change::Pod(name, pod) => self.pods.apply(name, pod),
            Change::Shared(key, stored) => self.shared(key, stored),
            Change::Keyring(stored) => {
                self.keyring = stored.map(Arc::from);
                Vec::new()
            }
        }
    }

    /// Takes in the answer to a write of this process. What went in the meantime stays gone.
    pub fn apply_own(&mut self, change: Change) {
        let stored = match &change {
            Change::Compute(name, Some(compute)) => Some((name.as_str(), &compute.uid)),
            Change::Placement(name, Some(child)) => Some((name.as_str(), &child.uid)),
            Change::Binding(name, Some(child)) => {
                compute_of_binding(name).map(|compute| (compute, &child.uid))
            }
            _ => None,
        };
        let late = stored.is_some_and(|(compute, uid)| {
            self.departed.get(compute).is_some_and(|departed| departed.contains(uid))
        });
        if !late {
            self.take(change, Source::Own);
        }
    }

    /// Whether what is told of an object is no news: it is known, or newer is.
    fn stale(&self, kind: Written, name: &str, version: &str, known: &str, source: Source) -> bool {
        let may_be_older = source == Source::Own || self.written.contains(&(kind, name.to_owned()));
        may_be_older && older(version, known)
    }

    fn compute(&mut self, name: String, compute: Option<Box<Compute>>, source: Source) -> Vec<String> {
        let Some(compute) = compute else {
            self.nodes.forget(&name);
            let Some(gone) = self.computes.remove(&name) else { return Vec::new() };
            self.departed.entry(name.clone()).or_default().insert(gone.uid.clone());
            return vec![name];
        };
        let stale = self.computes.get(&name).is_some_and(|known| {
            let (version, before) = (&compute.resource_version, &known.resource_version);
            **known == *compute || self.stale(Written::Compute, &name, version, before, source)
        });
        if stale {
            return Vec::new();
        }
        if source == Source::Own {
            self.written.insert((Written::Compute, name.clone()));
        }
        match &compute.spec {
            Ok(spec) => {
                let pool = &spec.node_pool;
                let tolerations = pool.tolerations.iter().map(normal).collect();
                self.nodes.select(&name, pool.node_selector.clone(), tolerations);
            }
            Err(_) => self.nodes.forget(&name),
        }
        self.computes.insert(name.clone(), Arc::from(compute));
        vec![name]
    }

    fn child(&mut self, kind: Kind, name: &str, child: Option<Box<Child>>, source: Source) -> Vec<String> {
        let compute = match kind {
            Kind::Placement => Some(name),
            Kind::Binding => compute_of_binding(name),
        };
        let Some(compute) = compute else { return Vec::new() };
        let known = self.children(kind).get(name);
        let Some(child) = child else {
            let Some(gone) = self.children_mut(kind).remove(name) else { return Vec::new() };
            self.departed.entry(compute.to_owned()).or_default().insert(gone.uid.clone());
            return vec![compute.to_owned()];
        };
        let stale = known.is_some_and(|known| {
            let (version, before) = (&child.resource_version, &known.resource_version);
            **known == *child || self.stale(Written::Child(kind), name, version, before, source)
        });
        if stale {
            return Vec::new();
        }
        if source == Source::Own {
            self.written.insert((Written::Child(kind), name.to_owned()));
        }
        self.children_mut(kind).insert(name.to_owned(), Arc::from(child));
        vec![compute.to_owned()]
    }

    fn children(&self, kind: Kind) -> &HashMap<String, Arc<Child>> {
        match kind {
            Kind::Placement => &self.placements,
            Kind::Binding => &self.bindings,
        }
    }

    fn children_mut(&mut self, kind: Kind) -> &mut HashMap<String, Arc<Child>> {
        match kind {
            Kind::Placement => &mut self.placements,
            Kind::Binding => &mut self.bindings,
        }
    }

    fn shared(&mut self, key: (SharedKind, String), stored: Option<Stored>) -> Vec<String> {
        match stored {
            Some(stored) => self.shared.insert(key, stored),
            None => self.shared.remove(&key),
        };
        self.judge_policies()
    }

    fn judge_policies(&mut self) -> Vec<String> {
        let policies = compare(&self.shared, self.admission);
        if policies == self.policies {
            return Vec::new();
        }
        self.policies = policies;
        self.computes.keys().cloned().collect()
    }

    /// Takes in what places pods from now on; returns the names of the Computes that it concerns.
    pub fn admit(&mut self, admission: Admission) -> Vec<String> {
        if admission == self.admission {
            return Vec::new();
        }
        self.admission = admission;
        if !admission.binds {
            // Nobody tells of these any more; a list will, once they are served again.
            self.shared.retain(|(kind, _), _| !kind.is_mutating_policy());
        }
        self.judge_policies();
        self.computes.keys().cloned().collect()
    }

    /// What places pods.
    pub fn admission(&self) -> Admission {
        self.admission
    }

    /// The modes that stored statuses speak of, of Computes whose status Poros keeps.
    pub fn modes(&self) -> Vec<PlacementMode> {
        let kept = self.computes.values().filter(|compute| !compute.paused && !compute.deleting);
        kept.filter_map(|compute| Some(compute.status.placement.as_ref()?.mode)).collect()
    }

    /// The Placement that is in force for a Compute.
    pub fn in_force(&self, name: &str) -> Option<PlacementSpec> {
        in_force(self.computes.get(name)?, self.placements.get(name)?)
    }

    /// The certificates of the webhook, as stored.
    pub fn keyring(&self) -> Option<Arc<StoredKeyring>> {
        self.keyring.clone()
    }

    /// The registration of the webhook, as stored: its `webhooks`.
    pub fn registration(&self) -> Option<&Stored> {
        self.shared.get(&(SharedKind::Webhook, WEBHOOK.to_owned()))
    }

    /// All that a pass over this name looks at; what passes remember is added by who keeps it.
    pub fn observe(&mut self, name: &str) -> Observed {
        self.departed.remove(name);
        let placement = self.placements.get(name).cloned();
        let revision = placement.as_ref().and_then(|child| child.spec["revision"].as_u64());
        Observed {
            name: name.to_owned(),
            compute: self.computes.get(name).cloned(),
            placement,
            binding: self.bindings.get(&binding_name(name)).filter(|_| self.admission.binds).cloned(),
            pool: self.nodes.pool(name),
            users: self.pods.users(name, revision),
            policies: self.policies.clone(),
            admission: self.admission,
            recall: Recall::default(),
        }
    }

    /// The shared policies, as a whole.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The names of the Placements, or of the bindings that bear the name of a Compute's, that are known of.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        self.children(kind).keys().cloned().collect()
    }
}

/// Whether a resourceVersion is older than another. They compare as numbers (KEP-5504); others never do.
fn older(version: &str, known: &str) -> bool {
    match (version.parse::<u64>(), known.parse::<u64>()) {
        (Ok(version), Ok(known)) => version < known,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(uid: &str, version: &str) -> kube::api::DynamicObject {
        serde_json::from_value(json!({"metadata": {"name": "query", "uid": uid, "resourceVersion": version}}))
            .unwrap()
    }

    fn placement(uid: &str, version: &str) -> Change {
        Change::Placement(
            "query".into(),
            Some(Box::new(project::child(Kind::Placement, object(uid, version)))),
        )
    }

    #[test]
    fn an_event_that_changes_nothing_or_comes_late_ends_here() {
        let mut world = World::new();
        assert_eq!(world.apply(placement("a", "5")), ["query"]);
        assert!(world.apply(placement("a", "5")).is_empty(), "an echo");
        world.apply_own(placement("a", "9"));
        assert!(world.apply(placement("a", "7")).is_empty(), "older than what this process wrote");
        world.apply_own(placement("a", "6"));
        assert_eq!(world.observe("query").placement.unwrap().resource_version, "9", "a late reply");
        assert_eq!(world.apply(placement("a", "10")), ["query"], "versions compare as numbers");
    }

    #[test]
    fn a_list_is_believed_also_when_time_went_back() {
        let mut world = World::new();
        world.apply_own(placement("a", "900"));
        world.list_begins(Written::Child(Kind::Placement));
        assert_eq!(world.apply(placement("a", "40")), ["query"], "etcd was restored");
        assert_eq!(world.observe("query").placement.unwrap().resource_version, "40");
        world.apply_own(placement("a", "42"));
        assert!(world.apply(placement("a", "40")).is_empty(), "written while the list was read");
    }

    #[test]
    fn a_reply_that_is_heard_late_does_not_bring_back_what_went() {
        let mut world = World::new();
        world.observe("query");
        world.apply(placement("a", "5"));
        world.apply(Change::Placement("query".into(), None));
        world.apply_own(placement("a", "5"));
        assert!(world.observe("query").placement.is_none());
        world.apply_own(placement("b", "7"));
        world.apply_own(Change::Removed(Kind::Placement, "query".into(), "a".into()));
        assert!(world.observe("query").placement.is_some(), "another one of that name is another one");
        assert!(world.departed.is_empty());
    }

    #[test]
    fn a_binding_concerns_its_compute_and_no_shared_one_does() {
        let mut world = World::new();
        let binding = |name: &str| {
            Change::Binding(name.into(), Some(Box::new(project::child(Kind::Binding, object("a", "5")))))
        };
        assert_eq!(world.apply(binding("poros-query")), ["query"]);
        assert!(world.apply(binding("marks.poros.dataos.io")).is_empty());
    }
}

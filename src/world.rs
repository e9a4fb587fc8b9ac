//! What Poros knows of the cluster: projections of watched objects. A change goes in, the names it concerns come out.
//!
//! Synchronous, without client or clock. An event whose projection is unchanged ends here.

pub mod nodes;
pub mod project;
pub mod users;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::api::names::compute_of_binding;
use crate::decide::manifest::Kind;
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
    /// A shared policy or its binding.
    Shared((SharedKind, String), Option<Stored>),
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
    /// By Compute: uids that went since it was last observed. A reply that is heard late must not bring them back.
    departed: HashMap<String, HashSet<String>>,
}

impl World {
    /// An empty world: nothing was seen, so every shared policy is missing.
    pub fn new() -> Self {
        Self { policies: compare(&BTreeMap::new()), ..Self::default() }
    }

    /// Takes in a change; returns the names of the Computes that it concerns.
    pub fn apply(&mut self, change: Change) -> Vec<String> {
        match change {
            Change::Compute(name, compute) => self.compute(name, compute),
            Change::Placement(name, child) => {
                child_changed(&mut self.placements, &mut self.departed, &name, child, &name)
            }
            Change::Binding(name, child) => match compute_of_binding(&name) {
                Some(compute) => child_changed(&mut self.bindings, &mut self.departed, &name, child, compute),
                None => Vec::new(),
            },
            Change::Removed(kind, name, uid) => {
                let held = match kind {
                    Kind::Placement => self.placements.get(&name),
                    Kind::Binding => self.bindings.get(&name),
                };
                match (held.is_some_and(|child| child.uid == uid), kind) {
                    (false, _) => Vec::new(),
                    (true, Kind::Placement) => self.apply(Change::Placement(name, None)),
                    (true, Kind::Binding) => self.apply(Change::Binding(name, None)),
                }
            }
            Change::Node(name, node) => self.nodes.apply(name, node.map(|node| *node)),
            Change::Pod(name, pod) => self.pods.apply(name, pod),
            Change::Shared(key, stored) => self.shared(key, stored),
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
            self.apply(change);
        }
    }

    fn compute(&mut self, name: String, compute: Option<Box<Compute>>) -> Vec<String> {
        let Some(compute) = compute else {
            self.nodes.forget(&name);
            let Some(gone) = self.computes.remove(&name) else { return Vec::new() };
            self.departed.entry(name.clone()).or_default().insert(gone.uid.clone());
            return vec![name];
        };
        let stale = self.computes.get(&name).is_some_and(|known| {
            **known == *compute || older(&compute.resource_version, &known.resource_version)
        });
        if stale {
            return Vec::new();
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

    fn shared(&mut self, key: (SharedKind, String), stored: Option<Stored>) -> Vec<String> {
        match stored {
            Some(stored) => self.shared.insert(key, stored),
            None => self.shared.remove(&key),
        };
        let policies = compare(&self.shared);
        if policies == self.policies {
            return Vec::new();
        }
        self.policies = policies;
        self.computes.keys().cloned().collect()
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
            binding: self.bindings.get(&crate::api::names::binding_name(name)).cloned(),
            pool: self.nodes.pool(name),
            users: self.pods.users(name, revision),
            policies: self.policies.clone(),
            recall: Recall::default(),
        }
    }

    /// The shared policies, as a whole.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The names of the Placements that are known of.
    pub fn placements(&self) -> Vec<String> {
        self.placements.keys().cloned().collect()
    }

    /// The names of the bindings that are known of, of those that bear the name of a Compute's.
    pub fn bindings(&self) -> Vec<String> {
        self.bindings.keys().cloned().collect()
    }
}

fn child_changed(
    children: &mut HashMap<String, Arc<Child>>,
    departed: &mut HashMap<String, HashSet<String>>,
    name: &str,
    child: Option<Box<Child>>,
    compute: &str,
) -> Vec<String> {
    let concerned = || vec![compute.to_owned()];
    match child {
        None => {
            if let Some(gone) = children.remove(name) {
                departed.entry(compute.to_owned()).or_default().insert(gone.uid.clone());
                return concerned();
            }
        }
        Some(child) => {
            let stale = children.get(name).is_some_and(|known| {
                **known == *child || older(&child.resource_version, &known.resource_version)
            });
            if !stale {
                children.insert(name.to_owned(), Arc::from(child));
                return concerned();
            }
        }
    }
    Vec::new()
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
        assert!(world.apply(placement("a", "4")).is_empty(), "older than what is known");
        assert_eq!(world.apply(placement("a", "10")), ["query"], "versions compare as numbers");
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

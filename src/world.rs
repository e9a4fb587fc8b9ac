//! What Poros knows of the cluster: projections of watched objects. A change goes in, the names it concerns come out.
//!
//! Synchronous, without client or clock. An event whose projection is unchanged ends here.

mod admitted;
mod news;
pub mod nodes;
mod packed;
mod pools;
pub mod project;
pub mod servers;
pub mod usage;
pub mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::api::names::{binding_name, compute_of_binding};
use crate::decide::certificate::StoredKeyring;
use crate::decide::manifest::Kind;
use crate::decide::mode::Admission;
use crate::decide::observed::{Child, Compute, Observed, Policies, Recall};
use crate::decide::policies::{Choice, SharedKind, Stored, compare};
use crate::decide::pool::Node;
use crate::decide::validate::normal;
use crate::world::nodes::Nodes;
use crate::world::packed::Packed;
use crate::world::servers::{Servers, Slice};
use crate::world::usage::{Scheduled, Usage};
use crate::world::users::{Pod, Users, WorkloadKind};

/// A change of one watched object: what it is now, or that it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A Compute, by name.
    Compute(String, Option<Box<Compute>>),
    /// A Placement, by name.
    Placement(String, Option<Box<Child>>),
    /// A MutatingAdmissionPolicyBinding, by name, that bears the name of a Compute's binding.
    Binding(String, Option<Box<Child>>),
    /// The Compute of this name and uid is gone; another that has the name by now stays.
    Gone(String, String),
    /// The Placement or binding of this name and uid is gone; another that has the name by now stays.
    Removed(Kind, String, String),
    /// A node, by name.
    Node(String, Option<Box<Node>>),
    /// An unfinished pod that names a Compute, by `<namespace>/<name>`.
    Pod(String, Option<Pod>),
    /// A workload, by kind and `<namespace>/<name>`, and the Compute that its own label names while it has work to do.
    Workload(WorkloadKind, String, Option<String>),
    /// A scheduled, unfinished pod, by `<namespace>/<name>`, whichever Compute it names.
    Scheduled(String, Option<Scheduled>),
    /// An `EndpointSlice` of the API servers, by name.
    Servers(String, Option<Slice>),
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
    placements: HashMap<String, Packed>,
    bindings: HashMap<String, Packed>,
    nodes: Nodes,
    users: Users,
    usage: Usage,
    shared: BTreeMap<(SharedKind, String), Stored>,
    policies: Policies,
    servers: Servers,
    admission: Admission,
    keyring: Option<Arc<StoredKeyring>>,
    /// By Compute: uids that went since it was last observed. A reply that is heard late must not bring them back.
    departed: HashMap<String, HashSet<String>>,
    /// What this process wrote since the list of its kind began that the watch goes on from: what that list or watch
    /// tells of it may be older. All else that they tell is true, even with a lower version: etcd may have been restored.
    written: HashSet<(Written, String)>,
    /// Computes whose answer changed by what this process wrote for another one.
    concerned: BTreeSet<String>,
    /// Computes of which something was told that may be old: by a list, or after something newer was told. What stands
    /// for them is looked at before anything is written.
    doubted: HashSet<String>,
    /// The namespace of Poros.
    namespace: String,
    /// Whether a list of Computes is under way.
    listing: bool,
    /// Whether the watch of Computes broke and told nothing since: each Compute may be old, or of an etcd that was restored.
    adrift: bool,
    /// The newest version of a Compute that was told since its list began.
    newest: u64,
}

impl World {
    /// An empty world: nothing was seen, so every shared policy is missing.
    pub fn new() -> Self {
        Self::of(&Choice::default().namespace)
    }

    /// An empty world of a Poros in this namespace.
    pub fn of(namespace: &str) -> Self {
        let policies = compare(&BTreeMap::new(), Admission::default(), namespace);
        Self { policies, namespace: namespace.to_owned(), ..Self::default() }
    }

    /// Takes in a change; returns the names of the Computes that it concerns.
    pub fn apply(&mut self, change: Change) -> Vec<String> {
        self.take(change, Source::Heard)
    }

    /// The API servers were asked how many they are.
    pub fn servers_listed(&mut self) {
        self.servers.list();
    }

    fn take(&mut self, change: Change, source: Source) -> Vec<String> {
        match change {
            Change::Compute(name, compute) => self.compute(name, compute, source),
            Change::Placement(name, child) => self.child(Kind::Placement, &name, child, source),
            Change::Binding(name, child) => self.child(Kind::Binding, &name, child, source),
            Change::Gone(name, uid) => {
                let held = self.computes.get(&name).is_some_and(|compute| compute.uid == uid);
                if held { self.compute(name, None, source) } else { Vec::new() }
            }
            Change::Removed(kind, name, uid) => {
                let held = self.children(kind).get(&name).is_some_and(|child| child.uid() == uid);
                if held { self.child(kind, &name, None, source) } else { Vec::new() }
            }
            Change::Node(name, node) => self.nodes.apply(&name, node.map(|node| *node)),
            Change::Pod(name, pod) => self.users.pod(name, pod),
            Change::Workload(kind, name, compute) => self.users.workload(kind, name, compute),
            Change::Scheduled(name, pod) => self.scheduled(&name, pod),
            Change::Shared(key, stored) => self.shared(key, stored),
            Change::Servers(name, slice) => {
                // No Compute is looked at for it: what was proven stays so.
                self.servers.apply(name, slice);
                Vec::new()
            }
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
        if late {
            return;
        }
        let own = match &change {
            Change::Compute(name, _) | Change::Gone(name, _) => Some(name.clone()),
            // All else concerns its own Compute alone.
            _ => None,
        };
        let concerned = self.take(change, Source::Own);
        if own.is_some() {
            self.concerned.extend(concerned.into_iter().filter(|name| Some(name) != own.as_ref()));
        }
    }

    /// The Computes that are to be looked at because of what this process wrote for others, once.
    pub fn take_concerned(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.concerned)
    }

    /// Counts what all pods request, from now on.
    pub fn count_usage(&mut self) {
        self.nodes.count_requests();
    }

    fn scheduled(&mut self, name: &str, pod: Option<Scheduled>) -> Vec<String> {
        let Some(before) = self.usage.apply(name, pod.as_ref()) else { return Vec::new() };
        match (before, pod) {
            (Some(before), Some(pod)) if before.node == pod.node => {
                self.nodes.request(&pod.node, &before.requests, &pod.requests)
            }
            (before, pod) => {
                let less = before.map(|pod| self.nodes.request(&pod.node, &pod.requests, &[]));
                let more = pod.map(|pod| self.nodes.request(&pod.node, &[], &pod.requests));
                less.into_iter().chain(more).flatten().collect()
            }
        }
    }

    fn compute(&mut self, name: String, compute: Option<Box<Compute>>, source: Source) -> Vec<String> {
        let Some(compute) = compute else {
            self.doubted.remove(&name);
            self.written.remove(&(Written::Compute, name.clone()));
            let mut concerned = self.nodes.forget(&name);
            if let Some(gone) = self.computes.remove(&name) {
                self.departed.entry(name.clone()).or_default().insert(gone.uid.clone());
                concerned.insert(name);
            }
            return concerned.into_iter().collect();
        };
        let known = self.computes.get(&name);
        let version = &compute.resource_version;
        if known.is_some_and(|known| **known == *compute) {
            if source == Source::Own {
                self.doubted.remove(&name);
            }
            return Vec::new();
        }
        let before = known.map(|known| &known.resource_version);
        if before.is_some_and(|before| self.stale(Written::Compute, &name, version, before, source)) {
            return Vec::new();
        }
        let back = before.is_some_and(|before| Self::is_older(version, before));
        self.doubt(&name, version.parse().unwrap_or_default(), back, source);
        if source == Source::Own {
            self.written.insert((Written::Compute, name.clone()));
        }
        let mut concerned = match &compute.spec {
            Ok(spec) => {
                let pool = &spec.node_pool;
                let tolerations = pool.tolerations.iter().map(normal).collect();
                self.nodes.select(&name, &pool.node_selector, tolerations, !compute.deleting)
            }
            Err(_) => self.nodes.forget(&name),
        };
        self.computes.insert(name.clone(), Arc::from(compute));
        concerned.insert(name);
        concerned.into_iter().collect()
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
            self.written.remove(&(Written::Child(kind), name.to_owned()));
            self.departed.entry(compute.to_owned()).or_default().insert(gone.uid().to_owned());
            return vec![compute.to_owned()];
        };
        let child = Packed::of(kind, compute, *child);
        let stale = known.is_some_and(|known| {
            let (version, before) = (child.resource_version(), known.resource_version());
            *known == child || self.stale(Written::Child(kind), name, version, before, source)
        });
        if stale {
            return Vec::new();
        }
        if source == Source::Own {
            self.written.insert((Written::Child(kind), name.to_owned()));
        }
        self.children_mut(kind).insert(name.to_owned(), child);
        vec![compute.to_owned()]
    }

    fn children(&self, kind: Kind) -> &HashMap<String, Packed> {
        match kind {
            Kind::Placement => &self.placements,
            Kind::Binding => &self.bindings,
        }
    }

    fn children_mut(&mut self, kind: Kind) -> &mut HashMap<String, Packed> {
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
        let policies = compare(&self.shared, self.admission, &self.namespace);
        if policies == self.policies {
            return Vec::new();
        }
        self.policies = policies;
        self.computes.keys().cloned().collect()
    }

    /// All that a pass over this name looks at; what passes remember is added by who keeps it.
    pub fn observe(&mut self, name: &str) -> Observed {
        self.departed.remove(name);
        let whole = |child: &Packed| Arc::new(child.child(name));
        let placement = self.placements.get(name).map(whole);
        let binding = self.bindings.get(&binding_name(name)).filter(|_| self.admission.binds);
        let revision = placement.as_ref().and_then(|child| child.spec["revision"].as_u64());
        Observed {
            name: name.to_owned(),
            compute: self.computes.get(name).cloned(),
            placement,
            binding: binding.map(whole),
            pool: self.nodes.pool(name),
            users: self.users.of(name, revision),
            policies: self.policies.clone(),
            doubted: self.adrift || self.doubted.contains(name),
            api_servers: self.servers.count(),
            admission: self.admission,
            recall: Recall::default(),
        }
    }

    /// The shared policies, as a whole.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// All Computes.
    pub fn computes(&self) -> Vec<Arc<Compute>> {
        self.computes.values().cloned().collect()
    }

    /// Every name that there is something to look at for.
    pub fn everything(&self) -> BTreeSet<String> {
        let bound = self.bindings.keys().filter_map(|binding| compute_of_binding(binding)).map(str::to_owned);
        self.computes.keys().chain(self.placements.keys()).cloned().chain(bound).collect()
    }

    /// A pass over this name ended: no reply to a write of it is to come.
    pub fn passed(&mut self, name: &str) {
        self.departed.remove(name);
    }

    /// Forgets what only late replies to writes are judged by: this process has none under way.
    pub fn stand_by(&mut self) {
        self.departed.clear();
    }

    /// The names of the Placements, or of the bindings that bear the name of a Compute's, that are known of.
    pub fn names(&self, kind: Kind) -> Vec<String> {
        self.children(kind).keys().cloned().collect()
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
    fn what_may_be_old_is_doubted_until_it_was_read_or_told_as_news() {
        let compute = |uid: &str, version: &str| {
            Change::Compute("query".into(), Some(Box::new(project::compute(object(uid, version)))))
        };
        let mut world = World::new();
        world.list_begins(Written::Compute);
        world.apply(compute("a", "5"));
        world.list_ends(Written::Compute);
        assert!(world.observe("query").doubted, "a list may be old");
        world.apply_own(compute("a", "5"));
        assert!(!world.observe("query").doubted, "it was read");
        world.lose_computes();
        assert!(world.observe("query").doubted, "nobody tells what becomes of it");
        world.apply(compute("a", "8"));
        assert!(!world.observe("query").doubted, "a watch tells news");
        world.apply(compute("a", "6"));
        assert!(world.observe("query").doubted, "this was none");
        world.apply(compute("a", "9"));
        assert!(!world.observe("query").doubted);
        world.apply(Change::Compute("query".into(), None));
        world.apply(compute("a", "7"));
        assert!(world.observe("query").doubted, "it went, and an older event brings it back");
        assert!(world.apply(Change::Gone("query".into(), "b".into())).is_empty(), "another one of that name");
        assert_eq!(world.apply(Change::Gone("query".into(), "a".into())), ["query"]);
        assert!(!world.observe("query").doubted);
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
    fn of_what_is_gone_nothing_is_kept() {
        let mut world = World::new();
        world.observe("query");
        world.apply_own(placement("a", "5"));
        assert!(!world.written.is_empty());
        world.apply_own(Change::Removed(Kind::Placement, "query".into(), "a".into()));
        assert!(world.written.is_empty());
        world.passed("query");
        assert!(world.departed.is_empty(), "no other pass over it may ever follow");
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

    fn compute(name: &str, pool: &str, version: u64, deleting: bool) -> Box<Compute> {
        let mut object = json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string()},
            "spec": {"purpose": "query", "nodePool": {"nodeSelector": {"pool": pool}}},
        });
        if deleting {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Box::new(project::compute(serde_json::from_value(object).unwrap()))
    }

    fn told(name: &str, pool: &str, version: u64, deleting: bool) -> Change {
        Change::Compute(name.into(), Some(compute(name, pool, version, deleting)))
    }

    #[test]
    fn who_shares_nodes_is_looked_at_when_that_changes_and_not_else() {
        let mut world = World::new();
        let others = |world: &mut World, name: &str| {
            world.observe(name).pool.overlap.map(|overlap| overlap.names).unwrap_or_default()
        };
        assert_eq!(world.apply(told("a", "x", 1, false)), ["a"]);
        assert_eq!(world.apply(told("b", "x", 1, false)), ["a", "b"]);
        assert_eq!((others(&mut world, "a"), others(&mut world, "b")), (vec!["b".into()], vec!["a".into()]));
        assert_eq!(world.apply(told("b", "x", 2, false)), ["b"], "its status was written, say");
        assert_eq!(world.apply(told("b", "y", 3, false)), ["a", "b"]);
        assert!(others(&mut world, "a").is_empty() && others(&mut world, "b").is_empty());
        world.apply(told("b", "x", 4, false));
        assert_eq!(
            world.apply(told("b", "x", 5, true)),
            ["a", "b"],
            "one that is being deleted does not count"
        );
        assert!(others(&mut world, "a").is_empty() && others(&mut world, "b").is_empty());
        assert_eq!(world.apply(Change::Compute("b".into(), None)), ["b"]);
        world.apply(told("b", "x", 6, false));
        let undecodable = Compute { spec: Err("spec: no".into()), ..*compute("b", "x", 7, false) };
        assert_eq!(world.apply(Change::Compute("b".into(), Some(Box::new(undecodable)))), ["a", "b"]);
        assert!(others(&mut world, "b").is_empty());
        // What this process learns from its own write concerns others all the same.
        world.apply_own(told("b", "x", 8, false));
        assert_eq!(world.take_concerned().into_iter().collect::<Vec<_>>(), ["a"]);
        assert!(world.take_concerned().is_empty());
        world.apply_own(Change::Gone("b".into(), "b".into()));
        assert_eq!(
            world.take_concerned().into_iter().collect::<Vec<_>>(),
            ["a"],
            "it found out that b is gone"
        );
    }

    #[test]
    fn what_pods_request_moves_with_them() {
        let pod = |node: &str, cpu: &str| {
            let object = json!({
                "metadata": {"name": "p", "namespace": "ns"},
                "spec": {"nodeName": node, "containers": [
                    {"name": "main", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "9"}}},
                ]},
                "status": {"phase": "Running"},
            });
            let pod = project::scheduled(serde_json::from_value(object).unwrap());
            Change::Scheduled("ns/p".into(), Some(pod))
        };
        let node = |name: &str, pool: &str| {
            let object = json!({
                "metadata": {"name": name, "labels": {"pool": pool}},
                "spec": {},
                "status": {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]},
            });
            Change::Node(name.into(), Some(Box::new(project::node(serde_json::from_value(object).unwrap()))))
        };
        let mut world = World::new();
        world.count_usage();
        for change in [told("a", "x", 1, false), told("b", "y", 1, false), node("n", "x"), node("m", "y")] {
            world.apply(change);
        }
        let free =
            |world: &mut World, name: &str| world.observe(name).pool.usage.unwrap().free["cpu"].0.clone();
        assert_eq!(world.apply(pod("n", "1")), ["a"]);
        assert!(world.apply(pod("n", "1")).is_empty(), "nothing that is kept of it changed");
        assert_eq!(world.apply(pod("n", "1500m")), ["a"]);
        assert_eq!(free(&mut world, "a"), "2500m");
        assert_eq!(world.apply(pod("m", "1500m")), ["a", "b"]);
        assert_eq!((free(&mut world, "a").as_str(), free(&mut world, "b").as_str()), ("4", "2500m"));
        assert_eq!(world.apply(Change::Scheduled("ns/p".into(), None)), ["b"]);
        assert_eq!(free(&mut world, "b"), "4");
    }

    #[test]
    fn a_job_uses_a_compute_until_it_is_finished() {
        let job = |conditions: serde_json::Value| {
            let object = json!({
                "metadata": {"name": "j", "labels": {"poros.dataos.io/compute": "a"}},
                "spec": {"suspend": true, "template": {}},
                "status": {"conditions": conditions},
            });
            project::job(&serde_json::from_value(object).unwrap())
        };
        assert_eq!(job(json!([])), Some("a".into()));
        assert_eq!(job(json!([{"type": "Suspended", "status": "True"}])), Some("a".into()));
        assert_eq!(job(json!([{"type": "FailureTarget", "status": "True"}])), Some("a".into()));
        assert_eq!(job(json!([{"type": "Complete", "status": "False"}])), Some("a".into()));
        for finished in ["Complete", "Failed"] {
            assert_eq!(job(json!([{"type": finished, "status": "True"}])), None);
        }
    }
}

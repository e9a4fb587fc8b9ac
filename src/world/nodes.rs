//! Nodes, and which Computes they belong to: an inverted index on label pairs, never a scan of all Computes.

mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::compute::Toleration;
use crate::decide::observed::Pool;
use crate::decide::pool::tally::{Share, Tally, join, leave};
use crate::decide::pool::{Node, Shared};
use crate::decide::quantity::Sum;
use crate::decide::requests::Resources;
use crate::world::nodes::texts::Texts;
use crate::world::pools::{Id, Name, Pools, owned};

/// All nodes and all selectors.
#[derive(Debug, Default)]
pub struct Nodes {
    known: HashMap<Name, Node<Shared>>,
    labels: Texts,
    offers: Texts,
    pools: Pools,
    seats: HashMap<String, Seat>,
    benches: BTreeMap<Seat, Bench>,
    /// What the pods on each node request together; none unless all pods are watched.
    requested: Option<HashMap<Name, Resources>>,
}

/// The pool that a Compute selects, and what it tolerates.
type Seat = (Id, Arc<[Toleration]>);

/// The Computes that select and tolerate the same: a node adds the same for each of them.
#[derive(Debug)]
struct Bench {
    computes: BTreeSet<String>,
    tally: Tally,
}

/// The benches of a pool.
fn of_pool(
    benches: &mut BTreeMap<Seat, Bench>,
    pool: Id,
) -> impl Iterator<Item = (&[Toleration], &mut Bench)> {
    // No tolerations come before any others.
    let least = |pool: Id| -> Seat { (pool, Arc::from([])) };
    benches.range_mut(least(pool)..least(pool + 1)).map(|((_, tolerations), bench)| (&**tolerations, bench))
}

impl Nodes {
    /// Counts what pods request from now on.
    pub fn count_requests(&mut self) {
        self.requested.get_or_insert_default();
    }

    /// Takes in what a node is now; returns the Computes whose pool that changes.
    pub fn apply(&mut self, name: &str, node: Option<Node>) -> Vec<String> {
        let (name, before) = match self.known.remove_entry(name) {
            Some((name, before)) => (name, Some(before)),
            None => (Name::from(name), None),
        };
        let node = node.map(|node| self.keep(node));
        let mut concerned = BTreeSet::new();
        if before != node {
            let was = self.pools.of(&name);
            let same_labels =
                before.as_ref().map(|node| &node.labels) == node.as_ref().map(|node| &node.labels);
            let now = if same_labels { was.clone() } else { self.pools_for(node.as_ref()) };
            for id in was.union(&now) {
                let is = |at: &BTreeSet<Id>| at.contains(id);
                let before = before.as_ref().filter(|_| is(&was));
                self.shares_changed(*id, &name, before, node.as_ref().filter(|_| is(&now)), &mut concerned);
            }
            concerned.extend(self.pools.place(&name, now));
        }
        if let Some(before) = before {
            self.labels.let_go(before.labels);
            self.offers.let_go(before.allocatable);
        }
        if let Some(node) = node {
            self.known.insert(name, node);
        }
        concerned.into_iter().collect()
    }

    /// A node with the texts that it has in common with others.
    fn keep(&mut self, node: Node) -> Node<Shared> {
        let Node { labels, ready, unschedulable, taints, allocatable } = node;
        let (labels, allocatable) = (self.labels.hold(labels), self.offers.hold(allocatable));
        Node { labels, ready, unschedulable, taints, allocatable }
    }

    /// The pools that a node with these labels is in.
    fn pools_for(&self, node: Option<&Node<Shared>>) -> BTreeSet<Id> {
        let Some(node) = node else { return BTreeSet::new() };
        let posted = node.labels.iter().flat_map(|label| self.pools.posted(label));
        posted.filter(|id| self.pools.takes(*id, node)).collect()
    }

    /// A node adds something else to a pool than before: for whom that makes a difference.
    fn shares_changed(
        &mut self,
        pool: Id,
        name: &Name,
        before: Option<&Node<Shared>>,
        now: Option<&Node<Shared>>,
        concerned: &mut BTreeSet<String>,
    ) {
        let requested = self.requested.as_ref().and_then(|requested| requested.get(name));
        for (tolerations, Bench { computes, tally }) in of_pool(&mut self.benches, pool) {
            let was = before.map(|node| Share::of(node, tolerations));
            let is = now.map(|node| Share::of(node, tolerations));
            if was == is {
                continue;
            }
            if let Some(was) = &was {
                tally.leave(was, requested);
            }
            if let Some(is) = &is {
                tally.join(is, requested);
            }
            concerned.extend(computes.iter().cloned());
        }
    }

    /// The pods on a node request this less and this more than before; returns the Computes whose pool that changes.
    pub fn request(&mut self, name: &str, less: &[(String, Sum)], more: &[(String, Sum)]) -> Vec<String> {
        let Some(requested) = &mut self.requested else { return Vec::new() };
        let on_node = requested.entry(Name::from(name)).or_default();
        join(on_node, more.iter().map(|(name, sum)| (name, sum)));
        leave(on_node, less.iter().map(|(name, sum)| (name, sum)));
        if on_node.is_empty() {
            requested.remove(name);
        }
        let Some(node) = self.known.get(name) else { return Vec::new() };
        let mut concerned = Vec::new();
        for pool in self.pools.of(name) {
            for (tolerations, Bench { computes, tally }) in of_pool(&mut self.benches, pool) {
                if node.takes(tolerations) {
                    tally.request(more.iter().map(|(name, sum)| (name, sum)));
                    tally.release(less.iter().map(|(name, sum)| (name, sum)));
                    concerned.extend(computes.iter().cloned());
                }
            }
        }
        concerned
    }

    /// Says what a Compute selects, and whether it counts for others that select the same nodes; returns the Computes whose
    /// overlap that changes.
    pub fn select(
        &mut self,
        compute: &str,
        pairs: &BTreeMap<String, String>,
        tolerations: Vec<Toleration>,
        counts: bool,
    ) -> BTreeSet<String> {
        if let Some((pool, known)) = self.seats.get(compute)
            && self.pools.is(*pool, pairs, counts)
        {
            if **known != tolerations {
                let pool = *pool;
                self.unseat(compute);
                self.seat(compute, pool, tolerations);
            }
            return BTreeSet::new();
        }
        let mut concerned = self.forget(compute);
        let rarest = pairs.iter().map(owned).map(|pair| (self.labels.count(&pair), pair)).min();
        let Some((candidates, posted_under)) = rarest else { return concerned };
        let selector = Arc::new(pairs.clone());
        let pool = self.pools.find(&selector, counts).unwrap_or_else(|| {
            // Who opens a pool looks at every node once; an index to spare that would weigh more than all nodes.
            let known = self.known.iter().filter(|(_, node)| candidates > 0 && node.matches(pairs));
            let nodes = known.map(|(name, _)| name.clone()).collect();
            self.pools.open(selector, counts, posted_under, nodes)
        });
        self.seat(compute, pool, tolerations);
        concerned.extend(self.pools.enter(pool, compute));
        concerned
    }

    /// Puts a Compute beside those that select and tolerate the same; for the first one, its pool is counted.
    fn seat(&mut self, compute: &str, pool: Id, tolerations: Vec<Toleration>) {
        let seat: Seat = (pool, tolerations.into());
        let known = self.benches.get_key_value(&seat).map(|(seat, _)| seat.clone());
        let seat = known.unwrap_or(seat);
        let bench = self.benches.entry(seat.clone()).or_insert_with(|| {
            let mut tally = Tally::default();
            for name in self.pools.nodes(pool) {
                let requested = self.requested.as_ref().and_then(|requested| requested.get(name));
                if let Some(node) = self.known.get(name) {
                    tally.join(&Share::of(node, &seat.1), requested);
                }
            }
            Bench { computes: BTreeSet::new(), tally }
        });
        bench.computes.insert(compute.to_owned());
        self.seats.insert(compute.to_owned(), seat);
    }

    /// Takes a Compute from its pool; gives back which that was.
    fn unseat(&mut self, compute: &str) -> Option<Id> {
        let seat = self.seats.remove(compute)?;
        if let Some(bench) = self.benches.get_mut(&seat) {
            bench.computes.remove(compute);
            if bench.computes.is_empty() {
                self.benches.remove(&seat);
            }
        }
        Some(seat.0)
    }

    /// Forgets what a Compute selects; returns the Computes whose overlap that changes.
    pub fn forget(&mut self, compute: &str) -> BTreeSet<String> {
        match self.unseat(compute) {
            Some(pool) => self.pools.exit(pool, compute),
            None => BTreeSet::new(),
        }
    }

    /// The pool of a Compute.
    pub fn pool(&self, compute: &str) -> Pool {
        let Some(seat) = self.seats.get(compute) else { return Pool::default() };
        let Some(Bench { tally, .. }) = self.benches.get(seat) else { return Pool::default() };
        Pool { overlap: self.pools.overlap(seat.0, compute), ..tally.pool(self.requested.is_some()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compute::TaintEffect::{NoSchedule, PreferNoSchedule};

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn node(pairs: &[(&str, &str)], ready: bool) -> Option<Node> {
        Some(Node { labels: labels(pairs), ready, ..Node::default() })
    }

    fn select(nodes: &mut Nodes, compute: &str, pairs: &[(&str, &str)]) {
        nodes.select(compute, &labels(pairs), vec![], true);
    }

    #[test]
    fn a_node_concerns_only_the_computes_that_it_joins_leaves_or_serves() {
        let mut nodes = Nodes::default();
        select(&mut nodes, "query", &[("purpose", "query")]);
        select(&mut nodes, "fast", &[("purpose", "query"), ("disk", "ssd")]);
        select(&mut nodes, "gpu", &[("purpose", "gpu")]);
        assert_eq!(nodes.apply("a", node(&[("purpose", "query")], true)), ["query"]);
        assert!(nodes.apply("a", node(&[("purpose", "query")], true)).is_empty(), "nothing changed");
        assert!(
            nodes.apply("a", node(&[("purpose", "query"), ("x", "y")], true)).is_empty(),
            "a foreign label"
        );
        assert_eq!(
            nodes.apply("a", node(&[("purpose", "query"), ("disk", "ssd")], false)),
            ["fast", "query"]
        );
        assert_eq!(nodes.pool("query").counts.summary, "0/1");
        assert_eq!(
            nodes.apply("a", node(&[("purpose", "query"), ("disk", "hdd")], false)),
            ["fast", "query"],
            "one loses it, and for the other it is no longer shared"
        );
        assert_eq!(nodes.apply("a", None), ["query"]);
        assert_eq!(nodes.pool("query").counts.matched, 0);
        assert!(
            nodes.labels.is_empty() && nodes.offers.is_empty() && nodes.known.is_empty(),
            "nothing is kept of a node that is gone"
        );
    }

    #[test]
    fn a_selector_finds_the_nodes_that_are_there_already() {
        let mut nodes = Nodes::default();
        for name in ["a", "b"] {
            nodes.apply(name, node(&[("purpose", "query"), ("host", name)], true));
        }
        select(&mut nodes, "all", &[("purpose", "query")]);
        select(&mut nodes, "one", &[("purpose", "query"), ("host", "b")]);
        assert_eq!(nodes.pool("all").counts.matched, 2);
        assert_eq!(nodes.pool("one").counts.matched, 1);
        assert_eq!(nodes.pool("all").overlap.unwrap().names, ["one"]);
        select(&mut nodes, "one", &[("host", "c")]);
        assert_eq!(nodes.pool("one").counts.matched, 0, "an edit is a new selector");
        assert_eq!(nodes.pool("all").overlap, None);
        nodes.forget("all");
        nodes.forget("one");
        assert!(
            nodes.seats.is_empty() && nodes.benches.is_empty(),
            "nothing is kept of a Compute that is gone"
        );
    }

    #[test]
    fn what_changes_nothing_for_a_compute_does_not_concern_it() {
        let taint =
            |key: &str, effect| crate::decide::pool::Taint { key: key.into(), value: String::new(), effect };
        let mut nodes = Nodes::default();
        let tolerant: Toleration =
            serde_json::from_value(serde_json::json!({"key": "gpu", "operator": "Exists"})).unwrap();
        nodes.select("tolerant", &labels(&[("pool", "a")]), vec![tolerant], true);
        nodes.select("strict", &labels(&[("pool", "a")]), vec![], true);
        let with = |taints| Node { taints, ..node(&[("pool", "a")], true).unwrap() };
        nodes.apply("n", Some(with(vec![])));
        assert!(nodes.apply("n", Some(with(vec![taint("x", PreferNoSchedule)]))).is_empty());
        // That it is fenced off now is news to both, another such taint only to whom it keeps away.
        assert_eq!(nodes.apply("n", Some(with(vec![taint("gpu", NoSchedule)]))), ["strict", "tolerant"]);
        let two = vec![taint("gpu", NoSchedule), taint("x", NoSchedule)];
        assert_eq!(nodes.apply("n", Some(with(two.clone()))), ["strict", "tolerant"]);
        assert_eq!(nodes.pool("strict").counts.untolerated, 1);
        assert_eq!(nodes.pool("strict").taints.len(), 2);
        let more = Node { allocatable: labels(&[("cpu", "4")]), ..with(two) };
        assert!(nodes.apply("n", Some(more)).is_empty(), "it offers nothing to either");
    }

    #[test]
    fn requests_are_counted_where_pods_run() {
        let mut nodes = Nodes::default();
        let cpu = |quantity: &str| [("cpu".to_owned(), Sum::of(quantity))];
        let offer = |cpu: &str| Node {
            allocatable: labels(&[("cpu", cpu)]),
            ..node(&[("pool", "a")], true).unwrap()
        };
        assert!(nodes.request("n", &[], &cpu("1")).is_empty(), "not counted");
        nodes.count_requests();
        // Pods may be listed before their node is.
        assert!(nodes.request("n", &[], &cpu("1")).is_empty());
        nodes.apply("n", Some(offer("4")));
        select(&mut nodes, "a", &[("pool", "a")]);
        let usage = |nodes: &Nodes| {
            let usage = nodes.pool("a").usage.unwrap();
            (usage.requested["cpu"].0.clone(), usage.free["cpu"].0.clone())
        };
        assert_eq!(usage(&nodes), ("1".into(), "3".into()));
        assert_eq!(nodes.request("n", &cpu("1"), &cpu("1500m")), ["a"]);
        assert_eq!(usage(&nodes), ("1500m".into(), "2500m".into()));
        nodes.apply("n", Some(Node { unschedulable: true, ..offer("4") }));
        assert_eq!(nodes.pool("a").usage.unwrap().requested.len(), 0);
        assert!(nodes.request("n", &cpu("1500m"), &[]).is_empty(), "a cordoned node offers nothing");
        nodes.apply("n", Some(offer("4")));
        assert_eq!(usage(&nodes), ("0".into(), "4".into()));
        assert!(nodes.requested.unwrap().is_empty());
    }

    /// Issue 4: 1,000 nodes and 1,000 Computes in 100 pools.
    #[test]
    fn in_a_large_cluster_a_node_concerns_only_its_pool() {
        let mut nodes = Nodes::default();
        let pool = |index: usize| format!("pool-{}", index % 100);
        for index in 0..1000 {
            nodes.apply(
                &format!("node-{index}"),
                node(&[("pool", &pool(index)), ("host", &index.to_string())], true),
            );
        }
        for index in 0..1000 {
            select(&mut nodes, &format!("compute-{index}"), &[("pool", &pool(index))]);
        }
        let looked_at = [("pool", "pool-7"), ("host", "7")]
            .map(|(key, value)| nodes.pools.posted(&(key.to_owned(), value.to_owned())).count());
        assert_eq!(looked_at, [1, 0], "its labels lead to its pool, and to no other");
        let concerned = |nodes: &mut Nodes, value: &str, ready| {
            nodes.apply("node-7", node(&[("pool", value), ("host", "7")], ready)).len()
        };
        assert_eq!(concerned(&mut nodes, "pool-7", true), 0, "a heartbeat");
        assert_eq!(concerned(&mut nodes, "pool-7", false), 10);
        assert_eq!(concerned(&mut nodes, "pool-8", false), 20, "those that lose it and those that get it");
        assert_eq!(concerned(&mut nodes, "elsewhere", false), 10);
        assert_eq!(concerned(&mut nodes, "elsewhere", true), 0);
        assert_eq!(nodes.pool("compute-7").counts.summary, "9/9");
        let overlap = nodes.pool("compute-7").overlap.unwrap();
        assert_eq!((overlap.names.len(), overlap.more, overlap.nodes), (5, 4, None));
        // A Compute more or less concerns those of its pool.
        assert_eq!(nodes.forget("compute-107").len(), 9);
    }
}

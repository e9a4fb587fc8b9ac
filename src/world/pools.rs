//! Which pools there are, which nodes they have, and which of them share nodes.
//!
//! Computes with the same selector have one pool together: most overlaps are of that kind, and cost nothing to keep.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::decide::observed::Overlap;
use crate::decide::pool::words::coarse;
use crate::decide::pool::{Node, Shared};

/// A label: key and value.
pub(super) type Pair = (String, String);
/// Labels of a node, or of a selector.
pub(super) type Labels = BTreeMap<String, String>;
/// The name of a node.
pub(super) type Name = Arc<str>;
/// A pool, as long as there is one Compute that selects it.
pub(super) type Id = u64;

/// How many other Computes a status names.
const NAMED: usize = 5;

/// All pools.
#[derive(Debug, Default)]
pub(super) struct Pools {
    by_id: HashMap<Id, Pool>,
    by_selector: HashMap<(Arc<Labels>, bool), Id>,
    /// Each pool is posted under one pair of its selector: a node that lacks it cannot be in the pool.
    posted: HashMap<Pair, BTreeSet<Id>>,
    of_node: HashMap<Name, Box<[Id]>>,
    next: Id,
}

/// The nodes of one selector.
#[derive(Debug)]
struct Pool {
    selector: Arc<Labels>,
    posted_under: Pair,
    /// Whether its Computes count for others. Those that are being deleted do not, and have a pool apart.
    counts: bool,
    nodes: BTreeSet<Name>,
    computes: BTreeSet<String>,
    /// Other pools that have some of the nodes, and how many.
    neighbours: BTreeMap<Id, u32>,
    /// How many of the nodes are in another pool too.
    shared: u32,
    said: Said,
}

/// What the Computes of a pool say of their overlap, each without itself. Nothing while there is no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    /// One more than is named: a Compute that is not among them leaves out the last one.
    first: Vec<String>,
    /// How many more there are for each; coarse where they are many.
    more: usize,
    /// How many nodes are shared; none when all are.
    nodes: Option<u32>,
}

impl Pools {
    /// The pool of a selector, if there is one already.
    pub(super) fn find(&self, selector: &Arc<Labels>, counts: bool) -> Option<Id> {
        self.by_selector.get(&(selector.clone(), counts)).copied()
    }

    /// The pools that a node with this label might be in.
    pub(super) fn posted(&self, label: &Pair) -> impl Iterator<Item = Id> {
        self.posted.get(label).into_iter().flatten().copied()
    }

    /// Whether a node with these labels is in a pool.
    pub(super) fn takes(&self, id: Id, node: &Node<Shared>) -> bool {
        self.by_id.get(&id).is_some_and(|pool| node.matches(&pool.selector))
    }

    /// Whether a pool is the one of this selector.
    pub(super) fn is(&self, id: Id, selector: &Labels, counts: bool) -> bool {
        self.by_id.get(&id).is_some_and(|pool| *pool.selector == *selector && pool.counts == counts)
    }

    /// The nodes of a pool.
    pub(super) fn nodes(&self, id: Id) -> impl Iterator<Item = &Name> {
        self.by_id.get(&id).into_iter().flat_map(|pool| &pool.nodes)
    }

    /// The pools of a node.
    pub(super) fn of(&self, node: &str) -> BTreeSet<Id> {
        self.of_node.get(node).into_iter().flatten().copied().collect()
    }

    /// Opens the pool of a selector with these nodes. Whose answers change is told when a Compute enters it.
    pub(super) fn open(
        &mut self,
        selector: Arc<Labels>,
        counts: bool,
        posted_under: Pair,
        nodes: Vec<Name>,
    ) -> Id {
        let id = self.next;
        self.next += 1;
        self.by_selector.insert((selector.clone(), counts), id);
        self.posted.entry(posted_under.clone()).or_default().insert(id);
        let pool = Pool {
            selector,
            posted_under,
            counts,
            nodes: BTreeSet::new(),
            computes: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            shared: 0,
            said: Said::default(),
        };
        self.by_id.insert(id, pool);
        let mut touched = BTreeSet::new();
        for node in nodes {
            let mut now = self.of(&node);
            now.insert(id);
            self.shift(&node, now, &mut touched);
        }
        id
    }

    /// A Compute enters a pool. Returns the Computes whose overlap that changes.
    pub(super) fn enter(&mut self, id: Id, compute: &str) -> BTreeSet<String> {
        if let Some(pool) = self.by_id.get_mut(&id) {
            pool.computes.insert(compute.to_owned());
        }
        self.say(self.around(id))
    }

    /// A Compute leaves a pool; the last one closes it. Returns the Computes whose overlap that changes.
    pub(super) fn exit(&mut self, id: Id, compute: &str) -> BTreeSet<String> {
        let Some(pool) = self.by_id.get_mut(&id) else { return BTreeSet::new() };
        pool.computes.remove(compute);
        let empty = pool.computes.is_empty();
        let mut touched = self.around(id);
        if empty {
            let nodes: Vec<Name> = self.nodes(id).cloned().collect();
            for node in nodes {
                let mut now = self.of(&node);
                now.remove(&id);
                self.shift(&node, now, &mut touched);
            }
            if let Some(pool) = self.by_id.remove(&id) {
                self.by_selector.remove(&(pool.selector, pool.counts));
                if let Some(posted) = self.posted.get_mut(&pool.posted_under) {
                    posted.remove(&id);
                    if posted.is_empty() {
                        self.posted.remove(&pool.posted_under);
                    }
                }
            }
        }
        self.say(touched)
    }

    /// A node is in these pools now. Returns the Computes whose overlap that changes.
    pub(super) fn place(&mut self, node: &Name, now: BTreeSet<Id>) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        self.shift(node, now, &mut touched);
        self.say(touched)
    }

    /// The overlap of a Compute of a pool.
    pub(super) fn overlap(&self, id: Id, compute: &str) -> Option<Overlap> {
        let Said { first, more, nodes } = &self.by_id.get(&id)?.said;
        let names: Vec<String> = first.iter().filter(|name| *name != compute).take(NAMED).cloned().collect();
        (!names.is_empty()).then_some(Overlap { names, more: *more, nodes: *nodes })
    }

    fn around(&self, id: Id) -> BTreeSet<Id> {
        let neighbours = self.by_id.get(&id).into_iter().flat_map(|pool| pool.neighbours.keys());
        neighbours.copied().chain([id]).collect()
    }

    /// Moves a node from the pools that it was in to these; `touched` gets those whose answer may have changed.
    fn shift(&mut self, node: &Name, now: BTreeSet<Id>, touched: &mut BTreeSet<Id>) {
        let was = self.of(node);
        if was == now {
            return;
        }
        for id in was.difference(&now) {
            if let Some(pool) = self.by_id.get_mut(id) {
                pool.nodes.remove(node);
            }
        }
        for id in now.difference(&was) {
            if let Some(pool) = self.by_id.get_mut(id) {
                pool.nodes.insert(node.clone());
            }
        }
        self.relate(&self.counting(&was), &self.counting(&now));
        touched.extend(was.iter().chain(&now));
        if now.is_empty() {
            self.of_node.remove(node);
        } else {
            self.of_node.insert(node.clone(), now.into_iter().collect());
        }
    }

    /// The pools of these that count for others.
    fn counting(&self, ids: &BTreeSet<Id>) -> BTreeSet<Id> {
        ids.iter().filter(|id| self.by_id.get(id).is_some_and(|pool| pool.counts)).copied().collect()
    }

    /// A node that was in some pools is in others now: which pools share it.
    fn relate(&mut self, was: &BTreeSet<Id>, now: &BTreeSet<Id>) {
        for (ids, by) in [(was, -1), (now, 1)] {
            for id in ids.iter().filter(|_| ids.len() > 1) {
                if let Some(pool) = self.by_id.get_mut(id) {
                    pool.shared = pool.shared.saturating_add_signed(by);
                }
            }
        }
        for id in was.difference(now) {
            for other in was.iter().filter(|other| *other != id) {
                self.unlink(*id, *other);
                // Where both leave, the other one does the other half.
                if now.contains(other) {
                    self.unlink(*other, *id);
                }
            }
        }
        for id in now.difference(was) {
            for other in now.iter().filter(|other| *other != id) {
                self.link(*id, *other);
                if was.contains(other) {
                    self.link(*other, *id);
                }
            }
        }
    }

    fn link(&mut self, id: Id, other: Id) {
        if let Some(pool) = self.by_id.get_mut(&id) {
            *pool.neighbours.entry(other).or_default() += 1;
        }
    }

    fn unlink(&mut self, id: Id, other: Id) {
        let Some(pool) = self.by_id.get_mut(&id) else { return };
        if let Some(nodes) = pool.neighbours.get_mut(&other) {
            *nodes = nodes.saturating_sub(1);
            if *nodes == 0 {
                pool.neighbours.remove(&other);
            }
        }
    }

    /// Says anew what the Computes of these pools say of their overlap; returns those for whom it changed.
    fn say(&mut self, touched: BTreeSet<Id>) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        for id in touched {
            let Some(said) = self.said(id) else { continue };
            let Some(pool) = self.by_id.get_mut(&id) else { continue };
            if pool.said != said {
                pool.said = said;
                concerned.extend(pool.computes.iter().cloned());
            }
        }
        concerned
    }

    fn said(&self, id: Id) -> Option<Said> {
        let pool = self.by_id.get(&id).filter(|pool| pool.counts)?;
        let mut first: Vec<&String> = pool.computes.iter().take(NAMED + 1).collect();
        let mut all = pool.computes.len();
        for neighbour in pool.neighbours.keys().filter_map(|id| self.by_id.get(id)) {
            first.extend(neighbour.computes.iter().take(NAMED + 1));
            all += neighbour.computes.len();
        }
        if all < 2 {
            return Some(Said::default());
        }
        // A Compute is in one pool alone, so no name comes twice.
        first.sort();
        first.truncate(NAMED + 1);
        let every = pool.computes.len() > 1 || usize::try_from(pool.shared) == Ok(pool.nodes.len());
        Some(Said {
            more: coarse(all - first.len()),
            first: first.into_iter().cloned().collect(),
            nodes: (!every).then_some(pool.shared),
        })
    }
}

pub(super) fn owned((key, value): (&String, &String)) -> Pair {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(node: &str) -> Name {
        Arc::from(node)
    }

    fn open(pools: &mut Pools, value: &str, nodes: &[&str]) -> Id {
        let pair = ("pool".to_owned(), value.to_owned());
        let selector = Arc::new(Labels::from([pair.clone()]));
        pools.open(selector, true, pair, nodes.iter().map(|node| name(node)).collect())
    }

    fn names(overlap: Option<Overlap>) -> (Vec<String>, usize, Option<u32>) {
        overlap.map(|overlap| (overlap.names, overlap.more, overlap.nodes)).unwrap_or_default()
    }

    #[test]
    fn pools_that_share_nodes_know_each_other_as_long_as_they_do() {
        let mut pools = Pools::default();
        let a = open(&mut pools, "a", &["n1", "n2"]);
        assert!(pools.enter(a, "a").is_empty(), "nobody else is concerned, nor is it");
        let b = open(&mut pools, "b", &["n2", "n3"]);
        assert_eq!(pools.enter(b, "b"), ["a".to_owned(), "b".to_owned()].into());
        assert_eq!(names(pools.overlap(a, "a")), (vec!["b".into()], 0, Some(1)));
        // A node that both have already changes nothing for them when it joins a third one alone.
        let c = open(&mut pools, "c", &[]);
        pools.enter(c, "c");
        assert_eq!(pools.place(&name("n1"), [a, b].into()), ["a".to_owned(), "b".to_owned()].into());
        assert_eq!(names(pools.overlap(a, "a")), (vec!["b".into()], 0, None), "all nodes of a");
        assert_eq!(names(pools.overlap(b, "b")), (vec!["a".into()], 0, Some(2)));
        assert_eq!(pools.overlap(c, "c"), None);
        assert!(pools.place(&name("n4"), [c].into()).is_empty());
        assert_eq!(pools.exit(b, "b"), ["a".to_owned()].into());
        assert_eq!(pools.overlap(a, "a"), None);
        pools.exit(a, "a");
        pools.exit(c, "c");
        assert!(pools.by_id.is_empty() && pools.of_node.is_empty() && pools.posted.is_empty());
        assert!(pools.by_selector.is_empty());
    }

    #[test]
    fn computes_of_one_pool_overlap_and_a_crowd_is_told_coarsely() {
        let mut pools = Pools::default();
        let id = open(&mut pools, "a", &["n1"]);
        let mut told = 0;
        for index in 0..1000 {
            told += pools.enter(id, &format!("c-{index:03}")).len();
        }
        // Without a coarse count each new one would be news to all before it: half a million.
        assert!(told < 7000, "{told}");
        let expect: Vec<String> = [0, 1, 2, 3, 4].map(|index| format!("c-{index:03}")).into();
        assert_eq!(names(pools.overlap(id, "c-900")), (expect, 500, None));
        assert_eq!(pools.overlap(id, "c-000").unwrap().names.last().unwrap(), "c-005");
    }

    #[test]
    fn what_does_not_count_is_no_other() {
        let mut pools = Pools::default();
        let a = open(&mut pools, "a", &["n1"]);
        pools.enter(a, "a");
        let pair = ("pool".to_owned(), "b".to_owned());
        let going = pools.open(Arc::new([pair.clone()].into()), false, pair, vec![name("n1")]);
        assert!(pools.enter(going, "b").is_empty());
        assert_eq!((pools.overlap(a, "a"), pools.overlap(going, "b")), (None, None));
        assert!(pools.exit(going, "b").is_empty());
    }
}

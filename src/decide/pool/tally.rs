//! The nodes of a pool, summed: one that comes, goes or changes costs as much as one, however large the pool is.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::compute::Toleration;
use crate::api::status::NodeCounts;
use crate::decide::observed::{Pool, Usage};
use crate::decide::pool::{Node, Shared, Taint};
use crate::decide::quantity::Sum;
use crate::decide::requests::Resources;

/// The most resources that `status.capacity` names; the nodes' own lists decide which.
const CAPACITY_RESOURCES: usize = 16;
/// How many taints a message names.
const TAINTS: usize = 3;

/// What one node adds to the pool of a Compute. While it adds the same, nothing changed for that Compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Share<'a> {
    ready: bool,
    open: bool,
    /// Of a node that is ready and not cordoned: the taints that keep the Compute away.
    untolerated: Vec<&'a Taint>,
    /// Of a node that takes pods of the Compute: what it offers.
    offers: Option<&'a Shared>,
}

impl<'a> Share<'a> {
    /// What this node adds for a Compute with these tolerations.
    pub fn of(node: &'a Node<Shared>, tolerations: &'a [Toleration]) -> Self {
        let usable = node.ready && !node.unschedulable;
        Self {
            ready: node.ready,
            open: node.is_open(),
            untolerated: if usable { node.untolerated(tolerations).collect() } else { Vec::new() },
            offers: node.takes(tolerations).then_some(&node.allocatable),
        }
    }

    /// Whether the node takes pods of the Compute.
    pub fn is_schedulable(&self) -> bool {
        self.offers.is_some()
    }
}

/// The sums over a pool.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    matched: u32,
    ready: u32,
    schedulable: u32,
    untolerated: u32,
    untainted: u32,
    taints: BTreeMap<String, (Taint, u32)>,
    allocatable: Resources,
    requested: Resources,
}

impl Tally {
    /// A node joins the pool; `requested` is what the pods on it request.
    pub fn join(&mut self, share: &Share<'_>, requested: Option<&Resources>) {
        let (ready, schedulable, untolerated, untainted) = ones(share);
        self.matched += 1;
        self.ready += ready;
        self.schedulable += schedulable;
        self.untolerated += untolerated;
        self.untainted += untainted;
        for taint in &share.untolerated {
            self.taints.entry(taint.to_string()).or_insert_with(|| ((*taint).clone(), 0)).1 += 1;
        }
        for (resource, quantity) in offered(share) {
            match self.allocatable.get_mut(resource) {
                Some(sum) => sum.add(quantity),
                None => drop(self.allocatable.insert(resource.clone(), Sum::of(quantity))),
            }
        }
        if share.is_schedulable() {
            join(&mut self.requested, requested.into_iter().flatten());
        }
    }

    /// A node that joined with this share leaves.
    pub fn leave(&mut self, share: &Share<'_>, requested: Option<&Resources>) {
        let (ready, schedulable, untolerated, untainted) = ones(share);
        self.matched = self.matched.saturating_sub(1);
        self.ready = self.ready.saturating_sub(ready);
        self.schedulable = self.schedulable.saturating_sub(schedulable);
        self.untolerated = self.untolerated.saturating_sub(untolerated);
        self.untainted = self.untainted.saturating_sub(untainted);
        for taint in &share.untolerated {
            let text = taint.to_string();
            if let Some((_, nodes)) = self.taints.get_mut(&text) {
                *nodes = nodes.saturating_sub(1);
                if *nodes == 0 {
                    self.taints.remove(&text);
                }
            }
        }
        let offered: Vec<_> =
            offered(share).map(|(resource, quantity)| (resource, Sum::of(quantity))).collect();
        leave(&mut self.allocatable, offered.iter().map(|(resource, sum)| (*resource, sum)));
        if share.is_schedulable() {
            leave(&mut self.requested, requested.into_iter().flatten());
        }
    }

    /// Pods come to a schedulable node of the pool.
    pub fn request<'a>(&mut self, more: impl Iterator<Item = (&'a String, &'a Sum)>) {
        join(&mut self.requested, more);
    }

    /// Pods leave a schedulable node of the pool.
    pub fn release<'a>(&mut self, less: impl Iterator<Item = (&'a String, &'a Sum)>) {
        leave(&mut self.requested, less);
    }

    /// The pool as a pass sees it, with what pods request of it if they are watched.
    pub fn pool(&self, with_usage: bool) -> Pool {
        let mut offered: Vec<_> = self.allocatable.iter().collect();
        // The three that everyone asks for first, then by name, so that the bound never drops them.
        let rank =
            |name: &str| ["cpu", "memory", "pods"].iter().position(|known| *known == name).unwrap_or(3);
        offered.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then(a.cmp(b)));
        offered.truncate(CAPACITY_RESOURCES);
        let nothing = Sum::default();
        let each = |value: &dyn Fn(&Sum, &Sum) -> String| -> BTreeMap<String, Quantity> {
            let requested = |name: &String| self.requested.get(name).unwrap_or(&nothing);
            let one =
                |(name, offer): &(&String, &Sum)| ((*name).clone(), Quantity(value(offer, requested(name))));
            offered.iter().map(one).collect()
        };
        Pool {
            counts: NodeCounts {
                matched: self.matched,
                ready: self.ready,
                schedulable: self.schedulable,
                untolerated: self.untolerated,
                untainted: self.untainted,
                summary: format!("{}/{}", self.schedulable, self.matched),
            },
            taints: self.taints.values().map(|(taint, _)| taint.clone()).take(TAINTS).collect(),
            more_taints: self.taints.len().saturating_sub(TAINTS),
            allocatable: each(&|offer, _| offer.to_string()),
            usage: with_usage.then(|| Usage {
                requested: each(&|_, requested| requested.to_string()),
                free: each(&|offer, requested| offer.without(requested).to_string()),
            }),
            overlap: None,
        }
    }
}

/// What a node offers to the Compute: resources, and how much of each.
fn offered<'a>(share: &Share<'a>) -> impl Iterator<Item = (&'a String, &'a String)> {
    share.offers.into_iter().flatten().map(|pair| (&pair.0, &pair.1))
}

fn ones(share: &Share<'_>) -> (u32, u32, u32, u32) {
    (
        u32::from(share.ready),
        u32::from(share.is_schedulable()),
        u32::from(!share.untolerated.is_empty()),
        u32::from(share.open),
    )
}

/// Adds amounts to others.
pub fn join<'a>(all: &mut Resources, more: impl Iterator<Item = (&'a String, &'a Sum)>) {
    for (resource, sum) in more {
        match all.get_mut(resource) {
            Some(known) => known.join(sum),
            None => drop(all.insert(resource.clone(), sum.clone())),
        }
    }
}

/// Takes amounts off again.
pub fn leave<'a>(all: &mut Resources, less: impl Iterator<Item = (&'a String, &'a Sum)>) {
    for (resource, sum) in less {
        if let Some(known) = all.get_mut(resource) {
            known.leave(sum);
            if known.is_empty() {
                all.remove(resource);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::compute::{TaintEffect, TolerationOperator};

    fn taint(key: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.into(), value: String::new(), effect }
    }

    fn offer(resource: &str, quantity: &str) -> Arc<(String, String)> {
        Arc::new((resource.to_owned(), quantity.to_owned()))
    }

    fn node(ready: bool, unschedulable: bool, taints: Vec<Taint>) -> Node<Shared> {
        Node { ready, unschedulable, taints, allocatable: [offer("cpu", "4")].into(), ..Node::default() }
    }

    fn count(nodes: &[Node<Shared>], tolerations: &[Toleration]) -> Tally {
        let mut tally = Tally::default();
        for node in nodes {
            tally.join(&Share::of(node, tolerations), None);
        }
        tally
    }

    #[test]
    fn a_pool_counts_matched_ready_and_schedulable_apart() {
        let nodes = [
            node(true, false, vec![]),
            node(true, true, vec![]),
            node(false, false, vec![]),
            node(true, false, vec![taint("x", TaintEffect::NoSchedule)]),
            node(true, false, vec![taint("x", TaintEffect::PreferNoSchedule)]),
            node(true, true, vec![taint("y", TaintEffect::NoExecute)]),
        ];
        let pool = count(&nodes, &[]).pool(false);
        let counts = pool.counts;
        assert_eq!((counts.matched, counts.ready, counts.schedulable), (6, 5, 2));
        assert_eq!((counts.untolerated, counts.untainted), (1, 4));
        assert_eq!(counts.summary, "2/6");
        assert_eq!(pool.allocatable["cpu"].0, "8");
        assert_eq!(pool.taints, [taint("x", TaintEffect::NoSchedule)]);
        assert_eq!(pool.usage, None);
        let all = Toleration {
            key: Some("x".into()),
            operator: TolerationOperator::Exists,
            value: None,
            effect: None,
        };
        assert_eq!(count(&nodes, &[all]).pool(false).counts.untolerated, 0);
    }

    #[test]
    fn what_left_leaves_nothing_behind() {
        let nodes = [node(true, false, vec![taint("x", TaintEffect::NoSchedule)]), node(true, false, vec![])];
        let mut tally = count(&nodes, &[]);
        for node in &nodes {
            tally.leave(&Share::of(node, &[]), None);
        }
        assert_eq!(tally.pool(true), Tally::default().pool(true));
        assert!(tally.taints.is_empty() && tally.allocatable.is_empty());
    }

    #[test]
    fn what_pods_request_and_what_is_left_is_of_the_schedulable_nodes() {
        let requested: Resources =
            [("cpu".to_owned(), Sum::of("1500m")), ("example.com/other".to_owned(), Sum::of("1"))].into();
        let mut tally = Tally::default();
        tally.join(&Share::of(&node(true, false, vec![]), &[]), Some(&requested));
        tally.join(&Share::of(&node(true, true, vec![]), &[]), Some(&requested));
        let usage = |tally: &Tally| tally.pool(true).usage.unwrap();
        assert_eq!(usage(&tally).requested["cpu"].0, "1500m");
        assert_eq!(usage(&tally).free["cpu"].0, "2500m");
        assert_eq!(usage(&tally).requested.len(), 1, "only what the nodes offer is told");
        tally.request([(&"cpu".to_owned(), &Sum::of("3"))].into_iter());
        assert_eq!(
            (usage(&tally).requested["cpu"].0.as_str(), usage(&tally).free["cpu"].0.as_str()),
            ("4500m", "0")
        );
        tally.release([(&"cpu".to_owned(), &Sum::of("3"))].into_iter());
        tally.leave(&Share::of(&node(true, false, vec![]), &[]), Some(&requested));
        assert!(tally.requested.is_empty(), "{tally:?}");
    }

    #[test]
    fn the_bound_on_resources_keeps_the_common_ones() {
        let many = (0..40).map(|index| offer(&format!("a.example.com/{index:02}"), "1"));
        let allocatable = many.chain([offer("pods", "110")]).collect();
        let node = Node { ready: true, allocatable, ..Node::default() };
        let pool = count(&[node], &[]).pool(false);
        assert_eq!(pool.allocatable.len(), CAPACITY_RESOURCES);
        assert_eq!(pool.allocatable["pods"].0, "110");
    }
}

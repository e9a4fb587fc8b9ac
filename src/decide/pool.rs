//! Which nodes a Compute has, and which of them take its pods.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::compute::{TaintEffect, Toleration, TolerationOperator};
use crate::api::status::NodeCounts;
use crate::decide::fault::{Category, Fault};
use crate::decide::observed::Pool;
use crate::decide::quantity::Sum;

/// The most resources that `status.capacity` names; a node's own list decides which.
const CAPACITY_RESOURCES: usize = 16;

/// What Poros keeps of a node. An event that changes none of it ends there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `status.allocatable`.
    pub allocatable: BTreeMap<String, String>,
}

/// A taint of a node (core/v1 `Taint`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty for none.
    pub value: String,
    /// Its effect.
    pub effect: TaintEffect,
}

impl Node {
    /// Whether the node carries all labels of the selector.
    pub fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }

    /// Whether the scheduler would put a new pod with these tolerations on it.
    ///
    /// The node controller taints a node that is not ready or cordoned, too; those two facts are read from the node
    /// itself, so that the answer does not wait for the taint.
    pub fn takes(&self, tolerations: &[Toleration]) -> bool {
        self.ready
            && !self.unschedulable
            && self
                .taints
                .iter()
                .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
                .all(|taint| tolerations.iter().any(|toleration| tolerates(toleration, taint)))
    }
}

/// Whether a toleration covers a taint, as the scheduler judges it (core/v1 `Toleration.ToleratesTaint`).
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    if toleration.effect.is_some_and(|effect| effect != taint.effect) || (!key.is_empty() && key != taint.key)
    {
        return false;
    }
    match toleration.operator {
        TolerationOperator::Exists => true,
        TolerationOperator::Equal => toleration.value.as_deref().unwrap_or_default() == taint.value,
    }
}

/// Counts the nodes of a pool, and sums what the schedulable ones offer.
pub fn count<'a>(nodes: impl Iterator<Item = &'a Node>, tolerations: &[Toleration]) -> Pool {
    let mut counts = NodeCounts::default();
    let mut sums: HashMap<&str, Sum> = HashMap::new();
    for node in nodes {
        counts.matched += 1;
        counts.ready += u32::from(node.ready);
        if !node.takes(tolerations) {
            continue;
        }
        counts.schedulable += 1;
        for (resource, quantity) in &node.allocatable {
            sums.entry(resource).or_default().add(quantity);
        }
    }
    counts.summary = format!("{}/{}", counts.schedulable, counts.matched);
    let mut offered: Vec<_> = sums.into_iter().collect();
    // The three that everyone asks for first, then by name, so that the bound never drops them.
    let rank = |name: &str| ["cpu", "memory", "pods"].iter().position(|known| *known == name).unwrap_or(3);
    offered.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then(a.cmp(b)));
    offered.truncate(CAPACITY_RESOURCES);
    let allocatable =
        offered.into_iter().map(|(name, sum)| (name.to_owned(), Quantity(sum.to_string()))).collect();
    Pool { counts, allocatable }
}

/// What is wrong with a pool that needs this many ready nodes, if anything.
pub fn judge(pool: &Pool, min_ready_nodes: u32) -> Option<Fault> {
    if min_ready_nodes == 0 || pool.counts.ready >= min_ready_nodes {
        return None;
    }
    if pool.counts.matched == 0 {
        return Some(Fault::new(
            Category::NoNodesMatch,
            "no node carries the labels of spec.nodePool.nodeSelector; label nodes, or set minReadyNodes: 0 for a pool that grows from nothing",
        ));
    }
    let least = match min_ready_nodes {
        1 => "no node of the pool is".to_owned(),
        least => format!("fewer than {least} nodes of the pool are"),
    };
    Some(Fault::new(
        Category::NoReadyNodes,
        format!("{least} ready (spec.nodePool.minReadyNodes is {min_ready_nodes}); see kubectl get nodes"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn toleration(value: serde_json::Value) -> Toleration {
        serde_json::from_value(value).unwrap()
    }

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.into(), value: value.into(), effect }
    }

    #[test]
    fn tolerations_cover_taints_as_the_scheduler_says() {
        let query = taint("dedicated", "query", TaintEffect::NoSchedule);
        for (covers, toleration_json) in [
            (true, json!({"key": "dedicated", "value": "query", "effect": "NoSchedule"})),
            (true, json!({"key": "dedicated", "value": "query"})),
            (true, json!({"key": "dedicated", "operator": "Exists"})),
            (true, json!({"operator": "Exists"})),
            (false, json!({"key": "dedicated", "value": "other"})),
            (false, json!({"key": "other", "operator": "Exists"})),
            (false, json!({"key": "dedicated", "value": "query", "effect": "NoExecute"})),
            (false, json!({"key": "dedicated"})),
        ] {
            assert_eq!(tolerates(&toleration(toleration_json.clone()), &query), covers, "{toleration_json}");
        }
    }

    #[test]
    fn a_pool_counts_matched_ready_and_schedulable_apart() {
        let node = |ready, unschedulable, taints| Node {
            ready,
            unschedulable,
            taints,
            allocatable: [("cpu".to_owned(), "4".to_owned())].into(),
            ..Node::default()
        };
        let nodes = [
            node(true, false, vec![]),
            node(true, true, vec![]),
            node(false, false, vec![]),
            node(true, false, vec![taint("x", "", TaintEffect::NoSchedule)]),
            node(true, false, vec![taint("x", "", TaintEffect::PreferNoSchedule)]),
        ];
        let pool = count(nodes.iter(), &[]);
        assert_eq!((pool.counts.matched, pool.counts.ready, pool.counts.schedulable), (5, 4, 2));
        assert_eq!(pool.counts.summary, "2/5");
        assert_eq!(pool.allocatable["cpu"].0, "8");
    }

    #[test]
    fn the_bound_on_resources_keeps_the_common_ones() {
        let mut node = Node { ready: true, ..Node::default() };
        for index in 0..40 {
            node.allocatable.insert(format!("a.example.com/{index:02}"), "1".into());
        }
        node.allocatable.insert("pods".into(), "110".into());
        let pool = count([node].iter(), &[]);
        assert_eq!(pool.allocatable.len(), CAPACITY_RESOURCES);
        assert_eq!(pool.allocatable["pods"].0, "110");
    }

    #[test]
    fn a_pool_is_judged_by_its_ready_nodes() {
        let pool = |matched, ready| Pool {
            counts: NodeCounts { matched, ready, ..NodeCounts::default() },
            ..Pool::default()
        };
        let category = |pool, min| judge(&pool, min).map(|fault| fault.category);
        assert_eq!(category(pool(0, 0), 0), None);
        assert_eq!(category(pool(0, 0), 1), Some(Category::NoNodesMatch));
        assert_eq!(category(pool(2, 0), 1), Some(Category::NoReadyNodes));
        assert_eq!(category(pool(2, 1), 2), Some(Category::NoReadyNodes));
        assert_eq!(category(pool(2, 1), 1), None);
    }
}

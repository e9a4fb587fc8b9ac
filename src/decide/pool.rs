//! Which nodes a Compute has, and which of them take its pods.

pub mod tally;
pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::compute::{TaintEffect, Toleration, TolerationOperator};
use crate::decide::fault::{Category, Fault};
use crate::decide::observed::Pool;
pub use crate::decide::observed::Taint;

/// What the keys of taints begin with that the node controller puts on and takes off by the state of the node. No pool is
/// fenced off by them, and no Compute should tolerate them.
const OF_THE_STATE: [&str; 2] = ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];

/// Texts by their keys, in the order of these, as they are kept: each pair is there once for all nodes that have it.
pub type Shared = Box<[Arc<(String, String)>]>;

/// What Poros keeps of a node. An event that changes none of it ends there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node<Texts = BTreeMap<String, String>> {
    /// `metadata.labels`.
    pub labels: Texts,
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `status.allocatable`.
    pub allocatable: Texts,
}

impl Taint {
    /// Whether it keeps pods away that do not tolerate it. `PreferNoSchedule` does not.
    pub fn keeps_away(&self) -> bool {
        match self.effect {
            TaintEffect::NoSchedule | TaintEffect::NoExecute => true,
            TaintEffect::PreferNoSchedule => false,
        }
    }

    /// Whether it comes and goes with the state of the node.
    pub fn of_the_state(&self) -> bool {
        OF_THE_STATE.iter().any(|prefix| self.key.starts_with(prefix))
    }
}

impl std::fmt::Display for Taint {
    /// As kubectl writes it: `key=value:Effect`, or `key:Effect`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{}", self.key, self.value, self.effect.word())
    }
}

/// Texts that are found by their keys, however they are kept.
pub trait Keyed {
    /// The text under this key.
    fn text(&self, key: &str) -> Option<&str>;
}

impl Keyed for BTreeMap<String, String> {
    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Keyed for Shared {
    fn text(&self, key: &str) -> Option<&str> {
        let place = self.binary_search_by(|pair| pair.0.as_str().cmp(key)).ok()?;
        Some(&self[place].1)
    }
}

impl<Texts: Keyed> Node<Texts> {
    /// Whether the node carries all labels of the selector.
    pub fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        selector.iter().all(|(key, value)| self.labels.text(key) == Some(value))
    }
}

impl<Texts> Node<Texts> {
    /// Whether the scheduler would put a new pod with these tolerations on it.
    ///
    /// The node controller taints a node that is not ready or cordoned, too; those two facts are read from the node
    /// itself, so that the answer does not wait for the taint.
    pub fn takes(&self, tolerations: &[Toleration]) -> bool {
        self.ready && !self.unschedulable && self.untolerated(tolerations).next().is_none()
    }

    /// The taints that keep a pod with these tolerations away.
    pub fn untolerated<'a>(&'a self, tolerations: &'a [Toleration]) -> impl Iterator<Item = &'a Taint> {
        self.taints
            .iter()
            .filter(|taint| taint.keeps_away())
            .filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
    }

    /// Whether no taint keeps pods that name no Compute away, but for those of its state.
    pub fn is_open(&self) -> bool {
        !self.taints.iter().any(|taint| taint.keeps_away() && !taint.of_the_state())
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
    use crate::api::status::NodeCounts;
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
    fn a_node_is_open_unless_people_tainted_it() {
        let node = |taints| -> Node { Node { taints, ..Node::default() } };
        let state = taint("node.kubernetes.io/not-ready", "", TaintEffect::NoSchedule);
        assert!(node(vec![]).is_open());
        assert!(node(vec![state.clone(), taint("x", "", TaintEffect::PreferNoSchedule)]).is_open());
        assert!(!node(vec![state, taint("dedicated", "query", TaintEffect::NoExecute)]).is_open());
    }

    #[test]
    fn a_taint_is_written_as_kubectl_does() {
        assert_eq!(taint("a", "b", TaintEffect::NoSchedule).to_string(), "a=b:NoSchedule");
        assert_eq!(taint("a", "", TaintEffect::NoExecute).to_string(), "a:NoExecute");
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

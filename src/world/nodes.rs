//! Nodes, and which Computes they belong to: an inverted index on label pairs, never a scan of all Computes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::api::compute::Toleration;
use crate::decide::observed::Pool;
use crate::decide::pool::{Node, count};

type Pair = (String, String);

/// All nodes and all selectors.
#[derive(Debug, Default)]
pub struct Nodes {
    known: HashMap<String, Node>,
    by_label: HashMap<Pair, BTreeSet<String>>,
    selectors: HashMap<String, Selector>,
    /// Each Compute is posted under one pair of its selector: a node that lacks it cannot be in the pool.
    posted: HashMap<Pair, BTreeSet<String>>,
}

#[derive(Debug)]
struct Selector {
    pairs: BTreeMap<String, String>,
    tolerations: Vec<Toleration>,
    posted_under: Pair,
    members: BTreeSet<String>,
}

impl Nodes {
    /// Takes in what a node is now; returns the Computes whose pool that changes.
    pub fn apply(&mut self, name: String, node: Option<Node>) -> Vec<String> {
        let before = self.known.get(&name);
        if before == node.as_ref() {
            return Vec::new();
        }
        let labels = |node: Option<&Node>| node.map(|node| node.labels.clone()).unwrap_or_default();
        let (old, new) = (labels(before), labels(node.as_ref()));
        let same_offer = match (before, &node) {
            (Some(before), Some(now)) => {
                Node { labels: BTreeMap::new(), ..before.clone() }
                    == Node { labels: BTreeMap::new(), ..now.clone() }
            }
            _ => false,
        };
        for pair in old.iter().map(owned).filter(|(key, value)| new.get(key) != Some(value)) {
            if let Some(nodes) = self.by_label.get_mut(&pair) {
                nodes.remove(&name);
                if nodes.is_empty() {
                    self.by_label.remove(&pair);
                }
            }
        }
        for pair in new.iter().map(owned).filter(|(key, value)| old.get(key) != Some(value)) {
            self.by_label.entry(pair).or_default().insert(name.clone());
        }
        let candidates: HashSet<String> = old
            .iter()
            .chain(&new)
            .filter_map(|pair| self.posted.get(&owned(pair)))
            .flatten()
            .cloned()
            .collect();
        let mut concerned = Vec::new();
        for compute in candidates {
            let Some(selector) = self.selectors.get_mut(&compute) else { continue };
            let is = node.as_ref().is_some_and(|node| node.matches(&selector.pairs));
            let was =
                if is { !selector.members.insert(name.clone()) } else { selector.members.remove(&name) };
            if was != is || (is && !same_offer) {
                concerned.push(compute);
            }
        }
        match node {
            Some(node) => self.known.insert(name, node),
            None => self.known.remove(&name),
        };
        concerned
    }

    /// Says what a Compute selects.
    pub fn select(&mut self, compute: &str, pairs: BTreeMap<String, String>, tolerations: Vec<Toleration>) {
        if let Some(known) = self.selectors.get_mut(compute)
            && known.pairs == pairs
        {
            known.tolerations = tolerations;
            return;
        }
        self.forget(compute);
        let rarest =
            pairs.iter().map(owned).min_by_key(|pair| self.by_label.get(pair).map_or(0, BTreeSet::len));
        let Some(posted_under) = rarest else { return };
        let members = self
            .by_label
            .get(&posted_under)
            .into_iter()
            .flatten()
            .filter(|name| self.known.get(*name).is_some_and(|node| node.matches(&pairs)))
            .cloned()
            .collect();
        self.posted.entry(posted_under.clone()).or_default().insert(compute.to_owned());
        self.selectors.insert(compute.to_owned(), Selector { pairs, tolerations, posted_under, members });
    }

    /// Forgets what a Compute selects.
    pub fn forget(&mut self, compute: &str) {
        let Some(selector) = self.selectors.remove(compute) else { return };
        if let Some(posted) = self.posted.get_mut(&selector.posted_under) {
            posted.remove(compute);
            if posted.is_empty() {
                self.posted.remove(&selector.posted_under);
            }
        }
    }

    /// The pool of a Compute.
    pub fn pool(&self, compute: &str) -> Pool {
        let Some(selector) = self.selectors.get(compute) else { return Pool::default() };
        count(selector.members.iter().filter_map(|name| self.known.get(name)), &selector.tolerations)
    }
}

fn owned((key, value): (&String, &String)) -> Pair {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn node(pairs: &[(&str, &str)], ready: bool) -> Option<Node> {
        Some(Node { labels: labels(pairs), ready, ..Node::default() })
    }

    #[test]
    fn a_node_concerns_only_the_computes_that_it_joins_leaves_or_serves() {
        let mut nodes = Nodes::default();
        nodes.select("query", labels(&[("purpose", "query")]), vec![]);
        nodes.select("fast", labels(&[("purpose", "query"), ("disk", "ssd")]), vec![]);
        nodes.select("gpu", labels(&[("purpose", "gpu")]), vec![]);
        assert_eq!(nodes.apply("a".into(), node(&[("purpose", "query")], true)), ["query"]);
        assert!(nodes.apply("a".into(), node(&[("purpose", "query")], true)).is_empty(), "nothing changed");
        assert!(
            nodes.apply("a".into(), node(&[("purpose", "query"), ("x", "y")], true)).is_empty(),
            "a foreign label"
        );
        let mut both = nodes.apply("a".into(), node(&[("purpose", "query"), ("disk", "ssd")], false));
        both.sort();
        assert_eq!(both, ["fast", "query"]);
        assert_eq!(nodes.pool("query").counts.summary, "0/1");
        assert_eq!(nodes.apply("a".into(), node(&[("purpose", "query"), ("disk", "hdd")], false)), ["fast"]);
        assert_eq!(nodes.apply("a".into(), None), ["query"]);
        assert_eq!(nodes.pool("query").counts.matched, 0);
        assert!(nodes.by_label.is_empty(), "nothing is kept of a node that is gone");
    }

    #[test]
    fn a_selector_finds_the_nodes_that_are_there_already() {
        let mut nodes = Nodes::default();
        for name in ["a", "b"] {
            nodes.apply(name.into(), node(&[("purpose", "query"), ("host", name)], true));
        }
        nodes.select("all", labels(&[("purpose", "query")]), vec![]);
        nodes.select("one", labels(&[("purpose", "query"), ("host", "b")]), vec![]);
        assert_eq!(nodes.pool("all").counts.matched, 2);
        assert_eq!(nodes.pool("one").counts.matched, 1);
        nodes.forget("all");
        nodes.forget("one");
        assert!(nodes.posted.is_empty(), "nothing is kept of a Compute that is gone");
    }
}

//! What many nodes have in common, kept once: nodes of one kind carry much the same labels and offer much the same.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::decide::pool::Shared;

/// Every pair that a node has.
#[derive(Debug, Default)]
pub(super) struct Texts(HashSet<Arc<(String, String)>>);

impl Texts {
    /// The pairs of one node more.
    pub(super) fn hold(&mut self, pairs: BTreeMap<String, String>) -> Shared {
        let shared = pairs.into_iter().map(|pair| {
            self.0.get(&pair).cloned().unwrap_or_else(|| {
                let pair = Arc::new(pair);
                self.0.insert(pair.clone());
                pair
            })
        });
        shared.collect()
    }

    /// A node that had these pairs has them no more.
    pub(super) fn let_go(&mut self, pairs: Shared) {
        for pair in pairs {
            // One is this, the other one is here.
            if Arc::strong_count(&pair) == 2 {
                self.0.remove(&pair);
            }
        }
    }

    /// How many nodes have a pair.
    pub(super) fn count(&self, pair: &(String, String)) -> usize {
        self.0.get(pair).map_or(0, |pair| Arc::strong_count(pair) - 1)
    }

    /// Whether no node has any.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

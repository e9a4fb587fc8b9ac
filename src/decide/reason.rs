//! The reason words: every word that a condition, a transition or an event of a Compute can carry as its `reason`. Alerts and
//! scripts rely on them; `docs/operations.md` has a heading for each.

use crate::decide::fault::Category;

/// Why a condition is as it is, or what a transition came from: a stable PascalCase word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Something is wrong. The word is that of its category.
    Fault(Category),
    /// A revision is in force.
    Active,
    /// What is wanted is being built or proven.
    Building,
    /// Built and proven; the nodes are not there yet.
    AwaitingPool,
    /// Nothing is written for it, because somebody said so.
    Paused,
    /// It is to be deleted, and is still used.
    InUse,
    /// What was built for it is being removed.
    Removing,
    /// All that was built for it is gone.
    Deleted,
    /// Every object was put in place.
    Built,
    /// A dry-run pod came back placed.
    Proven,
    /// The proof is under way.
    ProofPending,
    /// Another writer changed what was built.
    Drifted,
    /// The pool shares nodes with those of other Computes.
    NodesShared,
    /// The pool has the nodes that it is to have.
    PoolReady,
    /// Nodes are ready, and none takes new pods.
    NoneSchedulable,
    /// Ready nodes have taints that the Compute does not tolerate.
    TaintUncovered,
    /// Nodes have no taint, so that other pods may run there.
    PoolUntainted,
}

impl Reason {
    /// Those that tell of no fault.
    pub const WELL: [Self; 16] = [
        Self::Active,
        Self::Building,
        Self::AwaitingPool,
        Self::Paused,
        Self::InUse,
        Self::Removing,
        Self::Deleted,
        Self::Built,
        Self::Proven,
        Self::ProofPending,
        Self::Drifted,
        Self::NodesShared,
        Self::PoolReady,
        Self::NoneSchedulable,
        Self::TaintUncovered,
        Self::PoolUntainted,
    ];

    /// All of them: faults in the order in which a pass meets them, then the others.
    pub fn all() -> impl Iterator<Item = Self> {
        Category::ALL.into_iter().map(Self::Fault).chain(Self::WELL)
    }

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fault(category) => category.word(),
            Self::Active => "Active",
            Self::Building => "Building",
            Self::AwaitingPool => "AwaitingPool",
            Self::Paused => "Paused",
            Self::InUse => "InUse",
            Self::Removing => "Removing",
            Self::Deleted => "Deleted",
            Self::Built => "Built",
            Self::Proven => "Proven",
            Self::ProofPending => "ProofPending",
            Self::Drifted => "Drifted",
            Self::NodesShared => "NodesShared",
            Self::PoolReady => "PoolReady",
            Self::NoneSchedulable => "NoneSchedulable",
            Self::TaintUncovered => "TaintUncovered",
            Self::PoolUntainted => "PoolUntainted",
        }
    }

    /// The reason of a stable word, as it is stored in a status.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::all().find(|reason| reason.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_lead_back() {
        for reason in Reason::all() {
            assert_eq!(Reason::of_word(reason.word()), Some(reason));
            if !matches!(reason, Reason::Fault(_)) {
                assert_eq!(format!("{reason:?}"), reason.word());
            }
        }
        assert_eq!(Reason::all().count(), 29);
        assert_eq!(Reason::of_word("Wonderful"), None);
    }
}

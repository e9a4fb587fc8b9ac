//! The table of faults: what can be wrong with a Compute, in which step, whose fault it is, and what heals it.

mod table;

pub use table::STAYS;

/// What is wrong with a Compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable word for it: reason of conditions, label of metrics.
    pub category: Category,
    /// What exactly, in one sentence that names resource and field.
    pub text: String,
}

impl Fault {
    /// A fault of this category.
    pub fn new(category: Category, text: impl Into<String>) -> Self {
        Self { category, text: text.into() }
    }
}

const MISMATCH: &str = "a pod that names this Compute is not placed as it says: ";

impl Fault {
    /// A proof that failed; `why` names the field, what was expected and what was found.
    pub fn mismatch(why: &str) -> Self {
        Self::new(Category::ProofMismatch, format!("{MISMATCH}{why}"))
    }

    /// The `why` of [`Self::mismatch`]; none of other faults.
    pub fn why_mismatched(&self) -> Option<&str> {
        self.text.strip_prefix(MISMATCH)
    }
}

/// The step of a pass in which a fault is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reading the stored object.
    Observe,
    /// Checking what people wrote.
    Validate,
    /// Putting the built objects in place.
    Apply,
    /// Proving that pods are placed.
    Prove,
    /// Looking at the nodes.
    Pool,
    /// Undoing what others did to the built objects.
    Repair,
    /// Any of them.
    Any,
}

impl Step {
    /// Whether it looks at what people wrote, and at nothing else.
    pub fn is_of_the_spec(self) -> bool {
        match self {
            Self::Observe | Self::Validate => true,
            Self::Apply | Self::Prove | Self::Pool | Self::Repair | Self::Any => false,
        }
    }

    /// As it is written in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Validate => "validate",
            Self::Apply => "apply",
            Self::Prove => "prove",
            Self::Pool => "pool",
            Self::Repair => "repair",
            Self::Any => "any",
        }
    }
}

/// Which of the two errors a fault becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// `error`/`error`: the desired revision is not proven and cannot be now.
    InBuild,
    /// `error`/`building`: it was proven before.
    AfterBuild,
    /// In the build while the desired revision is unproven, after it once it was proven.
    ByRule,
    /// The outcome stays what it was.
    AsBefore,
}

impl Blame {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::InBuild => "in the build",
            Self::AfterBuild => "after the build",
            Self::ByRule => "by the rule",
            Self::AsBefore => "none: the outcome stays",
        }
    }
}

/// A kind of fault: a stable PascalCase word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// The stored object does not fit our types.
    Undecodable,
    /// The spec breaks a rule that the schema should have held.
    InvalidSpec,
    /// The Compute is for another cluster.
    UnknownDataplane,
    /// An object that is not ours has the name of one that is to be built.
    NameTaken,
    /// Poros lacks a permission.
    Forbidden,
    /// The API server did not do what it was asked.
    ApplyFailed,
    /// A shared policy is absent or altered.
    PolicyMissing,
    /// A pod that names the Compute is not placed as it should be.
    ProofMismatch,
    /// The proof could not be made.
    ProofBlocked,
    /// Another writer undoes each repair.
    Contended,
    /// No node carries the labels of the selector.
    NoNodesMatch,
    /// Too few nodes of the pool are ready.
    NoReadyNodes,
    /// A bug in Poros.
    Internal,
}

/// One row of the table of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The step in which it is found.
    pub step: Step,
    /// Which error it becomes.
    pub blame: Blame,
    /// What is wrong, in a sentence.
    pub what: &'static str,
    /// What the condition `PlacementVerified` says meanwhile; none where it is judged for itself.
    pub verified: Option<&'static str>,
    /// What the condition `PoolReady` says meanwhile; none where it is judged for itself.
    pub pool_ready: Option<&'static str>,
    /// What happens to pods that name the Compute.
    pub pods: &'static str,
    /// What makes it go away.
    pub healed_by: &'static str,
    /// What to do, in order: what for, and the command, in which `NAME` stands for the Compute.
    pub to_do: &'static [(&'static str, &'static str)],
}

impl Row {
    /// What to do about this Compute: what for, and the command.
    pub fn to_do_for(&self, name: &str) -> impl Iterator<Item = (&'static str, String)> {
        self.to_do.iter().map(move |(what, command)| (*what, command.replace("NAME", name)))
    }
}

impl Category {
    /// All categories, in the order in which a pass meets them.
    pub const ALL: [Self; 13] = [
        Self::Undecodable,
        Self::InvalidSpec,
        Self::UnknownDataplane,
        Self::NameTaken,
        Self::Forbidden,
        Self::ApplyFailed,
        Self::PolicyMissing,
        Self::ProofMismatch,
        Self::ProofBlocked,
        Self::Contended,
        Self::NoNodesMatch,
        Self::NoReadyNodes,
        Self::Internal,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Undecodable => "Undecodable",
            Self::InvalidSpec => "InvalidSpec",
            Self::UnknownDataplane => "UnknownDataplane",
            Self::NameTaken => "NameTaken",
            Self::Forbidden => "Forbidden",
            Self::ApplyFailed => "ApplyFailed",
            Self::PolicyMissing => "PolicyMissing",
            Self::ProofMismatch => "ProofMismatch",
            Self::ProofBlocked => "ProofBlocked",
            Self::Contended => "Contended",
            Self::NoNodesMatch => "NoNodesMatch",
            Self::NoReadyNodes => "NoReadyNodes",
            Self::Internal => "Internal",
        }
    }

    /// The category of a stable word, as it is stored in a status.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.word() == word)
    }

    /// Whether a fault of this category is an error *in* the build, given whether the desired revision is proven.
    pub fn in_build(self, proven: bool) -> bool {
        match self.row().blame {
            Blame::InBuild => true,
            Blame::AfterBuild => false,
            Blame::ByRule | Blame::AsBefore => !proven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_lead_back() {
        for category in Category::ALL {
            assert_eq!(Category::of_word(category.word()), Some(category));
            assert_eq!(format!("{category:?}"), category.word());
        }
        assert_eq!(Category::of_word("Active"), None);
    }
}

//! The truth table: from the one outcome of a pass to the words and conditions that people and tools read.
//!
//! Nothing else in Poros writes these words, so a status that contradicts itself cannot be written down.

use crate::api::status::{AggregateStatus, Stage};
use crate::decide::fault::Fault;
use crate::decide::reason::Reason;

/// What came of a pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A placement is being built or proven, or the pool is awaited, within the deadline.
    Building {
        /// What it waits for.
        reason: Reason,
        /// The same in a sentence.
        info: String,
    },
    /// Every wanted resource is in place, the desired revision is proven, the pool is ready.
    Active {
        /// What is in force, in a sentence.
        info: String,
    },
    /// The desired revision is not proven, and cannot be now.
    FailedInBuild(Fault),
    /// The desired revision was proven; then something went wrong.
    FailedAfterBuild(Fault),
    /// It is being torn down, or its users hold it.
    Deleting {
        /// What it waits for.
        reason: Reason,
        /// The same in a sentence.
        info: String,
    },
    /// All that was built is gone. Written once, before the finalizer goes.
    Deleted,
}

/// The status of a condition (metav1 `ConditionStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

impl Truth {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One row of the truth table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// `status.aggregateStatus`.
    pub aggregate: AggregateStatus,
    /// `status.builderState.stage`.
    pub stage: Stage,
    /// The condition Ready; none where the object is as good as gone.
    pub ready: Option<Truth>,
    /// Whether the condition Reconciling is present and True.
    pub reconciling: bool,
    /// Whether the condition Stalled is present and True.
    pub stalled: bool,
    /// Whether the condition Deleting is present and True.
    pub deleting: bool,
}

/// The truth table.
///
/// | outcome | aggregate status | stage | Ready | Reconciling | Stalled | kstatus |
/// |---|---|---|---|---|---|---|
/// | Building | pending | building | Unknown | True | – | `InProgress` |
/// | Active | active | built | True | – | – | Current |
/// | `FailedInBuild` | error | error | False | – | True | Failed |
/// | `FailedAfterBuild` | error | building | False | True | – | `InProgress` |
/// | Deleting | deleting | building | False | – | – | Terminating |
/// | Deleted | deleted | built | – | – | – | Terminating |
pub fn words(outcome: &Outcome) -> Words {
    use AggregateStatus as A;
    let (aggregate, stage, ready, reconciling, stalled, deleting) = match outcome {
        Outcome::Building { .. } => (A::Pending, Stage::Building, Some(Truth::Unknown), true, false, false),
        Outcome::Active { .. } => (A::Active, Stage::Built, Some(Truth::True), false, false, false),
        Outcome::FailedInBuild(_) => (A::Error, Stage::Error, Some(Truth::False), false, true, false),
        Outcome::FailedAfterBuild(_) => (A::Error, Stage::Building, Some(Truth::False), true, false, false),
        Outcome::Deleting { .. } => (A::Deleting, Stage::Building, Some(Truth::False), false, false, true),
        Outcome::Deleted => (A::Deleted, Stage::Built, None, false, false, true),
    };
    Words { aggregate, stage, ready, reconciling, stalled, deleting }
}

impl Outcome {
    /// The reason: of the condition Ready, of the transition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Building { reason, .. } | Self::Deleting { reason, .. } => *reason,
            Self::Active { .. } => Reason::Active,
            Self::FailedInBuild(fault) | Self::FailedAfterBuild(fault) => Reason::Fault(fault.category),
            Self::Deleted => Reason::Deleted,
        }
    }

    /// The sentence for people.
    pub fn info(&self) -> &str {
        match self {
            Self::Building { info, .. } | Self::Active { info } | Self::Deleting { info, .. } => info,
            Self::FailedInBuild(fault) | Self::FailedAfterBuild(fault) => &fault.text,
            Self::Deleted => "all that was built for it is gone",
        }
    }
}

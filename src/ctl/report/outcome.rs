//! What can become of one thing that a verb changes.

use serde::Serialize;

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::ctl) enum Outcome {
    /// It was not there.
    Created,
    /// It was there, and is another now.
    Updated,
    /// It would be made.
    New,
    /// It would be another.
    Changed,
    /// It is as it was.
    Unchanged,
    /// Nothing is wrong with it.
    Valid,
    /// It is gone, or was asked to go.
    Deleted,
    /// It was asked to go, and is there.
    Deleting,
    /// There was nothing to do.
    Nothing,
    /// It went wrong.
    Error,
    /// Something stopped it all before.
    Untried,
}

impl Outcome {
    /// In the order in which they are counted.
    pub(super) const ALL: [Self; 11] = [
        Self::Created,
        Self::Updated,
        Self::New,
        Self::Changed,
        Self::Unchanged,
        Self::Valid,
        Self::Deleted,
        Self::Deleting,
        Self::Nothing,
        Self::Error,
        Self::Untried,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Valid => "valid",
            Self::Deleted => "deleted",
            Self::Deleting => "deleting",
            Self::Nothing => "nothing",
            Self::Error => "error",
            Self::Untried => "not tried",
        }
    }
}

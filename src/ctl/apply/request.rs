//! What to do with manifests.

use std::time::Duration;

use crate::ctl::filed::Files;
use crate::ctl::report::{Output, Wording};

/// What to do with manifests.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which of the three verbs.
    pub verb: Verb,
    /// The manifests.
    pub files: Files,
    /// How far to go.
    pub mode: Mode,
    /// Whether fields that somebody else manages are taken over.
    pub force: bool,
    /// How long to wait until what was written is active.
    pub wait: Option<Duration>,
    /// How what was done is told as data; none: not at all.
    pub output: Option<Output>,
}

impl Request {
    pub(super) fn wording(&self) -> Wording {
        Wording {
            sign: "🛠 ",
            sign_one: "🔧 ",
            verb: self.verb.word(),
            doing: self.verb.doing(),
            suffix: self.mode.suffix(),
            unmet: Some("not all active"),
        }
    }
}

/// Which verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes what is not there, changes what is.
    Apply,
    /// Makes what is not there.
    Create,
    /// Changes what is there.
    Update,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Create => "create",
            Self::Update => "update",
        }
    }

    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Apply => "applying",
            Self::Create => "creating",
            Self::Update => "updating",
        }
    }

    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Apply => "applied",
            Self::Create => "created",
            Self::Update => "updated",
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes.
    Write,
    /// Offline: what is wrong with the manifests.
    Lint,
    /// The same, said as a dry run.
    ClientDryRun,
    /// The API server says what it would do.
    ServerDryRun,
    /// What would change, field by field, and on which nodes.
    Diff,
    /// Prints the manifests with the environment put in.
    Dereference,
}

impl Mode {
    pub(super) fn offline(self) -> bool {
        matches!(self, Self::Lint | Self::ClientDryRun | Self::Dereference)
    }

    /// What follows the outcome.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::ClientDryRun => " (client dry run)",
            Self::ServerDryRun => " (server dry run)",
            Self::Diff => " (nothing written)",
            Self::Write | Self::Lint | Self::Dereference => "",
        }
    }
}

//! What is to be deleted, and what became of one.

use std::path::PathBuf;
use std::time::Duration;

use crate::api::identifier::Identifier;
use crate::cluster::call::CallError;
use crate::ctl::failure::Failure;
use crate::decide::observed::Compute;
use crate::view::course::Target;
use crate::view::manifest::Variables;

/// What to delete.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub struct Request {
    /// Those of these names.
    pub names: Vec<String>,
    /// Those of these manifests.
    pub files: Vec<PathBuf>,
    /// Whether subfolders are read too.
    pub recursive: bool,
    /// The environment that is put into manifests; none: `$` is a sign like any other.
    pub variables: Option<Variables>,
    /// Those that these labels select; nothing else then.
    pub selector: Option<String>,
    /// Also those that are in use.
    pub force: bool,
    /// How far to go.
    pub mode: Mode,
    /// How long to wait until they are gone; none: not at all.
    pub wait: Option<Duration>,
    /// What would be asked is answered with yes.
    pub yes: bool,
    /// Nobody is asked.
    pub no_input: bool,
    /// What is not there is no failure.
    pub ignore_not_found: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Deletes.
    #[default]
    Delete,
    /// Says what would be deleted, by what can be read.
    ClientDryRun,
    /// Lets the API server say what it would do.
    ServerDryRun,
}

impl Mode {
    /// What follows the outcome.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Delete => "",
            Self::ClientDryRun => " (client dry run)",
            Self::ServerDryRun => " (server dry run)",
        }
    }
}

/// What became of one.
pub(super) enum Outcome {
    /// It is asked to go: this incarnation.
    Asked(Target),
    /// It is gone, or would go.
    Deleted,
    /// There was none.
    Nothing,
    /// Something stopped it all before.
    Untried,
}

/// Something that is to be deleted: its name, or why that is not known.
pub(super) struct Item {
    /// `name:version:type`, or what the document calls itself.
    pub(super) title: String,
    pub(super) name: Result<String, Failure>,
}

impl Item {
    /// The Compute of this name.
    pub(super) fn named(name: &str) -> Self {
        Self { title: Identifier::compute(name).told(), name: Ok(name.to_owned()) }
    }
}

/// This incarnation is asked to go.
pub(super) fn asked(compute: &Compute) -> Outcome {
    Outcome::Asked(Target::incarnation(compute))
}

/// Why it was not deleted.
pub(super) fn not_deleted(name: &str, error: &CallError) -> Failure {
    let failure = Failure::of_call(&format!("Compute {name} was not deleted"), error);
    match error {
        CallError::Conflict(_) => failure
            .remedy(format!("another Compute may have the name {name} by now: look at it, and delete again")),
        _ => failure,
    }
}

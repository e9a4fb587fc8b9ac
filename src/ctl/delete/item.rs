//! What is to be deleted, and what became of one.

use std::time::Duration;

use crate::api::names::ANNOTATION_DELETE_IN_USE;
use crate::cluster::call::CallError;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::filed::{Entry, Files, Nameless, Subject};
use crate::ctl::report::{Done, Outcome, Output, Wording};
use crate::decide::observed::Compute;
use crate::view::course::Target;

/// What to delete.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub struct Request {
    /// Those of these names.
    pub names: Vec<String>,
    /// Those of these manifests.
    pub files: Files,
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
    /// How what was done is told as data; none: not at all.
    pub output: Option<Output>,
}

/// What stands before its lines.
pub(super) const SIGN: &str = "🗑 ";

impl Request {
    pub(super) fn wording(&self) -> Wording {
        let suffix = match self.mode {
            Mode::Delete => "",
            Mode::ClientDryRun => " (client dry run)",
            Mode::ServerDryRun => " (server dry run)",
        };
        Wording { sign: SIGN, sign_one: SIGN, verb: "delete", doing: "deleting", suffix, unmet: None }
    }
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

/// How far it came with one, for who interrupts it: what was sent may have been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// That it may go though it is in use, which nothing said before.
    pub(super) allowed: bool,
    /// That it is to go.
    pub(super) asked: bool,
}

impl Reach {
    /// What an interrupt left of it.
    pub(super) fn interrupted(self, name: &str, mode: Mode) -> Failure {
        let text = match (mode, self.asked) {
            (Mode::ClientDryRun | Mode::ServerDryRun, _) => "interrupted; nothing was to be deleted".into(),
            (Mode::Delete, false) => format!("interrupted: {name} was not asked to go"),
            (Mode::Delete, true) => {
                format!(
                    "interrupted: whether {name} was asked to go is not known; delete it again, or get it"
                )
            }
        };
        let failure = Failure::new(Exit::Interrupted, text);
        if self.allowed { failure.remedy(still_allowed(name, "is perhaps left on it")) } else { failure }
    }
}

/// What to do about the annotation that lets one go though it is in use: else a later slip deletes it.
pub(super) fn still_allowed(name: &str, how: &str) -> String {
    format!(
        "its annotation {ANNOTATION_DELETE_IN_USE} {how}: kubectl annotate compute {name} {ANNOTATION_DELETE_IN_USE}-"
    )
}

/// What the API server did with one.
pub(super) enum Answer {
    /// It is asked to go: this incarnation.
    Asked(Target),
    /// It is gone, or would go.
    Gone,
    /// There was none.
    Nothing,
}

/// Something that is to be deleted: its name, or why that is not known.
pub(super) struct Item {
    pub(super) subject: Subject,
    pub(super) name: Result<String, Failure>,
}

impl Item {
    /// The Compute of this name.
    pub(super) fn named(name: &str) -> Self {
        Self { subject: Subject::compute(name), name: Ok(name.to_owned()) }
    }

    /// What a document names.
    pub(super) fn filed(entry: Entry) -> Self {
        let name = entry.name().map_err(|nameless| match nameless {
            Nameless::Wrong(failure) => failure,
            Nameless::Foreign(Failure { exit, text, .. }) => {
                Failure::new(exit, format!("{text}: nothing was done to it"))
            }
        });
        Self { subject: entry.subject, name }
    }
}

/// What became of it.
pub(super) fn done(
    subject: &Subject,
    name: &str,
    answer: Result<Answer, Failure>,
    request: &Request,
) -> Done {
    let (outcome, target, failure) = match answer {
        Ok(Answer::Asked(target)) if request.wait.is_some() => (Outcome::Deleting, Some(target), None),
        Ok(Answer::Asked(target)) => (Outcome::Deleted, Some(target), None),
        Ok(Answer::Gone) => (Outcome::Deleted, Some(Target::named(name)), None),
        Ok(Answer::Nothing) => (Outcome::Nothing, None, None),
        // What is not there was not deleted, and nothing is wrong with it.
        Err(failure) if failure.exit == Exit::NotFound => (Outcome::Nothing, None, Some(failure)),
        Err(failure) => (Outcome::Error, None, Some(failure)),
    };
    let mut done = Done::of(subject, outcome);
    (done.target, done.failure) = (target, failure);
    done
}

/// This incarnation is asked to go.
pub(super) fn asked(compute: &Compute) -> Answer {
    Answer::Asked(Target::incarnation(compute))
}

/// Why it was not deleted.
pub(super) fn not_deleted(name: &str, error: &CallError) -> Failure {
    let failure = Failure::of_write(&format!("Compute {name} was not deleted"), error);
    match error {
        CallError::Conflict(_) => failure
            .remedy(format!("another Compute may have the name {name} by now: look at it, and delete again")),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_tells_what_it_left() {
        let told = |allowed, asked, mode| Reach { allowed, asked }.interrupted("a", mode).told();
        let annotation = "poros.dataos.io/delete-in-use";
        let left = format!(
            "\n  its annotation {annotation} is perhaps left on it: kubectl annotate compute a {annotation}-"
        );
        let unknown = "interrupted: whether a was asked to go is not known; delete it again, or get it";
        assert_eq!(told(false, false, Mode::Delete), "interrupted: a was not asked to go");
        assert_eq!(told(false, true, Mode::Delete), unknown);
        assert_eq!(told(true, false, Mode::Delete), format!("interrupted: a was not asked to go{left}"));
        assert_eq!(told(true, true, Mode::Delete), format!("{unknown}{left}"));
        assert_eq!(told(false, false, Mode::ServerDryRun), "interrupted; nothing was to be deleted");
    }
}

//! How a verb ends: the exit codes, and what is said when one fails, to people and to programs.

mod access;

use std::fmt::Write as _;

use serde::Serialize;

use crate::cluster::call::{CallError, chain};
use crate::cluster::client::ConnectError;
use crate::ctl::terminal::WriteError;
use crate::view::table::is_told;

/// The exit codes (docs/cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for was done.
    Ok = 0,
    /// Something else went wrong.
    Failed = 1,
    /// The arguments do not fit.
    Usage = 2,
    /// What is named is not there.
    NotFound = 3,
    /// A manifest was rejected.
    Invalid = 4,
    /// Not logged in, or not allowed.
    Denied = 5,
    /// It changed in the meantime, is there already, or others depend on it.
    Conflict = 6,
    /// The time was up.
    TimedOut = 7,
    /// What was waited for can no longer come without somebody's help.
    Terminal = 8,
    /// `--diff`: something would change.
    Changes = 10,
    /// Ctrl-C, as shells have it.
    Interrupted = 130,
}

impl Exit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Invalid,
        Self::Denied,
        Self::Conflict,
        Self::TimedOut,
        Self::Terminal,
        Self::Changes,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "failed",
            Self::Usage => "the arguments do not fit",
            Self::NotFound => "not found",
            Self::Invalid => "rejected by validation",
            Self::Denied => "not logged in, or not allowed",
            Self::Conflict => "a conflict, or still in use",
            Self::TimedOut => "timed out",
            Self::Terminal => "an error that does not go by itself",
            Self::Changes => "something would change",
            Self::Interrupted => "interrupted",
        }
    }

    /// How a process ends of which the parts ended so: as the worst of them did, in the order that docs/cli.md tells.
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().max_by_key(|exit| exit.weight()).unwrap_or(Self::Ok)
    }

    /// What outweighs what: first what stopped it all, then what others must put right, then what the person can, at last
    /// what may go by itself.
    fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Changes => 1,
            Self::TimedOut => 2,
            Self::Terminal => 3,
            Self::NotFound => 4,
            Self::Invalid => 5,
            Self::Conflict => 6,
            Self::Failed => 7,
            Self::Denied => 8,
            Self::Usage => 9,
            Self::Interrupted => 10,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Conflict => "conflict",
            Self::TimedOut => "timeout",
            Self::Terminal => "terminal",
            Self::Changes => "changes",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why the rest was not tried: one answer that did not come is enough.
pub(super) const SILENT: &str = "the API server does not answer";
/// Why the rest was not tried: Ctrl-C.
pub(super) const INTERRUPTED: &str = "interrupted";

/// Why a verb ended without what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What, where and why. Empty where all was said already.
    pub text: String,
    /// What to do, a line each.
    pub remedies: Vec<String>,
    /// What is wrong with which part of a manifest.
    pub errors: Vec<Located>,
    /// Whether the API server does not answer: nothing else need be tried.
    pub silent: bool,
}

/// Something that is wrong with a part of a manifest: a member of `errors` in problem JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The file; empty of what was named, and then it is left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The line, from 1; 0 of a whole file, and then it is left out.
    #[serde(skip_serializing_if = "is_nowhere")]
    pub line: u64,
    /// The column, from 1; 0 as the line.
    #[serde(skip_serializing_if = "is_nowhere")]
    pub column: u64,
    /// The path of the field (RFC 6901).
    pub pointer: String,
    /// What is wrong, in words.
    pub detail: String,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// What it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// What was perhaps meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// Whether a line or column is none.
#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
pub(super) fn is_nowhere(place: &u64) -> bool {
    *place == 0
}

impl Failure {
    /// A failure with its text.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), remedies: Vec::new(), errors: Vec::new(), silent: false }
    }

    /// An error of a step, with its causes.
    pub fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::new(exit, chain(error))
    }

    /// Several in one: it ends as the worst of them, and says what each of them does.
    pub fn of_several(failures: Vec<Self>) -> Self {
        let exit = Exit::of_all(failures.iter().map(|failure| failure.exit));
        let texts: Vec<&str> = failures.iter().map(|failure| failure.text.as_str()).collect();
        let mut all = Self::new(exit, texts.join("\n  "));
        for failure in failures {
            all.remedies.extend(failure.remedies);
            all.errors.extend(failure.errors);
            all.silent |= failure.silent;
        }
        all
    }

    /// What became of a call to the API server; `what` was tried: `Computes could not be listed`.
    pub fn of_call(what: &str, error: &CallError) -> Self {
        Self::called(what, error, false)
    }

    /// As [`Self::of_call`], of a verb that writes: who lacks the right to read what is to be written lacks that to write it
    /// as well, and is told of both at once.
    pub fn of_write(what: &str, error: &CallError) -> Self {
        Self::called(what, error, true)
    }

    fn called(what: &str, error: &CallError, writes: bool) -> Self {
        let (exit, remedy) = access::call(error, writes);
        let mut failure = Self::new(exit, format!("{what}: {}", error.chain()));
        failure.remedies.extend(remedy);
        failure.silent = matches!(error, CallError::Timeout(_) | CallError::Unreachable(_));
        failure
    }

    /// Why there is no connection.
    pub fn of_connect(error: &ConnectError) -> Self {
        access::connect(error)
    }

    /// The same with something to do.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedies.push(text.into());
        self
    }

    /// As people read it.
    pub fn told(&self) -> String {
        let mut text = self.text.clone();
        for remedy in &self.remedies {
            text.push_str("\n  ");
            text.push_str(remedy);
        }
        text
    }

    /// As programs read it: RFC 9457, one line.
    pub fn problem(&self) -> String {
        let mut problem = serde_json::json!({
            "type": format!("urn:poros:problem:{}", self.exit.word()),
            "title": self.exit.meaning(),
            "detail": self.text,
            "exitCode": self.exit.code(),
        });
        if !self.remedies.is_empty() {
            problem["remedies"] = serde_json::json!(self.remedies);
        }
        if !self.errors.is_empty() {
            problem["errors"] = serde_json::json!(self.errors);
        }
        // Standard error is often a terminal. JSON has a way to write every sign that one would act on.
        let mut text = String::new();
        for sign in problem.to_string().chars() {
            if is_told(sign) {
                text.push(sign);
            } else {
                let _ = write!(text, "\\u{:04x}", u32::from(sign));
            }
        }
        text + "\n"
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Closed => Self::new(Exit::Ok, ""),
            WriteError::Failed(_) => Self::of(Exit::Failed, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_decides_whatever_their_order() {
        let all = |exits: &[Exit]| Exit::of_all(exits.iter().copied());
        assert_eq!(all(&[]), Exit::Ok);
        assert_eq!(all(&[Exit::TimedOut, Exit::Denied, Exit::Ok]), Exit::Denied);
        assert_eq!(all(&[Exit::Conflict, Exit::NotFound]), all(&[Exit::NotFound, Exit::Conflict]));
        // Each has a weight of its own, so which of them came first never matters.
        let mut weights: Vec<u8> = Exit::ALL.map(Exit::weight).to_vec();
        weights.sort_unstable();
        weights.dedup();
        assert_eq!(weights.len(), Exit::ALL.len());
    }

    #[test]
    fn several_failures_end_as_the_worst_in_whatever_order() {
        let one = Failure::new(Exit::NotFound, "a").remedy("do a");
        let mut other = Failure::new(Exit::Invalid, "b");
        other.errors.push(Located { file: "f".into(), ..Located::default() });
        let (first, second) = (vec![one.clone(), other.clone()], vec![other.clone(), one.clone()]);
        let all = Failure::of_several(first);
        assert_eq!((all.exit, Failure::of_several(second).exit), (Exit::Invalid, Exit::Invalid));
        assert_eq!(all.told(), "a\n  b\n  do a");
        assert_eq!(all.errors, other.errors);
    }

    #[test]
    fn a_problem_is_one_line_that_no_terminal_acts_on() {
        let text = "a\u{1b}[2J\n\u{9b}2J\u{202e} \u{1f6e0}";
        let problem = Failure::new(Exit::Failed, text).problem();
        assert!(problem.contains(r"a\u001b[2J\n\u009b2J\u202e 🛠"), "{problem}");
        assert_eq!(problem.chars().filter(|sign| !is_told(*sign)).collect::<String>(), "\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&problem).unwrap()["detail"], text);
    }
}

//! What people are told: explanations as data, and how they read on a terminal. One source for the command line and,
//! later, for pages.
//!
//! Pure: what is known comes in, with what could not be seen and why; nothing is asked here.

pub mod change;
pub mod chart;
pub mod choice;
pub mod compute;
pub mod computes;
pub mod course;
pub mod deletion;
pub mod denied;
pub mod describe;
pub mod events;
pub mod faults;
pub mod follow;
pub mod in_force;
pub mod jsonschema;
pub mod listing;
pub mod manifest;
pub mod names;
pub mod nodes;
pub mod output;
pub mod page;
pub mod pod;
pub mod sample;
pub mod table;
pub mod talk;
pub mod time;
pub mod tree;
pub mod users;
pub mod why;

use std::fmt;

/// What was seen; or that it was not.
pub type Seen<T> = Result<T, Unseen>;

/// Something that was not seen. As text it is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What: `nodes`.
    pub what: String,
    /// What is unknown for it: `which of them fit`.
    pub so: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Unseen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} cannot be seen, so {} is not known: {}", self.what, self.so, self.why)
    }
}

/// Why something was not seen, if it was not.
pub fn why_unseen<T>(seen: &Seen<T>) -> Option<String> {
    seen.as_ref().err().map(ToString::to_string)
}

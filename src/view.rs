//! What people are told: explanations as data, and how they read on a terminal. One source for the command line and,
//! later, for pages.
//!
//! Pure: what is known comes in, with what could not be seen and why; nothing is asked here.

pub mod change;
pub mod compute;
pub mod computes;
pub mod course;
pub mod deletion;
pub mod denied;
pub mod duration;
pub mod faults;
pub mod in_force;
pub mod jsonschema;
pub mod manifest;
pub mod names;
pub mod nodes;
pub mod page;
pub mod pod;
pub mod sample;
pub mod table;
pub mod talk;
pub mod users;

/// What was seen; or a sentence that says why it was not, and what is unknown for it.
pub type Seen<T> = Result<T, String>;

/// Why something was not seen, if it was not.
pub fn why_unseen<T>(seen: &Seen<T>) -> Option<String> {
    seen.as_ref().err().cloned()
}

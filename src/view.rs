//! What people are told: explanations as data, and how they read on a terminal. One source for the command line and,
//! later, for pages.
//!
//! Pure: what is known comes in, with what could not be seen and why; nothing is asked here.

pub mod change;
pub mod compute;
pub mod faults;
pub mod manifest;
pub mod names;
pub mod nodes;
pub mod page;
pub mod pod;

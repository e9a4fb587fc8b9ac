//! The pure ring: every rule, without a cluster. Seconds, not minutes.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)] // tests

mod explain;
mod faults;
mod model;
mod plans;
mod sim;
mod truth;

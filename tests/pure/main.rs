//! The pure ring: every rule, without a cluster. Seconds, not minutes.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)] // tests

mod election;
mod model;
mod plans;
mod replicas;
mod sim;
mod truth;

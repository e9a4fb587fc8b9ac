//! The pure ring: every rule, without a cluster. Seconds, not minutes.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)] // tests

mod churn;
mod cli;
mod describe;
mod election;
mod events;
mod explain;
mod faults;
mod help;
mod kept;
mod layouts;
mod manifests;
mod memory;
mod metrics;
mod model;
mod offline;
mod plans;
mod policies;
mod replicas;
mod sim;
mod start;
mod tree;
mod truth;
mod why;

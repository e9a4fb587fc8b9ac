//! The API server: watches, applies a plan, sends the probe, writes status. It chooses nothing.

pub mod access;
pub mod apply;
pub mod call;
pub mod certificates;
pub mod client;
pub mod computes;
pub mod defaults;
pub mod discovery;
pub mod events;
pub mod install;
pub mod lease;
pub mod probe;
pub mod read;
pub mod registration;
pub mod remove;
pub mod resources;
pub mod rights;
pub mod status;
pub mod watch;
pub mod whoami;

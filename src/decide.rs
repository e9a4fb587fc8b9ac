//! Every rule of Poros, as pure functions: what is observed goes in, what is to be done and said comes out.
//!
//! No client, no async, no clock (time comes in as an argument), no randomness, no logging. The steps of a pass, in order:
//! [`observed`] → [`validate`] → [`desired`] → [`plan`] → (the cluster) → [`prove`] → [`outcome`] → [`status`].

pub mod admission;
pub mod applied;
pub mod certificate;
pub mod crds;
pub mod defaults;
pub mod desired;
pub mod difference;
pub mod events;
pub mod fault;
pub mod filter;
pub mod fit;
pub mod goal;
pub mod goals;
pub mod hash;
pub mod in_use;
pub mod jsonpath;
pub mod judge;
pub mod lacks;
pub mod lease;
pub mod manifest;
pub mod meant;
pub mod mode;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod policies;

pub mod pool;
pub mod problem;
pub mod prove;
pub mod quantity;
pub mod reason;
pub mod registration;
pub mod requests;
pub mod rights;
pub mod schema;
pub mod status;
pub mod truth;
pub mod validate;
pub mod verdict;

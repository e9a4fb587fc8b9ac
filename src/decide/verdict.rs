//! What the outcome is drawn from, and what is drawn: the facts of a pass and the verdict on them.

use std::time::Duration;

use jiff::Timestamp;

use crate::decide::applied::Applied;
use crate::decide::desired::Desired;
use crate::decide::fault::Fault;
use crate::decide::observed::{Compute, Observed, Proof, Settings, Target};
use crate::decide::plan::Plan;
use crate::decide::truth::Outcome;
use crate::decide::validate::Valid;

/// All that the outcome is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What was observed.
    pub observed: &'a Observed,
    /// The Compute of it.
    pub compute: &'a Compute,
    /// The spec, or what is wrong with it.
    pub valid: &'a Result<Valid, Fault>,
    /// What should stand.
    pub desired: &'a Desired,
    /// What was to be written.
    pub plan: &'a Plan,
    /// What stands now.
    pub applied: &'a Applied,
    /// What is to be proven; none while nothing is to be in force.
    pub target: Option<&'a Target>,
    /// What came of the proof in this pass, or of the last one of the same target.
    pub proof: Option<&'a Proof>,
    /// How long a pass that wants to prove something is to wait before it tries.
    pub prove_in: Option<Duration>,
    /// How long things may last.
    pub settings: &'a Settings,
    /// The time.
    pub now: Timestamp,
}

/// The outcome, and what is to be said beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Whether what stands is proven to place pods.
    pub verified: Verified,
    /// What is wrong with the pool, as far as it counts.
    pub pool: Option<Fault>,
    /// What others did to the built objects and is not undone and proven yet.
    pub drifted: Option<String>,
    /// What a rival keeps doing.
    pub contended: Option<String>,
    /// When to look again, if nothing happens before.
    pub wake: Option<Duration>,
}

/// Whether what stands is proven to place pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Now, in this pass.
    Newly,
    /// Earlier; the status says so.
    Standing,
    /// Not yet, or not again yet.
    Pending(String),
    /// It could not be tried.
    Blocked(String),
    /// It is not.
    Failed(String),
}

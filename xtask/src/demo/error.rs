//! Why a step of the demo did not hold.

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::rig::RigError;

/// Why a step did not hold.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Ctrl-C.
    #[error("stopped by a signal")]
    Stopped,
    /// A command could not be run.
    #[error("cannot run {typed:?}: is `sh` on PATH?")]
    Run {
        /// The command.
        typed: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A command failed.
    #[error("{typed:?} ended with {status}; what it said is above")]
    Failed {
        /// The command.
        typed: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A command that had to be refused was not.
    #[error("{typed:?} had to be refused, and was not")]
    NotRefused {
        /// The command.
        typed: String,
    },
    /// A condition did not come true.
    #[error("not within {seconds} s: {what}; last seen: {seen}")]
    Late {
        /// The condition.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// What was there instead.
        seen: String,
    },
    /// What was there is not what had to be there.
    #[error("{what} does not hold: {seen}")]
    Wrong {
        /// What had to be there.
        what: String,
        /// What was there.
        seen: String,
    },
    /// The companion ended by itself.
    #[error("{name} ended with {status}; the last lines of {log:?}:\n{tail}")]
    Fallen {
        /// Its name.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The rig failed.
    #[error("the rig failed")]
    Rig(#[source] RigError),
}

//! The flags of the election, and the name under which a process takes part.

use std::time::Duration;

use clap::Args;
use poros::controller::elect::identity;
use poros::decide::lease::{Terms, TermsError};

use crate::values::seconds;

#[derive(Args)]
#[command(next_help_heading = "How replicas choose the one that writes")]
pub(crate) struct Election {
    /// Write only while holding the Lease `poros`; with false this Poros leads, whoever else does
    #[arg(
        long, env = "POROS_LEADER_ELECT", value_name = "true|false", default_value_t = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set
    )]
    leader_elect: bool,
    /// Another replica takes over when the Lease was silent this long
    #[arg(long, env = "POROS_LEASE_DURATION", default_value = "15", value_name = "SECONDS", value_parser = seconds)]
    lease_duration: Duration,
    /// A leader that could not renew the Lease this long stops
    #[arg(long, env = "POROS_LEASE_RENEW_DEADLINE", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    lease_renew_deadline: Duration,
    /// Time between tries to get or to renew the Lease
    #[arg(long, env = "POROS_LEASE_RETRY", default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    lease_retry: Duration,
}

impl Election {
    /// Who this process is, and the terms; none where it is to lead without asking.
    pub(crate) fn candidacy(&self, instance: &str) -> Result<Option<(String, Terms)>, TermsError> {
        if !self.leader_elect {
            return Ok(None);
        }
        let terms = Terms::new(self.lease_duration, self.lease_renew_deadline, self.lease_retry)?;
        // A random end: two processes of one name are two candidates.
        Ok(Some((identity(instance), terms)))
    }
}

/// The name of the pod, or else of the host; at most what the API server takes in an event.
pub(crate) fn host() -> Option<String> {
    let told = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let told = told.or_else(|_| std::fs::read_to_string("/etc/hostname")).ok()?;
    let name: String = told.chars().filter(char::is_ascii_graphic).take(128).collect();
    Some(name).filter(|name| !name.is_empty())
}

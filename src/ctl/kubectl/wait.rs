//! The flags of `kubectl poros wait`: those of `kubectl wait`, and goals in the words of Poros.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::ctl::failure::Failure;
use crate::ctl::kubectl::which::{Namespaces, names};
use crate::ctl::wait::{NO_LIMIT, Output, Request};
use crate::ctl::which::Which;
use crate::decide::goal::Goal;
use crate::view::time::{self, TimeError};

/// Wait for Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Wait {
    /// The Computes to wait for: compute/NAME, several of them, or computes NAME
    #[arg(value_name = "TYPE[/NAME]", required = true)]
    what: Vec<String>,
    /// What is waited for: condition=TYPE[=STATUS], jsonpath={.FIELD}[=VALUE], create, delete; or status=STATUS, stage=STAGE.
    /// Default: status=active
    #[arg(long = "for", value_name = "GOAL")]
    goal: Option<Goal>,
    /// How long to wait at most, such as 60s or 2m; 0 looks once, less than 0 waits a week
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = limit, allow_hyphen_values = true)]
    timeout: Duration,
    /// Wait for those that these labels select now
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
    /// Wait for all that there are now
    #[arg(long)]
    all: bool,
    /// What to print of them at the end: json, name
    #[arg(long, short = 'o', value_name = "FORMAT", hide_possible_values = true)]
    output: Option<Format>,
    #[command(flatten)]
    namespaces: Namespaces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Name,
}

fn limit(given: &str) -> Result<Duration, TimeError> {
    match given.strip_prefix('-') {
        Some(rest) => time::read(rest).map(|_| NO_LIMIT),
        None => time::read(given),
    }
}

impl Wait {
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Format::Json)
    }

    pub(super) fn request(self) -> Result<Request, Failure> {
        let output = match self.output {
            None => Output::Plain,
            Some(Format::Json) => Output::Json,
            Some(Format::Name) => Output::Name,
        };
        let which = Which::of(names(&self.what)?, self.selector, self.all)?;
        Ok(Request { which, goal: self.goal.unwrap_or_else(Goal::active), limit: self.timeout, output })
    }
}

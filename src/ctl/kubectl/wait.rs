//! The flags of `kubectl poros wait`: those of `kubectl wait`, and goals in the words of Poros.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::ctl::failure::Failure;
use crate::ctl::filed::Files;
use crate::ctl::kubectl::which::{Namespaces, names};
use crate::ctl::session::Session;
use crate::ctl::wait::{NO_LIMIT, Request};
use crate::ctl::which::Which;
use crate::decide::goal::Goal;
use crate::view::output::Output;
use crate::view::time::{self, TimeError};

/// Wait for Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Wait {
    /// The Computes to wait for: compute/NAME, several of them, or computes NAME
    #[arg(value_name = "TYPE[/NAME]", required_unless_present = "filename")]
    what: Vec<String>,
    /// The Computes that a manifest names, or a folder of them; - reads standard input
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// Read subfolders too
    #[arg(long, short = 'R')]
    recursive: bool,
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
    /// What to print of them at the end: wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=TITLE:PATH,…
    #[arg(long, short = 'o', value_name = "FORMAT")]
    output: Option<Output>,
    #[command(flatten)]
    namespaces: Namespaces,
}

fn limit(given: &str) -> Result<Duration, TimeError> {
    match given.strip_prefix('-') {
        Some(rest) => time::read(rest).map(|_| NO_LIMIT),
        None => time::read(given),
    }
}

impl Wait {
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    pub(super) fn request(self, session: &mut Session) -> Result<Request, Failure> {
        let files = Files { paths: self.filename, recursive: self.recursive, variables: None };
        let mut names = names(&self.what)?;
        names.extend(files.names(&mut session.terminal)?);
        let which = Which::of(names, self.selector, self.all)?;
        let goal = self.goal.unwrap_or_else(Goal::active);
        Ok(Request { which, goal, limit: self.timeout, output: self.output })
    }
}

//! The flags of `dataos-ctl wait`.

use std::time::Duration;

use clap::Args;

use crate::ctl::dataos::which::{Filed, Named};
use crate::ctl::failure::Failure;
use crate::ctl::filed::Files;
use crate::ctl::session::Session;
use crate::ctl::wait::Request;
use crate::ctl::which::Which;
use crate::decide::goal::{Aim, Fact, Goal};
use crate::view::output::{FORMATS, Output};
use crate::view::time;

/// Wait for Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Wait {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    filed: Filed,
    /// Wait for those that these labels select now, as in kubectl -l
    #[arg(long, value_name = "LABELS")]
    selector: Option<String>,
    /// Wait for all that there are now
    #[arg(long)]
    all: bool,
    /// What is waited for: status=STATUS, stage=STAGE, created, deleted; or as kubectl has it, condition=TYPE[=STATUS],
    /// jsonpath={.FIELD}[=VALUE]. Default: status=active
    #[arg(long = "for", value_name = "GOAL")]
    goal: Option<Goal>,
    /// Wait only while this holds, such as status=pending. Without --for: until it holds no more
    #[arg(long = "while", value_name = "FACT")]
    meanwhile: Option<Fact>,
    /// How long to wait at most, such as 60s, 2m or 1m30s; 0 looks once
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time::read, allow_hyphen_values = true)]
    timeout: Duration,
    #[arg(long, value_name = "FORMAT", help = format!("What to print of them at the end: {FORMATS}"))]
    output: Option<Output>,
}

impl Wait {
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    pub(super) fn request(self, session: &mut Session) -> Result<Request, Failure> {
        let goal = match (self.goal, self.meanwhile) {
            (None, None) => Goal::active(),
            (None, Some(fact)) => Goal { aim: Aim::IsNot(fact), meanwhile: None },
            (Some(goal), meanwhile) => Goal { meanwhile, ..goal },
        };
        let mut names = self.named.names()?;
        names.extend(Files::from(self.filed).names(&mut session.terminal)?);
        let which = Which::of(names, self.selector, self.all)?;
        Ok(Request { which, goal, limit: self.timeout, output: self.output })
    }
}

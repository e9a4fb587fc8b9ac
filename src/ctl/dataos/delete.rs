//! The flags of `dataos-ctl delete`.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::ctl::dataos::which::{Filed, Named};
use crate::ctl::delete::{Mode, Request};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::filed::Files;
use crate::ctl::report::Output;
use crate::ctl::session::Session;
use crate::ctl::wait::NO_LIMIT;
use crate::view::talk::NO_WORKSPACE;
use crate::view::time;

/// Delete Computes.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // switches
pub(super) struct Delete {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    filed: Filed,
    /// Delete those that these labels select, as in kubectl -l; asks first
    #[arg(long, value_name = "LABELS", conflicts_with_all = ["name", "identifier", "id", "files"])]
    selector: Option<String>,
    /// Delete also what is in use; its users run on. At a terminal its name is to be typed first
    #[arg(long)]
    force: bool,
    /// Taken and not used: a Compute is in no workspace
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    /// Delete nothing: say what would be deleted, by what the cluster holds (client, if nothing is named), or let the API server say what it would do (server)
    #[arg(long, value_name = "WHERE", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: Option<DryRun>,
    /// Wait until they are gone; --wait=false only asks for it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value = "true", default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    wait: bool,
    /// How long to wait at most, such as 60s, 2m or 1m30s. Default: until they are gone
    #[arg(long, value_name = "TIME", value_parser = time::read, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// Ask nothing, and take every answer for yes
    #[arg(long)]
    yes: bool,
    /// Ask nothing: --force is enough for what is in use, and a selector needs --yes
    #[arg(long)]
    no_input: bool,
    /// Take it for no failure where there is no such Compute
    #[arg(long)]
    ignore_not_found: bool,
    /// Print what was done as data: json, yaml, name
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    output: Option<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    Client,
    Server,
}

impl Delete {
    /// Whether errors are told as JSON.
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    pub(super) fn request(self, session: &mut Session) -> Result<Request, Failure> {
        if self.workspace.is_some() {
            session.terminal.warn("", NO_WORKSPACE);
        }
        let names = self.named.names()?;
        let files = Files::from(self.filed);
        if names.is_empty() && files.paths.is_empty() && self.selector.is_none() {
            let text = "which Computes? Name them with -n, -i or -f, or choose them by --selector";
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(Request {
            names,
            files,
            selector: self.selector,
            force: self.force,
            mode: match self.dry_run {
                None => Mode::Delete,
                Some(DryRun::Client) => Mode::ClientDryRun,
                Some(DryRun::Server) => Mode::ServerDryRun,
            },
            wait: self.wait.then(|| self.timeout.unwrap_or(NO_LIMIT)),
            yes: self.yes,
            no_input: self.no_input,
            ignore_not_found: self.ignore_not_found,
            output: self.output,
        })
    }
}

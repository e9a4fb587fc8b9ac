//! The flags of `dataos-ctl apply`, `create` and `update`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::ctl::apply::{Mode, Request, Verb};
use crate::ctl::filed::Files;
use crate::ctl::files::environment;
use crate::ctl::report::Output;
use crate::ctl::session::Session;
use crate::view::talk::NO_WORKSPACE;
use crate::view::time;

/// What `apply`, `create` and `update` take.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // switches
pub(super) struct Apply {
    /// A manifest, a folder of them (*.yaml, *.yml, *.json), or - for standard input; may be given several times
    #[arg(long = "manifestFile", visible_aliases = ["file", "filename"], short = 'f', value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Read subfolders too
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Only say what is wrong with the manifests; needs no cluster
    #[arg(long, short = 'l', group = "how")]
    lint: bool,
    /// Only print the manifests, with the environment put in
    #[arg(long = "de-ref", short = 'd', group = "how")]
    de_ref: bool,
    /// Leave $NAME and ${NAME} as they are. Without this the environment is put in, and $$ is a dollar sign
    #[arg(long)]
    disable_interpolation: bool,
    /// Taken and not used: a Compute is in no workspace
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    /// Taken and not used: a Compute does not run
    #[arg(long = "re-run", short = 'r', hide = true)]
    re_run: bool,
    /// Write nothing: judge the manifests here (client, if nothing is named), or let the API server say what it would do (server)
    #[arg(long, value_name = "WHERE", group = "how", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: Option<DryRun>,
    /// Write nothing: tell what would change, field by field, and which nodes would join or leave; exit code 10 if anything
    #[arg(long, group = "how")]
    diff: bool,
    /// Wait until every Compute is active; ends at once if one cannot become active
    #[arg(long, value_name = "STATUS", num_args = 0..=1, default_missing_value = "active", require_equals = true, conflicts_with = "how")]
    wait: Option<Until>,
    /// How long to wait at most, such as 60s, 2m or 1m30s; 0 looks once
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time::read, allow_hyphen_values = true)]
    timeout: Duration,
    /// Take over fields that another manager holds
    #[arg(long)]
    force_conflicts: bool,
    /// Print what was done as data: json, yaml, name
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    output: Option<Output>,
}

/// Who says what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    Active,
}

impl Apply {
    /// Whether errors are told as JSON.
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    pub(super) fn request(self, verb: Verb, session: &mut Session) -> Request {
        if self.workspace.is_some() {
            session.terminal.warn("", NO_WORKSPACE);
        }
        if self.re_run {
            session.terminal.warn("", "a Compute does not run: -r is not used");
        }
        let mode = match self.dry_run {
            Some(DryRun::Client) => Mode::ClientDryRun,
            Some(DryRun::Server) => Mode::ServerDryRun,
            None if self.lint => Mode::Lint,
            None if self.de_ref => Mode::Dereference,
            None if self.diff => Mode::Diff,
            None => Mode::Write,
        };
        Request {
            verb,
            files: Files {
                paths: self.files,
                recursive: self.recursive,
                variables: (!self.disable_interpolation).then(environment),
            },
            mode,
            force: self.force_conflicts,
            wait: self.wait.map(|Until::Active| self.timeout),
            output: self.output,
        }
    }
}

//! The flags of `kubectl poros get`.

use std::path::PathBuf;

use clap::Args;

use crate::ctl::failure::Failure;
use crate::ctl::filed::Files;
use crate::ctl::get::{Again, Owner, Request};
use crate::ctl::kubectl::which::{Namespaces, names};
use crate::decide::jsonpath::Path;
use crate::view::choice::{Sort, Words};
use crate::view::listing::Format;
use crate::view::output::Output;
use crate::view::talk::Voice;

/// Show Computes.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub(super) struct Get {
    /// What to show: computes (also compute, cmp; and if nothing is named), or compute/NAME; the rest are names
    #[arg(value_name = "TYPE[/NAME]")]
    what: Vec<String>,
    /// The Computes that a manifest names, or a folder of them; - reads standard input
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// Read subfolders too
    #[arg(long, short = 'R')]
    recursive: bool,
    /// How to print them: wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=TITLE:PATH,…
    #[arg(long, short = 'o', value_name = "FORMAT")]
    output: Option<Output>,
    /// Show those that these labels select
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
    /// Show those of these statuses: pending, active, error, deleting; !active: of all the others
    #[arg(long, value_name = "WORDS", value_parser = Words::of_status)]
    status: Option<Words>,
    /// Show those in these stages: building, built, error; !built: in all the others
    #[arg(long, value_name = "WORDS", value_parser = Words::of_stage)]
    stage: Option<Words>,
    /// Sort by what is at a path, such as .metadata.creationTimestamp
    #[arg(long, value_name = "PATH", value_parser = |given: &str| Path::relaxed(given))]
    sort_by: Option<Path>,
    /// Print no header
    #[arg(long)]
    no_headers: bool,
    /// Print managedFields too
    #[arg(long)]
    show_managed_fields: bool,
    /// Then print each that changes, as it does, until Ctrl-C, which ends it with 130
    #[arg(long, short = 'w')]
    watch: bool,
    /// With --watch: print what happened too: ADDED, MODIFIED or DELETED
    #[arg(long, requires = "watch")]
    output_watch_events: bool,
    #[command(flatten)]
    namespaces: Namespaces,
}

impl Get {
    /// Whether errors are JSON as well.
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Some(Output::Json)
    }

    pub(super) fn request(self) -> Result<Request, Failure> {
        let names = names(&self.what)?;
        let format = Format {
            output: self.output.unwrap_or_default(),
            headed: !self.no_headers,
            events: self.output_watch_events,
            single: names.len() == 1,
            managed_fields: self.show_managed_fields,
            ..Format::plain(Voice::Kubectl)
        };
        Ok(Request {
            names,
            files: Files { paths: self.filename, recursive: self.recursive, variables: None },
            owner: Owner::Anybody,
            selector: self.selector,
            status: self.status.unwrap_or_default(),
            stage: self.stage.unwrap_or_default(),
            sort: self.sort_by.map_or_else(Sort::default, Sort::Path),
            again: if self.watch { Again::Watch } else { Again::No },
            ..Request::of(format)
        })
    }
}

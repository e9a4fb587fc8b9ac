//! The flags of `dataos-ctl get`.

use std::time::Duration;

use clap::Args;

use crate::ctl::dataos::which::{Filed, Named};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::get::{Again, Owner, Request};
use crate::view::choice::{Sort, Words};
use crate::view::computes::Field;
use crate::view::listing::Format;
use crate::view::output::{FORMATS, Output};
use crate::view::talk::Voice;

/// Show Computes.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub(super) struct Get {
    #[command(flatten)]
    named: Named,
    /// Taken and not used: a Compute is in no workspace
    #[arg(long, short = 'w')]
    workspace: Option<String>,
    #[command(flatten)]
    filed: Filed,
    /// Show those of all owners
    #[arg(long, short = 'a')]
    all: bool,
    /// Show those of this owner. Default: you, as the API server knows you
    #[arg(long, short = 'o', conflicts_with = "all")]
    owner: Option<String>,
    /// Show those of these statuses: pending, active, error, deleting; !active: of all the others
    #[arg(long, value_name = "WORDS", value_parser = Words::of_status)]
    status: Option<Words>,
    /// Show those in these stages: building, built, error; !built: in all the others
    #[arg(long, value_name = "WORDS", value_parser = Words::of_stage)]
    stage: Option<Words>,
    /// Show those that these labels select, as in kubectl -l
    #[arg(long, value_name = "LABELS")]
    selector: Option<String>,
    /// Print manifests, with what became of them in comments
    #[arg(long, short = 'd', conflicts_with_all = ["output", "tags", "columns"])]
    details: bool,
    #[arg(long, value_name = "FORMAT", default_value = "table", help = format!("How to print them: {FORMATS}"), hide_default_value = true)]
    output: Output,
    /// Show the tags too
    #[arg(long)]
    tags: bool,
    #[arg(long, value_delimiter = ',', value_parser = field, conflicts_with = "tags", help = columns())]
    columns: Vec<Field>,
    /// Sort by name, owner, status, stage, age or updated; -updated: the other way round
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "name",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    sort: Sort,
    /// Print no header
    #[arg(long)]
    no_headers: bool,
    /// Print managedFields too
    #[arg(long)]
    show_managed_fields: bool,
    /// Print it again and again, until Ctrl-C, which ends it with 130
    #[arg(long, short = 'r', conflicts_with = "watch")]
    refresh: bool,
    /// With --refresh: how many seconds there are between two tables
    #[arg(long = "refreshRate", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    refresh_rate: u64,
    /// Then print each that changes, as it does, until Ctrl-C, which ends it with 130
    #[arg(long)]
    watch: bool,
}

fn columns() -> String {
    let titles = Field::ALL.map(Field::title).join(", ").to_ascii_lowercase();
    format!("Print a table of these columns: {titles}")
}

fn field(given: &str) -> Result<Field, String> {
    let titles = Field::ALL.map(Field::title);
    let wanted = given.to_ascii_uppercase();
    let found = Field::ALL.into_iter().find(|field| field.title() == wanted);
    found.ok_or_else(|| {
        format!("there is no column {given:?}; there are: {}", titles.join(", ").to_ascii_lowercase())
    })
}

impl Get {
    /// Whether errors are JSON as well.
    pub(super) fn speaks_json(&self) -> bool {
        self.output == Output::Json
    }

    pub(super) fn request(self) -> Result<Request, Failure> {
        let identifiers = self.named.identifiers()?;
        let owner = match self.owner {
            Some(owner) => Owner::Named(owner),
            None if self.all => Owner::Anybody,
            None => Owner::Mine,
        };
        let format = Format {
            output: self.output,
            details: self.details,
            columns: self.columns,
            tags: self.tags,
            headed: !self.no_headers,
            events: true,
            managed_fields: self.show_managed_fields,
            ..Format::plain(Voice::Dataos)
        };
        if !format.is_table() && !format.columns.is_empty() {
            let text = "--columns is for tables; other formats have --output custom-columns=TITLE:PATH,…";
            return Err(Failure::new(Exit::Usage, text));
        }
        let request = Request {
            files: self.filed.into(),
            status: self.status.unwrap_or_default(),
            stage: self.stage.unwrap_or_default(),
            selector: self.selector,
            sort: self.sort,
            again: match (self.watch, self.refresh) {
                (true, _) => Again::Watch,
                (false, true) => Again::Every(Duration::from_secs(self.refresh_rate)),
                (false, false) => Again::No,
            },
            workspace: self.workspace.is_some(),
            ..Request::of(format)
        };
        Ok(request.naming(identifiers, owner))
    }
}

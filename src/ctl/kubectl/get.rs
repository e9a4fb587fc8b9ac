//! The flags of `kubectl poros get`.

use clap::Args;

use crate::ctl::failure::{Exit, Failure};
use crate::ctl::get::{Owner, Request};

/// Show Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Get {
    /// What to show: computes (also compute, cmp), or compute/NAME
    #[arg(value_name = "TYPE[/NAME]")]
    what: String,
    /// Which of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// No header
    #[arg(long)]
    no_headers: bool,
    /// Those that these labels select
    #[arg(long, short = 'l', value_name = "LABELS")]
    selector: Option<String>,
}

/// What kubectl takes for Computes.
pub(super) const KINDS: [&str; 5] =
    ["computes", "compute", "cmp", "computes.poros.dataos.io", "compute.poros.dataos.io"];

impl Get {
    pub(super) fn request(self) -> Result<Request, Failure> {
        let (kind, name) = match self.what.split_once('/') {
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (self.what.as_str(), None),
        };
        if !KINDS.contains(&kind) {
            return Err(Failure::new(Exit::Usage, format!("{kind:?} is not known here; there is: computes")));
        }
        let names = name.into_iter().chain(self.names).collect();
        Ok(Request { names, owner: Owner::Anybody, selector: self.selector, no_headers: self.no_headers })
    }
}

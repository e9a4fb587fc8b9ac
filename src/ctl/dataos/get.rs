//! The flags of `dataos-ctl get`.

use clap::Args;

use crate::api::identifier::{Identifier, IdentifierError, TYPE};
use crate::ctl::dataos::asked::{known, known_type, known_version};
use crate::ctl::failure::Failure;
use crate::ctl::get::{Owner, Request};

/// Show Computes.
#[derive(Clone, Debug, Args)]
pub(super) struct Get {
    /// The type of resource: compute
    #[arg(long = "type", short = 't', default_value = TYPE, value_name = "TYPE")]
    type_: String,
    /// The version of the resource: v1beta
    #[arg(long, short = 'v')]
    version: Option<String>,
    /// The Compute of this name, whoever owns it
    #[arg(long, short = 'n')]
    name: Vec<String>,
    /// Those of all owners
    #[arg(long, short = 'a')]
    all: bool,
    /// Those of this owner. Default: you, as the API server knows you
    #[arg(long, short = 'o', conflicts_with = "all")]
    owner: Option<String>,
    /// A resource as NAME:VERSION:TYPE, or a row of the table
    #[arg(long, short = 'i', value_parser = Identifier::from_row)]
    identifier: Vec<Identifier>,
    /// A resource as TYPE:VERSION:NAME
    #[arg(long, value_parser = |given: &str| -> Result<Identifier, IdentifierError> { given.parse() })]
    id: Vec<Identifier>,
    /// No header
    #[arg(long)]
    no_headers: bool,
    /// Those that these labels select, as in kubectl -l
    #[arg(long, value_name = "LABELS")]
    selector: Option<String>,
}

impl Get {
    pub(super) fn request(self) -> Result<Request, Failure> {
        known_type(&self.type_)?;
        if let Some(version) = &self.version {
            known_version(version)?;
        }
        let named = self.name.iter().map(|name| Identifier::compute(name));
        let identifiers = named.chain(self.identifier).chain(self.id).map(known);
        let identifiers = identifiers.collect::<Result<Vec<_>, _>>()?;
        let owner = match self.owner {
            Some(owner) => Owner::Named(owner),
            None if self.all => Owner::Anybody,
            None => Owner::Mine,
        };
        let request = Request::of_identifiers(identifiers, owner);
        Ok(Request { no_headers: self.no_headers, selector: self.selector, ..request })
    }
}

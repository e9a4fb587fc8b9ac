//! The flags that say which Computes, of the verbs of `dataos-ctl` that can be about several.

use clap::Args;

use crate::api::identifier::{Identifier, IdentifierError, TYPE};
use crate::ctl::dataos::asked::{known, known_type, known_version};
use crate::ctl::failure::Failure;

/// Which resources.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which")]
pub(super) struct Named {
    /// The type of resource: compute
    #[arg(long = "type", short = 't', default_value = TYPE, value_name = "TYPE")]
    type_: String,
    /// The version of the resource: v1beta
    #[arg(long, short = 'v')]
    version: Option<String>,
    /// The Compute of this name; several may be given
    #[arg(long, short = 'n')]
    name: Vec<String>,
    /// A resource as NAME:VERSION:TYPE, or a row of the table
    #[arg(long, short = 'i', value_parser = Identifier::from_row)]
    identifier: Vec<Identifier>,
    /// A resource as TYPE:VERSION:NAME
    #[arg(long, value_parser = |given: &str| -> Result<Identifier, IdentifierError> { given.parse() })]
    id: Vec<Identifier>,
}

impl Named {
    /// The names, in the order of the flags.
    pub(super) fn names(self) -> Result<Vec<String>, Failure> {
        known_type(&self.type_)?;
        if let Some(version) = &self.version {
            known_version(version)?;
        }
        let named = self.name.iter().map(|name| Identifier::compute(name));
        let identifiers = named.chain(self.identifier).chain(self.id).map(known);
        identifiers.map(|identifier| Ok(identifier?.name)).collect()
    }
}

//! The flags of `dataos-ctl` that say which Computes, as the reference has them; what Poros does not know is told with what is
//! meant.

use std::path::PathBuf;

use clap::Args;

use crate::api::identifier::{Identifier, IdentifierError, TYPE, VERSIONS};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::filed::Files;
use crate::ctl::files::environment;
use crate::decide::meant::nearest;
use crate::view::manifest::Variables;
use crate::view::names::listed;

/// Which resources.
#[derive(Clone, Debug, Args)]
pub(super) struct Named {
    /// The type of resource: compute
    #[arg(long = "type", short = 't', default_value = TYPE, value_name = "TYPE")]
    type_: String,
    /// The version of the resource: v1beta; v1beta1 and v1 are taken for the same
    #[arg(long, short = 'v')]
    version: Option<String>,
    /// A Compute by its name, whoever owns it; get, wait and delete take several
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
    /// What is named, in the order of the flags.
    pub(super) fn identifiers(self) -> Result<Vec<Identifier>, Failure> {
        known_type(&self.type_)?;
        if let Some(version) = &self.version {
            known_version(version)?;
        }
        let named = self.name.iter().map(|name| Identifier::compute(name));
        let identifiers = named.chain(self.identifier).chain(self.id);
        for identifier in identifiers.clone() {
            known_type(&identifier.type_)?;
            known_version(&identifier.version)?;
        }
        Ok(identifiers.collect())
    }

    /// The names, in the order of the flags.
    pub(super) fn names(self) -> Result<Vec<String>, Failure> {
        Ok(self.identifiers()?.into_iter().map(|identifier| identifier.name).collect())
    }

    /// The name, of a verb that tells of one Compute; none if none is given.
    pub(super) fn name(self) -> Result<Option<String>, Failure> {
        if ["pod", "pods", "po"].contains(&self.type_.as_str()) {
            let name = self.name.first().map_or("NAME", String::as_str);
            let text = format!("this tells of Computes; of a pod tells: dataos-ctl explain pod {name}");
            return Err(Failure::new(Exit::Usage, text));
        }
        let mut names = self.names()?;
        if names.len() > 1 {
            let text =
                format!("this tells of one Compute, and {} are named: {}", names.len(), names.join(", "));
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(names.pop().filter(|name| !name.is_empty()))
    }

    /// The name that there must be.
    pub(super) fn one(self) -> Result<String, Failure> {
        let missing = || Failure::new(Exit::Usage, "which Compute is meant? Give its name: -n NAME");
        self.name()?.ok_or_else(missing)
    }
}

/// Which manifests name them.
#[derive(Clone, Debug, Args)]
pub(super) struct Filed {
    /// The Computes of a manifest, of a folder of them, or of standard input (-); may be given several times
    #[arg(long = "manifestFile", visible_aliases = ["file", "filename"], short = 'f', value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read subfolders too
    #[arg(long, short = 'R')]
    recursive: bool,
    #[command(flatten)]
    environment: Environment,
}

/// Whether the environment is put into manifests.
#[derive(Clone, Debug, Args)]
pub struct Environment {
    /// Leave $NAME and ${NAME} in manifests as they are
    #[arg(long)]
    disable_interpolation: bool,
}

impl From<Environment> for Option<Variables> {
    fn from(given: Environment) -> Self {
        (!given.disable_interpolation).then(environment)
    }
}

impl From<Filed> for Files {
    fn from(given: Filed) -> Self {
        Self { paths: given.files, recursive: given.recursive, variables: given.environment.into() }
    }
}

/// No flag of namespaces where Computes are meant: `-n` is the name.
#[derive(Clone, Debug, Args)]
pub struct NoNamespaces {}

/// Checks `-t`; also `computes`, and any case.
pub(super) fn known_type(given: &str) -> Result<(), Failure> {
    let wanted = given.trim().to_ascii_lowercase();
    if [TYPE, "computes", "cmp"].contains(&wanted.as_str()) {
        return Ok(());
    }
    let meant = match nearest(&wanted, &[TYPE]) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there is: {TYPE}"),
    };
    Err(Failure::new(Exit::Usage, format!("type {given:?} is not known here; {meant}")))
}

/// Checks `-v`.
pub(super) fn known_version(given: &str) -> Result<(), Failure> {
    if VERSIONS.contains(&given) {
        return Ok(());
    }
    let text = format!(
        "version {given:?} of a Compute is not known; there are: {}",
        listed(&VERSIONS, VERSIONS.len())
    );
    Err(Failure::new(Exit::Usage, text))
}

//! How the reference names a resource in one word: `compute:v1beta:query-default`, or a row of its table.

use std::str::FromStr;

use thiserror::Error;

use crate::api::names::{VERSION, VERSION_SHOWN};

/// The one type that Poros knows, as the reference writes it.
pub const TYPE: &str = "compute";
/// Versions of a Compute that are taken: what the reference prints, what the API server says, and what old manifests say.
pub const VERSIONS: [&str; 3] = [VERSION_SHOWN, VERSION, "v1"];

/// What kubectl takes for Computes.
pub const KINDS: [&str; 6] = [
    "computes",
    "compute",
    "cmp",
    "computes.poros.dataos.io",
    "compute.poros.dataos.io",
    "computes.v1beta1.poros.dataos.io",
];

/// A resource, named as the reference does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Its type.
    pub type_: String,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its workspace; a Compute has none.
    pub workspace: Option<String>,
}

/// It names nothing.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{given:?} names no resource; it takes {takes}")]
pub struct IdentifierError {
    given: String,
    takes: &'static str,
}

impl Identifier {
    /// The Compute of this name.
    pub fn compute(name: &str) -> Self {
        let (type_, version) = (TYPE.to_owned(), VERSION_SHOWN.to_owned());
        Self { type_, version, name: name.to_owned(), workspace: None }
    }

    /// `NAME:VERSION:TYPE[:WORKSPACE]`, or a row of the table: `NAME | VERSION | TYPE | WORKSPACE`.
    pub fn from_row(given: &str) -> Result<Self, IdentifierError> {
        let takes = "NAME:VERSION:TYPE, or a row of the table: \"NAME | VERSION | TYPE\"";
        let separator = if given.contains('|') { '|' } else { ':' };
        let error = || IdentifierError { given: given.to_owned(), takes };
        let parts: Vec<&str> = given.split(separator).map(str::trim).collect();
        // A copied row goes on with status, runtime and owner.
        let &[name, version, type_, ref rest @ ..] = parts.as_slice() else { return Err(error()) };
        if [name, version, type_].contains(&"") || (separator == ':' && rest.len() > 1) {
            return Err(error());
        }
        Ok(Self::of(type_, version, name, rest.first()))
    }

    fn of(type_: &str, version: &str, name: &str, workspace: Option<&&str>) -> Self {
        let workspace = workspace.filter(|workspace| !workspace.is_empty()).map(|&name| name.to_owned());
        Self { type_: type_.to_owned(), version: version.to_owned(), name: name.to_owned(), workspace }
    }

    /// `name:version:type`, as the reference writes it in what it tells.
    pub fn told(&self) -> String {
        format!("{}:{}:{}", self.name, self.version, self.type_)
    }
}

/// `TYPE:VERSION:NAME[:WORKSPACE]`.
impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(given: &str) -> Result<Self, IdentifierError> {
        let parts: Vec<&str> = given.split(':').map(str::trim).collect();
        match parts.as_slice() {
            &[type_, version, name, ref rest @ ..]
                if ![type_, version, name].contains(&"") && rest.len() <= 1 =>
            {
                Ok(Self::of(type_, version, name, rest.first()))
            }
            _ => Err(IdentifierError { given: given.to_owned(), takes: "TYPE:VERSION:NAME" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_in_each_way_of_the_reference() {
        let query = Identifier::compute("query");
        assert_eq!(Identifier::from_row("query:v1beta:compute"), Ok(query.clone()));
        assert_eq!(Identifier::from_row("query | v1beta | compute | "), Ok(query.clone()));
        assert_eq!(
            Identifier::from_row("  query  | v1beta | compute |  | active |  | ann"),
            Ok(query.clone())
        );
        assert_eq!("compute:v1beta:query".parse(), Ok(query.clone()));
        let in_public: Identifier = "workflow:v1:etl:public".parse().unwrap();
        assert_eq!(in_public.workspace.as_deref(), Some("public"));
        assert_eq!(query.told(), "query:v1beta:compute");
    }

    #[test]
    fn what_names_nothing_is_told() {
        for given in ["", "query", "query:v1beta", "a:b:c:d:e", ":v1beta:compute"] {
            let error = Identifier::from_row(given).unwrap_err().to_string();
            assert!(error.contains("NAME:VERSION:TYPE"), "{error}");
        }
        assert!("compute:v1beta".parse::<Identifier>().is_err());
    }
}

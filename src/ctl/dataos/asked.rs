//! Types, versions and identifiers as the reference's flags give them; what Poros does not know is told with what is meant.

use crate::api::identifier::{Identifier, TYPE, VERSIONS};
use crate::ctl::failure::{Exit, Failure};
use crate::view::names::listed;

/// Checks `-t`; also `computes`, and any case.
pub(super) fn known_type(given: &str) -> Result<(), Failure> {
    let wanted = given.trim().to_ascii_lowercase();
    if [TYPE, "computes", "cmp"].contains(&wanted.as_str()) {
        return Ok(());
    }
    let near = strsim::jaro_winkler(&wanted, TYPE) > 0.8;
    let meant = if near { format!("; did you mean {TYPE}?") } else { format!("; there is: {TYPE}") };
    Err(Failure::new(Exit::Usage, format!("type {given:?} is not known here{meant}")))
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

/// Checks an identifier.
pub(super) fn known(identifier: Identifier) -> Result<Identifier, Failure> {
    known_type(&identifier.type_)?;
    known_version(&identifier.version)?;
    Ok(identifier)
}

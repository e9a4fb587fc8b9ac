//! Computes as kubectl's arguments name them: `compute/NAME compute/OTHER`, or `computes NAME OTHER`.

use clap::Args;

use crate::api::identifier::KINDS;
use crate::ctl::failure::{Exit, Failure};
use crate::view::manifest::Variables;

/// What kubectl takes with every resource, also with those that are in no namespace.
#[derive(Clone, Debug, Args)]
pub struct Namespaces {
    /// Taken and not used: a Compute is in no namespace
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Taken and not used: a Compute is in no namespace
    #[arg(long, short = 'A')]
    all_namespaces: bool,
}

/// No flag of the environment, which kubectl puts into no manifest.
#[derive(Clone, Debug, Args)]
pub struct NoEnvironment {}

impl From<NoEnvironment> for Option<Variables> {
    fn from(_: NoEnvironment) -> Self {
        None
    }
}

/// Whether it is a word for Computes.
pub(super) fn is_kind(given: &str) -> bool {
    KINDS.contains(&given.to_ascii_lowercase().as_str())
}

fn usage(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, text)
}

fn known(kind: &str) -> Result<(), Failure> {
    if is_kind(kind) {
        return Ok(());
    }
    Err(usage(format!(
        "type {kind:?} is not known here; there is: computes, and one of them is compute/NAME"
    )))
}

/// The names, of a verb that can be about several; none where only the type is given.
pub(super) fn names(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let one = |argument: &String| match argument.split_once('/') {
        Some((kind, name)) if !name.is_empty() && !name.contains('/') => {
            known(kind).map(|()| name.to_owned())
        }
        _ => Err(usage(format!("{argument:?} names no Compute; it takes compute/NAME"))),
    };
    match arguments.split_first() {
        Some((first, _)) if first.contains('/') => arguments.iter().map(one).collect(),
        Some((kind, names)) => {
            known(kind)?;
            match names.iter().find(|name| name.contains('/')) {
                Some(name) => Err(usage(format!(
                    "{name:?} stands after {kind}, and is no name; give names, or {kind}/NAME each"
                ))),
                None => Ok(names.to_vec()),
            }
        }
        None => Ok(Vec::new()),
    }
}

/// The name, of a verb that tells of one Compute: `NAME`, `compute/NAME`, or `compute NAME`.
pub(super) fn name(arguments: &[String]) -> Result<String, Failure> {
    let (kind, name) = match arguments {
        [one] => one.split_once('/').unwrap_or((KINDS[0], one)),
        [kind, name] => (kind.as_str(), name.as_str()),
        _ => ("", ""),
    };
    if ["pod", "pods", "po"].contains(&kind) {
        let text = format!("this tells of Computes; of a pod tells: kubectl poros explain pod {name}");
        return Err(usage(text));
    }
    known(kind)?;
    if name.is_empty() { Err(usage("the name of a Compute is empty")) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_are_named_as_to_kubectl() {
        let names = |given: &str| {
            names(&given.split(' ').map(str::to_owned).collect::<Vec<_>>()).map_err(|failure| failure.text)
        };
        assert_eq!(names("compute/a cmp/b"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names("computes a b"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names("computes"), Ok(vec![]));
        assert!(names("pods a").unwrap_err().contains("there is: computes"));
        assert!(names("compute/a b").unwrap_err().contains("compute/NAME"));
        assert!(names("compute/").unwrap_err().contains("compute/NAME"));
        assert!(names("compute a compute/b").unwrap_err().contains("compute/NAME each"));
    }
}

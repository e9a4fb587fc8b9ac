//! Computes as kubectl's arguments name them: `compute/NAME compute/OTHER`, or `computes NAME OTHER`.

use crate::api::identifier::KINDS;
use crate::ctl::failure::{Exit, Failure};

/// The names; none where only the type is given.
pub(super) fn names(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let known = |kind: &str| {
        if KINDS.contains(&kind) {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, format!("{kind:?} is not known here; there is: computes")))
    };
    let one = |argument: &str| match argument.split_once('/') {
        Some((kind, name)) if !name.is_empty() => known(kind).map(|()| name.to_owned()),
        _ => Err(Failure::new(Exit::Usage, format!("{argument:?} names no Compute; it takes compute/NAME"))),
    };
    match arguments.split_first() {
        Some((first, _)) if first.contains('/') => arguments.iter().map(|argument| one(argument)).collect(),
        Some((kind, names)) => {
            known(kind)?;
            match names.iter().find(|name| name.contains('/')) {
                Some(mixed) => Err(Failure::new(
                    Exit::Usage,
                    format!("{mixed:?} names its type again; give {kind} NAME, or {kind}/NAME alone"),
                )),
                None => Ok(names.to_vec()),
            }
        }
        None => Ok(Vec::new()),
    }
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
        assert!(names("compute a compute/b").unwrap_err().contains("names its type again"));
    }
}

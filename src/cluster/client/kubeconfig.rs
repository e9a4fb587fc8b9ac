//! The kubeconfig, from its files, merged as kubectl does. It holds secrets, so an error tells a place in it and never a
//! text.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};
use thiserror::Error;

/// Why a kubeconfig cannot be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("the kubeconfig {path:?} that {origin} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Where its name comes from.
        origin: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error(
        "the kubeconfig {path:?} that {origin} cannot be used: {place} it is not what a kubeconfig holds"
    )]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where its name comes from.
        origin: &'static str,
        /// Where in it.
        place: String,
    },
    /// Files of different kinds or versions.
    #[error("the kubeconfigs that {origin} cannot be merged: {path:?} has another kind or apiVersion")]
    Mismatched {
        /// The first that does not fit.
        path: PathBuf,
        /// Where their names come from.
        origin: &'static str,
    },
}

/// Reads the kubeconfig: the one that is named, else those of `KUBECONFIG`, else that of the home folder. None where
/// none is named and there is none.
pub(super) fn read(named: Option<&Path>) -> Result<Option<Kubeconfig>, ReadError> {
    if let Some(path) = named {
        return one(path, "was asked for").map(Some);
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let paths: Vec<PathBuf> =
        std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if !paths.is_empty() {
        return merged(&paths, "KUBECONFIG names").map(Some);
    }
    let Some(home) = std::env::home_dir() else { return Ok(None) };
    match one(&home.join(".kube/config"), "is in its usual place") {
        Err(ReadError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Of each value, the first file's. Files that are not there count for nothing, unless none is there: what was named is
/// meant.
fn merged(paths: &[PathBuf], origin: &'static str) -> Result<Kubeconfig, ReadError> {
    let mut all: Option<Kubeconfig> = None;
    let mut absent = None;
    for path in paths {
        let next = match one(path, origin) {
            Err(ReadError::Unreadable { path, origin, source }) if source.kind() == ErrorKind::NotFound => {
                absent.get_or_insert(ReadError::Unreadable { path, origin, source });
                continue;
            }
            read => read?,
        };
        all = Some(match all {
            None => next,
            Some(all) => all.merge(next).map_err(|_| ReadError::Mismatched { path: path.clone(), origin })?,
        });
    }
    match (all, absent) {
        (None, Some(absent)) => Err(absent),
        (all, _) => Ok(all.unwrap_or_default()),
    }
}

fn one(path: &Path, origin: &'static str) -> Result<Kubeconfig, ReadError> {
    let malformed = |place: String| ReadError::Malformed { path: path.into(), origin, place };
    Kubeconfig::read_from(path).map_err(|error| match error {
        KubeconfigError::ReadConfig(source, path) => ReadError::Unreadable { path, origin, source },
        KubeconfigError::Parse(why) => malformed(match why.location() {
            Some(at) => format!("at line {}, column {}", at.line(), at.column()),
            None => "somewhere".into(),
        }),
        // The rest is about what is chosen of it, or about two documents of one file that do not fit.
        _ => malformed("as a whole".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::call::chain;

    #[test]
    fn the_first_file_that_says_something_wins_and_absent_ones_count_for_nothing() {
        let folder = std::env::temp_dir().join(format!("poros-kubeconfig-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let first = file("first", "current-context: a\nusers:\n- {name: u, user: {token: one}}\n");
        let second = file(
            "second",
            "current-context: b\nusers:\n- {name: u, user: {token: two}}\n- {name: v, user: {client-key: key.pem}}\n",
        );
        let absent = folder.join("absent");
        let read = merged(&[absent.clone(), first, second], "KUBECONFIG names").unwrap();
        assert_eq!(read.current_context.as_deref(), Some("a"));
        let users: Vec<_> = read.auth_infos.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(users, ["u", "v"]);
        let key = read.auth_infos[1].auth_info.as_ref().unwrap().client_key.as_deref();
        assert_eq!(key, folder.join("key.pem").to_str(), "a path is meant from its file");

        let error = merged(&[absent], "KUBECONFIG names").unwrap_err();
        assert!(
            chain(&error).contains("absent\" that KUBECONFIG names cannot be read: No such file"),
            "{error}"
        );
        let broken = file("broken", "users:\n- name: u\n  user: {token: s3cret, client-key: {a: [s3cret}}\n");
        let error = chain(&merged(&[broken], "KUBECONFIG names").unwrap_err());
        assert!(error.contains("at line 3") && !error.contains("s3cret"), "{error}");
        let broken = file("shape", "users: {s3cret: s3cret}\n");
        let error = chain(&merged(&[broken], "KUBECONFIG names").unwrap_err());
        assert!(error.contains("at line 1") && !error.contains("s3cret"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//! The wanted versions, read out of `go.mod`: the one place that names them.

use std::path::{Path, PathBuf};

use super::Project;

/// Why the versions are not known.
#[derive(Debug, thiserror::Error)]
pub enum VersionsError {
    /// The file could not be read.
    #[error("cannot read {path:?}: is the checkout complete?")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file does not name a module.
    #[error("{path:?} has no line for {what:?}: restore the file from git")]
    Absent {
        /// The file.
        path: PathBuf,
        /// The module, or `go`.
        what: &'static str,
    },
}

/// The versions that `go.mod` pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Of Kubernetes, with its `v`.
    pub kubernetes: String,
    /// Of etcd, with its `v`.
    pub etcd: String,
    /// Of KWOK, with its `v`.
    pub kwok: String,
    /// The oldest Go that builds them.
    pub go: String,
}

impl Versions {
    /// Reads the versions out of the module's `go.mod`.
    pub fn read(module: &Path) -> Result<Self, VersionsError> {
        let path = module.join("go.mod");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| VersionsError::Read { path: path.clone(), source })?;
        let version =
            |what| find(&text, what).ok_or_else(|| VersionsError::Absent { path: path.clone(), what });
        Ok(Self {
            kubernetes: version("k8s.io/kubernetes")?,
            etcd: version("go.etcd.io/etcd/server/v3")?,
            kwok: version("sigs.k8s.io/kwok")?,
            go: version("go")?,
        })
    }

    /// The version of one project.
    pub fn of(&self, project: Project) -> &str {
        match project {
            Project::Kubernetes => &self.kubernetes,
            Project::Etcd => &self.etcd,
            Project::Kwok => &self.kwok,
        }
    }
}

fn find(text: &str, what: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("require "));
    let mut pairs = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    pairs.find(|(name, version)| *name == what && *version != "=>").map(|(_, version)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_past_tools_and_replaces() {
        let text = "module x\ngo 1.26.0\ntool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\nrequire (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)\nreplace k8s.io/api => k8s.io/api v0.1.0\n";
        assert_eq!(find(text, "k8s.io/kubernetes").as_deref(), Some("v1.2.3"));
        assert_eq!(find(text, "go").as_deref(), Some("1.26.0"));
        assert_eq!(find(text, "k8s.io/api"), None);
    }

    #[test]
    fn own_module_names_every_version() {
        let versions = Versions::read(&crate::workspace::controlplane_module()).unwrap();
        assert!(versions.kubernetes.starts_with('v') && versions.etcd.starts_with('v'));
    }
}

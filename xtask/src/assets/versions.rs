//! The wanted versions, read out of `go.mod`: the one place that names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Project, Tool};

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
        /// The module, `go`, or `tool`.
        what: &'static str,
    },
    /// No module builds the Kubernetes that was asked for.
    #[error(
        "there is no Kubernetes {asked:?} here: ask for one of {known}, or add a module for it as tools/controlplane/README.md says"
    )]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The minor versions that there are.
        known: String,
    },
}

/// What one Go module pins and builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The binaries it builds, in the order in which tables list them.
    pub tools: Vec<Tool>,
    /// The oldest Go that builds them.
    pub go: String,
    projects: BTreeMap<Project, String>,
}

impl Versions {
    /// Reads the versions out of the module's `go.mod`.
    pub fn read(module: &Path) -> Result<Self, VersionsError> {
        let path = module.join("go.mod");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| VersionsError::Read { path: path.clone(), source })?;
        let absent = |what| VersionsError::Absent { path: path.clone(), what };
        let version = |what| find(&text, what).ok_or_else(|| absent(what));
        let tools: Vec<Tool> = Tool::ALL.into_iter().filter(|tool| builds(&text, tool.package())).collect();
        if tools.is_empty() {
            return Err(absent("tool"));
        }
        let mut projects = BTreeMap::new();
        for project in tools.iter().map(|tool| tool.project()) {
            projects.insert(project, version(project.module())?);
        }
        Ok(Self { tools, go: version("go")?, projects })
    }

    /// The version of one project, with its `v`; empty where the module builds nothing of it.
    pub fn of(&self, project: Project) -> &str {
        self.projects.get(&project).map_or("", String::as_str)
    }
}

/// The version behind a name.
fn find(text: &str, what: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| {
        let mut words = words(line, "require");
        Some((words.next()?, words.next()?))
    });
    pairs.find(|(name, version)| *name == what && *version != "=>").map(|(_, version)| version.to_owned())
}

/// Whether a `tool` line names the package. A required module is told from it by its version.
fn builds(text: &str, package: &str) -> bool {
    text.lines().any(|line| {
        let mut words = words(line, "tool");
        words.next() == Some(package) && words.next().is_none()
    })
}

/// The words of a line that stands in a block of this verb or has it in front.
fn words<'text>(line: &'text str, verb: &str) -> impl Iterator<Item = &'text str> {
    let line = line.split("//").next().unwrap_or_default();
    let mut words = line.split_whitespace().peekable();
    words.next_if(|word| *word == verb);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "module x
go 1.26.0
tool (
	k8s.io/kubernetes/cmd/kubectl
)
tool go.etcd.io/etcd/server/v3
require (
	k8s.io/kubernetes v1.2.3 // indirect
	sigs.k8s.io/kwok/cmd/kwok v0.1.0
)
require go.etcd.io/etcd/server/v3 v3.2.1
replace k8s.io/api => k8s.io/api v0.1.0
";

    #[test]
    fn versions_are_read_past_tools_and_replaces() {
        assert_eq!(find(TEXT, "k8s.io/kubernetes").as_deref(), Some("v1.2.3"));
        assert_eq!(find(TEXT, "go.etcd.io/etcd/server/v3").as_deref(), Some("v3.2.1"));
        assert_eq!(find(TEXT, "go").as_deref(), Some("1.26.0"));
        assert_eq!(find(TEXT, "k8s.io/api"), None);
    }

    #[test]
    fn tools_are_told_from_required_modules() {
        let built = |tool: &Tool| builds(TEXT, tool.package());
        let tools: Vec<Tool> = Tool::ALL.into_iter().filter(built).collect();
        assert_eq!(tools, [Tool::Etcd, Tool::Kubectl]);
    }

    #[test]
    fn own_module_builds_every_binary() {
        let versions = Versions::read(&crate::workspace::controlplane_module()).unwrap();
        assert_eq!(
            versions.tools,
            Tool::ALL.into_iter().filter(|tool| !tool.is_optional()).collect::<Vec<_>>()
        );
        let projects = versions.tools.iter().map(|tool| tool.project());
        assert!(projects.into_iter().all(|project| versions.of(project).starts_with('v')), "{versions:?}");
    }
}

//! The Go modules that pin and build the binaries: the main one, in it one for each other Kubernetes, and beside it
//! those of the real node and of Helm. They are apart so that a change of one leaves what was built of the others as it is.

use std::path::{Path, PathBuf};

use super::{Settings, Tool, Versions, VersionsError};

/// A Go module and what it builds.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// What it pins.
    pub(crate) versions: Versions,
    /// Whether it is the main one, which builds every binary.
    pub(crate) main: bool,
}

/// A folder beside the main module's, with a module that is used where it is asked for.
struct Optional {
    name: &'static str,
    minutes: &'static str,
    asked: fn(&Settings) -> bool,
}

const OPTIONAL: [Optional; 4] = [
    Optional { name: "node", minutes: "5-15", asked: |settings| settings.node },
    Optional { name: "runtime", minutes: "1-2", asked: |settings| settings.node },
    Optional { name: "coredns", minutes: "3", asked: |settings| settings.node },
    Optional { name: "helm", minutes: "4-8", asked: |settings| settings.helm },
];

impl Module {
    /// What it builds, in words.
    pub(crate) fn what(&self) -> String {
        if self.main {
            return "the control plane".to_owned();
        }
        if self.optional().is_some() {
            return self.versions.tools.iter().map(|tool| tool.file()).collect::<Vec<_>>().join(", ");
        }
        format!("Kubernetes {}", self.versions.of(Tool::Apiserver.project()))
    }

    /// How many minutes its build takes where nothing of it is in Go's cache.
    pub(crate) fn minutes(&self) -> &'static str {
        self.optional().map_or(if self.main { "5-15" } else { "5-10" }, |optional| optional.minutes)
    }

    fn optional(&self) -> Option<&'static Optional> {
        let first = self.versions.tools.first().filter(|tool| tool.is_optional());
        let folder = first.and_then(|_| self.folder.file_name())?;
        OPTIONAL.iter().find(|optional| optional.name == folder)
    }
}

/// The modules that the binaries of one control plane come from.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    main: Module,
    others: Vec<Module>,
}

impl Modules {
    /// The main module alone, or with those of what the settings ask for.
    pub(crate) fn read(settings: &Settings) -> Result<Self, VersionsError> {
        let versions = Versions::read(&settings.module)?;
        let main = Module { folder: settings.module.clone(), versions, main: true };
        let mut others = Vec::new();
        for optional in OPTIONAL.iter().filter(|optional| (optional.asked)(settings)) {
            let folder = settings.module.with_file_name(optional.name);
            others.push(Module { versions: Versions::read(&folder)?, folder, main: false });
        }
        others.extend(Self::kubernetes_asked_for(settings, &main)?);
        Ok(Self { main, others })
    }

    fn kubernetes_asked_for(settings: &Settings, main: &Module) -> Result<Option<Module>, VersionsError> {
        let asked = settings.kubernetes.as_deref().map(|asked| asked.trim_start_matches('v'));
        let Some(asked) = asked.filter(|asked| *asked != minor(main)) else {
            return Ok(None);
        };
        let folder = versions_beside(&settings.module).into_iter().find(|(name, _)| name == asked);
        let Some((_, folder)) = folder else {
            return Err(VersionsError::Unknown {
                asked: asked.to_owned(),
                known: known(settings)?.join(", "),
            });
        };
        let versions = Versions::read(&folder)?;
        Ok(Some(Module { folder, versions, main: false }))
    }

    /// Every binary that is wanted.
    pub(crate) fn tools(&self) -> impl Iterator<Item = Tool> {
        Tool::ALL.into_iter().filter(|tool| self.all().any(|module| module.versions.tools.contains(tool)))
    }

    /// The module that a binary comes from.
    pub(crate) fn of(&self, tool: Tool) -> &Module {
        self.others.iter().find(|module| module.versions.tools.contains(&tool)).unwrap_or(&self.main)
    }

    /// Every module in use, the main one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Module> {
        std::iter::once(&self.main).chain(&self.others)
    }

    /// The version of Kubernetes that the API server has.
    pub(crate) fn kubernetes(&self) -> &str {
        self.of(Tool::Apiserver).versions.of(Tool::Apiserver.project())
    }

    /// The oldest Go that builds all of them.
    pub(crate) fn go(&self) -> &str {
        let number = |go: &&str| go.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
        self.all().map(|module| module.versions.go.as_str()).max_by_key(number).unwrap_or_default()
    }
}

/// The minor versions of Kubernetes that there are modules for, like `1.30`; the main one first.
pub fn known(settings: &Settings) -> Result<Vec<String>, VersionsError> {
    let versions = Versions::read(&settings.module)?;
    let main = Module { folder: settings.module.clone(), versions, main: true };
    let others = versions_beside(&settings.module).into_iter().map(|(name, _)| name);
    Ok(std::iter::once(minor(&main)).chain(others).collect())
}

/// The modules beside the main one: each in a folder that is named for its minor version, like `v1.30`.
fn versions_beside(main: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(main) else { return Vec::new() };
    let module = |folder: PathBuf| {
        let minor = folder.file_name()?.to_str()?.strip_prefix('v')?.to_owned();
        folder.join("go.mod").is_file().then_some((minor, folder))
    };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| module(entry.path())).collect();
    // As numbers: 1.9 is older than 1.30.
    found.sort_by_key(|(minor, _)| {
        minor.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<u32>>()
    });
    found
}

fn minor(module: &Module) -> String {
    let version = module.versions.of(Tool::Apiserver.project()).trim_start_matches('v');
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(kubernetes: Option<&str>) -> Settings {
        Settings { kubernetes: kubernetes.map(str::to_owned), ..Settings::from_environment() }
    }

    #[test]
    fn each_folder_is_named_for_the_kubernetes_that_it_pins() {
        let known = known(&asking(None)).unwrap();
        assert!(known.len() >= 3, "{known:?}");
        for name in known {
            let modules = Modules::read(&asking(Some(&name))).unwrap();
            assert!(modules.kubernetes().starts_with(&format!("v{name}.")), "{name}: {modules:?}");
            assert!(modules.all().all(|module| module.versions.go == modules.go()), "{name}: {modules:?}");
        }
    }

    #[test]
    fn staging_libraries_are_those_of_their_kubernetes() {
        for name in known(&asking(None)).unwrap() {
            let modules = Modules::read(&asking(Some(&name))).unwrap();
            let module = modules.of(Tool::Apiserver);
            let text = std::fs::read_to_string(module.folder.join("go.mod")).unwrap();
            let wanted = modules.kubernetes().replacen("v1.", "v0.", 1);
            let replaced: Vec<&str> = text.lines().filter(|line| line.contains("=>")).collect();
            assert!(
                replaced.len() > 20 && replaced.iter().all(|line| line.ends_with(&wanted)),
                "{replaced:?}"
            );
        }
    }

    #[test]
    fn node_and_helm_come_only_when_asked_for_and_the_node_is_of_the_same_kubernetes() {
        let without = Modules::read(&asking(None)).unwrap();
        assert!(without.tools().all(|tool| !tool.is_optional()));
        let with = Modules::read(&Settings { node: true, helm: true, ..asking(None) }).unwrap();
        assert_eq!(with.tools().collect::<Vec<_>>(), Tool::ALL);
        let version = |tool: Tool| with.of(tool).versions.of(tool.project()).to_owned();
        assert_eq!(version(Tool::Kubelet), version(Tool::Apiserver));
        assert!(Tool::ALL.iter().all(|tool| version(*tool).starts_with('v')), "{with:?}");
    }

    #[test]
    fn what_another_module_does_not_build_is_the_main_ones() {
        let modules = Modules::read(&asking(Some("v1.30"))).unwrap();
        assert!(!modules.of(Tool::Apiserver).main && modules.of(Tool::Etcd).main);
        assert_eq!(modules.all().count(), 2);
        let main = Modules::read(&asking(None)).unwrap();
        assert!(main.of(Tool::Apiserver).main && main.all().count() == 1);
    }

    #[test]
    fn an_unknown_version_is_answered_with_those_that_there_are() {
        let error = Modules::read(&asking(Some("1.29"))).unwrap_err().to_string();
        assert!(error.contains("\"1.29\"") && error.contains("1.30"), "{error}");
    }
}

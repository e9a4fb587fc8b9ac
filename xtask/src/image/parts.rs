//! What a program is made of, in cargo's own words: the packages that were compiled for it, and those that it was
//! compiled with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

/// What `cargo metadata` says of a workspace.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Described>,
    pub(super) target_directory: String,
    resolve: Resolve,
}

/// What `cargo metadata` says of a package.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Described {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    /// None for a package of the workspace.
    pub(super) source: Option<String>,
    pub(super) license: Option<String>,
    #[serde(default)]
    pub(super) authors: Vec<String>,
    pub(super) manifest_path: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// How a package takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its code is in the program.
    Inside,
    /// It ran while the program was built: a build script's, a macro's.
    AtBuild,
}

/// Where the source of a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The workspace.
    Local,
    /// crates.io.
    CratesIo,
    /// Another registry.
    Registry,
    /// A repository of git.
    Git,
}

impl Origin {
    /// Of what `cargo metadata` calls a source, like `registry+https://…`.
    fn of(source: Option<&str>) -> Self {
        match source.map(|source| source.split_once('+').unwrap_or((source, ""))) {
            None => Self::Local,
            Some(("git", _)) => Self::Git,
            // So cargo calls crates.io whatever way it asks it, and whatever mirror stands in for it.
            Some((_, "https://github.com/rust-lang/crates.io-index")) => Self::CratesIo,
            Some(_) => Self::Registry,
        }
    }

    /// Its name in the format of cargo-auditable.
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::CratesIo => "crates.io",
            Self::Registry => "registry",
            Self::Git => "git",
        }
    }
}

/// A package that a program was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its source comes from.
    pub origin: Origin,
    /// Its licence, as an SPDX expression, where it names one.
    pub license: Option<String>,
    /// Who wrote it, as its manifest says.
    pub authors: Vec<String>,
    /// The SHA-256 of its archive, as Cargo.lock has it, in hexadecimal digits.
    pub checksum: Option<String>,
    /// How it takes part.
    pub role: Role,
    /// Where its source lies on this machine.
    pub(super) folder: PathBuf,
    /// The parts that it uses itself: places in the list of all.
    pub uses: BTreeSet<usize>,
}

/// Which packages cargo has compiled, and for whom: read from its messages, also those on what was there already.
#[derive(Debug, Default)]
pub(super) struct Compiled(BTreeMap<String, Role>);

impl Compiled {
    /// Notes a message. `folder` is where the program's own code goes; what the build itself runs goes elsewhere.
    pub(super) fn note(&mut self, message: &Value, folder: &str) {
        if message["reason"] != "compiler-artifact" {
            return;
        }
        let Some(id) = message["package_id"].as_str() else { return };
        let kinds = message["target"]["kind"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // The script of a package that is inside is not another package.
        if kinds.into_iter().any(|kind| kind == "custom-build") {
            return;
        }
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let inside = files.into_iter().any(|file| file.starts_with(folder));
        let role = self.0.entry(id.to_owned()).or_insert(Role::AtBuild);
        if inside {
            *role = Role::Inside;
        }
    }

    /// The parts, by name and version, with what the lock file and the metadata add.
    pub(super) fn parts(&self, metadata: &Metadata, lock: &str) -> Vec<Part> {
        let checksums = checksums(lock);
        let mut packages: Vec<&Described> =
            metadata.packages.iter().filter(|package| self.0.contains_key(&package.id)).collect();
        packages.sort_by_key(|package| (&package.name, &package.version));
        let places: BTreeMap<&str, usize> =
            packages.iter().enumerate().map(|(place, package)| (package.id.as_str(), place)).collect();
        let nodes: BTreeMap<&str, &Node> =
            metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let role = |id: &str| self.0.get(id).copied().unwrap_or(Role::AtBuild);
        packages
            .iter()
            .map(|package| {
                let own = role(&package.id);
                let counts = |dependency: &&Dependency| {
                    let kinds = || dependency.dep_kinds.iter().map(|kind| kind.kind.as_deref());
                    let normal = kinds().any(|kind| kind.is_none());
                    // A build dependency is no part of what is inside, even where the same package is.
                    normal
                        || role(&dependency.pkg) == Role::AtBuild && kinds().any(|kind| kind == Some("build"))
                };
                let deps = nodes.get(package.id.as_str()).into_iter().flat_map(|node| &node.deps);
                let key = (package.name.clone(), package.version.clone());
                Part {
                    checksum: checksums.get(&key).cloned(),
                    name: key.0,
                    version: key.1,
                    origin: Origin::of(package.source.as_deref()),
                    license: package.license.clone(),
                    authors: package.authors.clone(),
                    role: own,
                    folder: Path::new(&package.manifest_path).parent().unwrap_or(Path::new("")).to_owned(),
                    uses: deps
                        .filter(counts)
                        .filter_map(|dep| places.get(dep.pkg.as_str()).copied())
                        .collect(),
                }
            })
            .collect()
    }
}

/// The checksum of each package of a Cargo.lock, by name and version.
pub fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let value = |package: &str, key: &str| {
        let start = format!("{key} = \"");
        let line = package.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
        line.map(str::to_owned)
    };
    let read = |package| {
        let key = (value(package, "name")?, value(package, "version")?);
        Some((key, value(package, "checksum")?))
    };
    packages.filter_map(read).collect()
}

/// The list as a program carries it, in the format of cargo-auditable.
pub(super) fn auditable(parts: &[Part], root: &str) -> Value {
    let package = |part: &Part| {
        let mut package = json!({
            "name": part.name,
            "version": part.version,
            "source": part.origin.name(),
        });
        if part.role == Role::AtBuild {
            package["kind"] = json!("build");
        }
        if !part.uses.is_empty() {
            package["dependencies"] = json!(part.uses);
        }
        if part.origin == Origin::Local && part.name == root {
            package["root"] = json!(true);
        }
        package
    };
    json!({"packages": parts.iter().map(package).collect::<Vec<_>>(), "format": 1})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(id: &str, kind: &str, file: &str) -> Value {
        json!({"reason": "compiler-artifact", "package_id": id, "target": {"kind": [kind]}, "filenames": [file]})
    }

    #[test]
    fn what_is_compiled_for_the_target_is_inside_even_if_the_build_runs_it_too() {
        let mut compiled = Compiled::default();
        for (id, kind, file) in [
            ("both", "lib", "/t/release/libboth.rlib"),
            ("both", "lib", "/t/host/release/libboth.rlib"),
            ("macro", "proc-macro", "/t/release/libmacro.so"),
            ("scripted", "custom-build", "/t/release/build-script-build"),
            ("both", "lib", "/t/release/libboth-again.rlib"),
        ] {
            compiled.note(&artifact(id, kind, file), "/t/host");
        }
        compiled.note(&json!({"reason": "build-finished", "success": true}), "/t/host");
        let roles = [("both".to_owned(), Role::Inside), ("macro".to_owned(), Role::AtBuild)];
        assert_eq!(compiled.0, BTreeMap::from(roles));
    }

    #[test]
    fn a_source_is_called_what_it_is() {
        for (source, name) in [
            (None, "local"),
            (Some("registry+https://github.com/rust-lang/crates.io-index"), "crates.io"),
            (Some("sparse+https://crates.example.org/"), "registry"),
            (Some("git+https://example.org/a?branch=b#c"), "git"),
        ] {
            assert_eq!(Origin::of(source).name(), name, "{source:?}");
        }
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"00ff\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let key = ("a".to_owned(), "1.0.0".to_owned());
        assert_eq!(checksums(lock), BTreeMap::from([(key, "00ff".to_owned())]));
    }
}

//! The image of Poros: one static program on nothing, as an OCI archive, with its bill of materials beside it.
//!
//! No container program and no registry takes part. One state of a checkout gives one digest on one distribution, wherever
//! it lies: nothing of the time, the place or the person goes in. What goes in beside the checkout is the compiler that
//! rust-toolchain.toml names, of the host the linker, `objcopy` and the static C library, of cargo's settings a linker or a
//! release profile that they name, and of git the commit.

pub mod archive;
mod bill;
mod licenses;
mod parts;
pub mod previous;
mod program;
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

pub use bill::Runtime;
pub use parts::{Origin, Part, Role, checksums};
pub use program::{BuildError, CTL, LICENSES, POROS, Program};

use crate::assets::{Platform, hex};
use crate::workspace;
use archive::{ArchiveError, Content};
use bill::{Subject, bill};

/// The files beside the folder of what the image holds.
const ARCHIVE: &str = "poros.tar";
const BILL: &str = "poros.cdx.json";

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Here are no programs for Linux built.
    #[error("an image is built on Linux: use a machine or a container with Linux, Rust and a C compiler")]
    Host,
    /// The program was not built.
    #[error("the image's program was not built")]
    Build(#[source] BuildError),
    /// The archive was not written.
    #[error("the image was not written")]
    Archive(#[source] ArchiveError),
    /// The bill of materials was not written.
    #[error("cannot write {path:?}")]
    Bill {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The checkout with the source: this one, or that of another version.
    pub checkout: PathBuf,
    /// The folder for what is made; `root`, `poros.tar` and `poros.cdx.json` in it are replaced.
    pub folder: PathBuf,
    /// Where the image will be, without its tag, like `registry.example.org/poros`.
    pub repository: String,
    /// The commit that the source is of. Default: what git says of a checkout without changes.
    pub revision: Option<String>,
    /// Other names of the program in the image: today's Poros is the command line by another name, an older one was not.
    pub links: Vec<&'static str>,
}

impl Recipe {
    /// The image of this checkout, in `target/image`.
    pub fn own() -> Self {
        Self { links: vec![CTL], ..Self::of(workspace::root(), workspace::target().join("image")) }
    }

    /// The image of another checkout, with the one name of its program.
    pub fn of(checkout: PathBuf, folder: PathBuf) -> Self {
        Self { checkout, folder, repository: POROS.to_owned(), revision: None, links: Vec::new() }
    }
}

/// Where the archive of this checkout's image is, once it was built.
pub fn own_archive() -> PathBuf {
    Recipe::own().folder.join(ARCHIVE)
}

/// An image that was built.
#[derive(Debug, Clone)]
pub struct Image {
    /// The OCI archive.
    pub archive: PathBuf,
    /// The bill of materials, as CycloneDX.
    pub bill: PathBuf,
    /// The folder that holds what the image holds: the context of the Dockerfile.
    pub root: PathBuf,
    /// Its name with its tag, as a pod names it, like `poros:0.2.0`.
    pub reference: String,
    /// The version of Poros in it.
    pub version: String,
    /// The commit that its source is of, where that is known.
    pub revision: Option<String>,
    /// The digest of its manifest, like `sha256:…`.
    pub digest: String,
    /// What is pulled, in bytes.
    pub size: u64,
    /// What it takes unpacked, in bytes.
    pub unpacked: u64,
    /// The system and processor that it is for, like `linux/amd64`: those of this machine.
    pub platform: String,
    /// What its program is made of.
    pub parts: Vec<Part>,
}

/// Builds the program as the image has it: what the demo runs. An image of another program beside it is removed.
pub fn program(recipe: &Recipe) -> Result<Program, BuildError> {
    let _lock = lock(recipe)?;
    make(recipe)
}

/// Builds the program, then writes the image and its bill of materials. The first time takes some minutes.
pub fn build(recipe: &Recipe) -> Result<Image, ImageError> {
    if !cfg!(target_os = "linux") {
        return Err(ImageError::Host);
    }
    let _lock = lock(recipe).map_err(ImageError::Build)?;
    let commit = || recipe.revision.clone().or_else(|| revision(&recipe.checkout));
    let before = commit();
    let built = make(recipe).map_err(ImageError::Build)?;
    // Of what was changed or committed during the build nobody knows what went in.
    let revision = commit().filter(|after| Some(after) == before.as_ref());
    let reference = format!("{}:{}", recipe.repository, built.version);
    let links: Vec<String> = recipe.links.iter().map(|link| format!("/{link}")).collect();
    let archive = recipe.folder.join(ARCHIVE);
    let written = archive::write_content(
        &archive,
        &Content {
            reference: &canonical(&reference),
            program: &built.path(),
            place: "/poros",
            links: &links.iter().map(String::as_str).collect::<Vec<_>>(),
            notices: Some((&built.folder.join(LICENSES), &format!("/{LICENSES}"))),
            labels: labels(&built, revision.as_deref()),
        },
    )
    .map_err(ImageError::Archive)?;
    let file = recipe.folder.join(BILL);
    let error = |source| ImageError::Bill { path: file.clone(), source };
    let sum = hex(&Sha256::digest(std::fs::read(built.path()).map_err(error)?));
    let subject = Subject { reference: &reference, digest: &written.digest, root: POROS, program: &sum };
    let text = format!("{:#}\n", bill(&subject, &built.parts, &built.runtime));
    archive::replace(&file, text.as_bytes()).map_err(error)?;
    Ok(Image {
        archive,
        bill: file,
        root: built.folder,
        reference,
        version: built.version,
        revision,
        digest: written.digest,
        size: written.size,
        unpacked: written.unpacked,
        platform: format!("linux/{}", Platform::running().arch),
        parts: built.parts,
    })
}

/// Two at once would each replace what the other has just made.
fn lock(recipe: &Recipe) -> Result<std::fs::File, BuildError> {
    program::lock(&recipe.folder.with_extension("lock"))
}

fn make(recipe: &Recipe) -> Result<Program, BuildError> {
    let root = recipe.folder.join("root");
    let sum = || std::fs::read(root.join(POROS)).ok().map(Sha256::digest);
    let before = sum();
    let links: Vec<&str> = recipe.links.clone();
    let built = program::build(&recipe.checkout, &root, &links)?;
    if sum() != before {
        for file in [ARCHIVE, BILL] {
            // Most often there is none.
            let _ = std::fs::remove_file(recipe.folder.join(file));
        }
    }
    Ok(built)
}

/// What the image tells of itself. The commit is among it: one commit gives one digest, and another commit another.
fn labels(built: &Program, revision: Option<&str>) -> BTreeMap<&'static str, String> {
    let own = built.parts.iter().find(|part| part.name == POROS);
    let mut labels = BTreeMap::from([
        ("org.opencontainers.image.title", POROS.to_owned()),
        ("org.opencontainers.image.version", built.version.clone()),
    ]);
    if let Some(license) = own.and_then(|part| part.license.clone()) {
        labels.insert("org.opencontainers.image.licenses", license);
    }
    if let Some(revision) = revision {
        labels.insert("org.opencontainers.image.revision", revision.to_owned());
    }
    labels
}

/// The commit of a checkout that git keeps and in which nothing is changed: of another it would tell what is not so.
fn revision(checkout: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(checkout).args(arguments).stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // A folder of sources may lie within a checkout that knows nothing of it.
    let is_own = Path::new(&git(&["rev-parse", "--show-toplevel"])?) == checkout.canonicalize().ok()?;
    let is_clean = git(&["status", "--porcelain"])?.is_empty();
    git(&["rev-parse", "HEAD"]).filter(|_| is_own && is_clean)
}

/// The full name that Kubernetes makes of a short one: images are kept by it.
fn canonical(reference: &str) -> String {
    match reference.split_once('/') {
        None => format!("docker.io/library/{reference}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => reference.to_owned(),
        Some(_) => format!("docker.io/{reference}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_what_kubernetes_makes_of_it() {
        assert_eq!(canonical("poros:1"), "docker.io/library/poros:1");
        assert_eq!(canonical("team/poros:1"), "docker.io/team/poros:1");
        for full in ["registry.example.org/poros:1", "localhost/poros:1", "host:5000/poros:1"] {
            assert_eq!(canonical(full), full);
        }
    }
}

//! The image of Poros: one static program on nothing, as an OCI archive, with its bill of materials beside it.
//!
//! No container program and no registry takes part. One state of a checkout gives one digest, wherever it lies: nothing of
//! the time, the place or the person goes in. What goes in beside the checkout is the compiler that rust-toolchain.toml
//! names, and of the host the linker and the static C library.

pub mod archive;
mod bill;
mod parts;
pub mod previous;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

pub use bill::Runtime;
pub use parts::{Part, Role, checksums};
pub use program::{BuildError, CTL, POROS, Program};

use crate::assets::hex;
use crate::workspace;
use archive::{ArchiveError, Content};
use bill::{Subject, bill};

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
    /// What its program is made of.
    pub parts: Vec<Part>,
}

/// Builds the program as the image has it: what the demo runs.
pub fn program(recipe: &Recipe) -> Result<Program, BuildError> {
    let links: Vec<&str> = recipe.links.clone();
    program::build(&recipe.checkout, &recipe.folder.join("root"), &links)
}

/// Builds the program, then writes the image and its bill of materials. The first time takes some minutes.
pub fn build(recipe: &Recipe) -> Result<Image, ImageError> {
    if !cfg!(target_os = "linux") {
        return Err(ImageError::Host);
    }
    let built = program(recipe).map_err(ImageError::Build)?;
    let revision = recipe.revision.clone().or_else(|| revision(&recipe.checkout));
    let reference = format!("{}:{}", recipe.repository, built.version);
    let links: Vec<String> = recipe.links.iter().map(|link| format!("/{link}")).collect();
    let archive = recipe.folder.join("poros.tar");
    let written = archive::write_content(
        &archive,
        &Content {
            reference: &canonical(&reference),
            program: &built.path(),
            place: "/poros",
            links: &links.iter().map(String::as_str).collect::<Vec<_>>(),
            labels: labels(&built, revision.as_deref()),
        },
    )
    .map_err(ImageError::Archive)?;
    let file = recipe.folder.join("poros.cdx.json");
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
        parts: built.parts,
    })
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

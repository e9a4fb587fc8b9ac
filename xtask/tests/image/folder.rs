//! Folders that go with the tests, and what is in them.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use xtask::assets::hex;
use xtask::workspace;

/// The sum of a content, in hexadecimal digits.
pub(crate) fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        Self::at(&std::env::temp_dir(), name)
    }

    pub(crate) fn under_target(name: &str) -> Self {
        Self::at(&workspace::target(), name)
    }

    /// One that somebody else made there is not taken.
    fn at(above: &Path, name: &str) -> Self {
        std::fs::create_dir_all(above).unwrap();
        let folder = above.join(format!("poros-image-{name}-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies a folder; all that is copied is as new as the copy.
pub(crate) fn copy(from: &Path, to: &Path, but: &[&str]) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let (from, to) = (entry.path(), to.join(&name));
        if but.iter().any(|other| *other == name) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to, &[]);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

//! The cache of binaries: one folder for each way of making them, filled under a lock.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::report::Report;

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file or folder of the cache resists.
    #[error(
        "cannot {verb} {path:?}: check its owner and the free space, or set XDG_CACHE_HOME to another folder"
    )]
    File {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// A folder of the cache, held by a lock for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Slot {
    folder: PathBuf,
    _lock: File,
}

impl Slot {
    /// Takes the lock of a folder; waits where another checkout holds it.
    pub(crate) fn lock(folder: &Path, report: &mut dyn Report) -> Result<Self, CacheError> {
        let file = |verb, path: &Path, source| CacheError::File { verb, path: path.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
        let path = folder.with_extension("lock");
        let lock = File::create(&path).map_err(|source| file("create", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report.line("Another run is filling the cache of control plane binaries; waiting for it.");
                lock.lock().map_err(|source| file("lock", &path, source))?;
            }
            Err(TryLockError::Error(source)) => return Err(file("lock", &path, source)),
        }
        let slot = Self { folder: folder.to_owned(), _lock: lock };
        // Under the lock nobody else works here, so what is left over is from a run that was killed.
        slot.clear()?;
        Ok(slot)
    }

    /// An empty folder to work in; what is finished there is moved by [`Slot::keep`].
    pub(crate) fn workbench(&self) -> Result<PathBuf, CacheError> {
        let bench = self.bench();
        let error = |source| CacheError::File { verb: "create", path: bench.clone(), source };
        std::fs::create_dir_all(&bench).map_err(error)?;
        Ok(bench)
    }

    /// Moves a finished file to its place; a reader sees it whole or not at all.
    pub(crate) fn keep(&self, finished: &Path, name: &str) -> Result<PathBuf, CacheError> {
        use std::os::unix::fs::PermissionsExt;
        let place = self.folder.join(name);
        let error = |source| CacheError::File { verb: "write", path: place.clone(), source };
        std::fs::set_permissions(finished, std::fs::Permissions::from_mode(0o755)).map_err(error)?;
        std::fs::rename(finished, &place).map_err(error)?;
        Ok(place)
    }

    fn bench(&self) -> PathBuf {
        self.folder.join("unfinished")
    }

    fn clear(&self) -> Result<(), CacheError> {
        let bench = self.bench();
        match std::fs::remove_dir_all(&bench) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(CacheError::File { verb: "remove", path: bench, source })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What resists here is cleared by the next holder of the lock.
        let _ = self.clear();
    }
}

/// A short name for everything that the parts say: equal parts, equal name.
pub(crate) fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut text = hex(&hash.finalize());
    text.truncate(20);
    text
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_tells_parts_apart() {
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"x"]).len(), 20);
    }
}

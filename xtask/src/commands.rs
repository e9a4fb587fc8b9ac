//! One file a verb.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) mod demo;
pub(crate) mod down;
pub(crate) mod image;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod up;

/// How a verb ends.
pub(crate) type Ended = Result<ExitCode, Box<dyn Error>>;

/// Where `up` keeps its control plane.
pub(crate) fn standing_folder() -> PathBuf {
    xtask::workspace::target().join("rig").join("up")
}

/// Held while `up` or `down` works: two of them at once would each stop what the other starts.
pub(crate) fn lock() -> std::io::Result<File> {
    let folder = xtask::workspace::target().join("rig");
    std::fs::create_dir_all(&folder)?;
    let file = File::create(folder.join("up.lock"))?;
    file.lock()?;
    Ok(file)
}

/// The kubeconfig that people use.
pub(crate) fn standing_kubeconfig() -> PathBuf {
    xtask::workspace::target().join("kubeconfig")
}

/// Writes a line to standard output; a reader that went away is no error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// For a shell: quoted only where it must be.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

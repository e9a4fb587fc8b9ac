//! Where this checkout lies.
//!
//! State goes under the checkout's own `target/`, also where `CARGO_TARGET_DIR` names a shared
//! folder: two checkouts must never take each other's control plane for their own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace.
///
/// Cargo's word at run time comes before that at compile time: with a shared `CARGO_TARGET_DIR`, cargo
/// takes the program that one checkout compiled for that of another.
pub fn root() -> PathBuf {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    root_above(told.as_deref()).unwrap_or_else(|| compiled.parent().unwrap_or(compiled).to_path_buf())
}

/// The workspace that a package of it is in.
fn root_above(package: Option<&Path>) -> Option<PathBuf> {
    let is_root = |folder: &&Path| folder.join("xtask").join("src").join("rig.rs").is_file();
    package?.ancestors().find(is_root).map(Path::to_path_buf)
}

/// The checkout's own `target/` folder.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The Go module that pins and builds the control plane.
pub fn controlplane_module() -> PathBuf {
    root().join("tools").join("controlplane")
}

/// The cargo that runs this program, at work on this workspace.
///
/// What `cargo run` says about the package xtask is kept from it: some build scripts look there, and
/// would be run again in turns by a cargo typed by hand and by this one.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "OUT_DIR" {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_of_the_workspace_leads_to_its_root() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = own.parent().unwrap();
        assert_eq!(root_above(Some(own)).as_deref(), Some(root));
        assert_eq!(root_above(Some(root)).as_deref(), Some(root));
        assert_eq!(root_above(Some(Path::new("/nowhere"))), None);
        assert_eq!(root_above(None), None);
    }
}

//! Where this checkout lies.
//!
//! State goes under the checkout's own `target/`, also where `CARGO_TARGET_DIR` names a shared
//! folder: two checkouts must never take each other's control plane for their own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
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

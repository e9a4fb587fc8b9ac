//! Where this checkout lies.
//!
//! State goes under the checkout's own `target/`, also where `CARGO_TARGET_DIR` names a shared
//! folder: two checkouts must never take each other's control plane for their own.

use std::path::{Path, PathBuf};

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

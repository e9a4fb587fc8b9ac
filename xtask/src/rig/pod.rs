//! The image of the rig's own pods: one small static program, compiled here, for no registry is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{CommandError, answer};
use crate::image::archive::{self, ArchiveError};

/// The image that holds a pod's namespaces open.
pub(super) const PAUSE_IMAGE: &str = "poros.dataos.io/rig/pause:1";
/// The same program under a name for containers: `serve PORT`, `get HOST:PORT`, `show FILE`, or nothing to wait for ever.
pub const POD_IMAGE: &str = "poros.dataos.io/rig/pod:1";

const PROGRAM: &str = include_str!("pod/program.rs");

/// Why there are no images.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// A file resists.
    #[error("cannot write {path:?}: check its owner and the free space")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program was not compiled.
    #[error(
        "the program of the rig's pods was not compiled: a static C library is needed (Debian: libc6-dev)"
    )]
    Compile(#[source] CommandError),
    /// The image was not written.
    #[error("the image of the rig's pods was not written")]
    Image(#[source] ArchiveError),
}

/// Compiles the program and writes both images as archives into the folder.
pub(super) fn write_images(folder: &Path) -> Result<(), PodError> {
    let (source, program) = (folder.join("program.rs"), folder.join("program"));
    let error = |source| PodError::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(error)?;
    std::fs::write(&source, PROGRAM).map_err(error)?;
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "-Copt-level=1", "-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o"]);
    answer(rustc.arg(&program).arg(&source)).map_err(PodError::Compile)?;
    for (file, reference) in [("pause.tar", PAUSE_IMAGE), ("pod.tar", POD_IMAGE)] {
        archive::write(&folder.join(file), reference, &program, "/pod").map_err(PodError::Image)?;
    }
    Ok(())
}

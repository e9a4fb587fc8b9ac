//! `cargo xtask down`.

use std::process::ExitCode;

use xtask::rig::standing::Standing;

use super::{Ended, lock, say, standing_folder, standing_kubeconfig};

pub(crate) fn run() -> Ended {
    let _lock = lock()?;
    let stopped = Standing::read(&standing_folder()).stop()?;
    let link = standing_kubeconfig();
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    if stopped.is_empty() {
        say("Nothing was up.");
    }
    for process in stopped {
        say(&format!("Stopped {} (pid {}).", process.name, process.pid));
    }
    Ok(ExitCode::SUCCESS)
}

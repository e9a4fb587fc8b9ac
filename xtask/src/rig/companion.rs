//! A program of the owner's that works on the rig, for example Poros itself; it ends with the rig.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::RigError;
use super::layout::{Layout, file};
use super::probe::tail;
use super::process::{ProcessError, Signal, signal_stranger};

const POLL: Duration = Duration::from_millis(10);
/// Poros promises to stop within 10 s of SIGTERM.
const GRACE: Duration = Duration::from_secs(12);

/// A running companion. Stopped when dropped; by the rig's guard if the owner is killed.
#[derive(Debug)]
pub struct Companion {
    name: &'static str,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Companion {
    pub(super) fn start(name: &'static str, mut command: Command, layout: &Layout) -> Result<Self, RigError> {
        let log = layout.dir.join("logs").join(name).with_extension("log");
        let open = || {
            let output = OpenOptions::new().create(true).append(true).open(&log)?;
            Ok((output.try_clone()?, output))
        };
        let (output, errors) = open().map_err(|source| file("write", &log, source))?;
        let pid_file = layout.dir.join("pids").join(format!("companion-{name}"));
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        // The guard knows its own by the rig's folder in the command line or the environment.
        command.env("POROS_RIG", &layout.dir);
        let program = PathBuf::from(command.get_program());
        let child =
            command.spawn().map_err(|source| RigError::Process(ProcessError::Start { program, source }))?;
        let companion = Self { name, child, log, pid_file };
        let path = &companion.pid_file;
        std::fs::write(path, format!("{}\n", companion.pid()))
            .map_err(|source| file("write", path, source))?;
        Ok(companion)
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The last lines of what it printed.
    pub fn last_words(&self) -> String {
        tail(&self.log)
    }

    /// What it prints, on both streams; a second start under this name adds to it.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, RigError> {
        self.child.try_wait().map_err(|source| self.error(source))
    }

    /// Ends it, and waits until it is gone. After SIGTERM it has 12 s; then it is killed.
    pub fn stop(&mut self, signal: Signal) -> Result<ExitStatus, RigError> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        signal_stranger(self.pid(), signal).map_err(|source| self.error(source))?;
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
        self.child.kill().and_then(|()| self.child.wait()).map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> RigError {
        RigError::Process(ProcessError::Stop { name: self.name, pid: self.pid(), source })
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // Nobody is left to be told; the pid file then leads the guard to it.
        if self.stop(Signal::Term).is_ok() {
            let _ = std::fs::remove_file(&self.pid_file);
        }
    }
}

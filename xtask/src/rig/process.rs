//! Starts, signals and outwaits the processes of a rig.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, test_kill_process};

use super::Component;
use super::layout::Layout;

/// How long a process may take to end after SIGTERM before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(10);

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asked to stop; killed if it has not after some seconds.
    Term,
    /// Killed at once.
    Kill,
}

/// Why a process could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("cannot start {program:?}: is it a program for this machine?")]
    Start {
        /// The binary.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Its log could not be opened.
    #[error("cannot write the log {path:?}: check its owner and the free space")]
    Log {
        /// The log.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It could not be signalled or outwaited.
    #[error("cannot stop {name} (pid {pid}): stop it by hand")]
    Stop {
        /// The component.
        name: &'static str,
        /// The process.
        pid: u32,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Starts a component. Its output is added to its log.
pub(super) fn spawn(
    component: Component,
    program: &Path,
    arguments: &[String],
    layout: &Layout,
) -> Result<Child, ProcessError> {
    let path = layout.log(component);
    let open = || {
        let output = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok((output.try_clone()?, output))
    };
    let (output, errors) = open().map_err(|source| ProcessError::Log { path: path.clone(), source })?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&layout.dir).stdin(Stdio::null()).stdout(output).stderr(errors);
    // The user's environment must not steer a control plane: proxies, kubeconfigs, Go's debug flags.
    command.env_clear().env("HOME", layout.home()).env("PATH", search_path(component));
    // A group of its own: Ctrl-C reaches the owner alone, who then stops the processes in order.
    command.process_group(0);
    command.spawn().map_err(|source| ProcessError::Start { program: program.to_owned(), source })
}

/// The node's programs are the system's, wherever it keeps them; the others call none.
fn search_path(component: Component) -> OsString {
    let mut path = OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if let (Component::Node, Some(own)) = (component, std::env::var_os("PATH")) {
        path.push(":");
        path.push(own);
    }
    path
}

/// Stops one child, and waits until it is gone.
pub(super) fn stop(component: Component, child: &mut Child, signal: Signal) -> Result<(), ProcessError> {
    send(component, child, signal)?;
    outwait(component, child)
}

/// Stops all children: etcd last, since without etcd the API server does not heed SIGTERM.
pub(super) fn stop_all(running: &mut BTreeMap<Component, Child>) -> Result<(), ProcessError> {
    let mut first_error = Ok(());
    for last in [false, true] {
        let group = |component: &Component| (*component == Component::Etcd) == last;
        for (component, child) in running.iter_mut().filter(|(component, _)| group(component)) {
            first_error = first_error.and(send(*component, child, Signal::Term));
        }
        for (component, child) in running.iter_mut().filter(|(component, _)| group(component)) {
            first_error = first_error.and(outwait(*component, child));
        }
    }
    first_error
}

fn send(component: Component, child: &mut Child, signal: Signal) -> Result<(), ProcessError> {
    let error = |pid, source| ProcessError::Stop { name: component.name(), pid, source };
    let pid = child.id();
    // A child that was waited for may have passed its pid on to a stranger.
    if child.try_wait().map_err(|source| error(pid, source))?.is_some() {
        return Ok(());
    }
    match fitting(component, signal) {
        Signal::Term => {
            kill_process(Pid::from_child(child), rustix::process::Signal::TERM).map_err(Into::into)
        }
        Signal::Kill => child.kill(),
    }
    .map_err(|source| error(pid, source))
}

/// The node's first process only waits, and does not heed SIGTERM: killed, it takes the whole node with it.
pub(super) fn fitting(component: Component, signal: Signal) -> Signal {
    if component == Component::Node { Signal::Kill } else { signal }
}

fn outwait(component: Component, child: &mut Child) -> Result<(), ProcessError> {
    let pid = child.id();
    let error = |source| ProcessError::Stop { name: component.name(), pid, source };
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if child.try_wait().map_err(error)?.is_some() {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
    child.kill().and_then(|()| child.wait()).map(drop).map_err(error)
}

/// Whether there is a process with this pid, of whomever.
pub(super) fn alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // EPERM also means that there is one.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Signals a process that is not this process's child.
pub(super) fn signal_stranger(pid: u32, signal: Signal) -> std::io::Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let signal = match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => other.map_err(Into::into),
    }
}

/// The command line of a process, while it lives; empty for one that has ended and was not outwaited.
pub(super) fn command_line(pid: u32) -> Option<String> {
    let bytes = match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => bytes,
        // Systems without /proc have ps.
        Err(_) if !Path::new("/proc/self/cmdline").exists() => {
            Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?.stdout
        }
        Err(_) => return None,
    };
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

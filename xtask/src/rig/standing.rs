//! A control plane that outlives its starter: `cargo xtask up`, `down` and `status`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::certificates::Access;
use super::layout::{file, write_private};
use super::machine::{self, Machine};
use super::probe::Probe;
use super::process::{GRACE, ProcessError, command_line, fitting, signal_stranger};
use super::{Component, Options, Rig, RigError, Signal, real_node};
use crate::assets::{Assets, Tool};
use crate::report::Report;

/// One process, as it was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// The component's name.
    pub name: String,
    /// Its pid.
    pub pid: u32,
    /// Its address.
    pub host: Ipv4Addr,
    /// Its port there.
    pub port: u16,
    /// Its binary.
    pub program: PathBuf,
}

/// The processes of a rig, as written to its folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) processes: Vec<Process>,
}

impl State {
    pub(super) fn write(&self, dir: &Path) -> Result<(), RigError> {
        let path = dir.join("state.json");
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| file("write", &path, std::io::Error::other(source)))?;
        write_private(&path, &text)
    }
}

/// A control plane found in a folder.
#[derive(Debug)]
pub struct Standing {
    dir: PathBuf,
    processes: Vec<Process>,
}

impl Standing {
    /// Starts a control plane that lives on when this process ends.
    pub fn start(
        options: Options,
        dir: &Path,
        assets: Assets,
        report: &mut dyn Report,
    ) -> Result<Self, RigError> {
        let options = Options { dir: Some(dir.to_owned()), ..options };
        Rig::start_with(options, assets, report)?.release();
        Ok(Self::read(dir))
    }

    /// What a folder says. Where its state is gone (`cargo clean`), what runs is found by its command line.
    pub fn read(dir: &Path) -> Self {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let text = std::fs::read_to_string(dir.join("state.json")).unwrap_or_default();
        let State { processes } =
            serde_json::from_str(&text).unwrap_or_else(|_| State { processes: strays(&dir) });
        Self { dir, processes }
    }

    /// Every process that was started.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Whether a process still runs: its pid lives, and its command line names this folder.
    pub fn runs(&self, process: &Process) -> bool {
        let line = command_line(process.pid).unwrap_or_default();
        line.contains(&process.name) && line.contains(&*self.dir.to_string_lossy())
    }

    /// Whether every process runs and says that it is ready.
    pub fn is_ready(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(|process| self.ready(process).is_ok())
    }

    /// Whether a process says that it is ready; an error is its answer in words.
    pub fn ready(&self, process: &Process) -> Result<(), String> {
        if !self.runs(process) {
            return Err("not running".to_owned());
        }
        if process.port == 0 {
            return Err("its port is not known, since its state file is gone: run down, then up".to_owned());
        }
        let component = Component::named(&process.name).ok_or_else(|| "unknown component".to_owned())?;
        let read = |name: &str| std::fs::read(self.dir.join("pki").join(name)).unwrap_or_default();
        let access =
            Access { authority: read("ca.crt"), certificate: read("admin.crt"), key: read("admin.key") };
        Probe::new(&access).ask(component, SocketAddrV4::new(process.host, process.port))
    }

    /// Whether there is a real node.
    pub fn has_node(&self) -> bool {
        self.processes.iter().any(|process| process.name == Component::Node.name())
    }

    /// Gives the real node the images of an OCI or Docker archive. Returns their full names, like `docker.io/library/a:1`.
    pub fn import_images(&self, archive: &Path, assets: &Assets) -> Result<Vec<String>, RigError> {
        let node = self.processes.iter().find(|process| process.name == Component::Node.name());
        real_node::import(
            node.map(|process| process.pid).unwrap_or_default(),
            assets.path(Tool::Ctr),
            archive,
        )
    }

    /// Whether what was started is the API server of these binaries.
    pub fn is_of(&self, assets: &Assets) -> bool {
        self.processes
            .iter()
            .find(|process| process.name == Component::Apiserver.name())
            .is_some_and(|process| process.program == assets.path(Component::Apiserver.tool()))
    }

    /// The kubeconfig with every right.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// Stops what runs, etcd last, and removes the folder. Returns what was stopped.
    pub fn stop(self) -> Result<Vec<Process>, RigError> {
        let mut stopped = Vec::new();
        let (last, first): (Vec<_>, Vec<_>) =
            self.processes.iter().partition(|process| process.name == Component::Etcd.name());
        for group in [first, last] {
            let running: Vec<&Process> = group.into_iter().filter(|process| self.runs(process)).collect();
            for process in &running {
                end(process, Signal::Term)?;
            }
            let deadline = Instant::now() + GRACE;
            while running.iter().any(|process| self.runs(process)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            for process in running.iter().filter(|process| self.runs(process)) {
                end(process, Signal::Kill)?;
            }
            stopped.extend(running.into_iter().cloned());
        }
        if let Some(machine) = Machine::of(&self.dir) {
            machine.clear(&self.dir).map_err(RigError::Machine)?;
        }
        machine::sweep();
        match std::fs::remove_dir_all(&self.dir) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(file("remove", &self.dir, source))
            }
            _ => Ok(stopped),
        }
    }
}

/// The processes whose command line names the folder; their ports are not known.
fn strays(dir: &Path) -> Vec<Process> {
    let folder = format!("={}/", dir.display());
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let process = |pid: u32| {
        let line = command_line(pid).filter(|line| line.contains(&folder))?;
        let program = PathBuf::from(line.split(' ').next()?);
        let file = program.file_name()?.to_str()?;
        let component = Component::ALL.into_iter().find(|component| component.program() == file)?;
        let host = Ipv4Addr::LOCALHOST;
        Some(Process { name: component.name().to_owned(), pid, host, port: 0, program })
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

/// The version that a binary calls itself.
pub fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = |word: &&str| word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    let word = text.split_whitespace().find(number)?;
    Some(format!("v{}", word.trim_start_matches('v')))
}

fn end(process: &Process, signal: Signal) -> Result<(), RigError> {
    let component = Component::named(&process.name);
    let name = component.map_or("process", Component::name);
    let signal = component.map_or(signal, |component| fitting(component, signal));
    signal_stranger(process.pid, signal)
        .map_err(|source| RigError::Process(ProcessError::Stop { name, pid: process.pid, source }))
}

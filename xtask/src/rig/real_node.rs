//! The rig's real node: made, awaited, given images and commands.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::machine::{self, Machine, MachineError, NODE};
use super::{Component, Rig, RigError, layout, pod, probe};
use crate::assets::{Tool, chain};
use crate::command::{answer, answer_to};

/// What the node's machine does first.
const MACHINE: &str = include_str!("machine.sh");
/// Far beyond the usual 10 s: a loaded machine is slow, not broken.
const NODE_PATIENCE: Duration = Duration::from_secs(90);

/// Gives the node of this machine the images of an archive, which is handed over open: the machine need not see it. Returns
/// their full names.
pub(super) fn import(machine: u32, ctr: &Path, archive: &Path) -> Result<Vec<String>, RigError> {
    let input = std::fs::File::open(archive).map_err(|source| layout::file("read", archive, source))?;
    let mut command = machine::inside(machine, ctr);
    command.args(["--namespace", "k8s.io", "images", "import", "--local", "-"]);
    let told = answer_to(&mut command, input.into()).map_err(MachineError::Command);
    let name = |line: &str| Some(line.strip_prefix("unpacking ")?.split(' ').next()?.to_owned());
    Ok(told.map_err(RigError::Machine)?.lines().filter_map(name).collect())
}

impl Rig {
    /// A command that runs on the real node, which sees this host's programs and folders, with its own network and mounts.
    pub fn on_node(&self, program: &Path) -> Command {
        machine::inside(self.pid_of(Component::Node).unwrap_or_default(), program)
    }

    /// Gives the real node the images of an OCI or Docker archive. Returns their full names, like `docker.io/library/a:1`.
    pub fn import_images(&self, archive: &Path) -> Result<Vec<String>, RigError> {
        import(self.pid_of(Component::Node).unwrap_or_default(), self.assets.path(Tool::Ctr), archive)
    }

    /// Makes the machine and starts it.
    pub(super) fn make_machine(&mut self) -> Result<(), RigError> {
        let folder = self.layout.dir.join("node");
        pod::write_images(&folder.join("images")).map_err(RigError::Pod)?;
        let script = folder.join("machine.sh");
        std::fs::write(&script, MACHINE).map_err(|source| layout::file("write", &script, source))?;
        self.launch(Component::Node)?;
        let pid = self.pid_of(Component::Node).unwrap_or_default();
        self.machine = Some(Machine::join(pid, &self.layout.dir).map_err(RigError::Machine)?);
        Ok(())
    }

    /// Waits until the API server calls the node Ready, and lets pods in.
    pub(super) fn await_node(&self) -> Result<(), RigError> {
        let path = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let begin = Instant::now();
        loop {
            let mut asked = answer(self.kubectl().args(["get", "node", NODE, path]));
            if self.options.controller_manager && matches!(asked.as_deref(), Ok("True")) {
                // No pod is let in before its service account is there, which is made as the namespace is seen.
                let account = ["get", "serviceaccount", "default", "-o=jsonpath=True"];
                asked = answer(self.kubectl().args(account));
            }
            let told = match asked {
                Ok(told) if told == "True" => return Ok(()),
                Ok(told) => format!("Ready is {told:?}"),
                Err(error) => chain(&error),
            };
            if begin.elapsed() > NODE_PATIENCE {
                let log = self.layout.dir.join("logs").join("kubelet.log");
                let (seconds, tail) = (NODE_PATIENCE.as_secs(), probe::tail(&log));
                let link = self.machine.map(Machine::name).unwrap_or_default();
                return Err(RigError::Machine(MachineError::NotReady {
                    seconds,
                    link,
                    answer: told,
                    log,
                    tail,
                }));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

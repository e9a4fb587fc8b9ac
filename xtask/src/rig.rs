//! A real control plane for one owner: etcd, the API server and, when asked for, the rest.
//!
//! Everything started is stopped when the [`Rig`] is dropped; where the owner cannot do that
//! (SIGKILL, abort), the guard does (see `guard`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::assets::{Assets, AssetsError, Settings, Tool, on_path};
use crate::report::{Report, Terminal};

mod arguments;
mod certificates;
mod companion;
mod guard;
mod layout;
mod machine;
mod machine_files;
mod node;
mod options;
mod pod;
mod ports;
mod probe;
mod process;
mod real_node;
pub mod standing;
mod start;

pub use certificates::CertificateError;
pub use companion::Companion;
pub use machine::{MachineError, NODE};
pub use node::{Taint, node_yaml};
pub use options::{Component, MutatingPolicies, Options};
pub use pod::{POD_IMAGE, PodError};
pub use probe::ProbeError;
pub use process::{ProcessError, Signal};

use guard::Guard;
use layout::Layout;
use machine::Machine;
use probe::Probe;

/// Why a rig could not be started, or not be handled.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// There are no binaries.
    #[error("the rig has no control plane to run")]
    Assets(#[source] AssetsError),
    /// A file or folder of the rig resists.
    #[error("cannot {verb} {path:?}: check its owner and the free space")]
    File {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// No certificates.
    #[error("the rig has no certificates")]
    Certificates(#[source] CertificateError),
    /// The process that cleans up after a killed owner did not start.
    #[error(
        "cannot start the guard `sh`, which stops the control plane if this process is killed: is `sh` on PATH?"
    )]
    Guard(#[source] std::io::Error),
    /// No free ports.
    #[error("found no free port on 127.0.0.1 between {first} and {last}: stop what holds them")]
    Ports {
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
    },
    /// The real node's machine.
    #[error("the real node does not work")]
    Machine(#[source] MachineError),
    /// The images of the rig's pods.
    #[error("the real node has no image to run")]
    Pod(#[source] PodError),
    /// A process failed.
    #[error("a process of the control plane failed")]
    Process(#[source] ProcessError),
    /// A process never got ready.
    #[error("a process of the control plane did not get ready")]
    Probe(#[source] ProbeError),
}

/// A running control plane. Methods take `&self`, so one rig can serve many tests at once.
#[derive(Debug)]
pub struct Rig {
    options: Options,
    assets: Assets,
    layout: Layout,
    ports: BTreeMap<Component, u16>,
    probe: Probe,
    machine: Option<Machine>,
    running: Mutex<BTreeMap<Component, Child>>,
    guard: Option<Guard>,
    ready_after: Duration,
    keep: AtomicBool,
    mutating_policies: Mutex<MutatingPolicies>,
    /// Where the API server comes from when it is not of the other components' Kubernetes.
    upgraded: Mutex<Option<Assets>>,
}

impl Rig {
    /// Starts a control plane and waits until all of it is ready. Finds or builds the binaries first.
    pub fn start(options: Options) -> Result<Self, RigError> {
        let mut report = Terminal::new();
        let settings = Settings {
            kubernetes: options.kubernetes.clone(),
            node: options.node,
            helm: options.helm,
            ..Settings::from_environment()
        };
        let assets = Assets::find(&settings, &mut report).map_err(RigError::Assets)?;
        Self::start_with(options, assets, &mut report)
    }

    /// As [`Rig::start`], with another listener and binaries at hand, whose Kubernetes is the one that runs.
    pub fn start_with(options: Options, assets: Assets, report: &mut dyn Report) -> Result<Self, RigError> {
        start::start(options, assets, report)
    }

    /// A kubeconfig with every right. In the audit log its user is `rig-admin`.
    pub fn kubeconfig(&self) -> &Path {
        &self.layout.admin
    }

    /// The API server's address.
    pub fn url(&self) -> String {
        self.url_of(Component::Apiserver)
    }

    /// The address of one of several API servers. One certificate authority and one set of users serve all of them, so in
    /// a kubeconfig of the first only the address is to be replaced.
    pub fn url_of(&self, apiserver: Component) -> String {
        format!("https://{}", self.address_of(apiserver))
    }

    /// Where a component listens: the loopback address, but for what a real node must reach or is.
    pub fn address_of(&self, component: Component) -> SocketAddrV4 {
        let host = match (component, self.machine) {
            (Component::Apiserver | Component::SecondApiserver, Some(machine)) => machine.host(),
            (Component::Node, Some(machine)) => machine.node(),
            _ => Ipv4Addr::LOCALHOST,
        };
        SocketAddrV4::new(host, self.port(component))
    }

    /// The port of a component, if it is part of this rig.
    pub fn port_of(&self, component: Component) -> Option<u16> {
        self.ports.get(&component).copied()
    }

    /// The file with the certificate of the rig's authority.
    pub fn ca_file(&self) -> &Path {
        &self.layout.ca
    }

    /// The certificate of the rig's authority, as PEM.
    pub fn ca_pem(&self) -> Result<String, RigError> {
        let path = self.ca_file();
        std::fs::read_to_string(path).map_err(|source| RigError::File {
            verb: "read",
            path: path.into(),
            source,
        })
    }

    /// The rig's own folder; removed when the rig is stopped in order.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The API server's audit log: a JSON object a line, level `Metadata`, one line for each request
    /// as it is received, before it does anything, and one as it ends (for a watch also as it begins).
    /// The end of a request may be written a moment after others see what it did.
    pub fn audit_log(&self) -> PathBuf {
        self.audit_log_of(Component::Apiserver)
    }

    /// As [`Rig::audit_log`], of one of several API servers.
    pub fn audit_log_of(&self, apiserver: Component) -> PathBuf {
        self.layout.audit_log(apiserver)
    }

    /// The log of a component.
    pub fn log_of(&self, component: Component) -> PathBuf {
        self.layout.log(component)
    }

    /// How long the start took, from the first file to the last component's being ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The binaries in use.
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    /// `kubectl`, pointed at this control plane and at no other.
    pub fn kubectl(&self) -> Command {
        kubectl(&self.assets, self.kubeconfig())
    }

    /// `helm`, pointed at this control plane, with no memory outside the rig's folder. It needs [`Options::helm`].
    pub fn helm(&self) -> Command {
        let mut command = Command::new(self.assets.path(Tool::Helm));
        command.env("KUBECONFIG", self.kubeconfig());
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.layout.home().join(variable.to_lowercase()));
        }
        command
    }

    /// Runs a program of the owner's beside the rig, with the admin's `KUBECONFIG` unless the command
    /// sets its own. Its output goes to `logs/<name>.log`. It must be dropped before the rig.
    pub fn companion(&self, name: &'static str, mut command: Command) -> Result<Companion, RigError> {
        if !command.get_envs().any(|(variable, _)| variable == "KUBECONFIG") {
            command.env("KUBECONFIG", self.kubeconfig());
        }
        Companion::start(name, command, &self.layout)
    }

    /// Writes a kubeconfig that logs in with a bearer token, for example one of `kubectl create token`.
    pub fn kubeconfig_for_token(&self, name: &str, token: &str) -> Result<PathBuf, RigError> {
        let path = self.layout.dir.join(format!("{name}.kubeconfig"));
        layout::write_private(&path, &layout::token_kubeconfig(&self.url(), self.ca_file(), name, token))?;
        Ok(path)
    }

    /// Leaves the folder with its logs in place when the rig is stopped.
    pub fn keep_folder(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }

    /// The pid of a component, while it runs.
    pub fn pid_of(&self, component: Component) -> Option<u32> {
        self.running().get(&component).map(Child::id)
    }

    /// Stops the API server; its data stays in etcd.
    pub fn stop_apiserver(&self, signal: Signal) -> Result<(), RigError> {
        self.stop_component(Component::Apiserver, signal)
    }

    /// Whether the API server has MutatingAdmissionPolicy from its next start on: an upgrade, or going back.
    pub fn set_mutating_policies(&self, policies: MutatingPolicies) {
        *self.mutating_policies.lock().unwrap_or_else(PoisonError::into_inner) = policies;
    }

    /// The Kubernetes of the API server from its next start on, as in [`Options::kubernetes`]: an upgrade on the data that
    /// there is. All other components stay as they are.
    pub fn set_kubernetes(&self, kubernetes: Option<String>) -> Result<(), RigError> {
        let settings = Settings { kubernetes, ..Settings::from_environment() };
        let assets = Assets::find(&settings, &mut Terminal::new()).map_err(RigError::Assets)?;
        *self.upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(assets);
        Ok(())
    }

    /// Starts the API server again, on the same port with the same data, and waits until it is ready.
    pub fn start_apiserver(&self) -> Result<(), RigError> {
        self.start_component(Component::Apiserver)
    }

    /// Stops etcd; its data stays in the rig's folder.
    pub fn stop_etcd(&self, signal: Signal) -> Result<(), RigError> {
        self.stop_component(Component::Etcd, signal)
    }

    /// Starts etcd again, on the same port with the same data, and waits until it is ready.
    pub fn start_etcd(&self) -> Result<(), RigError> {
        self.start_component(Component::Etcd)
    }

    /// Stops one component, and waits until its process is gone.
    pub fn stop_component(&self, component: Component, signal: Signal) -> Result<(), RigError> {
        let child = self.running().remove(&component);
        let Some(mut child) = child else { return Ok(()) };
        process::stop(component, &mut child, signal).map_err(RigError::Process)?;
        self.layout.forget_pid(component);
        Ok(())
    }

    /// Starts one component that was stopped, and waits until it is ready.
    pub fn start_component(&self, component: Component) -> Result<(), RigError> {
        self.launch(component)?;
        self.await_ready(component)
    }

    /// Stops everything, the API server before etcd, and removes the folder.
    pub fn stop(mut self) -> Result<(), RigError> {
        self.halt()
    }

    fn port(&self, component: Component) -> u16 {
        self.port_of(component).unwrap_or_default()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Component, Child>> {
        // A panic elsewhere must not keep the processes from being stopped.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launch(&self, component: Component) -> Result<(), RigError> {
        let mut running = self.running();
        if running.contains_key(&component) {
            return Ok(());
        }
        let upgraded = self.upgraded.lock().unwrap_or_else(PoisonError::into_inner);
        let assets =
            upgraded.as_ref().filter(|_| component.tool() == Tool::Apiserver).unwrap_or(&self.assets);
        let system = on_path(component.program()).filter(|_| component == Component::Node);
        let program = system.as_deref().unwrap_or_else(|| assets.path(component.tool()));
        let policies = *self.mutating_policies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut arguments = arguments::of(
            component,
            program,
            &self.layout,
            &self.ports,
            &self.options,
            policies,
            self.machine,
        );
        arguments.extend(machine::seen(component, assets));
        let child =
            process::spawn(component, program, &arguments, &self.layout).map_err(RigError::Process)?;
        // Into the hands of `Drop` before anything else can fail.
        let pid = child.id();
        running.insert(component, child);
        self.layout.note_pid(component, pid)
    }

    fn await_ready(&self, component: Component) -> Result<(), RigError> {
        let exited = || {
            let mut running = self.running();
            let child = running.get_mut(&component)?;
            child.try_wait().ok().flatten()
        };
        let log = self.layout.log(component);
        self.probe.wait(component, self.address_of(component), &log, exited).map_err(RigError::Probe)
    }

    /// Lets the processes live on after this owner; [`standing`] finds them again.
    fn release(mut self) {
        self.running().clear();
        self.machine = None;
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }

    fn halt(&mut self) -> Result<(), RigError> {
        let mut running = std::mem::take(&mut *self.running());
        let result = process::stop_all(&mut running).map_err(RigError::Process);
        let cleared =
            self.machine.map_or(Ok(()), |machine| machine.clear(&self.layout.dir)).map_err(RigError::Machine);
        let result = result.and(cleared);
        let guard = self.guard.take();
        if let (Some(guard), Ok(())) = (guard, &result) {
            guard.dismiss();
            // After a panic the logs are what a person wants to see.
            if !std::thread::panicking() && !self.keep.load(Ordering::Relaxed) {
                // A folder that resists costs disk, nothing else; the next rig tries again.
                let _ = std::fs::remove_dir_all(&self.layout.dir);
            }
        }
        // After a failure the guard is dropped instead: its pipe closes, and it does what it can.
        result
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Nobody is left to be told; what did not stop is the guard's.
        let _ = self.halt();
    }
}

/// A port of the loopback address that nobody listens on now.
pub fn free_port() -> Result<u16, RigError> {
    ports::free_ports(1).map(|ports| ports.into_iter().next().unwrap_or_default())
}

/// `kubectl` for a kubeconfig; the user's own clusters are out of its sight.
pub fn kubectl(assets: &Assets, kubeconfig: &Path) -> Command {
    let mut command = Command::new(assets.path(Tool::Kubectl));
    command.env("KUBECONFIG", kubeconfig).env_remove("KUBECTL_EXTERNAL_DIFF").env("KUBECTL_KUBERC", "false");
    command
}

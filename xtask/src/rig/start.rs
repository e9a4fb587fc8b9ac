//! From options to a ready control plane.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::certificates::Access;
use super::guard::Guard;
use super::layout::Layout;
use super::machine::KUBELET_PORT;
use super::ports::free_ports;
use super::probe::{Probe, ProbeError};
use super::process::alive;
use super::{Component, Options, Rig, RigError, certificates};
use crate::assets::Assets;
use crate::report::Report;

/// Between the choice of a port and its use another process may take it; then others are chosen.
const ATTEMPTS: u32 = 4;
/// Folders of dead owners are kept this long, for a look at their logs.
const KEEP_DEAD: Duration = Duration::from_hours(1);

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(super) fn start(options: Options, assets: Assets, report: &mut dyn Report) -> Result<Rig, RigError> {
    let begin = Instant::now();
    let dir = match &options.dir {
        Some(dir) => dir.clone(),
        None => own_folder(&options.name),
    };
    let layout = Layout::create(&dir)?;
    let guard = Guard::start(&layout).map_err(RigError::Guard)?;
    let components = options.components();
    let mutating_policies = Mutex::new(options.mutating_policies);
    let mut rig = Rig {
        machine: None,
        mutating_policies,
        upgraded: Mutex::new(None),
        options,
        assets,
        layout,
        ports: BTreeMap::new(),
        probe: Probe::new(&Access::none()),
        running: Mutex::default(),
        guard: Some(guard),
        ready_after: Duration::ZERO,
        keep: AtomicBool::new(false),
    };
    if components.contains(&Component::Node) {
        // First, since its link has the address that the API server is reached at.
        rig.make_machine()?;
    }
    let authority = certificates::write(&rig.layout, rig.machine).map_err(RigError::Certificates)?;
    rig.probe = Probe::new(&authority);
    for attempt in 1..=ATTEMPTS {
        match attempt_start(&mut rig, &components) {
            Err(error) if attempt < ATTEMPTS && is_collision(&error) => {
                let mut running = std::mem::take(&mut *rig.running());
                let node = running.remove(&Component::Node);
                rig.running().extend(node.map(|node| (Component::Node, node)));
                super::process::stop_all(&mut running).map_err(RigError::Process)?;
                report.line("A port was taken in between; trying with others.");
            }
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    rig.ready_after = begin.elapsed();
    Ok(rig)
}

fn attempt_start(rig: &mut Rig, components: &[Component]) -> Result<(), RigError> {
    rig.ports = components.iter().copied().zip(free_ports(components.len())?).collect();
    if rig.machine.is_some() {
        rig.ports.insert(Component::Node, KUBELET_PORT);
    }
    rig.layout.write_kubeconfigs(&rig.url())?;
    rig.layout.write_settings(rig.options.heartbeat)?;
    let (servers, clients): (Vec<Component>, Vec<Component>) = components
        .iter()
        .copied()
        .filter(|component| *component != Component::Node)
        .partition(|c| matches!(c, Component::Etcd | Component::Apiserver | Component::SecondApiserver));
    // The API server waits for etcd by itself, so both start at once; the others would give up.
    for group in [servers, clients] {
        for component in &group {
            rig.launch(*component)?;
        }
        for component in &group {
            rig.await_ready(*component)?;
        }
    }
    if let Some(machine) = rig.machine {
        machine.furnish(&rig.layout, &rig.assets)?;
        rig.await_ready(Component::Node)?;
        rig.await_node()?;
    }
    rig.layout.write_state(rig)
}

fn is_collision(error: &RigError) -> bool {
    matches!(error, RigError::Probe(ProbeError::Ended { tail, .. }) if tail.contains("address already in use"))
}

/// A folder of its own for each rig, named so that a later run can tell whether its owner lives.
fn own_folder(name: &str) -> PathBuf {
    let base = crate::workspace::target().join("rig");
    sweep(&base);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    base.join(format!("{name}-{}-{number}", std::process::id()))
}

/// Removes what killed owners left behind.
fn sweep(base: &Path) {
    let Ok(folders) = std::fs::read_dir(base) else { return };
    for folder in folders.flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let mut words = name.rsplit('-').skip(1);
        let owner = words.next().and_then(|word| word.parse::<u32>().ok());
        let touched =
            folder.metadata().and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now());
        let old = touched.elapsed().is_ok_and(|age| age > KEEP_DEAD);
        if owner.is_some_and(|pid| !alive(pid)) && old {
            // What resists is tried again by the next rig.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

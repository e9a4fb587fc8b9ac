//! What a real node needs of the host itself: no download brings it.

use std::path::{Path, PathBuf};

use super::on_path;
use super::settings::is_program;

/// Where the systems put the plugins: Debian, what upstream's archive is unpacked to, Fedora.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
const CNI_PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];
/// The programs, and the packages of Debian that hold them; most others call them the same.
const PROGRAMS: [(&str, &str); 7] = [
    ("runc", "runc"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("pivot_root", "util-linux"),
    ("mount", "mount"),
];

/// Why this host cannot run a real node.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It lacks something.
    #[error("{}", .0.join("; "))]
    Missing(Vec<String>),
}

/// One thing that is needed of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Linux,
    Root,
    Program { name: &'static str, package: &'static str },
    Cni,
}

pub(super) fn needs() -> Vec<Need> {
    let programs = PROGRAMS.iter().map(|&(name, package)| Need::Program { name, package });
    [Need::Linux, Need::Root].into_iter().chain(programs).chain([Need::Cni]).collect()
}

/// Whether this host has all that a real node needs of it; the error names everything that is not there, and how to get it.
pub fn can_run_node() -> Result<(), HostError> {
    let missing: Vec<Need> = needs().into_iter().filter(|need| need.found().is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().filter_map(|need| need.package()).collect();
    packages.dedup();
    let mut texts: Vec<String> =
        missing.iter().filter(|need| need.package().is_none()).map(|need| need.remedy()).collect();
    if !packages.is_empty() {
        let names = missing.iter().filter(|need| need.package().is_some()).map(|need| need.what());
        let names = names.collect::<Vec<_>>().join(", ");
        texts.push(format!("missing {names}: {}", install(&packages.join(" "))));
    }
    Err(HostError::Missing(texts))
}

/// The folder with the network plugins, where one has all of them.
pub fn cni_folder() -> Option<PathBuf> {
    let complete = |folder: &&Path| CNI_PLUGINS.iter().all(|plugin| is_program(&folder.join(plugin)));
    CNI_FOLDERS.iter().map(Path::new).find(complete).map(Path::to_owned)
}

impl Need {
    pub(super) fn what(self) -> &'static str {
        match self {
            Need::Linux => "Linux",
            Need::Root => "root",
            Need::Program { name, .. } => name,
            Need::Cni => "CNI plugins",
        }
    }

    /// Where or what was found.
    pub(super) fn found(self) -> Option<String> {
        let shown = |path: PathBuf| path.display().to_string();
        match self {
            Need::Linux => (std::env::consts::OS == "linux").then(|| "yes".to_owned()),
            Need::Root => rustix::process::geteuid().is_root().then(|| "yes".to_owned()),
            Need::Program { name, .. } => on_path(name).map(shown),
            Need::Cni => cni_folder().map(shown),
        }
    }

    /// What to do where it is missing.
    pub(super) fn remedy(self) -> String {
        match self {
            Need::Linux => "a real node runs on Linux only".to_owned(),
            Need::Root => "run this as root: it makes namespaces and cgroups".to_owned(),
            Need::Program { package, .. } => install(package),
            Need::Cni => install("containernetworking-plugins"),
        }
    }

    fn package(self) -> Option<&'static str> {
        match self {
            Need::Linux | Need::Root => None,
            Need::Program { package, .. } => Some(package),
            Need::Cni => Some("containernetworking-plugins"),
        }
    }
}

fn install(packages: &str) -> String {
    format!("run `apt-get install {packages}`, or install them as your system does")
}

//! What is needed of the host itself: no download brings it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::on_path;
use super::settings::is_program;

/// Where the systems put the plugins: Debian, what upstream's archive is unpacked to, Fedora.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
const CNI_PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];
/// The programs of a real node, and the packages of Debian that hold them.
const OF_NODE: [(&str, &str); 7] = [
    ("runc", "runc"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("pivot_root", "util-linux"),
    ("mount", "mount"),
];
/// Those of an image.
const OF_IMAGE: [(&str, &str); 1] = [("objcopy", "binutils")];
/// Those of the Dockerfile.
const OF_DOCKERFILE: [(&str, &str); 1] = [("buildah", "buildah")];
/// The first kernel in which kube-proxy can lead to services by nftables.
const KERNEL: (u32, u32) = (5, 13);
const CGROUPS: &str = "/sys/fs/cgroup";

/// What is done here that needs something of the host beside a compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A real node runs.
    RealNode,
    /// The program of an image is built.
    Image,
    /// The Dockerfile is built.
    Dockerfile,
}

/// Why it cannot be done on this host.
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
    Kernel,
    Namespaces,
    Cgroups,
    Program { name: &'static str, package: &'static str },
    Cni,
    StaticC,
}

impl Work {
    /// What it needs. What can be tried only where something else is there, is no need before that.
    pub(super) fn needs(self) -> Vec<Need> {
        let programs = |list: &[(&'static str, &'static str)]| -> Vec<Need> {
            list.iter().map(|&(name, package)| Need::Program { name, package }).collect()
        };
        match self {
            Work::RealNode => {
                let others = vec![Need::Cni, Need::StaticC];
                let first = [vec![Need::Linux, Need::Root], programs(&OF_NODE), others].concat();
                let is_there = first.iter().all(|need| need.found().is_some());
                let tried = [Need::Kernel, Need::Namespaces, Need::Cgroups].into_iter().filter(|_| is_there);
                first.iter().copied().chain(tried).collect()
            }
            Work::Image if cfg!(target_os = "linux") => {
                // Elsewhere programs are static already.
                let library = cfg!(target_env = "gnu").then_some(Need::StaticC);
                programs(&OF_IMAGE).into_iter().chain(library).collect()
            }
            // The program is then one of this system, and only the demo runs it.
            Work::Image => Vec::new(),
            Work::Dockerfile => [vec![Need::Linux, Need::Root], programs(&OF_DOCKERFILE)].concat(),
        }
    }

    /// Whether this host has all that it needs; the error names everything that is not there, and how to get it.
    pub fn is_possible(self) -> Result<(), HostError> {
        let missing: Vec<Need> = self.needs().into_iter().filter(|need| need.found().is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (to_install, others): (Vec<Need>, Vec<Need>) =
            missing.into_iter().partition(|need| need.package().is_some());
        let mut texts: Vec<String> = others.iter().map(|need| need.remedy()).collect();
        if !to_install.is_empty() {
            let names = to_install.iter().map(|need| need.what()).collect::<Vec<_>>().join(", ");
            let mut packages: Vec<&str> = to_install.iter().filter_map(|need| need.package()).collect();
            packages.dedup();
            texts.push(format!("missing {names}: {}", install(&packages.join(" "))));
        }
        Err(HostError::Missing(texts))
    }
}

/// The folder with the network plugins, where one has all of them.
pub fn cni_folder() -> Option<PathBuf> {
    let complete = |folder: &&Path| CNI_PLUGINS.iter().all(|plugin| is_program(&folder.join(plugin)));
    CNI_FOLDERS.iter().map(Path::new).find(complete).map(Path::to_owned)
}

/// The folders of the programs that a real node runs and this host has.
pub(crate) fn folders_of_node() -> Vec<PathBuf> {
    let programs = OF_NODE.iter().filter_map(|(name, _)| Some(on_path(name)?.parent()?.to_owned()));
    programs.chain(cni_folder()).collect()
}

impl Need {
    pub(super) fn what(self) -> &'static str {
        match self {
            Need::Linux => "Linux",
            Need::Root => "root",
            Need::Kernel => "Linux 5.13",
            Need::Namespaces => "namespaces",
            Need::Cgroups => "cgroups",
            Need::Program { name, .. } => name,
            Need::Cni => "CNI plugins",
            Need::StaticC => "static C library",
        }
    }

    /// Where or what was found.
    pub(super) fn found(self) -> Option<String> {
        let shown = |path: PathBuf| path.display().to_string();
        let yes = |holds: bool| holds.then(|| "yes".to_owned());
        match self {
            Need::Linux => yes(std::env::consts::OS == "linux"),
            Need::Root => yes(rustix::process::geteuid().is_root()),
            Need::Kernel => kernel().filter(|release| version(release) >= KERNEL),
            Need::Namespaces => yes(makes_namespaces()),
            Need::Cgroups => yes(makes_cgroups()),
            Need::Program { name, .. } => on_path(name).map(shown),
            Need::Cni => cni_folder().map(shown),
            Need::StaticC => static_library().map(shown),
        }
    }

    /// What to do where it is missing.
    pub(super) fn remedy(self) -> String {
        match self {
            Need::Linux => "use a machine with Linux".to_owned(),
            Need::Root => "run this as root".to_owned(),
            Need::Kernel => "use Linux 5.13 or newer: the packet filter of services needs it".to_owned(),
            Need::Namespaces => {
                "root may not make namespaces here: give this container the capability SYS_ADMIN, or --privileged"
                    .to_owned()
            }
            Need::Cgroups => {
                format!("root may not make cgroups here: give this container a {CGROUPS} that it may write, or --privileged")
            }
            Need::Program { package, .. } => install(package),
            Need::Cni => install("containernetworking-plugins"),
            Need::StaticC => format!("{} (Fedora: glibc-static)", install("libc6-dev")),
        }
    }

    fn package(self) -> Option<&'static str> {
        match self {
            Need::Linux | Need::Root | Need::Kernel | Need::Namespaces | Need::Cgroups => None,
            Need::Program { package, .. } => Some(package),
            Need::Cni => Some("containernetworking-plugins"),
            Need::StaticC => Some("libc6-dev"),
        }
    }
}

fn kernel() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(release.trim().to_owned())
}

/// The first two numbers of a kernel's release; one that cannot be read is taken for an old one.
fn version(release: &str) -> (u32, u32) {
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Root of a container is root in name alone.
fn makes_namespaces() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// How often it was tried: two threads may try at one time.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// Version 2 is one tree, version 1 a tree a controller.
fn makes_cgroups() -> bool {
    let top = Path::new(CGROUPS);
    let is_tree = |path: &PathBuf| path.is_dir() && !path.is_symlink();
    let trees: Vec<PathBuf> = if top.join("cgroup.controllers").exists() {
        vec![top.to_owned()]
    } else {
        let entries = std::fs::read_dir(top).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(is_tree).collect()
    };
    let name = format!("poros-tried-{}-{}", std::process::id(), TRIED.fetch_add(1, Ordering::Relaxed));
    let can_make = |tree: &PathBuf| {
        let cgroup = tree.join(&name);
        std::fs::create_dir(&cgroup).and_then(|()| std::fs::remove_dir(&cgroup)).is_ok()
    };
    !trees.is_empty() && trees.iter().all(can_make)
}

/// The C compiler knows where the library is; it repeats the name of one that is not there.
fn static_library() -> Option<PathBuf> {
    let output = Command::new("cc").arg("-print-file-name=libc.a").stdin(Stdio::null()).output().ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    path.is_file().then_some(path)
}

fn install(packages: &str) -> String {
    format!("on Debian run `apt-get install {packages}`, elsewhere install what holds it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_a_kernel_is_read() {
        for (release, is_new) in [
            ("5.13.0-generic", true),
            ("6.1.0", true),
            ("4.18.0-553.el8", false),
            ("5.4.0", false),
            ("", false),
        ] {
            assert_eq!(version(release) >= KERNEL, is_new, "{release}");
        }
    }

    #[test]
    fn what_is_tried_is_no_need_where_its_means_are_missing() {
        let needs = Work::RealNode.needs();
        let first_are_there = needs.iter().take(2 + OF_NODE.len() + 2).all(|need| need.found().is_some());
        assert_eq!(needs.contains(&Need::Namespaces), first_are_there);
    }
}

//! The machine of the real node: namespaces of its own on this host, joined to it by one link.
//!
//! kubelet, containerd, kube-proxy, `CoreDNS` and every pod live in them, with all their mounts, links and
//! packet filters, so all of it ends with the machine's first process (`machine.sh`). What the kernel does not take away
//! by itself are the cgroups; [`Machine::clear`] does. What stays of the host's is what the kernel loaded (modules, and the
//! settings that come with them), and on cgroup version 2 that the top of the tree hands its controllers down.
//!
//! The link's name is the claim to its addresses: one of the 512 networks `198.18.N.0/24` of the range
//! that RFC 2544 sets apart for measurements, of which the first rig to make the link `poros-N` has the use. Whose it is
//! says the link's alias, the rig's folder. The cgroup's name has the number of the host's network namespace besides: two
//! containers may see one tree of cgroups, but not each other's links.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::layout::{Layout, file};
use super::{Component, RigError, machine_files};
use crate::assets::{Assets, Tool, folders_of_node};
use crate::command::{CommandError, answer};

/// The node's name.
pub const NODE: &str = "rig-node";
/// The kubelet's port on the node's address.
pub(super) const KUBELET_PORT: u16 = 10_250;
/// The addresses of services: of no use outside the machine, so every rig has the same.
pub(super) const SERVICES: &str = "10.96.0.0/16";

const PREFIX: &str = "poros-";
const NETWORKS: u16 = 512;
const CGROUPS: &str = "/sys/fs/cgroup";
/// Namespaces are taken apart in the background; far beyond the usual tenth of a second.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Why the node's machine does not work as it should.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A command failed.
    #[error("a command of its machine failed")]
    Command(#[source] CommandError),
    /// Its first process did not leave this one's network.
    #[error("`unshare --net` made no namespaces; the log `node.log` says why")]
    Namespaces,
    /// The host uses every network.
    #[error(
        "each network of 198.18.0.0/15 is in use: see `ip route`, and `cargo xtask down` in other checkouts"
    )]
    Networks,
    /// What ended left something.
    #[error("{what:?} is still there {} s after the node's end: is a process of a pod stuck?", PATIENCE.as_secs())]
    Left {
        /// The link or cgroup.
        what: PathBuf,
    },
    /// The node is not Ready.
    #[error(
        "the node is not Ready after {seconds} s ({answer}). Does a firewall of this host drop what comes in on {link}? The last lines of {log:?}:\n{tail}"
    )]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// The link that joins it to this host.
        link: String,
        /// What the API server says of it.
        answer: String,
        /// The kubelet's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
}

/// The link and the addresses of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    network: u16,
}

impl Machine {
    /// Joins the namespaces of a process to the host, by a link and addresses that nobody but this rig's folder has.
    pub(super) fn join(pid: u32, dir: &Path) -> Result<Self, MachineError> {
        outwait_namespace(pid)?;
        sweep();
        // Two rigs that start together begin at different places; the kernel lets one have a name.
        let begin = u16::try_from(pid % u32::from(NETWORKS)).unwrap_or_default();
        for step in 0..NETWORKS {
            let machine = Self { network: (begin + step) % NETWORKS };
            if machine.link().exists() || machine.is_in_use()? {
                continue;
            }
            let name = machine.name();
            let namespace = pid.to_string();
            let made =
                ip(&["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &namespace]);
            if let Err(error) = made {
                if machine.link().exists() {
                    continue;
                }
                return Err(error);
            }
            ip(&["link", "set", &name, "alias", &claim(dir)])?;
            let (host, node) = (format!("{}/30", machine.host()), machine.node().to_string());
            ip(&["address", "add", &host, "dev", &name])?;
            ip(&["link", "set", &name, "up"])?;
            ip(&["route", "add", &machine.pods(), "via", &node, "dev", &name])?;
            return Ok(machine);
        }
        Err(MachineError::Networks)
    }

    /// The machine whose settings are in a rig's folder.
    pub(super) fn of(dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(dir.join("node").join("settings")).ok()?;
        let name = text.lines().find_map(|line| line.strip_prefix("NAME="))?;
        Self::named(name)
    }

    fn named(name: &str) -> Option<Self> {
        let network = name.strip_prefix(PREFIX)?.parse().ok()?;
        (network < NETWORKS).then_some(Self { network })
    }

    /// Of the link's end on the host.
    pub(super) fn name(self) -> String {
        format!("{PREFIX}{}", self.network)
    }

    /// The name of the cgroup of all its pods.
    pub(super) fn cgroup(self) -> String {
        format!("{}{}", self.name(), suffix())
    }

    /// The host's address on the link: the API server's.
    pub(super) fn host(self) -> Ipv4Addr {
        self.address(1)
    }

    /// The node's address.
    pub(super) fn node(self) -> Ipv4Addr {
        self.address(2)
    }

    /// The network of the pods: 126 addresses, the upper half.
    pub(super) fn pods(self) -> String {
        format!("{}/25", self.address(128))
    }

    fn address(self, last: u8) -> Ipv4Addr {
        let [high, low] = self.network.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, last)
    }

    fn link(self) -> PathBuf {
        Path::new("/sys/class/net").join(self.name())
    }

    /// Whether the host has a route into the network, or one of a network around it, but for the default route.
    fn is_in_use(self) -> Result<bool, MachineError> {
        let network = format!("{}/24", self.address(0));
        let inside = ip(&["-4", "route", "show", "table", "all", "root", &network])?;
        let around = ip(&["-4", "route", "show", "table", "all", "match", &network])?;
        Ok(inside
            .lines()
            .chain(around.lines())
            .any(|route| !route.trim().is_empty() && !route.starts_with("default")))
    }

    /// Waits until the machine of this folder, whose first process was killed, is gone, and removes its cgroups. After a
    /// crash another rig may have its name by now, and have removed what this one had left.
    pub(super) fn clear(self, dir: &Path) -> Result<(), MachineError> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(claimed) = self.claimed() {
            if claimed != claim(dir) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(MachineError::Left { what: self.link() });
            }
            std::thread::sleep(POLL);
        }
        for cgroup in cgroups(|name| name == self.cgroup()) {
            remove(&cgroup, deadline)?;
        }
        Ok(())
    }

    /// Whose the link is that has the machine's name, if there is one.
    fn claimed(self) -> Option<String> {
        let text = std::fs::read_to_string(self.link().join("ifalias")).ok();
        text.map(|text| text.trim_end_matches('\n').to_owned())
    }

    /// Writes what the machine waits for: from then on it becomes a node.
    pub(super) fn furnish(self, layout: &Layout, assets: &Assets) -> Result<(), RigError> {
        let tools: Vec<String> = folders(assets).iter().map(|folder| folder.display().to_string()).collect();
        let folder = layout.dir.join("node");
        for (name, text) in machine_files::all(self, layout) {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| file("write", &path, source))?;
        }
        // Last, and whole or not at all: the machine reads it as soon as it is there.
        let settings = format!(
            "NAME={}\nCGROUP={}\nCLAIM={}\nNODE={}\nNODE_NAME={NODE}\nPODS={}\nSERVICES={SERVICES}\nTOOLS={}\n",
            self.name(),
            self.cgroup(),
            quoted(&claim(&layout.dir)),
            self.node(),
            self.pods(),
            quoted(&tools.join(":")),
        );
        let (draft, path) = (folder.join("settings.new"), folder.join("settings"));
        std::fs::write(&draft, settings).map_err(|source| file("write", &draft, source))?;
        std::fs::rename(&draft, &path).map_err(|source| file("write", &path, source))
    }
}

/// The folders of the node's binaries.
fn folders(assets: &Assets) -> BTreeSet<PathBuf> {
    Tool::OF_NODE.iter().filter_map(|tool| Some(assets.path(*tool).parent()?.to_owned())).collect()
}

/// The folders that the machine must see, wherever this host has them, as arguments of its first process.
pub(super) fn seen(component: Component, assets: &Assets) -> Vec<String> {
    if component != Component::Node {
        return Vec::new();
    }
    let folders: BTreeSet<PathBuf> = folders(assets).into_iter().chain(folders_of_node()).collect();
    folders.iter().map(|folder| folder.display().to_string()).collect()
}

/// What a link's alias says of the rig in this folder; an alias has room for 255 bytes.
fn claim(dir: &Path) -> String {
    let text = dir.to_string_lossy();
    text[text.ceil_char_boundary(text.len().saturating_sub(255))..].to_owned()
}

/// What the names of cgroups of this network namespace end with.
fn suffix() -> String {
    let number = std::fs::metadata("/proc/self/ns/net").map_or(0, |namespace| namespace.ino());
    format!("-{number}")
}

/// As a word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command that runs in the machine whose first process this is, at its root, as root.
pub(super) fn inside(pid: u32, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={pid}")).args(["--mount", "--net", "--wd=/", "--"]).arg(program);
    command
}

/// Removes the cgroups of machines that are gone, whoever left them.
pub(super) fn sweep() {
    let end = suffix();
    let gone = |name: &str| {
        name.strip_suffix(&end).and_then(Machine::named).is_some_and(|machine| !machine.link().exists())
    };
    for cgroup in cgroups(gone) {
        // Another rig may be at it; what resists is tried again by the next.
        let _ = remove(&cgroup, Instant::now());
    }
}

/// The cgroups of machines: directly below the one tree of version 2, or each tree of version 1.
fn cgroups(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
    };
    let trees = folders(Path::new(CGROUPS));
    let below: Vec<PathBuf> = trees.iter().flat_map(|tree| folders(tree)).collect();
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
    trees.into_iter().chain(below).filter(named).collect()
}

/// Removes a cgroup with all in it; one whose last process has just been killed is busy for a moment.
fn remove(cgroup: &Path, deadline: Instant) -> Result<(), MachineError> {
    loop {
        let entries = std::fs::read_dir(cgroup).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove(&entry.path(), deadline)?;
        }
        match std::fs::remove_dir(cgroup) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if Instant::now() > deadline => {
                return Err(MachineError::Left { what: cgroup.to_owned() });
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Waits until a process that was just started has left this process's network.
fn outwait_namespace(pid: u32) -> Result<(), MachineError> {
    let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let (own, deadline) = (network("self"), Instant::now() + PATIENCE);
    loop {
        match network(&pid.to_string()) {
            Some(other) if Some(&other) != own.as_ref() => return Ok(()),
            Some(_) if Instant::now() < deadline => std::thread::sleep(POLL),
            _ => return Err(MachineError::Namespaces),
        }
    }
}

fn ip(arguments: &[&str]) -> Result<String, MachineError> {
    answer(Command::new("ip").args(arguments)).map_err(MachineError::Command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_addresses_of_its_own_within_the_range() {
        let first = Machine { network: 0 };
        assert_eq!(
            (first.host(), first.node()),
            (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2))
        );
        let last = Machine { network: NETWORKS - 1 };
        assert_eq!(
            (last.node(), last.pods().as_str()),
            (Ipv4Addr::new(198, 19, 255, 2), "198.19.255.128/25")
        );
    }

    #[test]
    fn only_names_of_machines_are_taken_for_one() {
        assert_eq!(Machine::named("poros-17"), Some(Machine { network: 17 }));
        for other in ["poros-", "poros-x", "poros-512", "poros-17/x", "poros", "system.slice", "poros-17-1"] {
            assert_eq!(Machine::named(other), None, "{other}");
        }
        assert_eq!(Machine { network: 17 }.cgroup().strip_prefix("poros-17"), Some(&*suffix()));
    }

    #[test]
    fn a_claim_fits_an_alias_and_is_the_end_of_the_folder() {
        assert_eq!(claim(Path::new("/a/target/rig/up")), "/a/target/rig/up");
        let long = format!("/{}/rig", "ä".repeat(200));
        let short = claim(Path::new(&long));
        assert!(short.len() <= 255 && short.ends_with("ä/rig") && long.ends_with(&short), "{short}");
    }
}

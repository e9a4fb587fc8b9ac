//! What there is of a machine on this host, and what of the host a node could change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::answer;
use crate::seen::{processes, processes_of};

/// What of the whole host a node could change, but for what it is allowed to (docs/architecture.md, "The rig"). Other
/// programs come and go meanwhile, with links, mounts and routes of their own.
#[derive(Debug)]
pub(crate) struct Host {
    settings: BTreeMap<&'static str, String>,
    folders: String,
}

impl Host {
    pub(crate) fn now() -> Self {
        let names = [
            "vm/overcommit_memory",
            "vm/panic_on_oom",
            "kernel/panic",
            "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys",
            "kernel/keys/root_maxbytes",
            "net/ipv4/ip_forward",
            "net/netfilter/nf_conntrack_max",
        ];
        let read = |name| Some((name, std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?));
        let run = |line: &str| answer(Command::new("sh").args(["-c", line])).unwrap();
        Self {
            settings: names.into_iter().filter_map(read).collect(),
            folders: run(
                "ls -d /etc/cni /opt/cni /run/containerd /var/lib/kubelet /var/lib/cni /var/log/pods 2>/dev/null; true",
            ),
        }
    }

    /// A setting that was not there yet came with a module of the kernel.
    pub(crate) fn assert_unchanged(&self) {
        let now = Self::now();
        for (name, value) in &self.settings {
            assert_eq!(now.settings.get(name), Some(value), "{name}");
        }
        assert_eq!(now.folders, self.folders);
    }
}

/// What a rig calls its machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    folder: PathBuf,
    link: String,
    cgroup: String,
    /// What the addresses of its network begin with.
    network: String,
}

impl Machine {
    pub(crate) fn of(folder: &Path) -> Self {
        let settings = std::fs::read_to_string(folder.join("node/settings")).unwrap();
        let value =
            |name: &str| settings.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let node = value("NODE=");
        let (network, _) = node.rsplit_once('.').unwrap();
        Self {
            folder: folder.to_owned(),
            link: value("NAME="),
            cgroup: value("CGROUP="),
            network: format!("{network}."),
        }
    }

    /// What there is of it: processes, links, cgroups, mounts, routes, rules of the packet filter.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left: Vec<String> = processes_of(&self.folder).into_iter().map(|(_, line)| line).collect();
        let is_inside = |pid: u32| {
            let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            cgroups.contains(&format!("/{}/", self.cgroup))
        };
        left.extend(processes().into_iter().filter(|(pid, _)| is_inside(*pid)).map(|(_, line)| line));
        // What goes while it looks is gone.
        let find = format!("find /sys/fs/cgroup -name {} 2>/dev/null; true", self.cgroup);
        let cgroups = answer(Command::new("sh").args(["-c", &find])).unwrap();
        left.extend(cgroups.lines().map(str::to_owned));
        let link = Path::new("/sys/class/net").join(&self.link);
        left.extend(link.exists().then(|| link.display().to_string()));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let folder = self.folder.to_string_lossy();
        left.extend(mounts.lines().filter(|line| line.contains(&*folder)).map(str::to_owned));
        let routes = answer(Command::new("ip").args(["-4", "route", "show", "table", "all"])).unwrap();
        let rules = answer(Command::new("nft").args(["--stateless", "list", "ruleset"])).unwrap();
        let names_it =
            |line: &&str| line.contains(&self.network) || line.contains(&format!("\"{}\"", self.link));
        left.extend(routes.lines().chain(rules.lines()).filter(names_it).map(str::to_owned));
        left
    }
}

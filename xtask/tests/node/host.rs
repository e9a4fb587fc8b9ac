//! What there is of a machine on this host, and what of the host a node could change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::answer;

/// What of the whole host a node could change, but for what it is allowed to (docs/architecture.md, "The rig"). Other
/// programs come and go meanwhile, with links, mounts and routes of their own.
#[derive(Debug)]
pub(crate) struct Host {
    settings: BTreeMap<&'static str, String>,
    filter: String,
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
            filter: run("nft --stateless list ruleset"),
            folders: run(
                "ls -d /etc/cni /opt/cni /run/containerd /run/netns /var/lib/kubelet /var/lib/cni /var/log/pods 2>/dev/null; true",
            ),
        }
    }

    /// A setting that was not there yet came with a module of the kernel.
    pub(crate) fn assert_unchanged(&self) {
        let now = Self::now();
        for (name, value) in &self.settings {
            assert_eq!(now.settings.get(name), Some(value), "{name}");
        }
        assert_eq!((&now.filter, &now.folders), (&self.filter, &self.folders));
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

    /// What there is of it: processes, links, cgroups, mounts, routes.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left: Vec<String> = process_ids(&self.folder).into_iter().map(command_line).collect();
        for pid in all_process_ids() {
            let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            if cgroups.contains(&format!("/{}/", self.cgroup)) {
                left.push(command_line(pid));
            }
        }
        let cgroups = answer(Command::new("find").args(["/sys/fs/cgroup", "-name", &self.cgroup])).unwrap();
        left.extend(cgroups.lines().map(str::to_owned));
        let link = Path::new("/sys/class/net").join(&self.link);
        left.extend(link.exists().then(|| link.display().to_string()));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let folder = self.folder.to_string_lossy();
        left.extend(mounts.lines().filter(|line| line.contains(&*folder)).map(str::to_owned));
        let routes = answer(Command::new("ip").args(["-4", "route", "show", "table", "all"])).unwrap();
        left.extend(routes.lines().filter(|line| line.contains(&self.network)).map(str::to_owned));
        left
    }
}

fn all_process_ids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes whose command line names the path, but for this one.
pub(crate) fn process_ids(path: &Path) -> Vec<u32> {
    let path = path.to_string_lossy();
    let named = |pid: &u32| *pid != std::process::id() && command_line(*pid).contains(&*path);
    all_process_ids().into_iter().filter(named).collect()
}

pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

//! The settings of the programs on the real node.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::layout::Layout;
use super::machine::{Machine, SERVICES};
use super::pod::PAUSE_IMAGE;
use crate::assets::{cni_folder, on_path};

/// The files by name; each goes into the rig's folder `node`.
pub(super) fn all(machine: Machine, layout: &Layout) -> Vec<(&'static str, String)> {
    vec![
        ("containerd.toml", containerd(layout)),
        ("10-pods.conflist", cni(machine)),
        ("kubelet.json", kubelet(machine, layout)),
        ("Corefile", corefile(machine, layout)),
        // No name server besides the cluster's: there is no way out of the machine.
        ("resolv.conf", String::new()),
    ]
}

fn containerd(layout: &Layout) -> String {
    let (cni, runc) = (cni_folder().unwrap_or_default(), on_path("runc").unwrap_or_default());
    format!(
        "version = 3
root = \"/var/lib/containerd\"
state = \"/run/containerd\"
disabled_plugins = [\"io.containerd.nri.v1.nri\"]

[plugins.'io.containerd.cri.v1.images']
  snapshotter = \"overlayfs\"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = \"{PAUSE_IMAGE}\"

[plugins.'io.containerd.cri.v1.runtime']
  # A host that is a machine itself may forbid a process to be more precious than its parent.
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{}]
    conf_dir = {}
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = \"io.containerd.runc.v2\"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = {}
      SystemdCgroup = false
",
        quoted(&cni),
        quoted(&layout.dir.join("node")),
        quoted(&runc),
    )
}

/// A link of its own for each pod, not a bridge: then answers of services need no `br_netfilter` on the host.
fn cni(machine: Machine) -> String {
    let addresses = json!({
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": machine.pods()}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    let plugins = [json!({"type": "ptp", "ipMasq": false, "ipam": addresses})];
    format!("{:#}\n", json!({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}))
}

fn kubelet(machine: Machine, layout: &Layout) -> String {
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": machine.node().to_string(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": layout.ca},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": layout.pki("kubelet-server.crt"),
        "tlsPrivateKeyFile": layout.pki("kubelet-server.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
        "clusterDNS": [machine.node().to_string()],
        "clusterDomain": "cluster.local",
        "resolvConf": layout.dir.join("node").join("resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", machine.cgroup()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": ["none"],
        "makeIPTablesUtilChains": false,
        // The node's disk is memory, and what fills it is a test's own doing.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
        "nodeStatusUpdateFrequency": "5s",
        "shutdownGracePeriod": "0s",
    });
    format!("{settings:#}\n")
}

fn corefile(machine: Machine, layout: &Layout) -> String {
    let node = machine.node();
    format!(
        ".:53 {{
    bind {node}
    errors
    ready {node}:8181
    kubernetes cluster.local {SERVICES} {{
        kubeconfig {} rig
    }}
}}
",
        quoted(&layout.kubeconfig("coredns")),
    )
}

/// A path as a TOML string and as one of a Corefile: a JSON string is one.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(PathBuf::from(path).to_string_lossy()).to_string()
}

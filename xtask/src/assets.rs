//! Where the control plane's binaries come from.
//!
//! In this order: `KUBEBUILDER_ASSETS`; a cache shared by all checkouts of this user; upstream's
//! release downloads, checksums verified; a Go build of `tools/controlplane`, kept in the cache.
//! Another Kubernetes than the main one never comes from `KUBEBUILDER_ASSETS`, and is looked for only
//! when it is asked for. So is what the real node needs; some of that is the system's (see `host`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::report::Report;

mod build;
mod cache;
mod download;
mod host;
mod modules;
mod plan;
mod release;
mod settings;
mod versions;

pub use build::BuildError;
pub use cache::CacheError;
pub use cache::hex;
pub use download::DownloadError;
pub(crate) use host::folders_of_node;
pub use host::{HostError, Work, cni_folder};
pub use modules::known as known_kubernetes;
pub use plan::{Plan, Source, Todo};
pub use settings::{Platform, Settings, Site, cache_home, on_path};
pub use versions::{Versions, VersionsError};

/// A binary of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The store under the API server.
    Etcd,
    /// The API server.
    Apiserver,
    /// The controller manager: garbage collection, namespaces, Deployments, node taints.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The command line a person uses.
    Kubectl,
    /// Plays the kubelets of nodes that exist as objects only.
    Kwok,
    /// Runs the pods of a real node.
    Kubelet,
    /// Leads what is sent to a service to its pods.
    KubeProxy,
    /// Runs containers for the kubelet.
    Containerd,
    /// Stays with a pod's containers for containerd.
    Shim,
    /// containerd's own command line: it imports images.
    Ctr,
    /// The cluster's DNS.
    Coredns,
    /// Installs charts.
    Helm,
}

impl Tool {
    /// Every binary, in the order in which tables list them.
    pub const ALL: [Tool; 13] = [
        Tool::Etcd,
        Tool::Apiserver,
        Tool::ControllerManager,
        Tool::Scheduler,
        Tool::Kubectl,
        Tool::Kwok,
        Tool::Kubelet,
        Tool::KubeProxy,
        Tool::Containerd,
        Tool::Shim,
        Tool::Ctr,
        Tool::Coredns,
        Tool::Helm,
    ];
    /// Those that only a real node needs.
    pub const OF_NODE: [Tool; 6] =
        [Tool::Kubelet, Tool::KubeProxy, Tool::Containerd, Tool::Shim, Tool::Ctr, Tool::Coredns];

    /// Whether it is brought only where it is asked for.
    pub fn is_optional(self) -> bool {
        self == Tool::Helm || Self::OF_NODE.contains(&self)
    }

    /// The name of the file, in every source.
    pub fn file(self) -> &'static str {
        match self {
            Tool::Etcd => "etcd",
            Tool::Apiserver => "kube-apiserver",
            Tool::ControllerManager => "kube-controller-manager",
            Tool::Scheduler => "kube-scheduler",
            Tool::Kubectl => "kubectl",
            Tool::Kwok => "kwok",
            Tool::Kubelet => "kubelet",
            Tool::KubeProxy => "kube-proxy",
            Tool::Containerd => "containerd",
            Tool::Shim => "containerd-shim-runc-v2",
            Tool::Ctr => "ctr",
            Tool::Coredns => "coredns",
            Tool::Helm => "helm",
        }
    }

    /// The Go package that it is built from.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Tool::Etcd => "go.etcd.io/etcd/server/v3",
            Tool::Apiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Tool::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Tool::Scheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Tool::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Tool::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Tool::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Tool::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Tool::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Tool::Shim => "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            Tool::Ctr => "github.com/containerd/containerd/v2/cmd/ctr",
            Tool::Coredns => "poros.dataos.io/coredns",
            Tool::Helm => "helm.sh/helm/v4/cmd/helm",
        }
    }

    /// The project that releases it.
    pub fn project(self) -> Project {
        match self {
            Tool::Etcd => Project::Etcd,
            Tool::Kwok => Project::Kwok,
            Tool::Apiserver
            | Tool::ControllerManager
            | Tool::Scheduler
            | Tool::Kubectl
            | Tool::Kubelet
            | Tool::KubeProxy => Project::Kubernetes,
            Tool::Containerd | Tool::Shim | Tool::Ctr => Project::Containerd,
            Tool::Coredns => Project::Coredns,
            Tool::Helm => Project::Helm,
        }
    }
}

/// A project that releases binaries under one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Project {
    /// Kubernetes: half of the binaries.
    Kubernetes,
    /// etcd.
    Etcd,
    /// KWOK.
    Kwok,
    /// containerd.
    Containerd,
    /// `CoreDNS`.
    Coredns,
    /// Helm.
    Helm,
}

impl Project {
    /// Every project.
    pub const ALL: [Project; 6] = [
        Project::Kubernetes,
        Project::Etcd,
        Project::Kwok,
        Project::Containerd,
        Project::Coredns,
        Project::Helm,
    ];

    /// Its name, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Project::Kubernetes => "Kubernetes",
            Project::Etcd => "etcd",
            Project::Kwok => "KWOK",
            Project::Containerd => "containerd",
            Project::Coredns => "CoreDNS",
            Project::Helm => "Helm",
        }
    }

    /// The Go module whose version is the project's.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Project::Kubernetes => "k8s.io/kubernetes",
            Project::Etcd => "go.etcd.io/etcd/server/v3",
            Project::Kwok => "sigs.k8s.io/kwok",
            Project::Containerd => "github.com/containerd/containerd/v2",
            Project::Coredns => "github.com/coredns/coredns",
            Project::Helm => "helm.sh/helm/v4",
        }
    }

    /// The environment variable that names another place for its downloads.
    pub fn variable(self) -> &'static str {
        match self {
            Project::Kubernetes => "POROS_KUBERNETES_URL",
            Project::Etcd => "POROS_ETCD_URL",
            Project::Kwok => "POROS_KWOK_URL",
            Project::Containerd => "POROS_CONTAINERD_URL",
            Project::Coredns => "POROS_COREDNS_URL",
            Project::Helm => "POROS_HELM_URL",
        }
    }
}

/// Why there are no binaries.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The Go module that names the versions could not be read.
    #[error("cannot tell which versions of the control plane are wanted")]
    Versions(#[source] VersionsError),
    /// `KUBEBUILDER_ASSETS` names a folder that does not serve.
    #[error(
        "KUBEBUILDER_ASSETS is {path:?}, and there is no {missing} in it: name a folder that holds etcd and kube-apiserver, or unset the variable"
    )]
    Folder {
        /// What the variable says.
        path: PathBuf,
        /// The file that is missed.
        missing: &'static str,
    },
    /// This host cannot run a real node.
    #[error("a real node cannot run here")]
    Host(#[source] HostError),
    /// The shared cache could not be used.
    #[error("the cache of control plane binaries cannot be used")]
    Cache(#[source] CacheError),
    /// A download from a place that was asked for by name failed.
    #[error(
        "{} was to come from the place that {variable} names, and that failed: mend the place, or unset {variable}",
        .project.name()
    )]
    Download {
        /// Whose download.
        project: Project,
        /// The variable that names the place.
        variable: &'static str,
        /// What failed.
        #[source]
        source: DownloadError,
    },
    /// There is no Go to build what is missing.
    #[error(
        "missing: {missing}; no release download served them, and there is no `go` on PATH to build them: install Go {go} or newer from https://go.dev/doc/install, or set KUBEBUILDER_ASSETS to a folder that holds them"
    )]
    NoGo {
        /// The missing binaries.
        missing: String,
        /// The version that the module asks for.
        go: String,
    },
    /// The build failed.
    #[error("the control plane could not be built")]
    Build(#[source] BuildError),
}

/// The binaries, all there.
#[derive(Debug, Clone)]
pub struct Assets {
    paths: BTreeMap<Tool, PathBuf>,
    kubernetes: String,
}

impl Assets {
    /// Finds the binaries, or brings them; prints the table of the plan only where work is to be done.
    pub fn find(settings: &Settings, report: &mut dyn Report) -> Result<Self, AssetsError> {
        let plan = Plan::make(settings)?;
        if !plan.is_complete() {
            report.line(&plan.table().text());
        }
        plan.carry_out(settings, report)
    }

    /// The version of Kubernetes that was asked for, like `v1.30.14`. What `KUBEBUILDER_ASSETS` holds may be another.
    pub fn kubernetes(&self) -> &str {
        &self.kubernetes
    }

    /// The absolute path of a binary.
    pub fn path(&self, tool: Tool) -> &Path {
        // Made complete by `Plan::carry_out`; the bare name is then found on PATH or fails with its name.
        self.paths.get(&tool).map_or_else(|| Path::new(tool.file()), PathBuf::as_path)
    }
}

/// The text of an error with all its causes, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

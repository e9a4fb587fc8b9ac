//! What a rig is made of, and what its owner may choose.

use std::path::PathBuf;
use std::time::Duration;

use crate::assets::Tool;

/// A part of the control plane that runs as a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    Apiserver,
    /// Another kube-apiserver on the same etcd.
    SecondApiserver,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// KWOK.
    Kwok,
    /// The machine of the real node, with all that runs on it.
    Node,
}

impl Component {
    /// Every component, in the order in which they start.
    pub const ALL: [Component; 7] = [
        Component::Etcd,
        Component::Apiserver,
        Component::SecondApiserver,
        Component::ControllerManager,
        Component::Scheduler,
        Component::Kwok,
        Component::Node,
    ];

    /// The binary it runs; of the several of the node, the one that speaks for it.
    pub fn tool(self) -> Tool {
        match self {
            Component::Etcd => Tool::Etcd,
            Component::Apiserver | Component::SecondApiserver => Tool::Apiserver,
            Component::ControllerManager => Tool::ControllerManager,
            Component::Scheduler => Tool::Scheduler,
            Component::Kwok => Tool::Kwok,
            Component::Node => Tool::Kubelet,
        }
    }

    /// The name of its log and its pid file: that of its binary, but for the second of a kind.
    pub fn name(self) -> &'static str {
        match self {
            Component::SecondApiserver => "kube-apiserver-2",
            Component::Node => "node",
            component => component.tool().file(),
        }
    }

    /// The program that its process starts as.
    pub(super) fn program(self) -> &'static str {
        match self {
            Component::Node => "unshare",
            component => component.tool().file(),
        }
    }

    /// The component of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }
}

/// Whether the kinds `MutatingAdmissionPolicy` and `MutatingAdmissionPolicyBinding` are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutatingPolicies {
    /// As the version does by default: in `v1` from 1.36 on.
    OfVersion,
    /// Not at all, as before 1.36.
    Off,
}

/// What to start, and where.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a part of its own, there or not
pub struct Options {
    /// Part of the folder's name; a few plain letters.
    pub name: String,
    /// The Kubernetes to run, as a minor version like `1.30`; by default the main one. Other versions
    /// are built when first asked for.
    pub kubernetes: Option<String>,
    /// Where to keep everything; by default `target/rig/<name>-<pid>-<n>`.
    pub dir: Option<PathBuf>,
    /// How many API servers to run on the one etcd: 1 or 2.
    pub apiservers: u8,
    /// Run kube-controller-manager. Without it nothing collects garbage, empties namespaces, makes
    /// pods of Deployments or lifts the not-ready taint that every new node carries; the admission
    /// plugin that asks for the `default` service account is then off, so that pods can be made.
    pub controller_manager: bool,
    /// Run kube-scheduler.
    pub scheduler: bool,
    /// Run KWOK, which makes every Node object a Ready node and runs the pods bound to it.
    pub kwok: bool,
    /// Run a real node, which runs real containers. It needs Linux, root and some packages. KWOK then plays only
    /// the nodes that [`super::node_yaml`] makes.
    pub node: bool,
    /// Have Helm at hand.
    pub helm: bool,
    /// Whether the API server serves the kind `MutatingAdmissionPolicy`.
    pub mutating_policies: MutatingPolicies,
    /// How often each KWOK node writes its status, as a kubelet does; its Lease is renewed besides.
    pub heartbeat: Duration,
    /// More flags for the API server, after the rig's own: of a flag with one value the last counts, lists add up.
    pub extra_apiserver_args: Vec<String>,
}

impl Options {
    /// etcd and the API server alone.
    pub fn api_only(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kubernetes: None,
            dir: None,
            apiservers: 1,
            controller_manager: false,
            scheduler: false,
            kwok: false,
            node: false,
            helm: false,
            mutating_policies: MutatingPolicies::OfVersion,
            heartbeat: Duration::from_secs(10),
            extra_apiserver_args: Vec::new(),
        }
    }

    /// The same, with an API server that has no MutatingAdmissionPolicy.
    #[must_use]
    pub fn without_mutating_policies(self) -> Self {
        Self { mutating_policies: MutatingPolicies::Off, ..self }
    }

    /// The whole control plane with KWOK.
    pub fn whole(name: &str) -> Self {
        Self { controller_manager: true, scheduler: true, kwok: true, ..Self::api_only(name) }
    }

    /// The control plane with a real node.
    pub fn real_node(name: &str) -> Self {
        Self { controller_manager: true, scheduler: true, node: true, ..Self::api_only(name) }
    }

    /// The components that these options ask for, in the order in which they start.
    pub fn components(&self) -> Vec<Component> {
        let asked = |component: &Component| match component {
            Component::Etcd | Component::Apiserver => true,
            Component::SecondApiserver => self.apiservers > 1,
            Component::ControllerManager => self.controller_manager,
            Component::Scheduler => self.scheduler,
            Component::Kwok => self.kwok,
            Component::Node => self.node,
        };
        Component::ALL.into_iter().filter(asked).collect()
    }
}

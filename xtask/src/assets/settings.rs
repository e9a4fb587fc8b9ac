//! What the environment says about binaries, as a value: tests make their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Project, Work};

/// An operating system and a processor, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// For example `linux`.
    pub os: &'static str,
    /// For example `amd64`.
    pub arch: &'static str,
}

impl Platform {
    /// The platform this program runs on.
    pub fn running() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os, arch }
    }
}

/// A place with release downloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The base URL, without a slash at its end.
    pub url: String,
    /// Whether a person named it: then a failure is an error, not a reason to build.
    pub named: bool,
}

/// Where to look for binaries, and where to keep them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `KUBEBUILDER_ASSETS`.
    pub folder: Option<PathBuf>,
    /// The cache shared by checkouts.
    pub cache: PathBuf,
    /// The main Go module, which builds the control plane; those of other Kubernetes lie in it.
    pub module: PathBuf,
    /// The Kubernetes to run, as a minor version like `1.30`; by default that of the main module.
    pub kubernetes: Option<String>,
    /// Whether the binaries of a real node are wanted too.
    pub node: bool,
    /// Whether Helm is wanted too.
    pub helm: bool,
    /// What else is to be done here, so that the table lists what it needs of the host.
    pub works: Vec<Work>,
    /// The program called for Go.
    pub go: PathBuf,
    /// Where each project's releases are.
    pub sites: BTreeMap<Project, Site>,
    /// The platform to fetch and build for.
    pub platform: Platform,
}

impl Settings {
    /// The settings that this process's environment gives.
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let site = |project: Project| {
            let named = variable(project.variable()).map(|url| url.to_string_lossy().into_owned());
            let url = named.clone().unwrap_or_else(|| upstream(project).to_owned());
            (project, Site { url: url.trim_end_matches('/').to_owned(), named: named.is_some() })
        };
        Self {
            folder: variable("KUBEBUILDER_ASSETS").map(PathBuf::from),
            cache: cache_home().join("poros").join("controlplane"),
            module: crate::workspace::controlplane_module(),
            kubernetes: None,
            node: false,
            helm: false,
            works: Vec::new(),
            go: PathBuf::from("go"),
            sites: Project::ALL.into_iter().map(site).collect(),
            platform: Platform::running(),
        }
    }

    /// The place of one project's releases.
    pub(crate) fn site(&self, project: Project) -> Site {
        let upstream = || Site { url: upstream(project).to_owned(), named: false };
        self.sites.get(&project).cloned().unwrap_or_else(upstream)
    }

    /// What Go says of its version, if there is a Go.
    pub(crate) fn go_version(&self) -> Option<String> {
        // Only the installed Go is asked for; a newer one that the module may need is fetched by the build.
        let mut command = std::process::Command::new(&self.go);
        let output = command.arg("version").env("GOTOOLCHAIN", "local").current_dir("/").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.split_whitespace().nth(2)?;
        output.status.success().then(|| version.trim_start_matches("go").to_owned())
    }
}

/// The folder that this user's programs keep caches in.
pub fn cache_home() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| crate::workspace::target().join("cache"))
}

/// The first file of this name in the folders of `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Whether this is a file that may be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn upstream(project: Project) -> &'static str {
    match project {
        Project::Kubernetes => "https://dl.k8s.io",
        Project::Etcd => "https://github.com/etcd-io/etcd/releases/download",
        Project::Kwok => "https://github.com/kubernetes-sigs/kwok/releases/download",
        Project::Containerd => "https://github.com/containerd/containerd/releases/download",
        Project::Coredns => "https://github.com/coredns/coredns/releases/download",
        Project::Helm => "https://get.helm.sh",
    }
}

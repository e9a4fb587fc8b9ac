//! The files of a rig: where they are, and those that are plain text.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::standing::{Process, State};
use super::{Component, Rig, RigError};

/// Every stage of each request, without bodies: what is received and not yet answered may have had its effect.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
";
/// What KWOK does with nodes and pods; `HEARTBEAT` and `JITTER` are put in.
const STAGES: &str = include_str!("stages.yaml");

/// The users with client certificates, and the files that hold their kubeconfigs.
pub(super) const USERS: [&str; 7] =
    ["admin", "kube-controller-manager", "kube-scheduler", "kwok", "kubelet", "kube-proxy", "coredns"];

/// Where a rig keeps what.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) ca: PathBuf,
    pub(super) admin: PathBuf,
    pub(super) audit_policy: PathBuf,
    pub(super) stages: PathBuf,
    pub(super) etcd: PathBuf,
}

impl Layout {
    /// Makes the folders, empty of what an earlier run left.
    pub(super) fn create(dir: &Path) -> Result<Self, RigError> {
        let dir = std::path::absolute(dir).map_err(|source| file("name", dir, source))?;
        if let Err(source) = std::fs::remove_dir_all(&dir)
            && source.kind() != std::io::ErrorKind::NotFound
        {
            return Err(file("empty", &dir, source));
        }
        let layout = Self {
            ca: dir.join("pki").join("ca.crt"),
            admin: dir.join("admin.kubeconfig"),
            audit_policy: dir.join("audit-policy.yaml"),
            stages: dir.join("stages.yaml"),
            etcd: dir.join("etcd"),
            dir,
        };
        for folder in ["pki", "logs", "pids", "etcd", "home", "node"] {
            let path = layout.dir.join(folder);
            std::fs::create_dir_all(&path).map_err(|source| file("create", &path, source))?;
        }
        // etcd warns about, and may one day refuse, a data folder that others can read.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&layout.etcd, private)
            .map_err(|source| file("protect", &layout.etcd, source))?;
        Ok(layout)
    }

    pub(super) fn log(&self, component: Component) -> PathBuf {
        self.dir.join("logs").join(component.name()).with_extension("log")
    }

    /// The audit log of an API server.
    pub(super) fn audit_log(&self, component: Component) -> PathBuf {
        self.dir.join(match component {
            Component::SecondApiserver => "kube-apiserver-2.audit.log",
            _ => "audit.log",
        })
    }

    pub(super) fn pki(&self, name: &str) -> PathBuf {
        self.dir.join("pki").join(name)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.dir.join(format!("{user}.kubeconfig"))
    }

    pub(super) fn note_pid(&self, component: Component, pid: u32) -> Result<(), RigError> {
        let path = self.pid_file(component);
        std::fs::write(&path, format!("{pid}\n")).map_err(|source| file("write", &path, source))
    }

    pub(super) fn forget_pid(&self, component: Component) {
        // The guard checks each pid against the command line, so a leftover does no harm.
        let _ = std::fs::remove_file(self.pid_file(component));
    }

    pub(super) fn pid_file(&self, component: Component) -> PathBuf {
        self.dir.join("pids").join(component.name())
    }

    pub(super) fn write_kubeconfigs(&self, url: &str) -> Result<(), RigError> {
        for user in USERS {
            let (certificate, key) = (self.pki(&format!("{user}.crt")), self.pki(&format!("{user}.key")));
            let login =
                format!("client-certificate: {}\n    client-key: {}", quoted(&certificate), quoted(&key));
            write_private(&self.kubeconfig(user), &kubeconfig(url, &self.ca, user, &login))?;
        }
        Ok(())
    }

    pub(super) fn write_settings(&self, heartbeat: Duration) -> Result<(), RigError> {
        write_private(&self.audit_policy, AUDIT_POLICY)?;
        let delay = heartbeat.as_millis();
        let stages = STAGES
            .replace("HEARTBEAT", &delay.to_string())
            .replace("JITTER", &(delay + delay / 5).to_string());
        write_private(&self.stages, &stages)
    }

    pub(super) fn write_state(&self, rig: &Rig) -> Result<(), RigError> {
        let process = |component: &Component| {
            let pid = std::fs::read_to_string(self.pid_file(*component)).ok()?.trim().parse().ok()?;
            let program = rig.assets.path(component.tool()).to_owned();
            let at = rig.address_of(*component);
            Some(Process { name: component.name().to_owned(), pid, host: *at.ip(), port: at.port(), program })
        };
        let state = State { processes: rig.ports.keys().filter_map(process).collect() };
        state.write(&self.dir)
    }
}

/// A kubeconfig that logs in with a token.
pub(super) fn token_kubeconfig(url: &str, ca: &Path, name: &str, token: &str) -> String {
    kubeconfig(url, ca, name, &format!("token: {}", serde_json::Value::from(token)))
}

/// Writes a file that only this user may read: kubeconfigs and keys are passwords.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), RigError> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut target| target.write_all(text.as_bytes()))
        .map_err(|source| file("write", path, source))
}

pub(super) fn file(verb: &'static str, path: &Path, source: std::io::Error) -> RigError {
    RigError::File { verb, path: path.to_owned(), source }
}

fn kubeconfig(url: &str, ca: &Path, user: &str, login: &str) -> String {
    let mut text = String::from("apiVersion: v1\nkind: Config\ncurrent-context: rig\n");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "clusters:\n- name: rig\n  cluster:\n    server: {url}\n    certificate-authority: {}\n",
        quoted(ca)
    );
    let _ = write!(text, "users:\n- name: {user}\n  user:\n    {login}\n");
    let _ = write!(text, "contexts:\n- name: rig\n  context:\n    cluster: rig\n    user: {user}\n");
    text
}

/// A path as a YAML string, whatever it holds: a JSON string is one.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubeconfig_quotes_what_yaml_could_misread() {
        let text = token_kubeconfig("https://127.0.0.1:1", Path::new("/a b/c: \"d\""), "sa", "t#1: x");
        assert!(text.contains("certificate-authority: \"/a b/c: \\\"d\\\"\"\n"), "{text}");
        assert!(text.contains("token: \"t#1: x\"\n"), "{text}");
    }
}

//! Logging in by a program that the kubeconfig names (`exec`), as kubectl runs it: its standard error is the user's, its
//! standard input too where somebody sits there. What it prints is secret and never told. (kube runs it three times for
//! each client, and shows its standard error to some alone.)

use std::io::{ErrorKind, IsTerminal as _};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

/// Why a login by a program failed.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The kubeconfig names none.
    #[error("the kubeconfig says to log in by a program and does not name it")]
    Unnamed,
    /// It is not installed.
    #[error("the program {command:?}, by which the kubeconfig logs in, is not installed")]
    Absent {
        /// The program.
        command: String,
        /// How to install it, by the kubeconfig.
        hint: Option<String>,
    },
    /// It wants to ask somebody, and nobody is there.
    #[error("the program {command:?}, by which the kubeconfig logs in, needs a terminal on standard input")]
    NobodyThere {
        /// The program.
        command: String,
    },
    /// It did not start.
    #[error("the program {command:?}, by which the kubeconfig logs in, could not be started")]
    Start {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended with an error. What it said about that, it said to the user.
    #[error("the program {command:?}, by which the kubeconfig logs in, failed ({status})")]
    Failed {
        /// The program.
        command: String,
        /// How it ended.
        status: String,
    },
    /// What it printed is no login.
    #[error("the program {command:?}, by which the kubeconfig logs in, printed no login: {why}")]
    Unreadable {
        /// The program.
        command: String,
        /// What is wrong with it.
        why: String,
    },
}

impl PluginError {
    /// The program; none where none is named.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Unnamed => None,
            Self::Absent { command, .. }
            | Self::NobodyThere { command }
            | Self::Start { command, .. }
            | Self::Failed { command, .. }
            | Self::Unreadable { command, .. } => Some(command),
        }
    }
}

/// What a program printed: who it is that asks.
pub(super) struct Credential {
    pub(super) token: Option<String>,
    /// Certificate and key, as PEM.
    pub(super) certificate: Option<(String, String)>,
    pub(super) expires: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    kind: Option<String>,
    api_version: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// Runs the program and reads what it prints. It may ask its user, so it takes as long as it takes; unattended, it can ask and
/// tell nobody anything.
pub(super) fn run(
    exec: &ExecConfig,
    cluster: Option<&ExecAuthCluster>,
    unattended: bool,
) -> Result<Credential, PluginError> {
    let name = exec.command.clone().filter(|name| !name.is_empty()).ok_or(PluginError::Unnamed)?;
    let somebody = !unattended && std::io::stdin().is_terminal();
    let interactive = match exec.interactive_mode {
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always) if !somebody => {
            return Err(PluginError::NobodyThere { command: name });
        }
        Some(ExecInteractiveMode::Always | ExecInteractiveMode::IfAvailable) | None => somebody,
    };
    let mut command = Command::new(&name);
    command.args(exec.args.iter().flatten());
    for pair in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            command.env(name, value);
        }
    }
    let mut info = json!({
        "kind": "ExecCredential",
        "apiVersion": exec.api_version,
        "spec": {"interactive": interactive},
    });
    if let Some(cluster) = cluster {
        info["spec"]["cluster"] = json!(cluster);
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(if unattended { Stdio::null() } else { Stdio::inherit() });
    let output = match command.spawn().and_then(std::process::Child::wait_with_output) {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(PluginError::Absent { command: name, hint: exec.install_hint.clone() });
        }
        Err(source) => return Err(PluginError::Start { command: name, source }),
    };
    if !output.status.success() {
        return Err(PluginError::Failed { command: name, status: output.status.to_string() });
    }
    read(&output.stdout, exec.api_version.as_deref())
        .map_err(|why| PluginError::Unreadable { command: name, why })
}

/// Reads what a program printed. The error holds nothing of it.
fn read(printed: &[u8], asked: Option<&str>) -> Result<Credential, String> {
    // Some print YAML, and JSON is YAML.
    let printed: Printed =
        serde_saphyr::from_slice(printed).map_err(|_| "it is no ExecCredential".to_owned())?;
    if printed.kind.as_deref() != Some("ExecCredential") {
        return Err("its kind is not ExecCredential".into());
    }
    if let Some(asked) = asked.filter(|asked| printed.api_version.as_deref() != Some(asked)) {
        return Err(format!("it is not of the version that the kubeconfig asks for, {asked}"));
    }
    let status = printed.status.ok_or("it has no status")?;
    let certificate = match (status.client_certificate_data, status.client_key_data) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("it has a certificate or a key, and not both".into()),
    };
    let token = status.token.filter(|token| !token.is_empty());
    if token.is_none() && certificate.is_none() {
        return Err("it has neither a token nor a certificate".into());
    }
    let expires = status
        .expiration_timestamp
        .map(|time| time.parse().map_err(|_| "its expirationTimestamp is no time"));
    Ok(Credential { token, certificate, expires: expires.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "client.authentication.k8s.io/v1";

    fn refused(text: &str) -> String {
        let why = read(text.as_bytes(), Some(V1)).err().unwrap();
        assert!(!why.contains("s3cret"), "{why}");
        why
    }

    #[test]
    fn what_a_program_prints_is_a_login_or_is_refused_without_being_told() {
        let head = format!(r#""kind":"ExecCredential","apiVersion":"{V1}""#);
        let json =
            format!(r#"{{{head},"status":{{"token":"t","expirationTimestamp":"2026-11-22T09:00:00Z"}}}}"#);
        let credential = read(json.as_bytes(), Some(V1)).unwrap();
        assert_eq!(credential.token.as_deref(), Some("t"));
        assert_eq!(credential.expires.unwrap().to_string(), "2026-11-22T09:00:00Z");
        let yaml = format!(
            "kind: ExecCredential\napiVersion: {V1}\nstatus:\n  clientCertificateData: c\n  clientKeyData: k\n"
        );
        assert_eq!(read(yaml.as_bytes(), Some(V1)).unwrap().certificate, Some(("c".into(), "k".into())));

        assert_eq!(refused("s3cret: [s3cret"), "it is no ExecCredential");
        assert_eq!(refused(r#"{"kind":"s3cret"}"#), "its kind is not ExecCredential");
        assert!(
            refused(r#"{"kind":"ExecCredential","apiVersion":"v0"}"#).starts_with("it is not of the version")
        );
        assert_eq!(refused(&format!("{{{head}}}")), "it has no status");
        assert_eq!(
            refused(&format!(r#"{{{head},"status":{{"token":""}}}}"#)),
            "it has neither a token nor a certificate"
        );
        assert_eq!(
            refused(&format!(r#"{{{head},"status":{{"clientKeyData":"s3cret"}}}}"#)),
            "it has a certificate or a key, and not both"
        );
        assert_eq!(
            refused(&format!(r#"{{{head},"status":{{"token":"s3cret","expirationTimestamp":"s3cret"}}}}"#)),
            "its expirationTimestamp is no time"
        );
    }
}

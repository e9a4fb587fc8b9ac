//! Asks the processes whether they are ready.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::Component;
use super::certificates::Access;

/// Far beyond the usual 5 s: a loaded machine is slow, not broken.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// How many last lines of a log an error shows.
const TAIL: usize = 15;

/// Why a component is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It ended.
    #[error("{name} ended with {status} before it was ready; the last lines of {log:?}:\n{tail}")]
    Ended {
        /// The component.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// It runs, and does not answer as it should.
    #[error(
        "{name} was not ready at {url} within {} s: {answer}; the last lines of {log:?}:\n{tail}",
        PATIENCE.as_secs()
    )]
    Late {
        /// The component.
        name: &'static str,
        /// Where it was asked.
        url: String,
        /// What it answered last.
        answer: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
}

/// A client with the rights of the rig's admin.
#[derive(Debug)]
pub(super) struct Probe {
    agent: Agent,
}

impl Probe {
    pub(super) fn new(access: &Access) -> Self {
        let mut tls = TlsConfig::builder();
        // Unreadable certificates show as an answer of the probe, with the server's own words.
        if let Ok(authority) = Certificate::from_pem(&access.authority) {
            tls = tls.root_certs(RootCerts::new_with_certs(&[authority]));
        }
        if let (Ok(certificate), Ok(key)) =
            (Certificate::from_pem(&access.certificate), PrivateKey::from_pem(&access.key))
        {
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
        }
        let second = Some(Duration::from_secs(2));
        let config =
            Agent::config_builder().tls_config(tls.build()).proxy(None).timeout_global(second).build();
        Self { agent: config.into() }
    }

    /// Waits until a component is ready, or has ended.
    pub(super) fn wait(
        &self,
        component: Component,
        at: SocketAddrV4,
        log: &Path,
        exited: impl Fn() -> Option<ExitStatus>,
    ) -> Result<(), ProbeError> {
        let (name, deadline) = (component.name(), Instant::now() + PATIENCE);
        loop {
            let ended = exited();
            let answer = self.ask(component, at);
            if let Some(status) = ended {
                return Err(ProbeError::Ended { name, status, log: log.to_owned(), tail: tail(log) });
            }
            let Err(answer) = answer else { return Ok(()) };
            if Instant::now() > deadline {
                let (url, log, tail) = (address(component, at), log.to_owned(), tail(log));
                return Err(ProbeError::Late { name, url, answer, log, tail });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks once; an error is the answer in words.
    pub(super) fn ask(&self, component: Component, at: SocketAddrV4) -> Result<(), String> {
        self.agent.get(address(component, at)).call().map(drop).map_err(|error| error.to_string())
    }
}

fn address(component: Component, at: SocketAddrV4) -> String {
    let (scheme, path) = match component {
        Component::Etcd | Component::Apiserver | Component::SecondApiserver => ("https", "readyz"),
        Component::ControllerManager | Component::Scheduler | Component::Node => ("https", "healthz"),
        Component::Kwok => ("http", "readyz"),
    };
    format!("{scheme}://{at}/{path}")
}

/// The end of a log.
pub(super) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(TAIL)).copied().collect::<Vec<_>>().join("\n")
}

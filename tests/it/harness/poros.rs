//! Poros as a process: the binary of this build, with its log in the folder of the control plane.

use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::runbook;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Graces so short that tests need not wait them out.
pub const SHORT: [&str; 6] = [
    "--pool-grace=1",
    "--policy-grace=4",
    "--proof-blocked-grace=2",
    "--contended-quiet=6",
    "--repair-interval=1",
    "--counter-interval=1",
];

/// How long it may take until it is ready, on a machine that is busy.
pub const READY: Duration = Duration::from_secs(90);

/// A running Poros. Dropping it kills it.
pub struct Poros {
    child: Child,
    /// Where it serves health and metrics, once it said so.
    address: OnceLock<String>,
    log: PathBuf,
}

impl Poros {
    /// Starts it under its own account, and waits until it is ready.
    pub fn start(cluster: &Cluster, flags: &[&str]) -> Self {
        let poros = Self::launch(cluster, &cluster.poros_kubeconfig(), flags);
        poros.await_ready(READY);
        if flags.contains(&"--manage-policies") {
            cluster.assert_policies();
        }
        poros
    }

    /// Starts it with this kubeconfig; does not wait.
    pub fn launch(cluster: &Cluster, kubeconfig: &Path, flags: &[&str]) -> Self {
        let log = cluster
            .rig
            .dir()
            .join("logs")
            .join(format!("poros-{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        let file = File::create(&log).unwrap();
        // Reports are about release builds, which are not worth a release build of the tests.
        let binary = std::env::var_os("POROS_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_poros").into());
        let child = Command::new(binary)
            .arg("run")
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .env("POROS_KUBECONFIG", kubeconfig)
            // A test of one Poros has no use for an election, and after a kill would wait for the Lease of the dead.
            .env("POROS_LEADER_ELECT", "false")
            .env("NO_COLOR", "1")
            .env("POROS_LOG", "poros=debug,info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("poros starts");
        Self { child, address: OnceLock::new(), log }
    }

    /// Waits until `/readyz` says so.
    pub fn await_ready(&self, limit: Duration) {
        let start = Instant::now();
        loop {
            let seen = match self.get("/readyz") {
                Ok((200, _)) => return,
                Ok((code, body)) => format!("{code} {body}"),
                Err(error) => error.to_string(),
            };
            assert!(
                start.elapsed() < limit,
                "poros is not ready after {limit:?}: {seen}\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its log says which port it was given: one that is chosen before it starts may be another's by then.
    fn address(&self) -> std::io::Result<&str> {
        if self.address.get().is_none() {
            let log = self.log_text();
            let served =
                log.lines().find_map(|line| line.split_once("health and metrics are served address="));
            // A line may be half written.
            let address =
                served.and_then(|(_, rest)| rest.split_once(' ')).map(|(address, _)| address.to_owned());
            let _ = self.address.set(address.ok_or(std::io::ErrorKind::NotConnected)?);
        }
        self.address.get().map(String::as_str).ok_or_else(|| std::io::ErrorKind::NotConnected.into())
    }

    /// GET of its HTTP endpoint: status and body.
    pub fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address()?)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        std::io::Write::write_all(
            &mut stream,
            format!("GET {path} HTTP/1.1\r\nHost: poros\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        if path == "/readyz" {
            runbook::tells(&body);
        }
        Ok((code, body))
    }

    /// Asks it to stop (SIGTERM); gives back how long that took, and whether it ended well.
    pub fn stop(mut self) -> (Duration, bool) {
        let start = Instant::now();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (start.elapsed(), status.success())
    }

    /// Kills it (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal: `STOP` lets it stand still, `CONT` lets it go on.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }

    /// The value of one of its metrics.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").ok()?;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Whether it says that it leads.
    pub fn leads(&self) -> bool {
        self.metric("poros_leader") == Some(1.0)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Poros {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A stage: a control plane that one test has for itself, with a fault proxy in front of it. Control planes are used
//! again by later tests; those of tests that failed are not.

use std::sync::Mutex;
use std::time::Duration;

use kube::Client;
use xtask::rig::Options;

use super::Proxy;
use crate::harness::cluster::Cluster;
use crate::harness::poros::Poros;

static IDLE: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

/// Graces so short that tests need not wait them out.
pub const SHORT: [&str; 6] = [
    "--pool-grace=1",
    "--policy-grace=2",
    "--proof-blocked-grace=2",
    "--contended-quiet=4",
    "--repair-interval=1",
    "--counter-interval=1",
];

/// A control plane and a proxy in front of it.
pub struct Stage {
    cluster: Option<Cluster>,
    pub proxy: Proxy,
    /// As admin, past the proxy.
    pub client: Client,
}

impl Stage {
    /// Takes an idle control plane, or starts one.
    pub async fn new() -> Self {
        let idle = IDLE.lock().unwrap().pop();
        Self::on(idle.unwrap_or_else(|| Cluster::start(Options::api_only("it-faults")))).await
    }

    /// Builds the stage on this control plane.
    pub async fn on(cluster: Cluster) -> Self {
        let (proxy, client) = (Proxy::start(&cluster).await, cluster.client().await);
        Self { cluster: Some(cluster), proxy, client }
    }

    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    /// Starts a Poros that comes through the proxy and installs the policies, and waits until it is ready.
    pub fn poros(&self) -> Poros {
        let poros = self.launch(&[&["--manage-policies"], &SHORT[..]].concat());
        poros.await_ready(Duration::from_secs(30));
        poros
    }

    /// Starts a Poros that comes through the proxy; does not wait.
    pub fn launch(&self, flags: &[&str]) -> Poros {
        Poros::launch(self.cluster(), self.proxy.kubeconfig(), flags)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take().filter(|_| !std::thread::panicking()) {
            IDLE.lock().unwrap().push(cluster);
        }
    }
}

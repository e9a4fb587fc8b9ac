//! A control plane with the CRDs of Poros, and an account for Poros with just the rights that it needs.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::config::KubeConfigOptions;
use kube::{Client, Config, ResourceExt};
use poros::view::chart;
use xtask::rig::{Options, Rig};

use super::poros::{Poros, SHORT};
use super::{rights, until, wait};

/// The namespace of Poros in the tests.
pub const NAMESPACE: &str = "poros-system";
/// The user that Poros is in the audit log.
pub const POROS_USER: &str = "system:serviceaccount:poros-system:poros";

/// A control plane.
pub struct Cluster {
    pub rig: Rig,
    /// Whether Poros is refused something on purpose.
    refusals: AtomicBool,
    /// Whether a test acts by the token of Poros.
    impostor: AtomicBool,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.enter_rights();
    }
}

/// The Kubernetes that all control planes are to have, like `1.30`: `POROS_TEST_KUBERNETES`; by default the main one.
pub fn kubernetes() -> Option<String> {
    std::env::var("POROS_TEST_KUBERNETES").ok().filter(|version| !version.is_empty())
}

static SHARED: OnceLock<Cluster> = OnceLock::new();
static SHARED_POROS: Mutex<Option<Poros>> = Mutex::new(None);

/// The shared control plane, with a shared Poros that has short graces. Tests on it use names of their own.
pub async fn shared() -> &'static Cluster {
    let cluster = tokio::task::spawn_blocking(|| {
        SHARED.get_or_init(|| {
            let cluster = Cluster::start(Options::api_only("it-shared"));
            let poros = Poros::start(&cluster, &[&["--manage-policies"], &SHORT[..]].concat());
            *SHARED_POROS.lock().unwrap() = Some(poros);
            cluster
        })
    });
    cluster.await.expect("the shared control plane starts")
}

/// Stops what is shared: statics are not dropped.
pub fn stop_shared() {
    drop(SHARED_POROS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    if let Some(cluster) = SHARED.get() {
        cluster.enter_rights();
    }
}

impl Cluster {
    /// Starts a control plane of its own, and installs CRDs, namespace and account.
    pub fn start(options: Options) -> Self {
        let cluster = Self::bare(options);
        cluster.install_crds();
        cluster
    }

    /// A control plane, and nothing on it.
    pub fn empty(options: Options) -> Self {
        let options = Options { kubernetes: kubernetes().or(options.kubernetes), ..options };
        let rig = Rig::start(options).unwrap_or_else(|error| panic!("{}", xtask::assets::chain(&error)));
        Self { rig, refusals: AtomicBool::new(false), impostor: AtomicBool::new(false) }
    }

    /// Rights are taken from Poros here: it is no fault that it is refused something.
    pub fn expect_refusals(&self) {
        self.refusals.store(true, Ordering::Relaxed);
    }

    /// The token of Poros is used by somebody else here: what its account does says nothing of Poros.
    pub fn expect_impostor(&self) {
        self.impostor.store(true, Ordering::Relaxed);
    }

    /// Enters what Poros did here, so that it is held against its rights.
    pub fn enter_rights(&self) {
        if !self.impostor.load(Ordering::Relaxed) {
            rights::enter(&self.rig, !self.refusals.load(Ordering::Relaxed));
        }
    }

    /// As `start`, without the CRDs.
    pub fn bare(options: Options) -> Self {
        let cluster = Self::empty(options);
        cluster.kubectl(&["create", "namespace", NAMESPACE]);
        cluster.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rbac.yaml")]);
        // The rights that the chart gives, so that all that is tested is tested with them.
        let account = cluster.rig.dir().join("account.yaml");
        std::fs::write(&account, chart::account(NAMESPACE, chart::Asked::All)).unwrap();
        cluster.kubectl(&["apply", "-f", account.to_str().unwrap()]);
        cluster
    }

    /// Installs the CRDs, and waits until they are served.
    pub fn install_crds(&self) {
        self.kubectl(&["apply", "--server-side", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]);
        self.await_crds();
    }

    /// Installs the shared policies as a person would, and waits until they act.
    pub fn install_policies(&self) {
        self.install_policies_with(&[]);
    }

    /// As `install_policies`, with what is installed only when asked for.
    pub fn install_policies_with(&self, flags: &[&str]) {
        let printed = std::process::Command::new(env!("CARGO_BIN_EXE_poros"))
            .arg("policies")
            .args(flags)
            .output()
            .expect("poros starts");
        let file = self.rig.dir().join("policies.yaml");
        std::fs::write(&file, printed.stdout).unwrap();
        self.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
        self.await_policies();
    }

    /// Right after a CRD is made, creating its kind may answer 404 or 503 for a while.
    pub fn await_crds(&self) {
        let crds = ["crd/computes.poros.dataos.io", "crd/placements.poros.dataos.io"];
        self.kubectl(&[&["wait", "--for=condition=Established", "--timeout=60s"], &crds[..]].concat());
        self.await_served();
    }

    /// Waits until Computes can be created: after their CRD is made, and after a policy on them is, that may take seconds.
    pub fn await_served(&self) {
        self.await_made("Computes are not served", |_| true);
    }

    /// Asserts that the first Compute that can be made has owner and finalizer. (A Poros that is ready says so.)
    pub fn assert_policies(&self) {
        let made = self.await_made("Computes are not served", |_| true);
        assert!(owned(&made), "the policies do not act yet:\n{made}");
    }

    /// Waits until admission acts on Computes: it takes a policy up within about a second.
    pub fn await_policies(&self) {
        self.await_made("no policy acts on Computes", owned);
    }

    fn await_made(&self, otherwise: &str, holds: impl Fn(&str) -> bool) -> String {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/runnable-default.yaml");
        let start = std::time::Instant::now();
        loop {
            let mut kubectl = self.rig.kubectl();
            kubectl.args(["create", "--dry-run=server", "-f", example, "-o", "json"]);
            let output = kubectl.output().expect("kubectl starts");
            let made = String::from_utf8_lossy(&output.stdout);
            if output.status.success() && holds(&made) {
                return made.into_owned();
            }
            let seen = String::from_utf8_lossy(&output.stderr);
            // A CRD that is back may be unknown to admission for half a minute.
            assert!(start.elapsed() < Duration::from_secs(120), "{otherwise}: {seen}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs kubectl as admin; panics with what it printed if it fails. Gives back its stdout.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output =
            self.rig.kubectl().args(arguments).stdin(Stdio::null()).output().expect("kubectl starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "kubectl {arguments:?} failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// A client as admin.
    pub async fn client(&self) -> Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.rig.kubeconfig()).unwrap();
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// A kubeconfig for the service account of Poros.
    pub fn poros_kubeconfig(&self) -> PathBuf {
        let token = self.kubectl(&["create", "token", "poros", "-n", NAMESPACE, "--duration=24h"]);
        self.rig.kubeconfig_for_token("poros", token.trim()).unwrap()
    }

    /// Replaces a CRD by a changed one, and waits until it is served.
    pub async fn change_crd(&self, name: &str, change: impl FnOnce(&mut CustomResourceDefinition)) {
        let api: Api<CustomResourceDefinition> = Api::all(self.client().await);
        let mut crd = api.get(name).await.unwrap();
        change(&mut crd);
        crd.metadata.managed_fields = None;
        crd.metadata.resource_version = None;
        crd.status = None;
        let name = crd.name_any();
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&crd)).await.unwrap();
        until("the changed CRD to be stored", wait::LIMIT, || async {
            api.get(&name).await.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
    }
}

/// Whether admission gave a new Compute owner and finalizer.
fn owned(made: &str) -> bool {
    made.contains("poros.dataos.io/cleanup") && made.contains("\"owner\"")
}

//! A release of the chart on a real API server, with Poros beside it under the account that the chart gave it; and what the
//! hooks of an uninstall do, by hand, for no node runs here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube::Client;
use poros::api::compute::Compute;
use serde_json::Value;
use xtask::rig::Options;

use super::{CHART, printed};
use crate::harness::audit::Audit;
use crate::harness::cluster::{Cluster, NAMESPACE};
use crate::harness::objects::dynamic;
use crate::harness::poros::Poros;
use crate::harness::rights::{self, Ledger};
use crate::rows::served;

pub(super) const GROUP: &str = "admissionregistration.k8s.io/v1";

/// An API server with nothing on it but what Helm installs.
pub(super) struct Installed {
    pub(super) cluster: Cluster,
    pub(super) client: Client,
}

impl Installed {
    pub(super) async fn start(options: Options, flags: &[&str]) -> Self {
        let options = Options { helm: true, ..options };
        let cluster = tokio::task::spawn_blocking(|| Cluster::empty(options)).await.unwrap();
        let installed = Self::on(cluster).await;
        installed.helm(&[&["install", "poros", CHART, "--create-namespace"], flags].concat());
        installed.cluster.await_crds();
        served(&installed.client).await;
        installed
    }

    /// With nothing installed, on a control plane that has Helm.
    pub(super) async fn on(cluster: Cluster) -> Self {
        let client = cluster.client().await;
        Self { cluster, client }
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.cluster.rig.helm();
        command.args(arguments).args(["--namespace", NAMESPACE]).stdin(Stdio::null());
        command
    }

    pub(super) fn helm(&self, arguments: &[&str]) -> String {
        printed(&mut self.command(arguments))
    }

    /// Poros as the chart runs it, as far as it can be outside.
    pub(super) fn poros(&self) -> Poros {
        self.replica(&[])
    }

    /// As [`Self::poros`], with more flags.
    pub(super) fn replica(&self, more: &[&str]) -> Poros {
        let defaults = self.cluster.kubectl(&[
            "get",
            "configmap",
            "poros-default-computes",
            "-n",
            NAMESPACE,
            "--ignore-not-found",
            "-o",
            r"jsonpath={.data.default-computes\.json}",
        ]);
        let file = self.cluster.rig.dir().join("default-computes.json");
        std::fs::write(&file, &defaults).unwrap();
        let mut flags = vec!["--policy-grace=4", "--counter-interval=1", "--webhook-service=poros-webhook"];
        if !defaults.is_empty() {
            flags.extend(["--default-computes", file.to_str().unwrap()]);
        }
        flags.extend(more);
        Poros::start(&self.cluster, &flags)
    }

    pub(super) async fn has(&self, kind: &str, plural: &str, name: &str) -> bool {
        dynamic(&self.client, GROUP, kind, plural, None).get_opt(name).await.unwrap().is_some()
    }

    /// Gives an account of the chart's hooks what its hook would: its roles, and a kubeconfig with a token of it.
    pub(super) fn hook_account(&self, hooks: &[(Value, String)], name: &str) -> PathBuf {
        for (object, text) in hooks.iter().filter(|(object, _)| object["metadata"]["name"] == name) {
            if ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
                .map(Value::from)
                .contains(&object["kind"])
            {
                let file = self.cluster.rig.dir().join("hook.yaml");
                std::fs::write(&file, text).unwrap();
                self.cluster.kubectl(&["apply", "-f", file.to_str().unwrap()]);
            }
        }
        let token = self.cluster.kubectl(&["create", "token", name, "-n", NAMESPACE]);
        self.cluster.rig.kubeconfig_for_token(name, token.trim()).unwrap()
    }

    /// What the hook after an uninstall does, with what its account is granted and uses.
    pub(super) fn retires(&self, hooks: &[(Value, String)]) {
        let (kubeconfig, audit) = (self.hook_account(hooks, "poros-retire"), Audit::from_now(&self.cluster));
        let (well, said) = retire(&kubeconfig, &[]);
        assert!(well, "{said}");
        used_as_granted(&audit, hooks, "poros-retire", &[]);
        self.remove_hook_account("poros-retire");
    }

    pub(super) fn remove_hook_account(&self, name: &str) {
        for kind in ["serviceaccount", "clusterrole", "clusterrolebinding", "role", "rolebinding"] {
            let object = format!("{kind}/{name}");
            self.cluster.kubectl(&["delete", &object, "-n", NAMESPACE, "--ignore-not-found"]);
        }
    }
}

/// What the Job of the uninstall hook runs, under its account.
pub(super) fn retire(kubeconfig: &Path, flags: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_poros"))
        .arg("retire")
        .args(flags)
        .env("POROS_KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Asserts that an account of the hooks did all that its roles grant, and nothing else. `unseen` are verbs that no request
/// has.
pub(super) fn used_as_granted(audit: &Audit, hooks: &[(Value, String)], name: &str, unseen: &[&str]) {
    let roles = hooks.iter().map(|(object, _)| object).filter(|object| object["metadata"]["name"] == name);
    let mut ledger = Ledger::of(rights::granted(roles));
    let requests = audit.of(&format!("system:serviceaccount:{NAMESPACE}:{name}"));
    assert!(!requests.is_empty(), "{name} did nothing");
    ledger.enter(&requests);
    assert!(ledger.ungranted().is_empty(), "{name} is not granted what it does: {:#?}", ledger.ungranted());
    let unused: Vec<String> = ledger
        .unused()
        .into_iter()
        .map(ToString::to_string)
        .filter(|grant| !unseen.iter().any(|verb| grant.ends_with(&format!("verbs [{verb:?}]"))))
        .collect();
    assert!(unused.is_empty(), "{name} is granted what it does not use: {unused:#?}");
}

/// What must not change where nothing is rebuilt.
pub(super) fn identity(compute: &Compute) -> (Option<String>, Option<u64>, Option<u64>) {
    let placement = compute.status.as_ref().and_then(|status| status.placement.as_ref());
    (
        compute.metadata.uid.clone(),
        placement.map(|placement| placement.revision),
        placement.and_then(|placement| placement.proven_revision),
    )
}

pub(super) const DEFAULTS: [&str; 4] = [
    "--set=defaultComputes.query-default.enabled=true",
    "--set=defaultComputes.query-default.spec.nodePool.minReadyNodes=0",
    "--set=defaultComputes.runnable-default.enabled=true",
    "--set=defaultComputes.runnable-default.spec.purpose=nonsense",
];

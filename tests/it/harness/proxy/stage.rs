//! A stage: a control plane that one test has for itself, with a fault proxy in front of it. Control planes are used
//! again by later tests, emptied of what was left; those of tests that failed are not.

use std::sync::Mutex;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use poros::api::names::ANNOTATION_DELETE_IN_USE;
use serde_json::json;
use xtask::rig::Options;

use super::Proxy;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{
    bindings, compute, delete, dry_run, node, nodes, placements, pods, raw_computes,
};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::{until, wait};
use crate::rows;

static IDLE: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

/// Enters what Poros did on those that no test has: statics are not dropped.
pub fn enter_rights() {
    IDLE.lock().unwrap().iter().for_each(Cluster::enter_rights);
}

/// A control plane and a proxy in front of it.
pub struct Stage {
    pub proxy: Proxy,
    /// As admin, past the proxy.
    pub client: Client,
    lease: Lease,
}

impl Stage {
    /// Takes an idle control plane, or starts one.
    pub async fn new() -> Self {
        let idle = IDLE.lock().unwrap().pop();
        if let Some(cluster) = idle {
            let stage = Self::on(cluster).await;
            stage.clear_away().await;
            return stage;
        }
        let stage = Self::on(Cluster::start(Options::api_only("it-faults"))).await;
        stage.warm_up().await;
        stage
    }

    /// A control plane that no other test gets, because this one leaves it changed.
    pub async fn alone() -> Self {
        let mut stage = Self::on(Cluster::start(Options::api_only("it-faults-alone"))).await;
        stage.warm_up().await;
        stage.lease.again = false;
        stage
    }

    /// Has the shared policies installed and acted on: what a test then sees is its own doing.
    async fn warm_up(&self) {
        let poros = self.poros();
        // At first the policies are not acted on, and then, for some seconds, they know no Compute: the API server
        // answers 503 until it has told them of the CRD.
        until("admission to act on Computes", wait::LIMIT, || async {
            let made = dry_run(&raw_computes(&self.client), &compute("warm-up")).await;
            let made = made.map_err(|error| error.to_string())?;
            if made.finalizers().is_empty() { Err("no finalizer is set".to_owned()) } else { Ok(()) }
        })
        .await;
        node(&self.client, "warm-up", "warm-up", true).await;
        rows::apply(&self.client, &compute("warm-up")).await;
        wait::active(&self.client, "warm-up").await;
        delete(&raw_computes(&self.client), "warm-up").await.unwrap();
        wait::gone(&self.client, "warm-up").await;
        poros.kill();
    }

    /// Removes what an earlier test left; no Poros runs.
    async fn clear_away(&self) {
        let client = &self.client;
        // The bindings of the shared policies have a dot in their names, and stay.
        let kinds: [fn(&Client) -> Api<DynamicObject>; 5] = [raw_computes, placements, bindings, pods, nodes];
        until("the stage to be empty", wait::LIMIT, || async {
            let mut left = Vec::new();
            for api in kinds.map(|kind| kind(client)) {
                let found = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
                for name in found.iter().map(ResourceExt::name_any).filter(|name| !name.contains('.')) {
                    let freed = json!({"metadata": {"finalizers": null, "annotations": {ANNOTATION_DELETE_IN_USE: "true"}}});
                    let _ = api.patch(&name, &PatchParams::default(), &Patch::Merge(&freed)).await;
                    let _ = api.delete(&name, &DeleteParams::default().grace_period(0)).await;
                    left.push(name);
                }
            }
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        })
        .await;
    }

    /// Builds the stage on this control plane.
    pub async fn on(cluster: Cluster) -> Self {
        let (proxy, client) = (Proxy::start(&cluster).await, cluster.client().await);
        // A Poros that was killed while it doubted what places pods left its webhook behind, and nobody answers it.
        let left = ["delete", "mutatingwebhookconfiguration", "poros.dataos.io", "--ignore-not-found"];
        cluster.kubectl(&left);
        Self { lease: Lease { cluster: Some(cluster), again: true }, proxy, client }
    }

    pub fn cluster(&self) -> &Cluster {
        self.lease.cluster.as_ref().unwrap()
    }

    /// Starts a Poros that comes through the proxy and installs the policies, and waits until it is ready.
    pub fn poros(&self) -> Poros {
        let poros = self.launch(&[&["--manage-policies"], &SHORT[..]].concat());
        poros.await_ready(READY);
        self.cluster().assert_policies();
        poros
    }

    /// Starts a Poros that comes through the proxy; does not wait.
    pub fn launch(&self, flags: &[&str]) -> Poros {
        Poros::launch(self.cluster(), self.proxy.kubeconfig(), flags)
    }
}

struct Lease {
    cluster: Option<Cluster>,
    /// Whether others may have it after this test.
    again: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let sound = self.again && !std::thread::panicking();
        if let Some(cluster) = self.cluster.take().filter(|_| sound) {
            IDLE.lock().unwrap().push(cluster);
        }
    }
}

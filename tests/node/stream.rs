//! Pods that name a Compute, one after another, while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::site::{Site, compute, items};

/// A pod is made each time that this is over.
const PAUSE: Duration = Duration::from_millis(200);
/// The Compute that they name. None of its nodes is there, so they wait for ever, and cost nothing.
const NAME: &str = "stream";

/// Makes pods until it is ended.
pub struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Made>,
}

/// What came of it.
#[derive(Default)]
pub struct Made {
    /// So many were let in, every one of them placed.
    pub placed: usize,
    /// What those that were not let in were told.
    pub refused: Vec<String>,
}

impl Stream {
    /// Begins, with a Compute of its own in force.
    pub fn start(site: &Site) -> Self {
        site.apply(&compute(NAME, "nowhere"));
        site.await_proven(NAME);
        let kubeconfig = Kubeconfig::read_from(site.rig.kubeconfig()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(make(kubeconfig, &stopped))
        });
        Self { stop, thread }
    }

    /// Ends it. Panics if a pod went in that was not placed.
    pub fn end(self, site: &Site) -> Made {
        self.stop.store(true, Ordering::Relaxed);
        let made = self.thread.join().unwrap();
        let stored = items(&site.json(&["get", "pods", "-l", &format!("poros.dataos.io/compute={NAME}")]));
        assert_eq!(stored.len(), made.placed);
        assert!(stored.len() > 5, "{} pods are no stream", stored.len());
        for pod in stored {
            let mark =
                pod["metadata"]["annotations"]["poros.dataos.io/placed-by"].as_str().unwrap_or_default();
            assert!(mark.starts_with(&format!("{NAME}/")), "unmarked: {pod}");
            assert_eq!(pod["spec"]["nodeSelector"]["dataos.io/purpose"], "nowhere", "unplaced: {pod}");
        }
        let mine = format!("poros.dataos.io/compute={NAME}");
        site.kubectl(&["delete", "pods", "-l", &mine, "--timeout=60s"]);
        made
    }
}

async fn make(kubeconfig: Kubeconfig, stop: &AtomicBool) -> Made {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config).unwrap(), "default");
    let mut made = Made::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let pod = json!({
            "metadata": {"name": format!("{NAME}-{number}"), "labels": {"poros.dataos.io/compute": NAME}},
            "spec": {"containers": [{"name": "pod", "image": xtask::rig::POD_IMAGE}], "terminationGracePeriodSeconds": 0},
        });
        match pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await {
            Ok(_) => made.placed += 1,
            Err(error) => made.refused.push(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    made
}

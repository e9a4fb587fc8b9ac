//! What is told of manifests that are not applied, and what is told as data.

use serde_json::{Value, json};

use crate::cli::apply::native;
use crate::cli::transcript::Transcript;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, pod, with};

/// A Deployment of two pods that name a Compute.
fn deployment(compute: &str) -> Value {
    let mut template = pod("", compute);
    template["metadata"]["labels"]["app"] = json!("etl");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "etl", "namespace": "default"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "etl"}},
            "template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]},
        },
    })
}

/// `explain compute -f` and `explain pod -f`: nothing is written.
pub(super) fn manifests(cluster: &Cluster) {
    let mut told = Transcript::new("words-files", cluster, "ann");
    // The API server puts letters of its own behind the name.
    told.replace("etl-8-[a-z0-9]{5}", "etl-8-LETTERS");
    told.file("new.json", compute("pending").to_string().replace("\"pending\"", "\"words-new\""));
    told.file(
        "moved.json",
        with(compute("active"), "/spec/nodePool/nodeSelector/pool", json!("pending")).to_string(),
    );
    told.file("native.yaml", native("active"));
    told.file("pod.json", pod("etl-7", "active").to_string());
    told.file("lost.json", pod("etl-8", "actve").to_string());
    told.file("deployment.json", deployment("active").to_string());
    told.run("dataos-ctl explain compute -f new.json");
    told.run("dataos-ctl explain compute active -f moved.json -q");
    told.run("dataos-ctl explain compute broken -f moved.json");
    told.run("dataos-ctl explain compute -f native.yaml -q");
    told.run("kubectl poros explain pod -f pod.json");
    told.run("kubectl poros explain pod -f lost.json");
    told.run("dataos-ctl explain pod -f - -q <deployment.json");
    told.run("dataos-ctl explain pod -f moved.json");
    told.run("dataos-ctl explain compute -f nowhere.json");
    told.run("kubectl poros explain compute actve");
    told.run("kubectl get pods,deployments -A -o name");
    told.compare();
}

/// The same answers for programs.
pub(super) fn data(cluster: &Cluster) {
    let mut told = Transcript::new("words-data", cluster, "ann");
    told.run("dataos-ctl why -n broken --output json");
    told.run("dataos-ctl describe -n elsewhere --output yaml -q");
    told.run("dataos-ctl tree -n active --output yaml -q");
    told.run("kubectl poros tree active -o json");
    told.run("kubectl poros explain compute elsewhere -o json");
    told.run("dataos-ctl explain pod default/active-a --output yaml -q");
    told.run("kubectl poros why brokn -o json");
    told.run("dataos-ctl tree -n brokn --output json");
    told.compare();
}

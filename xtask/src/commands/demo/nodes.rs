//! The pools: nodes that join, break and heal.

use std::time::Duration;

use serde_json::Value;
use xtask::demo::{Scene, StepError};

use super::seen::{active_and_proven, condition_is, list, status_is, tell, word};

/// What a runnable node's kubelet would say.
fn patch(ready: &str) -> String {
    format!(
        "kubectl patch node runnable-1 runnable-2 --subresource=status \\\n  \
         -p '{{\"status\":{{\"conditions\":[{{\"type\":\"Ready\",\"status\":\"{ready}\"}}]}}}}'"
    )
}

pub(super) fn join(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl apply -f examples/demo/nodes.yaml")?;
    let limit = Duration::from_mins(1);
    scene.until("all five are Ready and take pods", limit, &["nodes"], |nodes| are_open(nodes, 5))?;
    scene.run("kubectl get nodes -L dataos.io/purpose")?;
    scene.remark("KWOK plays them: to the control plane they are real, and so are the pods on them.");
    Ok(())
}

pub(super) fn break_pool(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run(&patch("False"))?;
    scene.remark("Nodes blink. A fault of the pool counts after 10 s, and is over after 10 s.");
    let query = ["compute", "runnable-default"];
    scene.until(
        "runnable-default is in error: NoReadyNodes",
        Duration::from_secs(40),
        &query,
        |compute| {
            status_is(compute, "error", "building")?;
            condition_is(compute, "Ready", "False", "NoReadyNodes")?;
            condition_is(compute, "Reconciling", "True", "NoReadyNodes")?;
            condition_is(compute, "PoolReady", "False", "NoReadyNodes")?;
            // Pods are still placed: they wait, so that an autoscaler sees them.
            condition_is(compute, "PlacementVerified", "True", "")
        },
    )?;
    scene.run("kubectl get compute runnable-default -o wide")?;
    tell(scene, "runnable-default")
}

pub(super) fn heal_pool(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run(&patch("True"))?;
    let query = ["compute", "runnable-default"];
    scene.until("runnable-default is active again", Duration::from_secs(40), &query, |compute| {
        active_and_proven(compute, 1)
    })?;
    scene.run("kubectl get compute runnable-default")?;
    scene.until("its nodes take pods again", Duration::from_mins(1), &["nodes"], |nodes| are_open(nodes, 5))
}

fn are_open(nodes: &Value, count: usize) -> Result<(), String> {
    let nodes = list(&nodes["items"]);
    let closed = nodes.iter().filter(|node| !is_open(node)).map(|node| word(&node["metadata"]["name"]));
    let closed: Vec<&str> = closed.collect();
    if nodes.len() == count && closed.is_empty() {
        return Ok(());
    }
    Err(format!("{} nodes, of which do not take pods: {}", nodes.len(), closed.join(", ")))
}

/// Ready, and without the taint that the control plane puts on a node that is not.
fn is_open(node: &Value) -> bool {
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let closed = |taint: &Value| word(&taint["key"]).starts_with("node.kubernetes.io/");
    list(&node["status"]["conditions"]).iter().any(ready) && !list(&node["spec"]["taints"]).iter().any(closed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_takes_pods_when_ready_and_not_tainted_by_the_control_plane() {
        let node = |status: &str, taint: &str| json!({"metadata": {"name": "n"}, "spec": {"taints": [{"key": taint}]}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(is_open(&node("True", "dedicated")));
        assert!(!is_open(&node("False", "dedicated")));
        assert!(!is_open(&node("True", "node.kubernetes.io/not-ready")));
        let nodes = json!({"items": [node("True", "a"), node("False", "a")]});
        assert_eq!(are_open(&nodes, 2).unwrap_err(), "2 nodes, of which do not take pods: n");
        assert!(are_open(&json!({"items": []}), 5).is_err());
    }
}

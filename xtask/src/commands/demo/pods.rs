//! Pods that name a Compute: where they land, and what admission added to them.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::demo::{Scene, StepError};

use super::seen::{condition_is, list, word};

/// What was injected into the first of the pods.
const INJECTED: &str = r#"kubectl get pods -l app=queries -o jsonpath='{.items[0].spec.nodeSelector}
{.items[0].spec.tolerations[?(@.key=="dedicated")]}
{.items[0].metadata.annotations}
'"#;

pub(super) fn land(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("cat examples/demo/queries.yaml")?;
    scene.run("kubectl apply -f examples/demo/queries.yaml")?;
    let template = scene.facts(&["deployment", "queries"])?["spec"]["template"]["spec"].clone();
    scene.holds("its template knows nothing of nodes: no selector, no toleration", || {
        let names = ["nodeSelector", "tolerations", "affinity", "nodeName"];
        let own: Vec<&str> = names.into_iter().filter(|name| !template[name].is_null()).collect();
        if own.is_empty() { Ok(()) } else { Err(format!("it has {}", own.join(", "))) }
    })?;
    scene.run("kubectl rollout status deployment/queries --timeout=60s")?;
    scene.run("kubectl get pods -o wide")?;
    on_query_nodes(scene, "both pods run on query nodes", 2)?;
    scene.remark("What the API server added to each of them, as Poros told it to:");
    scene.run(INJECTED).map(drop)
}

pub(super) fn explain(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("cat examples/demo/greedy.yaml")?;
    scene.run("kubectl apply -f examples/demo/greedy.yaml")?;
    let limit = Duration::from_secs(30);
    scene.until("it is Pending: the scheduler finds no node", limit, &["pod", "greedy"], |pod| {
        condition_is(pod, "PodScheduled", "False", "Unschedulable")
    })?;
    scene.remark("What you type beside the controller explains; it only reads, with your own rights.");
    let told = scene.run("kubectl poros explain pod greedy")?;
    scene.holds("of each node it is said why it does not fit", || {
        let expected = ["none of 5 nodes fits", "too small: cpu 8", "runnable-1"];
        match expected.into_iter().find(|words| !told.contains(words)) {
            None => Ok(()),
            Some(words) => Err(format!("it does not say \"{words}\"")),
        }
    })?;
    scene.run("kubectl delete pod greedy").map(drop)
}

/// Waits until so many pods run that name query-default, all on its nodes and placed by revision 1.
pub(super) fn on_query_nodes(scene: &Scene<'_>, what: &str, count: usize) -> Result<(), StepError> {
    let pods = ["pods", "-l", "poros.dataos.io/compute=query-default"];
    scene.until(what, Duration::from_mins(1), &pods, |pods| {
        let pods = list(&pods["items"]);
        if pods.len() != count {
            return Err(format!("{} pods", pods.len()));
        }
        pods.iter().try_for_each(|pod| is_placed(pod, "query", "query-default/1"))
    })
}

/// Whether a pod runs on a node of the pool, with all that places it there.
pub(super) fn is_placed(pod: &Value, pool: &str, mark: &str) -> Result<(), String> {
    let name = word(&pod["metadata"]["name"]);
    let (node, phase) = (word(&pod["spec"]["nodeName"]), word(&pod["status"]["phase"]));
    if phase != "Running" || !node.starts_with(&format!("{pool}-")) {
        return Err(format!("{name} is {phase} on node {node}"));
    }
    let own_mark = word(&pod["metadata"]["annotations"]["poros.dataos.io/placed-by"]);
    if own_mark != mark {
        return Err(format!("{name} was placed by {own_mark}"));
    }
    if pod["spec"]["nodeSelector"] != json!({"dataos.io/purpose": pool}) {
        return Err(format!("{name} has the nodeSelector {}", pod["spec"]["nodeSelector"]));
    }
    let wanted = json!({"key": "dedicated", "operator": "Equal", "value": "query", "effect": "NoSchedule"});
    if pool == "query" && !list(&pod["spec"]["tolerations"]).contains(&wanted) {
        return Err(format!("{name} lacks the toleration {wanted}"));
    }
    Ok(())
}

/// Which pods there are, and where: what must not change while a Compute is edited.
pub(super) fn placed(pods: &Value) -> Vec<String> {
    let of = |pod: &Value| format!("{} {}", word(&pod["metadata"]["uid"]), word(&pod["spec"]["nodeName"]));
    list(&pods["items"]).iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_placed_when_node_mark_selector_and_toleration_say_so() {
        let toleration =
            json!({"key": "dedicated", "operator": "Equal", "value": "query", "effect": "NoSchedule"});
        let pod = json!({
            "metadata": {"name": "p", "annotations": {"poros.dataos.io/placed-by": "query-default/1"}},
            "spec": {"nodeName": "query-2", "nodeSelector": {"dataos.io/purpose": "query"}, "tolerations": [toleration]},
            "status": {"phase": "Running"},
        });
        assert_eq!(is_placed(&pod, "query", "query-default/1"), Ok(()));
        assert_eq!(
            is_placed(&pod, "query", "query-default/2").unwrap_err(),
            "p was placed by query-default/1"
        );
        assert_eq!(is_placed(&pod, "runnable", "reports/1").unwrap_err(), "p is Running on node query-2");
        let mut without = pod;
        without["spec"]["tolerations"] = json!([]);
        assert!(
            is_placed(&without, "query", "query-default/1").unwrap_err().contains("lacks the toleration")
        );
    }
}

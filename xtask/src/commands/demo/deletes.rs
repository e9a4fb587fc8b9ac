//! The end of a Compute: refused while pods use it, complete once none does.

use std::time::Duration;

use serde_json::Value;
use xtask::demo::{Scene, StepError};

use super::seen::{list, word};

const LIMIT: Duration = Duration::from_secs(60);
const PODS: [&str; 3] = ["pods", "-l", "poros.dataos.io/compute=query-default"];

pub(super) fn refuse(scene: &Scene<'_>) -> Result<(), StepError> {
    // Counts are written at most every 10 s, so the latecomer may be missing at first.
    let what = "three pods and a Deployment use query-default";
    scene.until(what, LIMIT, &["compute", "query-default"], |compute| users(compute, 3, 1))?;
    scene.refused("kubectl delete compute query-default", "is in use by 3 pods and 1 workload")?;
    let compute = scene.facts(&["compute", "query-default"])?;
    scene.holds("it is not even marked for deletion", || {
        let mark = &compute["metadata"]["deletionTimestamp"];
        if mark.is_null() { Ok(()) } else { Err(format!("deletionTimestamp {mark}")) }
    })?;
    let told = scene.run("kubectl poros explain compute query-default")?;
    scene.holds("it says who uses it, and what would let it go", || {
        if told.contains("latecomer") { Ok(()) } else { Err("latecomer is not named".to_owned()) }
    })
}

pub(super) fn delete(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl delete deployment/queries pod/latecomer")?;
    scene.until("its pods are gone", LIMIT, &PODS, |pods| match list(&pods["items"]).len() {
        0 => Ok(()),
        some => Err(format!("{some} pods")),
    })?;
    scene.until("and it knows", LIMIT, &["compute", "query-default"], |compute| users(compute, 0, 0))?;
    scene.run("kubectl delete compute query-default --timeout=60s")?;
    let what = "the Compute, its Placement and its binding are gone";
    let kinds = "computes,placements,mutatingadmissionpolicybindings";
    scene.until(what, LIMIT, &[kinds], |found| {
        let names = ["query-default", "poros-query-default"];
        let mut left =
            list(&found["items"]).iter().filter(|item| names.contains(&word(&item["metadata"]["name"])));
        left.next().map_or(Ok(()), |item| Err(format!("the {} is there", word(&item["kind"]))))
    })?;
    scene.run("kubectl get computes")?;
    scene.refused(
        "kubectl run orphan --image=nginx --labels=poros.dataos.io/compute=query-default",
        "is not in force",
    )
}

fn users(compute: &Value, pods: u64, workloads: u64) -> Result<(), String> {
    let users = &compute["status"]["users"];
    if users["pods"] == pods && users["workloads"] == workloads {
        return Ok(());
    }
    Err(format!("{} pods, {} workloads", users["pods"], users["workloads"]))
}

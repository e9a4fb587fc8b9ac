//! The first Computes: from their definition to being active.

use std::time::Duration;

use xtask::demo::{Scene, StepError};

use super::seen::{active_and_proven, list, word};

pub(super) fn define(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl apply -f crds/")?;
    scene.run("kubectl wait --for=condition=Established --timeout=60s -f crds/").map(drop)
}

pub(super) fn apply(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("cat examples/query-default.yaml")?;
    // A kind that was defined a moment ago may still be unknown to the API server.
    scene.run_in_time("kubectl apply -f examples/", Duration::from_secs(30))?;
    scene.run("kubectl wait --for=condition=Ready --timeout=60s compute --all").map(drop)
}

pub(super) fn are_active(scene: &Scene<'_>) -> Result<(), StepError> {
    let what = "2 Computes are active and built, their placements verified, their owner named";
    scene.until(what, Duration::from_secs(30), &["computes"], |computes| {
        let computes = list(&computes["items"]);
        if computes.len() != 2 {
            return Err(format!("{} Computes", computes.len()));
        }
        for compute in computes {
            let name = word(&compute["metadata"]["name"]);
            active_and_proven(compute, 1).map_err(|seen| format!("{name}: {seen}"))?;
            if compute["spec"]["owner"].is_null() {
                return Err(format!("{name} has no owner"));
            }
        }
        Ok(())
    })?;
    scene.run("kubectl get computes").map(drop)
}

//! The first Computes: from their definition to being active.

use std::time::Duration;

use xtask::demo::{Scene, StepError};
use xtask::workspace;

use super::seen::{active_and_proven, list, word};

pub(super) fn define(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl apply -f crds/")?;
    scene.run("kubectl wait --for=condition=Established --timeout=60s -f crds/").map(drop)
}

pub(super) fn apply(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("cat examples/query-default.yaml")?;
    let asked = ["apply", "--dry-run=server", "-f", "examples/query-default.yaml"];
    let owner = ["-o", "jsonpath={.spec.owner}{\"\\n\"}"];
    let typed = format!("kubectl {} {} '{}'", asked.join(" "), owner[0], owner[1]);
    // The API server reads policies anew once a second; a Compute that comes before has no owner.
    scene.until_told(
        &typed,
        "its policies act: they name whoever applies",
        Duration::from_secs(30),
        || {
            let mut kubectl = scene.rig().kubectl();
            let ran = kubectl.current_dir(workspace::root()).args(asked).args(owner).output();
            let ran = ran.map_err(|error| error.to_string())?;
            let told = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
            if told.is_empty() {
                Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned())
            } else {
                Ok(told)
            }
        },
    )?;
    // A kind that was defined a moment ago may still be unknown to the API server.
    scene.run_in_time("kubectl apply -f examples/", Duration::from_secs(30))?;
    scene.run("kubectl wait --for=condition=Ready --timeout=60s compute --all").map(drop)
}

pub(super) fn are_active(scene: &Scene<'_>) -> Result<(), StepError> {
    let what = "2 Computes are active and built, their placements verified";
    scene.until(what, Duration::from_secs(30), &["computes"], |computes| {
        let computes = list(&computes["items"]);
        if computes.len() != 2 {
            return Err(format!("{} Computes", computes.len()));
        }
        for compute in computes {
            active_and_proven(compute, 1)
                .map_err(|seen| format!("{}: {seen}", word(&compute["metadata"]["name"])))?;
        }
        Ok(())
    })?;
    scene.run("kubectl get computes").map(drop)
}

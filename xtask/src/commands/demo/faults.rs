//! A manifest that cannot be built: what its Compute says, what becomes of pods, and how it is mended.

use std::time::Duration;

use xtask::demo::{Scene, StepError};

use super::pods::is_placed;
use super::seen::{active_and_proven, condition_is, status_is, tell};

const REPORTS: [&str; 2] = ["compute", "reports"];
/// The pod of the refusal, and the same once it is let in.
const POD: &str = "kubectl run report-1 --image=nginx --labels=poros.dataos.io/compute=reports";

pub(super) fn apply_unbuildable(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("cat examples/demo/reports.yaml")?;
    scene.run("kubectl apply -f examples/demo/reports.yaml")?;
    scene.until(
        "reports is in error, in the build: UnknownDataplane",
        Duration::from_secs(30),
        &REPORTS,
        |compute| {
            status_is(compute, "error", "error")?;
            condition_is(compute, "Ready", "False", "UnknownDataplane")?;
            condition_is(compute, "Stalled", "True", "UnknownDataplane")
        },
    )?;
    scene.run("kubectl get compute reports")?;
    tell(scene, "reports")
}

pub(super) fn refuse_pod(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.refused(POD, "is not in force")
}

pub(super) fn mend(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl apply -f examples/demo/reports-mended.yaml")?;
    scene.run("kubectl wait --for=condition=Ready --timeout=60s compute/reports")?;
    scene.until(
        "reports is active, its placement verified",
        Duration::from_secs(30),
        &REPORTS,
        |compute| active_and_proven(compute, 1),
    )?;
    scene.run(POD)?;
    let pod = ["pod", "report-1"];
    scene.until("the pod runs on a runnable node", Duration::from_mins(1), &pod, |pod| {
        is_placed(pod, "runnable", "reports/1")
    })
}

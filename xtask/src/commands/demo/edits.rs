//! What is in force stays so: through a bad edit, and through the hand that deletes it.

use std::time::Duration;

use serde_json::{Value, json};
use xtask::demo::{Scene, StepError};

use super::pods::{on_query_nodes, placed};
use super::seen::{active_and_proven, condition_is, list, status_is, tell, word};

const QUERY_DEFAULT: [&str; 2] = ["compute", "query-default"];
const BINDING: [&str; 2] = ["mutatingadmissionpolicybinding", "poros-query-default"];
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn spoil(scene: &Scene<'_>) -> Result<(), StepError> {
    let running = ["pods", "-l", "app=queries"];
    let before = placed(&scene.facts(&running)?);
    scene.run(
        "kubectl patch compute query-default --type=merge -p '{\"spec\":{\"dataplane\":\"elsewhere\"}}'",
    )?;
    scene.until("query-default is in error", LIMIT, &QUERY_DEFAULT, |compute| {
        status_is(compute, "error", "error")?;
        condition_is(compute, "Ready", "False", "UnknownDataplane")?;
        condition_is(compute, "Stalled", "True", "UnknownDataplane")
    })?;
    scene.run("kubectl get compute query-default")?;
    tell(scene, "query-default")?;
    scene.remark("Indeed, the revision that was proven still places a new pod:");
    scene.run("kubectl run latecomer --image=nginx --labels=poros.dataos.io/compute=query-default")?;
    on_query_nodes(scene, "it runs on a query node, placed by revision 1", 3)?;
    let after = placed(&scene.facts(&running)?);
    scene.holds("the pods that ran before were left alone", || {
        if before == after { Ok(()) } else { Err(format!("{before:?} before, {after:?} now")) }
    })
}

pub(super) fn take_back(scene: &Scene<'_>) -> Result<(), StepError> {
    scene.run("kubectl patch compute query-default --type=merge -p '{\"spec\":{\"dataplane\":null}}'")?;
    scene.until("query-default is active, with revision 1", LIMIT, &QUERY_DEFAULT, |compute| {
        active_and_proven(compute, 1)
    })?;
    scene.run("kubectl get compute query-default -o wide").map(drop)
}

pub(super) fn drift(scene: &Scene<'_>) -> Result<(), StepError> {
    let before = scene.facts(&QUERY_DEFAULT)?;
    scene.run(
        "kubectl patch placement query-default --type=merge --field-manager=nightly-script \\\n  \
         -p '{\"spec\":{\"nodeSelector\":{\"dataos.io/purpose\":\"gpu\"}}}'",
    )?;
    scene.until("the Placement is as it was", LIMIT, &["placement", "query-default"], |placement| {
        let selector = &placement["spec"]["nodeSelector"];
        if *selector == json!({"dataos.io/purpose": "query"}) { Ok(()) } else { Err(selector.to_string()) }
    })?;
    scene.until("an event names the field, and who changed it", LIMIT, &["events"], |events| {
        let mut texts = list(&events["items"]).iter().map(|event| word(&event["message"]));
        let named = texts.any(|text| text.contains("spec.nodeSelector") && text.contains("nightly-script"));
        if named { Ok(()) } else { Err("no such event".to_owned()) }
    })?;
    scene.run("kubectl events --for compute/query-default --types=Warning")?;
    stayed_active(scene, &before)
}

pub(super) fn remove(scene: &Scene<'_>) -> Result<(), StepError> {
    let compute = scene.facts(&QUERY_DEFAULT)?;
    let uid = word(&scene.facts(&BINDING)?["metadata"]["uid"]).to_owned();
    scene.run("kubectl delete mutatingadmissionpolicybinding poros-query-default")?;
    scene.until("the binding is there again", LIMIT, &BINDING, |binding| {
        if binding["metadata"]["uid"] == *uid { Err("the one from before".to_owned()) } else { Ok(()) }
    })?;
    scene.until("it was proven anew", LIMIT, &QUERY_DEFAULT, |now| {
        active_and_proven(now, 1)?;
        let (old, new) =
            (&compute["status"]["placement"]["provenAt"], &now["status"]["placement"]["provenAt"]);
        if old == new { Err(format!("proven at {new}, before")) } else { Ok(()) }
    })?;
    stayed_active(scene, &compute)
}

/// Whether there was no transition since.
fn stayed_active(scene: &Scene<'_>, before: &Value) -> Result<(), StepError> {
    let after = scene.facts(&QUERY_DEFAULT)?;
    scene.holds("query-default was active all the while", || {
        let (old, new) = (&before["status"]["transitionSeq"], &after["status"]["transitionSeq"]);
        if old == new { Ok(()) } else { Err(format!("transition {old} before, {new} now")) }
    })
}

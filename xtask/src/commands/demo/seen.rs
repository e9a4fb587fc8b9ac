//! What a Compute says of itself, compared with what it has to say.

use serde_json::Value;
use xtask::demo::{Scene, StepError};

/// Shows the sentence that a Compute has for people.
pub(super) fn tell(scene: &Scene<'_>, name: &str) -> Result<(), StepError> {
    let typed = format!("kubectl get compute {name} -o jsonpath='{{.status.builderState.info}}{{\"\\n\"}}'");
    scene.run(&typed).map(drop)
}

/// Whether the status has this word and stage; an error tells what it has, and why.
pub(super) fn status_is(compute: &Value, status: &str, stage: &str) -> Result<(), String> {
    let builder = &compute["status"]["builderState"];
    let (has, at) = (&compute["status"]["aggregateStatus"], &builder["stage"]);
    if has == status && at == stage {
        return Ok(());
    }
    Err(format!("{}/{}: {}", word(has), word(at), word(&builder["info"])))
}

/// Whether a condition has this truth and, unless empty, this reason.
pub(super) fn condition_is(compute: &Value, kind: &str, truth: &str, reason: &str) -> Result<(), String> {
    let found = list(&compute["status"]["conditions"]).iter().find(|condition| condition["type"] == kind);
    let Some(found) = found else { return Err(format!("there is no condition {kind}")) };
    if found["status"] == truth && (reason.is_empty() || found["reason"] == reason) {
        return Ok(());
    }
    let (has, why, text) = (word(&found["status"]), word(&found["reason"]), word(&found["message"]));
    Err(format!("{kind} is {has}, {why}: {text}"))
}

/// Whether it is active, and proven to place pods by this revision.
pub(super) fn active_and_proven(compute: &Value, revision: u64) -> Result<(), String> {
    status_is(compute, "active", "built")?;
    condition_is(compute, "Ready", "True", "Active")?;
    condition_is(compute, "PlacementVerified", "True", "")?;
    let placement = &compute["status"]["placement"];
    if placement["revision"] == revision && placement["provenRevision"] == revision {
        return Ok(());
    }
    Err(format!("revision {}, proven {}", placement["revision"], placement["provenRevision"]))
}

/// The items of a list; none where it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A string without its quotes; a dash where there is none.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_hold_is_told_in_the_status_own_words() {
        let compute = json!({"status": {
            "aggregateStatus": "error",
            "builderState": {"stage": "building", "info": "no node is ready"},
            "conditions": [{"type": "Ready", "status": "False", "reason": "NoReadyNodes", "message": "no node"}],
        }});
        assert_eq!(status_is(&compute, "error", "building"), Ok(()));
        assert_eq!(status_is(&compute, "active", "built").unwrap_err(), "error/building: no node is ready");
        assert_eq!(condition_is(&compute, "Ready", "False", "NoReadyNodes"), Ok(()));
        assert_eq!(condition_is(&compute, "Ready", "False", ""), Ok(()));
        let seen = condition_is(&compute, "Ready", "True", "").unwrap_err();
        assert_eq!(seen, "Ready is False, NoReadyNodes: no node");
        assert_eq!(
            condition_is(&compute, "Stalled", "True", "").unwrap_err(),
            "there is no condition Stalled"
        );
        assert_eq!(status_is(&Value::Null, "active", "built").unwrap_err(), "-/-: -");
    }
}

//! Waits for states of a Compute; each says what it saw last.

use std::time::Duration;

use kube::Client;
use poros::api::compute::Compute;

use super::objects::computes;
use super::until;

const LIMIT: Duration = Duration::from_secs(20);

/// The status of a condition: `True`, `False`, `Unknown`, or empty when it is absent.
pub fn condition<'a>(compute: &'a Compute, type_: &str) -> &'a str {
    let conditions = compute.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .find(|condition| condition.type_ == type_)
        .map_or("", |condition| &condition.status)
}

/// `status/stage reason`, as in `error/building NoNodesMatch`.
pub fn words(compute: &Compute) -> String {
    let Some(status) = &compute.status else { return "no status".into() };
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let reason = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .map_or("", |ready| &ready.reason);
    format!(
        "{}/{} {reason}",
        word(serde_json::to_value(status.aggregate_status).unwrap()),
        word(serde_json::to_value(status.builder_state.stage).unwrap()),
    )
}

/// Waits until a Compute satisfies `holds`; `what` says which state that is.
pub async fn compute(client: &Client, name: &str, what: &str, holds: impl Fn(&Compute) -> bool) -> Compute {
    let api = computes(client);
    until(&format!("{name} to be {what}"), LIMIT, || async {
        let compute = api.get(name).await.map_err(|error| error.to_string())?;
        if holds(&compute) {
            Ok(compute)
        } else {
            Err(format!("{} {}", words(&compute), serde_json::to_string(&compute.status).unwrap()))
        }
    })
    .await
}

/// Waits until the words are these and the status speaks of the current generation.
pub async fn says(client: &Client, name: &str, expect: &str) -> Compute {
    compute(client, name, expect, |compute| {
        let observed = compute.status.as_ref().map(|status| status.observed_generation);
        words(compute) == expect && observed == compute.metadata.generation
    })
    .await
}

/// Waits until a Compute is active, in its current generation, with a proven placement.
pub async fn active(client: &Client, name: &str) -> Compute {
    let compute = says(client, name, "active/built Active").await;
    assert_eq!(condition(&compute, "PlacementVerified"), "True", "{:?}", compute.status);
    compute
}

/// Waits until a Compute is gone.
pub async fn gone(client: &Client, name: &str) {
    let api = computes(client);
    until(&format!("{name} to be gone"), LIMIT, || async {
        match api.get_opt(name).await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(compute) => Err(words(&compute)),
        }
    })
    .await;
}

//! Waits for states of a Compute; each says what it saw last.

use std::time::Duration;

use kube::Client;
use kube::api::DeleteParams;
use poros::api::compute::Compute;

use super::cluster::{Cluster, POROS_USER};
use super::objects::{computes, dry_run, dynamic, pod, pods, raw_computes};
use super::until;

/// Only bounds a wait: long enough for a machine that is slow and busy.
pub const LIMIT: Duration = Duration::from_secs(60);

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

/// Waits until the status tells of so many pods that use a Compute; gives back the Compute.
pub async fn used(client: &Client, name: &str, pods: u32) -> Compute {
    compute(client, name, &format!("used by {pods} pods"), |compute| {
        compute
            .status
            .as_ref()
            .and_then(|status| status.users.as_ref())
            .is_some_and(|users| users.pods == pods)
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

/// The message of a condition; empty when it is absent.
pub fn message<'a>(compute: &'a Compute, type_: &str) -> &'a str {
    let conditions = compute.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .find(|condition| condition.type_ == type_)
        .map_or("", |condition| &condition.message)
}

/// What the builder says in a sentence.
pub fn info(compute: &Compute) -> &str {
    compute.status.as_ref().map_or("", |status| &status.builder_state.info)
}

/// Waits until pods that name a Compute are placed by this revision; gives back such a pod as it would be stored.
pub async fn placed(client: &Client, name: &str, revision: u64) -> serde_json::Value {
    let mark = format!("{name}/{revision}");
    let pod = until(&format!("pods to be placed by {mark}"), LIMIT, || async {
        let pod = dry_run(&pods(client), &pod(&format!("{name}-try"), name)).await;
        let pod = pod.map_err(|error| error.to_string())?;
        match pod.metadata.annotations.as_ref().and_then(|all| all.get("poros.dataos.io/placed-by")) {
            Some(found) if *found == mark => Ok(pod),
            found => Err(format!("mark {found:?}")),
        }
    })
    .await;
    serde_json::to_value(pod).unwrap()
}

/// Waits until pods that name a Compute are refused with these words.
pub async fn refused(client: &Client, name: &str, words: &str) {
    until(&format!("pods of {name} to be refused"), LIMIT, || async {
        match dry_run(&pods(client), &pod(&format!("{name}-try"), name)).await {
            Ok(pod) => Err(format!("placed: {:?}", pod.metadata.annotations)),
            Err(error) if error.to_string().contains(words) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

/// Waits until the guard holds a Compute that is in use: a policy acts a moment after it is made or changed.
pub async fn held(client: &Client, name: &str) {
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    until(&format!("the guard to hold {name}"), LIMIT, || async {
        match raw_computes(client).delete(name, &dry).await {
            Err(error) if error.to_string().contains("is in use by") => Ok(()),
            other => Err(format!("{:?}", other.map(|_| "it may go").map_err(|error| error.to_string()))),
        }
    })
    .await;
}

/// As [`active`], where an active Compute may have to be proven anew first: after a repair, or a changed policy.
pub async fn proven(client: &Client, name: &str) -> Compute {
    compute(client, name, "active, and proven anew", |compute| {
        let observed = compute.status.as_ref().map(|status| status.observed_generation);
        let now = observed == compute.metadata.generation;
        now && words(compute) == "active/built Active" && condition(compute, "PlacementVerified") == "True"
    })
    .await
}

/// Waits until the cluster's own controllers made the account that pods of this namespace have.
pub async fn account(client: &Client, namespace: &str) {
    let accounts = dynamic(client, "v1", "ServiceAccount", "serviceaccounts", Some(namespace));
    until("the default account", LIMIT, || async {
        accounts.get("default").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

/// Waits until Poros may do this in a namespace, or may not: the API server hears of a changed role a moment later.
pub async fn may(cluster: &Cluster, namespace: &str, verb: &str, resource: &str, allowed: bool) {
    let asked = ["auth", "can-i", verb, resource, "-n", namespace, "--as", POROS_USER];
    until(&format!("{verb} {resource} to be allowed: {allowed}"), LIMIT, || async {
        let answer = cluster.rig.kubectl().args(asked).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        if (answer == "yes") == allowed { Ok(()) } else { Err(answer) }
    })
    .await;
}

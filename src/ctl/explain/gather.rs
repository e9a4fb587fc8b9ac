//! Asks the API server for all that an explanation is drawn from, all at once. What may not be seen is said, with the right
//! that is missing, and the rest is told.

use kube::Client;
use serde_json::Value;

use crate::cluster::call::CallError;
use crate::cluster::{read, status};
use crate::decide::judge::judge;
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::view::Seen;
use crate::view::change::ChangeFacts;
use crate::view::compute::ComputeFacts;
use crate::view::manifest::Document;
use crate::view::pod::facts::{self, Pod};
use crate::view::pod::{PodFacts, Trial};
use crate::view::users::UserPod;

/// What was seen; or why not, and what that leaves open.
fn seen<T>(found: Result<T, CallError>, what: &str, so: &str) -> Seen<T> {
    found.map_err(|error| format!("{what} cannot be seen, so {so} is not known: {}", error.chain()))
}

/// All about a pod.
pub(super) async fn pod(client: &Client, pod: Pod, trial: Option<Trial>, all_nodes: bool) -> PodFacts {
    let name = pod.compute.clone().unwrap_or_default();
    let (compute, placement, binding, nodes) = tokio::join!(
        named(client, &name),
        child(client, Kind::Placement, &name),
        child(client, Kind::Binding, &name),
        read::nodes(client),
    );
    let names = match &compute {
        Ok(None) if !name.is_empty() => read::computes(client).await.map(|all| {
            let mut names: Vec<String> = all.into_iter().map(|compute| compute.name).collect();
            names.sort();
            names
        }),
        _ => Ok(Vec::new()),
    };
    PodFacts {
        pod,
        trial,
        compute: seen(compute, &format!("Compute {name}"), "its state"),
        names: seen(names, "Computes", "which there are"),
        placement,
        binding,
        nodes: seen(nodes, "nodes", "which of them fit"),
        all_nodes,
    }
}

async fn named(client: &Client, name: &str) -> Result<Option<Compute>, CallError> {
    if name.is_empty() { Ok(None) } else { status::current(client, name).await }
}

async fn child(client: &Client, kind: Kind, name: &str) -> Seen<Option<Child>> {
    if name.is_empty() {
        return Ok(None);
    }
    let what = format!("{} {}", kind.kind(), kind.name_for(name));
    seen(read::child(client, kind, name).await, &what, "what is in force")
}

/// What the API server says to a pod, as a dry run. The error: that it did not answer, so nothing else will be known.
pub(super) async fn trial(client: &Client, namespace: &str, pod: &Value) -> Result<Trial, CallError> {
    Ok(match read::try_pod(client, namespace, pod).await {
        Ok(taken) => {
            let mut taken = taken;
            if let Some(fields) = taken.as_object_mut() {
                fields.insert("kind".into(), "Pod".into());
            }
            match facts::read(&taken) {
                Ok(taken) => Trial::Taken(Box::new(taken)),
                Err(why) => Trial::Unknown(format!("its answer cannot be read: {why}")),
            }
        }
        Err(
            CallError::Refused { message, .. }
            | CallError::Conflict(message)
            | CallError::NotFound(message)
            | CallError::Unserved(message),
        ) => Trial::Refused(message),
        Err(error @ (CallError::Forbidden(_) | CallError::Otherwise(_))) => Trial::Unknown(error.chain()),
        Err(
            error @ (CallError::Unauthorized(_)
            | CallError::Login(_)
            | CallError::Timeout(_)
            | CallError::Unreachable(_)
            | CallError::Unreadable(_)),
        ) => return Err(error),
    })
}

async fn users(client: &Client, name: &str) -> Seen<Vec<UserPod>> {
    let found = read::users(client, name).await;
    let found = found.map(|pods| {
        pods.into_iter().map(|(namespace, name, revision)| UserPod { namespace, name, revision }).collect()
    });
    seen(found, "pods", "who uses it")
}

/// All about a Compute.
pub(super) async fn compute(client: &Client, compute: Compute, all_nodes: bool) -> ComputeFacts {
    let name = &compute.name.clone();
    let (placement, binding, nodes, computes, pods, workloads) = tokio::join!(
        child(client, Kind::Placement, name),
        child(client, Kind::Binding, name),
        read::nodes(client),
        read::computes(client),
        users(client, name),
        read::workloads(client, name),
    );
    let workloads = workloads
        .into_iter()
        .map(|(resource, found)| seen(found, &format!("{resource} with its label"), "which of them use it"));
    ComputeFacts {
        compute,
        placement,
        binding,
        nodes: seen(nodes, "nodes", "what its pool is"),
        computes: seen(computes, "other Computes", "which of them overlap with it"),
        pods,
        workloads: workloads.collect(),
        all_nodes,
    }
}

/// All about a change of a Compute.
pub(in crate::ctl) async fn change(
    client: &Client,
    file: String,
    document: Document,
    current: Option<Compute>,
    all_nodes: bool,
) -> ChangeFacts {
    let name = judge(&document.value()).name().to_owned();
    let (placement, binding, nodes, computes, pods) = tokio::join!(
        child(client, Kind::Placement, &name),
        child(client, Kind::Binding, &name),
        read::nodes(client),
        read::computes(client),
        users(client, &name),
    );
    ChangeFacts {
        file,
        document,
        current,
        placement,
        binding,
        nodes: seen(nodes, "nodes", "which of them would join or leave its pool"),
        computes: seen(computes, "other Computes", "which of them would overlap with it"),
        pods,
        all_nodes,
        answer: None,
    }
}

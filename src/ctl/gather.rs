//! Asks the API server for all that an answer is drawn from, all at once. What may not be seen is said, with the right that
//! is missing, and the rest is told.

use kube::Client;
use serde_json::Value;

use crate::api::listed::Listed;
use crate::cluster::call::CallError;
use crate::cluster::{computes, read};
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::view::change::ChangeFacts;
use crate::view::compute::ComputeFacts;
use crate::view::events::{self, Events};
use crate::view::manifest::Document;
use crate::view::pod::facts::{self, Pod};
use crate::view::pod::{PodFacts, Trial};
use crate::view::tree;
use crate::view::users::UserPod;
use crate::view::{Seen, Unseen};

/// What was seen; or why not, and what that leaves open.
fn seen<T>(found: Result<T, CallError>, what: &str, so: &str) -> Seen<T> {
    found.map_err(|error| Unseen { what: what.to_owned(), so: so.to_owned(), why: error.chain() })
}

/// All about a pod.
pub(super) async fn pod(client: &Client, pod: Pod, trial: Option<Trial>, all_nodes: bool) -> PodFacts {
    let name = pod.compute.clone().unwrap_or_default();
    let (compute, placement, binding, nodes) = tokio::join!(
        computes::one::<Compute>(client, &name),
        child(client, Kind::Placement, &name),
        child(client, Kind::Binding, &name),
        read::nodes(client),
    );
    let names = match &compute {
        Ok(None) if !name.is_empty() => computes::all(client).await.map(|all: Vec<Listed>| {
            let mut names: Vec<String> = all.into_iter().map(|listed| listed.metadata.name).collect();
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
        Ok(taken) => match facts::read(&taken) {
            Ok(taken) => Trial::Taken(Box::new(taken)),
            Err(why) => Trial::Unknown(format!("its answer cannot be read: {why}")),
        },
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
    let found = read::users(client, Some(name)).await;
    let found = found.map(|mut all| all.remove(name).unwrap_or_default().into_iter().map(user).collect());
    seen(found, "pods", "who uses it")
}

fn user((namespace, name, revision): read::UserPod) -> UserPod {
    UserPod { namespace, name, revision }
}

/// All about a Compute.
pub(super) async fn compute(client: &Client, compute: Compute, all_nodes: bool) -> ComputeFacts {
    let name = &compute.name.clone();
    let (placement, binding, nodes, computes, pods, workloads) = tokio::join!(
        child(client, Kind::Placement, name),
        child(client, Kind::Binding, name),
        read::nodes(client),
        computes::all(client),
        users(client, name),
        read::workloads(client, Some(name)),
    );
    let workloads = workloads.into_iter().map(|(resource, found)| {
        let found = found.map(|mut all| all.remove(name).unwrap_or_default());
        seen(found, resource, "which of them use it")
    });
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

/// All that hangs on all Computes: each kind of object is asked for once.
pub(super) async fn all(client: &Client, all_named: bool) -> Result<tree::Facts, CallError> {
    let (computes, placements, bindings, nodes, pods, workloads) = tokio::join!(
        computes::all(client),
        read::children(client, Kind::Placement),
        read::children(client, Kind::Binding),
        read::nodes(client),
        read::users(client, None),
        read::workloads(client, None),
    );
    let mut computes: Vec<Compute> = computes?;
    computes.sort_by(|a, b| a.name.cmp(&b.name));
    let pods = pods.map(|all| {
        let users = |(name, pods): (String, Vec<_>)| (name, pods.into_iter().map(user).collect());
        all.into_iter().map(users).collect()
    });
    let workloads =
        workloads.into_iter().map(|(resource, found)| seen(found, resource, "which of them use one"));
    Ok(tree::Facts {
        computes,
        placements: seen(placements, "Placements", "what is in force"),
        bindings: seen(bindings, "MutatingAdmissionPolicyBindings", "what is in force"),
        nodes: seen(nodes, "nodes", "what the pools are"),
        pods: seen(pods, "pods", "who uses them"),
        workloads: workloads.collect(),
        all: all_named,
    })
}

/// What happened to the Compute with this uid.
pub(super) async fn events(client: &Client, uid: &str) -> Seen<Events> {
    seen(read::events(client, uid).await.map(events::last), "events", "what happened of late")
}

/// All about a change of a Compute.
pub(in crate::ctl) async fn change(
    client: &Client,
    file: String,
    document: Document,
    current: Option<Compute>,
    all_nodes: bool,
) -> ChangeFacts {
    let name = document.judged().name().to_owned();
    let (placement, binding, nodes, computes, pods) = tokio::join!(
        child(client, Kind::Placement, &name),
        child(client, Kind::Binding, &name),
        read::nodes(client),
        computes::all(client),
        users(client, &name),
    );
    ChangeFacts {
        file,
        document,
        unset: Vec::new(),
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

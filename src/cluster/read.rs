//! Reads of what hangs on Computes, for explanations: by whoever asks, with that person's rights, and never a write.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ObjectList, ObjectMeta, PartialObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::names::{EVENT_NAMESPACE, LABEL_COMPUTE, compute_of_binding};
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;
use crate::decide::manifest::Kind;
use crate::decide::observed::Child;
use crate::decide::pool::Node;
use crate::decide::validate::is_object_name;
use crate::world::project;
use crate::world::users::WorkloadKind;

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// The Placement or binding of a Compute; none if there is none, as of what can be no name.
pub async fn child(client: &Client, kind: Kind, compute: &str) -> Result<Option<Child>, CallError> {
    if !is_object_name(compute) {
        return Ok(None);
    }
    let found = call(resources::children(client, kind).get_opt(&kind.name_for(compute))).await?;
    Ok(found.map(|object| project::child(kind, object)))
}

/// All Placements or bindings, by Compute.
pub async fn children(client: &Client, kind: Kind) -> Result<BTreeMap<String, Child>, CallError> {
    let all = list(&resources::children(client, kind), ListParams::default()).await?;
    let named = all.into_iter().filter_map(|object| {
        let name = object.metadata.name.as_deref()?;
        let compute = match kind {
            Kind::Placement => name,
            Kind::Binding => compute_of_binding(name)?,
        };
        Some((compute.to_owned(), project::child(kind, object)))
    });
    Ok(named.collect())
}

/// All nodes, by name.
pub async fn nodes(client: &Client) -> Result<BTreeMap<String, Node>, CallError> {
    let all = list(&resources::nodes(client), ListParams::default()).await?;
    let named =
        all.into_iter().map(|node| (node.metadata.name.clone().unwrap_or_default(), project::node(node)));
    Ok(named.collect())
}

/// A pod, as it is stored; none if there is none of that name, as of what can be no name.
pub async fn pod(client: &Client, namespace: &str, name: &str) -> Result<Option<Value>, CallError> {
    if !is_object_name(name) {
        return Ok(None);
    }
    let found = call(resources::pods_in(client, namespace).get_opt(name)).await?;
    Ok(found.map(raw))
}

/// The names of the pods of a namespace.
pub async fn pod_names(client: &Client, namespace: &str) -> Result<Vec<String>, CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = list_metadata(&api, ListParams::default()).await?;
    Ok(all.into_iter().filter_map(|pod| pod.metadata.name).collect())
}

/// A pod that carries a label: namespace, name, and the revision in its mark if the Compute that it names placed it.
pub type UserPod = (String, String, Option<u64>);

/// The unfinished pods that carry the label of a Compute, or of any, by Compute.
pub async fn users(
    client: &Client,
    compute: Option<&str>,
) -> Result<BTreeMap<String, Vec<UserPod>>, CallError> {
    let unfinished = labelled(compute).fields("status.phase!=Succeeded,status.phase!=Failed");
    let all = list_metadata(&Api::<Pod>::all(client.clone()), unfinished).await?;
    let mut users: BTreeMap<String, Vec<UserPod>> = BTreeMap::new();
    for pod in all {
        let revision = project::pod(&pod).and_then(|pod| pod.revision);
        let Some(compute) = project::workload(&pod.metadata) else { continue };
        let metadata = pod.metadata;
        let user = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default(), revision);
        users.entry(compute).or_default().push(user);
    }
    Ok(users)
}

/// The workloads that carry the label of a Compute, or of any, themselves: by resource, for a right may be missing on some
/// of them, and by Compute, as `<Kind>/<namespace>/<name>`. Jobs until they are finished, by the rule that the controller
/// counts by.
pub async fn workloads(
    client: &Client,
    compute: Option<&str>,
) -> Vec<(&'static str, Result<BTreeMap<String, Vec<String>>, CallError>)> {
    let kinds = WorkloadKind::ALL;
    join_all(kinds.map(|kind| async move { (kind.plural(), workloads_of(client, kind, compute).await) }))
        .await
}

async fn workloads_of(
    client: &Client,
    kind: WorkloadKind,
    compute: Option<&str>,
) -> Result<BTreeMap<String, Vec<String>>, CallError> {
    let labelled = labelled(compute);
    let found: Vec<ObjectMeta> = if kind == WorkloadKind::Job {
        let all = list(&resources::jobs(client), labelled).await?;
        let users = all.into_iter().filter(|job| project::job(job).is_some());
        users.map(|job| job.metadata).collect()
    } else {
        let all = list_metadata(&resources::workloads(client, kind), labelled).await?;
        all.into_iter().map(|object| object.metadata).collect()
    };
    let mut workloads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for metadata in found {
        let Some(compute) = project::workload(&metadata) else { continue };
        let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
        workloads.entry(compute).or_default().push(format!("{}/{namespace}/{name}", kind.kind()));
    }
    Ok(workloads)
}

/// What carries the label of a Compute, or of any.
fn labelled(compute: Option<&str>) -> ListParams {
    match compute {
        Some(compute) => ListParams::default().labels(&format!("{LABEL_COMPUTE}={compute}")),
        None => ListParams::default().labels(LABEL_COMPUTE),
    }
}

/// Events about an object with this uid that the API server still has.
pub async fn events(client: &Client, uid: &str) -> Result<Vec<Event>, CallError> {
    let api: Api<Event> = Api::namespaced(client.clone(), EVENT_NAMESPACE);
    list(&api, ListParams::default().fields(&format!("regarding.uid={uid}"))).await
}

/// Sends a pod through admission as a dry run: what it would be, or why it would be refused.
pub async fn try_pod(client: &Client, namespace: &str, pod: &Value) -> Result<Value, CallError> {
    let object: DynamicObject = serde_json::from_value(pod.clone())
        .map_err(|why| CallError::Unreadable(Box::new(kube::Error::SerdeError(why))))?;
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    call(resources::pods_in(client, namespace).create(&parameters, &object)).await.map(raw)
}

/// With its kind, which the API server may leave out.
fn raw(object: DynamicObject) -> Value {
    let mut pod = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = pod.as_object_mut() {
        fields.insert("kind".into(), "Pod".into());
    }
    pod
}

/// A list, page by page.
async fn list<K>(api: &Api<K>, parameters: ListParams) -> Result<Vec<K>, CallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let (items, _) = paged(parameters, async |parameters| call(api.list(parameters)).await).await?;
    Ok(items)
}

/// As [`list`], of metadata alone.
async fn list_metadata<K>(
    api: &Api<K>,
    parameters: ListParams,
) -> Result<Vec<PartialObjectMeta<K>>, CallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let (items, _) = paged(parameters, async |parameters| call(api.list_metadata(parameters)).await).await?;
    Ok(items)
}

/// All pages of a list, and its version. One that grows too old on the way (410) is begun anew, once.
pub(super) async fn paged<T: Clone>(
    parameters: ListParams,
    page: impl AsyncFn(&ListParams) -> Result<ObjectList<T>, CallError>,
) -> Result<(Vec<T>, String), CallError> {
    let mut parameters = parameters;
    parameters.limit.get_or_insert(PAGE);
    let mut all = Vec::new();
    let mut anew = true;
    loop {
        let found = match page(&parameters).await {
            Err(CallError::Refused { code: 410, .. }) if anew => {
                anew = false;
                parameters.continue_token = None;
                all.clear();
                continue;
            }
            found => found?,
        };
        all.extend(found.items);
        parameters.continue_token = found.metadata.continue_.filter(|token| !token.is_empty());
        if parameters.continue_token.is_none() {
            let version = found.metadata.resource_version.unwrap_or_default();
            return Ok((all, version));
        }
    }
}

//! Reads for explanations: by whoever asks, with that person's rights, and never a write.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ObjectList, ObjectMeta, PartialObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::names::LABEL_COMPUTE;
use crate::cluster::call::{CallError, call, named};
use crate::cluster::resources;
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::decide::pool::Node;
use crate::world::project;
use crate::world::users::WorkloadKind;

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// All Computes.
pub async fn computes(client: &Client) -> Result<Vec<Compute>, CallError> {
    let all = list(&resources::computes(client), ListParams::default()).await?;
    Ok(all.into_iter().map(project::compute).collect())
}

/// Computes in one page of a list that a person waits for: so many that one answer holds them all, almost always.
const MANY: u32 = 5_000;

/// All Computes that a label selector matches (all for none), as `K` reads them.
pub async fn computes_as<K>(client: &Client, selector: Option<&str>) -> Result<Vec<K>, CallError>
where
    K: Clone + DeserializeOwned,
{
    let mut parameters = ListParams::default().limit(MANY);
    parameters.label_selector = selector.map(str::to_owned);
    let request = kube::core::Request::new(resources::computes(client).resource_url());
    paged(parameters, async |parameters| {
        let asked = request.list(parameters).map_err(kube::Error::BuildRequest);
        call(async { client.request::<ObjectList<K>>(asked?).await }).await
    })
    .await
}

/// A Compute, and the same as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What Poros reads of it.
    pub compute: Compute,
    /// All of it.
    pub object: Value,
}

pub(super) fn stored(object: DynamicObject) -> Stored {
    let value = serde_json::to_value(&object).unwrap_or_default();
    Stored { compute: project::compute(object), object: value }
}

/// The Compute of this name, as it is stored; none if there is none.
pub async fn compute(client: &Client, name: &str) -> Result<Option<Stored>, CallError> {
    match call(resources::computes(client).get_opt(name)).await? {
        Some(object) => named(object, name).map(|object| Some(stored(object))),
        None => Ok(None),
    }
}

/// All Computes that a label selector matches (all for none), as they are stored.
pub async fn computes_stored(client: &Client, selector: Option<&str>) -> Result<Vec<Stored>, CallError> {
    let all = computes_as::<DynamicObject>(client, selector).await?;
    Ok(all.into_iter().map(stored).collect())
}

/// The Placement or binding of a Compute; none if there is none.
pub async fn child(client: &Client, kind: Kind, compute: &str) -> Result<Option<Child>, CallError> {
    let found = call(resources::children(client, kind).get_opt(&kind.name_for(compute))).await?;
    Ok(found.map(|object| project::child(kind, object)))
}

/// All nodes, by name.
pub async fn nodes(client: &Client) -> Result<BTreeMap<String, Node>, CallError> {
    let all = list(&resources::nodes(client), ListParams::default()).await?;
    let named =
        all.into_iter().map(|node| (node.metadata.name.clone().unwrap_or_default(), project::node(node)));
    Ok(named.collect())
}

/// A pod, as it is stored; none if there is none of that name.
pub async fn pod(client: &Client, namespace: &str, name: &str) -> Result<Option<Value>, CallError> {
    let found = call(resources::pods_in(client, namespace).get_opt(name)).await?;
    Ok(found.map(raw))
}

/// The names of the pods of a namespace.
pub async fn pod_names(client: &Client, namespace: &str) -> Result<Vec<String>, CallError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = list_metadata(&api, ListParams::default()).await?;
    Ok(all.into_iter().filter_map(|pod| pod.metadata.name).collect())
}

/// The unfinished pods that carry the label of a Compute: namespace, name, and the revision in their mark if that Compute
/// placed them.
pub async fn users(client: &Client, compute: &str) -> Result<Vec<(String, String, Option<u64>)>, CallError> {
    let unfinished = ListParams::default()
        .labels(&format!("{LABEL_COMPUTE}={compute}"))
        .fields("status.phase!=Succeeded,status.phase!=Failed");
    let all = list_metadata(&Api::<Pod>::all(client.clone()), unfinished).await?;
    let user = |pod: PartialObjectMeta<Pod>| {
        let revision = project::pod(&pod).and_then(|pod| pod.revision);
        let metadata = pod.metadata;
        (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default(), revision)
    };
    Ok(all.into_iter().map(user).collect())
}

/// The workloads that carry the label themselves, as `<Kind>/<namespace>/<name>`, by resource: a right may be missing on
/// some of them. Jobs until they are finished, by the rule that the controller counts by.
pub async fn workloads(
    client: &Client,
    compute: &str,
) -> Vec<(&'static str, Result<Vec<String>, CallError>)> {
    let kinds = WorkloadKind::ALL;
    join_all(kinds.map(|kind| async move { (kind.plural(), workloads_of(client, kind, compute).await) }))
        .await
}

async fn workloads_of(client: &Client, kind: WorkloadKind, compute: &str) -> Result<Vec<String>, CallError> {
    let labelled = ListParams::default().labels(&format!("{LABEL_COMPUTE}={compute}"));
    let full = |metadata: ObjectMeta| {
        let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
        format!("{}/{namespace}/{name}", kind.kind())
    };
    if kind == WorkloadKind::Job {
        let all = list(&resources::jobs(client), labelled).await?;
        let users = all.into_iter().filter(|job| project::job(job).is_some());
        return Ok(users.map(|job| full(job.metadata)).collect());
    }
    let all = list_metadata(&resources::workloads(client, kind), labelled).await?;
    Ok(all.into_iter().map(|object| full(object.metadata)).collect())
}

/// Sends a pod through admission as a dry run: what it would be, or why it would be refused.
pub async fn try_pod(client: &Client, namespace: &str, pod: &Value) -> Result<Value, CallError> {
    let object: DynamicObject = serde_json::from_value(pod.clone())
        .map_err(|why| CallError::Unreadable(Box::new(kube::Error::SerdeError(why))))?;
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    call(resources::pods_in(client, namespace).create(&parameters, &object)).await.map(raw)
}

fn raw(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// A list, page by page.
async fn list<K>(api: &Api<K>, parameters: ListParams) -> Result<Vec<K>, CallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    paged(parameters, async |parameters| call(api.list(parameters)).await).await
}

/// As [`list`], of metadata alone.
async fn list_metadata<K>(
    api: &Api<K>,
    parameters: ListParams,
) -> Result<Vec<PartialObjectMeta<K>>, CallError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    paged(parameters, async |parameters| call(api.list_metadata(parameters)).await).await
}

/// All pages of a list. One that grows too old on the way (410) is begun anew, once.
async fn paged<T: Clone>(
    parameters: ListParams,
    page: impl AsyncFn(&ListParams) -> Result<ObjectList<T>, CallError>,
) -> Result<Vec<T>, CallError> {
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
        match found.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}

//! Asks the API server what it is, and what it serves.

use kube::Client;
use serde_json::Value;

use crate::api::names::{API_VERSION, GROUP};
use crate::cluster::call::{CallError, call};
use crate::decide::policies::SharedKind;

/// The version of the API server that answers: `v1.36.3`.
pub async fn version(client: &Client) -> Result<String, CallError> {
    call(client.apiserver_version()).await.map(|info| info.git_version)
}

/// The versions in which it serves Computes, the preferred one first; none where it does not.
pub async fn computes(client: &Client) -> Result<Vec<String>, CallError> {
    let groups = call(client.list_api_groups()).await?.groups;
    let Some(group) = groups.into_iter().find(|group| group.name == GROUP) else { return Ok(Vec::new()) };
    let mut versions: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
    let preferred = group.preferred_version.map(|version| version.version);
    versions.sort_by_key(|version| Some(version) != preferred.as_ref());
    Ok(versions)
}

/// The OpenAPI v3 document of our group and version: the schemas of the CRDs that are served. [`CallError::Unserved`] where none is.
pub async fn schemas(client: &Client) -> Result<Value, CallError> {
    let request = http::Request::get(format!("/openapi/v3/apis/{API_VERSION}")).body(Vec::new());
    let request = request.map_err(|error| CallError::Unreadable(Box::new(kube::Error::HttpError(error))))?;
    call(client.request(request)).await
}

/// Whether the API server that answers serves MutatingAdmissionPolicies and their bindings at `v1` (Kubernetes 1.36).
pub async fn serves_policies(client: &Client) -> Result<bool, CallError> {
    let served = call(client.list_api_group_resources("admissionregistration.k8s.io/v1")).await?;
    let has = |kind: SharedKind| served.resources.iter().any(|resource| resource.name == kind.plural());
    // Every Kubernetes that Poros runs on has these: an answer without them is none, and must not change what places pods.
    if !has(SharedKind::Validating) {
        return Err(CallError::Otherwise(SharedKind::Validating.plural().into()));
    }
    Ok(has(SharedKind::Mutating) && has(SharedKind::MutatingBinding))
}

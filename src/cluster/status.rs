//! Writes to a Compute itself: its status and its finalizer, each guarded by uid and resourceVersion.

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::api::names::{API_VERSION, FINALIZER, MANAGER_STATUS};
use crate::api::status::ComputeStatus;
use crate::cluster::call::{CallError, call, named};
use crate::cluster::resources;
use crate::decide::observed::Compute;
use crate::world::project;

/// Replaces the status. Gives back the Compute as stored.
pub async fn write(client: &Client, compute: &Compute, status: &ComputeStatus) -> Result<Compute, CallError> {
    let object = json!({
        "apiVersion": API_VERSION,
        "kind": "Compute",
        "metadata": {"name": compute.name, "uid": compute.uid, "resourceVersion": compute.resource_version},
        "status": status,
    });
    let object: DynamicObject = serde_json::from_value(object)
        .map_err(|error| CallError::Unreadable(Box::new(kube::Error::SerdeError(error))))?;
    let parameters = PostParams { field_manager: Some(MANAGER_STATUS.into()), ..PostParams::default() };
    let api = resources::computes(client);
    let stored = call(api.replace_status(&compute.name, &parameters, &object)).await?;
    named(stored, &compute.name).map(project::compute)
}

/// Adds the finalizer. Gives back the Compute as stored.
pub async fn hold(client: &Client, compute: &Compute) -> Result<Compute, CallError> {
    let mut finalizers = compute.finalizers.clone();
    finalizers.push(FINALIZER.into());
    patch_finalizers(client, compute, &finalizers).await.map(project::compute)
}

/// Removes the finalizer: the last thing that Poros does for a Compute.
pub async fn release(client: &Client, compute: &Compute) -> Result<(), CallError> {
    let finalizers: Vec<_> = compute.finalizers.iter().filter(|held| *held != FINALIZER).cloned().collect();
    match patch_finalizers(client, compute, &finalizers).await {
        Ok(_) | Err(CallError::NotFound(_) | CallError::Unserved(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn patch_finalizers(
    client: &Client,
    compute: &Compute,
    finalizers: &[String],
) -> Result<DynamicObject, CallError> {
    let patch = json!({"metadata": {
        "uid": compute.uid,
        "resourceVersion": compute.resource_version,
        "finalizers": finalizers,
    }});
    let parameters = PatchParams { field_manager: Some(MANAGER_STATUS.into()), ..PatchParams::default() };
    let stored =
        call(resources::computes(client).patch(&compute.name, &parameters, &Patch::Merge(&patch))).await?;
    named(stored, &compute.name)
}

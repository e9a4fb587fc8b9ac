//! Removes a Compute on behalf of whoever asks: the incarnation that was looked at, and no other. And what Poros wrote for
//! itself alone, when it is uninstalled.

use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::api::names::{ANNOTATION_DELETE_IN_USE, LEASE, WEBHOOK_SECRET};
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;

/// Asks for the deletion of this incarnation; it may go later, when its finalizers are done. `false`: it is gone already.
pub async fn delete(client: &Client, name: &str, uid: &str, dry_run: bool) -> Result<bool, CallError> {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let parameters =
        DeleteParams { dry_run, preconditions: Some(preconditions), ..DeleteParams::background() };
    match call(resources::computes(client).delete(name, &parameters)).await {
        Ok(_) => Ok(true),
        Err(CallError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sets the annotation that allows the deletion of this incarnation while it is in use, or takes it away.
pub async fn allow_in_use(client: &Client, name: &str, uid: &str, allowed: bool) -> Result<(), CallError> {
    let value = allowed.then_some("true");
    // Another uid than the stored one is refused.
    let patch = json!({"metadata": {"uid": uid, "annotations": {ANNOTATION_DELETE_IN_USE: value}}});
    let api = resources::computes(client);
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
    match call(api.patch(name, &parameters, &patch)).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused { code: 422, message }) if message.contains("metadata.uid") => {
            Err(CallError::Conflict(message))
        }
        Err(error) => Err(error),
    }
}

/// Deletes what Poros wrote for itself alone: its Lease, and the certificates of its webhook.
pub async fn own(client: &Client, namespace: &str) -> Result<(), CallError> {
    let lease = (resources::leases(client, namespace), LEASE);
    let certificates = (resources::core(client, Some(namespace), "Secret", "secrets"), WEBHOOK_SECRET);
    for (api, name) in [lease, certificates] {
        match call(api.delete(name, &DeleteParams::background())).await {
            Ok(_) | Err(CallError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

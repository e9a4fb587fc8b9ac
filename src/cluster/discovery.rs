//! Asks the API server whether it has MutatingAdmissionPolicy.

use kube::Client;

use crate::cluster::call::{CallError, call};
use crate::decide::policies::SharedKind;

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

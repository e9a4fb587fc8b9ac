//! Writes the MutatingWebhookConfiguration of Poros: the whole of it, or only whom the API server is to trust.

use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::Value;

use crate::api::names::{MANAGER_BUILDER, WEBHOOK};
use crate::cluster::call::{CallError, call};
use crate::cluster::{install, resources};
use crate::decide::policies::SharedKind;

/// Applies all of it (`--manage-policies`).
pub async fn apply(client: &Client, object: &Value) -> Result<(), CallError> {
    install::apply(&resources::shared(client, SharedKind::Webhook), WEBHOOK, object).await
}

/// Carries out a JSON patch.
pub async fn patch(client: &Client, operations: Vec<Value>) -> Result<(), CallError> {
    let patch = serde_json::from_value(Value::Array(operations))
        .map_err(|error| CallError::Unreadable(Box::new(kube::Error::SerdeError(error))))?;
    let parameters = PatchParams { field_manager: Some(MANAGER_BUILDER.into()), ..PatchParams::default() };
    let api = resources::shared(client, SharedKind::Webhook);
    call(api.patch(WEBHOOK, &parameters, &Patch::<Value>::Json(patch))).await.map(|_| ())
}

/// Removes it, if it is there.
pub async fn remove(client: &Client) -> Result<(), CallError> {
    let api = resources::shared(client, SharedKind::Webhook);
    match call(api.delete(WEBHOOK, &DeleteParams::background())).await {
        Ok(_) | Err(CallError::NotFound(_) | CallError::Unserved(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

//! The Secret with the certificates of the webhook. Whoever comes first creates it; all others read.

use k8s_openapi::ByteString;
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use serde_json::json;

use crate::api::names::{LABEL_MANAGED_BY, MANAGED_BY, MANAGER_BUILDER, WEBHOOK_SECRET};
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;
use crate::decide::certificate::{Keyring, StoredKeyring};
use crate::world::project;

/// Reads it; none if it is not there.
pub async fn read(client: &Client, namespace: &str) -> Result<Option<StoredKeyring>, CallError> {
    let api = resources::core(client, Some(namespace), "Secret", "secrets");
    let found = call(api.get_opt(WEBHOOK_SECRET)).await?;
    Ok(found.map(|secret| project::keyring(&secret)))
}

/// Stores it: over the version that was read, or as a new one. A conflict says that another replica was first.
pub async fn write(
    client: &Client,
    namespace: &str,
    over: Option<&StoredKeyring>,
    keyring: &Keyring,
) -> Result<StoredKeyring, CallError> {
    let unreadable = |error| CallError::Unreadable(Box::new(kube::Error::SerdeError(error)));
    let stored = ByteString(serde_json::to_vec(keyring).map_err(unreadable)?);
    let bundle = ByteString(keyring.bundle().into_bytes());
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": WEBHOOK_SECRET, "namespace": namespace, "labels": {LABEL_MANAGED_BY: MANAGED_BY}},
        "type": "Opaque",
        // The authorities are there for people and for who wants to check the registration.
        "data": {project::KEYRING: stored, "ca.crt": bundle},
    });
    if let Some(over) = over {
        object["metadata"]["resourceVersion"] = json!(over.resource_version);
    }
    let object: DynamicObject = serde_json::from_value(object).map_err(unreadable)?;
    let parameters = PostParams { field_manager: Some(MANAGER_BUILDER.into()), ..PostParams::default() };
    let api = resources::core(client, Some(namespace), "Secret", "secrets");
    let result = match over {
        Some(_) => call(api.replace(WEBHOOK_SECRET, &parameters, &object)).await,
        None => call(api.create(&parameters, &object)).await,
    };
    result.map(|secret| project::keyring(&secret))
}

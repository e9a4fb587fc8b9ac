//! Creates a Compute, as it is written down.

use kube::Client;
use kube::api::PostParams;
use serde_json::Value;

use crate::api::names::MANAGER_BUILDER;
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;

/// Creates it; a conflict says that there is one of its name.
pub async fn create(client: &Client, manifest: &Value) -> Result<(), CallError> {
    let unreadable = |error| CallError::Unreadable(Box::new(kube::Error::SerdeError(error)));
    let object = serde_json::from_value(manifest.clone()).map_err(unreadable)?;
    let parameters = PostParams { field_manager: Some(MANAGER_BUILDER.into()), ..PostParams::default() };
    call(resources::computes(client).create(&parameters, &object)).await.map(|_| ())
}

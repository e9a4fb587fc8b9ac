//! Writes of people to Computes: what `dataos-ctl apply` and its like send, with the rights of who asks.
//!
//! New ones too are made by server-side apply: by a plain create the fields would belong to another kind of manager of the
//! same name, and the next apply would be in conflict with it.

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::Value;

use crate::api::names::MANAGER_CTL;
use crate::cluster::call::{CallError, call, named};
use crate::cluster::resources;

/// How a manifest is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Whether the API server is only to say what it would store.
    pub dry_run: bool,
    /// Whether fields that another manager holds are taken over.
    pub force: bool,
}

/// The Compute of this name, as it is stored; none if there is none.
pub async fn stored(client: &Client, name: &str) -> Result<Option<DynamicObject>, CallError> {
    match call(resources::computes(client).get_opt(name)).await? {
        Some(object) => named(object, name).map(Some),
        None => Ok(None),
    }
}

/// Server-side apply. Gives back the Compute as it is, or would be, stored.
pub async fn apply(
    client: &Client,
    name: &str,
    manifest: &Value,
    how: Sending,
) -> Result<DynamicObject, CallError> {
    let parameters = PatchParams {
        dry_run: how.dry_run,
        force: how.force,
        field_manager: Some(MANAGER_CTL.into()),
        // Strict: what was misspelled is refused, not dropped.
        field_validation: Some(kube::api::ValidationDirective::Strict),
    };
    let api = resources::computes(client);
    let object = call(api.patch(name, &parameters, &Patch::Apply(manifest))).await?;
    if how.dry_run { Ok(object) } else { named(object, name) }
}

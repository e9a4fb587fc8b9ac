//! The Lease of the leader: read, created, updated. Each write fails if somebody else wrote in between.

use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use crate::api::names::{LEASE, MANAGER_LEADER};
use crate::cluster::call::{CallError, call_within};
use crate::cluster::resources;
use crate::decide::lease::Record;

/// Where the Lease is, and how long a call about it may take.
#[derive(Clone)]
pub struct Place {
    /// The API server.
    pub client: Client,
    /// The namespace of Poros.
    pub namespace: String,
    /// The longest that a call may take.
    pub limit: Duration,
}

impl Place {
    /// Reads the Lease; none if there is none.
    pub async fn read(&self) -> Result<Option<Record>, CallError> {
        let found = call_within(self.limit, self.leases().get_opt(LEASE)).await?;
        found.as_ref().map(record).transpose()
    }

    /// Writes the Lease: a create if there is none, else an update over what `manifest` was made from.
    pub async fn write(&self, manifest: &Value, create: bool) -> Result<Record, CallError> {
        let object: DynamicObject = serde_json::from_value(manifest.clone()).map_err(unreadable)?;
        let parameters = PostParams { field_manager: Some(MANAGER_LEADER.into()), ..PostParams::default() };
        let leases = self.leases();
        let stored = if create {
            call_within(self.limit, leases.create(&parameters, &object)).await
        } else {
            call_within(self.limit, leases.replace(LEASE, &parameters, &object)).await
        };
        record(&stored?)
    }

    fn leases(&self) -> kube::Api<DynamicObject> {
        resources::leases(&self.client, &self.namespace)
    }
}

fn record(object: &DynamicObject) -> Result<Record, CallError> {
    serde_json::to_value(object).map(Record::new).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> CallError {
    CallError::Unreadable(Box::new(kube::Error::SerdeError(error)))
}

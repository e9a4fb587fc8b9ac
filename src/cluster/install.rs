//! Installs what the chart installs in a cluster: for the demo and the tests (`--manage-policies`).

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::names::{LABEL_MANAGED_BY, MANAGED_BY, MANAGER_BUILDER, PROBE_SERVICE_ACCOUNT};
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;
use crate::decide::policies::Shared;

/// Makes the namespace of Poros and the service account of the probe.
pub async fn namespace(client: &Client, namespace: &str) -> Result<(), CallError> {
    let labels = json!({LABEL_MANAGED_BY: MANAGED_BY});
    let object =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
    apply(&resources::core(client, None, "Namespace", "namespaces"), namespace, &object).await?;
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": PROBE_SERVICE_ACCOUNT, "labels": labels},
        "automountServiceAccountToken": false,
    });
    let accounts = resources::core(client, Some(namespace), "ServiceAccount", "serviceaccounts");
    apply(&accounts, PROBE_SERVICE_ACCOUNT, &account).await
}

/// Applies a shared policy or its binding.
pub async fn policy(client: &Client, shared: &Shared) -> Result<(), CallError> {
    apply(&resources::shared(client, shared.kind), shared.name, &shared.to_json()).await
}

/// Applies an object (server-side apply), over whatever others say.
pub(super) async fn apply(api: &Api<DynamicObject>, name: &str, object: &Value) -> Result<(), CallError> {
    let parameters = PatchParams::apply(MANAGER_BUILDER).force();
    call(api.patch(name, &parameters, &Patch::Apply(object))).await.map(|_| ())
}

//! Writes events (events.k8s.io/v1), each at most once: its name says which one it is.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Stored;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::api::names::{
    API_VERSION, EVENT_NAMESPACE, LABEL_MANAGED_BY, MANAGED_BY, MANAGER_STATUS, REPORTING_CONTROLLER,
};
use crate::cluster::call::{CallError, call};
use crate::decide::events::{Event, name};

/// Writes an event about the incarnation `uid` of a Compute; `instance` is the process that tells it (`reportingInstance`).
/// [`CallError::Conflict`] says that it is there already.
pub async fn write(
    client: &Client,
    compute: &str,
    uid: &str,
    event: &Event,
    instance: &str,
) -> Result<(), CallError> {
    let stored = Stored {
        metadata: ObjectMeta {
            name: Some(name(compute, uid, event)),
            namespace: Some(EVENT_NAMESPACE.into()),
            labels: Some([(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned())].into()),
            ..ObjectMeta::default()
        },
        regarding: Some(ObjectReference {
            api_version: Some(API_VERSION.into()),
            kind: Some("Compute".into()),
            name: Some(compute.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }),
        event_time: Some(MicroTime(event.time)),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(event.reason.word().into()),
        action: Some(event.action.into()),
        note: Some(event.note.clone()),
        reporting_controller: Some(REPORTING_CONTROLLER.into()),
        reporting_instance: Some(instance.to_owned()),
        ..Stored::default()
    };
    let parameters = PostParams { field_manager: Some(MANAGER_STATUS.into()), ..PostParams::default() };
    let api: Api<Stored> = Api::namespaced(client.clone(), EVENT_NAMESPACE);
    call(api.create(&parameters, &stored)).await.map(|_| ())
}

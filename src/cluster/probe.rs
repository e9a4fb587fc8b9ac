//! Sends the pod of a proof through the API server's admission, as a dry run.

use kube::Client;
use kube::api::PostParams;

use crate::api::names::MANAGER_BUILDER;
use crate::cluster::call::{CallError, call};
use crate::cluster::resources;
use crate::decide::prove::{self, Answer};

/// Sends the probe for a Compute, of this image, in this namespace.
pub async fn probe(client: &Client, namespace: &str, image: &str, compute: &str) -> Answer {
    let parameters = PostParams { dry_run: true, field_manager: Some(MANAGER_BUILDER.into()) };
    let Ok(pod) = serde_json::from_value(prove::pod(compute, image)) else {
        return Answer::None("the probe could not be written down".into());
    };
    match call(resources::pods_in(client, namespace).create(&parameters, &pod)).await {
        Ok(pod) => match serde_json::to_value(&pod) {
            Ok(pod) => Answer::Pod(pod),
            Err(error) => Answer::None(error.to_string()),
        },
        Err(CallError::Forbidden(why)) => Answer::Forbidden(why),
        Err(CallError::NotFound(why) | CallError::Unserved(why) | CallError::Conflict(why)) => {
            Answer::Refused(why)
        }
        Err(CallError::Refused { message, code }) if code < 500 && code != 429 => Answer::Refused(message),
        Err(error) => Answer::None(error.chain()),
    }
}

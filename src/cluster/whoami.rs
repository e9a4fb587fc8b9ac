//! Who asks, as the API server sees it.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Client;
use kube::api::{Api, PostParams};

use crate::cluster::call::{CallError, call};

/// The user name of who asks (authentication.k8s.io/v1 `SelfSubjectReview`, KEP-3325). Every user may ask.
pub async fn whoami(client: &Client) -> Result<String, CallError> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let asked = call(api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    let user = asked.status.and_then(|status| status.user_info).and_then(|user| user.username);
    user.ok_or_else(|| CallError::Otherwise("a SelfSubjectReview with a user name".into()))
}

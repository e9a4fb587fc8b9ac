//! Asks the API server what somebody may do.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::Client;
use kube::api::{Api, PostParams};

use crate::api::names::{GROUP, VERB_ASSIGN_OWNER};
use crate::cluster::call::{CallError, call};
use crate::decide::admission::Subject;

/// Whether somebody may name another as the owner of this Compute.
pub async fn may_assign_owner(client: &Client, subject: Subject, compute: &str) -> Result<bool, CallError> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(subject.username),
            uid: Some(subject.uid),
            groups: Some(subject.groups),
            extra: Some(subject.extra),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.into()),
                resource: Some("computes".into()),
                name: Some(compute.to_owned()),
                verb: Some(VERB_ASSIGN_OWNER.into()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = call(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status: SubjectAccessReviewStatus| status.allowed))
}

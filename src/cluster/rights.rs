//! Asks the API server what Poros itself may do. Every account may ask that, unless the cluster took it away.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use crate::api::names::EVENT_NAMESPACE;
use crate::cluster::call::{CallError, call};
use crate::decide::lacks::{self, Permission, Rule};

/// Of what is needed, what Poros may not do; `home` is its namespace. Two requests where it may do all, and one more for
/// each permission that no rule gives: an authorizer need not tell its rules.
pub async fn lacking(
    client: &Client,
    home: &str,
    needed: &[Permission],
) -> Result<Vec<Permission>, CallError> {
    let (at_home, of_events) = (rules(client, home).await?, rules(client, EVENT_NAMESPACE).await?);
    let mut lacking = Vec::new();
    for permission in lacks::lacking(needed, &at_home, &of_events) {
        if !may(client, home, &permission).await? {
            lacking.push(permission);
        }
    }
    Ok(lacking)
}

async fn rules(client: &Client, namespace: &str) -> Result<Vec<Rule>, CallError> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let answer = call(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.unwrap_or_default().resource_rules.into_iter().map(rule).collect())
}

fn rule(told: ResourceRule) -> Rule {
    let ResourceRule { api_groups, resources, resource_names, verbs } = told;
    Rule {
        groups: api_groups.unwrap_or_default(),
        resources: resources.unwrap_or_default(),
        names: resource_names.unwrap_or_default(),
        verbs,
    }
}

async fn may(client: &Client, home: &str, permission: &Permission) -> Result<bool, CallError> {
    let (resource, part) = permission.resource.split_once('/').unwrap_or((permission.resource, ""));
    let attributes = ResourceAttributes {
        group: Some(permission.group.into()),
        resource: Some(resource.into()),
        subresource: Some(part.into()),
        name: permission.name.map(str::to_owned),
        namespace: permission.scope.namespace(home).map(str::to_owned),
        verb: Some(permission.verb.into()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = call(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

//! What a policy matches, with the fields that the API server would default.

use serde_json::{Value, json};

use crate::api::names::LABEL_COMPUTE;

/// A rule: which operations on which resources of a group.
pub(super) fn rule(group: &str, version: &str, operations: &[&str], resources: &[&str]) -> Value {
    json!({
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": operations,
        "resources": resources,
        "scope": "*",
    })
}

/// `matchConstraints` with the API server's defaults.
pub(super) fn matching(rules: &[Value], objects: &Value) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": objects,
        "resourceRules": rules,
    })
}

/// Pods that carry the label. Other pods pay nothing.
pub(super) fn labelled_pods(operation: &str) -> Value {
    let labelled = json!({"matchExpressions": [{"key": LABEL_COMPUTE, "operator": "Exists"}]});
    matching(&[rule("", "v1", &[operation], &["pods"])], &labelled)
}

/// `matchResources` of a binding that speaks of these namespaces only.
pub(super) fn in_namespaces(expressions: &Value) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchExpressions": expressions},
        "objectSelector": {},
    })
}

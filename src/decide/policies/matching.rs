//! What a policy matches, with the fields that the API server would default.

use serde_json::{Value, json};

/// `matchConstraints` with the API server's defaults.
pub(super) fn matching(
    groups: &Value,
    versions: &Value,
    operations: &Value,
    resources: &Value,
    objects: &Value,
) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": objects,
        "resourceRules": [{
            "apiGroups": groups,
            "apiVersions": versions,
            "operations": operations,
            "resources": resources,
            "scope": "*",
        }],
    })
}

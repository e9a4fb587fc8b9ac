//! The policies that Computes go through: one sets finalizer and owner, one refuses to delete what is in use.

use serde_json::{Value, json};

use crate::api::names::{ANNOTATION_DELETE_IN_USE, FINALIZER, GROUP, VERSION};
use crate::decide::policies::matching::matching;

fn on_computes(operations: &Value) -> Value {
    matching(&json!([GROUP]), &json!([VERSION]), operations, &json!(["computes"]), &json!({}))
}

/// Sets the finalizer at create, and the owner at create and update.
///
/// Who changes metadata alone (Poros, adding its finalizer) becomes no owner. The owner is who created the Compute, and stays so; only who may `assign-owner` (a GitOps controller) can name
/// another.
pub(super) fn computes() -> Value {
    let may_assign = format!(
        "authorizer.group('{GROUP}').resource('computes').name(object.metadata.name).check('assign-owner').allowed()"
    );
    let expression = format!(
        "((has(object.spec.owner) && object.spec.owner == variables.owner) || variables.asItWas ? [] : \
         [JSONPatch{{op: \"add\", path: \"/spec/owner\", value: variables.owner}}]) + \
         (request.operation != 'CREATE' ? [] : \
         (has(object.metadata.finalizers) ? [] : [JSONPatch{{op: \"add\", path: \"/metadata/finalizers\", value: []}}]) + \
         (has(object.metadata.finalizers) && object.metadata.finalizers.exists(f, f == \"{FINALIZER}\") ? [] : \
         [JSONPatch{{op: \"add\", path: \"/metadata/finalizers/-\", value: \"{FINALIZER}\"}}]))"
    );
    json!({
        "matchConstraints": on_computes(&json!(["CREATE", "UPDATE"])),
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "variables": [
            {"name": "mayAssign", "expression": may_assign},
            {"name": "asItWas", "expression": "request.operation == 'UPDATE' && object.spec == oldObject.spec"},
            {"name": "kept", "expression": "request.operation == 'UPDATE' && has(oldObject.spec.owner) ? oldObject.spec.owner : request.userInfo.username"},
            {"name": "owner", "expression": "variables.mayAssign && has(object.spec.owner) ? object.spec.owner : variables.kept"},
        ],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    })
}

/// Refuses to delete a Compute that pods use, unless it detaches them or carries the escape.
pub(super) fn in_use() -> Value {
    json!({
        "matchConstraints": on_computes(&json!(["DELETE"])),
        "failurePolicy": "Fail",
        "variables": [
            {"name": "users", "expression": "has(oldObject.status) && has(oldObject.status.users) ? oldObject.status.users.pods : 0"},
            {"name": "examples", "expression": "variables.users > 0 && has(oldObject.status.users.examples) ? ' (' + oldObject.status.users.examples.join(', ') + ')' : ''"},
        ],
        "validations": [{
            "expression": format!("variables.users == 0 || oldObject.spec.deletionPolicy == 'Detach' || (has(oldObject.metadata.annotations) && '{ANNOTATION_DELETE_IN_USE}' in oldObject.metadata.annotations && oldObject.metadata.annotations['{ANNOTATION_DELETE_IN_USE}'] != 'false')"),
            "messageExpression": format!("'Compute ' + oldObject.metadata.name + ' is in use by ' + string(variables.users) + (variables.users == 1 ? ' pod' : ' pods') + variables.examples + '; remove them first, or allow it: kubectl annotate compute ' + oldObject.metadata.name + ' {ANNOTATION_DELETE_IN_USE}=true'"),
            "reason": "Forbidden",
        }],
    })
}

//! The policies that Computes go through: one sets finalizer and owner, one refuses to delete what is in use.

use serde_json::{Value, json};

use crate::api::names::{ANNOTATION_DELETE_IN_USE, FINALIZER, GROUP, VERB_ASSIGN_OWNER, VERSION};
use crate::decide::policies::matching::{matching, rule};

fn on_computes(operations: &[&str]) -> Value {
    matching(&[rule(GROUP, VERSION, operations, &["computes"])], &json!({}))
}

/// Sets the finalizer at create, and the owner at create and update.
///
/// Who changes metadata alone (Poros, adding its finalizer) becomes no owner. The owner is who created the Compute, and
/// stays so; only who may `assign-owner` (a GitOps controller) can name another.
pub(super) fn computes() -> Value {
    // With `generateName` there is no name yet: then the right is asked for on all Computes.
    let may_assign = format!(
        "authorizer.group('{GROUP}').resource('computes').name(object.metadata.?name.orValue('')).check('{VERB_ASSIGN_OWNER}').allowed()"
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
        "matchConstraints": on_computes(&["CREATE", "UPDATE"]),
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

/// Refuses to delete a Compute that pods or workloads use, unless it detaches them or carries the escape.
pub(super) fn in_use() -> Value {
    let count = |field: &str| {
        let expression = format!(
            "has(oldObject.status) && has(oldObject.status.users) && has(oldObject.status.users.{field}) ? oldObject.status.users.{field} : 0"
        );
        json!({"name": field, "expression": expression})
    };
    let counted = |field: &str, one: &str| {
        format!(
            "(variables.{field} == 0 ? [] : [string(variables.{field}) + (variables.{field} == 1 ? ' {one}' : ' {one}s')])"
        )
    };
    let escape = format!("oldObject.metadata.annotations['{ANNOTATION_DELETE_IN_USE}'] != 'false'");
    json!({
        "matchConstraints": on_computes(&["DELETE"]),
        "failurePolicy": "Fail",
        "variables": [
            count("pods"),
            count("workloads"),
            {"name": "examples", "expression": "has(oldObject.status) && has(oldObject.status.users) && has(oldObject.status.users.examples) && oldObject.status.users.examples.size() > 0 ? ' (' + oldObject.status.users.examples.join(', ') + (oldObject.status.users.examples.size() < variables.pods + variables.workloads ? ', …)' : ')') : ''"},
        ],
        "validations": [{
            "expression": format!("variables.pods + variables.workloads == 0 || oldObject.spec.deletionPolicy == 'Detach' || (has(oldObject.metadata.annotations) && '{ANNOTATION_DELETE_IN_USE}' in oldObject.metadata.annotations && {escape})"),
            "messageExpression": format!("'Compute ' + oldObject.metadata.name + ' is in use by ' + ({} + {}).join(' and ') + variables.examples + '; remove them first, or allow it: kubectl annotate compute ' + oldObject.metadata.name + ' {ANNOTATION_DELETE_IN_USE}=true'", counted("pods", "pod"), counted("workloads", "workload")),
            "reason": "Forbidden",
        }],
    })
}

//! The policies that pods go through: one strips marks, one places, one refuses what was not placed.

use serde_json::{Value, json};

use crate::api::names::{API_VERSION, LABEL_COMPUTE, MARK_CLOSED, MARK_CONFLICT, MARK_PLACED_BY};
use crate::decide::policies::matching::labelled_pods;

pub(super) fn patch(expression: &str) -> Value {
    json!({"patchType": "JSONPatch", "jsonPatch": {"expression": expression}})
}

pub(super) fn add(path: &str, value: &str) -> String {
    format!(r#"JSONPatch{{op: "add", path: {path}, value: {value}}}"#)
}

fn annotation(key: &str) -> String {
    format!(r#""/metadata/annotations/" + jsonpatch.escapeKey("{key}")"#)
}

/// What the expressions of [`patches`] speak of.
pub(super) fn variables() -> Vec<Value> {
    vec![
        json!({"name": "sel", "expression": "has(params.spec.nodeSelector) ? params.spec.nodeSelector : {}"}),
        json!({"name": "tol", "expression": "has(params.spec.tolerations) ? params.spec.tolerations : []"}),
        json!({"name": "own", "expression": "has(object.spec.nodeSelector) ? object.spec.nodeSelector : {}"}),
        json!({
            "name": "conflicts",
            "expression": "variables.sel.filter(k, k in variables.own && variables.own[k] != variables.sel[k])",
        }),
    ]
}

/// Expressions that mark a pod `<compute>/<revision>`, add to its node selector, and add to its tolerations.
pub(super) fn patches() -> [String; 3] {
    let empty_annotations = add(r#""/metadata/annotations""#, "{}");
    let mark =
        add(&annotation(MARK_PLACED_BY), r#"params.metadata.name + "/" + string(params.spec.revision)"#);
    let closed = add(&annotation(MARK_CLOSED), r#""true""#);
    let conflict = add(
        &annotation(MARK_CONFLICT),
        r#"variables.conflicts.map(k, k + "=" + variables.own[k] + " (pool: " + variables.sel[k] + ")").join(", ")"#,
    );
    let marks = format!(
        "(has(object.metadata.annotations) ? [] : [{empty_annotations}]) + [{mark}] + \
         (has(params.spec.closed) && params.spec.closed ? [{closed}] : []) + \
         (variables.conflicts.size() == 0 ? [] : [{conflict}])"
    );
    let selector = format!(
        "(has(object.spec.nodeSelector) ? [] : [{}]) + variables.sel.filter(k, !(k in variables.own)).map(k, {})",
        add(r#""/spec/nodeSelector""#, "{}"),
        add(r#""/spec/nodeSelector/" + jsonpatch.escapeKey(k)"#, "variables.sel[k]"),
    );
    let tolerations = format!(
        "(has(object.spec.tolerations) ? [] : [{}]) + variables.tol.filter(t, !has(object.spec.tolerations) || \
         !object.spec.tolerations.exists(x, x == t)).map(t, {})",
        add(r#""/spec/tolerations""#, "[]"),
        add(r#""/spec/tolerations/-""#, "t"),
    );
    [marks, selector, tolerations]
}

/// Places a pod as the Placement says, and marks it `<compute>/<revision>`.
///
/// It adds only absent keys and tolerations, so that running it twice changes nothing; keys on which pod and pool
/// differ are marked, and [`placed`] refuses the pod for them. `nodeSelector` and `tolerations` are atomic to
/// server-side apply, hence JSON Patch.
pub(super) fn placement() -> Value {
    json!({
        "paramKind": {"apiVersion": API_VERSION, "kind": "Placement"},
        "matchConstraints": labelled_pods("CREATE"),
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "variables": variables(),
        "mutations": patches().map(|expression| patch(&expression)),
    })
}

/// An expression that removes the marks that a pod has.
pub(super) fn stripped() -> String {
    format!(
        "!has(object.metadata.annotations) ? [] : [\"{MARK_PLACED_BY}\", \"{MARK_CONFLICT}\", \"{MARK_CLOSED}\"]\
         .filter(k, k in object.metadata.annotations)\
         .map(k, JSONPatch{{op: \"remove\", path: \"/metadata/annotations/\" + jsonpatch.escapeKey(k)}})"
    )
}

/// Removes the marks from what a user sent, so that none can be copied or forged.
pub(super) fn marks() -> Value {
    json!({
        "matchConstraints": labelled_pods("CREATE"),
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [patch(&stripped())],
    })
}

/// Refuses a pod without a fitting mark: its Compute is not in force. It needs no Poros to hold.
pub(super) fn placed() -> Value {
    json!({
        "matchConstraints": labelled_pods("CREATE"),
        "failurePolicy": "Fail",
        "variables": [
            {"name": "name", "expression": format!("object.metadata.labels['{LABEL_COMPUTE}']")},
            {"name": "ann", "expression": "has(object.metadata.annotations) ? object.metadata.annotations : {}"},
        ],
        "validations": [
            {
                "expression": format!("'{MARK_PLACED_BY}' in variables.ann && variables.ann['{MARK_PLACED_BY}'].startsWith(variables.name + '/')"),
                "messageExpression": format!("variables.name == '' ? 'the label {LABEL_COMPUTE} is empty: name a Compute, or drop the label' : 'Compute ' + variables.name + ' is not in force: it does not exist, is being built or removed, or could not be built (kubectl describe compute ' + variables.name + ')'"),
                "reason": "Forbidden",
            },
            {
                "expression": format!("!('{MARK_CLOSED}' in variables.ann)"),
                "messageExpression": "'Compute ' + variables.name + ' is being deleted and takes no new pods: name another Compute'",
                "reason": "Forbidden",
            },
            {
                "expression": "!has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(o, o.kind == 'DaemonSet')",
                "messageExpression": format!("'a DaemonSet plans from its own template: put the node selector of Compute ' + variables.name + ' there and drop the label {LABEL_COMPUTE}'"),
                "reason": "Invalid",
            },
            {
                "expression": format!("!('{MARK_CONFLICT}' in variables.ann)"),
                "messageExpression": format!("'the pod asks for other nodes than Compute ' + variables.name + ' has: ' + variables.ann['{MARK_CONFLICT}'] + '; drop these keys from its nodeSelector'"),
                "reason": "Invalid",
            },
        ],
    })
}

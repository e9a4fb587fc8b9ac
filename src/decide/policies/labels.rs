//! The policies about labels: on pods they stay as admission saw them, on workloads they should not be half there.

use serde_json::{Value, json};

use crate::api::names::{LABEL_COMPUTE, MARK_CLOSED, MARK_CONFLICT, MARK_PLACED_BY};
use crate::decide::policies::matching::{labelled_pods, matching, rule};

/// Refuses to change label and marks of a pod: pods are placed when they are created, and never again.
///
/// A pod that was never placed (it is older than Poros) may drop the label. Subresources (status, binding, resize) are not
/// matched, and whoever else writes pods (owners, finalizers) leaves these alone.
pub(super) fn labels() -> Value {
    let label = |object: &str| format!("{object}.metadata.?labels[?'{LABEL_COMPUTE}'].orValue('')");
    let annotations = |object: &str| format!("{object}.metadata.?annotations.orValue({{}})");
    let marks = format!("['{MARK_PLACED_BY}', '{MARK_CLOSED}', '{MARK_CONFLICT}']");
    json!({
        "matchConstraints": labelled_pods("UPDATE"),
        "failurePolicy": "Fail",
        "variables": [
            {"name": "was", "expression": label("oldObject")},
            {"name": "is", "expression": label("object")},
            {"name": "had", "expression": annotations("oldObject")},
            {"name": "now", "expression": annotations("object")},
        ],
        "validations": [
            {
                "expression": format!("variables.is == variables.was || (variables.is == '' && !('{MARK_PLACED_BY}' in variables.had))"),
                "messageExpression": format!("variables.was == '' ? 'a pod is placed when it is created, so the label {LABEL_COMPUTE} cannot be added now: put it into the template of the workload, or delete the pod and create it again with the label' : 'the pod was placed by Compute ' + variables.was + ' when it was created, so its label {LABEL_COMPUTE} stays: change the template of the workload, or delete the pod and create it again'"),
                "reason": "Forbidden",
            },
            {
                "expression": format!("{marks}.all(k, (k in variables.had) == (k in variables.now) && (!(k in variables.had) || variables.had[k] == variables.now[k]))"),
                "message": format!("the annotations {MARK_PLACED_BY}, {MARK_CLOSED} and {MARK_CONFLICT} say how the pod was placed: admission alone sets them"),
                "reason": "Forbidden",
            },
        ],
    })
}

/// Warns of workloads that carry the label only on themselves, only in their pod template, or with two names.
///
/// The cluster's own controllers, which copy what people wrote, are told nothing.
pub(super) fn workloads() -> Value {
    let written = ["CREATE", "UPDATE"];
    let rules = [
        rule("apps", "v1", &written, &["daemonsets", "deployments", "statefulsets"]),
        rule("batch", "v1", &written, &["cronjobs", "jobs"]),
    ];
    let own = format!("object.metadata.?labels[?'{LABEL_COMPUTE}']");
    // dyn: the kinds differ in where their template is, and the API server checks each expression against each kind.
    let inside =
        |path: &str| format!("dyn(object).spec.{path}?template.?metadata.?labels[?'{LABEL_COMPUTE}']");
    let (pods, jobs) = (inside(""), inside("?jobTemplate.?spec."));
    let people = "!request.userInfo.username.startsWith('system:serviceaccount:kube-system:') && request.userInfo.username != 'system:kube-controller-manager'";
    let unowned = "!object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false))";
    let what = "request.kind.kind + ' ' + request.namespace + '/' + object.metadata.?name.orValue(object.metadata.?generateName.orValue(''))";
    let template = "(request.kind.kind == 'CronJob' ? 'spec.jobTemplate.spec.template' : 'spec.template')";
    let validation = |expression: &str, message: String| json!({"expression": expression, "messageExpression": message, "reason": "Invalid"});
    json!({
        "matchConstraints": matching(&rules, &json!({})),
        // One condition, for the API server evaluates all that there are: most workloads end at its first part.
        "matchConditions": [{
            "name": "labelled-by-people",
            "expression": format!("({own}.hasValue() || {pods}.hasValue() || {jobs}.hasValue()) && {people} && {unowned}"),
        }],
        "failurePolicy": "Fail",
        "variables": [
            {"name": "own", "expression": format!("{own}.orValue('')")},
            {"name": "inside", "expression": format!("{pods}.or({jobs}).orValue('')")},
            {"name": "plain", "expression": "request.kind.kind != 'DaemonSet'"},
        ],
        "validations": [
            validation(
                "!variables.plain || variables.own == '' || variables.inside != ''",
                format!("{what} + ' names Compute ' + variables.own + ' only on itself, so its pods are not placed: add the label {LABEL_COMPUTE}: ' + variables.own + ' to ' + {template} + '.metadata.labels'"),
            ),
            validation(
                "!variables.plain || variables.inside == '' || variables.own != ''",
                format!("{what} + ' names Compute ' + variables.inside + ' only in its pod template, so the Compute does not count as in use while no pod runs: add the label {LABEL_COMPUTE}: ' + variables.inside + ' to metadata.labels'"),
            ),
            validation(
                "!variables.plain || variables.own == '' || variables.inside == '' || variables.own == variables.inside",
                format!("{what} + ' names Compute ' + variables.own + ' on itself and Compute ' + variables.inside + ' in its pod template, which is the one that its pods get: name one in both'"),
            ),
            validation(
                "variables.plain || variables.inside == ''",
                format!("{what} + ' names Compute ' + variables.inside + ' in its pod template, so its pods will be refused: a DaemonSet plans from its own template. Put the node selector and tolerations of the Compute there and drop the label {LABEL_COMPUTE}'"),
            ),
        ],
    })
}

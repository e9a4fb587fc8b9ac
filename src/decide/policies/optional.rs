//! The policies that are installed only when asked for: the verb `use`, and the default Compute of a namespace.

use serde_json::{Value, json};

use crate::api::names::{
    API_VERSION, GROUP, LABEL_COMPUTE, LABEL_DEFAULT_COMPUTE, PROBE_SERVICE_ACCOUNT, VERB_USE,
};
use crate::decide::policies::matching::{in_namespaces, labelled_pods, matching, rule};
use crate::decide::policies::pods;

/// Refuses a pod whose service account does not have the verb `use` on the Compute that it names.
///
/// Asked in the namespace of the pod, so that a role bound there is enough. Poros's probe is a dry run and free.
pub(super) fn usable() -> Value {
    json!({
        "matchConstraints": labelled_pods("CREATE"),
        "matchConditions": [{
            "name": "not-a-probe",
            "expression": format!("!(has(request.dryRun) && request.dryRun && object.spec.?serviceAccountName.orValue('') == '{PROBE_SERVICE_ACCOUNT}')"),
        }],
        "failurePolicy": "Fail",
        "variables": [
            {"name": "name", "expression": format!("object.metadata.labels['{LABEL_COMPUTE}']")},
            {"name": "account", "expression": "has(object.spec.serviceAccountName) && object.spec.serviceAccountName != '' ? object.spec.serviceAccountName : 'default'"},
        ],
        "validations": [{
            "expression": format!("authorizer.serviceAccount(request.namespace, variables.account).group('{GROUP}').resource('computes').namespace(request.namespace).name(variables.name).check('{VERB_USE}').allowed()"),
            "messageExpression": format!("'service account ' + request.namespace + '/' + variables.account + ' may not use Compute ' + variables.name + ': give it the verb {VERB_USE} on computes.{GROUP}, resourceNames [' + variables.name + '], by a Role in namespace ' + request.namespace + ' or a ClusterRole'"),
            "reason": "Forbidden",
        }],
    })
}

/// Gives pods without the label the Compute that their namespace names, and places them at once.
///
/// It places too, because a label that one policy adds never wakes another: the API server chooses the bindings of a
/// request before the first of them changes it, and runs again only those that it ran before. So it is asked once for each
/// Placement of the cluster, and acts on one; the first time it also adds the label and takes off what the user marked.
///
/// The binding of a Compute, whose absence tells `placement` that nothing is in force, is not among what it sees, so it
/// asks the Placement. A pod that it does not place for that reason is labelled and refused.
///
/// It speaks of namespaces that name one, and does nothing where the name is empty: where somebody binds it more widely, it
/// must not stop other pods.
pub(super) fn defaults() -> Value {
    let unlabelled = json!({"matchExpressions": [{"key": LABEL_COMPUTE, "operator": "DoesNotExist"}]});
    let label = format!(
        "(has(object.metadata.labels) ? [] : [{}]) + [{}]",
        pods::add(r#""/metadata/labels""#, "{}"),
        pods::add(
            &format!(r#""/metadata/labels/" + jsonpatch.escapeKey("{LABEL_COMPUTE}")"#),
            "variables.wanted"
        ),
    );
    let [marks, selector, tolerations] = pods::patches();
    let expression = format!(
        "variables.wanted == '' ? [] : (variables.untouched ? {label} + ({strip}) : []) + (variables.mine ? {marks} + {selector} + {tolerations} : [])",
        strip = pods::stripped(),
    );
    let mut variables = pods::variables();
    variables.extend([
        json!({"name": "wanted", "expression": format!("namespaceObject.metadata.?labels[?'{LABEL_DEFAULT_COMPUTE}'].orValue('')")}),
        json!({"name": "mine", "expression": "params.metadata.name == variables.wanted && !(has(params.spec.withdrawn) && params.spec.withdrawn)"}),
        json!({"name": "untouched", "expression": format!("!has(object.metadata.labels) || !('{LABEL_COMPUTE}' in object.metadata.labels)")}),
    ]);
    let mut constraints = matching(&[rule("", "v1", &["CREATE"], &["pods"])], &unlabelled);
    constraints["namespaceSelector"] = json!({"matchExpressions": [names_one()]});
    json!({
        "paramKind": {"apiVersion": API_VERSION, "kind": "Placement"},
        "matchConstraints": constraints,
        "matchConditions": [
            // A pod of a DaemonSet, a static pod and one that names its node were placed by whoever made them.
            {"name": "unplaced", "expression": "!has(object.spec.nodeName) || object.spec.nodeName == ''"},
            {"name": "no-daemon", "expression": "!object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'DaemonSet')"},
        ],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "variables": variables,
        "mutations": [pods::patch(&expression)],
    })
}

/// A namespace names a Compute. The policy asks for it itself, so that whoever binds it (Poros's account may) can have it stop
/// no pods elsewhere.
fn names_one() -> Value {
    json!({"key": LABEL_DEFAULT_COMPUTE, "operator": "Exists"})
}

/// Namespaces that name a Compute, but for those of the cluster and of Poros: what runs there must not wait for a pool.
pub(super) fn defaulted_namespaces(poros: &str) -> Value {
    in_namespaces(&json!([
        names_one(),
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "kube-public", "kube-node-lease", poros]},
    ]))
}

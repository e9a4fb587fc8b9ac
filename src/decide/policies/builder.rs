//! The policies about Poros itself: Placements are its alone, and its own account does nothing else.
//!
//! No text names an account, for names and namespaces are the installer's: whoever has the verb `build` on Placements is
//! Poros. Who may do *everything* with them (`*`) is an administrator, or a Poros that runs as one; such an account is
//! kept from nothing, for it could take each guard away.

use serde_json::{Value, json};

use crate::api::names::{FINALIZER, GROUP, LEASE, PROBE_PREFIX, VERB_BUILD, VERSION, WEBHOOK_SECRET};
use crate::decide::policies::matching::{matching, rule};

/// What the cluster itself runs as where it removes children of owners that are gone, or rewrites what is stored.
const CLUSTER_ACCOUNTS: &str = "['system:serviceaccount:kube-system:generic-garbage-collector', \
     'system:serviceaccount:kube-system:storage-version-migrator-controller', 'system:kube-controller-manager']";

fn may(verb: &str) -> String {
    format!("authorizer.group('{GROUP}').resource('placements').check('{verb}').allowed()")
}

/// Refuses to write Placements, unless with the verb `build`.
pub(super) fn builder() -> Value {
    let rules = [rule(GROUP, VERSION, &["CREATE", "UPDATE", "DELETE"], &["placements"])];
    json!({
        "matchConstraints": matching(&rules, &json!({})),
        "failurePolicy": "Fail",
        "variables": [{
            "name": "name",
            "expression": "request.operation == 'DELETE' ? oldObject.metadata.name : object.metadata.name",
        }],
        "validations": [{
            "expression": format!("request.userInfo.username in {CLUSTER_ACCOUNTS} || {}", may(VERB_BUILD)),
            "messageExpression": format!("'Placement ' + variables.name + ' is written by Poros alone: change its Compute instead (kubectl edit compute ' + variables.name + '). Poros itself needs the verb {VERB_BUILD} on placements.{GROUP}'"),
            "reason": "Forbidden",
        }],
    })
}

/// Keeps Poros's account to what Poros does: dry-run probes, finalizers of Computes, the CA of its webhook, one Secret and
/// one Lease. (In RBAC a right to create knows no names, and a Secret of another type than `Opaque` may be made into a token
/// of any account of its namespace.)
///
/// What is in namespaces is looked at in Poros's own alone, by the binding: in others its role lets it create nothing but
/// events.
pub(super) fn account() -> Value {
    let rules = [
        rule("", "v1", &["CREATE"], &["pods", "secrets"]),
        rule("coordination.k8s.io", "v1", &["CREATE"], &["leases"]),
        rule(GROUP, VERSION, &["CREATE", "UPDATE", "DELETE"], &["computes"]),
        rule("admissionregistration.k8s.io", "v1", &["UPDATE"], &["mutatingwebhookconfigurations"]),
    ];
    let poros = format!("{} && !{}", may(VERB_BUILD), may("*"));
    let probe = format!(
        "request.resource.resource != 'pods' || (has(request.dryRun) && request.dryRun && \
         has(object.metadata.name) && object.metadata.name.startsWith('{PROBE_PREFIX}'))"
    );
    let same = |path: &str| format!("dyn(object).{path} == dyn(oldObject).{path}");
    let others = |object: &str| {
        format!("dyn({object}).metadata.?finalizers.orValue([]).filter(f, f != '{FINALIZER}')")
    };
    // To create is what RBAC allows where there are default Computes; what is there is left as it is.
    let kept = [
        "request.operation == 'UPDATE'".to_owned(),
        same("spec"),
        same("metadata.?labels"),
        same("metadata.?annotations"),
        same("metadata.?ownerReferences"),
        format!("{} == {}", others("object"), others("oldObject")),
    ]
    .join(" && ");
    let fields = [
        "name",
        "?clientConfig.?service",
        "?clientConfig.?url",
        "?rules",
        "?failurePolicy",
        "?matchPolicy",
        "?namespaceSelector",
        "?objectSelector",
        "?sideEffects",
        "?timeoutSeconds",
        "?admissionReviewVersions",
        "?reinvocationPolicy",
        "?matchConditions",
    ]
    .map(|field| format!("w.{field} == o.{field}"))
    .join(" && ");
    let webhooks = |object: &str| format!("dyn({object}).?webhooks.orValue([])");
    let (new, old) = (webhooks("object"), webhooks("oldObject"));
    // Who may write policies (`--manage-policies`) may as well write this one.
    let manages = "authorizer.group('admissionregistration.k8s.io').resource('validatingadmissionpolicies').check('patch').allowed()";
    let named = |name: &str| format!("dyn(object).metadata.?name.orValue('') == '{name}'");
    let validation = |expression: String, message: &str| json!({"expression": expression, "message": message, "reason": "Forbidden"});
    json!({
        "matchConstraints": matching(&rules, &json!({})),
        "matchConditions": [{"name": "poros", "expression": poros}],
        "failurePolicy": "Fail",
        "validations": [
            validation(probe, "Poros's account may create pods only as a dry run, to prove a placement"),
            validation(
                format!("request.resource.resource != 'computes' || request.operation == 'CREATE' || ({kept})"),
                "Poros's account may change nothing of a Compute but its status and Poros's own finalizer",
            ),
            validation(
                format!("request.resource.resource != 'mutatingwebhookconfigurations' || {manages} || ({new}.size() == {old}.size() && {new}.all(w, {old}.exists(o, {fields})))"),
                "Poros's account may change nothing of a webhook but its caBundle",
            ),
            validation(
                format!("request.resource.resource != 'secrets' || ({} && dyn(object).?type.orValue('Opaque') == 'Opaque')", named(WEBHOOK_SECRET)),
                &format!("Poros's account may create no Secret but {WEBHOOK_SECRET}, of type Opaque"),
            ),
            validation(
                format!("request.resource.resource != 'leases' || {}", named(LEASE)),
                &format!("Poros's account may create no Lease but {LEASE}"),
            ),
        ],
    })
}

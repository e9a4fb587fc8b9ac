//! What is there, before and after.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::site::{Site, items, text};

/// What the value `crds.keep` keeps, beside Computes and what was built for them.
const KEPT: [&str; 18] = [
    // The API server keeps this one, as long as there are the CRDs.
    "APIService v1beta1.poros.dataos.io",
    "CustomResourceDefinition computes.poros.dataos.io",
    "CustomResourceDefinition placements.poros.dataos.io",
    "MutatingAdmissionPolicy marks.poros.dataos.io",
    "MutatingAdmissionPolicy placement.poros.dataos.io",
    "MutatingAdmissionPolicyBinding marks.poros.dataos.io",
    "ValidatingAdmissionPolicy account.poros.dataos.io",
    "ValidatingAdmissionPolicy builder.poros.dataos.io",
    "ValidatingAdmissionPolicy in-use.poros.dataos.io",
    "ValidatingAdmissionPolicy labels.poros.dataos.io",
    "ValidatingAdmissionPolicy placed.poros.dataos.io",
    "ValidatingAdmissionPolicy workloads.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding account.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding builder.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding in-use.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding labels.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding placed.poros.dataos.io",
    "ValidatingAdmissionPolicyBinding workloads.poros.dataos.io",
];

/// Every object of the cluster, as kind, namespace and name; but for events, which go by themselves, and the node's sign of life,
/// which comes late.
pub fn everything(site: &Site) -> BTreeSet<String> {
    let kinds = site.kubectl(&["api-resources", "--verbs=list", "-o=name"]);
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    assert!(kinds.len() > 30, "{kinds:?}");
    let columns = "-o=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
    let listed = site.kubectl(&["get", &kinds.join(","), "--all-namespaces", "--no-headers", columns]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ").replace("<none> ", "");
    listed.lines().map(words).filter(|object| !object.starts_with("Lease kube-node-lease ")).collect()
}

/// What an uninstall leaves where it keeps these Computes; `mutates` says whether policies place their pods.
pub fn kept(computes: &[&str], mutates: bool) -> BTreeSet<String> {
    let mut kept: BTreeSet<String> = KEPT.map(str::to_owned).into();
    for name in computes {
        kept.extend([
            format!("Compute {name}"),
            format!("Placement {name}"),
            format!("MutatingAdmissionPolicyBinding poros-{name}"),
        ]);
    }
    kept.retain(|object| mutates || !object.starts_with("MutatingAdmissionPolicy"));
    kept
}

/// What there is that was not there before; but for what the trial made itself under these names.
pub fn left(site: &Site, before: &BTreeSet<String>, made: &[&str]) -> BTreeSet<String> {
    let mine = |object: &String| made.iter().any(|name| object.contains(&format!(" default {name}")));
    everything(site).difference(before).filter(|object| !mine(object)).cloned().collect()
}

/// Panics unless that is just what is left.
pub fn assert_left(left: &BTreeSet<String>, kept: &BTreeSet<String>) {
    let wrong: Vec<&String> = left.symmetric_difference(kept).collect();
    assert!(wrong.is_empty(), "left, and should not be; or not left, and should be: {wrong:?}");
}

/// What must not change where nothing is rebuilt: of a Compute, and of its Placement and binding.
pub fn identity(site: &Site, name: &str) -> Value {
    let compute = site.compute(name);
    let mut built = Vec::new();
    for kind in ["placement", "mutatingadmissionpolicybinding"] {
        let listed =
            site.try_kubectl(&["get", kind, "-l", &format!("poros.dataos.io/compute={name}"), "-o=json"]);
        // Below Kubernetes 1.36 there are no bindings.
        let listed = serde_json::from_str(&listed.out).unwrap_or(Value::Null);
        for object in items(&listed) {
            let metadata = &object["metadata"];
            built.push(json!([kind, metadata["uid"], metadata["resourceVersion"], object["spec"]]));
        }
    }
    let placement = &compute["status"]["placement"];
    json!({
        "uid": compute["metadata"]["uid"],
        "revision": placement["revision"],
        "proven": placement["provenRevision"],
        "built": built,
    })
}

/// What a pod is: which it is, and how often its containers were started again.
pub fn life(pod: &Value) -> (String, String, Vec<u64>) {
    let restarts = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    let restarts = restarts.iter().map(|status| status["restartCount"].as_u64().unwrap()).collect();
    (text(&pod["metadata"]["uid"]), text(&pod["status"]["podIP"]), restarts)
}

/// Where two values differ, and how; empty where they are the same.
pub fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(one, other, "", &mut found);
    found
}

fn compare(one: &Value, other: &Value, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let names: BTreeSet<&String> = fields.keys().chain(others.keys()).collect();
            for name in names {
                compare(&one[name], &other[name], &format!("{path}/{name}"), found);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (place, (item, other)) in items.iter().zip(others).enumerate() {
                compare(item, other, &format!("{path}/{place}"), found);
            }
        }
        _ if one == other => {}
        _ => found.push(format!("{path}: {one} became {other}")),
    }
}

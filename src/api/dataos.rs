//! Native DataOS manifests: a Compute as `dataos-ctl` takes and prints it, and where each of its fields is in Kubernetes.

use serde_json::{Map, Value, json};

use crate::api::identifier::TYPE;
use crate::api::names::{API_VERSION, VERSION_SHOWN};

/// The field that holds what is a Compute's own.
pub const BODY: &str = "compute";

/// The other types of DataOS resources: a manifest of one is known for what it is, and not taken.
pub const OTHER_TYPES: [&str; 22] = [
    "bundle",
    "cluster",
    "database",
    "depot",
    "dlake",
    "grant",
    "instance-secret",
    "lakehouse",
    "lakesearch",
    "lens",
    "monitor",
    "nilus",
    "operator",
    "pager",
    "policy",
    "scanner",
    "secret",
    "service",
    "stack",
    "volume",
    "worker",
    "workflow",
];

/// A field of a native manifest, and the field of the Kubernetes manifest that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its path in the native manifest.
    pub native: &'static [&'static str],
    /// Its path in the Kubernetes manifest.
    pub kubernetes: &'static [&'static str],
}

/// Every field, in the order in which it is written; those of `compute` last.
pub const FIELDS: [Field; 10] = [
    Field { native: &["name"], kubernetes: &["metadata", "name"] },
    Field { native: &["layer"], kubernetes: &["spec", "layer"] },
    Field { native: &["tags"], kubernetes: &["spec", "tags"] },
    Field { native: &["description"], kubernetes: &["spec", "description"] },
    Field { native: &["owner"], kubernetes: &["spec", "owner"] },
    Field { native: &[BODY, "dataplane"], kubernetes: &["spec", "dataplane"] },
    Field { native: &[BODY, "purpose"], kubernetes: &["spec", "purpose"] },
    Field { native: &[BODY, "nodePool"], kubernetes: &["spec", "nodePool"] },
    Field { native: &[BODY, "progressDeadlineSeconds"], kubernetes: &["spec", "progressDeadlineSeconds"] },
    Field { native: &[BODY, "deletionPolicy"], kubernetes: &["spec", "deletionPolicy"] },
];

/// The fields directly in the manifest, or directly in its `compute`; `version` and `type` are among the former.
pub fn fields_in(parent: &[&str]) -> Vec<String> {
    let own = if parent.is_empty() { vec!["version", "type", BODY] } else { Vec::new() };
    let listed = FIELDS.iter().filter_map(|field| match field.native.split_last() {
        Some((last, above)) if above == parent => Some(*last),
        _ => None,
    });
    own.into_iter().chain(listed).map(String::from).collect()
}

/// The Kubernetes manifest that says the same. Fields that a native manifest has not are left out, whatever they hold.
pub fn to_kubernetes(native: &Value) -> Value {
    let mut compute = json!({
        "apiVersion": API_VERSION, "kind": "Compute", "metadata": {}, "spec": {},
    });
    for field in &FIELDS {
        if let Some(value) = get(native, field.native) {
            put(&mut compute, field.kubernetes, value.clone());
        }
    }
    compute
}

/// The native manifest of a Compute, from its Kubernetes one; without what Kubernetes alone has, such as labels.
pub fn to_native(compute: &Value) -> Value {
    let mut native = Value::Object(Map::new());
    for field in &FIELDS {
        if let Some(value) = get(compute, field.kubernetes) {
            put(&mut native, field.native, value.clone());
        }
    }
    put(&mut native, &["version"], VERSION_SHOWN.into());
    put(&mut native, &["type"], TYPE.into());
    native
}

fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn put(value: &mut Value, path: &[&str], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = leaf;
        return;
    };
    if let Value::Object(fields) = value {
        put(fields.entry(*first).or_insert_with(|| Value::Object(Map::new())), rest, leaf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native() -> Value {
        json!({
            "name": "query-default", "version": "v1beta", "type": "compute", "layer": "system",
            "tags": ["a"], "description": "d", "owner": "iamgroot",
            "compute": {
                "dataplane": "hub", "purpose": "query", "progressDeadlineSeconds": 60, "deletionPolicy": "Detach",
                "nodePool": {"nodeSelector": {"dataos.io/purpose": "query"}, "minReadyNodes": 0},
            },
        })
    }

    #[test]
    fn every_field_goes_there_and_back() {
        let compute = to_kubernetes(&native());
        assert_eq!(compute["metadata"]["name"], "query-default");
        assert_eq!(compute["spec"]["nodePool"]["minReadyNodes"], 0);
        assert_eq!(compute["spec"]["owner"], "iamgroot");
        assert_eq!(to_native(&compute), native());
        assert_eq!(to_kubernetes(&to_native(&compute)), compute);
    }

    #[test]
    fn what_is_no_map_stays_out() {
        assert_eq!(
            to_kubernetes(&json!({"name": "a", "compute": ["x"]})),
            json!({"apiVersion": API_VERSION, "kind": "Compute", "metadata": {"name": "a"}, "spec": {}})
        );
    }

    #[test]
    fn every_field_of_the_spec_has_its_place() {
        let schema = crate::api::crd::computes();
        let schema = serde_json::to_value(schema).unwrap();
        let spec = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut there: Vec<&str> =
            spec["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut named: Vec<&str> = FIELDS
            .iter()
            .filter(|field| field.kubernetes[0] == "spec")
            .map(|field| field.kubernetes[1])
            .collect();
        there.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, there, "a field of the spec is missing in FIELDS");
    }
}

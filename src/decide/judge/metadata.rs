//! What a Kubernetes manifest says about its object: a CRD's schema knows the name alone, Kubernetes refuses the rest late.

use serde_json::Value;

use crate::decide::problem::{Problem, Step, path, quoted, shown};
use crate::decide::validate::{label_key, label_value};

/// What a person may write.
const WRITTEN: [&str; 5] = ["name", "labels", "annotations", "finalizers", "ownerReferences"];

/// What the API server writes: in a manifest that was read from a cluster, and not sent again.
const SERVED: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The most that all annotations of an object take together, in bytes.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// The manifest without its status, and without what the API server alone writes.
pub(super) fn sendable(document: &Value) -> Value {
    let mut compute = document.clone();
    if let Some(fields) = compute.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = compute.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !SERVED.contains(&key.as_str()));
    }
    compute
}

/// All that is wrong with it, the form of the name aside: the schema says that.
pub(super) fn problems(compute: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    let metadata = match &compute["metadata"] {
        Value::Object(metadata) => metadata,
        Value::Null => return vec![Problem::new(Vec::new(), "lacks metadata, which is required: a name")],
        _ => return found,
    };
    let at = |key: &str| path(&["metadata", key]);
    if !metadata.contains_key("name") {
        found.push(Problem::new(path(&["metadata"]), "lacks name, which is required"));
    }
    for key in metadata.keys().filter(|key| !WRITTEN.contains(&key.as_str())) {
        found.push(match key.as_str() {
            "namespace" => Problem::found(
                at(key),
                "is no field: a Compute belongs to the whole cluster; remove it",
                quoted(key),
            ),
            "generateName" => Problem::found(
                at(key),
                "is no field: people say a Compute's name, so it has one",
                quoted(key),
            ),
            _ => Problem::field(at(key), key, WRITTEN.map(String::from).to_vec()),
        });
    }
    for (map, values_are_labels) in [("labels", true), ("annotations", false)] {
        let Some(value) = metadata.get(map) else { continue };
        let Some(pairs) = value.as_object() else {
            found.push(Problem::found(at(map), format!("is {}; it takes a map", shown(value)), shown(value)));
            continue;
        };
        let mut bytes = 0;
        for (key, value) in pairs {
            let at = || at(map).into_iter().chain([Step::Key(key.clone())]).collect::<Vec<_>>();
            if let Err(why) = label_key(key) {
                found.push(Problem::found(at(), format!("is no key: {why}"), quoted(key)));
            }
            let Some(text) = value.as_str() else {
                let what = format!("is {}; it takes a text (put it in quotes)", shown(value));
                found.push(Problem::found(at(), what, shown(value)));
                continue;
            };
            bytes += key.len() + text.len();
            if values_are_labels && let Err(why) = label_value(text) {
                found.push(Problem::found(at(), format!("is {}: {why}", quoted(text)), quoted(text)));
            }
        }
        if !values_are_labels && bytes > ANNOTATIONS_MAX {
            let bytes = format!("{bytes} bytes");
            let what = format!("has {bytes}; all annotations together take at most {ANNOTATIONS_MAX}");
            found.push(Problem::found(at(map), what, bytes));
        }
    }
    found
}

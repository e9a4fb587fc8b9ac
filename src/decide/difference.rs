//! Where a stored object differs from what Poros wrote, and which other manager changed it, by `metadata.managedFields`.

use std::fmt;

use serde_json::Value;

/// A step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field of an object, or a key of a map.
    Key(String),
    /// A place in a list.
    Index(usize),
    /// The item of a list whose key `uid` is this one (an ownerReference).
    Uid(String),
}

/// The first field in which a stored object differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way to it, from the root of the object.
    pub path: Vec<Step>,
    /// Whether it is wanted and not there at all.
    pub missing: bool,
}

impl Difference {
    /// A difference at a field that is named by keys alone.
    pub fn at(keys: &[&str], missing: bool) -> Self {
        Self { path: keys.iter().map(|key| Step::Key((*key).to_owned())).collect(), missing }
    }

    /// What others did to the object, and who.
    pub fn drift(&self, writers: &[Writer]) -> Drift {
        let by = last_writer(writers, &self.path);
        let told = match (by, self.missing) {
            (Some(by), _) => format!("differs at {self} (last changed by {by})"),
            // A field that is gone is owned by nobody, so nothing tells who removed it.
            (None, true) => format!("differs at {self} (it was removed)"),
            (None, false) => format!("differs at {self}"),
        };
        Drift { told, by: by.map(str::to_owned) }
    }
}

/// What others did to an object that Poros built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The predicate of a sentence whose subject is the object: `differs at spec.closed (last changed by kubectl-edit)`.
    pub told: String,
    /// The field manager of who did it, if the object tells.
    pub by: Option<String>,
}

impl Drift {
    /// The whole object was removed; nothing tells by whom.
    pub fn removed() -> Self {
        Self { told: "was removed".into(), by: None }
    }
}

impl fmt::Display for Difference {
    /// `spec.tolerations[0].key`, `metadata.labels[app.kubernetes.io/managed-by]`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if key.contains(['.', '/']) => write!(formatter, "[{key}]")?,
                Step::Key(key) if index == 0 => write!(formatter, "{key}")?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Uid(_) => {}
            }
        }
        Ok(())
    }
}

/// The first difference between two JSON values; `root` is the way to them.
pub fn first(root: &[Step], wanted: &Value, found: &Value) -> Option<Difference> {
    let mut path = root.to_vec();
    descend(&mut path, wanted, found).map(|missing| Difference { path, missing })
}

/// Leaves the way to the first difference in `path`; tells whether the field is missing there.
fn descend(path: &mut Vec<Step>, wanted: &Value, found: &Value) -> Option<bool> {
    let deeper = |path: &mut Vec<Step>, step: Step, wanted: Option<&Value>, found: Option<&Value>| {
        path.push(step);
        let differs = match (wanted, found) {
            (Some(wanted), Some(found)) => descend(path, wanted, found),
            (wanted, _) => Some(wanted.is_some()),
        };
        if differs.is_none() {
            path.pop();
        }
        differs
    };
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys: std::collections::BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
            keys.into_iter()
                .find_map(|key| deeper(path, Step::Key(key.clone()), wanted.get(key), found.get(key)))
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs.into_iter().find_map(|(index, (wanted, found))| {
                deeper(path, Step::Index(index), Some(wanted), Some(found))
            })
        }
        (wanted, found) => (wanted != found).then_some(found.is_null() && !wanted.is_null()),
    }
}

/// Another manager of an object, and the fields that it owns: an entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    /// `manager`, as in `kubectl-edit`.
    pub manager: String,
    /// `time`, as RFC 3339 in UTC; of equal length, so that texts compare as times. Empty if it is not said.
    pub time: String,
    /// `fieldsV1`.
    pub fields: Value,
}

/// The manager that changed a field last, of those that own it, or something in it, or all around it.
pub fn last_writer<'a>(writers: &'a [Writer], path: &[Step]) -> Option<&'a str> {
    let owners = writers.iter().filter(|writer| owns(&writer.fields, path));
    owners.max_by(|one, other| one.time.cmp(&other.time)).map(|writer| writer.manager.as_str())
}

fn owns(fields: &Value, path: &[Step]) -> bool {
    let Some(fields) = fields.as_object() else { return false };
    // A field without fields of its own is owned as a whole.
    if fields.is_empty() {
        return true;
    }
    match path.split_first() {
        None => true,
        Some((Step::Key(key), rest)) => {
            fields.get(&format!("f:{key}")).is_some_and(|inner| owns(inner, rest))
        }
        Some((Step::Uid(uid), rest)) => {
            let item = format!("k:{}", serde_json::json!({"uid": uid}));
            fields.get(&item).is_some_and(|inner| owns(inner, rest))
        }
        // Items are known by their keys or values, not by their places: whoever owns one is named.
        Some((Step::Index(_), _)) => fields.keys().any(|key| key != "."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(key: &str) -> Step {
        Step::Key(key.into())
    }

    #[test]
    fn the_first_difference_is_named() {
        let wanted = json!({"a": {"b": [1, {"c": 2}]}, "d": true});
        let check = |found: Value, expect: Option<&str>, missing: bool| {
            let difference = first(&[key("spec")], &wanted, &found);
            assert_eq!(difference.as_ref().map(ToString::to_string).as_deref(), expect, "{found}");
            assert_eq!(difference.is_some_and(|difference| difference.missing), missing, "{found}");
        };
        check(wanted.clone(), None, false);
        check(json!({"a": {"b": [1, {"c": 3}]}, "d": true}), Some("spec.a.b[1].c"), false);
        check(json!({"a": {"b": [1]}, "d": true}), Some("spec.a.b"), false);
        check(json!({"a": {"b": [1, {"c": 2}]}}), Some("spec.d"), true);
        check(json!({"a": {"b": [1, {"c": 2}]}, "d": true, "e": 1}), Some("spec.e"), false);
        check(json!(null), Some("spec"), true);
        let labels = first(&[key("spec")], &json!({"dataos.io/purpose": "a"}), &json!({}));
        assert_eq!(labels.unwrap().to_string(), "spec[dataos.io/purpose]");
    }

    /// As the API server 1.36.3 stored them after `kubectl edit` of a binding and `kubectl label` of it.
    fn writers() -> Vec<Writer> {
        let writer = |manager: &str, time: &str, fields: Value| Writer {
            manager: manager.into(),
            time: time.into(),
            fields,
        };
        vec![
            writer(
                "kubectl-edit",
                "2026-11-22T14:00:07Z",
                json!({"f:spec": {"f:matchResources": {"f:objectSelector": {}}}}),
            ),
            writer(
                "kubectl-label",
                "2026-11-22T14:00:05Z",
                json!({"f:metadata": {"f:labels": {"f:app.kubernetes.io/managed-by": {}, "f:team": {}}}}),
            ),
            // Server-side apply: `.` says that it owns the map itself.
            writer(
                "argocd-controller",
                "2026-11-22T14:00:09Z",
                json!({
                    "f:metadata": {
                        "f:annotations": {".": {}, "f:poros.dataos.io/owner-uid": {}},
                        "f:ownerReferences": {".": {}, "k:{\"uid\":\"u-1\"}": {}},
                    },
                    "f:spec": {"f:nodeSelector": {"f:pool": {}}, "f:tolerations": {}},
                }),
            ),
            writer(
                "kubectl-patch",
                "2026-11-22T14:00:11Z",
                json!({"f:spec": {"f:nodeSelector": {"f:pool": {}}}}),
            ),
        ]
    }

    #[test]
    fn who_changed_a_field_is_told_from_the_managed_fields() {
        let writers = writers();
        let who = |path: &[Step]| last_writer(&writers, path);
        let selector =
            [key("spec"), key("matchResources"), key("objectSelector"), key("matchLabels"), key("x")];
        assert_eq!(who(&selector), Some("kubectl-edit"), "an atomic field is owned as a whole");
        let label = |name: &str| [key("metadata"), key("labels"), key(name)];
        assert_eq!(who(&label("app.kubernetes.io/managed-by")), Some("kubectl-label"));
        assert_eq!(who(&label("poros.dataos.io/compute")), None, "nobody owns what was removed");
        let owner = |uid: &str| [key("metadata"), key("ownerReferences"), Step::Uid(uid.into())];
        assert_eq!(who(&owner("u-1")), Some("argocd-controller"));
        assert_eq!(who(&owner("u-2")), None);
        let selector = [key("spec"), key("nodeSelector"), key("pool")];
        assert_eq!(who(&selector), Some("kubectl-patch"), "of two owners the one who wrote later");
        let toleration = [key("spec"), key("tolerations"), Step::Index(0), key("key")];
        assert_eq!(who(&toleration), Some("argocd-controller"));
        assert_eq!(who(&[key("spec")]), Some("kubectl-patch"));
        assert_eq!(who(&[key("spec"), key("paramRef")]), None);
        assert_eq!(last_writer(&[], &selector), None);
    }

    #[test]
    fn what_others_did_is_told_with_field_and_manager() {
        let told = |keys: &[&str], missing| Difference::at(keys, missing).drift(&writers()).told;
        assert_eq!(
            told(&["spec", "matchResources", "objectSelector"], false),
            "differs at spec.matchResources.objectSelector (last changed by kubectl-edit)"
        );
        assert_eq!(
            told(&["metadata", "labels", "poros.dataos.io/compute"], true),
            "differs at metadata.labels[poros.dataos.io/compute] (it was removed)"
        );
        assert_eq!(told(&["spec", "policyName"], false), "differs at spec.policyName");
    }
}

//! The schema of the CRD, applied offline: every field that a manifest gets wrong, by its path.
//!
//! The API server says the same, one apply later. Only what the schemas of Poros use is read; a test holds that to be all.

use std::sync::LazyLock;

use serde_json::Value;

use crate::api::crd;
use crate::api::names::NAME_PATTERN;
use crate::decide::problem::{Problem, Step, quoted, shown};
use crate::decide::validate::{is_label_value, is_name};

/// The pattern of a label value, as the schema writes it.
const VALUE_PATTERN: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Everything in the manifest of a Compute that its schema does not take. `status` is the API server's to drop.
pub fn check_compute(manifest: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some(schema) = compute_schema() {
        Walk { found: &mut found }.object(schema, manifest, &mut Vec::new());
    }
    found
}

/// The schema of a Compute as the API server has it.
pub fn compute_schema() -> Option<&'static Value> {
    // Made once: it takes longer than to judge a manifest by it.
    static SCHEMA: LazyLock<Option<Value>> = LazyLock::new(|| root(&crd::computes()));
    SCHEMA.as_ref()
}

/// The schema of a CRD's one version, as JSON.
fn root(crd: &impl serde::Serialize) -> Option<Value> {
    let mut crd = serde_json::to_value(crd).ok()?;
    Some(crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema")?.take())
}

struct Walk<'a> {
    found: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn say(&mut self, path: &[Step], text: impl Into<String>, found: impl Into<String>) {
        self.found.push(Problem::found(path.to_vec(), text, found));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &mut Vec<Step>) {
        let wanted = schema["type"].as_str().unwrap_or_default();
        let fits = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => true,
        };
        if !fits {
            let what = match value {
                // Between a number and a whole number, the kind does not tell what is wrong.
                Value::Number(number) if wanted == "integer" => number.to_string(),
                value => kind(value).to_owned(),
            };
            let bound = if is_large(value) { " of at most 64 bits" } else { "" };
            let text = format!("is {what}; it takes {}{}", article(wanted), bound);
            return self.say(path, text, shown(value));
        }
        let allowed = schema["enum"].as_array();
        if allowed.is_some_and(|allowed| !allowed.contains(value)) {
            let words =
                |words: &Vec<Value>| words.iter().filter_map(Value::as_str).map(String::from).collect();
            let allowed = allowed.map(words).unwrap_or_default();
            return self.found.push(match value {
                Value::String(word) => Problem::word(path.clone(), word, allowed),
                _ => Problem::found(path.clone(), format!("is {}", kind(value)), shown(value)),
            });
        }
        match value {
            Value::Object(_) => self.object(schema, value, path),
            Value::Array(items) => {
                self.count(schema, "minItems", "maxItems", items.len(), "items", path);
                for (index, item) in items.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.value(&schema["items"], item, path);
                    path.pop();
                }
            }
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
                if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                    self.say(
                        path,
                        format!("is {value}; it takes {}", bounds(least, most)),
                        value.to_string(),
                    );
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, path: &mut Vec<Step>) {
        let Some(fields) = value.as_object() else { return self.value(schema, value, path) };
        self.count(schema, "minProperties", "maxProperties", fields.len(), "pairs", path);
        let top = path.is_empty();
        // Of metadata a CRD's schema knows the name alone, and the status is not the applier's.
        let foreign = |key: &str| top && ["apiVersion", "kind", "status"].contains(&key);
        let open = *path == [Step::Key("metadata".into())];
        for (key, value) in fields.iter().filter(|(key, _)| !foreign(key)) {
            path.push(Step::Key(key.clone()));
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(field), _) => self.value(field, value, path),
                (None, Value::Object(_)) => self.value(&schema["additionalProperties"], value, path),
                (None, _) if open => {}
                (None, _) => {
                    let known =
                        schema["properties"].as_object().into_iter().flatten().map(|(known, _)| known);
                    // What the API server owns is not suggested to people.
                    let known = known.filter(|known| !(top && *known == "status")).cloned().collect();
                    self.found.push(Problem::field(path.clone(), key, known));
                }
            }
            path.pop();
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                self.found.push(Problem::new(path.clone(), format!("lacks {required}, which is required")));
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &[Step]) {
        self.count(schema, "minLength", "maxLength", text.chars().count(), "characters", path);
        match schema["pattern"].as_str() {
            Some(NAME_PATTERN) if !is_name(text) => self.say(
                path,
                format!(
                    "is {}; it takes a-z, 0-9 and '-', with a letter or digit at both ends",
                    quoted(text)
                ),
                quoted(text),
            ),
            Some(VALUE_PATTERN) if !is_label_value(text) => self.say(
                path,
                format!(
                    "is {}; it takes letters, digits, '-', '_' and '.', with a letter or digit at both ends",
                    quoted(text)
                ),
                quoted(text),
            ),
            _ => {}
        }
    }

    fn count(&mut self, schema: &Value, least: &str, most: &str, found: usize, what: &str, path: &[Step]) {
        let (least, most) = (schema[least].as_u64(), schema[most].as_u64());
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        if least.is_some_and(|least| found < least) || most.is_some_and(|most| found > most) {
            let found = format!("{found} {what}");
            self.say(path, format!("has {found}; it takes {}", bounds(least, most)), found);
        }
    }
}

fn bounds<N: std::fmt::Display>(least: Option<N>, most: Option<N>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "any".into(),
    }
}

/// Whether it is a whole number that no field can hold.
fn is_large(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() >= 9.2e18)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn article(type_: &str) -> &'static str {
    match type_ {
        "object" => "a map",
        "array" => "a list",
        "string" => "a text (put it in quotes)",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "true or false",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Value {
        json!({
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute",
            "metadata": {"name": "query", "labels": {"a": "b"}},
            "spec": {"purpose": "query", "nodePool": {"nodeSelector": {"a": "b"}}},
            "status": {"whatever": true},
        })
    }

    #[test]
    fn a_good_manifest_has_no_problem() {
        assert_eq!(check_compute(&manifest()), []);
    }

    #[test]
    fn each_problem_has_its_path() {
        for (pointer, value, expect) in [
            ("/metadata/name", json!("Query"), "metadata.name is \"Query\"; it takes a-z"),
            ("/metadata/name", json!("x".repeat(49)), "metadata.name has 49 characters; it takes at most 48"),
            ("/spec/purpose", json!("fast"), "spec.purpose is \"fast\"; it takes runnable, query, gpu"),
            ("/spec/nodePool", json!({}), "spec.nodePool lacks nodeSelector"),
            (
                "/spec/nodePool/nodeselector",
                json!({}),
                "spec.nodePool.nodeselector is no field; did you mean nodeSelector? There are: minReadyNodes, nodeSelector, tolerations",
            ),
            (
                "/spec/nodePool/nodeSelector",
                json!({}),
                "spec.nodePool.nodeSelector has 0 pairs; it takes 1 to 32",
            ),
            (
                "/spec/nodePool/nodeSelector/a.b~1c",
                json!(true),
                "spec.nodePool.nodeSelector[\"a.b/c\"] is true or false; it takes a text (put it in quotes)",
            ),
            (
                "/spec/nodePool/minReadyNodes",
                json!(-1),
                "spec.nodePool.minReadyNodes is -1; it takes 0 to 100000",
            ),
            (
                "/spec/nodePool/tolerations",
                json!([{"key": "a", "effect": "Never"}]),
                "spec.nodePool.tolerations[0].effect is \"Never\"; it takes",
            ),
            (
                "/spec/nodePool/tolerations",
                json!([{"key": "a", "value": "-"}]),
                "spec.nodePool.tolerations[0].value is \"-\"; it takes letters",
            ),
            ("/spec/tags", json!("a"), "spec.tags is a text; it takes a list"),
            (
                "/spec/progressDeadlineSeconds",
                json!(0),
                "spec.progressDeadlineSeconds is 0; it takes 1 to 86400",
            ),
        ] {
            let mut manifest = manifest();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            manifest.pointer_mut(parent).unwrap()[key.replace("~1", "/")] = value;
            let found: Vec<String> = check_compute(&manifest).iter().map(Problem::sentence).collect();
            assert!(found.iter().any(|found| found.starts_with(expect)), "{expect}: {found:?}");
            assert_eq!(found.len(), 1, "{found:?}");
        }
    }

    #[test]
    fn the_schema_uses_nothing_that_is_not_read() {
        fn look(schema: &Value, at: &str) {
            const READ: [&str; 22] = [
                "type",
                "enum",
                "properties",
                "additionalProperties",
                "required",
                "items",
                "minItems",
                "maxItems",
                "minProperties",
                "maxProperties",
                "minLength",
                "maxLength",
                "pattern",
                "minimum",
                "maximum",
                "default",
                "description",
                "nullable",
                "format",
                "x-kubernetes-list-type",
                // Its rules are in `decide::validate`, in plain code.
                "x-kubernetes-validations",
                "title",
            ];
            for key in schema.as_object().unwrap().keys() {
                assert!(READ.contains(&key.as_str()), "{at}: {key} is not read by decide::schema");
            }
            if let Some(pattern) = schema["pattern"].as_str() {
                assert!([NAME_PATTERN, VALUE_PATTERN].contains(&pattern), "{at}: the pattern {pattern}");
            }
            for (key, field) in schema["properties"].as_object().into_iter().flatten() {
                look(field, &format!("{at}.{key}"));
            }
            for part in ["items", "additionalProperties"] {
                if schema[part].is_object() {
                    look(&schema[part], &format!("{at}.{part}"));
                }
            }
        }
        let root = root(&crd::computes()).unwrap();
        look(&root["properties"]["spec"], "spec");
        look(&root["properties"]["metadata"], "metadata");
    }
}

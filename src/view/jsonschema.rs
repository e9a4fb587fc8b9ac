//! JSON Schema of a Compute's manifests, for editors: both forms, from the schema of the CRD, so that there is one source.

use serde_json::{Map, Value, json};

use crate::api::dataos::{BODY, FIELDS};
use crate::api::identifier::{TYPE, VERSIONS};
use crate::api::names::API_VERSION;
use crate::decide::schema::compute_schema;

/// The dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of a Kubernetes manifest.
pub fn kubernetes() -> Value {
    let Fields { name, spec } = fields();
    let texts = |what: &str| json!({"type": "object", "additionalProperties": {"type": "string"}, "description": what});
    json!({
        "$schema": DIALECT,
        "title": "Compute",
        "description": "A Compute gives a pool of nodes a name.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": "Compute"},
            "metadata": {
                "type": "object",
                "properties": {
                    "name": name,
                    "labels": texts("Labels of the Compute."),
                    "annotations": texts("Annotations of the Compute."),
                },
                "required": ["name"],
            },
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
    })
}

/// Of a native manifest.
pub fn native() -> Value {
    let Fields { name, spec } = fields();
    let mut own = Map::new();
    let mut body = Map::new();
    for field in &FIELDS {
        let schema = match field.kubernetes {
            ["spec", field] => spec["properties"][*field].clone(),
            _ => name.clone(),
        };
        match field.native {
            [BODY, last] => body.insert((*last).into(), schema),
            [last, ..] => own.insert((*last).into(), schema),
            [] => None,
        };
    }
    let all = spec["required"].as_array().into_iter().flatten();
    let (inner, outer): (Vec<&Value>, Vec<&Value>) =
        all.partition(|field| field.as_str().is_some_and(|field| body.contains_key(field)));
    own.insert("version".into(), json!({"enum": VERSIONS, "description": "The version of the manifest."}));
    own.insert("type".into(), json!({"const": TYPE}));
    own.insert(
        BODY.into(),
        json!({
            "type": "object",
            "description": "The pool, and how it is built.",
            "properties": body,
            "required": inner,
            "additionalProperties": false,
        }),
    );
    let required: Vec<Value> = ["name", "version", "type", BODY]
        .map(Value::from)
        .into_iter()
        .chain(outer.into_iter().cloned())
        .collect();
    json!({
        "$schema": DIALECT,
        "title": "Compute (DataOS)",
        "description": "A Compute gives a pool of nodes a name.",
        "type": "object",
        "properties": own,
        "required": required,
        "additionalProperties": false,
    })
}

struct Fields {
    name: Value,
    spec: Value,
}

fn fields() -> Fields {
    let mut root = compute_schema().cloned().unwrap_or_default();
    let mut taken = |pointer: &str| {
        let mut schema = root.pointer_mut(pointer).map(Value::take).unwrap_or_default();
        standard(&mut schema);
        schema
    };
    let mut name = taken("/properties/metadata/properties/name");
    name["description"] =
        "The name of the Compute: what pods say in the label poros.dataos.io/compute.".into();
    Fields { name, spec: taken("/properties/spec") }
}

/// Leaves out what Kubernetes alone knows; Kubernetes refuses unknown fields, which JSON Schema has to be told.
fn standard(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.retain(|key, _| !key.starts_with("x-kubernetes-") && key != "format");
    if fields.remove("nullable") == Some(true.into())
        && let Some(of_type) = fields.get("type").cloned()
    {
        fields.insert("type".into(), json!([of_type, "null"]));
    }
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".into(), false.into());
    }
    for below in ["items", "additionalProperties"] {
        if let Some(below) = fields.get_mut(below) {
            standard(below);
        }
    }
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(standard);
    }
}

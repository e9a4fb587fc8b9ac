//! Whether the CRDs that an API server serves know all that this Poros writes: of a field that they do not know, the API
//! server drops what is written, and says nothing.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use crate::api::crd;
use crate::decide::lacks::Lack;

/// Names of fields that a lack tells; others are counted.
const NAMED: usize = 5;

/// What is known of the schemas that are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// What they do not know.
    pub lacks: Vec<Lack>,
    /// Whether all our kinds are served.
    pub whole: bool,
}

/// What the served schemas lack. `openapi` is the OpenAPI v3 document of our group and version, as the API server gives it. A
/// kind that is not in it says nothing: its CRD is not there, or was made a moment ago.
pub fn served(openapi: &Value) -> Served {
    let schemas = openapi["components"]["schemas"].as_object();
    let of_kind = |kind: &str| {
        let of = |schema: &&Value| {
            let marks = schema["x-kubernetes-group-version-kind"].as_array();
            marks.is_some_and(|marks| marks.iter().any(|mark| mark["kind"] == kind))
        };
        schemas.and_then(|schemas| schemas.values().find(of))
    };
    let mut found = Served { lacks: Vec::new(), whole: true };
    for crd in crd::all() {
        let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref());
        let Some(written) = schema.and_then(|schema| schema.open_api_v3_schema.as_ref()) else { continue };
        let Some(live) = of_kind(&crd.spec.names.kind) else {
            found.whole = false;
            continue;
        };
        let mut fields = Vec::new();
        compare("", written, live, &mut fields);
        if !fields.is_empty() {
            found.lacks.push(Lack::of(told(&crd.spec.names.plural, &fields)));
        }
    }
    found
}

fn told(plural: &str, fields: &[String]) -> String {
    let named = fields.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let others = fields.len().saturating_sub(NAMED);
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    format!(
        "the CRD {plural}.{} is older than this Poros: it does not know {named}{others}, and what is written there is lost; helm upgrade with crds.enabled=true, or: poros crd | kubectl apply --server-side --force-conflicts -f -",
        crate::api::names::GROUP
    )
}

fn compare(path: &str, written: &JSONSchemaProps, live: &Value, lacking: &mut Vec<String>) {
    if live["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for (name, property) in written.properties.iter().flatten() {
        // Kubernetes' own, and written down elsewhere.
        if path.is_empty() && name == "metadata" {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match live["properties"].get(name) {
            Some(live) => compare(&path, property, live, lacking),
            None => lacking.push(path),
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &written.items {
        compare(&format!("{path}[]"), items, &live["items"], lacking);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &written.additional_properties {
        compare(&format!("{path}.*"), values, &live["additionalProperties"], lacking);
    }
    for value in written.enum_.iter().flatten() {
        // A write with a value that it does not know is refused.
        if live["enum"].as_array().is_some_and(|known| !known.contains(&value.0)) {
            lacking.push(format!(
                "{path}={}",
                value.0.as_str().map_or_else(|| value.0.to_string(), str::to_owned)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::{GROUP, VERSION};

    /// The document of an API server that serves these CRDs.
    fn document() -> Value {
        let mut schemas = serde_json::Map::new();
        for crd in crd::all() {
            let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            let mut schema = serde_json::to_value(schema).unwrap();
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": GROUP, "version": VERSION, "kind": crd.spec.names.kind}]);
            schemas.insert(format!("io.dataos.poros.{}", crd.spec.names.kind), schema);
        }
        json!({"components": {"schemas": schemas}})
    }

    #[test]
    fn the_schemas_of_this_version_lack_nothing_and_a_field_that_is_missing_is_named() {
        assert_eq!(served(&document()), Served { lacks: vec![], whole: true });
        let compute = "/components/schemas/io.dataos.poros.Compute/properties";
        let mut old = document();
        let status =
            old.pointer_mut(&format!("{compute}/status/properties")).unwrap().as_object_mut().unwrap();
        assert!(status.remove("placement").is_some());
        let conditions = format!("{compute}/status/properties/conditions/items/properties");
        old.pointer_mut(&conditions).unwrap().as_object_mut().unwrap().remove("reason").unwrap();
        old.pointer_mut(&format!("{compute}/spec/properties/purpose")).unwrap()["enum"] = json!(["runnable"]);
        let lacks = served(&old).lacks;
        assert_eq!(lacks.len(), 1, "Placements lack nothing");
        for field in
            ["status.placement,", "status.conditions[].reason", "spec.purpose=query", "spec.purpose=gpu"]
        {
            assert!(lacks[0].text.contains(field), "{field} is not in: {}", lacks[0].text);
        }
        assert!(lacks[0].text.starts_with("the CRD computes.poros.dataos.io is older than this Poros"));
        let mut none = document();
        *none.pointer_mut(compute).unwrap() = json!({});
        assert!(served(&none).lacks[0].text.contains("does not know spec, status,"), "{:?}", served(&none));
    }

    #[test]
    fn what_is_not_served_or_takes_anything_lacks_nothing() {
        assert_eq!(served(&Value::Null), Served::default());
        assert_eq!(served(&json!({"components": {"schemas": {}}})), Served::default());
        let mut open = document();
        open["components"]["schemas"]["io.dataos.poros.Compute"] = json!({
            "x-kubernetes-group-version-kind": [{"kind": "Compute"}], "x-kubernetes-preserve-unknown-fields": true,
        });
        assert_eq!(served(&open), Served { lacks: vec![], whole: true });
    }
}

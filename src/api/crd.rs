//! The CRDs as they are installed: what the derives give, and the rules that Rust types cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::api::compute::Compute;
use crate::api::names::{NAME_MAX, NAME_PATTERN};
use crate::api::placement::Placement;

/// All CRDs of Poros, in the order in which to apply them.
pub fn all() -> [CustomResourceDefinition; 2] {
    [placements(), computes()]
}

/// The CRD `computes.poros.dataos.io`.
pub fn computes() -> CustomResourceDefinition {
    let mut crd = bounded_name(Compute::crd());
    if let Some(root) = root_schema(&mut crd)
        && let Some(status) = root.properties.as_mut().and_then(|p| p.get_mut("status"))
    {
        // kstatus reads an object without status as done; this default makes an unseen Compute "in progress".
        status.default = Some(JSON(json!({
            "observedGeneration": -1,
            "aggregateStatus": "pending",
            "builderState": {"stage": "building"},
        })));
    }
    crd
}

/// The CRD `placements.poros.dataos.io`.
pub fn placements() -> CustomResourceDefinition {
    bounded_name(Placement::crd())
}

/// Kubernetes knows no unsigned formats and warns of them; `minimum: 0` says as much.
fn signed_formats(schema: &mut JSONSchemaProps) {
    if let Some(format) = schema.format.as_mut().filter(|format| format.starts_with("uint")) {
        *format = format.trim_start_matches('u').to_owned();
    }
    schema.properties.iter_mut().flatten().for_each(|(_, property)| signed_formats(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        signed_formats(items);
    }
}

/// Declares length and pattern of `metadata.name`, the one place where a CRD's schema may restrict metadata.
fn bounded_name(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    if let Some(root) = root_schema(&mut crd) {
        signed_formats(root);
        let name = JSONSchemaProps {
            type_: Some("string".into()),
            max_length: Some(i64::from(NAME_MAX)),
            pattern: Some(NAME_PATTERN.into()),
            ..JSONSchemaProps::default()
        };
        let metadata = JSONSchemaProps {
            type_: Some("object".into()),
            properties: Some([("name".to_owned(), name)].into()),
            ..JSONSchemaProps::default()
        };
        root.properties.get_or_insert_default().insert("metadata".into(), metadata);
    }
    crd
}

fn root_schema(crd: &mut CustomResourceDefinition) -> Option<&mut JSONSchemaProps> {
    crd.spec.versions.first_mut()?.schema.as_mut()?.open_api_v3_schema.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of properties without a description. `metadata` and a Condition's fields are Kubernetes' own.
    fn undescribed(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
        for (name, property) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            if path != ".metadata" && property.description.as_deref().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            if path != ".metadata" {
                undescribed(&path, property, found);
            }
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &property.items {
                undescribed(&format!("{path}[]"), items, found);
            }
        }
    }

    #[test]
    fn every_field_has_a_description() {
        for mut crd in all() {
            let mut found = Vec::new();
            undescribed("", root_schema(&mut crd).unwrap(), &mut found);
            assert!(found.is_empty(), "fields without a description: {found:?}; give them a doc comment");
        }
    }
}

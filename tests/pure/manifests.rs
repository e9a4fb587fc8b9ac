//! Manifests, from bytes to verdicts: whatever the bytes are, each document is told by itself, with its place in the file.

mod hostile;
mod verdicts;

use poros::decide::judge::{Judged, judge};
use poros::decide::problem::Problem;
use poros::view::manifest::{Document, documents, scalar};
use poros::view::{jsonschema, sample};
use serde_json::{Value, json};

/// The document, its verdict, and each problem with its place.
fn judged(document: &Document) -> (Judged, Vec<String>) {
    let judged = judge(&document.value());
    let told = judged
        .problems
        .iter()
        .map(|problem| {
            let (line, column) = document.place(&problem.path);
            format!("{line}:{column}: {}", problem.sentence())
        })
        .collect();
    (judged, told)
}

/// Every document of a text: its title, or why it cannot be read; and its problems.
fn told(text: &str) -> Vec<String> {
    documents("f.yaml", text.as_bytes())
        .into_iter()
        .flat_map(|document| match document {
            Err(error) => vec![error.to_string()],
            Ok(document) => {
                let (judged, problems) = judged(&document);
                [judged.title.to_string()].into_iter().chain(problems).collect()
            }
        })
        .collect()
}

#[test]
fn the_examples_have_no_problem() {
    for text in [
        include_str!("../../examples/query-default.yaml"),
        include_str!("../../examples/runnable-default.yaml"),
    ] {
        assert_eq!(told(text).len(), 1, "{:?}", told(text));
    }
}

#[test]
fn the_sample_passes_the_validator_and_says_every_field() {
    for name in ["new-usecases", "1", "true", "1e3", "0x1", "null", "no", "y"] {
        let text = sample::native("compute", "v1beta", name).unwrap();
        assert_eq!(told(&text), [format!("{name}:v1beta:compute")]);
        let document = documents("f.yaml", text.as_bytes()).remove(0).unwrap().value();
        assert_eq!(document["name"], name);
        let schema = jsonschema::native();
        // Every field that there is, but the owner: admission says who that is.
        for (at, said) in
            [("/properties", &document), ("/properties/compute/properties", &document["compute"])]
        {
            for field in
                schema.pointer(at).unwrap().as_object().unwrap().keys().filter(|field| *field != "owner")
            {
                assert!(said.get(field).is_some(), "the sample lacks {field}");
            }
        }
    }
    let refused = sample::native("workflow", "v1", "x").unwrap_err();
    assert!(refused[0].sentence().starts_with("type is workflow, a resource of DataOS"), "{refused:?}");
    let refused: Vec<String> =
        sample::native("compute", "v2", "X").unwrap_err().iter().map(Problem::sentence).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
}

#[test]
fn what_is_wrong_with_one_part_does_not_hide_another() {
    let text = "name: New\nversion: v1beta\ntype: compute\ncompute:\n  purpose: fast\n  nodePool:\n    nodeSelector: {a b: x, c: true}\n    tolerations:\n    - {key: a, effect: NoSchedul}\n    - {operator: Exists, value: x, effect: 1}\n    - {}\n    - {key: a}\n    - {operator: In, value: x}\n    - 5\n    - {key: a}\n";
    let mut found = told(text).split_off(1);
    found.sort();
    let at = |start: &str| found.iter().filter(|told| told.starts_with(start)).count();
    for start in [
        "1:1: name is \"New\"; ",
        "5:3: compute.purpose is \"fast\"; ",
        "7:20: compute.nodePool.nodeSelector[\"a b\"] is no label key: ",
        "7:28: compute.nodePool.nodeSelector.c is true or false; ",
        "9:16: compute.nodePool.tolerations[0].effect is \"NoSchedul\"; ",
        "10:26: compute.nodePool.tolerations[1].value is \"x\", which has no meaning ",
        "10:36: compute.nodePool.tolerations[1].effect is a number; ",
        "11:7: compute.nodePool.tolerations[2].key is absent; ",
        "13:8: compute.nodePool.tolerations[4].operator is \"In\"; ",
        "14:7: compute.nodePool.tolerations[5] is a number; ",
        "15:7: compute.nodePool.tolerations[6] is listed twice; ",
    ] {
        assert_eq!(at(start), 1, "{start}: {found:#?}");
    }
    assert_eq!(found.len(), 11, "{found:#?}");
    let found = told("name: New\nversion: v1beta\ntype: compute\n");
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found.iter().any(|told| told.starts_with("1:1: name is \"New\"")), "{found:#?}");
}

#[test]
fn a_text_is_the_scalar_that_is_read_again() {
    for text in [
        "a",
        "1",
        "true",
        "null",
        "~",
        "",
        "a b",
        "a: b",
        "- x",
        "$x",
        "\u{1f6e0}",
        "a\nb",
        "yes",
        "0o7",
        "#",
        "a#b",
    ] {
        let read = documents("f", format!("x: {}", scalar(text)).as_bytes()).remove(0).unwrap().value();
        assert_eq!(read, json!({"x": text}), "{text:?}");
    }
}

/// What the schema says of a manifest, by a reading of the keywords that it uses.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {value}")) };
    for (keyword, wanted) in schema.as_object().into_iter().flatten() {
        let size = value.as_array().map(Vec::len).or(value.as_object().map(serde_json::Map::len));
        let size = size.or(value.as_str().map(|text| text.chars().count()));
        let bound = || usize::try_from(wanted.as_u64().unwrap()).unwrap();
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" => {}
            "type" => check(
                match wanted.as_str().unwrap_or_default() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    _ => wanted.as_array().is_some_and(|types| types.len() == 2),
                },
                "type",
            )?,
            "const" => check(value == wanted, "const")?,
            "enum" => check(wanted.as_array().unwrap().contains(value), "enum")?,
            "required" => {
                for field in wanted.as_array().unwrap() {
                    check(value.get(field.as_str().unwrap()).is_some(), &format!("lacks {field}"))?;
                }
            }
            "properties" => {
                for (field, schema) in wanted.as_object().unwrap() {
                    value.get(field).map_or(Ok(()), |value| fits(schema, value))?;
                }
            }
            "additionalProperties" => {
                for (field, value) in value.as_object().into_iter().flatten() {
                    if schema["properties"].get(field).is_none() {
                        check(*wanted != false, &format!("unknown {field}"))?;
                        fits(wanted, value)?;
                    }
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| fits(wanted, item))?,
            "minimum" => {
                check(value.as_f64().is_none_or(|value| value >= wanted.as_f64().unwrap()), keyword)?;
            }
            "maximum" => {
                check(value.as_f64().is_none_or(|value| value <= wanted.as_f64().unwrap()), keyword)?;
            }
            "minItems" | "minLength" | "minProperties" => {
                check(size.is_none_or(|size| size >= bound()), keyword)?;
            }
            "maxItems" | "maxLength" | "maxProperties" => {
                check(size.is_none_or(|size| size <= bound()), keyword)?;
            }
            // The two patterns of the schema are tested where they are read.
            "pattern" => check(value.is_string(), keyword)?,
            other => return Err(format!("{other} is a keyword that this test does not read")),
        }
    }
    Ok(())
}

#[test]
fn both_json_schemas_take_what_the_validator_takes() {
    let text = sample::native("compute", "v1beta", "new-usecases").unwrap();
    let native = documents("f", text.as_bytes()).remove(0).unwrap().value();
    assert_eq!(fits(&jsonschema::native(), &native), Ok(()));
    let kubernetes = judge(&native).compute;
    assert_eq!(fits(&jsonschema::kubernetes(), &kubernetes), Ok(()));
    // What one refuses, the other refuses.
    for (pointer, value) in [
        ("/compute/purpose", json!("fast")),
        ("/compute/nodePool/tolerations/0/effect", json!("NoSchedul")),
        ("/compute/nodePool/minReadyNodes", json!(-1)),
        ("/compute/nodePool/minReadyNodes", json!("1")),
        ("/compute/nodePool/nodeSelector", json!({})),
        ("/compute/progressDeadlineSeconds", json!(0)),
        ("/tags", json!("x")),
        ("/version", json!("v2")),
        ("/type", json!("workflow")),
        ("/layer", json!("mine")),
        ("/extra", json!(1)),
        ("/compute/extra", json!(1)),
        ("/compute/nodePool/extra", json!(1)),
    ] {
        let mut native = native.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        if let Some(there) = native.pointer_mut(pointer) {
            *there = value;
        } else {
            native.pointer_mut(parent).unwrap()[key] = value;
        }
        assert!(fits(&jsonschema::native(), &native).is_err(), "{pointer}");
        assert_ne!(judge(&native).problems, [], "{pointer}");
    }
}

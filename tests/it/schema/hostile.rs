//! Manifests that must be refused, with the path of the field; and those at the very border, which are taken.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::bare;
use crate::harness::objects::{compute, create, delete, dry_run, raw_computes, refusal, with};
use crate::trials;

trials![
    bad_names_are_refused,
    bad_selectors_are_refused,
    bad_tolerations_are_refused,
    wrong_types_are_refused,
    bad_words_and_numbers_are_refused,
    what_is_just_within_the_bounds_is_taken,
    an_edit_is_held_to_the_same_rules,
];

const SELECTOR: &str = "/spec/nodePool/nodeSelector";
const TOLERATIONS: &str = "/spec/nodePool/tolerations";

/// One hostile manifest: what is wrong, where in the good one, what is put there, and the field that must be named.
type Case = (&'static str, &'static str, Value, &'static str);

/// Sends each; all must be refused as invalid (422), naming the field in words and in the list of causes.
async fn refuse(cases: Vec<Case>) {
    let api = raw_computes(&bare().await.client().await);
    let mut wrong = Vec::new();
    for (what, pointer, part, field) in cases {
        let manifest = with(compute("schema-hostile"), pointer, part);
        let result = dry_run(&api, &manifest).await;
        if result.is_ok() {
            wrong.push(format!("{what}: was taken"));
            continue;
        }
        let (code, message, fields) = refusal(result);
        let named = fields.iter().any(|found| found == field) && message.contains(field);
        if code != 422 || !named {
            wrong
                .push(format!("{what}: expected 422 and {field}, got {code} and {fields:?}: {message:.400}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn selector(pairs: usize) -> Value {
    (0..pairs).map(|index| (format!("key-{index}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
}

fn tolerations(count: usize) -> Value {
    (0..count).map(|index| json!({"key": format!("key-{index}"), "operator": "Exists"})).collect()
}

async fn bad_names_are_refused() {
    let names = [
        ("an uppercase letter", "Query".to_owned()),
        ("a dot", "query.default".into()),
        ("49 characters", "q".repeat(49)),
        ("254 characters", "q".repeat(254)),
        ("10,000 characters", "q".repeat(10_000)),
        ("a dash in front", "-query".into()),
        ("a dash at the end", "query-".into()),
        ("an underscore", "query_default".into()),
        ("a space", "query default".into()),
        ("nothing", String::new()),
        ("a Cyrillic look-alike", "qu\u{435}ry".into()),
        ("a right-to-left override", "query\u{202e}".into()),
        ("a slash", "query/default".into()),
        ("a newline", "query\n".into()),
    ];
    let case = |(what, name): (&'static str, String)| -> Case {
        (what, "/metadata/name", json!(name), "metadata.name")
    };
    refuse(names.into_iter().map(case).collect()).await;
}

async fn bad_selectors_are_refused() {
    let pool = "spec.nodePool.nodeSelector";
    let keys = [
        ("a key with two slashes", "a/b/c".to_owned()),
        ("an empty key", String::new()),
        ("an empty prefix", "/a".into()),
        ("an empty name", "example.com/".into()),
        ("a name of 64 characters", "k".repeat(64)),
        ("a name of 64 characters behind a prefix", format!("example.com/{}", "k".repeat(64))),
        ("a prefix of 254 characters", format!("{}/a", "p".repeat(254))),
        ("a key of 10,000 characters", "k".repeat(10_000)),
        ("an uppercase prefix", "Example.com/a".into()),
        ("a prefix with two dots in a row", "example..com/a".into()),
        ("a dash in front of a key", "-a".into()),
        ("a key with a space", "a b".into()),
        ("a key with a Cyrillic look-alike", "p\u{43e}ol".into()),
        ("a key with a right-to-left override", "pool\u{202e}".into()),
    ];
    let values = [
        ("a value of 64 characters", "v".repeat(64), "spec.nodePool.nodeSelector.pool"),
        ("a value of 10,000 characters", "v".repeat(10_000), "spec.nodePool.nodeSelector.pool"),
        ("a value with a space", "a b".to_owned(), pool),
        ("a value with a dash in front", "-a".into(), pool),
        ("a value with a dot at the end", "a.".into(), pool),
        ("a value with a Cyrillic a", "\u{430}".into(), pool),
        ("a value with a newline", "a\n".into(), pool),
    ];
    let keys = keys.into_iter().map(|(what, key)| -> Case { (what, SELECTOR, json!({key: "x"}), pool) });
    let values = values
        .into_iter()
        .map(|(what, value, field)| -> Case { (what, SELECTOR, json!({"pool": value}), field) });
    let counts: Vec<Case> = vec![
        ("no pair", SELECTOR, json!({}), pool),
        ("33 pairs", SELECTOR, selector(33), pool),
        ("10,000 pairs", SELECTOR, selector(10_000), pool),
        ("no selector", SELECTOR, Value::Null, pool),
    ];
    refuse(keys.chain(values).chain(counts).collect()).await;
}

async fn bad_tolerations_are_refused() {
    let all = "spec.nodePool.tolerations";
    let first = |field: &str| -> &'static str { format!("{all}[0].{field}").leak() };
    let one = |what, toleration: Value, field: &str| -> Case {
        (what, TOLERATIONS, json!([toleration]), first(field))
    };
    refuse(vec![
        one("Exists with a value", json!({"key": "a", "operator": "Exists", "value": "x"}), "value"),
        one("Equal without a key", json!({"operator": "Equal", "value": "x"}), "key"),
        one("nothing at all", json!({}), "key"),
        one("Equal with an empty key", json!({"key": "", "value": "x"}), "key"),
        one("an unknown operator", json!({"key": "a", "operator": "Lt", "value": "1"}), "operator"),
        one("an operator in lower case", json!({"key": "a", "operator": "exists"}), "operator"),
        one("an unknown effect", json!({"key": "a", "effect": "NoSuchEffect"}), "effect"),
        one("a key with two slashes", json!({"key": "a/b/c"}), "key"),
        one("a key with a space", json!({"key": "a b"}), "key"),
        one("an uppercase prefix", json!({"key": "Example.com/a"}), "key"),
        one("a name of 64 characters", json!({"key": "k".repeat(64)}), "key"),
        one("a prefix of 254 characters", json!({"key": format!("{}/a", "p".repeat(254))}), "key"),
        one("a key of 10,000 characters", json!({"key": "k".repeat(10_000)}), "key"),
        one("a key with a Cyrillic look-alike", json!({"key": "d\u{435}dicated"}), "key"),
        one("a value of 64 characters", json!({"key": "a", "value": "v".repeat(64)}), "value"),
        one("a value of 10,000 characters", json!({"key": "a", "value": "v".repeat(10_000)}), "value"),
        one("a value with a space", json!({"key": "a", "value": "x y"}), "value"),
        ("33 of them", TOLERATIONS, tolerations(33), all),
        ("10,000 of them", TOLERATIONS, tolerations(10_000), all),
        ("one twice", TOLERATIONS, json!([{"key": "a"}, {"key": "a"}]), all),
        (
            "one twice, its default spelled out",
            TOLERATIONS,
            json!([{"key": "a"}, {"key": "a", "operator": "Equal"}]),
            all,
        ),
    ])
    .await;
}

async fn wrong_types_are_refused() {
    refuse(vec![
        ("a number for the purpose", "/spec/purpose", json!(7), "spec.purpose"),
        ("a list for the spec", "/spec", json!([]), "spec"),
        ("a string for the spec", "/spec", json!("query"), "spec"),
        ("no spec", "/spec", Value::Null, "spec"),
        ("a string for the pool", "/spec/nodePool", json!("pool"), "spec.nodePool"),
        ("a list for the pool", "/spec/nodePool", json!([]), "spec.nodePool"),
        ("a string for the selector", SELECTOR, json!("pool=query"), "spec.nodePool.nodeSelector"),
        ("a list for the selector", SELECTOR, json!(["pool"]), "spec.nodePool.nodeSelector"),
        ("a number for a label", SELECTOR, json!({"pool": 1}), "spec.nodePool.nodeSelector.pool"),
        ("a truth value for a label", SELECTOR, json!({"pool": true}), "spec.nodePool.nodeSelector.pool"),
        ("a map for a label", SELECTOR, json!({"pool": {}}), "spec.nodePool.nodeSelector.pool"),
        ("a map for the tolerations", TOLERATIONS, json!({"key": "a"}), "spec.nodePool.tolerations"),
        ("a string for a toleration", TOLERATIONS, json!(["a"]), "spec.nodePool.tolerations[0]"),
        ("a number for a key", TOLERATIONS, json!([{"key": 1}]), "spec.nodePool.tolerations[0].key"),
        ("a string for a number", "/spec/nodePool/minReadyNodes", json!("1"), "spec.nodePool.minReadyNodes"),
        ("a fraction of a node", "/spec/nodePool/minReadyNodes", json!(1.5), "spec.nodePool.minReadyNodes"),
        (
            "a string for seconds",
            "/spec/progressDeadlineSeconds",
            json!("5m"),
            "spec.progressDeadlineSeconds",
        ),
        ("a string for the tags", "/spec/tags", json!("tag"), "spec.tags"),
        ("a number for a tag", "/spec/tags", json!([1]), "spec.tags[0]"),
        ("a map for the description", "/spec/description", json!({}), "spec.description"),
        ("a number for the owner", "/spec/owner", json!(1), "spec.owner"),
        ("a number for the dataplane", "/spec/dataplane", json!(1), "spec.dataplane"),
        ("a list for the layer", "/spec/layer", json!(["user"]), "spec.layer"),
    ])
    .await;
}

async fn bad_words_and_numbers_are_refused() {
    let long = "x".repeat(10_000);
    let (nodes, deadline) = ("/spec/nodePool/minReadyNodes", "/spec/progressDeadlineSeconds");
    let (nodes_field, deadline_field) = ("spec.nodePool.minReadyNodes", "spec.progressDeadlineSeconds");
    refuse(vec![
        ("no purpose", "/spec/purpose", Value::Null, "spec.purpose"),
        ("no pool", "/spec/nodePool", Value::Null, "spec.nodePool"),
        ("an unknown purpose", "/spec/purpose", json!("storage"), "spec.purpose"),
        ("an uppercase purpose", "/spec/purpose", json!("Query"), "spec.purpose"),
        ("an empty purpose", "/spec/purpose", json!(""), "spec.purpose"),
        ("a purpose of 10,000 characters", "/spec/purpose", json!(long), "spec.purpose"),
        ("an unknown layer", "/spec/layer", json!("admin"), "spec.layer"),
        ("a layer of 10,000 characters", "/spec/layer", json!(long), "spec.layer"),
        ("an unknown deletion policy", "/spec/deletionPolicy", json!("Orphan"), "spec.deletionPolicy"),
        ("a deletion policy in lower case", "/spec/deletionPolicy", json!("block"), "spec.deletionPolicy"),
        ("a description of 10,000 characters", "/spec/description", json!(long), "spec.description"),
        ("an owner of 10,000 characters", "/spec/owner", json!(long), "spec.owner"),
        ("an empty owner", "/spec/owner", json!(""), "spec.owner"),
        ("a dataplane of 10,000 characters", "/spec/dataplane", json!(long), "spec.dataplane"),
        ("an uppercase dataplane", "/spec/dataplane", json!("Hub"), "spec.dataplane"),
        ("an empty dataplane", "/spec/dataplane", json!(""), "spec.dataplane"),
        ("65 tags", "/spec/tags", vec!["t"; 65].into(), "spec.tags"),
        ("10,000 tags", "/spec/tags", vec!["t"; 10_000].into(), "spec.tags"),
        ("a tag of 129 characters", "/spec/tags", json!(["t".repeat(129)]), "spec.tags[0]"),
        ("a tag of 10,000 characters", "/spec/tags", json!(["a", long]), "spec.tags[1]"),
        ("an empty tag", "/spec/tags", json!([""]), "spec.tags[0]"),
        ("fewer than no nodes", nodes, json!(-1), nodes_field),
        ("100,001 nodes", nodes, json!(100_001), nodes_field),
        ("more nodes than a number holds", nodes, json!(u64::MAX), nodes_field),
        ("a deadline in the past", deadline, json!(-1), deadline_field),
        ("no time at all", deadline, json!(0), deadline_field),
        ("more than a day", deadline, json!(86_401), deadline_field),
        ("more time than a number holds", deadline, json!(u64::MAX), deadline_field),
    ])
    .await;
}

async fn what_is_just_within_the_bounds_is_taken() {
    let api = raw_computes(&bare().await.client().await);
    let prefix = [63, 63, 63, 61].map(|length| "p".repeat(length)).join(".");
    let key = format!("{prefix}/{}", "k".repeat(63));
    assert_eq!(key.len(), 317, "the longest label key that Kubernetes knows");
    let cases: Vec<(&str, &str, Value)> = vec![
        ("a name of one letter", "/metadata/name", json!("q")),
        ("a name of one digit", "/metadata/name", json!("7")),
        ("a name of 48 characters", "/metadata/name", json!("q".repeat(48))),
        ("one pair", SELECTOR, selector(1)),
        ("32 pairs", SELECTOR, selector(32)),
        ("an empty label value", SELECTOR, json!({"pool": ""})),
        ("a label value of 63 characters", SELECTOR, json!({"pool": "v".repeat(63)})),
        ("the longest label key", SELECTOR, json!({key.clone(): "x"})),
        ("a label key with upper case, dot and underscore", SELECTOR, json!({"A.b_c-9": "X.y_z-0"})),
        ("no tolerations", TOLERATIONS, Value::Null),
        ("32 tolerations", TOLERATIONS, tolerations(32)),
        ("everything is tolerated", TOLERATIONS, json!([{"operator": "Exists"}])),
        ("the longest taint key", TOLERATIONS, json!([{"key": key, "operator": "Exists"}])),
        ("Exists with an empty value", TOLERATIONS, json!([{"key": "a", "operator": "Exists", "value": ""}])),
        ("Equal without a value", TOLERATIONS, json!([{"key": "a", "effect": "NoExecute"}])),
        (
            "two that differ by their effect",
            TOLERATIONS,
            json!([{"key": "a", "effect": "NoExecute"}, {"key": "a"}]),
        ),
        ("no node at all", "/spec/nodePool/minReadyNodes", json!(0)),
        ("100,000 nodes", "/spec/nodePool/minReadyNodes", json!(100_000)),
        ("one second", "/spec/progressDeadlineSeconds", json!(1)),
        ("one day", "/spec/progressDeadlineSeconds", json!(86_400)),
        ("64 tags of 128 characters", "/spec/tags", vec!["t".repeat(128); 64].into()),
        ("a description of 1,024 characters", "/spec/description", json!("ä".repeat(1024))),
        ("an owner of 253 characters", "/spec/owner", json!("o".repeat(253))),
        ("a dataplane of 63 characters", "/spec/dataplane", json!("d".repeat(63))),
    ];
    let mut wrong = Vec::new();
    for (what, pointer, part) in cases {
        let manifest = with(compute("schema-border"), pointer, part);
        if let Err(error) = dry_run(&api, &manifest).await {
            wrong.push(format!("{what}: {error:.300}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn an_edit_is_held_to_the_same_rules() {
    let api = raw_computes(&bare().await.client().await);
    create(&api, &compute("schema-edited")).await.unwrap();
    let bad = json!({"spec": {"nodePool": {"nodeSelector": {"bad key": "x"}}}});
    let result = api.patch("schema-edited", &PatchParams::default(), &Patch::Merge(&bad)).await;
    let (code, message, fields) = refusal(result);
    assert_eq!((code, fields), (422, vec!["spec.nodePool.nodeSelector".to_owned()]), "{message}");
    delete(&api, "schema-edited").await.unwrap();
}

//! What is too large, and what is not a user's to say: refused in the API server's words, or dropped, and never an error 500.

use serde_json::{Value, json};

use super::bare;
use crate::harness::objects::{compute, create, dry_run, raw_computes, refusal, with};
use crate::harness::until;
use crate::harness::wait::LIMIT;
use crate::trials;

trials![
    what_is_too_large_is_refused_for_its_size,
    metadata_is_held_to_the_rules_of_kubernetes,
    a_status_that_is_sent_along_is_dropped,
];

/// All annotations of an object together, in bytes, keys and values.
const ANNOTATIONS: usize = 256 << 10;

async fn what_is_too_large_is_refused_for_its_size() {
    let api = raw_computes(&bare().await.client().await);
    let note = |bytes: usize| json!({"a": "x".repeat(bytes - 1)});
    dry_run(&api, &with(compute("oversize"), "/metadata/annotations", note(ANNOTATIONS))).await.unwrap();
    let cases: Vec<(&str, Value, &[u16])> = vec![
        (
            "a byte too much of annotations",
            with(compute("oversize"), "/metadata/annotations", note(ANNOTATIONS + 1)),
            &[422],
        ),
        (
            "a description of 1.4 MiB",
            with(compute("oversize"), "/spec/description", json!("x".repeat(1_468_006))),
            &[422],
        ),
        (
            "a request of 4 MiB",
            with(compute("oversize"), "/spec/description", json!("x".repeat(4 << 20))),
            &[413],
        ),
        (
            "a hundred lists, one in the other",
            with(compute("oversize"), "/spec/tags", deep(100)),
            &[400, 422],
        ),
    ];
    for (what, manifest, codes) in cases {
        // The API server may hang up on what it has not read to its end, and then its answer is not always heard.
        let answer = until(what, LIMIT, || async {
            match dry_run(&api, &manifest).await {
                Err(kube::Error::Api(status)) => Ok(Err(kube::Error::Api(status))),
                Err(error) => Err(error.to_string()),
                Ok(taken) => Ok(Ok(taken)),
            }
        });
        let (code, message, _) = refusal(answer.await);
        assert!(codes.contains(&code), "{what}: {code} {message:.300}");
    }
}

/// A list in a list in a list; deeper than this serde itself refuses to write it.
fn deep(depth: usize) -> Value {
    (0..depth).fold(json!("tag"), |inner, _| json!([inner]))
}

async fn metadata_is_held_to_the_rules_of_kubernetes() {
    let api = raw_computes(&bare().await.client().await);
    for (what, pointer, part) in [
        ("a label of 64 characters", "/metadata/labels", json!({"team": "x".repeat(64)})),
        ("a label with a space", "/metadata/labels", json!({"team": "a b"})),
        (
            "a label key of 318 characters",
            "/metadata/labels",
            json!({format!("{}/{}", "p".repeat(253), "k".repeat(64)): "x"}),
        ),
        ("an annotation without a name", "/metadata/annotations", json!({"example.com/": "x"})),
        ("a finalizer that is none", "/metadata/finalizers", json!(["no slashes//here"])),
        (
            "an owner without a uid",
            "/metadata/ownerReferences",
            json!([{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": ""}]),
        ),
    ] {
        let (code, message, _) = refusal(dry_run(&api, &with(compute("oversize"), pointer, part)).await);
        assert_eq!(code, 422, "{what}: {message:.300}");
    }
}

async fn a_status_that_is_sent_along_is_dropped() {
    let api = raw_computes(&bare().await.client().await);
    let mut forged =
        with(compute("oversize-forged"), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"));
    forged["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    forged["status"] = json!({"aggregateStatus": "active", "transitionSeq": 9, "observedGeneration": 1});
    let stored = create(&api, &forged).await.unwrap();
    assert_eq!(stored.data["status"]["aggregateStatus"], "pending");
    assert_eq!(stored.data["status"]["observedGeneration"], -1);
    assert!(stored.metadata.deletion_timestamp.is_none());
    assert_ne!(stored.metadata.uid.as_deref(), Some("00000000-0000-0000-0000-000000000000"));
}

//! Revisions: a number belongs to one content, and what places pods changes only with content.

use serde_json::json;

use super::{clear, edit, poolless, revision, seq, shared};
use crate::harness::objects::{bindings, placements};
use crate::harness::wait;
use crate::trials;

trials![
    an_edit_of_words_changes_no_child,
    numbers_follow_content_and_are_never_given_to_another,
    a_compute_made_anew_starts_from_one,
];

async fn an_edit_of_words_changes_no_child() {
    let (client, name) = (shared().await.client().await, "rows-words");
    let active = poolless(&client, name).await;
    let versions = async || {
        let placement = placements(&client).get(name).await.unwrap();
        let binding = bindings(&client).get(&format!("poros-{name}")).await.unwrap();
        (placement.metadata.resource_version, binding.metadata.resource_version)
    };
    let before = versions().await;
    let edits = [
        json!({"spec": {"description": "for reports"}}),
        json!({"spec": {"tags": ["a", "b"]}}),
        json!({"spec": {"purpose": "gpu", "layer": "system"}}),
        json!({"spec": {"progressDeadlineSeconds": 60, "deletionPolicy": "Detach"}}),
    ];
    for patch in edits {
        edit(&client, name, patch).await;
        let after = wait::active(&client, name).await;
        assert_eq!(seq(&after), seq(&active), "an edit of words is no transition");
        assert_eq!(after.status.unwrap().placement.unwrap().revision, 1);
    }
    assert_eq!(versions().await, before, "no child was written");
    clear(&client, name).await;
}

async fn numbers_follow_content_and_are_never_given_to_another() {
    let (client, name) = (shared().await.client().await, "rows-numbers");
    poolless(&client, name).await;
    let toleration = |value: &str| json!([{"key": "dedicated", "operator": "Equal", "value": value}]);
    let pool = |key: &str| json!({"spec": {"nodePool": {"nodeSelector": {"pool": key}, "tolerations": toleration(key)}}});
    // Content, the number it gets, the highest number ever used.
    let steps = [("a", 2, 2), ("b", 3, 3), ("a", 2, 3), ("b", 3, 3), ("c", 4, 4), ("b", 3, 4), ("d", 5, 5)];
    for (content, number, last) in steps {
        edit(&client, name, pool(content)).await;
        let active = wait::active(&client, name).await;
        assert_eq!(revision(&client, name).await, (number, last), "after the edit to {content:?}");
        let said = active.status.as_ref().unwrap().placement.as_ref().unwrap();
        assert_eq!((said.revision, said.last_revision, said.proven_revision), (number, last, Some(number)));
        assert_eq!(wait::info(&active), format!("revision {number} is in force"));
        let pod = wait::placed(&client, name, number).await;
        assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": content}));
        let tolerations = pod["spec"]["tolerations"].as_array().unwrap();
        assert!(tolerations.contains(&toleration(content)[0]), "{tolerations:?}");
    }
    // Tolerations are content too.
    edit(&client, name, json!({"spec": {"nodePool": {"tolerations": null}}})).await;
    wait::active(&client, name).await;
    assert_eq!(revision(&client, name).await, (6, 6));
    clear(&client, name).await;
}

async fn a_compute_made_anew_starts_from_one() {
    let (client, name) = (shared().await.client().await, "rows-anew");
    poolless(&client, name).await;
    edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "other"}}}})).await;
    wait::active(&client, name).await;
    assert_eq!(revision(&client, name).await, (2, 2));
    clear(&client, name).await;
    let again = poolless(&client, name).await;
    assert_eq!(revision(&client, name).await, (1, 1));
    let history = &again.status.as_ref().unwrap().history;
    assert_eq!(history[0].seq, 1, "an incarnation has a history of its own");
    clear(&client, name).await;
}

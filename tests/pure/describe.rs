//! The description of a Compute, word for word, and the rail of its stages.

use poros::api::status::{AggregateStatus, Stage};
use poros::view::compute::ComputeFacts;
use poros::view::describe::{Facts, describe, rail};
use poros::view::events;
use poros::view::page::Style;
use serde_json::json;

use crate::explain::{compute_facts, compute_of, manifest_of, unseen};

fn facts() -> Facts {
    let mut manifest = manifest_of("query");
    manifest["spec"]["owner"] = json!("ann");
    manifest["spec"]["tags"] = json!(["a", "b"]);
    manifest["spec"]["description"] = json!("for \u{1b}queries");
    manifest["status"]["builderState"]["since"] = json!("2026-11-22T14:00:00Z");
    manifest["status"]["builderState"]["summary"] = json!("2/2");
    let event = json!({
        "metadata": {}, "eventTime": "2026-11-22T14:05:00.000000Z", "type": "Warning", "reason": "Drifted",
        "note": "Placement differs at spec.nodeSelector", "deprecatedCount": 2,
    });
    let of = ComputeFacts { compute: compute_of(&manifest), ..compute_facts(&manifest) };
    let events = events::last(vec![serde_json::from_value(event).unwrap()]);
    Facts { of, created: Some("2026-11-22T13:59:58Z".parse().unwrap()), events: Ok(events) }
}

#[test]
fn all_is_told_of_a_compute() {
    let style = Style::default();
    let now = Some("2026-11-22T14:10:00Z".parse().unwrap());
    let told = describe(facts()).page(style, now).lay_out(style);
    let expect = "\
Compute query
  Version    v1beta
  Owner      ann
  Purpose    query
  Layer      user
  Tags       a, b
  About      for \u{fffd}queries
  Created    2026-11-22T13:59:58Z (10m ago)
  Status     active/built: revision 3 is in force
  Stage      building ─▶ [built]
             2/2 objects in place, since 2026-11-22T14:00:00Z (10m ago)
  Conditions Ready True since 2026-11-22T14:00:00Z (10m ago), Active
  In force   revision 3, proven at 2026-11-22T14:00:00Z (mode Policy)
             nodeSelector pool=query
             tolerations dedicated=query:NoSchedule
  Built      Placement query: in place
             MutatingAdmissionPolicyBinding poros-query: in place
";
    assert!(told.starts_with(expect), "{told}");
    let expect = "\
  History    2. 2026-11-22T14:00:00Z (10m ago)  active/built  Active
               revision 3 is in force
             1. 2026-11-22T13:59:59Z (10m ago)  pending/building  Building
               the proof of revision 3 is under way
  Events     since 2026-11-22T14:05:00Z (5m ago); the API server keeps events for an hour, unless it
             is told otherwise
             2026-11-22T14:05:00Z (5m ago)  Warning  Drifted  2 times
               Placement differs at spec.nodeSelector
  Not seen   statefulsets cannot be seen, so who uses it is not known: because
";
    assert!(told.ends_with(expect), "{told}");
}

#[test]
fn events_that_are_away_or_unseen_are_said_to_be() {
    let style = Style::default();
    let none = Facts { events: Ok(events::last(Vec::new())), ..facts() };
    let told = describe(none).page(style, None).lay_out(style);
    assert!(told.contains("  Events     none; the API server keeps events for an hour"), "{told}");
    let blind = describe(Facts { events: Err(unseen("events")), ..facts() });
    let told = blind.page(style, None).lay_out(style);
    assert!(!told.contains("  Events ") && told.contains(" events cannot be seen, so "), "{told}");
    let json = serde_json::to_value(&blind).unwrap();
    assert_eq!(
        (&json["owner"], &json["layer"], &json["status"]),
        (&json!("ann"), &json!("user"), &json!("active"))
    );
    assert_eq!((&json["events"], &json["transitions"][0]["seq"]), (&json!(null), &json!(2)));
    assert_eq!(json["conditions"][0]["since"], json!("2026-11-22T14:00:00Z"));
}

#[test]
fn a_compute_that_cannot_be_read_is_told_all_the_same() {
    let mut manifest = manifest_of("query");
    manifest["spec"]["purpose"] = json!(7);
    let of = ComputeFacts { compute: compute_of(&manifest), ..compute_facts(&manifest) };
    let told = describe(Facts { of, ..facts() });
    let page = told.page(Style::default(), None).lay_out(Style::default());
    assert!(page.starts_with("Compute query\n  Version    v1beta\n  Created    "), "{page}");
    assert!(page.contains("  In force   revision 3, proven at ") && !page.contains("  Pool "), "{page}");
    assert_eq!(serde_json::to_value(&told).unwrap().get("owner"), None);
}

#[test]
fn the_rail_shows_where_the_builder_stands() {
    let all: Vec<String> = AggregateStatus::ALL
        .into_iter()
        .flat_map(|status| Stage::ALL.map(|stage| rail(status, stage, false).0))
        .collect();
    let (pending, active, deleting, deleted) = (
        "[building] -> built",
        "building -> [built]",
        "built -> [deleting] -> deleted",
        "built -> deleting -> [deleted]",
    );
    let (within, after) =
        ("building -x [error]  in the build", "building -> built -x [building]  after the build");
    let expect = [
        pending, pending, pending, active, active, active, after, after, within, deleting, deleting,
        deleting, deleted, deleted, deleted,
    ];
    assert_eq!(all, expect);
    assert_eq!(rail(AggregateStatus::Error, Stage::Error, true).0, "building ─✗ [error]  in the build");
}

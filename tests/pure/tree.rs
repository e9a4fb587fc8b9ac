//! What hangs on Computes, drawn.

use std::collections::BTreeMap;

use poros::view::page::Style;
use poros::view::tree::{Facts, trees};
use poros::view::users::UserPod;
use serde_json::json;

use crate::explain::{binding, compute_facts, compute_of, manifest_of, nodes, placement, unseen};

fn drawn(facts: &Facts) -> String {
    trees(facts).iter().map(|tree| tree.text(Style::default())).collect()
}

#[test]
fn a_tree_has_built_objects_pool_and_users() {
    let mut facts = Facts::from(compute_facts(&manifest_of("query")));
    assert_eq!(
        drawn(&facts),
        "\
Compute query  active/built: revision 3 is in force
├─ Placement query  in place: revision 3, proven
├─ MutatingAdmissionPolicyBinding poros-query  in place
├─ Pool pool=query  its selector matches 5 of 6 nodes, 2 take its pods
│  ├─ 2 nodes  ready: q1, q2
│  ├─ 1 node  cordoned: q3
│  ├─ 1 node  not ready: q5
│  └─ 1 node  taint gpu:NoSchedule is not tolerated: q4
└─ Users  3 pods, 1 workload, 1 outdated
   ├─ CronJob/data/nightly  carries the label
   ├─ namespace data  2 pods: b (outdated: revision 2), a
   ├─ namespace etl  1 pod: c
   ├─ no users  1 pod with the label, not placed by it: etl/d
   └─ statefulsets  cannot be seen: because
"
    );
    facts.placements = Ok(BTreeMap::new());
    facts.bindings = Err(unseen("bindings"));
    facts.nodes = Err(unseen("nodes"));
    facts.pods = Err(unseen("pods"));
    facts.computes[0].status.nodes = Some(serde_json::from_value(json!({"summary": "2/5"})).unwrap());
    assert_eq!(
        drawn(&facts),
        "\
Compute query  active/built: revision 3 is in force
├─ Placement query  gone, though the status has it in place
├─ MutatingAdmissionPolicyBinding poros-query  cannot be seen: because
├─ Pool pool=query  cannot be seen: because; by its status 2/5 nodes take its pods
└─ Users  by its status 3 pods and 1 workload
   ├─ pods  cannot be seen: because
   ├─ CronJob/data/nightly  carries the label
   └─ statefulsets  cannot be seen: because
"
    );
}

#[test]
fn lists_are_grouped_by_compute_and_bounded() {
    let mut other = manifest_of("gpu");
    other["status"]["users"] = json!({});
    let user = |index: usize| UserPod {
        namespace: format!("n{:02}", index % 12),
        name: format!("p{index:02}"),
        revision: Some(if index < 12 { 2 } else { 3 }),
    };
    let mut facts = Facts {
        computes: vec![compute_of(&other), compute_of(&manifest_of("query"))],
        placements: Ok([("gpu", placement("gpu", 3)), ("query", placement("query", 3))]
            .map(|(name, child)| (name.into(), child))
            .into()),
        bindings: Ok([("gpu", binding("gpu")), ("query", binding("query"))]
            .map(|(name, child)| (name.into(), child))
            .into()),
        nodes: Ok(nodes()),
        pods: Ok([("query".to_owned(), (0..60).map(user).collect())].into()),
        workloads: vec![Ok(
            [("query".to_owned(), (10..22).map(|index| format!("Job/a/{index}")).collect())].into()
        )],
        all: false,
    };
    let text = drawn(&facts);
    assert!(
        text.starts_with(
            "\
Compute gpu  active/built: revision 3 is in force
├─ Placement gpu  in place: revision 3, proven
├─ MutatingAdmissionPolicyBinding poros-gpu  in place
├─ Pool pool=gpu  its selector matches 1 of 6 nodes, none takes its pods
│  └─ 1 node  taint dedicated=query:NoSchedule is not tolerated: g1
└─ Users  none
Compute query  "
        ),
        "{text}"
    );
    assert!(
        text.contains("   ├─   and 2 more workloads\n") || text.contains("   ├─ and 2 more workloads\n"),
        "{text}"
    );
    assert!(
        text.contains("   ├─ namespace n00  5 pods: p00 (outdated: revision 2), p12, p24, …\n"),
        "{text}"
    );
    assert!(text.ends_with("   └─ and 2 more namespaces\n"), "{text}");
    facts.all = true;
    let text = drawn(&facts);
    assert!(text.contains("Job/a/21") && text.contains("namespace n11") && !text.contains('…'), "{text}");
}

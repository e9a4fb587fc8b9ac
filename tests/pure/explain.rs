//! Explanations, word for word.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use poros::decide::manifest::Kind;
use poros::decide::observed::{Child, Compute};
use poros::view::Unseen;
use poros::view::change::{self, ChangeFacts};
use poros::view::compute::{self, ComputeFacts};
use poros::view::manifest;
use poros::view::nodes::Nodes;
use poros::view::page::Style;
use poros::view::pod::facts::{self, Pod};
use poros::view::pod::{self, PodFacts, Trial};
use poros::view::users::UserPod;
use poros::world::project;
use serde_json::{Value, json};

fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

/// An active Compute over `pool: <name>`, as it is stored.
pub(super) fn manifest_of(name: &str) -> Value {
    json!({
        "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute",
        "metadata": {"name": name, "uid": "uid-1", "generation": 3},
        "spec": {
            "purpose": "query",
            "nodePool": {
                "nodeSelector": {"pool": name},
                "tolerations": [{"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"}],
                "minReadyNodes": 1,
            },
        },
        "status": {
            "aggregateStatus": "active", "observedGeneration": 3, "transitionSeq": 2,
            "builderState": {"stage": "built", "info": "revision 3 is in force"},
            "cloudKernelResources": [
                {"kind": "Placement", "name": name, "status": "created", "dataplane": "hub"},
                {"kind": "MutatingAdmissionPolicyBinding", "name": format!("poros-{name}"), "status": "created", "dataplane": "hub"},
            ],
            "placement": {"mode": "Policy", "revision": 3, "lastRevision": 3, "provenRevision": 3, "provenAt": "2026-11-22T14:00:00Z"},
            "users": {"pods": 3, "workloads": 1, "examples": ["Pod/data/a", "Pod/data/b", "Pod/etl/c"]},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": "2026-11-22T14:00:00Z"},
            ],
            "history": [
                {"seq": 1, "to": "pending", "stage": "building", "reason": "Building", "message": "the proof of revision 3 is under way", "time": "2026-11-22T13:59:59Z"},
                {"seq": 2, "from": "pending", "to": "active", "stage": "built", "reason": "Active", "message": "revision 3 is in force", "time": "2026-11-22T14:00:00Z"},
            ],
        },
    })
}

pub(super) fn compute_of(manifest: &Value) -> Compute {
    project::compute(object(manifest))
}

pub(super) fn placement(name: &str, revision: u64) -> Child {
    project::child(
        Kind::Placement,
        object(&json!({
            "metadata": {
                "name": name, "uid": "uid-2",
                "labels": {"app.kubernetes.io/managed-by": "poros"},
                "annotations": {"poros.dataos.io/owner-uid": "uid-1"},
            },
            "spec": {
                "revision": revision, "lastRevision": revision, "closed": false,
                "nodeSelector": {"pool": name},
                "tolerations": [{"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"}],
                "previous": {"revision": revision - 1, "nodeSelector": {"pool": "old"}, "tolerations": []},
            },
        })),
    )
}

pub(super) fn binding(name: &str) -> Child {
    project::child(
        Kind::Binding,
        object(&json!({"metadata": {
            "name": format!("poros-{name}"), "uid": "uid-3",
            "labels": {"app.kubernetes.io/managed-by": "poros"},
            "annotations": {"poros.dataos.io/owner-uid": "uid-1"},
        }})),
    )
}

pub(super) fn nodes() -> Nodes {
    let node = |name: &str, pool: &str, taints: Value, more: Value| {
        let node = json!({
            "metadata": {"name": name, "labels": {"pool": pool, "disk": if name.ends_with('1') { "ssd" } else { "hdd" }}},
            "spec": {"taints": taints, "unschedulable": more["cordoned"]},
            "status": {
                "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": more["ready"]}],
            },
        });
        (name.to_owned(), project::node(serde_json::from_value(node).unwrap()))
    };
    let well = json!({"cordoned": false, "ready": "True"});
    let ours = json!([{"key": "dedicated", "value": "query", "effect": "NoSchedule"}]);
    BTreeMap::from([
        node("q1", "query", ours.clone(), well.clone()),
        node("q2", "query", ours.clone(), well.clone()),
        node("q3", "query", ours.clone(), json!({"cordoned": true, "ready": "True"})),
        node("q4", "query", json!([{"key": "gpu", "effect": "NoSchedule"}]), well.clone()),
        node("q5", "query", json!([]), json!({"cordoned": false, "ready": "False"})),
        node("g1", "gpu", ours, well),
    ])
}

fn pod_manifest() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "etl-7", "namespace": "data", "creationTimestamp": "2026-11-22T14:10:00Z",
            "labels": {"poros.dataos.io/compute": "query"},
            "annotations": {"poros.dataos.io/placed-by": "query/3"},
        },
        "spec": {
            "containers": [{"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}],
            "nodeSelector": {"pool": "query", "disk": "ssd"},
            "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "query", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
        },
        "status": {"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/6 nodes are available: 1 Insufficient cpu.",
        }]},
    })
}

fn pod_facts(pod: Pod, trial: Option<Trial>) -> PodFacts {
    PodFacts {
        pod,
        trial,
        compute: Ok(Some(compute_of(&manifest_of("query")))),
        names: Ok(vec![]),
        placement: Ok(Some(placement("query", 3))),
        binding: Ok(Some(binding("query"))),
        nodes: Ok(nodes()),
        all_nodes: false,
    }
}

fn told_pod(facts: &PodFacts) -> String {
    pod::explain(facts).page().lay_out(Style::default())
}

fn stored(manifest: &Value) -> Pod {
    facts::read(manifest).unwrap()
}

#[test]
fn a_pod_that_is_pending() {
    let expect = "\
Pod data/etl-7 names Compute query
  Compute    active/built: revision 3 is in force
  Placed     by revision 3, which is in force
  Injected   nodeSelector pool=query
             tolerations dedicated=query:NoSchedule
  Its own    nodeSelector disk=ssd
             requests cpu=2, memory=1Gi
  Nodes      1 of 6 nodes fits: q1
                 1  label disk is \"hdd\", not \"ssd\": q2
                 1  label disk is \"hdd\", not \"ssd\"; cordoned: q3
                 1  label disk is \"hdd\", not \"ssd\"; not ready: q5
                 1  label disk is \"hdd\", not \"ssd\"; taint gpu:NoSchedule is not tolerated: q4
                 1  label pool is \"gpu\", not \"query\": g1
             by labels, taints, state and size; what other pods occupy is not counted
  Runs       nowhere (Pending); its scheduler says Unschedulable: \"0/6 nodes are available: 1
             Insufficient cpu.\"
";
    assert_eq!(told_pod(&pod_facts(stored(&pod_manifest()), None)), expect);
}

#[test]
fn a_pod_that_an_older_revision_placed() {
    let mut manifest = pod_manifest();
    manifest["metadata"]["annotations"]["poros.dataos.io/placed-by"] = json!("query/2");
    manifest["spec"]["nodeName"] = json!("q1");
    manifest["spec"]["nodeSelector"] = json!({"pool": "old"});
    manifest["status"] = json!({"phase": "Running"});
    let told = told_pod(&pod_facts(stored(&manifest), None));
    for line in [
        "  Placed     by revision 2, which is outdated: revision 3 is in force. A running pod is never moved;",
        "  Injected   nodeSelector pool=old\n  Its own    tolerations dedicated=query:NoSchedule\n",
        "  Runs       on node q1 (Running)\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    // Content that is not kept is not told from the pod's own.
    manifest["metadata"]["annotations"]["poros.dataos.io/placed-by"] = json!("query/1");
    let told = told_pod(&pod_facts(stored(&manifest), None));
    assert!(told.contains("  Injected   the content of that revision is not kept"), "{told}");
}

#[test]
fn a_pod_with_the_label_alone() {
    let mut manifest = pod_manifest();
    manifest["metadata"]["annotations"] = json!({});
    manifest["metadata"]["managedFields"] = json!([{
        "manager": "kubectl-label", "time": "2026-11-22T14:12:00Z",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:poros.dataos.io/compute": {}}}},
    }]);
    let told = told_pod(&pod_facts(stored(&manifest), None));
    for line in [
        "  Placed     by no Compute: it carries the label, but not the mark poros.dataos.io/placed-by of\n",
        "created at 2026-11-22T14:10:00Z; the label was written later: by\n             kubectl-label, at 2026-11-22T14:12:00Z",
        "it does not count as a user of the",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains("Injected"), "{told}");
    // A label that was changed later.
    manifest["metadata"]["annotations"] = json!({"poros.dataos.io/placed-by": "gpu/1"});
    let told = told_pod(&pod_facts(stored(&manifest), None));
    assert!(
        told.contains("Compute gpu placed it (revision 1); the label was changed to query later"),
        "{told}"
    );
}

#[test]
fn a_pod_whose_compute_does_not_exist_and_one_without_label() {
    let mut facts = pod_facts(stored(&pod_manifest()), Some(Trial::Refused("the very words".into())));
    facts.pod.mark = None;
    facts.compute = Ok(None);
    facts.placement = Ok(None);
    facts.binding = Ok(None);
    facts.names = Ok(vec!["gpu".into(), "query-default".into()]);
    let expect = "\
Pod data/etl-7 names Compute query
  Compute    no Compute named query exists; did you mean query-default? There are: query-default,
             gpu
  Placed     nothing is in force: pods that name this Compute are refused
  Admission  the API server would refuse it: the very words
  Its own    nodeSelector disk=ssd, pool=query
             tolerations dedicated=query:NoSchedule
             requests cpu=2, memory=1Gi
";
    assert_eq!(told_pod(&facts), expect);
    facts.pod = Pod { compute: None, ..facts.pod };
    facts.trial = None;
    let told = told_pod(&facts);
    assert!(told.starts_with("Pod data/etl-7 names no Compute\n  Placed     it does not carry the label poros.dataos.io/compute, so no"), "{told}");
}

#[test]
fn a_workload_to_come_is_told_as_admission_would_have_it() {
    let deployment = json!({
        "kind": "Deployment", "metadata": {"name": "etl", "namespace": "data", "labels": {"poros.dataos.io/compute": "gpu"}},
        "spec": {"template": {
            "metadata": {"labels": {"poros.dataos.io/compute": "query"}},
            "spec": {"containers": [{"resources": {"requests": {"cpu": 8}}}]},
        }},
    });
    // Who may not create pods is told what the Placement would bring.
    let trial = Some(Trial::Unknown("pods is forbidden".into()));
    let told = told_pod(&pod_facts(stored(&deployment), trial));
    let expect = "\
Deployment data/etl names Compute query
  Compute    active/built: revision 3 is in force
  Placed     revision 3 is in force
             the Deployment itself carries the label for Compute gpu, its pod template for query:
             the template decides where pods go
  Admission  not known: pods is forbidden
  Injected   nodeSelector pool=query
             tolerations dedicated=query:NoSchedule
  Its own    requests cpu=8
  Nodes      none of 6 nodes fits
                 2  too small: cpu 8 is requested, 4 offered: q1, q2
                 1  cordoned; too small: cpu 8 is requested, 4 offered: q3
                 1  label pool is \"gpu\", not \"query\": g1
                 1  not ready; too small: cpu 8 is requested, 4 offered: q5
                 1  taint gpu:NoSchedule is not tolerated; too small: cpu 8 is requested, 4 offered:
                    q4
             by labels, taints, state and size; what other pods occupy is not counted
";
    assert_eq!(told, expect);
}

fn user(namespace: &str, name: &str, revision: Option<u64>) -> UserPod {
    UserPod { namespace: namespace.into(), name: name.into(), revision }
}

pub(super) fn unseen(what: &str) -> Unseen {
    Unseen { what: what.into(), so: "who uses it".into(), why: "because".into() }
}

pub(super) fn compute_facts(manifest: &Value) -> ComputeFacts {
    ComputeFacts {
        compute: compute_of(manifest),
        placement: Ok(Some(placement("query", 3))),
        binding: Ok(Some(binding("query"))),
        nodes: Ok(nodes()),
        computes: Ok(vec![compute_of(manifest), {
            let mut other = manifest_of("fast");
            other["spec"]["nodePool"]["nodeSelector"] = json!({"disk": "ssd"});
            compute_of(&other)
        }]),
        pods: Ok(vec![
            user("data", "a", Some(3)),
            user("data", "b", Some(2)),
            user("etl", "c", Some(3)),
            user("etl", "d", None),
        ]),
        workloads: vec![Ok(vec!["CronJob/data/nightly".into()]), Err(unseen("statefulsets"))],
        all_nodes: false,
    }
}

#[test]
fn a_compute_that_is_active() {
    let told = compute::explain(&compute_facts(&manifest_of("query"))).page().lay_out(Style::default());
    let expect = "\
Compute query
  State      active/built: revision 3 is in force
  In force   revision 3, proven at 2026-11-22T14:00:00Z (mode Policy)
             nodeSelector pool=query
             tolerations dedicated=query:NoSchedule
  Built      Placement query: in place
             MutatingAdmissionPolicyBinding poros-query: in place
  Pool       2 of 6 nodes fit: q1, q2
                 1  cordoned: q3
                 1  label pool is \"gpu\", not \"query\": g1
                 1  not ready: q5
                 1  taint gpu:NoSchedule is not tolerated: q4
             what fits offers cpu=8, memory=32Gi, pods=220
             1 of its 5 nodes has no taint: pods that name no Compute may land there, too
  Overlaps   with Compute fast in 1 node: q1
  Users      3 pods in 2 namespaces
                 2  in namespace data
                 1  in namespace etl
             1 of them run with an older revision until they are made anew: data/b
             1 more carry the label, but were not placed by it: etl/d; see why:
               kubectl poros explain pod etl/d
             workloads that carry the label: CronJob/data/nightly
  Deletion   refused: in use by 3 pods and 1 workload (Pod/data/a, Pod/data/b, Pod/etl/c); remove
             them first, or override that:
               kubectl annotate compute query poros.dataos.io/delete-in-use=true
  History    2026-11-22T14:00:00Z  active/built  Active: revision 3 is in force
             2026-11-22T13:59:59Z  pending/building  Building: the proof of revision 3 is under way
  Not seen   statefulsets cannot be seen, so who uses it is not known: because
";
    assert_eq!(told, expect);
}

#[test]
fn only_what_poros_built_for_this_compute_is_in_force() {
    let told = |change: &dyn Fn(&mut ComputeFacts)| {
        let mut facts = compute_facts(&manifest_of("query"));
        change(&mut facts);
        compute::explain(&facts).in_force[0].clone()
    };
    let placement = |change: fn(&mut Child)| {
        move |facts: &mut ComputeFacts| change(facts.placement.as_mut().unwrap().as_mut().unwrap())
    };
    let binding = |change: fn(&mut Child)| {
        move |facts: &mut ComputeFacts| change(facts.binding.as_mut().unwrap().as_mut().unwrap())
    };
    let other = |why: &str| format!("nothing that Poros answers for: {why}; pods may be placed all the same");
    let dead = |child: &mut Child| {
        child.annotations.insert("poros.dataos.io/owner-uid".into(), "uid-0".into());
    };
    let edited = |child: &mut Child| {
        child
            .annotations
            .insert("poros.dataos.io/hash-version".into(), poros::decide::hash::HASH_VERSION.into());
    };
    assert_eq!(
        told(&placement(|child| child.labels.clear())),
        other("Placement query was not built by Poros")
    );
    assert_eq!(told(&placement(dead)), other("Placement query is left of an earlier Compute of that name"));
    assert_eq!(told(&placement(|child| child.deleting = true)), other("Placement query is being deleted"));
    assert_eq!(told(&placement(edited)), other("Placement query is not as Poros wrote it"));
    let what = "MutatingAdmissionPolicyBinding poros-query";
    assert_eq!(
        told(&binding(|child| child.labels.clear())),
        other(&format!("{what} was not built by Poros"))
    );
    assert_eq!(told(&binding(dead)), other(&format!("{what} is left of an earlier Compute of that name")));
    assert_eq!(
        told(&|facts| facts.binding = Ok(None)),
        "nothing: there is no binding, so pods that name it are refused"
    );
    let unseen = told(&|facts| facts.binding = Err(unseen("the binding")));
    assert_eq!(unseen, "revision 3, proven at 2026-11-22T14:00:00Z (mode Policy), if its binding stands");
    // To the webhook the Placement says all.
    let by_webhook = |facts: &mut ComputeFacts| {
        facts.compute.status.placement.as_mut().unwrap().mode = poros::api::status::PlacementMode::Webhook;
        facts.binding = Ok(None);
    };
    assert_eq!(told(&by_webhook), "revision 3, proven at 2026-11-22T14:00:00Z (mode Webhook)");
    let refused = told(&|facts| {
        by_webhook(facts);
        placement(dead)(facts);
    });
    assert_eq!(
        refused,
        "nothing: Placement query is left of an earlier Compute of that name, so pods that name it are refused"
    );
    let withdrawn = told(&|facts| {
        by_webhook(facts);
        placement(|child| child.spec["withdrawn"] = json!(true))(facts);
    });
    assert_eq!(withdrawn, "nothing: it is withdrawn, so pods that name it are refused");
    // A pod that names it is told the same.
    let mut facts = pod_facts(stored(&pod_manifest()), None);
    dead(facts.placement.as_mut().unwrap().as_mut().unwrap());
    assert!(
        told_pod(&facts).contains("  Placed     by revision 3; nothing is in force now"),
        "{}",
        told_pod(&facts)
    );
}

#[test]
fn a_deletion_is_judged_by_the_users_in_the_status() {
    let told = |users: Value, change: fn(&mut ComputeFacts)| {
        let mut manifest = manifest_of("query");
        manifest["status"]["users"] = users;
        let mut facts = compute_facts(&manifest);
        facts.workloads = vec![Ok(vec!["CronJob/data/nightly".into()])];
        change(&mut facts);
        compute::explain(&facts).deletion.text
    };
    let blind = |facts: &mut ComputeFacts| facts.pods = Err(unseen("pods"));
    let half = |facts: &mut ComputeFacts| facts.workloads.push(Err(unseen("jobs")));
    for change in [blind, half] {
        assert_eq!(
            told(json!({"workloads": 1}), change),
            "refused: in use by 1 workload; remove them first, or override that:"
        );
        assert_eq!(told(json!({}), change), "possible: nothing uses it");
    }
    assert_eq!(
        told(json!({}), |_| {}),
        "possible: nothing uses it by its status, which does not count 3 pods and 1 workload yet"
    );
    assert_eq!(
        told(json!({"pods": 2}), |facts| (facts.pods, facts.workloads) = (Ok(vec![]), vec![])),
        "refused: in use by 2 pods by its status, though none is there any more; remove them first, or override that:"
    );
}

#[test]
fn a_compute_with_a_fault_is_told_by_its_row() {
    let mut manifest = manifest_of("query");
    manifest["metadata"]["generation"] = json!(4);
    manifest["status"]["aggregateStatus"] = json!("error");
    manifest["status"]["builderState"] = json!({"stage": "building", "info": "no node is ready"});
    manifest["status"]["conditions"] = json!([
        {"type": "Ready", "status": "False", "reason": "NoReadyNodes", "message": "", "lastTransitionTime": "2026-11-22T14:00:00Z"},
        {"type": "Drifted", "status": "True", "reason": "Drifted", "message": "Placement was removed", "lastTransitionTime": "2026-11-22T14:00:00Z"},
    ]);
    let mut facts = compute_facts(&manifest);
    facts.nodes = Err(Unseen { so: "what its pool is".into(), ..unseen("nodes") });
    facts.binding = Ok(None);
    facts.compute.delete_in_use = true;
    let told = compute::explain(&facts).page().lay_out(Style::default());
    let begin = "\
Compute query
  State      error/building: no node is ready; that is about generation 3, and Poros has not acted
             on generation 4 yet
  Fault      NoReadyNodes, found in the step pool
             Nodes carry the labels of the selector, but fewer of them are ready than
             spec.nodePool.minReadyNodes asks for.
             pods that name it: placed; they wait as Pending until a node fits
             healed by: a node of the pool that is ready
  What to do see why a node is not ready:
               kubectl describe node NODE
  Notice     Drifted is True: Placement was removed
  In force   nothing: there is no binding, so pods that name it are refused
";
    assert!(told.starts_with(begin), "{told}");
    assert!(told.contains("possible, though 3 pods and 1 workload still use it"), "{told}");
    assert!(told.contains("  Not seen   nodes cannot be seen"), "{told}");
    let unseen = json!({"metadata": {"name": "new", "generation": 1}, "spec": manifest["spec"]});
    let told = compute::explain(&ComputeFacts { compute: compute_of(&unseen), ..facts })
        .page()
        .lay_out(Style::default());
    assert!(told.contains("no Poros has looked at it yet"), "{told}");
}

fn change_facts(text: &str, current: Option<&Value>) -> ChangeFacts {
    let facts = compute_facts(&manifest_of("query"));
    ChangeFacts {
        file: "changed.yaml".into(),
        document: manifest::documents("changed.yaml", text.as_bytes()).pop().unwrap().unwrap(),
        unset: Vec::new(),
        current: current.map(compute_of),
        placement: if current.is_some() { facts.placement } else { Ok(None) },
        binding: if current.is_some() { facts.binding } else { Ok(None) },
        nodes: facts.nodes,
        computes: facts.computes,
        pods: if current.is_some() { facts.pods } else { Ok(vec![]) },
        all_nodes: false,
        answer: None,
    }
}

fn told_change(text: &str, current: Option<&Value>) -> String {
    change::explain(&change_facts(text, current)).page().lay_out(Style::default())
}

const CHANGED: &str = "\
apiVersion: poros.dataos.io/v1beta1
kind: Compute
metadata: {name: query}
spec:
  purpose: query
  description: for queries
  nodePool:
    nodeSelector: {disk: ssd}
    tolerations:
    - {key: dedicated, value: query, effect: NoSchedule}
";

#[test]
fn a_changed_manifest_is_told_by_what_it_would_do() {
    let expect = "\
changed.yaml would change Compute query
  Edits      spec.description: absent becomes \"for queries\"
             spec.nodePool.nodeSelector.disk: absent becomes \"ssd\"
             spec.nodePool.nodeSelector.pool: \"query\" becomes absent
  Revision   3 becomes 4: new pods get the new selector and tolerations; running ones stay where
             they are
  Pool       5 nodes now, 2 then
                 1  join: g1
                 4  leave: q2, q3, q4, q5
  Nodes then 2 of 6 nodes fit: g1, q1
                 4  label disk is \"hdd\", not \"ssd\": q2, q3, q4, …
  Overlaps   with Compute fast in 2 nodes: g1, q1
  Users      3 pods would run with an older revision until made anew
";
    assert_eq!(told_change(CHANGED, Some(&manifest_of("query"))), expect);
    // Text alone: no new revision, and the pods of the older one are what they were.
    let text = CHANGED.replace("disk: ssd", "pool: query");
    let told = told_change(&text, Some(&manifest_of("query")));
    assert!(told.contains("  Revision   stays 3: neither the selector nor the tolerations change"), "{told}");
    assert!(told.contains("  Pool       5 nodes now, 5 then\n"), "{told}");
    let told = told_change(&text.replace("  description: for queries\n", ""), Some(&manifest_of("query")));
    assert!(told.contains("  Edits      nothing in the spec\n"), "{told}");
}

#[test]
fn a_new_manifest_is_told_with_its_faults_and_taints() {
    let text = CHANGED.replace("dedicated", "other").replace("name: query}", "name: fresh}");
    let expect = "\
changed.yaml would make a new Compute fresh
  Revision   1, once it is proven
  Pool       2 nodes match its selector
  Nodes then none of 6 nodes fits
                 4  label disk is \"hdd\", not \"ssd\": q2, q3, q4, …
                 2  taint dedicated=query:NoSchedule is not tolerated: g1, q1
  Taints     dedicated=query:NoSchedule on 2 nodes of the pool would not be tolerated: g1, q1
  Overlaps   with Compute fast in 2 nodes: g1, q1
             with Compute query in 1 node: q1
";
    assert_eq!(told_change(&text, None), expect);
    let told = told_change(&text.replace("disk: ssd", "disk: tape"), None);
    assert!(
        told.contains("  Fault      NoNodesMatch: no node carries the labels of spec.nodePool.nodeSelector"),
        "{told}"
    );
}

#[test]
fn what_the_server_would_refuse_is_told_with_line_and_column() {
    let text = CHANGED.replace("purpose: query", "purpose: fast").replace("description:", "descriptoin:");
    let expect = "\
changed.yaml cannot be built: 2 errors
  Errors     changed.yaml:6:3: spec.descriptoin is no field; did you mean description? There are:
             dataplane, deletionPolicy, description, layer, nodePool, owner,
             progressDeadlineSeconds, purpose, tags
             changed.yaml:5:3: spec.purpose is \"fast\"; it takes runnable, query, gpu
  Until then what is in force stays so
";
    assert_eq!(told_change(&text, Some(&manifest_of("query"))), expect);
    // Rules that are no schema: as Poros itself says them.
    let told = told_change(&CHANGED.replace("key: dedicated, ", ""), None);
    assert!(
        told.contains("changed.yaml:10:7: spec.nodePool.tolerations[0].key is absent; operator Equal needs"),
        "{told}"
    );
    let told =
        told_change(&CHANGED.replace("purpose: query", "purpose: query\n  dataplane: elsewhere"), None);
    assert!(
        told.contains("changed.yaml:6:3: spec.dataplane is \"elsewhere\", but this Poros builds for \"hub\""),
        "{told}"
    );
}

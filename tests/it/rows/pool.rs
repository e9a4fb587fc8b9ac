//! Building, Active and the faults of the pool: `NoNodesMatch`, `NoReadyNodes`.

use serde_json::json;

use super::{apply, clear, edit, reason, seq, shared};
use crate::harness::objects::{compute, computes, delete, node, nodes, patch, raw_computes, with};
use crate::harness::wait::{self, condition, info, message};
use crate::kstatus::{self, Kstatus};
use crate::trials;

trials![
    a_compute_becomes_active_and_says_what_was_built,
    a_compute_waits_for_its_pool_and_places_pods_meanwhile,
    a_pool_that_does_not_come_is_an_error_after_the_deadline,
    an_active_compute_whose_nodes_fail_is_an_error_until_they_are_back,
    a_pool_may_start_from_no_node,
    fewer_ready_nodes_than_asked_for_are_not_enough,
    a_node_that_takes_no_pods_is_matched_and_not_schedulable,
    taints_that_keep_a_compute_out_are_counted_and_named,
    computes_that_share_nodes_say_so_as_long_as_they_do,
];

async fn a_compute_becomes_active_and_says_what_was_built() {
    let (client, name) = (shared().await.client().await, "rows-active");
    node(&client, "rows-active-1", name, true).await;
    apply(&client, &compute(name)).await;
    let active = wait::active(&client, name).await;
    assert_eq!(kstatus::of(&active), Kstatus::Current);
    let status = active.status.as_ref().unwrap();
    let builder = &status.builder_state;
    assert_eq!((builder.summary.as_str(), builder.info.as_str()), ("2/2", "revision 1 is in force"));
    let built: Vec<_> = status
        .cloud_kernel_resources
        .iter()
        .map(|built| {
            let word = serde_json::to_value(built.status).unwrap();
            format!("{} {} {} {word}", built.version, built.kind, built.name)
        })
        .collect();
    assert_eq!(
        built,
        [
            "poros.dataos.io/v1beta1 Placement rows-active \"created\"",
            "admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding poros-rows-active \"created\"",
        ]
    );
    for type_ in ["Ready", "Built", "PlacementVerified", "PoolReady"] {
        assert_eq!(condition(&active, type_), "True", "{type_}");
    }
    for absent in ["Reconciling", "Stalled", "Drifted", "Contended", "Deleting", "Paused"] {
        assert_eq!(condition(&active, absent), "", "{absent}");
    }
    assert_eq!(status.nodes.as_ref().unwrap().summary, "1/1");
    let offer = &status.capacity.as_ref().unwrap().allocatable;
    assert_eq!((offer["cpu"].0.as_str(), offer["memory"].0.as_str()), ("4", "16Gi"));
    let pod = wait::placed(&client, name, 1).await;
    assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": name}));
    let toleration = json!({"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"});
    assert!(pod["spec"]["tolerations"].as_array().unwrap().contains(&toleration), "{}", pod["spec"]);
    clear(&client, name).await;
}

async fn a_compute_waits_for_its_pool_and_places_pods_meanwhile() {
    let (client, name) = (shared().await.client().await, "rows-awaits");
    apply(&client, &compute(name)).await;
    let waiting = wait::says(&client, name, "pending/building AwaitingPool").await;
    let conditions = ["Ready", "Reconciling", "Stalled", "Built", "PlacementVerified", "PoolReady"];
    let found = conditions.map(|type_| condition(&waiting, type_));
    assert_eq!(found, ["Unknown", "True", "", "True", "True", "False"]);
    assert_eq!(kstatus::of(&waiting), Kstatus::InProgress);
    assert_eq!(reason(&waiting, "PoolReady"), "NoNodesMatch");
    assert!(info(&waiting).contains("spec.nodePool.nodeSelector"), "{}", info(&waiting));
    // An autoscaler sees pods that wait, so they must be let in.
    wait::placed(&client, name, 1).await;
    node(&client, "rows-awaits-1", name, false).await;
    let unready = wait::compute(&client, name, "told of the node that is not ready", |compute| {
        reason(compute, "PoolReady") == "NoReadyNodes"
    })
    .await;
    assert_eq!(wait::words(&unready), "pending/building AwaitingPool");
    assert!(message(&unready, "PoolReady").starts_with("no node of the pool is ready"), "{unready:?}");
    node(&client, "rows-awaits-1", name, true).await;
    wait::active(&client, name).await;
    clear(&client, name).await;
}

async fn a_pool_that_does_not_come_is_an_error_after_the_deadline() {
    let (client, name) = (shared().await.client().await, "rows-deadline");
    let mut manifest = compute(name);
    // Long enough to be built and proven before.
    manifest["spec"]["progressDeadlineSeconds"] = json!(10);
    apply(&client, &manifest).await;
    kstatus::was(name, "pending/building AwaitingPool").await;
    let late = wait::says(&client, name, "error/building NoNodesMatch").await;
    let found = ["Ready", "Reconciling", "Stalled", "Built"].map(|type_| condition(&late, type_));
    assert_eq!(found, ["False", "True", "", "True"]);
    assert_eq!(kstatus::of(&late), Kstatus::InProgress);
    assert!(info(&late).contains("spec.nodePool.nodeSelector"), "{}", info(&late));
    wait::placed(&client, name, 1).await;
    node(&client, "rows-deadline-1", name, true).await;
    wait::active(&client, name).await;
    clear(&client, name).await;
}

async fn an_active_compute_whose_nodes_fail_is_an_error_until_they_are_back() {
    let (client, name) = (shared().await.client().await, "rows-lost");
    node(&client, "rows-lost-1", name, true).await;
    apply(&client, &compute(name)).await;
    let active = wait::active(&client, name).await;
    node(&client, "rows-lost-1", name, false).await;
    let failed = wait::says(&client, name, "error/building NoReadyNodes").await;
    assert_eq!(seq(&failed), seq(&active) + 1, "one transition");
    let found = ["Ready", "PoolReady", "Built", "PlacementVerified"].map(|type_| condition(&failed, type_));
    assert_eq!(found, ["False", "False", "True", "True"]);
    assert_eq!(
        info(&failed),
        "no node of the pool is ready (spec.nodePool.minReadyNodes is 1); see kubectl get nodes"
    );
    wait::placed(&client, name, 1).await;
    delete(&nodes(&client), "rows-lost-1").await.unwrap();
    wait::says(&client, name, "error/building NoNodesMatch").await;
    node(&client, "rows-lost-2", name, true).await;
    let healed = wait::active(&client, name).await;
    assert_eq!(healed.status.unwrap().placement.unwrap().revision, 1);
    clear(&client, name).await;
}

async fn a_pool_may_start_from_no_node() {
    let (client, name) = (shared().await.client().await, "rows-zero");
    apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    let active = wait::active(&client, name).await;
    assert_eq!(active.status.unwrap().nodes.unwrap().summary, "0/0");
    clear(&client, name).await;
}

async fn fewer_ready_nodes_than_asked_for_are_not_enough() {
    let (client, name) = (shared().await.client().await, "rows-two");
    node(&client, "rows-two-1", name, true).await;
    apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(2))).await;
    let what = "waiting for the second node";
    let waiting =
        wait::compute(&client, name, what, |c| info(c).contains("spec.nodePool.minReadyNodes is 2")).await;
    assert_eq!(wait::words(&waiting), "pending/building AwaitingPool");
    node(&client, "rows-two-2", name, true).await;
    let active = wait::active(&client, name).await;
    // Asking for more than there is makes an active Compute wait again, and for less heals it.
    let more = edit(&client, name, json!({"spec": {"nodePool": {"minReadyNodes": 3}}})).await;
    let failed = wait::says(&client, name, "error/building NoReadyNodes").await;
    assert_eq!(failed.status.as_ref().unwrap().observed_generation, more);
    assert_eq!(failed.status.unwrap().placement.unwrap().revision, 1);
    edit(&client, name, json!({"spec": {"nodePool": {"minReadyNodes": 1}}})).await;
    let healed = wait::active(&client, name).await;
    assert!(seq(&healed) > seq(&active));
    clear(&client, name).await;
}

async fn a_node_that_takes_no_pods_is_matched_and_not_schedulable() {
    let (client, name) = (shared().await.client().await, "rows-cordoned");
    node(&client, "rows-cordoned-1", name, true).await;
    node(&client, "rows-cordoned-2", name, true).await;
    apply(&client, &compute(name)).await;
    wait::active(&client, name).await;
    let cordon = json!({"spec": {"unschedulable": true}});
    crate::harness::objects::patch(&nodes(&client), "rows-cordoned-1", &cordon).await;
    let summary = |compute: &poros::api::compute::Compute, expect: &str| {
        compute.status.as_ref().and_then(|s| s.nodes.as_ref()).is_some_and(|n| n.summary == expect)
    };
    let one = wait::compute(&client, name, "1/2", |compute| summary(compute, "1/2")).await;
    assert_eq!(wait::words(&one), "active/built Active");
    assert_eq!(one.status.unwrap().nodes.unwrap().ready, 2);
    let taint = json!({"spec": {"taints": [{"key": "other", "value": "x", "effect": "NoSchedule"}]}});
    crate::harness::objects::patch(&nodes(&client), "rows-cordoned-2", &taint).await;
    let none = wait::compute(&client, name, "0/2", |compute| summary(compute, "0/2")).await;
    assert_eq!(wait::words(&none), "active/built Active", "ready nodes are what minReadyNodes asks for");
    assert_eq!(reason(&none, "PoolReady"), "NoneSchedulable");
    let words = "none of the 2 ready nodes takes new pods: 1 is cordoned, 1 has a taint that spec.nodePool.tolerations does not cover (other=x:NoSchedule)";
    assert!(message(&none, "PoolReady").starts_with(words), "{none:?}");
    assert!(info(&none).starts_with("revision 1 is in force, but no node takes new pods"), "{}", info(&none));
    assert_eq!(computes(&client).get(name).await.unwrap().status.unwrap().nodes.unwrap().matched, 2);
    clear(&client, name).await;
}

async fn taints_that_keep_a_compute_out_are_counted_and_named() {
    let (client, name) = (shared().await.client().await, "rows-taints");
    for index in ["rows-taints-1", "rows-taints-2"] {
        node(&client, index, name, true).await;
    }
    apply(&client, &compute(name)).await;
    wait::active(&client, name).await;
    let counts = |compute: &poros::api::compute::Compute| {
        let nodes = compute.status.as_ref().and_then(|status| status.nodes.clone()).unwrap_or_default();
        (nodes.schedulable, nodes.untolerated, nodes.untainted)
    };
    // Fenced off, and open to this Compute.
    let active = wait::compute(&client, name, "over both nodes", |c| counts(c) == (2, 0, 0)).await;
    assert_eq!(reason(&active, "PoolReady"), "PoolReady");
    let taints = json!({"spec": {"taints": [
        {"key": "dedicated", "value": name, "effect": "NoSchedule"},
        {"key": "gpu", "value": "true", "effect": "NoExecute"},
    ]}});
    patch(&nodes(&client), "rows-taints-1", &taints).await;
    let kept = wait::compute(&client, name, "kept out of a node", |c| counts(c) == (1, 1, 0)).await;
    assert_eq!(reason(&kept, "PoolReady"), "TaintUncovered");
    assert_eq!(
        message(&kept, "PoolReady"),
        "1 of 2 ready nodes has a taint that spec.nodePool.tolerations does not cover (gpu=true:NoExecute); \
         to use it, add {key: gpu, value: \"true\", effect: NoExecute} to the tolerations"
    );
    assert_eq!((condition(&kept, "PoolReady"), seq(&kept)), ("True", seq(&active)), "no transition");
    // What the message says helps.
    let tolerations = json!([
        {"key": "dedicated", "value": name, "effect": "NoSchedule"},
        {"key": "gpu", "value": "true", "effect": "NoExecute"},
    ]);
    edit(&client, name, json!({"spec": {"nodePool": {"tolerations": tolerations}}})).await;
    wait::compute(&client, name, "let in", |compute| counts(compute) == (2, 0, 0)).await;
    patch(&nodes(&client), "rows-taints-2", &json!({"spec": {"taints": null}})).await;
    let open = wait::compute(&client, name, "open to others", |c| counts(c) == (2, 0, 1)).await;
    assert_eq!(reason(&open, "PoolReady"), "PoolUntainted");
    assert!(message(&open, "PoolReady").contains("1 of 2 nodes has no taint"), "{open:?}");
    clear(&client, name).await;
}

async fn computes_that_share_nodes_say_so_as_long_as_they_do() {
    let (client, one, other) = (shared().await.client().await, "rows-overlap-a", "rows-overlap-b");
    node(&client, "rows-overlap-1", one, true).await;
    node(&client, "rows-overlap-2", one, true).await;
    let label = json!({"metadata": {"labels": {"also": other}}});
    patch(&nodes(&client), "rows-overlap-1", &label).await;
    apply(&client, &compute(one)).await;
    let alone = wait::active(&client, one).await;
    assert_eq!(condition(&alone, "Overlapping"), "");
    let mut manifest = compute(other);
    manifest["spec"]["nodePool"]["nodeSelector"] = json!({"also": other});
    apply(&client, &manifest).await;
    let second = wait::active(&client, other).await;
    assert_eq!(condition(&second, "Overlapping"), "True", "it says so when it becomes active");
    let overlaps = async |name: &str, expect: &str| {
        let what = format!("{expect:?}");
        wait::compute(&client, name, &what, |compute| {
            let said = message(compute, "Overlapping");
            if expect.is_empty() { said.is_empty() } else { said.starts_with(expect) }
        })
        .await
    };
    let first = overlaps(one, "1 node of the pool is also in the pool of rows-overlap-b: ").await;
    assert_eq!(
        (wait::words(&first), seq(&first)),
        ("active/built Active".into(), seq(&alone)),
        "no transition"
    );
    overlaps(other, "all nodes of the pool are also in the pool of rows-overlap-a: ").await;
    // The other selects something else, the same again, and loses the node.
    let select = |value: &str| json!({"spec": {"nodePool": {"nodeSelector": {"also": value}}}});
    edit(&client, other, select("elsewhere")).await;
    overlaps(one, "").await;
    overlaps(other, "").await;
    edit(&client, other, select(other)).await;
    overlaps(one, "1 node").await;
    patch(&nodes(&client), "rows-overlap-1", &json!({"metadata": {"labels": {"also": null}}})).await;
    overlaps(one, "").await;
    patch(&nodes(&client), "rows-overlap-1", &label).await;
    overlaps(one, "1 node").await;
    // One that is being deleted is no other, even while somebody holds it.
    patch(
        &raw_computes(&client),
        other,
        &json!({"metadata": {"finalizers": ["example.com/hold", "poros.dataos.io/cleanup"]}}),
    )
    .await;
    delete(&raw_computes(&client), other).await.unwrap();
    overlaps(one, "").await;
    patch(&raw_computes(&client), other, &json!({"metadata": {"finalizers": null}})).await;
    wait::gone(&client, other).await;
    let last = wait::active(&client, one).await;
    assert_eq!(seq(&last), seq(&alone));
    clear(&client, one).await;
}

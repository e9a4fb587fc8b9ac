//! A proof that can fail: a webhook of somebody else takes away what Poros gave. And Poros that is not there.

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};

use super::webhook::Stripper;
use crate::harness::objects::{
    bindings, compute, create, delete, patch, placements, pod, pods, raw_computes, with,
};
use crate::harness::poros::Poros;
use crate::harness::until;
use crate::harness::wait::{self, condition, info};
use crate::rows::{apply, clear, edit, own, poolless, reason, revision, seq};
use crate::trials;

trials![a_placement_that_others_spoil_is_not_in_force, what_is_in_force_needs_no_poros];

fn tolerating(name: &str, key: &str) -> Value {
    let manifest = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    with(manifest, "/spec/nodePool/tolerations", json!([{"key": key, "operator": "Exists"}]))
}

async fn a_placement_that_others_spoil_is_not_in_force() {
    let (cluster, client) = own("it-mismatch").await;
    let _poros = Poros::start(&cluster, &["--manage-policies", "--proof-patience=4", "--counter-interval=1"]);
    let stripper = Stripper::serve(&client, "spoilt").await;
    a_new_compute_is_refused_until_the_webhook_goes(&client, &stripper).await;
    an_edit_that_fails_its_proof_is_taken_back(&client, &stripper).await;
    a_placement_that_is_spoilt_later_is_found_out(&client, &stripper).await;
}

async fn a_new_compute_is_refused_until_the_webhook_goes(client: &Client, stripper: &Stripper) {
    let name = "mismatch-new";
    stripper.start().await;
    apply(client, &tolerating(name, "spoilt")).await;
    let failed = wait::says(client, name, "error/error ProofMismatch").await;
    assert!(info(&failed).contains("spec.tolerations"), "{}", info(&failed));
    assert!(info(&failed).contains("spoilt"), "it names the toleration: {}", info(&failed));
    let found = ["Ready", "Stalled", "Built", "PlacementVerified"].map(|type_| condition(&failed, type_));
    assert_eq!(found, ["False", "True", "False", "False"]);
    assert_eq!(reason(&failed, "PlacementVerified"), "ProofMismatch");
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    until("the binding to be withdrawn", wait::LIMIT, || async {
        let left =
            bindings(client).get_opt(&format!("poros-{name}")).await.map_err(|error| error.to_string())?;
        if left.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;
    // It stays so while the cause does: tries that fail again are no transitions.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let still =
        wait::compute(client, name, "error/error", |compute| condition(compute, "Stalled") == "True").await;
    assert_eq!(wait::words(&still), "error/error ProofMismatch");
    assert_eq!(seq(&still), seq(&failed), "{:?}", still.status.unwrap().history);
    stripper.stop().await;
    let healed = wait::active(client, name).await;
    assert_eq!(revision(client, name).await, (1, 1));
    assert_eq!(condition(&healed, "Stalled"), "");
    wait::placed(client, name, 1).await;
    clear(client, name).await;
}

async fn an_edit_that_fails_its_proof_is_taken_back(client: &Client, stripper: &Stripper) {
    let name = "mismatch-edit";
    stripper.start().await;
    apply(client, &tolerating(name, "fine")).await;
    wait::active(client, name).await;
    let to = |key: &str, pool: &str| {
        let tolerations = json!([{"key": key, "operator": "Exists"}]);
        json!({"spec": {"nodePool": {"tolerations": tolerations, "nodeSelector": {"pool": pool}}}})
    };
    edit(client, name, to("spoilt", "other")).await;
    let failed = wait::says(client, name, "error/error ProofMismatch").await;
    assert!(info(&failed).contains("spec.tolerations"), "{}", info(&failed));
    // Both are told in one write: there is no moment in which only the failure is known.
    assert!(info(&failed).ends_with("; revision 1 stays in force"), "{}", info(&failed));
    let pod = wait::placed(client, name, 1).await;
    assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": name}));
    assert!(pod["spec"]["tolerations"].as_array().unwrap().iter().any(|t| t["key"] == "fine"), "{pod}");
    assert_eq!(revision(client, name).await, (1, 2), "the number of the bad content is used up");
    let stored = placements(client).get(name).await.unwrap();
    assert_eq!(stored.data["spec"]["nodeSelector"], json!({"pool": name}));
    // An edit heals it, under a new number.
    edit(client, name, to("fine", "third")).await;
    wait::active(client, name).await;
    assert_eq!(revision(client, name).await, (3, 3));
    wait::placed(client, name, 3).await;
    // And so does taking the edit back.
    edit(client, name, to("spoilt", "fourth")).await;
    wait::says(client, name, "error/error ProofMismatch").await;
    wait::placed(client, name, 3).await;
    edit(client, name, to("fine", "third")).await;
    wait::active(client, name).await;
    assert_eq!(revision(client, name).await, (3, 4));
    stripper.stop().await;
    clear(client, name).await;
}

/// Poros proves anew when its own policies or a child change; what a webhook does since, it sees then.
async fn a_placement_that_is_spoilt_later_is_found_out(client: &Client, stripper: &Stripper) {
    let name = "mismatch-later";
    apply(client, &tolerating(name, "spoilt")).await;
    wait::active(client, name).await;
    stripper.start().await;
    // A repair asks for a new proof.
    delete(&bindings(client), &format!("poros-{name}")).await.unwrap();
    let failed = wait::says(client, name, "error/error ProofMismatch").await;
    assert!(info(&failed).contains("spec.tolerations"), "{}", info(&failed));
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    stripper.stop().await;
    wait::active(client, name).await;
    wait::placed(client, name, 1).await;
    clear(client, name).await;
}

async fn what_is_in_force_needs_no_poros() {
    let (cluster, client) = own("it-down").await;
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    let (name, going) = ("down-stands", "down-goes");
    let active = poolless(&client, name).await;
    poolless(&client, going).await;
    poros.kill();
    let stored = create(&pods(&client), &pod("down-1", name)).await.unwrap();
    assert_eq!(stored.data["spec"]["nodeSelector"], json!({"pool": name}));
    let toleration = json!({"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"});
    assert!(stored.data["spec"]["tolerations"].as_array().unwrap().contains(&toleration));
    assert_eq!(stored.metadata.annotations.unwrap()["poros.dataos.io/placed-by"], "down-stands/1");
    wait::refused(&client, "down-nobody", "Compute down-nobody is not in force").await;
    // A Compute that nobody builds is not in force, and says that it was not seen.
    apply(&client, &with(compute("down-new"), "/spec/nodePool/minReadyNodes", json!(0))).await;
    wait::refused(&client, "down-new", "Compute down-new is not in force").await;
    let unseen = crate::harness::objects::computes(&client).get("down-new").await.unwrap();
    assert_eq!(crate::kstatus::of(&unseen), crate::kstatus::Kstatus::InProgress);
    // One that is deleted meanwhile waits for Poros, and is in force until then.
    delete(&raw_computes(&client), going).await.unwrap();
    wait::placed(&client, going, 1).await;
    let children = async || {
        let placement = placements(&client).get(name).await.unwrap();
        let binding = bindings(&client).get(&format!("poros-{name}")).await.unwrap();
        (placement, binding)
    };
    let before = children().await;
    let _poros = Poros::start(&cluster, &["--manage-policies"]);
    wait::gone(&client, going).await;
    wait::refused(&client, going, &format!("Compute {going} is not in force")).await;
    wait::active(&client, "down-new").await;
    let used = wait::used(&client, name, 1).await;
    assert_eq!(wait::words(&used), "active/built Active");
    assert_eq!(seq(&used), seq(&active), "a restart is no transition");
    assert_eq!(children().await, before, "and writes no child");
    delete(&pods(&client), "down-1").await.unwrap();
    wait::used(&client, name, 0).await;
    patch(&raw_computes(&client), name, &json!({"spec": {"description": "x"}})).await;
    wait::active(&client, name).await;
    clear(&client, name).await;
    clear(&client, "down-new").await;
}

//! Faults that must not hurt: of the API server, of the network, of other writers, of Poros's own process.

mod answers;
mod bystanders;
mod churn;
mod crds;
mod frames;
mod meddling;
mod outages;
mod process;
mod quiet;
mod restore;
mod rivals;
mod silence;
mod slow;
mod travel;
mod trust;
mod watches;
mod writes;

use std::time::Duration;

use kube::{Client, ResourceExt as _};
use libtest_mimic::Trial;
use poros::api::compute::Compute;
use poros::cluster::watch::Watched;
use serde_json::{Value, json};

use crate::harness::objects::{bindings, computes, node, placements};
use crate::harness::{until, wait};

/// A retry may be late by its backoff, and a watch by its own. Shorter than the 65 s of silence that give a dead watch
/// away: that is not what is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// For what is to be seen at once, on a machine that is slow and busy.
const SOON: Duration = Duration::from_secs(30);
/// After a start of an API server: for half a minute it may refuse every pod that names a Compute.
const AFTER_A_START: Duration = Duration::from_secs(60);

/// Watches of Poros: one of each resource that it reads.
const WATCHES: usize = Watched::FIRST.len();

pub fn trials() -> Vec<Trial> {
    [
        answers::trials(),
        bystanders::trials(),
        churn::trials(),
        crds::trials(),
        frames::trials(),
        meddling::trials(),
        outages::trials(),
        process::trials(),
        restore::trials(),
        rivals::trials(),
        silence::trials(),
        slow::trials(),
        slow::patient::trials(),
        travel::trials(),
        trust::trials(),
        trust::patient::trials(),
        watches::trials(),
        writes::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A ready node for the pool of this Compute.
async fn pool(client: &Client, name: &str) {
    node(client, &format!("{name}-node"), name, true).await;
}

/// An edit that matches the same nodes, and needs a new revision.
fn edit(name: &str) -> Value {
    let pool = json!({
        "nodeSelector": {"pool": name},
        "tolerations": [
            {"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"},
            {"key": "extra", "operator": "Exists"},
        ],
    });
    json!({"spec": {"nodePool": pool}})
}

/// Waits until a Compute is active with this revision, proven, and stands as its status says.
async fn settled(client: &Client, name: &str, revision: u64) -> Compute {
    settled_within(client, name, revision, LIMIT).await
}

async fn settled_within(client: &Client, name: &str, revision: u64, limit: Duration) -> Compute {
    let what = format!("{name} to be active and proven with revision {revision}");
    let compute = until(&what, limit, || async {
        let compute = computes(client).get(name).await.map_err(|error| error.to_string())?;
        let status = compute.status.as_ref();
        let placement = status.and_then(|status| status.placement.as_ref());
        let proven = placement.is_some_and(|placement| placement.proven_revision == Some(revision));
        let current = status.map(|status| status.observed_generation) == compute.metadata.generation;
        let words = wait::words(&compute);
        let verified = wait::condition(&compute, "PlacementVerified");
        if words == "active/built Active" && verified == "True" && proven && current {
            return Ok(compute);
        }
        Err(format!("{words}, PlacementVerified={verified}, {placement:?}, {}", wait::info(&compute)))
    })
    .await;
    let uid = compute.uid().unwrap();
    let placement = placements(client).get(name).await.unwrap();
    let binding = bindings(client).get(&format!("poros-{name}")).await.unwrap();
    assert_eq!(placement.data["spec"]["revision"], revision);
    for child in [placement, binding] {
        assert_eq!(child.annotations().get("poros.dataos.io/owner-uid"), Some(&uid), "{child:?}");
    }
    compute
}

/// Waits until a Compute and all that was built for it are gone.
async fn gone_without_a_trace(client: &Client, name: &str) {
    wait::gone(client, name).await;
    childless(client, name).await;
}

/// Waits until nothing that was built for a Compute stands.
async fn childless(client: &Client, name: &str) {
    until("what was built to be gone", LIMIT, || async {
        let error = |error: kube::Error| error.to_string();
        let placement = placements(client).get_opt(name).await.map_err(error)?;
        let binding = bindings(client).get_opt(&format!("poros-{name}")).await.map_err(error)?;
        match (placement, binding) {
            (None, None) => Ok(()),
            (placement, binding) => {
                Err(format!("Placement: {}, binding: {}", placement.is_some(), binding.is_some()))
            }
        }
    })
    .await;
}

//! The rows of the two tables of the design, each caused on the real API server, and healed when its cause goes.
//!
//! Not caused here, because nothing outside of Poros can: `Internal` (a panic in a pass).

mod deleting;
mod drift;
mod faults;
mod policies;
mod pool;
mod repair;
mod revisions;
mod rights;
mod stored;
mod told;
mod usage;
pub mod users;

use std::sync::Once;

use kube::Client;
use libtest_mimic::Trial;
use poros::api::compute::Compute;
use serde_json::json;
use xtask::rig::Options;

use crate::harness::cluster::{self, Cluster};
use crate::harness::objects::{bindings, compute, create, delete, dry_run, placements, raw_computes, with};
use crate::harness::{until, wait};
use crate::kstatus;

/// All tests of the rows.
pub fn trials() -> Vec<Trial> {
    [
        pool::trials(),
        faults::trials(),
        revisions::trials(),
        repair::trials(),
        usage::trials(),
        drift::trials(),
        users::trials(),
        deleting::trials(),
        rights::trials(),
        policies::trials(),
        stored::trials(),
        told::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

static RECORDED: Once = Once::new();

/// The shared control plane, with every version of its Computes recorded.
pub async fn shared() -> &'static Cluster {
    let cluster = cluster::shared().await;
    RECORDED.call_once(|| kstatus::record(cluster));
    served(&cluster.client().await).await;
    cluster
}

/// Waits until Computes can be made: right after their CRD is, that may answer 503 for some seconds.
pub async fn served(client: &Client) {
    until("Computes to be served", wait::LIMIT, || async {
        let made = dry_run(&raw_computes(client), &compute("rows-served")).await;
        made.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

/// A Compute that needs no node, once it is active.
pub async fn poolless(client: &Client, name: &str) -> Compute {
    apply(client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
    let active = wait::active(client, name).await;
    wait::placed(client, name, 1).await;
    active
}

/// A control plane of its own, recorded too: for what changes more than objects of own names.
pub async fn own(name: &'static str) -> (Cluster, Client) {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(Options::api_only(name))).await.unwrap();
    kstatus::record(&cluster);
    let client = cluster.client().await;
    served(&client).await;
    (cluster, client)
}

/// Makes a Compute of this manifest. Right after a policy on Computes is made, that may answer 503 once more.
pub async fn apply(client: &Client, manifest: &serde_json::Value) {
    until("the Compute to be taken", wait::LIMIT, || async {
        match create(&raw_computes(client), manifest).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 503 => Err(status.message),
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

/// Edits a Compute by a merge patch; gives back its new generation.
pub async fn edit(client: &Client, name: &str, patch: serde_json::Value) -> i64 {
    let edited = crate::harness::objects::patch(&raw_computes(client), name, &patch).await;
    edited.metadata.generation.unwrap_or_default()
}

/// Deletes a Compute and waits until it and its children are gone. Its status may still tell of users that are gone.
pub async fn clear(client: &Client, name: &str) {
    until(&format!("{name} to be used no more"), wait::LIMIT, || async {
        match delete(&raw_computes(client), name).await {
            Err(kube::Error::Api(status)) if status.message.contains("is in use by") => Err(status.message),
            other => other.map_err(|error| panic!("{name}: {error}")),
        }
    })
    .await;
    wait::gone(client, name).await;
    let left = (
        placements(client).get_opt(name).await.unwrap().is_some(),
        bindings(client).get_opt(&format!("poros-{name}")).await.unwrap().is_some(),
    );
    assert_eq!(left, (false, false), "Placement and binding of {name} are left behind");
}

/// `transitionSeq` of a Compute.
pub fn seq(compute: &Compute) -> u64 {
    compute.status.as_ref().map_or(0, |status| status.transition_seq)
}

/// (revision, last revision) of the Placement in the API server.
pub async fn revision(client: &Client, name: &str) -> (u64, u64) {
    let placement = placements(client).get(name).await.unwrap();
    let number = |key: &str| placement.data["spec"][key].as_u64().unwrap();
    (number("revision"), number("lastRevision"))
}

/// The reason of a condition; empty when it is absent.
pub fn reason<'a>(compute: &'a Compute, type_: &str) -> &'a str {
    let conditions = compute.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .find(|condition| condition.type_ == type_)
        .map_or("", |condition| &condition.reason)
}

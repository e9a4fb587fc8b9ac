//! Computes that are there already, as Poros would have left them: for populations that take too long to be proven one
//! by one. What is stored is made by the rules of Poros itself, so that a restart finds nothing to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use poros::api::names::MANAGER_BUILDER;
use poros::api::status::ComputeStatus;
use poros::cluster::resources;
use poros::decide::applied::{Applied, State};
use poros::decide::desired::{Desired, desired};
use poros::decide::manifest::{Kind, Manifest};
use poros::decide::observed::{Compute, Proof, Settings};
use poros::decide::outcome::outcome;
use poros::decide::plan::Plan;
use poros::decide::policies::{self, Stored};
use poros::decide::prove;
use poros::decide::status::{status, stored_time};
use poros::decide::validate::validate;
use poros::decide::verdict::Facts;
use poros::world::{Change, World, project};
use serde_json::{Value, json};

use super::objects::{compute, with};
use super::until;

/// Writes at one time.
const AT_ONCE: usize = 16;

/// A node of the pool `pool-<n>`, ready, that nobody sends heartbeats for.
fn node(index: usize, pool: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": format!("seed-{index}"), "labels": {"pool": format!("pool-{pool}")}},
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Seed", "message": ""}],
        },
    })
}

/// Makes nodes `seed-<from>`… spread evenly over pools. A node is created with its status, as a cloud would.
pub async fn nodes(client: &Client, indices: std::ops::Range<usize>, pools: usize) {
    let api: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Node>(&()),
    );
    futures::stream::iter(indices)
        .map(|index| {
            let api = api.clone();
            async move {
                let object: DynamicObject = serde_json::from_value(node(index, index % pools)).unwrap();
                api.create(&PostParams::default(), &object).await.unwrap();
                // Admission taints a new node as not ready, which only a controller manager would take back.
                let name = format!("seed-{index}");
                super::objects::patch(&api, &name, &json!({"spec": {"taints": null}})).await;
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// The Compute `<prefix>-<index>` over the nodes `pool-<index % pools>`.
pub fn name(prefix: &str, index: usize) -> String {
    format!("{prefix}-{index}")
}

fn manifest(prefix: &str, index: usize, pools: usize) -> Value {
    let pool = json!({"nodeSelector": {"pool": format!("pool-{}", index % pools)}});
    with(compute(&name(prefix, index)), "/spec/nodePool", pool)
}

/// Makes Computes with all that Poros builds for them, and with the status of one that is active and proven. Poros does
/// not run meanwhile; its shared policies are installed.
pub async fn computes(client: &Client, prefix: &str, indices: std::ops::Range<usize>, pools: usize) {
    let world = Arc::new(Mutex::new(known(client).await));
    let made: Vec<Compute> = futures::stream::iter(indices)
        .map(|index| {
            let world = world.clone();
            async move { one(client, &world, manifest(prefix, index, pools)).await }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // A status tells of the others that share its nodes, so all of them come first.
    futures::stream::iter(made)
        .map(|compute| {
            let world = world.clone();
            async move {
                let status = active(&world, &compute.name, &compute, &Settings::default());
                poros::cluster::status::write(client, &compute, &status).await.unwrap();
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// A world with the nodes as they are, and the shared policies as they should be.
async fn known(client: &Client) -> World {
    let mut world = World::new();
    for node in resources::nodes(client).list(&ListParams::default()).await.unwrap() {
        let name = node.metadata.name.clone().unwrap();
        world.apply(Change::Node(name, Some(Box::new(project::node(node)))));
    }
    for shared in policies::all() {
        let stored = Stored { version: policies::POLICY_VERSION, spec: shared.spec };
        world.apply(Change::Shared((shared.kind, shared.name.to_owned()), Some(stored)));
    }
    world
}

async fn one(client: &Client, world: &Mutex<World>, manifest: Value) -> Compute {
    let object: DynamicObject = serde_json::from_value(manifest).unwrap();
    let made = resources::computes(client).create(&PostParams::default(), &object).await.unwrap();
    let compute = project::compute(made);
    let name = compute.name.clone();
    let observed = {
        let mut world = world.lock().unwrap();
        world.apply(Change::Compute(name.clone(), Some(Box::new(compute.clone()))));
        world.observe(&name)
    };
    let settings = Settings::default();
    let Desired::Spec(wanted) = desired(&observed, &validate(&compute, &settings)) else {
        panic!("{name} is to be built");
    };
    for manifest in [Manifest::placement(&compute, &wanted.placement), Manifest::binding(&compute)] {
        let object = serde_json::from_value(manifest.to_json(None)).unwrap();
        let parameters = PostParams { field_manager: Some(MANAGER_BUILDER.into()), ..PostParams::default() };
        let api = resources::children(client, manifest.kind);
        let stored = project::child(manifest.kind, api.create(&parameters, &object).await.unwrap());
        let stored = Some(Box::new(stored));
        world.lock().unwrap().apply(match manifest.kind {
            Kind::Placement => Change::Placement(name.clone(), stored),
            Kind::Binding => Change::Binding(manifest.name, stored),
        });
    }
    compute
}

/// The status of a Compute whose proof has just passed.
fn active(world: &Mutex<World>, name: &str, compute: &Compute, settings: &Settings) -> ComputeStatus {
    let observed = world.lock().unwrap().observe(name);
    let valid = validate(compute, settings);
    let desired = desired(&observed, &valid);
    let applied =
        Applied { placement: State::InPlace, binding: State::InPlace, wrote: None, repaired: false };
    let task = prove::task(&observed, compute, &desired, &applied).expect("it is to be proven");
    let facts = Facts {
        observed: &observed,
        compute,
        valid: &valid,
        desired: &desired,
        plan: &Plan::nothing(),
        applied: &applied,
        target: Some(&task.target),
        proof: Some(&Proof::Proven),
        prove_in: None,
        settings,
        now: stored_time(Timestamp::now()),
    };
    status(&facts, &outcome(&facts))
}

/// Waits until Poros made so many passes since it started.
pub async fn passes(poros: &super::poros::Poros, least: usize, limit: Duration) -> usize {
    until(&format!("{least} passes"), limit, || async {
        let passes = passes_so_far(poros);
        if passes >= least { Ok(passes) } else { Err(format!("{passes} passes")) }
    })
    .await
}

/// Passes that Poros made since it started.
pub fn passes_so_far(poros: &super::poros::Poros) -> usize {
    let (_, metrics) = poros.get("/metrics").unwrap();
    let lines: BTreeMap<&str, usize> = metrics
        .lines()
        .filter(|line| line.starts_with("poros_passes_total"))
        .filter_map(|line| line.rsplit_once(' ').map(|(name, count)| (name, count.parse().unwrap())))
        .collect();
    lines.values().sum()
}

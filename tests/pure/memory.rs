//! What a Compute and a node cost in memory: counted, so it holds on any machine (docs/performance.md).

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use jiff::Timestamp;
use poros::controller::memory::Memories;
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

/// How many of each are counted: so many that what all have in common does not matter.
const EACH: usize = 500;
const POOLS: usize = 100;

/// In bytes, with room for a few words more in a status; raised only with a reason.
const MOST_OF_A_COMPUTE: i64 = 7424;
const MOST_OF_A_NODE: i64 = 1280;

/// A node as clouds make them: 18 labels, two of them of its own, 7 resources, a taint.
fn node(index: usize) -> Value {
    let pool = format!("pool-{}", index % POOLS);
    let zone = format!("europe-west4-{}", ["a", "b", "c"][index % 3]);
    json!({
        "metadata": {
            "name": format!("gke-dataos-{pool}-{index:08x}-node"),
            "uid": format!("6f1a7d9e-0000-4000-8000-{index:012}"),
            "resourceVersion": (1_000_000 + index).to_string(),
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/instance-type": "n2-standard-16",
                "beta.kubernetes.io/os": "linux",
                "cloud.google.com/gke-boot-disk": "pd-balanced",
                "cloud.google.com/gke-container-runtime": "containerd",
                "cloud.google.com/gke-cpu-scaling-level": "16",
                "cloud.google.com/gke-nodepool": pool,
                "cloud.google.com/machine-family": "n2",
                "failure-domain.beta.kubernetes.io/region": "europe-west4",
                "failure-domain.beta.kubernetes.io/zone": zone,
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": format!("gke-dataos-{pool}-{index:08x}-node"),
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "n2-standard-16",
                "pool": pool,
                "topology.gke.io/zone": zone,
                "topology.kubernetes.io/region": "europe-west4",
                "topology.kubernetes.io/zone": zone,
            },
        },
        "spec": {"taints": [{"key": "dedicated", "value": pool, "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {
                "cpu": "15890m",
                "ephemeral-storage": "47060071478",
                "hugepages-1Gi": "0",
                "hugepages-2Mi": "0",
                "memory": format!("{}Ki", 60_055_000 + index),
                "pods": "110",
            },
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    })
}

fn node_told(index: usize) -> Change {
    let node = serde_json::from_str(&node(index).to_string()).unwrap();
    let node = project::node(node);
    Change::Node(format!("gke-dataos-pool-{}-{index:08x}-node", index % POOLS), Some(Box::new(node)))
}

/// A Compute as stored after its first proof, and the two objects that are built for it, each as it is told by a watch.
fn told(world: &mut World, index: usize) -> [Change; 3] {
    let name = format!("compute-{index}");
    let pool = format!("pool-{}", index % POOLS);
    let mut stored = json!({
        "metadata": {
            "name": name,
            "uid": format!("6f1a7d9e-0000-4000-9000-{index:012}"),
            "resourceVersion": (2_000_000 + index).to_string(),
            "generation": 1,
            "finalizers": ["poros.dataos.io/cleanup"],
        },
        "spec": {
            "dataplane": "hub",
            "purpose": "query",
            "layer": "user",
            "owner": "someone@example.com",
            "nodePool": {
                "nodeSelector": {"pool": pool},
                "tolerations": [
                    {"key": "dedicated", "operator": "Equal", "value": pool, "effect": "NoSchedule"},
                ],
                "minReadyNodes": 1,
            },
            "progressDeadlineSeconds": 300,
            "deletionPolicy": "Block",
        },
    });
    let compute = compute(&stored);
    world.apply(Change::Compute(name.clone(), Some(Box::new(compute.clone()))));
    let settings = Settings::default();
    let valid = validate(&compute, &settings);
    let observed = world.observe(&name);
    let Desired::Spec(wanted) = desired(&observed, &valid) else { panic!("{name} is to be built") };
    let [placement, binding] =
        [Manifest::placement(&compute, &wanted.placement), Manifest::binding(&compute)].map(|manifest| {
            let mut object = manifest.to_json(None);
            object["metadata"]["uid"] = json!(format!("6f1a7d9e-0000-4000-a000-{index:012}"));
            object["metadata"]["resourceVersion"] = json!((3_000_000 + index).to_string());
            let object = serde_json::from_str(&object.to_string()).unwrap();
            Some(Box::new(project::child(manifest.kind, object)))
        });
    let [placement, binding] =
        [Change::Placement(name.clone(), placement), Change::Binding(Kind::Binding.name_for(&name), binding)];
    world.apply(placement.clone());
    world.apply(binding.clone());
    stored["status"] = active(world, &compute, &settings);
    let compute = self::compute(&stored);
    world.apply(Change::Compute(name.clone(), None));
    world.apply(Change::Placement(name.clone(), None));
    world.apply(Change::Binding(Kind::Binding.name_for(&name), None));
    world.passed(&name);
    [Change::Compute(name, Some(Box::new(compute))), placement, binding]
}

fn compute(stored: &Value) -> Compute {
    project::compute(serde_json::from_str(&stored.to_string()).unwrap())
}

/// The status of a Compute that was built, proven and found active.
fn active(world: &mut World, compute: &Compute, settings: &Settings) -> Value {
    let mut compute = compute.clone();
    // First it waits for its proof, then it has it: two transitions.
    for proof in [Proof::NotYet("admission does not know it yet".into()), Proof::Proven] {
        let observed = world.observe(&compute.name);
        let valid = validate(&compute, settings);
        let desired = desired(&observed, &valid);
        let applied =
            Applied { placement: State::InPlace, binding: State::InPlace, wrote: None, repaired: false };
        let task = prove::task(&observed, &compute, &desired, &applied).unwrap();
        let facts = Facts {
            observed: &observed,
            compute: &compute,
            valid: &valid,
            desired: &desired,
            plan: &Plan::nothing(),
            applied: &applied,
            target: Some(&task.target),
            proof: Some(&proof),
            prove_in: None,
            settings,
            now: stored_time(Timestamp::UNIX_EPOCH),
        };
        compute.status = status(&facts, &outcome(&facts));
    }
    assert_eq!(compute.status.history.len(), 2);
    json!(compute.status)
}

fn world() -> World {
    let mut world = World::new();
    for shared in policies::all() {
        let stored = Stored { version: policies::POLICY_VERSION, spec: shared.spec };
        world.apply(Change::Shared((shared.kind, shared.name.to_owned()), Some(stored)));
    }
    world
}

/// Bytes for each, with the 16 that an allocator keeps beside each allocation or rounds it up by.
#[allow(clippy::print_stdout)] // the parts are read with --nocapture
fn each(what: &str, counted: &AllocationInfo) -> i64 {
    let objects = i64::try_from(EACH).unwrap();
    let bytes = (counted.bytes_current + 16 * counted.count_current) / objects;
    println!("{what}: {bytes} bytes, in {} allocations", counted.count_current / objects);
    bytes
}

#[test]
fn a_compute_and_a_node_cost_little_memory() {
    let mut world = world();
    let mut aside = self::world();
    for index in 0..EACH {
        aside.apply(node_told(index));
    }
    let nodes = measure(|| {
        for index in 0..EACH {
            world.apply(node_told(index));
        }
    });
    let told: Vec<_> = (0..EACH).map(|index| told(&mut aside, index)).collect();
    drop(aside);
    // What each change itself holds was counted before; here, what the world makes of a copy of it.
    let [computes, placements, bindings] = [0, 1, 2].map(|place| {
        measure(|| {
            for changes in &told {
                world.apply(changes[place].clone());
            }
        })
    });
    let settings = Settings::default();
    let mut memories = Memories::new(settings.clone());
    let memory = measure(|| {
        let now = Instant::now();
        for changes in &told {
            let Change::Compute(name, Some(compute)) = &changes[0] else { unreachable!() };
            let observed = world.observe(name);
            black_box(memories.recall(&observed, &validate(compute, &settings), now));
        }
    });
    let node = each("a node", &nodes);
    let parts = [
        each("a Compute", &computes),
        each("its Placement", &placements),
        each("its binding", &bindings),
        each("what passes remember of it", &memory),
    ];
    let compute: i64 = parts.iter().sum();
    println!("a Compute with all of that: {compute} bytes");
    assert!(node <= MOST_OF_A_NODE, "{node}");
    assert!(compute <= MOST_OF_A_COMPUTE, "{compute}");
}

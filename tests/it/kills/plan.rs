//! One plan: a workflow on one Compute, with a kill in it or without, up to an end that can be compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use kube::api::{DynamicObject, PostParams};
use poros::api::compute::Compute;
use serde_json::{Value, json};

use super::next;
use crate::harness::objects::{
    bindings, compute, create, delete, node, nodes, patch, placements, pod, pods, raw_computes,
};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::proxy::stage::Stage;
use crate::harness::proxy::{Act, Point, Seen};
use crate::harness::wait::LIMIT;
use crate::harness::{until, wait};

/// No write for so long is the end of a run.
const QUIET: Duration = Duration::from_millis(400);
/// Longer than a run waits between two of its writes: nothing for so long, and no further one comes.
const OVER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workflow {
    /// A Compute is created, and becomes active.
    Build,
    /// As `Build`, but admission had no part in it: Poros sets the finalizer itself.
    Unheld,
    /// Selector and tolerations of an active Compute are changed, and it becomes active again.
    Edit,
    /// Somebody changes the Placement of an active Compute, and it is put back.
    Changed,
    /// Somebody removes the binding of an active Compute, and it is built again.
    Unbound,
    /// An active Compute is deleted, and goes.
    Delete,
}

impl Workflow {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Unheld => "unheld",
            Self::Edit => "edit",
            Self::Changed => "changed",
            Self::Unbound => "unbound",
            Self::Delete => "delete",
        }
    }

    /// The children, the status, and the finalizer where it is set or removed; fewer would be a proxy that sees nothing.
    pub(crate) fn least_writes(self) -> usize {
        match self {
            Self::Build => 3,
            Self::Unheld | Self::Delete => 4,
            Self::Edit | Self::Changed | Self::Unbound => 2,
        }
    }
}

/// What a run came to.
pub(crate) struct Run {
    /// What stands at the end, without uids, times and the Compute's name.
    pub(crate) end: Value,
    /// How often each object was created and deleted.
    pub(crate) road: Value,
    pub(crate) writes: Vec<Seen>,
    /// Whether the write came that the plan is about.
    pub(crate) met: bool,
}

impl Run {
    /// The n-th write, in words.
    pub(crate) fn write(&self, n: u32) -> String {
        let seen = &self.writes[n as usize - 1];
        format!("{} {}", seen.verb, seen.resource)
    }
}

/// Makes a run. Gives back the Poros that lives at its end.
pub(crate) async fn run(
    stage: &Stage,
    mut poros: Poros,
    workflow: Workflow,
    name: &str,
    kill: Option<(u32, Point)>,
) -> (Poros, Run) {
    prepare(stage, workflow, name).await;
    let mark = stage.proxy.mark();
    if workflow == Workflow::Unheld {
        // It must not be there while the Compute is made. The next one has its rule before it says its first word.
        poros.kill();
        create_unheld(stage, name).await;
        poros = stage.launch(&SHORT);
    }
    let of = name.to_owned();
    if let Some((n, point)) = kill {
        let act = Act::Kill(point, poros.id());
        stage.proxy.nth(act, n, move |seen| seen.writes(&of));
    }
    act(stage, workflow, name).await;
    let met = kill.is_some() && (comes(stage, mark, name).await || stage.proxy.disarm(mark));
    if met {
        until("the kill", LIMIT, || async {
            if stage.proxy.killed() { Ok(()) } else { Err(stage.proxy.writes(mark)) }
        })
        .await;
        poros.kill();
        stage.proxy.clear();
        poros = next(stage);
    }
    let run = finish(stage, workflow, name, mark).await;
    (poros, Run { met, ..run })
}

/// Waits for the write that something is done to; false if the run is over without it.
async fn comes(stage: &Stage, mark: usize, name: &str) -> bool {
    let met = || stage.proxy.count(mark, |seen| seen.writes(name) && seen.act.is_some()) > 0;
    let (mut writes, mut since) = (0, Instant::now());
    while since.elapsed() < OVER && !met() {
        let now = stage.proxy.count(mark, |seen| seen.writes(name));
        if now != writes {
            (writes, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    met()
}

/// Makes a run whose n-th write meets this fault; the Poros that is at work lives on.
pub(crate) async fn suffer(stage: &Stage, workflow: Workflow, name: &str, n: u32, fault: Act) -> Run {
    prepare(stage, workflow, name).await;
    let (mark, of) = (stage.proxy.mark(), name.to_owned());
    stage.proxy.nth(fault, n, move |seen| seen.writes(&of));
    act(stage, workflow, name).await;
    let met = comes(stage, mark, name).await;
    Run { met, ..finish(stage, workflow, name, mark).await }
}

/// Waits for the end, and tells how it came about.
async fn finish(stage: &Stage, workflow: Workflow, name: &str, mark: usize) -> Run {
    let end = end(stage, workflow, name).await;
    let writes = quiet(stage, mark, name).await;
    let road = road(&writes, name);
    clean_up(stage, workflow, name).await;
    Run { end, road, writes, met: false }
}

/// Up to where the workflow begins: the pool, and for an edit or a delete an active Compute.
async fn prepare(stage: &Stage, workflow: Workflow, name: &str) {
    let (client, machine) = (&stage.client, format!("{name}-node"));
    node(client, &machine, name, true).await;
    patch(&nodes(client), &machine, &json!({"metadata": {"labels": {"tier": "gold"}}})).await;
    if !matches!(workflow, Workflow::Build | Workflow::Unheld) {
        create(&raw_computes(client), &compute(name)).await.unwrap();
        wait::active(client, name).await;
    }
    // Poros hears of nodes by a watch, and shows no sign of it: a Compute made at once would race with it.
    quiet(stage, stage.proxy.mark(), name).await;
}

/// Makes a Compute that has no finalizer, as one that was made while the policies were missing.
async fn create_unheld(stage: &Stage, name: &str) {
    let computes = raw_computes(&stage.client);
    create(&computes, &compute(name)).await.unwrap();
    let unheld = patch(&computes, name, &json!({"metadata": {"finalizers": null}})).await;
    assert!(unheld.finalizers().is_empty());
}

/// The change that the workflow is about.
async fn act(stage: &Stage, workflow: Workflow, name: &str) {
    let computes = raw_computes(&stage.client);
    match workflow {
        Workflow::Build => {
            create(&computes, &compute(name)).await.unwrap();
        }
        // The change is the start of Poros.
        Workflow::Unheld => {}
        Workflow::Edit => {
            let pool = json!({
                "nodeSelector": {"pool": name, "tier": "gold"},
                "tolerations": [
                    {"key": "dedicated", "operator": "Equal", "value": name, "effect": "NoSchedule"},
                    {"key": "tier", "operator": "Exists"},
                ],
            });
            patch(&computes, name, &json!({"spec": {"nodePool": pool}})).await;
        }
        Workflow::Changed => {
            let elsewhere = json!({"spec": {"nodeSelector": {"pool": "elsewhere"}}});
            patch(&placements(&stage.client), name, &elsewhere).await;
        }
        Workflow::Unbound => delete(&bindings(&stage.client), &format!("poros-{name}")).await.unwrap(),
        Workflow::Delete => delete(&computes, name).await.unwrap(),
    }
}

/// Waits for the end, and reads it.
async fn end(stage: &Stage, workflow: Workflow, name: &str) -> Value {
    let client = &stage.client;
    if workflow == Workflow::Delete {
        wait::gone(client, name).await;
        until("what was built to be gone", LIMIT, || async {
            let placement = placements(client).get_opt(name).await.unwrap();
            let binding = bindings(client).get_opt(&format!("poros-{name}")).await.unwrap();
            let left = [placement.map(|_| "Placement"), binding.map(|_| "binding")];
            let left: Vec<_> = left.into_iter().flatten().collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
        until("a pod that names it to be refused", LIMIT, || async {
            placed(stage, name).await.map_or(Ok(()), |placed| Err(placed.to_string()))
        })
        .await;
        return json!({"gone": true});
    }
    until("what was built to stand", LIMIT, || async {
        let error = |error: kube::Error| error.to_string();
        bindings(client).get(&format!("poros-{name}")).await.map_err(error)?;
        let placement = placements(client).get(name).await.map_err(error)?;
        let spec = &placement.data["spec"]["nodeSelector"];
        if spec["pool"] == name { Ok(()) } else { Err(spec.to_string()) }
    })
    .await;
    let active = wait::compute(client, name, "active, proven and as it was built", |compute| {
        let observed = compute.status.as_ref().map(|status| status.observed_generation);
        wait::words(compute) == "active/built Active"
            && observed == compute.metadata.generation
            && wait::condition(compute, "PlacementVerified") == "True"
            && ["Drifted", "Contended"].iter().all(|type_| wait::condition(compute, type_).is_empty())
    })
    .await;
    let placement = placements(client).get(name).await.unwrap();
    let binding = bindings(client).get(&format!("poros-{name}")).await.unwrap();
    let uid = active.uid().unwrap();
    for child in [&placement, &binding] {
        assert_eq!(child.annotations().get("poros.dataos.io/owner-uid"), Some(&uid));
    }
    // A binding that was built again is acted on within a second; the status that says so may be one that was refused.
    let placed = until("a pod that names it to be let in", LIMIT, || async {
        placed(stage, name).await.ok_or_else(|| "refused".to_owned())
    })
    .await;
    for (key, value) in placement.data["spec"]["nodeSelector"].as_object().unwrap() {
        assert_eq!(placed["nodeSelector"][key], *value, "{placed}");
    }
    let end = json!({
        "compute": status(&active),
        "finalizers": active.finalizers(),
        "placement": standing(&placement),
        "binding": standing(&binding),
        "pod": {"nodeSelector": placed["nodeSelector"]},
    });
    serde_json::from_str(&end.to_string().replace(name, "NAME")).unwrap()
}

/// What must be the same of a child. Its content hash follows from its spec and the name.
fn standing(child: &DynamicObject) -> Value {
    let keys = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    json!({
        "spec": child.data["spec"],
        "labels": child.labels(),
        "annotations": keys(child.annotations()),
        "owners": child.owner_references().len(),
    })
}

/// What must be the same of a status: all but times, and the road there, which a kill may make longer or shorter.
fn status(compute: &Compute) -> Value {
    let mut status = serde_json::to_value(&compute.status).unwrap();
    let history = status["history"].as_array().unwrap();
    let numbers: Vec<u64> = history.iter().filter_map(|transition| transition["seq"].as_u64()).collect();
    let rising = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(rising && numbers.last() == status["transitionSeq"].as_u64().as_ref(), "gap in {history:?}");
    let fields = status.as_object_mut().unwrap();
    fields.remove("history");
    fields.remove("transitionSeq");
    status["builderState"].as_object_mut().unwrap().remove("since");
    let proven = ["provenAt", "provenContent", "provenWith"];
    status["placement"].as_object_mut().unwrap().retain(|key, _| !proven.contains(&key.as_str()));
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    status
}

/// The spec of a pod that names the Compute, as admission would have it; none if it is refused.
async fn placed(stage: &Stage, name: &str) -> Option<Value> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let pod: DynamicObject = serde_json::from_value(pod("probe-of-the-test", name)).unwrap();
    let answer = pods(&stage.client).create(&dry_run, &pod).await;
    answer.ok().map(|pod| pod.data["spec"].clone())
}

/// Waits until nothing was written for a while; gives back all that was.
async fn quiet(stage: &Stage, mark: usize, name: &str) -> Vec<Seen> {
    loop {
        let before = stage.proxy.count(mark, |seen| seen.writes(name));
        // Shows that nothing is written; the loop is left by the first such while.
        tokio::time::sleep(QUIET).await;
        let log: Vec<Seen> = stage.proxy.since(mark).into_iter().filter(|seen| seen.writes(name)).collect();
        if log.len() == before {
            return log;
        }
    }
}

fn road(writes: &[Seen], name: &str) -> Value {
    let mut road = BTreeMap::new();
    for seen in writes.iter().filter(|seen| seen.done() && matches!(seen.verb.as_str(), "POST" | "DELETE")) {
        *road
            .entry(format!("{} {} {}", seen.verb, seen.resource, seen.name.replace(name, "NAME")))
            .or_insert(0) += 1;
    }
    json!(road)
}

async fn clean_up(stage: &Stage, workflow: Workflow, name: &str) {
    if workflow != Workflow::Delete {
        delete(&raw_computes(&stage.client), name).await.unwrap();
        wait::gone(&stage.client, name).await;
    }
    delete(&nodes(&stage.client), &format!("{name}-node")).await.unwrap();
}

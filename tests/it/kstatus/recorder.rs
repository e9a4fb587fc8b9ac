//! A witness: a watch that sees every stored version of every Compute, and what must hold of each.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{Config, Event, watcher};
use poros::api::compute::Compute;
use poros::api::status::{AggregateStatus, ComputeStatus, Stage};

use super::{Kstatus, expected, of};
use crate::harness::cluster::Cluster;
use crate::harness::objects::raw_computes;
use crate::harness::until;
use crate::harness::wait::{self, condition, info, message, words};

/// Versions that a whole run must have seen: fewer, and the witness slept.
const LEAST: usize = 50;

#[derive(Default)]
struct Witness {
    versions: usize,
    violations: Vec<String>,
    last: BTreeMap<String, Compute>,
    stories: BTreeMap<String, Vec<Seen>>,
}

/// A version of a Compute, as it was stored.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `status/stage reason`.
    pub words: String,
    /// What the builder says in a sentence.
    pub info: String,
    /// The conditions that are True.
    pub holds: Vec<String>,
    /// What the condition Drifted says; empty when it is absent.
    pub drifted: String,
    /// The last reason in the history.
    pub last_reason: String,
    /// Whether the condition Ready is there at all.
    pub has_ready: bool,
}

static WITNESS: Mutex<Option<Witness>> = Mutex::new(None);

fn witness() -> MutexGuard<'static, Option<Witness>> {
    WITNESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches a cluster until the process or the cluster ends.
pub fn record(cluster: &Cluster) {
    witness().get_or_insert_default();
    let kubeconfig = cluster.rig.kubeconfig().to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .unwrap();
            watch(raw_computes(&kube::Client::try_from(config).unwrap())).await;
        });
    });
}

async fn watch(api: Api<DynamicObject>) {
    let mut events = pin!(watcher(api, Config::default()));
    let mut failures = 0;
    // A cluster that is gone answers no more.
    while failures < 120 {
        match events.next().await {
            Some(Ok(event)) => {
                failures = 0;
                if let Event::InitApply(object) | Event::Apply(object) = event {
                    see(&object);
                }
            }
            Some(Err(_)) => {
                failures += 1;
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            }
            None => return,
        }
    }
}

fn see(object: &DynamicObject) {
    // What a test stores on purpose and does not fit the types has words of its own, tested there.
    let value = serde_json::to_value(object).unwrap();
    let Ok(compute) = serde_json::from_value::<Compute>(value) else { return };
    let (name, uid) = (compute.name_any(), compute.uid().unwrap_or_default());
    let mut witness = witness();
    let Some(witness) = witness.as_mut() else { return };
    witness.versions += 1;
    let before = witness.last.get(&uid);
    let found = broken(before, &compute);
    for rule in found {
        let status = serde_json::to_string(&compute.status).unwrap();
        let version = compute.resource_version().unwrap_or_default();
        witness.violations.push(format!("{name} at version {version}: {rule}\n  {status}"));
    }
    if let Some(status) = &compute.status {
        let conditions = status.conditions.iter();
        let seen = Seen {
            words: words(&compute),
            info: info(&compute).to_owned(),
            holds: conditions.filter(|c| c.status == "True").map(|c| c.type_.clone()).collect(),
            drifted: message(&compute, "Drifted").to_owned(),
            last_reason: status.history.last().map(|last| last.reason.clone()).unwrap_or_default(),
            has_ready: !condition(&compute, "Ready").is_empty(),
        };
        witness.stories.entry(name).or_default().push(seen);
    }
    witness.last.insert(uid, compute);
}

/// The rules that a version breaks, given the one before.
fn broken(before: Option<&Compute>, compute: &Compute) -> Vec<String> {
    let mut found = Vec::new();
    let mut rule = |holds: bool, text: String| {
        if !holds {
            found.push(text);
        }
    };
    let Some(status) = &compute.status else { return vec!["it has no status".into()] };
    let (is, should) = (of(compute), expected(compute));
    rule(should.as_ref() == Ok(&is), format!("kstatus is {is:?}, the truth table says {should:?}"));
    let (aggregate, stage) = (status.aggregate_status, status.builder_state.stage);
    rule(stage != Stage::Error || aggregate == AggregateStatus::Error, "stage error without error".into());
    let ready = condition(compute, "Ready");
    let active = aggregate == AggregateStatus::Active;
    rule(active == (ready == "True"), format!("{aggregate:?} with Ready={ready:?}"));
    rule(!active || stage == Stage::Built, format!("active with stage {stage:?}"));
    rule(!active || is != Kstatus::Failed, "active and failed".into());
    rule(!active || condition(compute, "PlacementVerified") != "False", "active with a failed proof".into());
    let builder = &status.builder_state;
    rule(
        builder.number_of_processed_resources <= builder.number_of_wanted_resources,
        format!("{} resources in place", builder.summary),
    );
    let generation = compute.metadata.generation.unwrap_or_default();
    rule(status.observed_generation <= generation, "it observed a generation to come".into());
    for present in ["Reconciling", "Stalled", "Drifted", "Contended", "Overlapping", "Deleting", "Paused"] {
        rule(
            matches!(condition(compute, present), "" | "True"),
            format!("{present} is present but not True"),
        );
    }
    // Before the first write there is no history, and the words are the default's.
    let unseen = status.observed_generation < 0 && status.transition_seq == 0;
    rule(unseen || !builder.info.is_empty(), "it says nothing in info".into());
    history(status, &mut rule);
    if let Some(before) = before.and_then(|before| before.status.as_ref()) {
        let (was, now) = (before.transition_seq, status.transition_seq);
        rule(now == was || now == was + 1, format!("transitionSeq went from {was} to {now}"));
        let (was, now) = (before.observed_generation, status.observed_generation);
        rule(now >= was, format!("observedGeneration fell from {was} to {now}"));
        let changed = (before.aggregate_status, before.builder_state.stage) != (aggregate, stage);
        let counted = before.transition_seq != status.transition_seq;
        rule(!changed || counted, "status and stage changed without a transition".into());
        let (was, now) = (before.placement.as_ref(), status.placement.as_ref());
        if let (Some(was), Some(now)) = (was, now) {
            rule(now.last_revision >= was.last_revision, "lastRevision fell".into());
            rule(now.revision <= now.last_revision, "a revision above the last one".into());
        }
    }
    found
}

fn history(status: &ComputeStatus, rule: &mut impl FnMut(bool, String)) {
    let seqs: Vec<u64> = status.history.iter().map(|transition| transition.seq).collect();
    rule(seqs.len() <= 8, format!("{} transitions are kept", seqs.len()));
    rule(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), format!("the history has gaps: {seqs:?}"));
    rule(seqs.last().copied().unwrap_or_default() == status.transition_seq, format!("{seqs:?} is not all"));
    if let Some(last) = status.history.last() {
        let same = (last.to, last.stage) == (status.aggregate_status, status.builder_state.stage);
        rule(same, "the last transition leads elsewhere".into());
    }
}

/// Every version of the Computes of this name that was seen so far, the oldest first.
pub fn seen(name: &str) -> Vec<Seen> {
    witness().as_ref().and_then(|witness| witness.stories.get(name).cloned()).unwrap_or_default()
}

/// Waits until the witness has seen this version: it watches beside the test, and may be behind.
pub async fn caught_up(compute: &Compute) {
    let number =
        |compute: &Compute| compute.resource_version().and_then(|version| version.parse::<u64>().ok());
    let (uid, expect) = (compute.uid().unwrap_or_default(), number(compute));
    until("the witness to see what the test saw", wait::LIMIT, || {
        let last = witness().as_ref().and_then(|witness| witness.last.get(&uid).and_then(number));
        std::future::ready(if last >= expect { Ok(()) } else { Err(format!("{last:?}, not {expect:?}")) })
    })
    .await;
}

/// Waits until a Compute was seen with these words. What lasts but a moment, a look now and then would miss.
pub async fn was(name: &str, words: &str) -> Seen {
    until(&format!("{name} to be {words}"), wait::LIMIT, || {
        let seen = seen(name);
        let found = seen.iter().find(|seen| seen.words == words).cloned();
        std::future::ready(found.ok_or_else(|| format!("{:?}", seen.last())))
    })
    .await
}

/// What the witness has to say after a run; nothing if it was never called.
pub fn verdict(whole_run: bool) -> Result<usize, String> {
    let witness = witness();
    let Some(witness) = witness.as_ref() else { return Ok(0) };
    if !witness.violations.is_empty() {
        return Err(witness.violations.join("\n"));
    }
    if whole_run && witness.versions < LEAST {
        return Err(format!("only {} versions of Computes were seen; is the watch dead?", witness.versions));
    }
    Ok(witness.versions)
}

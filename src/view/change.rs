//! What a manifest that is not applied yet would do: to a Compute, its pool and its pods.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::api::compute::ComputeSpec;
use crate::api::status::{ComputeStatus, NodeCounts, Users};
use crate::decide::desired::{Desired, desired};
use crate::decide::fit::Asks;
use crate::decide::judge::{Judged, judge};
use crate::decide::mode::Admission;
use crate::decide::observed::{Child, Compute, Observed, Policies, Pool, Recall, Settings};
use crate::decide::pool::{self, Node};
use crate::decide::problem::{Problem, Step, path, written};
use crate::decide::validate::{Valid, validate};
use crate::view::Seen;
use crate::view::compute::{Overlap, overlaps};
use crate::view::manifest::Document;
use crate::view::nodes::{Fit, Nodes};
use crate::view::users::UserPod;

/// How many node names a change lists.
const NAMES: usize = 10;

/// All that is known of a change.
#[derive(Clone, Debug)]
pub struct ChangeFacts {
    /// The file that the manifest came from.
    pub file: String,
    /// The manifest, the environment put in.
    pub document: Document,
    /// What of the environment could not be.
    pub unset: Vec<Problem>,
    /// The Compute of that name, as stored.
    pub current: Option<Compute>,
    /// The Placement of that name.
    pub placement: Seen<Option<Child>>,
    /// Its binding.
    pub binding: Seen<Option<Child>>,
    /// All nodes.
    pub nodes: Seen<Nodes>,
    /// All Computes.
    pub computes: Seen<Vec<Compute>>,
    /// The unfinished pods that carry its label.
    pub pods: Seen<Vec<UserPod>>,
    /// Whether every node is to be named.
    pub all_nodes: bool,
    /// What the API server says that it would store, where it was asked: it knows what else is in the Compute.
    pub answer: Option<Answer>,
}

/// A Compute before and after a dry run: what people write of it, `metadata` and `spec`.
#[derive(Clone, Debug)]
pub struct Answer {
    /// As it is stored; null for none.
    pub before: Value,
    /// As it would be.
    pub after: Value,
}

/// What a manifest would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The file.
    pub file: String,
    /// The Compute that it is of.
    pub name: String,
    /// Whether it would make a new one.
    pub new: bool,
    /// What is wrong with it; anything here and it would not be taken, or not be built.
    pub problems: Vec<Misfit>,
    /// The fields of the spec that it edits, each with what is stored and what would be.
    pub edits: Vec<String>,
    /// The revision that stands now.
    pub revision_now: Option<u64>,
    /// The revision that it would lead to; none where that cannot be told.
    pub revision_then: Option<u64>,
    /// The same in a sentence.
    pub revision: String,
    /// What it does to the pool; none where nodes cannot be seen.
    pub pool: Option<PoolChange>,
    /// Which nodes would take pods then; none where nodes cannot be seen.
    pub fit: Option<Fit>,
    /// Taints of the new pool that it does not tolerate.
    pub untolerated: Vec<Untolerated>,
    /// Other Computes whose pools would share nodes with it.
    pub overlaps: Vec<Overlap>,
    /// Pods that would run with an older revision; none where pods cannot be seen.
    pub outdated_pods: Option<usize>,
    /// What would be wrong with the pool: category and text.
    pub pool_fault: Option<(String, String)>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

/// Something that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Misfit {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong: the path of the field, and why.
    pub text: String,
}

/// What a change does to a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolChange {
    /// Nodes that the selector matches now.
    pub now: usize,
    /// Nodes that it would match then.
    pub then: usize,
    /// How many of these are new.
    pub joining: usize,
    /// The first of them.
    pub joining_names: Vec<String>,
    /// How many would no longer match.
    pub leaving: usize,
    /// The first of them.
    pub leaving_names: Vec<String>,
}

/// A taint that keeps pods of the Compute from nodes of its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Untolerated {
    /// As `kubectl taint` takes it.
    pub taint: String,
    /// How many nodes have it.
    pub nodes: usize,
    /// The first of them.
    pub names: Vec<String>,
}

/// Tells what a manifest would do.
pub fn explain(facts: &ChangeFacts) -> Change {
    let mut judged = judge(&facts.document.value());
    judged.problems.iter_mut().for_each(|problem| facts.document.conceal(problem));
    let mut change = Change {
        file: facts.file.clone(),
        name: judged.name().to_owned(),
        new: facts.current.is_none(),
        ..Change::default()
    };
    let candidate = match candidate(facts, &judged) {
        Ok(candidate) => candidate,
        Err(problems) => return Change { problems, ..change },
    };
    change.edits = match &facts.answer {
        Some(Answer { before: Value::Null, .. }) => Vec::new(),
        Some(Answer { before, after }) => differing(before, after),
        None => edits(facts.current.as_ref(), &candidate),
    };
    let settings = settings(facts);
    let valid = validate(&candidate, &settings);
    let content = match &valid {
        Ok(Valid { content, .. }) => content.clone(),
        Err(fault) => {
            // Every other rule was judged before.
            let (line, column) = facts.document.place(&judged.path(&["spec", "dataplane"]));
            change.problems.push(Misfit { line, column, text: fault.text.clone() });
            return change;
        }
    };
    number(&mut change, facts, candidate.clone(), &valid);
    let then = Asks { selector: content.node_selector, tolerations: content.tolerations, ..Asks::default() };
    let mut unseen = Vec::new();
    match &facts.nodes {
        Ok(nodes) => on_nodes(&mut change, facts, nodes, &then, &candidate),
        Err(why) => unseen.push(why.to_string()),
    }
    match &facts.pods {
        Ok(pods) => {
            let differs = |pod: &&UserPod| pod.revision.is_some() && pod.revision != change.revision_then;
            let known = change.revision_then.is_some();
            change.outdated_pods = known.then(|| pods.iter().filter(differs).count());
        }
        Err(why) => unseen.push(why.to_string()),
    }
    for seen in [facts.placement.as_ref().err(), facts.binding.as_ref().err(), facts.computes.as_ref().err()]
    {
        unseen.extend(seen.map(ToString::to_string));
    }
    Change { unseen, ..change }
}

/// The Compute that the manifest would make of the stored one.
fn candidate(facts: &ChangeFacts, judged: &Judged) -> Result<Compute, Vec<Misfit>> {
    let placed = |path: &[Step], text: String| {
        let (line, column) = facts.document.place(path);
        Misfit { line, column, text }
    };
    // Of a value that could not be put in, nothing else is to be said.
    let told = |problem: &&Problem| facts.unset.iter().all(|unset| unset.path != problem.path);
    let problems = facts.unset.iter().chain(judged.problems.iter().filter(told));
    let misfits: Vec<Misfit> = problems.map(|problem| placed(&problem.path, problem.sentence())).collect();
    if !misfits.is_empty() {
        return Err(misfits);
    }
    let stored = facts.answer.as_ref().map_or(&judged.compute, |answer| &answer.after);
    let spec: ComputeSpec = serde_json::from_value(stored["spec"].clone())
        .map_err(|why| vec![placed(&path(&["spec"]), format!("spec: {why}"))])?;
    Ok(match &facts.current {
        Some(current) => {
            // An edit is a new generation, by which Poros tells that it was asked something new.
            let edited = current.spec.as_ref().map_or(true, |stored| *stored != spec);
            let generation = current.generation + i64::from(edited);
            Compute { spec: Ok(spec), generation, ..current.clone() }
        }
        None => Compute {
            name: judged.name().to_owned(),
            uid: String::new(),
            resource_version: String::new(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            paused: false,
            delete_in_use: false,
            spec: Ok(spec),
            status: ComputeStatus { observed_generation: -1, ..ComputeStatus::default() },
        },
    })
}

/// The fields of the spec that differ, defaults filled in. An owner that is left out is kept by admission, and no edit.
fn edits(current: Option<&Compute>, candidate: &Compute) -> Vec<String> {
    let Some(Ok(stored)) = current.map(|current| current.spec.as_ref()) else { return Vec::new() };
    let Ok(wanted) = &candidate.spec else { return Vec::new() };
    let wanted =
        ComputeSpec { owner: wanted.owner.clone().or_else(|| stored.owner.clone()), ..wanted.clone() };
    let json = |spec: &ComputeSpec| serde_json::to_value(spec).unwrap_or_default();
    differing(&serde_json::json!({"spec": json(stored)}), &serde_json::json!({"spec": json(&wanted)}))
}

/// The fields that differ.
fn differing(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differences(&mut Vec::new(), before, after, &mut found);
    found
}

fn differences(path: &mut Vec<Step>, stored: &Value, wanted: &Value, found: &mut Vec<String>) {
    if stored == wanted {
        return;
    }
    if let (Some(before), Some(after)) = (stored.as_object(), wanted.as_object()) {
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            path.push(Step::Key(key.clone()));
            differences(path, &stored[key.as_str()], &wanted[key.as_str()], found);
            path.pop();
        }
        return;
    }
    let shown = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
    found.push(format!("{}: {} becomes {}", written(path), shown(stored), shown(wanted)));
}

/// The settings of the Poros that would build it, as far as they show: what it calls this cluster.
fn settings(facts: &ChangeFacts) -> Settings {
    let computes = facts.computes.as_deref().unwrap_or_default();
    let said = facts.current.iter().chain(computes).find_map(|compute| {
        compute.status.cloud_kernel_resources.first().map(|resource| resource.dataplane.clone())
    });
    let dataplane = said.unwrap_or_else(|| Settings::default().dataplane);
    Settings { dataplane, ..Settings::default() }
}

/// Which number the content would get, by the very rule that gives it.
fn number(
    change: &mut Change,
    facts: &ChangeFacts,
    candidate: Compute,
    valid: &Result<Valid, crate::decide::fault::Fault>,
) {
    let (Ok(placement), Ok(binding)) = (&facts.placement, &facts.binding) else {
        change.revision = "which revision it would lead to cannot be told".into();
        return;
    };
    let observed = Observed {
        name: candidate.name.clone(),
        compute: Some(Arc::new(candidate)),
        placement: placement.clone().map(Arc::new),
        binding: binding.clone().map(Arc::new),
        pool: Pool::default(),
        users: Users::default(),
        policies: Policies::default(),
        doubted: false,
        api_servers: Some(0),
        admission: Admission::default(),
        recall: Recall::default(),
    };
    let now = placement.as_ref().and_then(Child::placement_spec).map(|placement| placement.revision);
    change.revision_now = now;
    match desired(&observed, valid) {
        Desired::Spec(wanted) => {
            let then = wanted.placement.revision;
            change.revision_then = Some(then);
            change.revision = match now {
                Some(now) if now == then => {
                    format!(
                        "stays {now}: neither the selector nor the tolerations change, so no pod is outdated by it"
                    )
                }
                Some(now) => format!(
                    "{now} becomes {then}: new pods get the new selector and tolerations; running ones stay where they are"
                ),
                None => format!("{then}, once it is proven"),
            };
        }
        Desired::AsItIs => {
            change.revision_then = now;
            change.revision = "nothing is built while the Compute is paused".into();
        }
        Desired::Kept(..) => {
            change.revision = "it would not be tried again yet: its proof failed just now".into();
        }
        Desired::Closed(_) | Desired::Nothing => {
            change.revision = "none: the Compute is being deleted".into();
        }
    }
}

fn on_nodes(change: &mut Change, facts: &ChangeFacts, nodes: &Nodes, then: &Asks, candidate: &Compute) {
    let before = facts.current.as_ref().and_then(|current| Some(&current.spec.as_ref().ok()?.node_pool));
    let was = |node: &Node| before.is_some_and(|pool| node.matches(&pool.node_selector));
    let is = |node: &Node| node.matches(&then.selector);
    let names = |holds: &dyn Fn(&Node) -> bool| -> Vec<String> {
        nodes.iter().filter(|(_, node)| holds(node)).map(|(name, _)| name.clone()).collect()
    };
    let joining = names(&|node| is(node) && !was(node));
    let leaving = names(&|node| was(node) && !is(node));
    let most = if facts.all_nodes { usize::MAX } else { NAMES };
    let first = |names: &[String]| names.iter().take(most).cloned().collect();
    change.pool = Some(PoolChange {
        now: names(&was).len(),
        then: names(&is).len(),
        joining: joining.len(),
        joining_names: first(&joining),
        leaving: leaving.len(),
        leaving_names: first(&leaving),
    });
    let mut taints: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, node) in nodes.iter().filter(|(_, node)| is(node)) {
        // The node controller's own taints say what the node's state says already.
        for taint in node.untolerated(&then.tolerations).filter(|taint| !taint.of_the_state()) {
            taints.entry(taint.to_string()).or_default().push(name.clone());
        }
    }
    change.untolerated = taints
        .into_iter()
        .map(|(taint, names)| Untolerated { taint, nodes: names.len(), names: first(&names) })
        .collect();
    change.fit = Some(crate::view::nodes::pool(nodes, then, facts.all_nodes));
    if let Ok(computes) = &facts.computes {
        change.overlaps = overlaps(&candidate.name, then, nodes, computes);
    }
    let members = || nodes.values().filter(|node| is(node));
    let number = |nodes: usize| u32::try_from(nodes).unwrap_or(u32::MAX);
    let counts = NodeCounts {
        matched: number(members().count()),
        ready: number(members().filter(|node| node.ready).count()),
        ..NodeCounts::default()
    };
    let counted = Pool { counts, ..Pool::default() };
    let least = candidate.spec.as_ref().map_or(0, |spec| spec.node_pool.min_ready_nodes);
    change.pool_fault =
        pool::judge(&counted, least).map(|fault| (fault.category.word().to_owned(), fault.text));
}

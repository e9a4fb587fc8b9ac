//! What hangs on Computes, as a tree: the built objects, the pool, the users. Each line tells its state in words.

pub mod branch;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::decide::pool::Node;
use crate::view::compute::{ComputeFacts, asks, built_state, state};
use crate::view::in_force::{InForce, in_force};
use crate::view::names::{count, listed, pairs};
use crate::view::nodes::{Nodes, members, more};
use crate::view::page::Tone;
use crate::view::tree::branch::Branch;
use crate::view::users::{UserPod, UsersTold, users};
use crate::view::{Seen, Unseen};

/// How many pods of a namespace are named.
const PODS: usize = 3;
/// How many namespaces, and how many workloads, are told.
const LISTED: usize = 10;

/// All that trees are drawn from: each kind of object asked for once, whatever number of Computes there is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The Computes, by name.
    pub computes: Vec<Compute>,
    /// Placements, by Compute.
    pub placements: Seen<BTreeMap<String, Child>>,
    /// Bindings, by Compute.
    pub bindings: Seen<BTreeMap<String, Child>>,
    /// All nodes.
    pub nodes: Seen<Nodes>,
    /// The unfinished pods that carry a label, by Compute.
    pub pods: Seen<BTreeMap<String, Vec<UserPod>>>,
    /// The workloads that carry a label themselves, by Compute, as `<Kind>/<namespace>/<name>`; a map for each kind.
    pub workloads: Vec<Seen<BTreeMap<String, Vec<String>>>>,
    /// Whether every node, pod and workload is to be named.
    pub all: bool,
}

/// A tree for each Compute.
pub fn trees(facts: &Facts) -> Vec<Branch> {
    let index = facts.nodes.as_ref().map(Index::of);
    let no_pods = Vec::new();
    facts
        .computes
        .iter()
        .map(|compute| {
            let name = &compute.name;
            let one = |all: &Seen<BTreeMap<String, Child>>| match all {
                Ok(all) => Ok(all.get(name).cloned()),
                Err(unseen) => Err(unseen.clone()),
            };
            let (placement, binding) = (one(&facts.placements), one(&facts.bindings));
            let in_force = in_force(name, Some(compute), &placement, &binding);
            let mut children = vec![
                object(compute, Kind::Placement, &placement, &in_force),
                pool(compute, &index, facts.all),
                used(compute, facts, &no_pods, &in_force),
            ];
            let bound =
                compute.status.cloud_kernel_resources.iter().any(|built| built.kind == Kind::Binding.kind());
            if bound || matches!(binding, Ok(Some(_))) {
                children.insert(1, object(compute, Kind::Binding, &binding, &in_force));
            }
            let (state, tone) = state(compute);
            Branch::new(format!("Compute {name}"), state, tone).with(children)
        })
        .collect()
}

/// The error of what was not seen.
fn unseen(what: &str, unseen: &Unseen) -> Branch {
    Branch::new(what, format!("cannot be seen: {}", unseen.why), Tone::Odd)
}

/// A built object: what the status says of it, and whether it is there.
fn object(compute: &Compute, kind: Kind, found: &Seen<Option<Child>>, in_force: &InForce) -> Branch {
    let what = format!("{} {}", kind.kind(), kind.name_for(&compute.name));
    let found = match found {
        Ok(found) => found,
        Err(why) => return unseen(&what, why),
    };
    let resources = &compute.status.cloud_kernel_resources;
    let told = resources.iter().find(|built| built.kind == kind.kind());
    let (state, tone) = match (told, found) {
        (Some(told), found) => built_state(told, found.is_some()),
        (None, None) => ("not there".into(), Tone::Odd),
        (None, Some(_)) => ("there, though the status does not speak of it".into(), Tone::Odd),
    };
    let state = match (kind, in_force) {
        (Kind::Placement, InForce::Content(placement) | InForce::Perhaps(placement)) => {
            let status = compute.status.placement.as_ref();
            let proven = status.is_some_and(|status| status.proven_revision == Some(placement.revision));
            let proven = if proven { "proven" } else { "not proven" };
            let closed = if placement.closed { ", closed to new pods" } else { "" };
            format!("{state}: revision {}, {proven}{closed}", placement.revision)
        }
        (Kind::Placement, InForce::Nothing(why) | InForce::Other(why)) if found.is_some() => {
            format!("{state}; nothing is in force: {why}")
        }
        _ => state,
    };
    Branch::new(what, state, tone)
}

/// Nodes by label, so that the pools of many Computes are found without looking at every node for each.
struct Index<'a> {
    nodes: &'a Nodes,
    by_label: BTreeMap<(&'a str, &'a str), Vec<(&'a String, &'a Node)>>,
}

impl<'a> Index<'a> {
    fn of(nodes: &'a Nodes) -> Self {
        let mut by_label: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
        for (name, node) in nodes {
            for (key, value) in &node.labels {
                by_label.entry((key, value)).or_default().push((name, node));
            }
        }
        Self { nodes, by_label }
    }

    /// The nodes that a selector matches: those of its rarest label that have the others, too.
    fn matched(&self, selector: &BTreeMap<String, String>) -> Vec<(&'a String, &'a Node)> {
        let pools = selector.iter().map(|(key, value)| self.by_label.get(&(key.as_str(), value.as_str())));
        let Some(rarest) = pools.min_by_key(|pool| pool.map_or(0, Vec::len)).flatten() else {
            return Vec::new();
        };
        rarest.iter().filter(|(_, node)| node.matches(selector)).copied().collect()
    }
}

fn pool(compute: &Compute, index: &Result<Index<'_>, &Unseen>, all: bool) -> Branch {
    let Some(asks) = asks(compute) else {
        return Branch::new("Pool", "not known: the spec cannot be read", Tone::Bad);
    };
    let what = format!("Pool {}", pairs(&asks.selector));
    let index = match index {
        Ok(index) => index,
        Err(why) => {
            let told = compute.status.nodes.as_ref();
            let told = told.map(|nodes| format!("; by its status {} nodes take its pods", nodes.summary));
            let Branch { state, tone, .. } = unseen("", why);
            return Branch::new(what, state + &told.unwrap_or_default(), tone);
        }
    };
    let matched = index.matched(&asks.selector);
    let fit = members(matched.iter().copied(), &asks.tolerations, all);
    let whole = count(index.nodes.len(), "node");
    let (state, tone) = match (fit.nodes, fit.fitting) {
        (0, _) => (format!("none of {whole} matches"), Tone::Bad),
        (nodes, 0) => (format!("{} of {whole}, none takes its pods", matching(nodes)), Tone::Bad),
        (nodes, 1) => (format!("{} of {whole}, 1 takes its pods", matching(nodes)), Tone::Good),
        (nodes, fitting) => (format!("{} of {whole}, {fitting} take its pods", matching(nodes)), Tone::Good),
    };
    let named = |what: usize, state: &str, names: &[String], tone| {
        Branch::new(count(what, "node"), format!("{state}: {}", more(names, what)), tone)
    };
    let fitting = (fit.fitting > 0).then(|| named(fit.fitting, "ready", &fit.names, Tone::Good));
    let others = fit.others.iter().map(|group| named(group.nodes, &group.reason, &group.names, Tone::Odd));
    Branch::new(what, state, tone).with(fitting.into_iter().chain(others).collect())
}

fn matching(nodes: usize) -> String {
    format!("its selector matches {nodes}")
}

fn used(compute: &Compute, facts: &Facts, none: &Vec<UserPod>, in_force: &InForce) -> Branch {
    let workloads: Vec<Seen<Vec<String>>> = facts
        .workloads
        .iter()
        .map(|kind| match kind {
            Ok(by_compute) => Ok(by_compute.get(&compute.name).cloned().unwrap_or_default()),
            Err(unseen) => Err(unseen.clone()),
        })
        .collect();
    let blind = workloads.iter().filter_map(|kind| kind.as_ref().err());
    let blind: Vec<Branch> = blind.map(|why| unseen(&why.what, why)).collect();
    let pods = match &facts.pods {
        Ok(by_compute) => by_compute.get(&compute.name).unwrap_or(none),
        Err(why) => {
            let status = compute.status.users.clone().unwrap_or_default();
            let told = format!(
                "by its status {} and {}",
                count(status.pods as usize, "pod"),
                count(status.workloads as usize, "workload")
            );
            let mut children = vec![unseen("pods", why)];
            children.extend(of_workloads(&users(&[], &workloads, None), facts.all));
            children.extend(blind);
            return Branch::new("Users", told, Tone::Odd).with(children);
        }
    };
    let told = users(pods, &workloads, in_force.revision());
    let words = [(told.pods, "pod"), (told.workloads.len(), "workload")];
    let words: Vec<String> = words
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number, noun))
        .collect();
    let mut state = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    if told.outdated > 0 {
        let _ = write!(state, ", {} outdated", told.outdated);
    }
    let mut children = of_workloads(&told, facts.all);
    children.extend(of_namespaces(pods, &told, in_force.revision(), facts.all));
    if !told.unplaced.is_empty() {
        let most = if facts.all { usize::MAX } else { PODS };
        children.push(Branch::new(
            "no users",
            format!(
                "{} with the label, not placed by it: {}",
                count(told.unplaced.len(), "pod"),
                listed(&told.unplaced, most)
            ),
            Tone::Odd,
        ));
    }
    children.extend(blind);
    let tone = if told.outdated > 0 { Tone::Odd } else { Tone::Plain };
    Branch::new("Users", state, tone).with(children)
}

fn of_workloads(told: &UsersTold, all: bool) -> Vec<Branch> {
    let most = if all { usize::MAX } else { LISTED };
    let shown = told.workloads.iter().take(most);
    let mut lines: Vec<Branch> =
        shown.map(|workload| Branch::new(workload, "carries the label", Tone::Plain)).collect();
    if told.workloads.len() > most {
        lines.push(Branch::new(
            "",
            format!("and {} more workloads", told.workloads.len() - most),
            Tone::Plain,
        ));
    }
    lines
}

/// The pods by namespace, the largest number first, outdated ones marked and named first.
fn of_namespaces(pods: &[UserPod], told: &UsersTold, revision: Option<u64>, all: bool) -> Vec<Branch> {
    let mut namespaces: Vec<(&String, usize)> =
        told.namespaces.iter().map(|(namespace, pods)| (namespace, *pods)).collect();
    namespaces.sort_by(|(a, most), (b, other)| other.cmp(most).then(a.cmp(b)));
    let most = if all { usize::MAX } else { LISTED };
    let mut lines: Vec<Branch> = namespaces
        .iter()
        .take(most)
        .map(|(namespace, number)| {
            let outdated = |pod: &UserPod| revision.is_some_and(|now| pod.revision != Some(now));
            let mut own: Vec<&UserPod> =
                pods.iter().filter(|pod| pod.namespace == **namespace && pod.revision.is_some()).collect();
            own.sort_by_key(|pod| (!outdated(pod), &pod.name));
            let named = own.iter().take(if all { usize::MAX } else { PODS }).map(|pod| match pod.revision {
                Some(revision) if outdated(pod) => format!("{} (outdated: revision {revision})", pod.name),
                _ => pod.name.clone(),
            });
            let named: Vec<String> = named.collect();
            let tone = if own.iter().any(|pod| outdated(pod)) { Tone::Odd } else { Tone::Plain };
            let text = format!("{}: {}", count(*number, "pod"), more(&named, *number));
            Branch::new(format!("namespace {namespace}"), text, tone)
        })
        .collect();
    if namespaces.len() > most {
        let rest = count(namespaces.len() - most, "more namespace");
        lines.push(Branch::new("", format!("and {rest}"), Tone::Plain));
    }
    lines
}

/// The facts of one Compute, as those of a tree.
impl From<ComputeFacts> for Facts {
    fn from(facts: ComputeFacts) -> Self {
        let name = facts.compute.name.clone();
        let one = |child: Seen<Option<Child>>| {
            child.map(|child| child.into_iter().map(|child| (name.clone(), child)).collect())
        };
        let workloads = facts.workloads.into_iter();
        Self {
            placements: one(facts.placement),
            bindings: one(facts.binding),
            nodes: facts.nodes,
            pods: facts.pods.map(|pods| [(name.clone(), pods)].into()),
            workloads: workloads.map(|kind| kind.map(|all| [(name.clone(), all)].into())).collect(),
            all: facts.all_nodes,
            computes: vec![facts.compute],
        }
    }
}

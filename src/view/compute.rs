//! What a Compute does, who uses it, and what is wrong with it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::compute::DeletionPolicy;
use crate::api::names::ANNOTATION_DELETE_IN_USE;
use crate::api::status::{AggregateStatus, ResourceStatus};
use crate::decide::desired::ready_reason;
use crate::decide::fault::Category;
use crate::decide::fit::Asks;
use crate::decide::observed::{Child, Compute};
use crate::decide::validate::{deletion_policy, normal};
use crate::view::names::{count, listed, pairs};
use crate::view::nodes::{Fit, Nodes, pool};
use crate::view::page::{Line, Page, Tone};
use crate::view::pod::facts::tolerates;

/// What was seen; or a sentence that says why it was not, and what is unknown for it.
pub type Seen<T> = Result<T, String>;

/// How many names a fact lists.
const LISTED: usize = 5;
/// How many namespaces of users are told.
const NAMESPACES: usize = 10;

/// All that an explanation of a Compute is drawn from.
#[derive(Clone, Debug)]
pub struct ComputeFacts {
    /// The Compute.
    pub compute: Compute,
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
    /// The workloads that carry its label themselves, as `<Kind>/<namespace>/<name>`.
    pub workloads: Vec<Seen<Vec<String>>>,
    /// Whether every node is to be named.
    pub all_nodes: bool,
}

/// An unfinished pod that carries the label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The revision in its mark; none if this Compute did not place it.
    pub revision: Option<u64>,
}

/// What a Compute does, who uses it, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeExplanation {
    /// Its name.
    pub name: String,
    /// `status/stage` and what the builder says, in a sentence.
    pub state: String,
    /// What is wrong, by the table of faults.
    pub fault: Option<FaultTold>,
    /// Conditions that say something out of the ordinary, each with its words.
    pub notices: Vec<String>,
    /// What is in force.
    pub in_force: String,
    /// The built objects.
    pub built: Vec<String>,
    /// Its pool; none where nodes cannot be seen, or the spec cannot be read.
    pub pool: Option<Fit>,
    /// Other Computes whose pools share nodes with it.
    pub overlaps: Vec<Overlap>,
    /// Who uses it; none where pods cannot be seen.
    pub users: Option<UsersTold>,
    /// Whether it can be deleted, and what opens that.
    pub deletion: Deletion,
    /// The last transitions, the newest first.
    pub history: Vec<String>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
    #[serde(skip)]
    tone: Tone,
}

/// A fault, by its row in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultTold {
    /// The stable word.
    pub category: &'static str,
    /// The step in which it was found.
    pub step: &'static str,
    /// What exactly.
    pub text: String,
    /// What is wrong in general.
    pub what: &'static str,
    /// What happens to pods that name the Compute.
    pub pods: &'static str,
    /// What heals it.
    pub healed_by: &'static str,
    /// What to do: what for, and the command.
    pub to_do: Vec<(String, String)>,
}

/// Nodes that two Computes share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// The other Compute.
    pub compute: String,
    /// How many nodes.
    pub nodes: usize,
    /// The first of them.
    pub names: Vec<String>,
}

/// Who uses a Compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsersTold {
    /// Unfinished pods that it placed.
    pub pods: usize,
    /// Of these, pods that another revision placed than the one in force.
    pub outdated: usize,
    /// The first of the outdated ones, as `namespace/name`.
    pub outdated_examples: Vec<String>,
    /// Pods by namespace.
    pub namespaces: BTreeMap<String, usize>,
    /// Pods that carry the label and were not placed by it: no users.
    pub unplaced: Vec<String>,
    /// Workloads that carry the label themselves.
    pub workloads: Vec<String>,
}

/// Whether a Compute can be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Whether its users stand against it.
    pub blocked: bool,
    /// The same in a sentence.
    pub text: String,
    /// The command that allows it all the same.
    pub command: Option<String>,
}

/// The state of a Compute in a sentence, and how good that is.
pub fn state(compute: &Compute) -> (String, Tone) {
    let status = &compute.status;
    if status.observed_generation < 0 {
        return (
            "nothing is built: no Poros has looked at it yet (is one running, and may it write the status?)"
                .into(),
            Tone::Bad,
        );
    }
    let mut text = format!("{}/{}", status.aggregate_status.word(), status.builder_state.stage.word());
    if !status.builder_state.info.is_empty() {
        text.push_str(&format!(": {}", status.builder_state.info));
    }
    if status.observed_generation < compute.generation && !compute.paused {
        text.push_str(&format!(
            "; that is about generation {}, and Poros has not acted on generation {} yet",
            status.observed_generation, compute.generation
        ));
    }
    let tone = match status.aggregate_status {
        AggregateStatus::Active => Tone::Good,
        AggregateStatus::Error => Tone::Bad,
        AggregateStatus::Pending | AggregateStatus::Deleting | AggregateStatus::Deleted => Tone::Odd,
    };
    (text, tone)
}

/// The fault that the status speaks of, by the table; of a Compute that waits, what it waits for.
pub fn fault(compute: &Compute) -> Option<FaultTold> {
    let category = Category::of_word(ready_reason(compute)?)?;
    let row = category.row();
    let named = |text: &str| text.replace("NAME", &compute.name);
    Some(FaultTold {
        category: category.word(),
        step: row.step.word(),
        text: compute.status.builder_state.info.clone(),
        what: row.what,
        pods: row.pods,
        healed_by: row.healed_by,
        to_do: row.to_do.iter().map(|(what, command)| (named(what), named(command))).collect(),
    })
}

/// What a Compute asks of nodes.
pub fn asks(compute: &Compute) -> Option<Asks> {
    let pool = &compute.spec.as_ref().ok()?.node_pool;
    Some(Asks {
        selector: pool.node_selector.clone(),
        tolerations: pool.tolerations.iter().map(normal).collect(),
        ..Asks::default()
    })
}

/// Other Computes whose selectors match nodes that this one's does.
pub fn overlaps(name: &str, asks: &Asks, nodes: &Nodes, computes: &[Compute]) -> Vec<Overlap> {
    let own: Vec<_> = nodes.iter().filter(|(_, node)| node.matches(&asks.selector)).collect();
    let mut found: Vec<Overlap> = computes
        .iter()
        .filter(|other| other.name != name)
        .filter_map(|other| {
            let selector = &other.spec.as_ref().ok()?.node_pool.node_selector;
            let shared: Vec<&String> =
                own.iter().filter(|(_, node)| node.matches(selector)).map(|(name, _)| *name).collect();
            (!shared.is_empty()).then(|| Overlap {
                compute: other.name.clone(),
                nodes: shared.len(),
                names: shared.into_iter().take(3).cloned().collect(),
            })
        })
        .collect();
    found.sort_by(|a, b| b.nodes.cmp(&a.nodes).then_with(|| a.compute.cmp(&b.compute)));
    found
}

/// Explains a Compute.
pub fn explain(facts: &ComputeFacts) -> ComputeExplanation {
    let compute = &facts.compute;
    let mut unseen = Vec::new();
    let mut note = |why: &Result<(), String>| {
        if let Err(why) = why {
            unseen.push(why.clone());
        }
    };
    note(&facts.placement.as_ref().map(|_| ()).map_err(Clone::clone));
    note(&facts.binding.as_ref().map(|_| ()).map_err(Clone::clone));
    note(&facts.nodes.as_ref().map(|_| ()).map_err(Clone::clone));
    note(&facts.computes.as_ref().map(|_| ()).map_err(Clone::clone));
    note(&facts.pods.as_ref().map(|_| ()).map_err(Clone::clone));
    for workloads in &facts.workloads {
        note(&workloads.as_ref().map(|_| ()).map_err(Clone::clone));
    }
    let asks = asks(compute);
    let (state, tone) = state(compute);
    let users = users(facts);
    let nodes = facts.nodes.as_ref().ok().zip(asks.as_ref());
    ComputeExplanation {
        name: compute.name.clone(),
        state,
        fault: fault(compute),
        notices: notices(compute),
        in_force: in_force(facts),
        built: built(compute),
        pool: nodes.map(|(nodes, asks)| pool(nodes, asks, facts.all_nodes)),
        overlaps: nodes
            .zip(facts.computes.as_ref().ok())
            .map(|((nodes, asks), computes)| overlaps(&compute.name, asks, nodes, computes))
            .unwrap_or_default(),
        deletion: deletion(compute, users.as_ref()),
        users,
        history: history(compute),
        unseen,
        tone,
    }
}

fn notices(compute: &Compute) -> Vec<String> {
    let told = |type_: &str, wanted: &str| {
        let condition = compute.status.condition(type_).filter(|condition| condition.status == wanted)?;
        Some(format!("{type_} is {wanted}: {}", condition.message))
    };
    let unproven = ["False", "Unknown"].iter().find_map(|status| told("PlacementVerified", status));
    let present =
        ["Drifted", "Contended", "Overlapping", "Paused"].iter().filter_map(|type_| told(type_, "True"));
    unproven.into_iter().chain(present).collect()
}

fn in_force(facts: &ComputeFacts) -> String {
    let placement = match &facts.placement {
        Ok(Some(child)) => child.placement_spec(),
        Ok(None) => None,
        Err(_) => return "cannot be seen".into(),
    };
    let Some(placement) = placement else {
        return "nothing: there is no Placement, so pods that name it are refused".into();
    };
    match &facts.binding {
        Ok(Some(_)) => {}
        Ok(None) => return "nothing: there is no binding, so pods that name it are refused".into(),
        Err(_) => return format!("revision {}, if its binding stands", placement.revision),
    }
    let tolerations: Vec<String> = placement.tolerations.iter().map(tolerates).collect();
    let mut text =
        format!("revision {}: nodeSelector {}", placement.revision, pairs(&placement.node_selector));
    if !tolerations.is_empty() {
        text.push_str(&format!("; tolerations {}", tolerations.join(", ")));
    }
    let status = facts.compute.status.placement.as_ref();
    match status.and_then(|status| Some((status, status.proven_at.as_ref()?))) {
        Some((status, at)) if status.proven_revision == Some(placement.revision) => {
            text.push_str(&format!("; proven at {} (mode {:?})", at.0, status.mode));
        }
        _ => text.push_str("; not proven"),
    }
    if placement.closed {
        text.push_str("; closed: it takes no new pods");
    }
    text
}

fn built(compute: &Compute) -> Vec<String> {
    let resources = compute.status.cloud_kernel_resources.iter();
    resources
        .map(|resource| {
            let state = match resource.status {
                ResourceStatus::Created => "in place",
                ResourceStatus::Pending => "not in place yet",
                ResourceStatus::Error => "cannot be put in place",
                ResourceStatus::Deleted => "removed",
            };
            let why = resource.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{} {}: {state}{why}", resource.kind, resource.name)
        })
        .collect()
}

fn users(facts: &ComputeFacts) -> Option<UsersTold> {
    let pods = facts.pods.as_ref().ok()?;
    let placement = facts.placement.as_ref().ok().and_then(|child| child.as_ref()?.placement_spec());
    let now = placement.map(|placement| placement.revision);
    let full = |pod: &UserPod| format!("{}/{}", pod.namespace, pod.name);
    let mut told = UsersTold::default();
    for pod in pods {
        let Some(revision) = pod.revision else {
            told.unplaced.push(full(pod));
            continue;
        };
        told.pods += 1;
        *told.namespaces.entry(pod.namespace.clone()).or_default() += 1;
        if now.is_some_and(|now| now != revision) {
            told.outdated += 1;
            if told.outdated_examples.len() < LISTED {
                told.outdated_examples.push(full(pod));
            }
        }
    }
    told.workloads = facts.workloads.iter().flatten().flatten().cloned().collect();
    Some(told)
}

/// As the shared policy judges it: by the users in the status, which are at most some seconds behind.
fn deletion(compute: &Compute, users: Option<&UsersTold>) -> Deletion {
    let counted = compute.status.users.as_ref().map_or(0, |users| users.pods) as usize;
    let pods = users.map_or(counted, |users| users.pods.max(counted));
    let name = &compute.name;
    let allowed = compute.delete_in_use || deletion_policy(compute) == DeletionPolicy::Detach;
    let verb = if compute.deleting { "it is being deleted" } else { "possible" };
    let free = |text: String| Deletion { blocked: false, text, command: None };
    if pods == 0 {
        return free(format!("{verb}: no pods use it"));
    }
    let used = count(pods, "pod");
    if allowed {
        return free(format!("{verb}, though {used} still use it: they run on where they are"));
    }
    let examples = compute.status.users.as_ref().map(|users| users.examples.as_slice()).unwrap_or_default();
    let named = if examples.is_empty() { String::new() } else { format!(" ({})", listed(examples, LISTED)) };
    let verb = if compute.deleting { "it is being deleted, and held" } else { "refused" };
    Deletion {
        blocked: true,
        text: format!("{verb}: in use by {used}{named}; remove them first, or allow it"),
        command: Some(format!("kubectl annotate compute {name} {ANNOTATION_DELETE_IN_USE}=true")),
    }
}

fn history(compute: &Compute) -> Vec<String> {
    let transitions = compute.status.history.iter().rev();
    transitions
        .map(|transition| {
            let words = format!("{}/{}", transition.to.word(), transition.stage.word());
            format!("{}  {words}  {}: {}", transition.time.0, transition.reason, transition.message)
        })
        .collect()
}

impl ComputeExplanation {
    /// As a page.
    pub fn page(&self) -> Page {
        let mut page = Page::new(format!("Compute {}", self.name), Tone::Plain);
        page.say("State", Line::new(&self.state).tone(self.tone));
        if let Some(fault) = &self.fault {
            fault.tell(&mut page);
        }
        for notice in &self.notices {
            page.say("Notice", Line::new(notice).tone(Tone::Odd));
        }
        page.say("In force", self.in_force.as_str());
        for built in &self.built {
            page.say("Built", built.as_str());
        }
        if let Some(pool) = &self.pool {
            pool.tell(&mut page, "Pool", "take its pods");
        }
        for overlap in &self.overlaps {
            let (nodes, names) = (count(overlap.nodes, "node"), overlap.names.join(", "));
            let more = if overlap.nodes > overlap.names.len() { ", …" } else { "" };
            page.say(
                "Overlaps",
                format!("Compute {}: {nodes} are in both pools: {names}{more}", overlap.compute),
            );
        }
        if let Some(users) = &self.users {
            users.tell(&mut page);
        }
        let tone = if self.deletion.blocked { Tone::Odd } else { Tone::Plain };
        page.say("Deletion", Line::new(&self.deletion.text).tone(tone));
        if let Some(command) = &self.deletion.command {
            page.say("Deletion", Line::command(command));
        }
        for transition in &self.history {
            page.say("History", transition.as_str());
        }
        for why in &self.unseen {
            page.say("Not seen", Line::new(why).tone(Tone::Odd));
        }
        page
    }
}

impl FaultTold {
    fn tell(&self, page: &mut Page) {
        page.say(
            "Fault",
            Line::new(format!("{}, found in the step {}", self.category, self.step)).tone(Tone::Bad),
        );
        page.say("Fault", self.what);
        page.say("Fault", format!("pods that name it: {}", self.pods));
        page.say("Fault", format!("healed by: {}", self.healed_by));
        for (what, command) in &self.to_do {
            page.say("What to do", format!("{what}:"));
            page.say("What to do", Line::command(command));
        }
    }
}

impl UsersTold {
    fn tell(&self, page: &mut Page) {
        match self.pods {
            0 => page.say("Users", "no pods"),
            pods => {
                let (pods, spaces) = (count(pods, "pod"), count(self.namespaces.len(), "namespace"));
                page.say("Users", format!("{pods} in {spaces}"));
            }
        }
        let mut by_count: Vec<_> = self.namespaces.iter().collect();
        by_count.sort_by(|(a, most), (b, other)| other.cmp(most).then(a.cmp(b)));
        for (namespace, pods) in by_count.iter().take(NAMESPACES) {
            page.say("Users", Line::counted(**pods, format!("in namespace {namespace}")));
        }
        if by_count.len() > NAMESPACES {
            page.say("Users", format!("and in {}", count(by_count.len() - NAMESPACES, "more namespace")));
        }
        if self.outdated > 0 {
            let names = listed(&self.outdated_examples, LISTED);
            let more = if self.outdated > self.outdated_examples.len() { ", …" } else { "" };
            let text = format!(
                "{} of them run with an older revision until they are made anew: {names}{more}",
                self.outdated
            );
            page.say("Users", Line::new(text).tone(Tone::Odd));
        }
        if !self.unplaced.is_empty() {
            let text = format!(
                "{} more carry the label, but were not placed by it (poros explain pod tells why): {}",
                self.unplaced.len(),
                listed(&self.unplaced, LISTED)
            );
            page.say("Users", Line::new(text).tone(Tone::Odd));
        }
        if !self.workloads.is_empty() {
            page.say("Users", format!("workloads that carry the label: {}", listed(&self.workloads, LISTED)));
        }
    }
}

//! What a Compute does, who uses it, and what is wrong with it.

mod told;

use std::fmt::Write as _;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::api::status::{AggregateStatus, CloudKernelResource, ResourceStatus};
use crate::decide::desired::ready_reason;
use crate::decide::fault::{Category, STAYS};
use crate::decide::fit::Asks;
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute};
use crate::decide::pool::Node;
use crate::decide::quantity::Sum;
use crate::decide::validate::normal;
use crate::view::in_force::{self, InForce};
use crate::view::names::pairs;
use crate::view::nodes::{Fit, Nodes, pool};
use crate::view::page::Tone;
use crate::view::pod::facts::tolerates;
use crate::view::users::{Deletion, UserPod, UsersTold, deletion, users};
use crate::view::{Seen, why_unseen};

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
    pub in_force: Vec<String>,
    /// The built objects.
    pub built: Vec<String>,
    /// Its pool; none where nodes cannot be seen, or the spec cannot be read.
    pub pool: Option<Fit>,
    /// How many nodes its selector matches.
    pub matched: Option<usize>,
    /// How many of these no taint keeps for it: pods that name no Compute may land there.
    pub open: Option<usize>,
    /// What the nodes that take its pods offer together, by resource.
    pub offers: BTreeMap<String, String>,
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
    /// How good its state is.
    #[serde(skip)]
    pub tone: Tone,
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
        let _ = write!(text, ": {}", status.builder_state.info);
    }
    if status.observed_generation < compute.generation && !compute.paused {
        let _ = write!(
            text,
            "; that is about generation {}, and Poros has not acted on generation {} yet",
            status.observed_generation, compute.generation
        );
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
    // A Compute that awaits its pool says so, and in PoolReady what is wrong with it.
    let pool = compute.status.condition("PoolReady").filter(|condition| condition.status == "False");
    let pool = pool.filter(|_| compute.status.aggregate_status == AggregateStatus::Pending);
    let category = Category::of_word(ready_reason(compute)?)
        .or_else(|| pool.and_then(|condition| Category::of_word(&condition.reason)))?;
    let row = category.row();
    Some(FaultTold {
        category: category.word(),
        step: row.step.word(),
        text: compute.status.builder_state.info.clone(),
        what: row.what,
        pods: pods(category, compute),
        healed_by: row.healed_by,
        to_do: row.to_do_for(&compute.name).map(|(what, command)| (what.to_owned(), command)).collect(),
    })
}

/// What happens to pods that name a Compute with this fault, as far as its status tells it.
pub fn pods(category: Category, compute: &Compute) -> &'static str {
    let pods = category.row().pods;
    match &compute.status.placement {
        _ if pods != STAYS => pods,
        None => "refused, for no revision was ever in force",
        Some(placement) if placement.proven_revision.is_some() => "placed as before",
        // One was written, and its effect was never seen.
        Some(_) => pods,
    }
}

impl FaultTold {
    /// What to do, without what only tells what is told here.
    pub fn acts(&self) -> impl Iterator<Item = &(String, String)> {
        let tells = |command: &str| {
            [
                "kubectl describe compute",
                "kubectl poros explain compute",
                "dataos-ctl describe",
                "dataos-ctl explain compute",
            ]
            .iter()
            .any(|tells| command.starts_with(tells))
        };
        self.to_do.iter().filter(move |(_, command)| !tells(command))
    }
}

/// When a Compute that is pending with its present generation becomes an error.
pub fn deadline(compute: &Compute) -> Option<Timestamp> {
    let status = &compute.status;
    let pending = status.aggregate_status == AggregateStatus::Pending && status.observed_generation >= 0;
    let current = status.observed_generation == compute.generation && !compute.paused;
    let since = status.builder_state.since.as_ref().filter(|_| pending && current)?.0;
    let allowed = compute.spec.as_ref().ok()?.progress_deadline_seconds;
    since.checked_add(SignedDuration::from_secs(i64::from(allowed))).ok()
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
    unseen.extend(why_unseen(&facts.placement));
    unseen.extend(why_unseen(&facts.binding));
    unseen.extend(why_unseen(&facts.nodes));
    unseen.extend(why_unseen(&facts.computes));
    unseen.extend(why_unseen(&facts.pods));
    unseen.extend(facts.workloads.iter().filter_map(why_unseen));
    let asks = asks(compute);
    let (state, tone) = state(compute);
    let placement = facts.placement.as_ref().ok().and_then(|child| child.as_ref()?.placement_spec());
    let in_force_now = placement.map(|placement| placement.revision);
    let users = facts.pods.as_ref().ok().map(|pods| users(pods, &facts.workloads, in_force_now));
    let nodes = facts.nodes.as_ref().ok().zip(asks.as_ref());
    let members: Option<Vec<&Node>> =
        nodes.map(|(nodes, asks)| nodes.values().filter(|node| node.matches(&asks.selector)).collect());
    let fits = nodes.map(|(nodes, asks)| pool(nodes, asks, facts.all_nodes));
    let mut fault = fault(compute);
    for (_, command) in fault.iter_mut().flat_map(|fault| &mut fault.to_do) {
        *command = told::filled(command, compute, fits.as_ref());
    }
    ComputeExplanation {
        name: compute.name.clone(),
        state,
        fault,
        notices: notices(compute),
        in_force: in_force(facts),
        built: built(facts),
        pool: fits,
        matched: members.as_ref().map(Vec::len),
        open: members.as_ref().map(|members| members.iter().filter(|node| node.is_open()).count()),
        offers: members.zip(asks.as_ref()).map(|(members, asks)| offers(&members, asks)).unwrap_or_default(),
        overlaps: nodes
            .zip(facts.computes.as_ref().ok())
            .map(|((nodes, asks), computes)| overlaps(&compute.name, asks, nodes, computes))
            .unwrap_or_default(),
        deletion: deletion(compute, users.as_ref().filter(|_| facts.workloads.iter().all(Result::is_ok))),
        users,
        history: history(compute),
        unseen,
        tone,
    }
}

/// What nodes that take pods offer together: of the resources that everyone asks for.
fn offers(members: &[&Node], asks: &Asks) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for node in members.iter().filter(|node| node.takes(&asks.tolerations)) {
        for (resource, quantity) in &node.allocatable {
            sums.entry(resource).or_default().add(quantity);
        }
    }
    sums.into_iter()
        .filter(|(name, _)| ["cpu", "memory", "pods"].contains(name) || name.contains('/'))
        .map(|(name, sum)| (name.to_owned(), sum.to_string()))
        .collect()
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

fn in_force(facts: &ComputeFacts) -> Vec<String> {
    let compute = &facts.compute;
    let (placement, so) =
        match in_force::in_force(&compute.name, Some(compute), &facts.placement, &facts.binding) {
            InForce::Content(placement) => (placement, ""),
            InForce::Perhaps(placement) => (placement, ", if its binding stands"),
            InForce::Nothing(why) => {
                return vec![format!("nothing: {why}, so pods that name it are refused")];
            }
            InForce::Other(why) => {
                return vec![format!(
                    "nothing that Poros answers for: {why}; pods may be placed all the same"
                )];
            }
            InForce::Unseen => return vec!["cannot be seen".into()],
        };
    let status = compute.status.placement.as_ref();
    let proven = status.filter(|status| status.proven_revision == Some(placement.revision));
    let proof = match proven.and_then(|status| Some((status.proven_at.as_ref()?, status.mode))) {
        Some((at, mode)) => format!("proven at {} (mode {mode:?})", at.0),
        None => "not proven".into(),
    };
    let mut told = vec![format!("revision {}, {proof}{so}", placement.revision)];
    told.push(format!("nodeSelector {}", pairs(&placement.node_selector)));
    let tolerations: Vec<String> = placement.tolerations.iter().map(tolerates).collect();
    if !tolerations.is_empty() {
        told.push(format!("tolerations {}", tolerations.join(", ")));
    }
    if placement.closed {
        told.push("closed: it takes no new pods".into());
    }
    told
}

fn built(facts: &ComputeFacts) -> Vec<String> {
    let there = |kind: &str| match kind {
        kind if kind == Kind::Placement.kind() => !matches!(facts.placement, Ok(None)),
        kind if kind == Kind::Binding.kind() => !matches!(facts.binding, Ok(None)),
        _ => true,
    };
    let resources = facts.compute.status.cloud_kernel_resources.iter();
    resources
        .map(|resource| {
            let (state, _) = built_state(resource, there(&resource.kind));
            format!("{} {}: {state}", resource.kind, resource.name)
        })
        .collect()
}

/// How a built object is, by the status and by whether it is there.
pub fn built_state(resource: &CloudKernelResource, there: bool) -> (String, Tone) {
    let (state, tone) = match resource.status {
        // Poros has not seen it yet, or none is running.
        ResourceStatus::Created if !there => ("gone, though the status has it in place", Tone::Bad),
        ResourceStatus::Created => ("in place", Tone::Good),
        ResourceStatus::Pending => ("not in place yet", Tone::Odd),
        ResourceStatus::Error => ("cannot be put in place", Tone::Bad),
        ResourceStatus::Deleted => ("removed", Tone::Odd),
    };
    let why = resource.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    (format!("{state}{why}"), tone)
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

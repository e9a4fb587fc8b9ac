//! What the answer to *why* rests on: the proof, the pool, the users, and what each kind of fault left to be seen.

use jiff::Timestamp;

use crate::decide::fault::Category;
use crate::decide::observed::Compute;
use crate::view::compute::{ComputeExplanation, ComputeFacts};
use crate::view::names::{count, listed, pairs};
use crate::view::nodes::more;
use crate::view::time::at;

/// How many groups of nodes are told.
const GROUPS: usize = 3;
/// How many names are told.
const NAMES: usize = 3;

/// What else is to be seen of a fault of this category, beside the builder's sentence.
pub(super) fn evidence(
    category: Category,
    facts: &ComputeFacts,
    told: &ComputeExplanation,
    now: Option<Timestamp>,
) -> Option<String> {
    match category {
        Category::Undecodable | Category::InvalidSpec | Category::UnknownDataplane => {
            Some(match proof(&facts.compute, now) {
                Some(proof) => format!("What was proven before stays in force: {proof}"),
                None => "Nothing of it was proven before".into(),
            })
        }
        Category::NameTaken | Category::Forbidden | Category::ApplyFailed | Category::Contended => {
            let stands = stands(&facts.compute);
            let condition = condition(category).and_then(|type_| of_condition(&facts.compute, type_, now));
            Some(condition.map_or(stands.clone(), |condition| format!("{stands}. {condition}")))
        }
        Category::PolicyMissing | Category::ProofMismatch | Category::ProofBlocked => {
            condition(category).and_then(|type_| of_condition(&facts.compute, type_, now))
        }
        Category::NoNodesMatch | Category::NoReadyNodes => Some(pool(facts, told)),
        Category::Internal => Some("The message of the bug is in the log of Poros".into()),
    }
}

/// The condition that is the evidence of a fault.
pub(super) fn condition(category: Category) -> Option<&'static str> {
    match category {
        Category::PolicyMissing | Category::ProofMismatch | Category::ProofBlocked => {
            Some("PlacementVerified")
        }
        Category::Contended => Some("Contended"),
        Category::Undecodable
        | Category::InvalidSpec
        | Category::UnknownDataplane
        | Category::NameTaken
        | Category::Forbidden
        | Category::ApplyFailed
        | Category::NoNodesMatch
        | Category::NoReadyNodes
        | Category::Internal => None,
    }
}

/// A condition in words, unless the builder's sentence has the same.
fn of_condition(compute: &Compute, type_: &str, now: Option<Timestamp>) -> Option<String> {
    let status = &compute.status;
    let condition = status.condition(type_)?;
    let since = at(condition.last_transition_time.0, now);
    let message = condition.message.trim();
    let said = message.is_empty() || status.builder_state.info.contains(message);
    let message = if said { String::new() } else { format!(": {message}") };
    Some(format!("{type_} is {} since {since}{message}", condition.status))
}

/// `1 of 2 objects that it needs is in place`, and which are not.
fn stands(compute: &Compute) -> String {
    use crate::api::status::ResourceStatus::{Created, Deleted, Error, Pending};
    let resources = &compute.status.cloud_kernel_resources;
    let missing: Vec<String> = resources
        .iter()
        .filter(|resource| match resource.status {
            Created => false,
            Pending | Error | Deleted => true,
        })
        .map(|resource| format!("{} {}", resource.kind, resource.name))
        .collect();
    let whole = count(resources.len(), "object");
    let (there, missing) = (resources.len() - missing.len(), listed(&missing, NAMES));
    match there {
        _ if missing.is_empty() => format!("All of the {whole} that it needs are in place"),
        0 => format!("None of the {whole} that it needs is in place"),
        1 => format!("1 of the {whole} that it needs is in place; {missing} is not"),
        _ => format!("{there} of the {whole} that it needs are in place; {missing} is not"),
    }
}

/// What was proven, and when; none if nothing that stands was.
pub(super) fn proof(compute: &Compute, now: Option<Timestamp>) -> Option<String> {
    let placement = compute.status.placement.as_ref()?;
    let proven = placement.proven_revision.filter(|proven| *proven == placement.revision)?;
    let at = at(placement.proven_at.as_ref()?.0, now);
    Some(format!(
        "revision {proven} was proven at {at} by a dry-run pod that came back placed as it says (mode {:?})",
        placement.mode
    ))
}

/// The pool: counts, and the first names of what fits and what does not.
pub(super) fn pool(facts: &ComputeFacts, told: &ComputeExplanation) -> String {
    let Some(pool) = &told.pool else {
        let Some(nodes) = &facts.compute.status.nodes else { return "Its pool is not known".into() };
        return format!(
            "By its status its selector matches {}, of which {} ready and {} its pods",
            count(nodes.matched as usize, "node"),
            are(nodes.ready as usize),
            take(nodes.schedulable as usize)
        );
    };
    let spec = facts.compute.spec.as_ref().ok();
    let selector = spec.map(|spec| pairs(&spec.node_pool.node_selector)).unwrap_or_default();
    let matched = told.matched.unwrap_or_default();
    let fitting = match pool.fitting {
        0 => "none takes its pods".to_owned(),
        fitting => format!("{} its pods ({})", take(fitting), more(&pool.names, fitting)),
    };
    let whole = count(pool.nodes, "node");
    let text = match (pool.nodes, matched) {
        (0, _) => return format!("The cluster has no nodes, and its selector is {selector}"),
        (_, 0) => format!("None of the {whole} matches its selector {selector}"),
        _ => format!("Its selector {selector} matches {matched} of {whole}, of which {fitting}"),
    };
    let others: Vec<String> = pool
        .others
        .iter()
        // Nodes of other pools say nothing of one that has nodes.
        .filter(|group| matched == 0 || !outside(&group.reason))
        .map(|group| format!("{} {} ({})", group.nodes, group.reason, more(&group.names, group.nodes)))
        .collect();
    if others.is_empty() {
        return text;
    }
    let rest = if pool.fitting == 0 { ":" } else { "; the others do not:" };
    format!("{text}{rest} {}", listed(&others, GROUPS))
}

/// Whether a group of nodes is told for the labels of another pool.
fn outside(reason: &str) -> bool {
    reason.starts_with("label ") || reason.starts_with("no label ")
}

fn are(nodes: usize) -> String {
    if nodes == 1 { "1 is".into() } else { format!("{nodes} are") }
}

fn take(nodes: usize) -> String {
    if nodes == 1 { "1 takes".into() } else { format!("{nodes} take") }
}

/// Who uses it: as seen, else as the status has it.
pub(super) fn used(facts: &ComputeFacts, told: &ComputeExplanation) -> String {
    let status = facts.compute.status.users.clone().unwrap_or_default();
    let (pods, workloads, names) = match &told.users {
        Some(users) => (users.pods, users.workloads.len(), Vec::new()),
        None => (status.pods as usize, status.workloads as usize, status.examples.clone()),
    };
    let mut names: Vec<String> = names;
    if let (Some(users), Ok(seen)) = (&told.users, &facts.pods) {
        let pods = seen.iter().filter(|pod| pod.revision.is_some());
        let pods = pods.map(|pod| format!("Pod/{}/{}", pod.namespace, pod.name));
        names = users.workloads.iter().cloned().chain(pods).collect();
    }
    let counted = [(pods, "pod"), (workloads, "workload")].into_iter().filter(|(number, _)| *number > 0);
    let words: Vec<String> = counted.map(|(number, noun)| count(number, noun)).collect();
    if words.is_empty() {
        return "Nothing uses it".into();
    }
    let outdated = told.users.as_ref().map_or(status.outdated_pods as usize, |users| users.outdated);
    let outdated = match outdated {
        0 => String::new(),
        outdated => format!("; {outdated} of the pods run with an older revision until they are made anew"),
    };
    let total = pods + workloads;
    let verb = if total == 1 { "uses" } else { "use" };
    let names: Vec<String> = names.into_iter().take(NAMES).collect();
    format!("{} {verb} it ({}){outdated}", words.join(" and "), more(&names, total))
}

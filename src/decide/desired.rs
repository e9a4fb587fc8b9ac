//! From a valid spec and what stands to what should stand: which content, under which number, and whether in force.

use crate::api::placement::{PlacementSpec, PreviousPlacement};
use crate::api::status::{AggregateStatus, Stage};
use crate::decide::fault::{Category, Fault};
use crate::decide::in_use;
use crate::decide::observed::{Compute, Observed, Recall, Standing};
use crate::decide::validate::{Content, Valid};
use std::time::Duration;

/// What should stand for a Compute.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    /// What the spec says.
    Spec(Wanted),
    /// The spec cannot be in force: what was proven last, or is in force without, if anything is.
    Kept(Option<Wanted>, Fault),
    /// Nothing is to be written: the Compute is paused.
    AsItIs,
    /// The Compute is being deleted, but in use: what stands, closed to new pods.
    Closed(Wanted),
    /// Nothing.
    Nothing,
}

/// A Placement, and whether its binding should put it in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The Placement.
    pub placement: PlacementSpec,
    /// Whether pods should be placed by it.
    pub bound: bool,
}

impl Wanted {
    /// The content of the Placement.
    pub fn content(&self) -> Content {
        content_of(&self.placement)
    }
}

/// Decides what should stand.
pub fn desired(observed: &Observed, valid: &Result<Valid, Fault>) -> Desired {
    let mut desired = decided(observed, valid);
    if let Desired::Spec(wanted) | Desired::Kept(Some(wanted), _) | Desired::Closed(wanted) = &mut desired {
        // The absence of the binding says it to a policy, and this to a webhook: in every mode, for the mode may change
        // before Poros can write again.
        wanted.placement.withdrawn = !wanted.bound;
    }
    desired
}

fn decided(observed: &Observed, valid: &Result<Valid, Fault>) -> Desired {
    let Some(compute) = &observed.compute else { return Desired::Nothing };
    let stored = stored_placement(observed, compute);
    if compute.deleting {
        return match stored {
            Some(placement) if held_by_users(observed, compute) => Desired::Closed(Wanted {
                placement: PlacementSpec { closed: true, ..placement },
                bound: true,
            }),
            _ => Desired::Nothing,
        };
    }
    if compute.paused {
        return Desired::AsItIs;
    }
    match valid {
        Err(fault) => {
            let kept = stored.as_ref().filter(|stored| is_in_force(observed, compute, stored));
            let mut last = match kept {
                Some(stored) => Some(Wanted { placement: in_force(stored.clone()), bound: true }),
                None => last_proven(compute, stored),
            };
            // What cannot be read is no reason to touch what is in force.
            if let Some(wanted) = last.as_mut().filter(|_| fault.category == Category::Undecodable) {
                wanted.bound |= was_bound(observed);
            }
            Desired::Kept(last, fault.clone())
        }
        Ok(valid) => match rejection(observed, compute, stored.as_ref(), &valid.content) {
            Some(fault) => Desired::Kept(last_proven(compute, stored), fault),
            None => {
                Desired::Spec(Wanted { placement: numbered(compute, stored, &valid.content), bound: true })
            }
        },
    }
}

/// Whether what stands places pods: it is not withdrawn, and its binding is there where one is needed.
fn was_bound(observed: &Observed) -> bool {
    let told = observed.placement.as_ref().is_some_and(|child| child.spec["withdrawn"] != true);
    told && (observed.binding.is_some() || !observed.admission.binds)
}

/// Whether a Placement that stands is in force by what the status says, though its proof could never be made: the Compute
/// was active with it, or it was kept since for a spec that cannot be built. (One that was neither is put back or withdrawn
/// before the status says that all is in place.) A proof that failed meanwhile ends that.
fn is_in_force(observed: &Observed, compute: &Compute, stored: &PlacementSpec) -> bool {
    let status = &compute.status;
    let built = &status.builder_state;
    let told = status.placement.as_ref().is_some_and(|told| told.revision == stored.revision);
    let accepted = match (status.aggregate_status, built.stage) {
        (AggregateStatus::Active, _) | (AggregateStatus::Error, Stage::Building) => true,
        (AggregateStatus::Error, _) => {
            let category = ready_reason(compute).and_then(Category::of_word);
            let of_the_spec = category.is_some_and(|category| category.row().step.is_of_the_spec());
            of_the_spec && built.number_of_processed_resources == built.number_of_wanted_resources
        }
        (AggregateStatus::Pending | AggregateStatus::Deleting | AggregateStatus::Deleted, _) => false,
    };
    let rejected = observed.recall.rejected.as_ref();
    let failed = rejected.is_some_and(|rejected| rejected.content == content_of(stored).hash());
    told && accepted && !failed && was_bound(observed)
}

/// Whether the users of a Compute that is being deleted keep it standing.
pub fn held_by_users(observed: &Observed, compute: &Compute) -> bool {
    observed.users.any() && !in_use::may_go(compute)
}

/// Whether a Placement was proven, by what the status says of its number and its content.
pub fn is_proven(compute: &Compute, placement: &PlacementSpec) -> bool {
    compute.has_proven(placement.revision, &content_of(placement).hash())
}

/// How long content that failed its proof is left alone before it is tried again: 5 s, doubling to 5 min.
pub fn retry_after(times: u32) -> Duration {
    Duration::from_secs(5u64.saturating_mul(1 << times.saturating_sub(1).min(6)).min(300))
}

/// The Placement that stands, if Poros wrote it as it is. What a rival made of it says nothing: neither its content nor
/// its number is trusted, and both come from spec and status again. Content that the status knows as proven is known.
fn stored_placement(observed: &Observed, compute: &Compute) -> Option<PlacementSpec> {
    let child = observed.placement.as_ref().filter(|child| child.standing(&compute.uid) == Standing::Ours)?;
    let spec = child.placement_spec()?;
    if child.is_as_written() {
        return Some(spec);
    }
    let status = compute.status.placement.as_ref()?;
    let revision = status.proven_revision?;
    (status.proven_content.as_deref() == Some(content_of(&spec).hash().as_str())).then(|| PlacementSpec {
        revision,
        last_revision: status.last_revision.max(revision),
        previous: None,
        closed: false,
        withdrawn: false,
        ..spec
    })
}

/// Content that failed its proof and is not due to be tried again.
///
/// Memory knows it; after a restart the status does, and the wait begins anew.
fn rejection(
    observed: &Observed,
    compute: &Compute,
    stored: Option<&PlacementSpec>,
    content: &Content,
) -> Option<Fault> {
    let status = &compute.status;
    let hash = content.hash();
    let Recall { rejected, known_for, .. } = &observed.recall;
    let (times, ago, text) = match rejected {
        Some(rejected)
            if rejected.content == hash && *rejected.policies == *observed.policies.fingerprint =>
        {
            (rejected.times, rejected.ago, rejected.text.as_str())
        }
        Some(_) => return None,
        None => {
            let taken_back =
                stored.is_none_or(|stored| content_of(stored) != *content || !was_bound(observed));
            let said = ready_reason(compute) == Some(Category::ProofMismatch.word())
                && status.observed_generation == compute.generation;
            if !(said && taken_back) {
                return None;
            }
            (1, *known_for, said_mismatch(compute))
        }
    };
    (ago < retry_after(times)).then(|| Fault::mismatch(text))
}

/// How the last proof failed, by the stored status.
pub fn said_mismatch(compute: &Compute) -> &str {
    compute.status.condition("PlacementVerified").map_or("", |condition| &condition.message)
}

/// The reason of the condition Ready in the stored status.
pub fn ready_reason(compute: &Compute) -> Option<&str> {
    compute.status.condition("Ready").map(|condition| condition.reason.as_str())
}

/// What was proven last, of a Compute whose spec cannot be in force.
fn last_proven(compute: &Compute, stored: Option<PlacementSpec>) -> Option<Wanted> {
    let stored = in_force(stored?);
    if is_proven(compute, &stored) {
        return Some(Wanted { placement: stored, bound: true });
    }
    match stored.previous.clone() {
        Some(previous) => Some(Wanted { placement: put_back(&stored, previous), bound: true }),
        None => Some(Wanted { placement: stored, bound: false }),
    }
}

/// The content of the spec, under its number.
fn numbered(compute: &Compute, stored: Option<PlacementSpec>, content: &Content) -> PlacementSpec {
    let Some(stored) = stored else { return first(compute, content) };
    let stored = in_force(stored);
    if content_of(&stored) == *content {
        return stored;
    }
    let current = PreviousPlacement {
        revision: stored.revision,
        node_selector: stored.node_selector.clone(),
        tolerations: stored.tolerations.clone(),
    };
    let previous = if is_proven(compute, &stored) { Some(current) } else { stored.previous.clone() };
    match stored.previous.clone() {
        // Back to content that has a number already.
        Some(before) if content_of_previous(&before) == *content => {
            let previous = previous.filter(|previous| previous.revision != before.revision);
            PlacementSpec { previous, ..put_back(&stored, before) }
        }
        _ => {
            let revision = stored.last_revision.max(stored.revision).saturating_add(1);
            PlacementSpec {
                revision,
                last_revision: revision,
                node_selector: content.node_selector.clone(),
                tolerations: content.tolerations.clone(),
                previous,
                closed: false,
                withdrawn: false,
            }
        }
    }
}

/// The Placement of a Compute that has none. One that was lost gets its number back, if it is for the same content.
fn first(compute: &Compute, content: &Content) -> PlacementSpec {
    let before = compute.status.placement.clone().unwrap_or_default();
    let same = before.proven_content.as_deref() == Some(content.hash().as_str());
    let revision = match before.proven_revision {
        Some(proven) if same => proven,
        _ => before.last_revision.saturating_add(1),
    };
    PlacementSpec {
        revision,
        last_revision: revision.max(before.last_revision),
        node_selector: content.node_selector.clone(),
        tolerations: content.tolerations.clone(),
        previous: None,
        closed: false,
        withdrawn: false,
    }
}

/// A Placement as it is when it places pods.
fn in_force(stored: PlacementSpec) -> PlacementSpec {
    PlacementSpec { closed: false, withdrawn: false, ..stored }
}

fn put_back(stored: &PlacementSpec, previous: PreviousPlacement) -> PlacementSpec {
    PlacementSpec {
        revision: previous.revision,
        last_revision: stored.last_revision,
        node_selector: previous.node_selector,
        tolerations: previous.tolerations,
        previous: None,
        closed: false,
        withdrawn: false,
    }
}

fn content_of(placement: &PlacementSpec) -> Content {
    Content { node_selector: placement.node_selector.clone(), tolerations: placement.tolerations.clone() }
}

fn content_of_previous(previous: &PreviousPlacement) -> Content {
    Content { node_selector: previous.node_selector.clone(), tolerations: previous.tolerations.clone() }
}

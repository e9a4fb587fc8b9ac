//! Which Placement is in force for a Compute, by the rule that the webhook places pods by; and why, where none is.

use crate::api::placement::PlacementSpec;
use crate::api::status::PlacementMode;
use crate::decide::admission;
use crate::decide::manifest::Kind;
use crate::decide::observed::{Child, Compute, Standing};
use crate::view::Seen;

/// What is in force.
#[derive(Clone, Debug, PartialEq)]
pub enum InForce {
    /// This Placement.
    Content(PlacementSpec),
    /// This Placement if its binding stands, which cannot be seen.
    Perhaps(PlacementSpec),
    /// Nothing, and why: pods are refused.
    Nothing(String),
    /// Nothing that Poros answers for, and why: what stands in its place may place pods.
    Other(String),
    /// It cannot be seen.
    Unseen,
}

impl InForce {
    /// The number of what is in force, as far as can be seen.
    pub fn revision(&self) -> Option<u64> {
        match self {
            Self::Content(placement) | Self::Perhaps(placement) => Some(placement.revision),
            Self::Nothing(_) | Self::Other(_) | Self::Unseen => None,
        }
    }
}

/// What is in force for a Compute; of one that does not exist, nothing is.
pub fn in_force(
    name: &str,
    compute: Option<&Compute>,
    placement: &Seen<Option<Child>>,
    binding: &Seen<Option<Child>>,
) -> InForce {
    let placement = match placement {
        Ok(Some(placement)) => placement,
        Ok(None) => return InForce::Nothing("there is no Placement".into()),
        Err(_) => return InForce::Unseen,
    };
    let status = compute.and_then(|compute| compute.status.placement.as_ref());
    let mode = status.map(|status| status.mode).unwrap_or_default();
    let content = compute.and_then(|compute| admission::in_force(compute, placement)).ok_or_else(|| {
        let withdrawn = || placement.placement_spec().filter(|placement| placement.withdrawn);
        let why = flaw(Kind::Placement, name, compute, placement);
        why.or_else(|| withdrawn().map(|_| "it is withdrawn".into()))
            .unwrap_or_else(|| format!("Placement {name} cannot be read"))
    });
    // The webhook asks the Placement alone.
    let placed_by_webhook = match mode {
        PlacementMode::Policy => false,
        PlacementMode::Webhook | PlacementMode::Both => true,
    };
    match (content, binding) {
        (Ok(content), _) if placed_by_webhook => InForce::Content(content),
        (Err(why), _) if mode == PlacementMode::Webhook => InForce::Nothing(why),
        (Ok(content), Ok(Some(binding))) => match flaw(Kind::Binding, name, compute, binding) {
            None => InForce::Content(content),
            Some(why) => InForce::Other(why),
        },
        (Ok(_), Ok(None)) => InForce::Nothing("there is no binding".into()),
        (Ok(content), Err(_)) => InForce::Perhaps(content),
        (Err(why), Ok(None)) => InForce::Nothing(why),
        (Err(why), Ok(Some(_)) | Err(_)) => InForce::Other(why),
    }
}

/// What keeps an object from being one that Poros built for this Compute as it stands.
fn flaw(kind: Kind, name: &str, compute: Option<&Compute>, child: &Child) -> Option<String> {
    // No incarnation has the empty uid, so what was built for one that is gone reads as that.
    let uid = compute.map_or("", |compute| compute.uid.as_str());
    let why = match child.standing(uid) {
        Standing::Foreign => "was not built by Poros",
        Standing::DeadIncarnation => "is left of an earlier Compute of that name",
        Standing::Ours if child.deleting => "is being deleted",
        Standing::Ours if !child.is_as_written() => "is not as Poros wrote it",
        Standing::Ours => return None,
    };
    Some(format!("{} {} {why}", kind.kind(), kind.name_for(name)))
}

//! From what should stand and what does to the writes in between. Same facts, same plan; nothing to change, no write.

use std::sync::Arc;
use std::time::Duration;

use crate::api::names::FINALIZER;
use crate::api::status::{CloudKernelResource, ResourceStatus};
use crate::decide::applied::{Applied, State};
use crate::decide::desired::{Desired, Wanted, is_proven};
use crate::decide::difference::Drift;
use crate::decide::fault::{Category, Fault};
use crate::decide::manifest::{Kind, Manifest};
use crate::decide::observed::{Child, Compute, Observed, Settings, Standing};

/// Repairs in a short while after which a rival counts as one.
pub const REPAIRS_UNTIL_CONTENDED: u32 = 3;

/// What to write for a Compute, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whether the finalizer is to be set first.
    pub add_finalizer: bool,
    /// What to do about the Placement.
    pub placement: Action,
    /// What to do about the binding.
    pub binding: Action,
    /// Building goes Placement, binding; teardown the other way.
    pub teardown: bool,
    /// What stands seems to know more than is known of the Compute: before anything is written, the API server itself is
    /// to say that the Compute is still this one, in this generation.
    pub confirm: bool,
}

/// What to do about one of the two objects.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It stands as wanted.
    Keep,
    /// It is not wanted, and not there.
    None,
    /// The API server does not serve its kind.
    Unneeded,
    /// It is missing.
    Create {
        /// What to write.
        manifest: Manifest,
        /// Whether it stood before, and somebody removed it.
        repair: bool,
    },
    /// It differs.
    Update {
        /// What to write.
        manifest: Manifest,
        /// What is stored.
        over: Arc<Child>,
        /// The first field that differs, and who changed it.
        drift: Drift,
        /// Whether it stood as wanted before, and somebody changed it.
        repair: bool,
    },
    /// It was built for a Compute of this name that is gone: away with it, then built anew if wanted.
    Replace {
        /// The uid of what is stored.
        uid: String,
        /// What to write, if anything.
        manifest: Option<Manifest>,
    },
    /// It is ours and not wanted.
    Remove {
        /// The uid of what is stored.
        uid: String,
    },
    /// It is on its way out; wait until it is gone.
    Await,
    /// It is ours and not wanted, but outlives its binding by this long, until every API server has forgotten that.
    Linger(Duration),
    /// It needs a repair, but a rival undid the last ones; later.
    Postpone {
        /// What the rival did last.
        drift: Drift,
    },
    /// It cannot be built.
    Refuse(Fault),
}

impl Action {
    /// Whether carrying it out writes something.
    pub fn writes(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Update { .. } | Self::Replace { .. } | Self::Remove { .. } => true,
            Self::Keep
            | Self::None
            | Self::Unneeded
            | Self::Await
            | Self::Linger(_)
            | Self::Postpone { .. }
            | Self::Refuse(_) => false,
        }
    }

    /// What somebody else did, if this undoes or would undo it.
    pub fn drift(&self, kind: Kind) -> Option<String> {
        match self {
            Self::Create { repair: true, .. } => Some(format!("{} {}", kind.kind(), Drift::removed().told)),
            Self::Update { repair: true, drift, .. } | Self::Postpone { drift } => {
                Some(format!("{} {}", kind.kind(), drift.told))
            }
            _ => None,
        }
    }

    /// Who did it, if that is known.
    fn rival(&self) -> Option<&str> {
        match self {
            Self::Update { repair: true, drift, .. } | Self::Postpone { drift } => drift.by.as_deref(),
            _ => None,
        }
    }
}

impl Plan {
    /// A plan that writes nothing.
    pub fn nothing() -> Self {
        let (placement, binding) = (Action::Keep, Action::Keep);
        Self { add_finalizer: false, placement, binding, teardown: false, confirm: false }
    }

    /// Whether carrying it out writes something.
    pub fn writes(&self) -> bool {
        self.add_finalizer || self.placement.writes() || self.binding.writes()
    }

    /// Of which objects this repaired what somebody else did, by what stands after it was carried out.
    pub fn repaired(&self, applied: &Applied) -> impl Iterator<Item = Kind> {
        let pairs = [
            (Kind::Placement, &self.placement, &applied.placement),
            (Kind::Binding, &self.binding, &applied.binding),
        ];
        let repairs = |action: &Action| {
            matches!(action, Action::Create { repair: true, .. } | Action::Update { repair: true, .. })
        };
        let done =
            pairs.map(|(kind, action, state)| (*state == State::InPlace && repairs(action)).then_some(kind));
        done.into_iter().flatten()
    }

    /// The field manager of who changed what this undoes or would undo, if that is known.
    pub fn rival(&self) -> Option<&str> {
        self.placement.rival().or(self.binding.rival())
    }
}

/// Plans the writes.
pub fn plan(observed: &Observed, desired: &Desired, settings: &Settings) -> Plan {
    let plan = planned(observed, desired, settings);
    if observed.admission.binds { plan } else { Plan { binding: Action::Unneeded, ..plan } }
}

fn planned(observed: &Observed, desired: &Desired, settings: &Settings) -> Plan {
    let Some(compute) = &observed.compute else { return sweep(observed) };
    let plan = match desired {
        Desired::AsItIs => Plan::nothing(),
        Desired::Nothing => remove(observed, compute),
        Desired::Kept(None, _) => withdraw(observed, compute),
        Desired::Spec(wanted) | Desired::Kept(Some(wanted), _) | Desired::Closed(wanted) => {
            build(observed, compute, wanted, contended(observed, settings))
        }
    };
    let confirm = plan.writes() && (observed.doubted || doubtful(observed, compute, &plan));
    Plan { confirm, ..plan }
}

/// Whether the plan may come from old news of the Compute: it would undo what was built for another incarnation or a newer
/// generation of it, or build anew what somebody removed. Another replica may have done that, and rightly.
fn doubtful(observed: &Observed, compute: &Compute, plan: &Plan) -> bool {
    let of = |action: &Action, stored: Option<&Arc<Child>>| match (action, stored) {
        (Action::Create { repair, .. }, _) => *repair,
        (action, Some(child)) => {
            action.writes()
                && (child.standing(&compute.uid) == Standing::DeadIncarnation
                    || child.generation() > compute.generation)
        }
        (_, None) => false,
    };
    of(&plan.placement, observed.placement.as_ref()) || of(&plan.binding, observed.binding.as_ref())
}

/// Whether a rival undid so many repairs that the next one waits.
fn contended(observed: &Observed, settings: &Settings) -> bool {
    let recall = &observed.recall;
    recall.repairs >= REPAIRS_UNTIL_CONTENDED
        && recall.repaired_ago.is_some_and(|ago| ago < settings.repair_interval)
}

fn build(observed: &Observed, compute: &Compute, wanted: &Wanted, hold_repairs: bool) -> Plan {
    let manifest = Manifest::placement(compute, &wanted.placement);
    // A Placement that is as Poros wrote it and yet not as wanted is for an edit, a retry or a deletion, not for a rival.
    let edited =
        observed.placement.as_ref().is_some_and(|child| child.is_as_written() && child.spec != manifest.spec);
    // A binding that the status does not speak of was not needed before: the API server has only begun to serve them.
    let known = |kind: Kind| {
        kind == Kind::Placement
            || compute.status.cloud_kernel_resources.iter().any(|resource| resource.kind == kind.kind())
    };
    let stood = |kind| {
        !edited
            && (was_in_place(compute, kind, wanted) || is_proven(compute, &wanted.placement) && known(kind))
    };
    let placement = one(manifest, observed.placement.as_ref(), compute, stood(Kind::Placement), hold_repairs);
    let binding = if wanted.bound {
        let manifest = Manifest::binding(compute);
        one(manifest, observed.binding.as_ref(), compute, stood(Kind::Binding), hold_repairs)
    } else {
        unwanted(observed.binding.as_ref(), compute)
    };
    let add_finalizer = !compute.deleting && !compute.finalizers.iter().any(|held| held == FINALIZER);
    Plan { add_finalizer, placement, binding, teardown: false, confirm: false }
}

/// Whether the status says that the object stood for this revision already, so that it was not an edit that took it away.
fn was_in_place(compute: &Compute, kind: Kind, wanted: &Wanted) -> bool {
    let status = &compute.status;
    let revision = status.placement.as_ref().map(|placement| placement.revision);
    let created = |resource: &CloudKernelResource| {
        resource.kind == kind.kind() && resource.status == ResourceStatus::Created
    };
    revision == Some(wanted.placement.revision) && status.cloud_kernel_resources.iter().any(created)
}

/// One object that should stand.
fn one(
    manifest: Manifest,
    stored: Option<&Arc<Child>>,
    compute: &Compute,
    stood: bool,
    hold_repairs: bool,
) -> Action {
    let Some(child) = stored else {
        return if stood && hold_repairs {
            Action::Postpone { drift: Drift::removed() }
        } else {
            Action::Create { manifest, repair: stood }
        };
    };
    match child.standing(&compute.uid) {
        Standing::Foreign => Action::Refuse(name_taken(manifest.kind, &manifest.name)),
        _ if child.deleting => Action::Await,
        Standing::DeadIncarnation => Action::Replace { uid: child.uid.clone(), manifest: Some(manifest) },
        Standing::Ours => match manifest.difference(child) {
            None => Action::Keep,
            Some(difference) => match difference.drift(&child.writers) {
                drift if stood && hold_repairs => Action::Postpone { drift },
                drift => Action::Update { manifest, over: child.clone(), drift, repair: stood },
            },
        },
    }
}

fn name_taken(kind: Kind, name: &str) -> Fault {
    Fault::new(
        Category::NameTaken,
        format!(
            "{} {name} exists and was not built by Poros for this Compute; remove or rename it (kubectl get {} {name} -o yaml)",
            kind.kind(),
            kind.plural()
        ),
    )
}

/// One object that should not stand.
fn unwanted(stored: Option<&Arc<Child>>, compute: &Compute) -> Action {
    match stored {
        None => Action::None,
        Some(child) if child.standing(&compute.uid) == Standing::Foreign => Action::None,
        Some(child) if child.deleting => Action::Await,
        Some(child) => Action::Remove { uid: child.uid.clone() },
    }
}

fn remove(observed: &Observed, compute: &Compute) -> Plan {
    let binding = unwanted(observed.binding.as_ref(), compute);
    let placement = match unwanted(observed.placement.as_ref(), compute) {
        Action::Remove { uid } => {
            let unbound_for = observed.recall.unbound_for.unwrap_or_default();
            let left = observed.others_refresh().saturating_sub(unbound_for);
            if left > Duration::ZERO { Action::Linger(left) } else { Action::Remove { uid } }
        }
        action => action,
    };
    Plan { add_finalizer: false, placement, binding, teardown: true, confirm: false }
}

/// Nothing can be in force: the binding goes, and what a dead incarnation left, so that nobody is placed by it.
fn withdraw(observed: &Observed, compute: &Compute) -> Plan {
    let dead = |stored: Option<&Arc<Child>>| match stored {
        Some(child) if child.standing(&compute.uid) == Standing::DeadIncarnation => unwanted(stored, compute),
        _ => Action::None,
    };
    Plan {
        add_finalizer: false,
        placement: dead(observed.placement.as_ref()),
        binding: unwanted(observed.binding.as_ref(), compute),
        teardown: true,
        confirm: false,
    }
}

/// The Compute is gone: what still bears its mark goes too.
fn sweep(observed: &Observed) -> Plan {
    let orphan = |stored: Option<&Arc<Child>>| match stored {
        // No incarnation has the empty uid, so ours reads as a dead incarnation's.
        Some(child) if child.standing("") == Standing::DeadIncarnation && !child.deleting => {
            Action::Remove { uid: child.uid.clone() }
        }
        _ => Action::None,
    };
    Plan {
        add_finalizer: false,
        placement: orphan(observed.placement.as_ref()),
        binding: orphan(observed.binding.as_ref()),
        teardown: true,
        confirm: false,
    }
}

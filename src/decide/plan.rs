//! From what should stand and what does to the writes in between. Same facts, same plan; nothing to change, no write.

use std::sync::Arc;

use crate::api::names::FINALIZER;
use crate::api::status::{CloudKernelResource, ResourceStatus};
use crate::decide::desired::{Desired, Wanted, is_proven};
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
        /// The first field that differs.
        field: String,
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
    /// It needs a repair, but a rival undid the last ones; later.
    Postpone {
        /// The first field that differs.
        field: String,
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
            | Self::Postpone { .. }
            | Self::Refuse(_) => false,
        }
    }

    /// The field that somebody else changed, if this undoes or would undo it.
    pub fn drift(&self, kind: Kind) -> Option<String> {
        match self {
            Self::Create { repair: true, .. } => Some(format!("{} was removed", kind.kind())),
            Self::Update { repair: true, field, .. } | Self::Postpone { field } => {
                Some(format!("{} differs at {field}", kind.kind()))
            }
            _ => None,
        }
    }
}

impl Plan {
    /// A plan that writes nothing.
    pub fn nothing() -> Self {
        Self { add_finalizer: false, placement: Action::Keep, binding: Action::Keep, teardown: false }
    }

    /// Whether carrying it out writes something.
    pub fn writes(&self) -> bool {
        self.add_finalizer || self.placement.writes() || self.binding.writes()
    }
}

/// Plans the writes.
pub fn plan(observed: &Observed, desired: &Desired, settings: &Settings) -> Plan {
    let plan = planned(observed, desired, settings);
    if observed.admission.binds { plan } else { Plan { binding: Action::Unneeded, ..plan } }
}

fn planned(observed: &Observed, desired: &Desired, settings: &Settings) -> Plan {
    let Some(compute) = &observed.compute else { return sweep(observed) };
    match desired {
        Desired::AsItIs => Plan::nothing(),
        Desired::Nothing => remove(observed, compute),
        Desired::LastProven(None, _) => withdraw(observed, compute),
        Desired::Spec(wanted) | Desired::LastProven(Some(wanted), _) | Desired::Closed(wanted) => {
            build(observed, compute, wanted, contended(observed, settings))
        }
    }
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
    Plan { add_finalizer, placement, binding, teardown: false }
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
            Action::Postpone { field: "metadata".into() }
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
            Some(field) if stood && hold_repairs => Action::Postpone { field },
            Some(field) => Action::Update { manifest, over: child.clone(), field, repair: stood },
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
    Plan {
        add_finalizer: false,
        placement: unwanted(observed.placement.as_ref(), compute),
        binding: unwanted(observed.binding.as_ref(), compute),
        teardown: true,
    }
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
    }
}

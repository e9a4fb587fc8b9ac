//! What places pods: the shared policies, the webhook with its certificates, and what either finds in force.

use std::sync::Arc;

use crate::api::names::WEBHOOK;
use crate::api::placement::PlacementSpec;
use crate::api::status::PlacementMode;
use crate::decide::certificate::StoredKeyring;
use crate::decide::mode::Admission;
use crate::decide::policies::{self, Shared, SharedKind, Stored};
use crate::world::World;

impl World {
    /// Takes in what places pods from now on; returns the names of the Computes that it concerns.
    pub fn admit(&mut self, admission: Admission) -> Vec<String> {
        if admission == self.admission {
            return Vec::new();
        }
        self.admission = admission;
        if !admission.binds {
            // Nobody tells of these any more; a list will, once they are served again.
            self.shared.retain(|(kind, _), _| !kind.is_mutating_policy());
        }
        self.judge_policies();
        self.computes.keys().cloned().collect()
    }

    /// What places pods.
    pub fn admission(&self) -> Admission {
        self.admission
    }

    /// The modes that stored statuses speak of, of Computes whose status Poros keeps.
    pub fn modes(&self) -> Vec<PlacementMode> {
        let kept = self.computes.values().filter(|compute| !compute.paused && !compute.deleting);
        kept.filter_map(|compute| Some(compute.status.placement.as_ref()?.mode)).collect()
    }

    /// The Placement that is in force for a Compute.
    pub fn in_force(&self, name: &str) -> Option<PlacementSpec> {
        self.placements.get(name)?.in_force(self.computes.get(name)?)
    }

    /// The certificates of the webhook, as stored.
    pub fn keyring(&self) -> Option<Arc<StoredKeyring>> {
        self.keyring.clone()
    }

    /// The registration of the webhook, as stored: its `webhooks`.
    pub fn registration(&self) -> Option<&Stored> {
        self.shared.get(&(SharedKind::Webhook, WEBHOOK.to_owned()))
    }

    /// What of these shared objects is absent or altered.
    pub fn lacking(&self, wanted: Vec<Shared>) -> Vec<Shared> {
        policies::lacking(wanted, &self.shared)
    }
}

//! What places pods: a policy inside the API server, a webhook of Poros, or both while it is not settled which.

use std::time::Duration;

use crate::api::status::PlacementMode;

/// Time between looks at what the API server serves, while that is not settled.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What places pods now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The word for it in `status.placement.mode`.
    pub mode: PlacementMode,
    /// Whether the API server serves MutatingAdmissionPolicies and their bindings, so that a binding is written.
    pub binds: bool,
}

impl Default for Admission {
    fn default() -> Self {
        Self { mode: PlacementMode::Policy, binds: true }
    }
}

impl Admission {
    /// What places pods, given what the API server serves, whether its mutating policies and bindings are listed
    /// (`listed`), and [`mode`]'s arguments.
    pub fn of(
        serves_policies: bool,
        listed: bool,
        unsettled_for: Option<Duration>,
        settle: Duration,
    ) -> Self {
        let binds = serves_policies && listed;
        match mode(serves_policies, unsettled_for, settle) {
            // Not before it is known what stands.
            PlacementMode::Policy if !binds => Self { mode: PlacementMode::Both, binds },
            mode => Self { mode, binds },
        }
    }

    /// Whether the API server is told to call the webhook.
    pub fn calls_webhook(self) -> bool {
        match self.mode {
            PlacementMode::Policy => false,
            PlacementMode::Webhook | PlacementMode::Both => true,
        }
    }

    /// Whether the webhook is called, or should be: where it is registered, and where it is not though nothing else places
    /// pods, or though Poros is who registers it. Where the API server takes bindings, an installer that knows that
    /// registers no webhook, and gives no rights for one, though for a while both ways would stand.
    pub fn needs_webhook(self, registered: bool, registers: bool) -> bool {
        registered || (self.calls_webhook() && (registers || !self.binds))
    }
}

/// The mode that fits what the API server serves.
pub fn fitting(serves_policies: bool) -> PlacementMode {
    if serves_policies { PlacementMode::Policy } else { PlacementMode::Webhook }
}

/// The mode. `unsettled_for` is how long ago the answer of the API server changed, or was found to disagree with the
/// statuses that are stored; none if it did not. Several API servers that are upgraded one after the other answer now so,
/// now so: until they have agreed for `settle`, both ways stand.
pub fn mode(serves_policies: bool, unsettled_for: Option<Duration>, settle: Duration) -> PlacementMode {
    match unsettled_for {
        Some(ago) if ago < settle => PlacementMode::Both,
        _ => fitting(serves_policies),
    }
}

/// Whether stored statuses speak of no other mode than what the API server serves calls for.
pub fn agrees(serves_policies: bool, stored: &[PlacementMode]) -> bool {
    stored.iter().all(|mode| *mode == fitting(serves_policies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use PlacementMode::{Both, Policy, Webhook};

    #[test]
    fn the_mode_is_what_is_served_once_that_is_settled() {
        let settle = Duration::from_secs(600);
        let ago = |seconds| Some(Duration::from_secs(seconds));
        let table = [
            (true, None, Policy),
            (false, None, Webhook),
            (true, ago(0), Both),
            (false, ago(0), Both),
            (true, ago(599), Both),
            (true, ago(600), Policy),
            (false, ago(600), Webhook),
        ];
        for (served, unsettled_for, expect) in table {
            assert_eq!(mode(served, unsettled_for, settle), expect, "{served} {unsettled_for:?}");
        }
    }

    #[test]
    fn a_webhook_that_nobody_registers_is_not_needed_where_policies_place() {
        let of = |mode, binds| Admission { mode, binds };
        // (what places, needed if registered, if Poros registers it, if neither)
        let table = [
            (of(Policy, true), true, false, false),
            (of(Both, true), true, true, false),
            (of(Both, false), true, true, true),
            (of(Webhook, false), true, true, true),
        ];
        for (admission, registered, registers, neither) in table {
            assert_eq!(admission.needs_webhook(true, false), registered, "{admission:?}");
            assert_eq!(admission.needs_webhook(false, true), registers, "{admission:?}");
            assert_eq!(admission.needs_webhook(false, false), neither, "{admission:?}");
        }
    }

    #[test]
    fn a_status_of_another_mode_disagrees() {
        assert!(agrees(true, &[]) && agrees(false, &[]), "a cluster without Computes says nothing");
        assert!(agrees(true, &[Policy, Policy]) && agrees(false, &[Webhook]));
        assert!(!agrees(true, &[Policy, Webhook]) && !agrees(false, &[Policy]));
        assert!(!agrees(true, &[Both]) && !agrees(false, &[Both]), "an overlap that was not seen to its end");
    }
}

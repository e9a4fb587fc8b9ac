//! The shared admission policies: their texts, and how a stored one is told from what it should be.
//!
//! In a cluster the chart owns them and Poros only compares. Each spec is written with every field that the API server
//! would default, so that stored and wanted compare as they are.

mod computes;
mod matching;
mod pods;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::names::{
    ANNOTATION_POLICY_VERSION, LABEL_MANAGED_BY, MANAGED_BY, POLICY_COMPUTES, POLICY_IN_USE, POLICY_MARKS,
    POLICY_PLACED, POLICY_PLACEMENT, WEBHOOK,
};
use crate::decide::hash;
use crate::decide::manifest::first_difference;
use crate::decide::mode::Admission;
use crate::decide::observed::Policies;
use crate::decide::registration;

/// The version of the texts. A stored policy of a higher one belongs to a newer chart and is not compared.
pub const POLICY_VERSION: u32 = 1;

/// The kinds of shared objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SharedKind {
    /// `MutatingAdmissionPolicy`
    Mutating,
    /// `MutatingAdmissionPolicyBinding`
    MutatingBinding,
    /// `ValidatingAdmissionPolicy`
    Validating,
    /// `ValidatingAdmissionPolicyBinding`
    ValidatingBinding,
    /// `MutatingWebhookConfiguration`
    Webhook,
}

impl SharedKind {
    /// Its `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingAdmissionPolicy",
            Self::MutatingBinding => "MutatingAdmissionPolicyBinding",
            Self::Validating => "ValidatingAdmissionPolicy",
            Self::ValidatingBinding => "ValidatingAdmissionPolicyBinding",
            Self::Webhook => "MutatingWebhookConfiguration",
        }
    }

    /// Its resource, as in a URL of the API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Mutating => "mutatingadmissionpolicies",
            Self::MutatingBinding => "mutatingadmissionpolicybindings",
            Self::Validating => "validatingadmissionpolicies",
            Self::ValidatingBinding => "validatingadmissionpolicybindings",
            Self::Webhook => "mutatingwebhookconfigurations",
        }
    }

    /// Whether it needs an API server that has MutatingAdmissionPolicy.
    pub fn is_mutating_policy(self) -> bool {
        match self {
            Self::Mutating | Self::MutatingBinding => true,
            Self::Validating | Self::ValidatingBinding | Self::Webhook => false,
        }
    }
}

/// A shared object: what it is called and what its spec should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// Its kind.
    pub kind: SharedKind,
    /// `metadata.name`.
    pub name: &'static str,
    /// `spec`.
    pub spec: Value,
    /// Whether pods go through it, so that a change asks for new proofs.
    pub places_pods: bool,
}

impl Shared {
    /// The object as it is applied.
    pub fn to_json(&self) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": self.kind.kind(),
            "metadata": {
                "name": self.name,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
                "annotations": {ANNOTATION_POLICY_VERSION: POLICY_VERSION.to_string()},
            },
            "spec": self.spec,
        })
    }

    /// What a stored object lacks of this; none if it will do.
    fn lack(&self, stored: Option<&Stored>) -> Option<String> {
        let Some(stored) = stored else { return Some("is absent".into()) };
        if stored.version > POLICY_VERSION {
            return None;
        }
        // Enforcement levels are the chart's choice.
        let levelled = |spec: &Value| {
            let mut spec = spec.clone();
            if let Some(fields) = spec.as_object_mut() {
                fields.remove("validationActions");
            }
            spec
        };
        first_difference("spec", &levelled(&self.spec), &levelled(&stored.spec))
            .map(|field| format!("was altered at {field}"))
    }
}

/// A shared object as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The version of its text.
    pub version: u32,
    /// `spec`; of a webhook configuration its `webhooks`.
    pub spec: Value,
}

/// All shared objects, in the order in which to apply them: what refuses first, so that no pod slips through.
pub fn all() -> Vec<Shared> {
    let bound = |name| json!({"policyName": name});
    let denied = |name| json!({"policyName": name, "validationActions": ["Deny"]});
    let shared = |kind, name, spec, places_pods| Shared { kind, name, spec, places_pods };
    vec![
        shared(SharedKind::Validating, POLICY_PLACED, pods::placed(), true),
        shared(SharedKind::ValidatingBinding, POLICY_PLACED, denied(POLICY_PLACED), true),
        shared(SharedKind::Mutating, POLICY_MARKS, pods::marks(), true),
        shared(SharedKind::MutatingBinding, POLICY_MARKS, bound(POLICY_MARKS), true),
        shared(SharedKind::Mutating, POLICY_PLACEMENT, pods::placement(), true),
        shared(SharedKind::Validating, POLICY_IN_USE, computes::in_use(), false),
        shared(SharedKind::ValidatingBinding, POLICY_IN_USE, denied(POLICY_IN_USE), false),
        shared(SharedKind::Mutating, POLICY_COMPUTES, computes::computes(), false),
        shared(SharedKind::MutatingBinding, POLICY_COMPUTES, bound(POLICY_COMPUTES), false),
    ]
}

/// Those that an API server can be given that has, or has not, MutatingAdmissionPolicy.
pub fn servable(binds: bool) -> impl Iterator<Item = Shared> {
    all().into_iter().filter(move |shared| binds || !shared.kind.is_mutating_policy())
}

/// Compares what is stored with what should be.
pub fn compare(stored: &BTreeMap<(SharedKind, String), Stored>, admission: Admission) -> Policies {
    let mut missing = None;
    let mut placing = Vec::new();
    let flag = if admission.binds { "" } else { " --validating-only" };
    for shared in servable(admission.binds) {
        let found = stored.get(&(shared.kind, shared.name.to_owned()));
        if missing.is_none() {
            missing = shared.lack(found).map(|lack| {
                format!("{} {} {lack}; apply the shared policies again: poros policies{flag} | kubectl apply --server-side --force-conflicts -f -", shared.kind.kind(), shared.name)
            });
        }
        if shared.places_pods {
            placing.push(found.map_or(Value::Null, |stored| stored.spec.clone()));
        }
    }
    if admission.calls_webhook() {
        let registered = stored.get(&(SharedKind::Webhook, WEBHOOK.to_owned()));
        let lack = registration::lack(registered.map(|stored| &stored.spec));
        missing = missing.or_else(|| {
            lack.map(|lack| format!("MutatingWebhookConfiguration {WEBHOOK} {lack}; install the chart again, or run Poros with --manage-policies"))
        });
        // Another way to place pods asks for new proofs.
        placing.push(json!(admission.mode));
    }
    Policies { missing, fingerprint: hash::of(&Value::Array(placing)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::PlacementMode;

    const POLICY: Admission = Admission { mode: PlacementMode::Policy, binds: true };

    fn stored() -> BTreeMap<(SharedKind, String), Stored> {
        all()
            .into_iter()
            .map(|shared| ((shared.kind, shared.name.to_owned()), Stored { version: 1, spec: shared.spec }))
            .collect()
    }

    #[test]
    fn what_is_as_it_should_be_lacks_nothing() {
        assert_eq!(compare(&stored(), POLICY).missing, None);
    }

    #[test]
    fn an_absent_or_altered_policy_is_named() {
        let key = (SharedKind::Mutating, POLICY_PLACEMENT.to_owned());
        let mut absent = stored();
        absent.remove(&key);
        assert!(
            compare(&absent, POLICY)
                .missing
                .unwrap()
                .contains("MutatingAdmissionPolicy placement.poros.dataos.io is absent")
        );
        let mut altered = stored();
        altered.get_mut(&key).unwrap().spec["failurePolicy"] = "Ignore".into();
        let found = compare(&altered, POLICY);
        assert!(found.missing.unwrap().contains("was altered at spec.failurePolicy"));
        assert_ne!(
            found.fingerprint,
            compare(&stored(), POLICY).fingerprint,
            "a change of a placing policy asks for new proofs"
        );
    }

    #[test]
    fn a_newer_text_and_another_enforcement_level_are_fine() {
        let mut newer = stored();
        let policy = newer.get_mut(&(SharedKind::Validating, POLICY_IN_USE.to_owned())).unwrap();
        policy.version = 2;
        policy.spec = json!({"other": true});
        let binding = newer.get_mut(&(SharedKind::ValidatingBinding, POLICY_IN_USE.to_owned())).unwrap();
        binding.spec["validationActions"] = json!(["Warn"]);
        assert_eq!(compare(&newer, POLICY).missing, None);
    }

    #[test]
    fn without_mutating_policies_the_validating_ones_and_the_registration_are_asked_for() {
        let webhook = Admission { mode: PlacementMode::Webhook, binds: false };
        let mut found = stored();
        found.retain(|(kind, _), _| !kind.is_mutating_policy());
        let unregistered = compare(&found, webhook);
        assert!(
            unregistered
                .missing
                .unwrap()
                .starts_with("MutatingWebhookConfiguration poros.dataos.io is absent")
        );
        let endpoint = registration::Endpoint::Url("https://127.0.0.1:9443".into());
        let spec = registration::to_json(&endpoint, "CA")["webhooks"].clone();
        found.insert((SharedKind::Webhook, WEBHOOK.to_owned()), Stored { version: 1, spec });
        let registered = compare(&found, webhook);
        assert_eq!(registered.missing, None);
        assert_ne!(registered.fingerprint, compare(&stored(), POLICY).fingerprint);
        found.remove(&(SharedKind::Validating, POLICY_PLACED.to_owned()));
        assert!(compare(&found, webhook).missing.unwrap().contains("poros policies --validating-only"));
    }
}

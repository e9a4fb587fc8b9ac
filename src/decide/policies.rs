//! The shared admission policies: their texts, and how a stored one is told from what it should be.
//!
//! In a cluster the chart owns them and Poros only compares. Each spec is written with every field that the API server
//! would default, so that stored and wanted compare as they are.

mod builder;
mod computes;
pub mod guard;
mod labels;
mod matching;
mod optional;
mod pods;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::names::{
    ANNOTATION_POLICY_VERSION, LABEL_MANAGED_BY, LABEL_PART_OF, MANAGED_BY, PART_OF, POLICY_COMPUTES,
    POLICY_DEFAULTS, POLICY_MARKS, POLICY_PLACEMENT, POLICY_USE, WEBHOOK,
};
use crate::decide::difference::{self, Step};
use crate::decide::hash;
use crate::decide::mode::Admission;
use crate::decide::observed::Policies;
use crate::decide::policies::guard::{Guard, Levels};
use crate::decide::policies::matching::in_namespaces;
use crate::decide::registration;

/// The version of the texts. A stored policy of a higher one belongs to a newer chart and is not compared.
pub const POLICY_VERSION: u32 = 2;

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
    /// Whether it is installed only when asked for: absent, it is not missed.
    pub optional: bool,
}

/// What an installer may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The namespace of Poros.
    pub namespace: String,
    /// Whether a pod's service account needs the verb `use` on the Compute.
    pub require_use: bool,
    /// Whether a namespace may name the Compute of its pods.
    pub namespace_defaults: bool,
    /// How strict each guard is.
    pub levels: Levels,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            namespace: "poros-system".into(),
            require_use: false,
            namespace_defaults: false,
            levels: Levels::default(),
        }
    }
}

impl Shared {
    /// The object as it is applied.
    pub fn to_json(&self) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": self.kind.kind(),
            "metadata": {
                "name": self.name,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_PART_OF: PART_OF},
                "annotations": {ANNOTATION_POLICY_VERSION: POLICY_VERSION.to_string()},
            },
            "spec": self.spec,
        })
    }

    /// Whether an API server can be given it that has, or has not, MutatingAdmissionPolicy.
    fn is_servable(&self, binds: bool) -> bool {
        binds || !self.kind.is_mutating_policy()
    }

    /// What a stored object lacks of this; none if it will do.
    fn lack(&self, stored: Option<&Stored>) -> Option<String> {
        let Some(stored) = stored else { return Some("is absent".into()) };
        if stored.version > POLICY_VERSION {
            return None;
        }
        let (wanted, found) = (judged(&self.spec), judged(&stored.spec));
        let field = difference::first(&[Step::Key("spec".into())], &wanted, &found)?;
        Some(if stored.version < POLICY_VERSION {
            let version = stored.version;
            format!(
                "is of version {version}, older than the {POLICY_VERSION} of this Poros, and differs at {field}"
            )
        } else if is_more(&field.path[1..], &wanted, &found) {
            format!(
                "was altered at {field}, where somebody added to it: remove that by kubectl edit, for applying leaves it there"
            )
        } else {
            format!("was altered at {field}")
        })
    }
}

/// Whether somebody added a field, or an item to a list, by the way to where two specs differ.
fn is_more(path: &[Step], wanted: &Value, found: &Value) -> bool {
    let within = |spec| {
        path.iter().try_fold(spec, |value: &Value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
            Step::Uid(_) => None,
        })
    };
    match (within(wanted), within(found)) {
        (None, Some(_)) => true,
        (Some(Value::Array(wanted)), Some(Value::Array(found))) => found.len() > wanted.len(),
        _ => false,
    }
}

/// A spec without what is the installer's choice: how strict a guard is, and of which namespaces a binding speaks.
fn judged(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("validationActions");
        if let Some(resources) = fields.get_mut("matchResources").and_then(Value::as_object_mut) {
            resources.remove("namespaceSelector");
            // Of nothing but namespaces: as good as none.
            if *resources == bare_resources() {
                fields.remove("matchResources");
            }
        }
    }
    spec
}

fn bare_resources() -> serde_json::Map<String, Value> {
    let mut bare = in_namespaces(&json!([]));
    let fields = bare.as_object_mut().map(std::mem::take).unwrap_or_default();
    fields.into_iter().filter(|(field, _)| field != "namespaceSelector").collect()
}

/// A shared object as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The version of its text.
    pub version: u32,
    /// `spec`; of a webhook configuration its `webhooks`.
    pub spec: Value,
}

/// The shared objects that are installed unless asked otherwise.
pub fn all() -> Vec<Shared> {
    chosen(&Choice::default())
}

/// All shared objects that there can be.
pub fn known() -> Vec<Shared> {
    every(&Choice::default())
}

/// The shared objects of a choice, in the order in which to apply them.
pub fn chosen(choice: &Choice) -> Vec<Shared> {
    let asked = |shared: &Shared| match shared.name {
        POLICY_DEFAULTS => choice.namespace_defaults,
        _ => !shared.optional || choice.require_use,
    };
    every(choice).into_iter().filter(asked).collect()
}

/// What refuses comes first, so that no pod slips through.
fn every(choice: &Choice) -> Vec<Shared> {
    let shared = |kind, name, spec| Shared { kind, name, spec, places_pods: false, optional: false };
    let mut all = Vec::new();
    for guard in Guard::ALL {
        let name = guard.policy();
        let mut bound = json!({"policyName": name, "validationActions": choice.levels.of(guard).actions()});
        let spec = match guard {
            Guard::Placed => pods::placed(),
            Guard::Labels => labels::labels(),
            Guard::InUse => computes::in_use(),
            Guard::Builder => builder::builder(),
            Guard::Account => {
                let own = json!([{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [choice.namespace]}]);
                bound["matchResources"] = in_namespaces(&own);
                builder::account()
            }
            Guard::Workloads => labels::workloads(),
            Guard::Use => optional::usable(),
        };
        let (places_pods, optional) = (guard == Guard::Placed, guard == Guard::Use);
        for (kind, spec) in [(SharedKind::Validating, spec), (SharedKind::ValidatingBinding, bound)] {
            all.push(Shared { places_pods, optional, ..shared(kind, name, spec) });
        }
    }
    let bound = |name| shared(SharedKind::MutatingBinding, name, json!({"policyName": name}));
    let placing = |shared| Shared { places_pods: true, ..shared };
    let mut defaults = bound(POLICY_DEFAULTS);
    defaults.spec["paramRef"] = json!({"selector": {}, "parameterNotFoundAction": "Deny"});
    defaults.spec["matchResources"] = optional::defaulted_namespaces(&choice.namespace);
    let optional = |shared| Shared { optional: true, ..shared };
    all.extend([
        placing(shared(SharedKind::Mutating, POLICY_MARKS, pods::marks())),
        placing(bound(POLICY_MARKS)),
        placing(shared(SharedKind::Mutating, POLICY_PLACEMENT, pods::placement())),
        shared(SharedKind::Mutating, POLICY_COMPUTES, computes::computes()),
        bound(POLICY_COMPUTES),
        optional(shared(SharedKind::Mutating, POLICY_DEFAULTS, optional::defaults())),
        optional(defaults),
    ]);
    all
}

/// What of these objects is absent or altered.
pub fn lacking(wanted: Vec<Shared>, stored: &BTreeMap<(SharedKind, String), Stored>) -> Vec<Shared> {
    let lacks = |shared: &Shared| shared.lack(stored.get(&(shared.kind, shared.name.to_owned()))).is_some();
    wanted.into_iter().filter(lacks).collect()
}

/// Those of a choice that an API server can be given that has, or has not, MutatingAdmissionPolicy.
pub fn servable(choice: &Choice, binds: bool) -> impl Iterator<Item = Shared> {
    chosen(choice).into_iter().filter(move |shared| shared.is_servable(binds))
}

/// The command that prints what is in use: for this namespace, with what is installed of the optional policies, and with the
/// levels that the stored bindings have.
fn command(stored: &BTreeMap<(SharedKind, String), Stored>, binds: bool, namespace: &str) -> String {
    let installed = |name: &str| stored.keys().any(|(_, stored)| stored == name);
    let elsewhere = namespace != Choice::default().namespace;
    let level = |guard: Guard| {
        let binding = stored.get(&(SharedKind::ValidatingBinding, guard.policy().to_owned()))?;
        guard.told_level(&binding.spec)
    };
    let levels: Vec<String> = Guard::ALL.into_iter().filter_map(level).collect();
    let mut command = "poros policies".to_owned();
    for (asked, flag) in [
        (elsewhere, format!("--namespace {namespace}")),
        (installed(POLICY_USE), "--require-use".into()),
        (binds && installed(POLICY_DEFAULTS), "--namespace-defaults".into()),
        (!levels.is_empty(), format!("--enforce {}", levels.join(","))),
        (!binds, "--validating-only".into()),
    ] {
        if asked {
            command = format!("{command} {flag}");
        }
    }
    command
}

/// What is to be said of the level of a guard whose binding is gone: nothing tells any more what it was.
fn lost_level(shared: &Shared) -> String {
    let of = |guard: &Guard| shared.kind == SharedKind::ValidatingBinding && guard.policy() == shared.name;
    Guard::ALL.into_iter().find(of).map_or_else(String::new, |guard| {
        let (word, level) = (guard.word(), guard.default_level().word());
        format!(" (the guard is {level} then; if it was something else, add it to --enforce: {word}=LEVEL)")
    })
}

/// Compares what is stored with what should be, for a Poros in this namespace.
pub fn compare(
    stored: &BTreeMap<(SharedKind, String), Stored>,
    admission: Admission,
    namespace: &str,
) -> Policies {
    let mut missing = None;
    let mut placing = Vec::new();
    for shared in known().into_iter().filter(|shared| shared.is_servable(admission.binds)) {
        let found = stored.get(&(shared.kind, shared.name.to_owned()));
        if missing.is_none() && !(shared.optional && found.is_none()) {
            missing = shared.lack(found).map(|lack| {
                let command = command(stored, admission.binds, namespace);
                let level = if found.is_none() { lost_level(&shared) } else { String::new() };
                format!("{} {} {lack}; apply the shared policies again: {command} | kubectl apply --server-side --force-conflicts -f -{level}", shared.kind.kind(), shared.name)
            });
        }
        if shared.places_pods {
            placing.push(found.map_or(Value::Null, |stored| judged(&stored.spec)));
        }
    }
    if admission.calls_webhook() {
        let registered = stored.get(&(SharedKind::Webhook, WEBHOOK.to_owned()));
        let asked = admission.needs_webhook(registered.is_some(), false);
        let lack = asked.then(|| registration::lack(registered.map(|stored| &stored.spec))).flatten();
        missing = missing.or_else(|| {
            lack.map(|lack| format!("MutatingWebhookConfiguration {WEBHOOK} {lack}; install the chart again, or run Poros with --manage-policies"))
        });
        // Another way to place pods asks for new proofs.
        placing.push(json!(admission.mode));
    }
    Policies { missing, fingerprint: hash::of(&Value::Array(placing)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::names::{POLICY_ACCOUNT, POLICY_IN_USE, POLICY_PLACED};
    use crate::api::status::PlacementMode;

    const POLICY: Admission = Admission { mode: PlacementMode::Policy, binds: true };

    fn stored() -> BTreeMap<(SharedKind, String), Stored> {
        all()
            .into_iter()
            .map(|shared| {
                ((shared.kind, shared.name.to_owned()), Stored { version: POLICY_VERSION, spec: shared.spec })
            })
            .collect()
    }

    #[test]
    fn what_is_as_it_should_be_lacks_nothing() {
        assert_eq!(compare(&stored(), POLICY, "poros-system").missing, None);
    }

    #[test]
    fn an_absent_or_altered_policy_is_named() {
        let key = (SharedKind::Mutating, POLICY_PLACEMENT.to_owned());
        let mut absent = stored();
        absent.remove(&key);
        assert!(
            compare(&absent, POLICY, "poros-system")
                .missing
                .unwrap()
                .contains("MutatingAdmissionPolicy placement.poros.dataos.io is absent")
        );
        let mut altered = stored();
        altered.get_mut(&key).unwrap().spec["failurePolicy"] = "Ignore".into();
        let found = compare(&altered, POLICY, "poros-system");
        assert!(found.missing.unwrap().contains("was altered at spec.failurePolicy; apply"));
        for (field, item) in [("variables", json!({"name": "a", "expression": "1"})), ("paramRef", json!({}))]
        {
            let mut more = stored();
            let spec = &mut more.get_mut(&key).unwrap().spec;
            match spec[field].as_array_mut() {
                Some(list) => list.push(item),
                None => spec[field] = item,
            }
            let missing = compare(&more, POLICY, "poros-system").missing.unwrap();
            assert!(
                missing.contains(&format!("was altered at spec.{field}, where somebody added to it")),
                "{missing}"
            );
        }
        let mut older = altered.clone();
        older.get_mut(&key).unwrap().version = POLICY_VERSION - 1;
        let missing = compare(&older, POLICY, "poros-system").missing.unwrap();
        assert!(
            missing.contains("is of version 1, older than the 2 of this Poros, and differs at spec"),
            "{missing}"
        );
        assert_ne!(
            found.fingerprint,
            compare(&stored(), POLICY, "poros-system").fingerprint,
            "a change of a placing policy asks for new proofs"
        );
    }

    #[test]
    fn a_newer_text_and_another_enforcement_level_are_fine() {
        let mut newer = stored();
        let policy = newer.get_mut(&(SharedKind::Validating, POLICY_IN_USE.to_owned())).unwrap();
        policy.version = POLICY_VERSION + 1;
        policy.spec = json!({"other": true});
        let binding = newer.get_mut(&(SharedKind::ValidatingBinding, POLICY_IN_USE.to_owned())).unwrap();
        binding.spec["validationActions"] = json!(["Warn"]);
        let placed = newer.get_mut(&(SharedKind::ValidatingBinding, POLICY_PLACED.to_owned())).unwrap();
        placed.spec["validationActions"] = json!(["Audit"]);
        placed.spec["matchResources"] = in_namespaces(&json!([{"key": "team", "operator": "DoesNotExist"}]));
        assert_eq!(
            compare(&newer, POLICY, "poros-system"),
            compare(&stored(), POLICY, "poros-system"),
            "nor is anything proven anew for a level"
        );
    }

    #[test]
    fn an_optional_policy_is_not_missed_but_is_not_to_be_altered_either() {
        let choice = Choice {
            namespace: "elsewhere".into(),
            require_use: true,
            namespace_defaults: true,
            levels: "all=Audit".parse().unwrap(),
        };
        assert_eq!(
            lacking(chosen(&choice), &stored()).len(),
            4,
            "two optional policies, each with its binding"
        );
        let mut with: BTreeMap<_, _> = chosen(&choice)
            .into_iter()
            .map(|shared| {
                ((shared.kind, shared.name.to_owned()), Stored { version: POLICY_VERSION, spec: shared.spec })
            })
            .collect();
        assert_eq!(compare(&with, POLICY, "poros-system").missing, None);
        assert_eq!(
            compare(&with, POLICY, "poros-system").fingerprint.len(),
            compare(&stored(), POLICY, "poros-system").fingerprint.len()
        );
        with.get_mut(&(SharedKind::Validating, POLICY_USE.to_owned())).unwrap().spec["validations"] =
            json!([]);
        let missing = compare(&with, POLICY, "elsewhere").missing.unwrap();
        assert!(missing.contains(POLICY_USE), "{missing}");
        let command = "poros policies --namespace elsewhere --require-use --namespace-defaults --enforce placed=Audit,labels=Audit,in-use=Audit,builder=Audit,account=Audit,workloads=Audit,use=Audit | kubectl apply";
        assert!(missing.contains(command), "the command restores what is in use: {missing}");
    }

    #[test]
    fn the_command_keeps_the_levels_and_says_which_one_is_lost() {
        let binding = |guard: Guard| (SharedKind::ValidatingBinding, guard.policy().to_owned());
        let mut found = stored();
        let actions = [
            (Guard::Placed, json!(["Audit", "Warn"])),
            (Guard::Workloads, json!(["Deny"])),
            (Guard::InUse, json!(["Deny", "Audit"])), // none of ours
        ];
        for (guard, actions) in actions {
            found.get_mut(&binding(guard)).unwrap().spec["validationActions"] = actions;
        }
        found.remove(&binding(Guard::Labels));
        let missing = compare(&found, POLICY, "poros-system").missing.unwrap();
        assert!(
            missing.contains(": poros policies --enforce placed=Warn,workloads=Deny | kubectl"),
            "{missing}"
        );
        assert!(
            missing.ends_with(
                "(the guard is Deny then; if it was something else, add it to --enforce: labels=LEVEL)"
            ),
            "{missing}"
        );
    }

    #[test]
    fn the_texts_name_no_account_and_only_bindings_name_a_namespace() {
        let choice = Choice { namespace: "elsewhere".into(), ..Choice::default() };
        for shared in every(&choice) {
            let text = shared.spec.to_string();
            let named = text.contains("elsewhere");
            let binding = matches!(shared.kind, SharedKind::ValidatingBinding | SharedKind::MutatingBinding);
            let speaks_of_it = binding && [POLICY_ACCOUNT, POLICY_DEFAULTS].contains(&shared.name);
            assert_eq!(named, speaks_of_it, "{} {}", shared.kind.kind(), shared.name);
        }
    }

    #[test]
    fn without_mutating_policies_the_validating_ones_and_the_registration_are_asked_for() {
        let webhook = Admission { mode: PlacementMode::Webhook, binds: false };
        let mut found = stored();
        found.retain(|(kind, _), _| !kind.is_mutating_policy());
        let unregistered = compare(&found, webhook, "poros-system");
        assert!(
            unregistered
                .missing
                .unwrap()
                .starts_with("MutatingWebhookConfiguration poros.dataos.io is absent")
        );
        let endpoint = registration::Endpoint::Url("https://127.0.0.1:9443".into());
        let spec = registration::to_json(&endpoint, "CA")["webhooks"].clone();
        found.insert((SharedKind::Webhook, WEBHOOK.to_owned()), Stored { version: POLICY_VERSION, spec });
        let registered = compare(&found, webhook, "poros-system");
        assert_eq!(registered.missing, None);
        assert_ne!(registered.fingerprint, compare(&stored(), POLICY, "poros-system").fingerprint);
        found.remove(&(SharedKind::Validating, POLICY_PLACED.to_owned()));
        assert!(
            compare(&found, webhook, "poros-system")
                .missing
                .unwrap()
                .contains("poros policies --validating-only")
        );
    }
}

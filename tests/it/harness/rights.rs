//! Used against granted: what the audit logs of all control planes tell of Poros's account, against what the chart gives it.
//!
//! All that Poros is tested with it does under that account. So what it does and the chart does not grant is a test that
//! fails, or shows here as refused; and what the chart grants and no test of a whole run uses, nothing needs.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use poros::api::names::WEBHOOK;
use poros::decide::rights::Right;
use poros::view::chart::{self, Asked};
use serde_json::{Value, json};
use xtask::rig::{Component, Rig};

use super::audit::{self, Request};
use super::cluster::{NAMESPACE, POROS_USER, kubernetes};

/// What `--manage-policies` needs beside what the chart gives.
const MANAGING: &str = include_str!("../rbac.yaml");
/// What no audit log shows, and why it is granted all the same.
const UNSEEN: [(&str, &str, &str); 1] = [(
    "build",
    "placements",
    "the guards `builder` and `account` ask for it; it is how they know Poros, and no request has this verb",
)];
/// What Kubernetes lets everybody do who is signed in (`system:basic-user`).
const EVERYBODY: [&str; 3] = ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"];

/// The rule of a role that gives a right.
pub fn rule(right: &Right) -> Value {
    let mut rule = json!({"apiGroups": [right.group], "resources": right.resources, "verbs": right.verbs});
    if !right.names.is_empty() {
        rule["resourceNames"] = json!(right.names);
    }
    rule
}

/// A verb on a resource, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    role: String,
    /// None: everywhere.
    namespace: Option<String>,
    group: String,
    resource: String,
    /// None: all.
    names: Vec<String>,
    verb: String,
}

impl Grant {
    fn covers(&self, request: &Request) -> bool {
        self.verb == request.verb
            && self.group == request.group
            && self.resource == request.resource
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace)
            && (self.names.is_empty() || self.names.contains(&request.name))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, namespace: _, group, resource, names, verb } = self;
        let named = if names.is_empty() { String::new() } else { format!(" {names:?}") };
        write!(f, "{role}: apiGroups [{group:?}], resources [{resource:?}]{named}, verbs [{verb:?}]")
    }
}

/// Each verb on each resource that the roles among these objects grant.
pub fn granted<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Vec<Grant> {
    let words = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut all = Vec::new();
    for object in objects.into_iter().filter(|object| object["rules"].is_array()) {
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let place = namespace.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
        let role = format!("{} {name}{place}", object["kind"].as_str().unwrap_or_default());
        for rule in object["rules"].as_array().into_iter().flatten() {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    all.extend(words(&rule["verbs"]).into_iter().map(|verb| Grant {
                        role: role.clone(),
                        namespace: namespace.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        names: words(&rule["resourceNames"]),
                        verb,
                    }));
                }
            }
        }
    }
    all
}

/// The objects of a text of YAML documents.
fn documents(text: &str) -> Vec<Value> {
    let texts = text.split("---\n").filter(|text| text.contains("kind:"));
    texts.map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))).collect()
}

/// What an account may do, and what it was seen to do.
#[derive(Default)]
pub struct Ledger {
    granted: Vec<Grant>,
    used: BTreeSet<Grant>,
    ungranted: BTreeSet<String>,
    requests: usize,
}

impl Ledger {
    /// Nothing was seen yet.
    pub fn of(granted: Vec<Grant>) -> Self {
        Self { granted, ..Self::default() }
    }

    /// Enters requests of the account.
    pub fn enter<'a>(&mut self, requests: impl IntoIterator<Item = &'a Request>) {
        for request in requests {
            self.requests += 1;
            // What is no resource (discovery, the version) is everybody's, too.
            if request.resource.is_empty() || EVERYBODY.contains(&request.resource.as_str()) {
                continue;
            }
            let covering: Vec<Grant> =
                self.granted.iter().filter(|grant| grant.covers(request)).cloned().collect();
            if covering.is_empty() {
                self.ungranted.insert(told(request));
            }
            self.used.extend(covering);
        }
    }

    /// What was granted and not used.
    pub fn unused(&self) -> Vec<&Grant> {
        self.granted.iter().filter(|grant| !self.used.contains(grant)).collect()
    }

    /// What was done and is not granted.
    pub fn ungranted(&self) -> &BTreeSet<String> {
        &self.ungranted
    }
}

fn told(request: &Request) -> String {
    let Request { verb, group, resource, namespace, name, .. } = request;
    let place = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
    format!("{verb} {resource} of the group {group:?}{place}, such as {name:?}")
}

/// Of Poros, in the whole run.
struct Witness {
    chart: Ledger,
    managing: Vec<Grant>,
    refused: BTreeSet<String>,
}

static WITNESS: Mutex<Option<Witness>> = Mutex::new(None);

fn witness() -> MutexGuard<'static, Option<Witness>> {
    WITNESS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witness {
    fn new() -> Self {
        let account = documents(&chart::account(NAMESPACE, Asked::All));
        let managing = documents(MANAGING);
        Self { chart: Ledger::of(granted(&account)), managing: granted(&managing), refused: BTreeSet::new() }
    }

    /// Whether a request is one of those that `--manage-policies` alone makes: about what a chart would install.
    fn manages(&self, request: &Request) -> bool {
        let shared = request.name.ends_with(&format!(".{WEBHOOK}"));
        let home = ["namespaces", "serviceaccounts"].contains(&request.resource.as_str());
        // Whom to trust, Poros writes without it, too.
        let registers =
            request.name == WEBHOOK && ["create", "get", "delete"].contains(&request.verb.as_str());
        (shared || home || registers) && self.managing.iter().any(|grant| grant.covers(request))
    }
}

/// Enters all that Poros did on a control plane. `refusals`: whether it must not have been refused anything.
pub fn enter(rig: &Rig, refusals: bool) {
    let mut witness = witness();
    let witness = witness.get_or_insert_with(Witness::new);
    let place = rig.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
    for server in [Component::Apiserver, Component::SecondApiserver] {
        for request in audit::whole(&rig.audit_log_of(server), POROS_USER) {
            if request.forbidden {
                if refusals {
                    witness.refused.insert(format!("{}, on {place}", told(&request)));
                }
            } else if !witness.manages(&request) {
                witness.chart.enter([&request]);
            }
        }
    }
}

/// What is wrong with the rights of Poros, if something is; else of how many requests that was found. `whole`: all tests
/// were run, so that what none of them used is of no use.
pub fn verdict(whole: bool) -> Result<usize, String> {
    let witness = witness();
    let Some(Witness { chart, refused, .. }) = &*witness else { return Ok(0) };
    let mut wrong = Vec::new();
    for request in chart.ungranted() {
        wrong.push(format!("not granted by the chart: {request}; grant it in src/decide/rights.rs"));
    }
    for request in refused {
        wrong.push(format!("refused: {request}; grant it in src/decide/rights.rs, or let the test say that it takes rights away (Cluster::expect_refusals)"));
    }
    // Of two ways of placing pods another Kubernetes than the main one has but one.
    if whole && kubernetes().is_none() {
        for grant in chart.unused() {
            if !UNSEEN.iter().any(|(verb, resource, _)| *verb == grant.verb && *resource == grant.resource) {
                wrong.push(format!("granted, and used by no test: {grant}; take it out of src/decide/rights.rs, or test what needs it"));
            }
        }
    }
    if wrong.is_empty() { Ok(chart.requests) } else { Err(wrong.join("\n")) }
}

//! Why a pod is where it is, or is not: which Compute placed it, with what, and which nodes take it.

pub mod facts;
mod told;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::names::{LABEL_COMPUTE, MARK_PLACED_BY};
use crate::api::placement::PlacementSpec;
use crate::decide::observed::{Child, Compute, Standing};
use crate::view::Seen;
use crate::view::compute::state;
use crate::view::in_force::{InForce, in_force};
use crate::view::names::absent;
use crate::view::nodes::{Fit, Nodes, fit};
use crate::view::page::Tone;
use crate::view::pod::facts::{Pod, tolerates};

/// All that an explanation of a pod is drawn from.
#[derive(Clone, Debug)]
pub struct PodFacts {
    /// The pod; of a manifest that is not applied, what people wrote.
    pub pod: Pod,
    /// What the API server said to it as a dry run; none for a stored pod.
    pub trial: Option<Trial>,
    /// The Compute that its label names.
    pub compute: Seen<Option<Compute>>,
    /// The names of all Computes; asked for only when that one does not exist.
    pub names: Seen<Vec<String>>,
    /// The Placement of that name.
    pub placement: Seen<Option<Child>>,
    /// The binding of that Compute.
    pub binding: Seen<Option<Child>>,
    /// All nodes.
    pub nodes: Seen<Nodes>,
    /// Whether every node is to be named.
    pub all_nodes: bool,
}

/// What the API server made of a pod that was sent as a dry run.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// It would take it, as this.
    Taken(Box<Pod>),
    /// It would refuse it, in these words.
    Refused(String),
    /// It could not be asked, and why.
    Unknown(String),
}

/// Why a pod is where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodExplanation {
    /// `Pod`, or the kind of the workload whose template it is.
    pub kind: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The Compute that its label names; none without the label.
    pub compute: Option<Named>,
    /// What placed it.
    pub placed: Placed,
    /// What the Compute brought to it.
    pub injected: Option<Demands>,
    /// What it asks for itself.
    pub own: Demands,
    /// What the API server would say to it; none for a stored pod.
    pub admission: Option<Admission>,
    /// Which nodes fit; none where nodes cannot be seen.
    pub nodes: Option<Fit>,
    /// Where it runs, or why it does not.
    pub whereabouts: Option<String>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

/// A Compute in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Whether it exists; none where that cannot be seen.
    pub exists: Option<bool>,
    /// Its state, in a sentence.
    pub state: String,
    /// How good that is.
    #[serde(skip)]
    pub tone: Tone,
}

/// What placed a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// The revision in its mark.
    pub revision: Option<u64>,
    /// The revision of the Placement that stands.
    pub in_force: Option<u64>,
    /// Whether a newer revision is in force than the one that placed it.
    pub outdated: bool,
    /// The same in sentences.
    pub text: Vec<String>,
    /// How good that is.
    #[serde(skip)]
    pub tone: Tone,
}

/// Demands on nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Demands {
    /// Of the node selector.
    pub node_selector: BTreeMap<String, String>,
    /// Whether there is a required node affinity.
    pub node_affinity: bool,
    /// Tolerations, as taints are written.
    pub tolerations: Vec<String>,
    /// What is requested, by resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
}

/// What the API server would say to a pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// Whether it would take it; none where it could not be asked.
    pub taken: Option<bool>,
    /// Its very words, or why it could not be asked.
    pub words: String,
}

/// Explains a pod.
pub fn explain(facts: &PodFacts) -> PodExplanation {
    let pod = &facts.pod;
    let mut unseen = Vec::new();
    let stored = facts.trial.is_none();
    for child in [&facts.placement, &facts.binding] {
        seen(child, &mut unseen);
    }
    let name = pod.compute.as_deref().unwrap_or_default();
    let in_force = match &facts.compute {
        Ok(compute) => in_force(name, compute.as_ref(), &facts.placement, &facts.binding),
        Err(_) => InForce::Unseen,
    };
    // What another incarnation numbered says nothing of this one's content.
    let ours = |child: &&Child| match &facts.compute {
        Ok(Some(compute)) => child.standing(&compute.uid) == Standing::Ours,
        Ok(None) | Err(_) => true,
    };
    let placement = facts.placement.as_ref().ok().and_then(Option::as_ref).filter(ours);
    let placement = placement.and_then(Child::placement_spec);
    let compute = named(facts);
    // What the pod is, once admission had its way: as far as that is known.
    let settled = match &facts.trial {
        Some(Trial::Taken(taken)) => {
            Pod { kind: pod.kind.clone(), name: pod.name.clone(), ..(**taken).clone() }
        }
        Some(Trial::Refused(_) | Trial::Unknown(_)) => predicted(pod, placement.as_ref()),
        None => pod.clone(),
    };
    let content = content(&settled, placement.as_ref(), stored);
    let (injected, own) = apart(&settled, content.as_ref());
    let pool = content.map(|(selector, _)| selector).unwrap_or_default();
    // What never comes to be needs no node.
    let refused = matches!(facts.trial, Some(Trial::Refused(_)));
    let nodes = seen(&facts.nodes, &mut unseen)
        .filter(|_| !refused)
        .map(|nodes| fit(nodes, &settled.asks, &pool, facts.all_nodes));
    PodExplanation {
        kind: pod.kind.clone(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        placed: placed(facts, &settled, &in_force),
        compute,
        injected: injected.filter(|_| !refused),
        own,
        admission: facts.trial.as_ref().map(admission),
        nodes,
        whereabouts: stored.then(|| whereabouts(pod)),
        unseen,
    }
}

/// What was seen; or a note of why it was not.
fn seen<'a, T>(what: &'a Seen<T>, unseen: &mut Vec<String>) -> Option<&'a T> {
    match what {
        Ok(seen) => Some(seen),
        Err(why) => {
            unseen.push(why.to_string());
            None
        }
    }
}

fn named(facts: &PodFacts) -> Option<Named> {
    let name = facts.pod.compute.clone()?;
    Some(match &facts.compute {
        Ok(Some(compute)) => {
            let (state, tone) = state(compute);
            Named { name, exists: Some(true), state, tone }
        }
        Ok(None) => {
            let there = facts.names.as_deref().unwrap_or_default();
            let state = match &facts.names {
                Ok(_) => absent("Compute", &name, there),
                Err(_) => format!("no Compute named {name} exists"),
            };
            Named { name, exists: Some(false), state, tone: Tone::Bad }
        }
        Err(why) => Named { name, exists: None, state: why.to_string(), tone: Tone::Odd },
    })
}

/// A pod with what its Placement would bring.
fn predicted(pod: &Pod, placement: Option<&PlacementSpec>) -> Pod {
    let mut pod = pod.clone();
    let Some(placement) = placement.filter(|_| pod.compute.is_some()) else { return pod };
    for (key, value) in &placement.node_selector {
        pod.asks.selector.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for toleration in &placement.tolerations {
        if !pod.asks.tolerations.contains(toleration) {
            pod.asks.tolerations.push(toleration.clone());
            pod.tolerated.push(facts::Tolerated {
                toleration: Some(toleration.clone()),
                words: tolerates(toleration),
                by_kubernetes: false,
            });
        }
    }
    pod
}

type Content = (BTreeMap<String, String>, Vec<crate::api::compute::Toleration>);

/// What the Compute brought to the pod: the content of the revision in its mark, if that is kept.
fn content(pod: &Pod, placement: Option<&PlacementSpec>, stored: bool) -> Option<Content> {
    let placement = placement?;
    let current = (placement.node_selector.clone(), placement.tolerations.clone());
    let Some((compute, revision)) = &pod.mark else {
        return (!stored && pod.compute.is_some()).then_some(current);
    };
    if pod.compute.as_ref() != Some(compute) {
        return None;
    }
    let previous = placement.previous.as_ref().filter(|previous| previous.revision == *revision);
    match previous {
        _ if *revision == placement.revision => Some(current),
        Some(previous) => Some((previous.node_selector.clone(), previous.tolerations.clone())),
        None => None,
    }
}

/// What the Compute brought and what the pod has of its own, told apart by comparing.
fn apart(pod: &Pod, content: Option<&Content>) -> (Option<Demands>, Demands) {
    let brought =
        |key: &str, value: &String| content.is_some_and(|(selector, _)| selector.get(key) == Some(value));
    let (selector, own_selector) =
        pod.asks.selector.clone().into_iter().partition(|(key, value)| brought(key, value));
    let (tolerations, own_tolerations): (Vec<_>, Vec<_>) =
        pod.tolerated.iter().filter(|told| !told.by_kubernetes).partition(|told| {
            content.is_some_and(|(_, tolerations)| {
                told.toleration.as_ref().is_some_and(|toleration| tolerations.contains(toleration))
            })
        });
    let words = |told: Vec<&facts::Tolerated>| told.into_iter().map(|told| told.words.clone()).collect();
    let injected = Demands { node_selector: selector, tolerations: words(tolerations), ..Demands::default() };
    let requests = pod.asks.requests.iter().filter(|(name, _)| *name != "pods");
    let own = Demands {
        node_selector: own_selector,
        tolerations: words(own_tolerations),
        node_affinity: pod.asks.terms.is_some(),
        requests: requests.map(|(name, sum)| (name.clone(), sum.to_string())).collect(),
    };
    (content.map(|_| injected), own)
}

fn admission(trial: &Trial) -> Admission {
    match trial {
        Trial::Taken(_) => Admission {
            taken: Some(true),
            words: "the API server would take it (a dry run, with your rights)".into(),
        },
        Trial::Refused(words) => Admission { taken: Some(false), words: words.clone() },
        Trial::Unknown(why) => Admission { taken: None, words: why.clone() },
    }
}

/// What placed the pod, or why nothing did.
fn placed(facts: &PodFacts, pod: &Pod, in_force: &InForce) -> Placed {
    let stored = facts.trial.is_none();
    let mut placed = Placed { in_force: in_force.revision(), ..Placed::default() };
    let mut say = |text: String| placed.text.push(text);
    let Some(label) = &pod.compute else {
        match &pod.workload_compute {
            Some(named) if pod.kind != "Pod" => say(format!(
                "the {} itself carries the label {LABEL_COMPUTE}: {named}, its pod template does not, so its pods are placed like any others; put the label into the template, too",
                pod.kind
            )),
            _ => say(format!("it does not carry the label {LABEL_COMPUTE}, so no Compute places it")),
        }
        placed.tone = Tone::Odd;
        return placed;
    };
    match &pod.mark {
        Some((by, revision)) if by != label => {
            say(format!(
                "Compute {by} placed it (revision {revision}); the label was changed to {label} later, which moves nothing: admission places pods when they are created"
            ));
            placed.tone = Tone::Bad;
        }
        Some((_, revision)) => {
            placed.revision = Some(*revision);
            match in_force.revision() {
                Some(now) if now == *revision => {
                    say(format!("by revision {revision}, which is in force"));
                    placed.tone = Tone::Good;
                }
                Some(now) => {
                    say(format!(
                        "by revision {revision}, which is outdated: revision {now} is in force. A running pod is never moved; one that is made anew gets revision {now}"
                    ));
                    placed.outdated = true;
                    placed.tone = Tone::Odd;
                }
                None => say(format!("by revision {revision}; nothing is in force now, or it cannot be seen")),
            }
        }
        None if stored => {
            say(format!(
                "by no Compute: it carries the label, but not the mark {MARK_PLACED_BY} of admission. Either the label was put on after the pod was created, or admission did not act then: nothing was in force, or the shared policies were absent"
            ));
            if let (Some((who, when)), Some(created)) = (&pod.labelled, &pod.created) {
                let late = if when > created { "later: by" } else { "at once, by" };
                say(format!(
                    "the pod was created at {created}; the label was written {late} {who}, at {when}"
                ));
            }
            say("delete the pod, so that it is made anew and placed; it does not count as a user of the Compute".into());
            placed.tone = Tone::Bad;
        }
        None => match in_force {
            InForce::Content(placement) | InForce::Perhaps(placement) if placement.closed => {
                say("the Compute is being deleted, and closed to new pods".into());
            }
            InForce::Content(placement) => say(format!("revision {} is in force", placement.revision)),
            InForce::Nothing(_) => {
                say("nothing is in force: pods that name this Compute are refused".into());
            }
            InForce::Other(why) => say(format!(
                "nothing that Poros answers for is in force: {why}; pods may be placed all the same"
            )),
            InForce::Perhaps(_) | InForce::Unseen => {
                say("whether anything is in force cannot be seen".into());
            }
        },
    }
    if let Some(own) = pod.workload_compute.as_ref().filter(|own| *own != label && pod.kind != "Pod") {
        placed.text.push(format!(
            "the {} itself carries the label for Compute {own}, its pod template for {label}: the template decides where pods go",
            pod.kind
        ));
    }
    placed
}

fn whereabouts(pod: &Pod) -> String {
    let phase = pod.phase.as_deref().unwrap_or("Unknown");
    if let Some(node) = &pod.node {
        return format!("on node {node} ({phase})");
    }
    if !pod.gates.is_empty() {
        return format!("nowhere: its scheduling gates hold it back: {}", pod.gates.join(", "));
    }
    match (&pod.unscheduled, &pod.scheduler) {
        (Some((reason, message)), _) => {
            format!("nowhere ({phase}); its scheduler says {reason}: {message:?}")
        }
        (None, Some(scheduler)) => {
            format!("nowhere ({phase}); its scheduler {scheduler:?} has not said anything yet")
        }
        (None, None) => format!("nowhere ({phase}); the scheduler has not looked at it yet"),
    }
}

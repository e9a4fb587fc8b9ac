//! Why a Compute is as it is, in one paragraph: which phase failed by the truth table, the evidence, what its pods get, and
//! what to type next.

mod evidence;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::api::names::FINALIZER;
use crate::api::status::{AggregateStatus, Stage};
use crate::decide::desired::ready_reason;
use crate::decide::fault::Category;
use crate::decide::goal::WHO_LEADS;
use crate::decide::observed::Compute;
use crate::view::compute::{ComputeExplanation, ComputeFacts, FaultTold, deadline, explain, pods};
use crate::view::page::Style;
use crate::view::table::shown;
use crate::view::time::at;
use crate::view::why::evidence::{evidence, pool, proof, used};
use crate::view::{Seen, Unseen};

/// In which phase something failed, by the truth table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Nothing failed: it is in force.
    None,
    /// Nothing failed yet: it is being built.
    Building,
    /// No Poros has looked at it.
    Unseen,
    /// In the build: what the spec asks for was never proven.
    InBuild,
    /// After the build: it was proven, then something went wrong.
    AfterBuild,
    /// Nothing failed: it is being deleted.
    Deleting,
}

impl Phase {
    fn of(compute: &Compute) -> Self {
        let status = &compute.status;
        match (status.aggregate_status, status.builder_state.stage) {
            _ if status.observed_generation < 0 => Self::Unseen,
            (AggregateStatus::Pending, _) => Self::Building,
            (AggregateStatus::Active, _) => Self::None,
            (AggregateStatus::Error, Stage::Error) => Self::InBuild,
            (AggregateStatus::Error, Stage::Building | Stage::Built) => Self::AfterBuild,
            (AggregateStatus::Deleting | AggregateStatus::Deleted, _) => Self::Deleting,
        }
    }
}

/// Why a Compute is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Its name.
    pub name: String,
    /// `status.aggregateStatus`.
    pub status: &'static str,
    /// `status.builderState.stage`.
    pub stage: &'static str,
    /// In which phase something failed.
    pub phase: Phase,
    /// What failed, or is waited for: the stable word.
    pub category: Option<&'static str>,
    /// Until when it may be pending.
    pub deadline: Option<Timestamp>,
    /// The answer.
    pub why: String,
    /// What to do, the first thing first.
    pub next: Vec<Next>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// What for.
    pub what: String,
    /// The command.
    pub command: String,
}

impl Why {
    /// As text: the paragraph, and the next command, which is never folded.
    pub fn text(&self, style: Style) -> String {
        let mut text = style.paragraph(&self.why);
        if let Some(Next { what, command }) = self.next.first() {
            text += &style.paragraph(&format!("Next, {what}:"));
            let _ = writeln!(text, "  {}", shown(command));
        }
        text
    }
}

/// Tells why. `now` is the time at which somebody looks, if somebody does.
pub fn why(facts: &ComputeFacts, now: Option<Timestamp>) -> Why {
    let told = explain(facts);
    let (compute, status) = (&facts.compute, &facts.compute.status);
    let (phase, category) = (Phase::of(compute), category(compute));
    let deadline = deadline(compute);
    let mut said = Vec::new();
    match phase {
        Phase::None => active(&mut said, facts, &told, now),
        Phase::Building => building(&mut said, facts, &told, category, deadline, now),
        Phase::Unseen => said.push(format!(
            "Compute {} is pending, and nothing failed, for nothing was tried: no Poros has looked at it yet. Pods that name it are refused until one has built it",
            compute.name
        )),
        Phase::InBuild | Phase::AfterBuild => failed(&mut said, facts, &told, phase, category, now),
        Phase::Deleting => deleting(&mut said, facts, &told, category),
    }
    if status.observed_generation >= 0 && status.observed_generation < compute.generation && !compute.paused {
        said.push(format!(
            "That is about generation {}: Poros has not acted on generation {} yet",
            status.observed_generation, compute.generation
        ));
    }
    said.extend(notices(facts, category));
    said.extend(unseen(facts));
    Why {
        name: compute.name.clone(),
        status: status.aggregate_status.word(),
        stage: status.builder_state.stage.word(),
        phase,
        category: category.map(Category::word),
        deadline,
        why: said.iter().map(|text| sentence(text)).collect::<Vec<_>>().join(" "),
        next: next(facts, &told, phase, category),
        unseen: told.unseen,
    }
}

/// The category of what is wrong, or is waited for.
fn category(compute: &Compute) -> Option<Category> {
    let pool = compute.status.condition("PoolReady").filter(|condition| condition.status == "False");
    let pool = pool.filter(|_| compute.status.aggregate_status == AggregateStatus::Pending);
    Category::of_word(ready_reason(compute)?)
        .or_else(|| pool.and_then(|condition| Category::of_word(&condition.reason)))
}

/// With a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

fn active(said: &mut Vec<String>, facts: &ComputeFacts, told: &ComputeExplanation, now: Option<Timestamp>) {
    let name = &facts.compute.name;
    match proof(&facts.compute, now) {
        Some(proof) => {
            said.push(format!("Compute {name} is active, and nothing failed"));
            said.push(format!("It may be believed: {proof}"));
        }
        None => said.push(format!(
            "Compute {name} is active, and nothing failed, but what is in force is not proven"
        )),
    }
    said.push(pool(facts, told));
    said.push(used(facts, told));
}

fn building(
    said: &mut Vec<String>,
    facts: &ComputeFacts,
    told: &ComputeExplanation,
    category: Option<Category>,
    deadline: Option<Timestamp>,
    now: Option<Timestamp>,
) {
    let compute = &facts.compute;
    said.push(format!("Compute {} is pending: it is being built, and nothing failed yet", compute.name));
    let info = &compute.status.builder_state.info;
    if !info.is_empty() {
        said.push(format!("It stands so: {info}"));
    }
    said.extend(category.and_then(|category| evidence(category, facts, told, now)));
    if let Some(deadline) = deadline {
        let until = at(deadline, now);
        said.push(match now {
            Some(now) if deadline < now => {
                format!("Its deadline was {until}, and no Poros has acted on that yet: does one run?")
            }
            _ => {
                format!("It may be pending until {until} (spec.progressDeadlineSeconds); then it is an error")
            }
        });
    }
    said.push(match category {
        Some(category) => format!("Pods that name it meanwhile: {}", category.row().pods),
        None => match proof(compute, now) {
            Some(_) => "Pods that name it meanwhile are placed by what is in force".into(),
            None => "Pods that name it are refused until a revision is in force".into(),
        },
    });
}

fn failed(
    said: &mut Vec<String>,
    facts: &ComputeFacts,
    told: &ComputeExplanation,
    phase: Phase,
    category: Option<Category>,
    now: Option<Timestamp>,
) {
    let status = &facts.compute.status;
    let phase = match phase {
        Phase::InBuild => "it failed in the build, so what its spec asks for is not in force",
        _ => "it failed after the build: what its spec asks for was proven, then something went wrong",
    };
    let since = status.builder_state.since.as_ref();
    let since = since.map(|since| format!(" since {}", at(since.0, now))).unwrap_or_default();
    said.push(format!("Compute {} is in error{since}: {phase}", facts.compute.name));
    let info = &status.builder_state.info;
    let Some(category) = category else {
        said.push(format!("Poros says: {info}"));
        return;
    };
    let row = category.row();
    let what = if info.is_empty() { row.what } else { info };
    said.push(format!("The fault is {}, found in the step {}: {what}", category.word(), row.step.word()));
    said.extend(evidence(category, facts, told, now));
    said.push(format!("Pods that name it meanwhile: {}", pods(category, &facts.compute)));
    said.push(format!("It is healed by {}", row.healed_by));
}

fn deleting(
    said: &mut Vec<String>,
    facts: &ComputeFacts,
    told: &ComputeExplanation,
    category: Option<Category>,
) {
    let Compute { name, status, .. } = &facts.compute;
    let info = &status.builder_state.info;
    if let Some(category) = category {
        said.push(format!("Compute {name} is being deleted, and what was built for it cannot be removed"));
        said.push(format!("The fault is {}: {info}", category.word()));
        said.push(format!("It is healed by {}", category.row().healed_by));
    } else if told.deletion.blocked {
        said.push(format!("Compute {name} is being deleted, nothing failed, and its users hold it"));
        said.push(used(facts, told));
        said.push(
            "They run on; new pods that name it are refused; it goes when the last of them is gone".into(),
        );
    } else {
        said.push(format!("Compute {name} is being deleted: {info}; nothing failed"));
    }
    let others = held_by_others(&facts.compute);
    if !others.is_empty() {
        said.push(format!("Finalizers of others hold it, too: {}", others.join(", ")));
    }
}

/// Finalizers that are not of Poros.
fn held_by_others(compute: &Compute) -> Vec<&str> {
    let others = compute.finalizers.iter().map(String::as_str);
    others.filter(|finalizer| *finalizer != FINALIZER).collect()
}

/// Conditions out of the ordinary, but for those that the evidence has.
fn notices(facts: &ComputeFacts, category: Option<Category>) -> Vec<String> {
    let status = &facts.compute.status;
    let said = category.and_then(evidence::condition);
    let told = |type_: &str, wanted: &str| {
        let condition = status.condition(type_).filter(|condition| condition.status == wanted)?;
        (said != Some(type_)).then(|| format!("{type_} is {wanted}: {}", condition.message))
    };
    // What is being built is not proven, and what cannot be built neither.
    let active = status.aggregate_status == AggregateStatus::Active;
    let unproven = ["False", "Unknown"].iter().filter(|_| active);
    let unproven = unproven.filter_map(|truth| told("PlacementVerified", truth));
    let present = ["Drifted", "Contended", "Overlapping", "Paused"].iter();
    unproven.chain(present.filter_map(|type_| told(type_, "True"))).collect()
}

/// What could not be seen, in a sentence.
fn unseen(facts: &ComputeFacts) -> Option<String> {
    fn of<T>(seen: &Seen<T>) -> Option<&Unseen> {
        seen.as_ref().err()
    }
    let objects = [of(&facts.placement), of(&facts.binding), of(&facts.nodes), of(&facts.pods)];
    let missing = objects.into_iter().chain(facts.workloads.iter().map(of)).flatten();
    let missing: Vec<&str> = missing.map(|unseen| unseen.what.as_str()).collect();
    let (last, first) = missing.split_last()?;
    let missing =
        if first.is_empty() { (*last).to_owned() } else { format!("{} and {last}", first.join(", ")) };
    Some(format!("You cannot see {missing}, so of these it says what the status says"))
}

/// What to do; the first of it is what helps most.
fn next(
    facts: &ComputeFacts,
    told: &ComputeExplanation,
    phase: Phase,
    category: Option<Category>,
) -> Vec<Next> {
    let name = &facts.compute.name;
    let step = |what: &str, command: String| Next { what: what.to_owned(), command };
    match (phase, category) {
        (Phase::Unseen, _) => {
            let [what, command] = WHO_LEADS;
            vec![step(what, command.into())]
        }
        (Phase::None, _) => vec![step("see all that hangs on it", format!("kubectl poros tree {name}"))],
        (Phase::Deleting, None) if told.deletion.blocked => {
            let tree = step("see who holds it", format!("kubectl poros tree {name}"));
            let force = told.deletion.command.clone();
            let force = force.map(|command| step("or let it go at once; its pods run on", command));
            [tree].into_iter().chain(force).collect()
        }
        (Phase::Deleting, None) if facts.compute.status.aggregate_status == AggregateStatus::Deleted => {
            vec![step(
                "see who set the finalizers that are left",
                format!("kubectl get compute {name} -o yaml --show-managed-fields"),
            )]
        }
        (Phase::Deleting, None) => vec![step("watch it go", format!("kubectl get compute {name} -w"))],
        (Phase::Building, None) => {
            vec![step("watch it get on", format!("kubectl get compute {name} -w"))]
        }
        (Phase::InBuild | Phase::AfterBuild | Phase::Building | Phase::Deleting, _) => {
            let acts = told.fault.iter().flat_map(FaultTold::acts);
            let mut next: Vec<Next> = acts.map(|(what, command)| step(what, command.clone())).collect();
            if next.is_empty() {
                next.push(step("look at all of it", format!("kubectl poros explain compute {name}")));
            }
            next
        }
    }
}

//! All about one Compute: what people wrote, where the builder stands, conditions, what is in force, nodes, users, what
//! happened, and what to do.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::compute::{Layer, Purpose};
use crate::api::names::VERSION_SHOWN;
use crate::api::status::{
    AggregateStatus, BuilderState, CloudKernelResource, PlacementStatus, Stage, Transition,
};
use crate::decide::observed::Compute;
use crate::view::compute::{ComputeExplanation, ComputeFacts, deadline, explain};
use crate::view::events::Events;
use crate::view::names::listed;
use crate::view::page::{Line, Page, Style, Tone};
use crate::view::time::at;
use crate::view::{Seen, why_unseen};

/// How many tags are told.
const TAGS: usize = 20;

/// All that a description is drawn from.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The Compute, and what hangs on it.
    pub of: ComputeFacts,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Events about it.
    pub events: Seen<Events>,
}

/// All about one Compute.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Its name.
    pub name: String,
    /// The version, as the reference writes it.
    pub version: &'static str,
    /// Its identity.
    pub uid: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What people wrote about it; none where the spec cannot be read.
    #[serde(flatten)]
    pub about: Option<About>,
    /// The state in one word.
    pub status: AggregateStatus,
    /// How far the builder got.
    pub builder: BuilderState,
    /// Until when it may be pending.
    pub deadline: Option<Timestamp>,
    /// The built objects.
    pub resources: Vec<CloudKernelResource>,
    /// How pods are placed, and what was proven of it.
    pub placement: Option<PlacementStatus>,
    /// All conditions.
    pub conditions: Vec<Said>,
    /// The last transitions, the newest first.
    pub transitions: Vec<Transition>,
    /// Events; none where they cannot be seen.
    pub events: Option<Events>,
    /// What `explain` tells.
    pub explanation: ComputeExplanation,
}

/// What people wrote about a Compute.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Who applied it.
    pub owner: Option<String>,
    /// What the pool is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub layer: Layer,
    /// The cluster it is for.
    pub dataplane: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Since when.
    pub since: Timestamp,
    /// The reason word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// Describes a Compute.
pub fn describe(facts: Facts) -> Description {
    let mut explanation = explain(&facts.of);
    explanation.unseen.extend(why_unseen(&facts.events));
    let deadline = deadline(&facts.of.compute);
    let Compute { name, uid, spec, status, .. } = facts.of.compute;
    let conditions = status.conditions.into_iter().map(|condition| Said {
        type_: condition.type_,
        status: condition.status,
        since: condition.last_transition_time.0,
        reason: condition.reason,
        message: condition.message,
    });
    Description {
        name,
        version: VERSION_SHOWN,
        uid,
        created: facts.created,
        about: spec.ok().map(|spec| About {
            owner: spec.owner,
            purpose: spec.purpose,
            layer: spec.layer,
            dataplane: spec.dataplane,
            tags: spec.tags,
            description: spec.description,
        }),
        status: status.aggregate_status,
        builder: status.builder_state,
        deadline,
        resources: status.cloud_kernel_resources,
        placement: status.placement,
        conditions: conditions.collect(),
        transitions: status.history.into_iter().rev().collect(),
        events: facts.events.ok(),
        explanation,
    }
}

/// The stages as a line of rail, with where the builder stands in brackets, and how well that is.
pub fn rail(status: AggregateStatus, stage: Stage, unicode: bool) -> (String, Tone) {
    use AggregateStatus::{Active, Deleted, Deleting, Error, Pending};
    let (on, off) = if unicode { ("─▶", "─✗") } else { ("->", "-x") };
    match (status, stage) {
        (Pending, _) => (format!("[building] {on} built"), Tone::Odd),
        (Active, _) => (format!("building {on} [built]"), Tone::Good),
        (Error, Stage::Error) => (format!("building {off} [error]  in the build"), Tone::Bad),
        (Error, Stage::Building | Stage::Built) => {
            (format!("building {on} built {off} [building]  after the build"), Tone::Bad)
        }
        (Deleting, _) => (format!("built {on} [deleting] {on} deleted"), Tone::Odd),
        (Deleted, _) => (format!("built {on} deleting {on} [deleted]"), Tone::Odd),
    }
}

impl Description {
    /// As a page. `now` is the time at which somebody looks, if somebody does.
    pub fn page(&self, style: Style, now: Option<Timestamp>) -> Page {
        let explanation = &self.explanation;
        let mut page = Page::new(format!("Compute {}", self.name), Tone::Plain);
        self.tell_header(&mut page, now);
        page.say("Status", Line::new(&explanation.state).tone(explanation.tone));
        let (rail, tone) = rail(self.status, self.builder.stage, style.unicode);
        let since = self.builder.since.as_ref();
        let since = since.map(|since| format!(", since {}", at(since.0, now))).unwrap_or_default();
        page.say("Stage", Line::new(rail).tone(tone));
        page.say("Stage", format!("{} objects in place{since}", self.builder.summary));
        if let Some(deadline) = self.deadline {
            let until = at(deadline, now);
            page.say("Stage", format!("pending until {until} at most (spec.progressDeadlineSeconds)"));
        }
        for said in &self.conditions {
            let (type_, status, reason) = (&said.type_, &said.status, &said.reason);
            let text = format!("{type_} {status} since {}, {reason}", at(said.since, now));
            page.say("Conditions", Line::new(text).tone(said.tone()));
            // The builder's sentence stands above.
            if !said.message.is_empty() && said.message != self.builder.info {
                page.say("Conditions", Line::under(&said.message));
            }
        }
        if let Some(fault) = &explanation.fault {
            fault.tell(&mut page);
        }
        explanation.tell_substance(&mut page);
        for transition in &self.transitions {
            let Transition { seq, to, stage, reason, message, time, .. } = transition;
            let (time, to, stage) = (at(time.0, now), to.word(), stage.word());
            page.say("History", format!("{seq}. {time}  {to}/{stage}  {reason}"));
            if !message.is_empty() {
                page.say("History", Line::under(message));
            }
        }
        if let Some(events) = &self.events {
            events.tell(&mut page, now);
        }
        explanation.tell_unseen(&mut page);
        page
    }

    fn tell_header(&self, page: &mut Page, now: Option<Timestamp>) {
        page.say("Version", self.version);
        if let Some(about) = &self.about {
            let word = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
            page.say("Owner", word(&about.owner).unwrap_or_else(|| "nobody".into()));
            page.say("Purpose", about.purpose.word());
            page.say("Layer", about.layer.word());
            if let Some(dataplane) = word(&about.dataplane) {
                page.say("Dataplane", dataplane);
            }
            if !about.tags.is_empty() {
                page.say("Tags", listed(&about.tags, TAGS));
            }
            if let Some(description) = word(&about.description) {
                page.say("About", description);
            }
        }
        if let Some(created) = self.created {
            page.say("Created", at(created, now));
        }
    }
}

impl Said {
    /// How good it is: by type and status, and plain for those of others.
    fn tone(&self) -> Tone {
        match (self.type_.as_str(), self.status.as_str()) {
            ("Ready" | "Built" | "PlacementVerified" | "PoolReady", "True") => Tone::Good,
            ("Ready" | "Built" | "PlacementVerified" | "PoolReady", "False") | ("Stalled", "True") => {
                Tone::Bad
            }
            ("Ready" | "Built" | "PlacementVerified" | "PoolReady", _)
            | ("Drifted" | "Contended" | "Overlapping" | "Paused" | "Deleting", "True") => Tone::Odd,
            _ => Tone::Plain,
        }
    }
}

impl Events {
    fn tell(&self, page: &mut Page, now: Option<Timestamp>) {
        const KEPT: &str = "the API server keeps events for an hour, unless it is told otherwise";
        let oldest = self.last.iter().filter_map(|event| event.time).min();
        let Some(oldest) = oldest else { return page.say("Events", format!("none; {KEPT}")) };
        let span = at(oldest, now);
        let many = self.there - self.last.len();
        page.say(
            "Events",
            match many {
                0 => format!("since {span}; {KEPT}"),
                many => format!(
                    "the last {} since {span}, of {}; {KEPT}",
                    self.last.len(),
                    self.last.len() + many
                ),
            },
        );
        for event in &self.last {
            let time = event.time.map_or_else(|| "at no time".to_owned(), |time| at(time, now));
            let often = if event.count > 1 { format!("  {} times", event.count) } else { String::new() };
            let tone = if event.type_ == "Warning" { Tone::Odd } else { Tone::Plain };
            let text = format!("{time}  {}  {}{often}", event.type_, event.reason);
            page.say("Events", Line::new(text).tone(tone));
            if !event.note.is_empty() {
                page.say("Events", Line::under(&event.note));
            }
        }
    }
}

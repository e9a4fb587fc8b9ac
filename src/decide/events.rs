//! From one status to the next: the events that people are told (`kubectl describe`, `kubectl events`).
//!
//! | what changed | type | reason | action |
//! |---|---|---|---|
//! | into `error`, or from one fault to another | Warning | the category | by its step: `Observe`, `Validate`, `Apply`, `Prove`, `Watch`, `Repair` |
//! | `active` again, after an error | Normal | `Active` | `Recover` |
//! | a deletion is held by its users | Warning | `InUse` | `Delete` |
//! | a deletion fails | Warning | the category | `Delete` |
//! | all is gone | Normal | `Deleted` | `Delete` |
//! | another writer changed what Poros built | Warning | `Drifted` | `Repair` |
//! | another writer undoes each repair | Warning | `Contended` | `Repair` |
//! | `active`, but the proof cannot be made | Warning | `ProofBlocked` | `Prove` |
//!
//! Nothing else is told: no step of the straight way from a new Compute, or an edit, to `active`; no step of a deletion that
//! nothing holds; no counter. A drift is told when it begins, not each time that it is undone; while a Compute is pending,
//! what is not in place is no drift.

use jiff::Timestamp;

use crate::api::status::{AggregateStatus, ComputeStatus, Transition};
use crate::decide::fault::{Category, Step};
use crate::decide::reason::Reason;

/// The longest `note` that the API server takes, in bytes.
const NOTE: usize = 1024;

/// An event about a Compute, without what says which Compute (events.k8s.io/v1 `Event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What tells it from the other events of this incarnation: the same status gives the same word, so that an event that is
    /// written twice is there once.
    pub key: String,
    /// Whether somebody should look: `type` is Warning, else Normal.
    pub warning: bool,
    /// `reason`: that of the condition.
    pub reason: Reason,
    /// `action`: a verb.
    pub action: &'static str,
    /// `note`: at most 1 KiB.
    pub note: String,
    /// `eventTime`.
    pub time: Timestamp,
}

/// The `metadata.name` of an event about the incarnation `uid` of a Compute: at most 48 + 1 + 8 + 1 + 48 characters.
pub fn name(compute: &str, uid: &str, event: &Event) -> String {
    let incarnation = uid.split('-').next().unwrap_or_default();
    format!("{compute}.{incarnation}.{}", event.key)
}

/// The events of a status that was written over another one.
pub fn events(before: &ComputeStatus, after: &ComputeStatus) -> Vec<Event> {
    let mut events: Vec<Event> = transition(before, after).into_iter().collect();
    for (type_, reason) in [("Drifted", Reason::Drifted), ("Contended", Reason::Fault(Category::Contended))] {
        let begun = after.condition(type_).filter(|_| before.condition(type_).is_none());
        let begun = begun.filter(|_| after.aggregate_status != AggregateStatus::Pending);
        if let Some(condition) = begun.filter(|_| !events.iter().any(|event| event.reason == reason)) {
            let time = condition.last_transition_time.0;
            let key = key(after, reason, time);
            let note = bounded(&condition.message);
            events.push(Event { key, warning: true, reason, action: "Repair", note, time });
        }
    }
    if let Some(message) = unproven(after).filter(|_| unproven(before).is_none()) {
        let (reason, time) = (Reason::Fault(Category::ProofBlocked), said_at(after));
        let key = key(after, reason, time);
        let note = bounded(&format!("in force, but the proof could not be made: {message}"));
        events.push(Event { key, warning: true, reason, action: "Prove", note, time });
    }
    events
}

/// The key of an event that is no transition.
fn key(after: &ComputeStatus, reason: Reason, time: Timestamp) -> String {
    format!("{}.{}.{:x}", after.transition_seq, reason.word().to_lowercase(), time.as_second())
}

/// The event of a transition, if it is one that people are told.
fn transition(before: &ComputeStatus, after: &ComputeStatus) -> Option<Event> {
    if before.transition_seq == after.transition_seq {
        return None;
    }
    let last = after.history.last()?;
    let (warning, reason, action) = told(before, last)?;
    let note = bounded(&last.message);
    Some(Event { key: last.seq.to_string(), warning, reason, action, note, time: last.time.0 })
}

/// Whether a transition is a warning, its reason and its action; none if it is not told.
fn told(before: &ComputeStatus, last: &Transition) -> Option<(bool, Reason, &'static str)> {
    let category = Category::of_word(&last.reason);
    let fault = |action: fn(Category) -> &'static str| {
        category.map(|category| (true, Reason::Fault(category), action(category)))
    };
    match last.to {
        AggregateStatus::Pending => None,
        AggregateStatus::Active => failed_before(before).then_some((false, Reason::Active, "Recover")),
        AggregateStatus::Error => fault(action),
        AggregateStatus::Deleting if last.reason == Reason::InUse.word() => {
            Some((true, Reason::InUse, "Delete"))
        }
        AggregateStatus::Deleting => fault(|_| "Delete"),
        AggregateStatus::Deleted => Some((false, Reason::Deleted, "Delete")),
    }
}

/// Whether the last thing that was told before was an error: what came after it was at most `pending`.
fn failed_before(before: &ComputeStatus) -> bool {
    let settled = before.history.iter().rev().find(|transition| transition.to != AggregateStatus::Pending);
    settled.is_some_and(|transition| transition.to == AggregateStatus::Error)
}

/// Why an active Compute could not be proven, if it could not.
fn unproven(status: &ComputeStatus) -> Option<&str> {
    let blocked = status
        .condition("PlacementVerified")
        .filter(|condition| condition.reason == Category::ProofBlocked.word());
    blocked
        .filter(|_| status.aggregate_status == AggregateStatus::Active)
        .map(|condition| condition.message.as_str())
}

/// Since when the status says what it says.
fn said_at(status: &ComputeStatus) -> Timestamp {
    let since = status.builder_state.since.as_ref().map(|since| since.0);
    let verified = status.condition("PlacementVerified").map(|condition| condition.last_transition_time.0);
    since.max(verified).unwrap_or_default()
}

fn action(category: Category) -> &'static str {
    match category.row().step {
        Step::Observe => "Observe",
        Step::Validate => "Validate",
        Step::Apply => "Apply",
        Step::Prove => "Prove",
        Step::Pool => "Watch",
        Step::Repair => "Repair",
        Step::Any => "Reconcile",
    }
}

/// A text of at most [`NOTE`] bytes.
fn bounded(text: &str) -> String {
    if text.len() <= NOTE {
        return text.to_owned();
    }
    let mut end = NOTE - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

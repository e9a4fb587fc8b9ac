//! Which Computes are shown, and in which order.

use std::cmp::Ordering;
use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

use crate::api::listed::Listed;
use crate::api::status::{AggregateStatus, Stage};
use crate::decide::jsonpath::Path;
use crate::decide::meant::nearest;

/// Words of which one must be there, and words that must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

/// There is no such word.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{given:?} is no {what}{meant}: {}", .there.join(", "))]
pub struct WordError {
    given: String,
    what: &'static str,
    meant: String,
    there: Vec<&'static str>,
}

impl Words {
    /// Of `--status`: `error,!active`.
    pub fn of_status(given: &str) -> Result<Self, WordError> {
        // A Compute that is deleted is gone: none is there to be shown.
        let there = AggregateStatus::ALL.into_iter().filter(|status| *status != AggregateStatus::Deleted);
        Self::of(given, "status", &there.map(AggregateStatus::word).collect::<Vec<_>>())
    }

    /// Of `--stage`.
    pub fn of_stage(given: &str) -> Result<Self, WordError> {
        Self::of(given, "stage", &Stage::ALL.map(Stage::word))
    }

    fn of(given: &str, what: &'static str, there: &[&'static str]) -> Result<Self, WordError> {
        let mut words = Self::default();
        for part in given.split(',').map(str::trim) {
            let (list, word) = match part.strip_prefix('!') {
                Some(word) => (&mut words.unwanted, word),
                None => (&mut words.wanted, part),
            };
            let word = known(word, what, there)?;
            list.push(word.to_owned());
        }
        Ok(words)
    }

    fn matches(&self, word: &str) -> bool {
        let is = |known: &String| known == word;
        (self.wanted.is_empty() || self.wanted.iter().any(is)) && !self.unwanted.iter().any(is)
    }
}

/// The word of these that was given, in any case.
pub fn known(given: &str, what: &'static str, there: &[&'static str]) -> Result<&'static str, WordError> {
    let lower = given.to_ascii_lowercase();
    if let Some(word) = there.iter().find(|word| **word == lower) {
        return Ok(word);
    }
    let meant = match nearest(given, there) {
        Some(word) => format!("; did you mean {word}? There are"),
        None => "; there are".to_owned(),
    };
    Err(WordError { given: given.to_owned(), what, meant, there: there.to_vec() })
}

/// Which Computes are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These alone; all for none.
    pub names: Vec<String>,
    /// Those of this owner; everybody's for none.
    pub owner: Option<String>,
    /// Those in these states.
    pub status: Words,
    /// Those whose builder got so far.
    pub stage: Words,
}

impl Choice {
    /// Whether this one is.
    pub fn takes(&self, compute: &Listed) -> bool {
        self.names_or_owns(compute)
            && self.status.matches(&compute.status.aggregate_status)
            && self.stage.matches(&compute.status.builder_state.stage)
    }

    /// Whether it is one that was asked for, whatever its state.
    pub fn names_or_owns(&self, compute: &Listed) -> bool {
        let named = self.names.is_empty() || self.names.contains(&compute.metadata.name);
        named && self.owner.as_ref().is_none_or(|owner| compute.spec.owner == *owner)
    }
}

/// In which order.
#[derive(Clone, Debug, PartialEq)]
pub enum Sort {
    /// By a column of the reference's; backwards or not.
    By(Key, bool),
    /// By what is at a path of the object, as kubectl does.
    Path(Path),
}

impl Default for Sort {
    fn default() -> Self {
        Self::By(Key::Name, false)
    }
}

/// What is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the words say it
pub enum Key {
    Name,
    Owner,
    Status,
    Stage,
    /// The youngest first.
    Age,
    /// Those that changed last, last.
    Updated,
}

const KEYS: [(&str, Key); 6] = [
    ("name", Key::Name),
    ("owner", Key::Owner),
    ("status", Key::Status),
    ("stage", Key::Stage),
    ("age", Key::Age),
    ("updated", Key::Updated),
];

impl FromStr for Sort {
    type Err = WordError;

    /// `owner`, or `-owner` for the other way round.
    fn from_str(given: &str) -> Result<Self, WordError> {
        let (word, backwards) = match given.strip_prefix('-') {
            Some(word) => (word, true),
            None => (given, false),
        };
        let word = known(word, "order", &KEYS.map(|(word, _)| word))?;
        let key = KEYS.iter().find(|(known, _)| *known == word).map_or(Key::Name, |(_, key)| *key);
        Ok(Self::By(key, backwards))
    }
}

impl Sort {
    /// Whether it looks into whole objects.
    pub fn needs_objects(&self) -> bool {
        matches!(self, Self::Path(_))
    }

    /// Which of two comes first; those of which this says nothing stand by name.
    pub fn compare(&self, a: (&Listed, &Value), b: (&Listed, &Value)) -> Ordering {
        let by_name = a.0.metadata.name.cmp(&b.0.metadata.name);
        match self {
            Self::By(key, backwards) => {
                let order = key.compare(a.0, b.0);
                if *backwards { order.reverse() } else { order }.then(by_name)
            }
            Self::Path(path) => {
                let first = |object| path.find(object).into_iter().next();
                by_value(first(a.1), first(b.1)).then(by_name)
            }
        }
    }
}

impl Key {
    fn compare(self, a: &Listed, b: &Listed) -> Ordering {
        match self {
            Self::Name => a.metadata.name.cmp(&b.metadata.name),
            Self::Owner => a.spec.owner.cmp(&b.spec.owner),
            Self::Status => a.status.aggregate_status.cmp(&b.status.aggregate_status),
            Self::Stage => a.status.builder_state.stage.cmp(&b.status.builder_state.stage),
            Self::Age => b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp),
            Self::Updated => a.status.builder_state.since.cmp(&b.status.builder_state.since),
        }
    }
}

/// Nothing first, then numbers by value, then texts as people count.
fn by_value(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        None | Some(Value::Null) => 0,
        Some(Value::Bool(_)) => 1,
        Some(Value::Number(_)) => 2,
        Some(Value::String(_)) => 3,
        Some(Value::Array(_) | Value::Object(_)) => 4,
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or_default();
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => naturally(a, b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then(number(a).total_cmp(&number(b))),
    }
}

/// Numbers in texts by value: `node-2` before `node-10`.
fn naturally(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let digits =
            |text: &str| text.len() - text.trim_start_matches(|sign: char| sign.is_ascii_digit()).len();
        let (in_left, in_right) = (digits(left), digits(right));
        let order = if in_left > 0 && in_right > 0 {
            let (one, other) = (left.split_at(in_left), right.split_at(in_right));
            (left, right) = (one.1, other.1);
            let value = |digits: &str| digits.trim_start_matches('0').to_owned();
            let (one, other) = (value(one.0), value(other.0));
            one.len().cmp(&other.len()).then(one.cmp(&other))
        } else {
            let (mut one, mut other) = (left.chars(), right.chars());
            match (one.next(), other.next()) {
                (None, None) => return a.cmp(b),
                (first, second) => {
                    (left, right) = (one.as_str(), other.as_str());
                    first.cmp(&second)
                }
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(name: &str, status: &str, stage: &str, created: &str) -> (Listed, Value) {
        let object = json!({
            "metadata": {"name": name, "creationTimestamp": created}, "spec": {"owner": "ann"},
            "status": {"aggregateStatus": status, "builderState": {"stage": stage}},
        });
        (serde_json::from_value(object.clone()).unwrap(), object)
    }

    #[test]
    fn states_are_chosen_by_their_words() {
        let takes = |words: &str, status: &str| {
            let choice = Choice { status: Words::of_status(words).unwrap(), ..Choice::default() };
            choice.takes(&listed("a", status, "built", "2026-11-22T09:00:00Z").0)
        };
        assert!(takes("error", "error") && !takes("error", "active"));
        assert!(takes("error,pending", "pending") && !takes("error,pending", "deleting"));
        assert!(takes("!active", "error") && !takes("!active", "active"));
        assert!(takes("Error,!active", "error") && !takes("error,!error", "error"));
        let error = Words::of_status("actve").unwrap_err().to_string();
        assert_eq!(
            error,
            "\"actve\" is no status; did you mean active? There are: pending, active, error, deleting"
        );
        assert!(Words::of_stage("!built,x").is_err());
        assert!(Words::of_stage("").is_err());
    }

    #[test]
    fn rows_stand_in_the_order_that_was_asked_for() {
        let all = [
            listed("node-10", "active", "built", "2026-11-22T09:00:00Z"),
            listed("node-2", "error", "error", "2026-11-20T09:00:00Z"),
            listed("a", "active", "building", "2026-11-21T09:00:00Z"),
        ];
        let sorted = |sort: &Sort| {
            let mut all: Vec<&(Listed, Value)> = all.iter().collect();
            all.sort_by(|a, b| sort.compare((&a.0, &a.1), (&b.0, &b.1)));
            all.iter().map(|(listed, _)| listed.metadata.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let by = |given: &str| sorted(&given.parse().unwrap());
        assert_eq!(by("name"), "a node-10 node-2");
        assert_eq!(by("-name"), "node-2 node-10 a");
        assert_eq!(by("owner"), "a node-10 node-2", "else by name");
        assert_eq!(by("status"), "a node-10 node-2");
        assert_eq!(by("stage"), "a node-10 node-2");
        assert_eq!(by("age"), "node-10 a node-2", "the youngest first");
        assert_eq!(by("-age"), "node-2 a node-10");
        assert_eq!(sorted(&Sort::Path(Path::relaxed(".metadata.name").unwrap())), "a node-2 node-10");
        assert_eq!(sorted(&Sort::Path(Path::relaxed(".metadata.absent").unwrap())), "a node-10 node-2");
        assert!("nmae".parse::<Sort>().unwrap_err().to_string().contains("did you mean name?"));
    }

    #[test]
    fn values_stand_by_what_they_are() {
        let order = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1),
            json!(2),
            json!(10.5),
            json!("a2"),
            json!("a02b"),
            json!("a10"),
            json!("b"),
        ];
        for pair in order.windows(2) {
            assert_eq!(by_value(Some(&pair[0]), Some(&pair[1])), Ordering::Less, "{pair:?}");
        }
    }
}

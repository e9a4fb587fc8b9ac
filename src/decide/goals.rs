//! Goals as people type them, in the words of `dataos-ctl` and in those of kubectl.

use std::str::FromStr;

use thiserror::Error;

use crate::api::status::{AggregateStatus, Stage};
use crate::decide::goal::{Aim, Fact, Goal};
use crate::decide::jsonpath::{JsonPathError, Path};
use crate::decide::meant::nearest;

/// It names nothing that can be waited for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GoalError {
    /// It has no known form.
    #[error("{given:?} cannot be waited for; {meant} {TAKES}")]
    Form {
        /// What was given.
        given: String,
        /// `did you mean …? It takes`, or `it takes`.
        meant: String,
    },
    /// There is no such value.
    #[error("there is no {what} {given:?}{meant}; there are: {there}")]
    Value {
        /// `status` or `stage`.
        what: &'static str,
        /// What was given.
        given: String,
        /// ` (did you mean …?)`, or nothing.
        meant: String,
        /// All of them.
        there: String,
    },
    /// The path names no single field. (Not its source: the command line prints no causes.)
    #[error("jsonpath: {0}; it takes the path of one field, such as {{.status.builderState.stage}}")]
    Path(JsonPathError),
}

const TAKES: &str =
    "status=STATUS, stage=STAGE, created, deleted, condition=TYPE[=STATUS] or jsonpath={.FIELD}[=VALUE]";

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(given: &str) -> Result<Self, GoalError> {
        let aim = match given.trim().to_ascii_lowercase().as_str() {
            "created" | "create" => Aim::Created,
            "deleted" | "delete" => Aim::Deleted,
            _ => Aim::Is(given.parse()?),
        };
        Ok(Self { aim, meanwhile: None })
    }
}

impl FromStr for Fact {
    type Err = GoalError;

    fn from_str(given: &str) -> Result<Self, GoalError> {
        let given = given.trim();
        let (what, value) = given.split_once('=').ok_or_else(|| form(given))?;
        match what.trim().to_ascii_lowercase().as_str() {
            "status" => {
                one_of("status", value, &AggregateStatus::ALL, AggregateStatus::word).map(Self::Status)
            }
            "stage" => one_of("stage", value, &Stage::ALL, Stage::word).map(Self::Stage),
            "condition" => {
                let (type_, status) = value.split_once('=').unwrap_or((value, "True"));
                let (type_, status) = (type_.trim().to_owned(), status.trim().to_owned());
                if type_.is_empty() { Err(form(given)) } else { Ok(Self::Condition { type_, status }) }
            }
            "jsonpath" => {
                // The path may have an equals sign of its own: in a filter.
                let (path, value) = match value.rsplit_once("}=") {
                    Some((path, value)) => (format!("{path}}}"), Some(value)),
                    None if value.trim_start().starts_with('{') => (value.to_owned(), None),
                    None => match value.split_once('=') {
                        Some((path, value)) => (path.to_owned(), Some(value)),
                        None => (value.to_owned(), None),
                    },
                };
                let path = Path::of_a_field(&path).map_err(GoalError::Path)?;
                let value = value.map(|value| value.trim_matches(['\'', '"']).to_owned());
                Ok(Self::Field { path, value })
            }
            _ => Err(form(given)),
        }
    }
}

/// The value of this word.
fn one_of<T: Copy>(
    what: &'static str,
    given: &str,
    all: &[T],
    word: impl Fn(T) -> &'static str,
) -> Result<T, GoalError> {
    let wanted = given.trim().to_ascii_lowercase();
    all.iter().copied().find(|value| word(*value) == wanted).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|value| word(*value)).collect();
        let meant = nearest(&wanted, &words);
        let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
        GoalError::Value { what, given: given.to_owned(), meant, there: words.join(", ") }
    })
}

fn form(given: &str) -> GoalError {
    let statuses = AggregateStatus::ALL.map(|status| format!("status={}", status.word()));
    let stages = Stage::ALL.map(|stage| format!("stage={}", stage.word()));
    let aims = ["created", "deleted"].map(String::from);
    let all: Vec<String> = statuses.into_iter().chain(stages).chain(aims).collect();
    let wanted = given.to_ascii_lowercase();
    // `active` and `Ready` alone are what people try first.
    let meant = all.iter().find(|known| known.split_once('=').is_some_and(|(_, word)| word == wanted));
    let meant = meant.cloned().or_else(|| (wanted == "ready").then(|| "condition=Ready".to_owned()));
    let meant = meant.or_else(|| nearest(&wanted, &all));
    let meant = meant.map_or_else(|| "it takes".into(), |meant| format!("did you mean {meant}? It takes"));
    GoalError::Form { given: given.to_owned(), meant }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: &str) -> String {
        given.parse::<Goal>().unwrap_or_else(|error| panic!("{given}: {error}")).told()
    }

    #[test]
    fn goals_are_read_in_both_tongues() {
        assert_eq!("status=active".parse(), Ok(Goal::active()));
        assert_eq!("deleted".parse(), Ok(Goal::deleted()));
        assert_eq!("delete".parse(), Ok(Goal::deleted()));
        assert_eq!(told("Status=Error"), "error");
        assert_eq!(told("stage=built"), "built");
        assert_eq!(told("create"), "created");
        assert_eq!(told("condition=Ready"), "condition Ready=True");
        assert_eq!(told("condition=Ready=False"), "condition Ready=False");
        assert_eq!(told("jsonpath={.status.nodes.ready}=2"), "{.status.nodes.ready}=2");
        assert_eq!(told("jsonpath=.status.nodes.ready=2"), "{.status.nodes.ready}=2");
        assert_eq!(
            told("jsonpath='{.status.nodes.ready}'".replace('\'', "").as_str()),
            "{.status.nodes.ready} set"
        );
        assert_eq!(
            told("jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True"),
            "{.status.conditions[?(@.type==\"Ready\")].status}=True"
        );
    }

    #[test]
    fn what_cannot_be_waited_for_is_told_with_what_can() {
        let error = |given: &str| given.parse::<Goal>().unwrap_err().to_string();
        assert_eq!(
            error("active"),
            "\"active\" cannot be waited for; did you mean status=active? It takes status=STATUS, stage=STAGE, created, deleted, condition=TYPE[=STATUS] or jsonpath={.FIELD}[=VALUE]"
        );
        assert!(error("Ready").contains("did you mean condition=Ready?"));
        assert!(error("deletd").contains("did you mean deleted?"));
        assert_eq!(
            error("status=activ"),
            "there is no status \"activ\" (did you mean active?); there are: pending, active, error, deleting, deleted"
        );
        assert_eq!(error("stage=x"), "there is no stage \"x\"; there are: building, built, error");
        assert!(error("condition=").contains("cannot be waited for"));
        assert_eq!(
            error("jsonpath={.a[*]}=1"),
            "jsonpath: column 5: * leads to more than one value; it takes the path of one field, such as {.status.builderState.stage}"
        );
        assert!(error("jsonpath=.a[x]=1").starts_with("jsonpath: column 4: 'x' is no index, key or filter;"));
    }
}

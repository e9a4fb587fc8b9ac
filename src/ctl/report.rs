//! What became of each thing that a verb changes: its line, its block where it went wrong, the summary, the data and the exit
//! code; in the same words and the same order for all that write.

mod outcome;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use crate::ctl::answer;
use crate::ctl::failure::{Exit, Failure, Located, SILENT};
use crate::ctl::filed::Subject;
pub(super) use crate::ctl::report::outcome::Outcome;
use crate::ctl::session::Session;
use crate::view::course::Target;
use crate::view::manifest::Document;
use crate::view::names::count;
use crate::view::output::{as_json, as_name, as_yaml};
use crate::view::page::Page;

/// How many things that are wrong with one manifest are told.
const TOLD: usize = 10;

/// How what was done is told as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A list of what became of each.
    Json,
    /// The same in YAML.
    Yaml,
    /// The name of each Compute that was written, as `get --output name` has it.
    Name,
}

/// How a verb is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wording {
    /// What stands before lines about the whole.
    pub(super) sign: &'static str,
    /// What stands before lines about one.
    pub(super) sign_one: &'static str,
    /// `apply`.
    pub(super) verb: &'static str,
    /// `applying`.
    pub(super) doing: &'static str,
    /// What follows what became of one: ` (client dry run)`.
    pub(super) suffix: &'static str,
    /// What a wait in vain leaves, where the outcomes do not say it.
    pub(super) unmet: Option<&'static str>,
}

/// What became of one, and all that is to be said about it.
pub(super) struct Done {
    subject: Subject,
    outcome: Outcome,
    /// Why it is not as it was to be.
    pub(super) failure: Option<Failure>,
    /// The Compute that was written, or asked to go.
    pub(super) target: Option<Target>,
    /// Worth a line of its own.
    pub(super) remarks: Vec<String>,
    /// Data to print.
    pub(super) data: Option<Document>,
    /// What it would change.
    pub(super) page: Option<Page>,
    /// Whether its line is still to come.
    untold: bool,
}

impl Done {
    pub(super) fn of(subject: &Subject, outcome: Outcome) -> Self {
        Self {
            subject: subject.clone(),
            outcome,
            failure: None,
            target: None,
            remarks: Vec::new(),
            data: None,
            page: None,
            untold: true,
        }
    }

    pub(super) fn failed(subject: &Subject, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(subject, Outcome::Error) }
    }

    /// `applying a:v1beta:compute...created`.
    fn line(&self, wording: &Wording) -> String {
        let suffix = match self.outcome {
            Outcome::Error | Outcome::Untried => "",
            _ => wording.suffix,
        };
        format!("{} {}...{}{suffix}", wording.doing, self.subject.title, self.outcome.word())
    }

    /// What is wrong with it, each with its place; the place of the whole where there is none.
    fn located(&self) -> Vec<Located> {
        match &self.failure {
            None => Vec::new(),
            Some(failure) if failure.errors.is_empty() => {
                let Subject { file, line, .. } = &self.subject;
                vec![Located { file: file.clone(), line: *line, column: (*line).min(1), ..whole(failure) }]
            }
            Some(failure) => failure.errors.clone(),
        }
    }
}

/// All of it.
pub(super) struct Report {
    wording: Wording,
    output: Option<Output>,
    done: Vec<Done>,
    /// Why the rest was not tried.
    pub(super) stopped: Option<&'static str>,
    /// Why not all of them are as they were to be in the end.
    pub(super) waited: Option<Failure>,
    /// Whether it was said what went wrong before the wait.
    explained: bool,
}

impl Report {
    /// Says what is begun.
    pub(super) fn begin(wording: Wording, output: Option<Output>, session: &mut Session) -> Self {
        session.terminal.info(wording.sign, &format!("{}...", wording.verb));
        Self { wording, output, done: Vec::new(), stopped: None, waited: None, explained: false }
    }

    /// Says that nothing was tried, for this.
    pub(super) fn broken_off(&self, session: &mut Session, failure: Failure) -> Failure {
        session.terminal.failed(self.wording.sign, &format!("{}...error", self.wording.verb));
        failure
    }

    /// Tells what became of one. What was asked to go is told of, and its copies are, once it is known whether it went.
    pub(super) fn note(&mut self, session: &mut Session, mut done: Done) -> Result<(), Failure> {
        done.untold = match done.outcome {
            Outcome::Deleting => true,
            Outcome::Nothing => self
                .done
                .iter()
                .any(|first| first.outcome == Outcome::Deleting && first.subject.title == done.subject.title),
            _ => false,
        };
        if !done.untold {
            session.terminal.info(self.wording.sign_one, &done.line(&self.wording));
        }
        for remark in &done.remarks {
            let remark = format!("{}: {remark}", done.subject.title);
            session.terminal.info(self.wording.sign_one, &remark);
        }
        if let Some(page) = &done.page
            && self.output.is_none()
        {
            let text = page.lay_out(answer::style(session));
            session.terminal.data(&text)?;
        }
        if let Some(value) = &done.data
            && self.output.is_none()
        {
            let text = as_yaml(value).map_err(|error| Failure::of(Exit::Failed, &error))?;
            session.terminal.document(&format!("---\n{text}"))?;
        }
        if self.stopped.is_none() && done.failure.as_ref().is_some_and(|failure| failure.silent) {
            self.stopped = Some(SILENT);
        }
        self.done.push(done);
        Ok(())
    }

    /// The Computes that were written, each once.
    pub(super) fn standing(&self) -> Vec<Target> {
        self.done.iter().filter_map(|done| done.target.clone()).collect()
    }

    /// The Computes that were asked to go, and may be there yet.
    pub(super) fn going(&self) -> Vec<Target> {
        let going = self.done.iter().filter(|done| done.outcome == Outcome::Deleting);
        going.filter_map(|done| done.target.clone()).collect()
    }

    /// Says what went wrong so far: who waits need not wait for that, and a wait may be killed. As JSON it is one problem, which
    /// comes at the end.
    pub(super) fn explain(&mut self, session: &mut Session) {
        if self.output != Some(Output::Json) && !self.explained {
            self.explained = true;
            for failure in self.done.iter().filter_map(|done| done.failure.as_ref()) {
                session.terminal.error(&block(failure));
            }
        }
    }

    /// What was asked to go is gone, and told of by the wait for it, but for these.
    pub(super) fn settle(&mut self, session: &mut Session, left: &BTreeSet<String>) {
        for done in self.done.iter_mut().filter(|done| done.untold) {
            let left = done.target.as_ref().is_some_and(|target| left.contains(&target.name));
            if done.outcome == Outcome::Deleting && !left {
                done.outcome = Outcome::Deleted;
            } else {
                session.terminal.info(self.wording.sign_one, &done.line(&self.wording));
            }
            done.untold = false;
        }
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.done.iter().filter_map(|done| done.failure.as_ref()).chain(&self.waited)
    }

    fn number(&self, outcome: Outcome) -> usize {
        self.done.iter().filter(|done| done.outcome == outcome).count()
    }

    /// The closing line, the data, the blocks, the summary and the exit code.
    pub(super) fn conclude(mut self, session: &mut Session) -> Result<Exit, Failure> {
        let wrong = self.failures().map(|failure| failure.exit);
        let worst = Exit::of_all(wrong.chain(self.stopped.map(|_| Exit::Failed)));
        let (sign, verb) = (self.wording.sign, self.wording.verb);
        if worst == Exit::Ok {
            session.terminal.info(sign, &format!("{verb}...complete"));
        } else {
            session.terminal.failed(sign, &format!("{verb}...error"));
        }
        if let Some(text) = self.data(session)? {
            session.terminal.document(&text)?;
        }
        if self.output == Some(Output::Json) && worst != Exit::Ok {
            return Err(self.problem(worst));
        }
        self.explain(session);
        if let Some(failure) = &self.waited {
            session.terminal.error(&block(failure));
        }
        // Of one all is said.
        if self.done.len() > 1 {
            let summary = self.summary();
            if worst == Exit::Ok {
                session.terminal.info("", &summary);
            } else {
                session.terminal.warn("", &summary);
            }
        }
        let changes = self.number(Outcome::New) + self.number(Outcome::Changed) > 0;
        Ok(if worst == Exit::Ok && changes { Exit::Changes } else { worst })
    }

    fn data(&self, session: &Session) -> Result<Option<String>, Failure> {
        let rows = || self.done.iter().map(Row::of).collect::<Vec<_>>();
        Ok(match self.output {
            Some(Output::Json) => Some(as_json(&rows())),
            Some(Output::Yaml) => Some(as_yaml(&rows()).map_err(|error| Failure::of(Exit::Failed, &error))?),
            Some(Output::Name) => {
                let voice = session.terminal.voice();
                Some(self.standing().iter().map(|target| as_name(&target.name, voice)).collect())
            }
            None => None,
        })
    }

    /// All that went wrong as one: the only failure itself; of several the summary, and what is wrong with each.
    fn problem(&self, worst: Exit) -> Failure {
        let failures: Vec<&Failure> = self.failures().collect();
        if let [only] = failures.as_slice() {
            let mut errors: Vec<Located> = self.done.iter().flat_map(Done::located).collect();
            errors.retain(|error| !error.file.is_empty());
            return Failure { exit: worst, errors, ..Failure::clone(only) };
        }
        let mut remedies: Vec<String> = Vec::new();
        for remedy in failures.iter().flat_map(|failure| &failure.remedies) {
            if !remedies.contains(remedy) {
                remedies.push(remedy.clone());
            }
        }
        let errors = self.done.iter().flat_map(Done::located).chain(self.waited.iter().map(whole));
        Failure { errors: errors.collect(), remedies, ..Failure::new(worst, self.summary()) }
    }

    /// `3 created, 1 unchanged, 1 error`.
    fn summary(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for outcome in Outcome::ALL {
            match (outcome, self.number(outcome)) {
                (_, 0) => {}
                (Outcome::Error, errors) => parts.push(count(errors, "error")),
                (Outcome::Untried, untried) => {
                    let why = self.stopped.unwrap_or("stopped");
                    parts.push(format!("{untried} not tried: {why}"));
                }
                (outcome, number) => parts.push(format!("{number} {}", outcome.word())),
            }
        }
        if self.number(Outcome::Untried) == 0 {
            parts.extend(self.stopped.map(String::from));
        }
        if self.waited.is_some() {
            parts.extend(self.wording.unmet.map(String::from));
        }
        parts.join(", ") + self.wording.suffix
    }
}

/// What became of one, as data.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    subject: &'a Subject,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Located],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    remedies: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Document>,
}

impl<'a> Row<'a> {
    fn of(done: &'a Done) -> Self {
        let failure = done.failure.as_ref();
        Self {
            subject: &done.subject,
            outcome: done.outcome,
            error: failure.map(|failure| failure.text.as_str()),
            errors: failure.map(|failure| failure.errors.as_slice()).unwrap_or_default(),
            remedies: failure.map(|failure| failure.remedies.as_slice()).unwrap_or_default(),
            manifest: done.data.as_ref(),
        }
    }
}

/// A failure that has no place.
fn whole(failure: &Failure) -> Located {
    Located { detail: failure.text.clone(), ..Located::default() }
}

/// A failure with every place, as people read it.
fn block(failure: &Failure) -> String {
    let mut text = failure.told();
    // A document that cannot be read says its place itself.
    let places: Vec<&Located> = failure.errors.iter().filter(|error| error.detail != failure.text).collect();
    for Located { file, line, column, detail, .. } in places.iter().take(TOLD) {
        let _ = write!(text, "\n  {file}:{line}:{column}: {detail}");
    }
    if places.len() > TOLD {
        let _ = write!(text, "\n  and {} more", places.len() - TOLD);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failures: Vec<Failure>) -> Report {
        let wording =
            Wording { sign: "", sign_one: "", verb: "delete", doing: "deleting", suffix: "", unmet: None };
        let failed = |failure| Done::failed(&Subject::compute("a"), failure);
        let done = failures.into_iter().map(failed).collect();
        Report { wording, output: Some(Output::Json), done, stopped: None, waited: None, explained: false }
    }

    #[test]
    fn a_problem_tells_what_is_wrong_with_each_and_what_to_do() {
        let denied = Failure::new(Exit::Denied, "you may not").remedy("ask").remedy("or wait");
        let only = report(vec![denied.clone()]).problem(Exit::Denied);
        assert_eq!(only, denied, "there is no place to tell");
        let used = Failure::new(Exit::Conflict, "it is in use").remedy("ask");
        let both = report(vec![denied, used]).problem(Exit::Denied);
        assert_eq!((both.text.as_str(), both.remedies), ("2 errors", vec!["ask".into(), "or wait".into()]));
        let details: Vec<&str> = both.errors.iter().map(|error| error.detail.as_str()).collect();
        assert_eq!(details, ["you may not", "it is in use"]);
    }

    #[test]
    fn a_row_tells_its_own_errors_and_remedies() {
        let error = Located { file: "a.yaml".into(), line: 1, detail: "no".into(), ..Located::default() };
        let failure = Failure::new(Exit::Invalid, "a is wrong").remedy("mend it");
        let report = report(vec![Failure { errors: vec![error], ..failure }]);
        assert_eq!(
            serde_json::json!(Row::of(&report.done[0])),
            serde_json::json!({
                "resource": "a:v1beta:compute", "outcome": "error", "error": "a is wrong",
                "errors": [{"file": "a.yaml", "line": 1, "pointer": "", "detail": "no"}],
                "remedies": ["mend it"],
            })
        );
    }
}

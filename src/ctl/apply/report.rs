//! What became of each manifest: its line, its block where it went wrong, the summary and the exit code.

use std::fmt::Write as _;

use serde::Serialize;

use crate::api::names::GROUP;

use crate::ctl::answer;
use crate::ctl::apply::items::Item;
use crate::ctl::apply::request::{Mode, Output, Request, SIGN, SIGN_ONE, Verb};
use crate::ctl::failure::{Exit, Failure, Located, SILENT, is_nowhere};
use crate::ctl::session::Session;
use crate::ctl::wait::Target;
use crate::view::manifest::Document;
use crate::view::names::count;
use crate::view::page::Page;

/// How many things that are wrong with one manifest are told.
const TOLD: usize = 10;

/// What became of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Created,
    Updated,
    Unchanged,
    Valid,
    Error,
    Untried,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Created, Self::Updated, Self::Unchanged, Self::Valid, Self::Error, Self::Untried];

    fn word(self, mode: Mode) -> &'static str {
        match self {
            Self::Created if mode == Mode::Diff => "new",
            Self::Updated if mode == Mode::Diff => "changed",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Valid => "valid",
            Self::Error => "error",
            Self::Untried => "not tried",
        }
    }
}

/// What became of one, and all that is to be said about it.
pub(super) struct Done {
    file: String,
    line: u64,
    title: String,
    outcome: Outcome,
    failure: Option<Failure>,
    /// The Compute that stands now.
    pub(super) target: Option<Target>,
    /// Worth a line of its own.
    pub(super) remarks: Vec<String>,
    /// Data to print.
    pub(super) data: Option<Document>,
    /// What it would change.
    pub(super) page: Option<Page>,
}

impl Done {
    pub(super) fn of(item: &Item, outcome: Outcome) -> Self {
        Self {
            file: item.file.clone(),
            line: item.line,
            title: item.title.clone(),
            outcome,
            failure: None,
            target: None,
            remarks: Vec::new(),
            data: None,
            page: None,
        }
    }

    pub(super) fn failed(item: &Item, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(item, Outcome::Error) }
    }

    pub(super) fn untried(item: &Item) -> Self {
        Self::of(item, Outcome::Untried)
    }

    /// What is wrong with it, each with its place; the place of the whole where there is none.
    fn located(&self) -> Vec<Located> {
        match &self.failure {
            None => Vec::new(),
            Some(failure) if failure.errors.is_empty() => {
                vec![Located {
                    file: self.file.clone(),
                    line: self.line,
                    column: self.line.min(1),
                    ..whole(failure)
                }]
            }
            Some(failure) => failure.errors.clone(),
        }
    }
}

/// All of it.
pub(super) struct Report {
    verb: Verb,
    mode: Mode,
    output: Option<Output>,
    done: Vec<Done>,
    /// Why the rest was not tried.
    pub(super) stopped: Option<&'static str>,
    /// Why not all of them became active.
    pub(super) waited: Option<Failure>,
}

impl Report {
    pub(super) fn new(request: &Request) -> Self {
        let Request { verb, mode, output, .. } = *request;
        Self { verb, mode, output, done: Vec::new(), stopped: None, waited: None }
    }

    /// Says what is done; to programs the data says it.
    pub(super) fn talk(&self, session: &mut Session, sign: &str, text: &str) {
        if self.output != Some(Output::Json) {
            session.terminal.info(sign, text);
        }
    }

    fn warn(&self, session: &mut Session, sign: &str, text: &str) {
        if self.output != Some(Output::Json) {
            session.terminal.warn(sign, text);
        }
    }

    /// Tells what became of one.
    pub(super) fn note(
        &mut self,
        session: &mut Session,
        request: &Request,
        done: Done,
    ) -> Result<(), Failure> {
        let outcome = done.outcome.word(self.mode);
        let suffix = match done.outcome {
            Outcome::Error | Outcome::Untried => "",
            _ => self.mode.suffix(),
        };
        let line = format!("{} {}...{outcome}{suffix}", request.verb.doing(), done.title);
        self.talk(session, SIGN_ONE, &line);
        for remark in &done.remarks {
            self.talk(session, SIGN_ONE, &format!("{}: {remark}", done.title));
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
            let text = serde_saphyr::to_string(value)
                .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", done.title)))?;
            session.terminal.document(&format!("---\n{text}"))?;
        }
        if self.stopped.is_none() && done.failure.as_ref().is_some_and(|failure| failure.silent) {
            self.stopped = Some(SILENT);
        }
        self.done.push(done);
        Ok(())
    }

    /// The closing line of the verb.
    pub(super) fn end(&self, session: &mut Session, tried: bool) {
        let word = self.verb.word();
        if tried && self.failures().next().is_none() && self.stopped.is_none() {
            self.talk(session, SIGN, &format!("{word}...complete"));
        } else {
            self.warn(session, SIGN, &format!("{word}...error"));
        }
    }

    /// The Computes that stand now, each once.
    pub(super) fn standing(&self) -> Vec<Target> {
        self.done.iter().filter_map(|done| done.target.clone()).collect()
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.done.iter().filter_map(|done| done.failure.as_ref()).chain(&self.waited)
    }

    /// The blocks, the summary, the data and the exit code.
    pub(super) fn conclude(self, session: &mut Session) -> Result<Exit, Failure> {
        let summary = self.summary();
        let wrong = self.failures().map(|failure| failure.exit);
        let stopped = self.stopped.map(|_| Exit::Failed);
        let worst = Exit::of_all(wrong.chain(stopped));
        let changes = self.mode == Mode::Diff
            && self.done.iter().any(|done| matches!(done.outcome, Outcome::Created | Outcome::Updated));
        let exit = if worst == Exit::Ok && changes { Exit::Changes } else { worst };
        match self.output {
            Some(Output::Json) => {
                let text = serde_json::to_string_pretty(&self.rows())
                    .map_err(|error| Failure::of(Exit::Failed, &error))?;
                session.terminal.document(&format!("{text}\n"))?;
                if worst != Exit::Ok {
                    let of_manifests = self.done.iter().flat_map(Done::located);
                    let errors = of_manifests.chain(self.waited.iter().map(whole)).collect();
                    return Err(Failure { errors, ..Failure::new(worst, summary) });
                }
            }
            Some(Output::Name) => {
                let line = |target: Target| format!("compute.{GROUP}/{}\n", target.name);
                let names: String = self.standing().into_iter().map(line).collect();
                session.terminal.data(&names)?;
            }
            None => {}
        }
        if self.output != Some(Output::Json) {
            for failure in self.failures() {
                session.terminal.error(&block(failure));
            }
            if worst == Exit::Ok {
                session.terminal.info("", &summary);
            } else {
                session.terminal.warn("", &summary);
            }
        }
        Ok(exit)
    }

    fn summary(&self) -> String {
        let number = |outcome| self.done.iter().filter(|done| done.outcome == outcome).count();
        let mut parts: Vec<String> = Vec::new();
        for outcome in Outcome::ALL {
            match (outcome, number(outcome)) {
                (_, 0) => {}
                (Outcome::Error, errors) => parts.push(count(errors, "error")),
                (Outcome::Untried, untried) => {
                    let why = self.stopped.unwrap_or("stopped");
                    parts.push(format!("{untried} not tried: {why}"));
                }
                (outcome, number) => parts.push(format!("{number} {}", outcome.word(self.mode))),
            }
        }
        if self.stopped.is_some() && number(Outcome::Untried) == 0 {
            parts.extend(self.stopped.map(String::from));
        }
        if self.waited.is_some() {
            parts.push("not all active".into());
        }
        let mut text = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
        text.push_str(self.mode.suffix());
        text
    }

    fn rows(&self) -> Vec<Row<'_>> {
        self.done.iter().map(Row::of).collect()
    }
}

/// What became of a manifest, as data.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "is_nowhere")]
    line: u64,
    resource: &'a str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Document>,
}

impl<'a> Row<'a> {
    fn of(done: &'a Done) -> Self {
        Self {
            file: &done.file,
            line: done.line,
            resource: &done.title,
            outcome: done.outcome,
            error: done.failure.as_ref().map(|failure| failure.text.as_str()),
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

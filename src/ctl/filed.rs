//! What the manifests of `-f` hold: each document by itself, and the Computes that they name.

use std::path::PathBuf;

use serde::Serialize;

use crate::api::identifier::Identifier;
use crate::ctl::failure::{Exit, Failure, Located, is_nowhere};
use crate::ctl::files::{contents, documents, sources};
use crate::ctl::terminal::Terminal;
use crate::decide::judge::{Form, Judged, judge};
use crate::decide::problem::{Problem, Step};
use crate::view::manifest::{Document, Variables};
use crate::view::names::count;

/// Which manifests, and how they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Files, folders, and `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// Whether subfolders are read too.
    pub recursive: bool,
    /// The environment that is put in; none: `$` is a sign like any other.
    pub variables: Option<Variables>,
}

/// What something is done to: a document, or a Compute that was named.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Subject {
    /// The file; empty of what was named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) file: String,
    /// The line in it, from 1; 0 of a whole file.
    #[serde(skip_serializing_if = "is_nowhere")]
    pub(super) line: u64,
    /// `name:version:type`; the file's name where it cannot be read.
    #[serde(rename = "resource")]
    pub(super) title: String,
}

/// A document of a file, or a file that is none.
pub(super) struct Entry {
    pub(super) subject: Subject,
    /// What was read; or why nothing could be.
    pub(super) read: Result<Box<Read>, Failure>,
}

/// A document that was read.
pub(super) struct Read {
    /// As it was written, the environment put in.
    pub(super) document: Document,
    /// What it is.
    pub(super) judged: Judged,
    /// Where the environment could not be put in.
    pub(super) unset: Vec<Problem>,
}

/// Why a document names no Compute.
pub(super) enum Nameless {
    /// It is something else.
    Foreign(Failure),
    /// It cannot be read, or its name is none.
    Wrong(Failure),
}

impl Subject {
    /// The Compute of this name.
    pub(super) fn compute(name: &str) -> Self {
        Self { file: String::new(), line: 0, title: Identifier::compute(name).told() }
    }

    /// Something that is wrong with the whole of a document.
    pub(super) fn failure(&self, exit: Exit, text: impl Into<String>) -> Failure {
        Failure::new(exit, format!("{}:{}: {}", self.file, self.line, text.into()))
    }
}

impl Files {
    /// All documents, and the files that have none.
    pub(super) fn read(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (file, bytes) in contents(sources(&self.paths, self.recursive)) {
            let whole = |failure: Failure| {
                let line = failure.errors.first().map_or(0, |error| error.line);
                let subject = Subject { title: file.clone(), file: file.clone(), line };
                Entry { subject, read: Err(failure) }
            };
            match bytes {
                Ok(bytes) => entries.extend(documents(&file, &bytes).into_iter().map(|read| match read {
                    Ok(document) => self.entry(&file, document),
                    Err(failure) => whole(failure),
                })),
                Err(error) => entries.push(whole(error.into())),
            }
        }
        entries
    }

    fn entry(&self, file: &str, mut document: Document) -> Entry {
        let unset = self.variables.as_ref().map(|variables| document.interpolate(variables));
        let mut judged = judge(&document.value());
        judged.problems.iter_mut().for_each(|problem| document.conceal(problem));
        let (line, _) = document.place(&[]);
        let subject = Subject { file: file.to_owned(), line, title: judged.title.to_string() };
        Entry { subject, read: Ok(Box::new(Read { document, judged, unset: unset.unwrap_or_default() })) }
    }

    /// The names of the Computes in them. What is no Compute is told, and passed over.
    pub(super) fn names(&self, terminal: &mut Terminal) -> Result<Vec<String>, Failure> {
        let (mut names, mut failures) = (Vec::new(), Vec::<Failure>::new());
        for entry in self.read() {
            match entry.name() {
                Ok(name) => names.push(name),
                Err(Nameless::Foreign(failure)) => {
                    terminal.warn("", &format!("{}, and is passed over", failure.text));
                }
                Err(Nameless::Wrong(failure)) => failures.push(failure),
            }
        }
        if !failures.is_empty() {
            return Err(Failure::of_several(failures));
        }
        if names.is_empty() && !self.paths.is_empty() {
            let text = format!("{} named with -f, and no Compute is in it", count(self.paths.len(), "file"));
            return Err(Failure::new(Exit::Invalid, text));
        }
        Ok(names)
    }
}

impl Entry {
    /// The Compute that it names. Nothing else of it matters here, so what is wrong with the rest is no hindrance.
    pub(super) fn name(&self) -> Result<String, Nameless> {
        let Read { document, judged, unset } = match &self.read {
            Ok(read) => &**read,
            Err(failure) => return Err(Nameless::Wrong(failure.clone())),
        };
        let Subject { file, title, .. } = &self.subject;
        let told = |path: &[Step], text: String| {
            let (line, column) = document.place(path);
            let text = format!("{file}:{line}:{column}: {text}");
            let (pointer, detail) = (pointer(path), text.clone());
            let error = Located { file: file.clone(), line, column, pointer, detail, ..Located::default() };
            Failure { errors: vec![error], ..Failure::new(Exit::Invalid, text) }
        };
        if judged.form == Form::Foreign {
            return Err(Nameless::Foreign(told(&[], format!("{title} is no Compute"))));
        }
        let named = |problem: &&Problem| problem.path.last() == Some(&Step::Key("name".into()));
        match unset.iter().chain(&judged.problems).find(named) {
            Some(first) => {
                let text = format!("{title} names no Compute: {}", first.sentence());
                Err(Nameless::Wrong(told(&first.path, text)))
            }
            None => Ok(judged.name().to_owned()),
        }
    }
}

impl Read {
    /// A problem with its place.
    pub(super) fn located(&self, file: &str, problem: &Problem) -> Located {
        let (line, column) = self.document.place(&problem.path);
        Located {
            file: file.to_owned(),
            line,
            column,
            pointer: pointer(&problem.path),
            detail: problem.sentence(),
            got: problem.found.clone(),
            allowed: problem.allowed.clone(),
            nearest: problem.nearest.clone(),
        }
    }
}

/// A path as RFC 6901 writes it.
fn pointer(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

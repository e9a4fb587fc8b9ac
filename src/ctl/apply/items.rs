//! From files to documents that can be sent, and to what is wrong with the others.

use crate::ctl::failure::{Exit, Failure, Located};
use crate::ctl::files::{Source, contents, documents};
use crate::decide::judge::{Form, Judged, judge};
use crate::decide::problem::{Problem, Step};
use crate::view::manifest::{Document, Variables};

/// A document of a file, or a file that is none.
pub(super) struct Item {
    /// The file.
    pub(super) file: String,
    /// The line in it, from 1; 0 of a file that cannot be read.
    pub(super) line: u64,
    /// What it calls itself; the file's name where it cannot be read.
    pub(super) title: String,
    /// What can be sent; or why nothing can.
    pub(super) ready: Result<Box<Ready>, Failure>,
}

/// A Compute that can be sent.
pub(super) struct Ready {
    /// As it was written, the environment put in.
    pub(super) document: Document,
    /// As it is sent.
    pub(super) judged: Judged,
    /// `file:line`.
    pub(super) place: String,
}

impl Item {
    /// Something that is wrong with the whole of it.
    pub(super) fn failure(&self, exit: Exit, text: impl Into<String>) -> Failure {
        Failure::new(exit, format!("{}:{}: {}", self.file, self.line, text.into()))
    }
}

/// Reads them all.
pub(super) fn read(sources: Vec<Source>, variables: Option<&Variables>) -> Vec<Item> {
    let mut items = Vec::new();
    for (file, bytes) in contents(sources) {
        let whole = |failure| Item { title: file.clone(), file: file.clone(), line: 0, ready: Err(failure) };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                items.push(whole(error.into()));
                continue;
            }
        };
        items.extend(documents(&file, &bytes).into_iter().map(|document| match document {
            Ok(document) => item(&file, document, variables),
            Err(failure) => {
                let line = failure.errors.first().map_or(0, |error| error.line);
                Item { line, ..whole(failure) }
            }
        }));
    }
    items
}

fn item(file: &str, mut document: Document, variables: Option<&Variables>) -> Item {
    let unset = variables.map(|variables| document.interpolate(variables)).unwrap_or_default();
    let judged = judge(&document.value());
    let (line, _) = document.place(&[]);
    let (file, title) = (file.to_owned(), judged.title.to_string());
    let problems: Vec<&Problem> = match judged.form {
        Form::Foreign => judged.problems.iter().collect(),
        // Of a value that could not be put in, nothing else is to be said.
        Form::Native | Form::Kubernetes => {
            let told = |problem: &&Problem| unset.iter().all(|unset| unset.path != problem.path);
            unset.iter().chain(judged.problems.iter().filter(told)).collect()
        }
    };
    if problems.is_empty() {
        let place = format!("{file}:{line}");
        return Item { file, line, title, ready: Ok(Box::new(Ready { document, judged, place })) };
    }
    let mut errors: Vec<Located> =
        problems.into_iter().map(|problem| located(&file, &document, problem)).collect();
    errors.sort_by_key(|error| (error.line, error.column));
    let text = match judged.form {
        Form::Foreign => format!("{title} is no Compute"),
        Form::Native | Form::Kubernetes => format!("{title} is no valid manifest"),
    };
    let failure = Failure { errors, ..Failure::new(Exit::Invalid, text) };
    Item { file, line, title, ready: Err(failure) }
}

fn located(file: &str, document: &Document, problem: &Problem) -> Located {
    let (line, column) = document.place(&problem.path);
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

/// A path as RFC 6901 writes it.
fn pointer(path: &[Step]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

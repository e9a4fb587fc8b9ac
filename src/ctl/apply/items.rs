//! From documents to what can be sent, and to what is wrong with the others.

use crate::ctl::failure::{Exit, Failure, Located};
use crate::ctl::filed::{Entry, Files, Read, Subject};
use crate::decide::judge::{Form, Judged};
use crate::decide::problem::Problem;
use crate::view::manifest::Document;

/// A document of a file, or a file that is none.
pub(super) struct Item {
    pub(super) subject: Subject,
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

/// Reads them all.
pub(super) fn read(files: &Files) -> Vec<Item> {
    let item =
        |Entry { subject, read }| Item { ready: read.and_then(|read| ready(&subject, *read)), subject };
    files.read().into_iter().map(item).collect()
}

fn ready(subject: &Subject, read: Read) -> Result<Box<Ready>, Failure> {
    let Subject { file, line, title } = subject;
    let Read { judged, unset, .. } = &read;
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
        return Ok(Box::new(Ready { document: read.document, judged: read.judged, place }));
    }
    let mut errors: Vec<Located> = problems.into_iter().map(|problem| read.located(file, problem)).collect();
    errors.sort_by_key(|error| (error.line, error.column));
    let text = match judged.form {
        Form::Foreign => format!("{title} is no Compute"),
        Form::Native | Form::Kubernetes => format!("{title} is no valid manifest"),
    };
    Err(Failure { errors, ..Failure::new(Exit::Invalid, text) })
}

//! The Computes that manifests name. Nothing else of a manifest matters to a deletion, so what is wrong with the rest of it
//! is no reason not to delete.

use std::path::PathBuf;

use crate::ctl::delete::Item;
use crate::ctl::failure::{Exit, Failure, Located};
use crate::ctl::files::{FileError, sources};
use crate::decide::judge::{Form, judge};
use crate::decide::problem::{Problem, Step};
use crate::view::manifest::{Document, ManifestError, Variables, documents};

/// Those of these files and folders.
pub(super) fn filed(files: &[PathBuf], recursive: bool, variables: Option<&Variables>) -> Vec<Item> {
    let mut items = Vec::new();
    for source in sources(files, recursive) {
        let file = source.name.clone();
        let unusable = |failure| Item { title: file.clone(), name: Err(failure) };
        let bytes = match source.read() {
            Ok(bytes) => bytes,
            Err(error) => {
                let absent = matches!(&error, FileError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
                let exit = if absent { Exit::Usage } else { Exit::Failed };
                items.push(unusable(Failure::of(exit, &error)));
                continue;
            }
        };
        let before = items.len();
        items.extend(documents(&file, &bytes).into_iter().map(|document| match document {
            Ok(document) => item(&file, document, variables),
            Err(error) => unusable(unreadable(&file, &error)),
        }));
        if items.len() == before {
            items.push(unusable(Failure::new(Exit::Invalid, format!("{file} has no manifest in it"))));
        }
    }
    items
}

fn unreadable(file: &str, error: &ManifestError) -> Failure {
    let mut failure = Failure::of(Exit::Invalid, error);
    if let Some((line, column)) = error.place() {
        let (file, detail) = (file.to_owned(), error.to_string());
        failure.errors.push(Located { file, line, column, detail, ..Located::default() });
    }
    failure
}

fn item(file: &str, mut document: Document, variables: Option<&Variables>) -> Item {
    let unset = variables.map(|variables| document.interpolate(variables)).unwrap_or_default();
    let judged = judge(&document.value());
    let title = judged.title.to_string();
    let named = |problem: &&Problem| problem.path.last() == Some(&Step::Key("name".into()));
    let wrong: Vec<&Problem> = match judged.form {
        Form::Foreign => judged.problems.iter().collect(),
        Form::Native | Form::Kubernetes => unset.iter().chain(&judged.problems).filter(named).collect(),
    };
    let Some(first) = wrong.first() else {
        return Item { title, name: Ok(judged.name().to_owned()) };
    };
    let (line, column) = document.place(&first.path);
    let text = format!("{file}:{line}:{column}: {title} names no Compute: {}", first.sentence());
    Item { title, name: Err(Failure::new(Exit::Invalid, text)) }
}

//! The Computes that manifests name. Nothing else of a manifest matters to a deletion, so what is wrong with the rest of it
//! is no reason not to delete.

use std::path::PathBuf;

use crate::ctl::delete::item::Item;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::files::{contents, documents, sources};
use crate::decide::judge::{Form, judge};
use crate::decide::problem::{Problem, Step};
use crate::view::manifest::{Document, Variables};

/// Those of these files and folders.
pub(super) fn filed(files: &[PathBuf], recursive: bool, variables: Option<&Variables>) -> Vec<Item> {
    let mut items = Vec::new();
    for (file, bytes) in contents(sources(files, recursive)) {
        let unusable = |failure| Item { title: file.clone(), name: Err(failure) };
        match bytes {
            Ok(bytes) => items.extend(documents(&file, &bytes).into_iter().map(|document| match document {
                Ok(document) => item(&file, document, variables),
                Err(failure) => unusable(failure),
            })),
            Err(error) => items.push(unusable(error.into())),
        }
    }
    items
}

fn item(file: &str, mut document: Document, variables: Option<&Variables>) -> Item {
    let unset = variables.map(|variables| document.interpolate(variables)).unwrap_or_default();
    let judged = judge(&document.value());
    let title = judged.title.to_string();
    let named = |problem: &&Problem| problem.path.last() == Some(&Step::Key("name".into()));
    if judged.form == Form::Foreign {
        let (line, _) = document.place(&[]);
        let text = format!("{file}:{line}: {title} is no Compute: nothing was done to it");
        return Item { title, name: Err(Failure::new(Exit::Invalid, text)) };
    }
    let wrong: Vec<&Problem> = unset.iter().chain(&judged.problems).filter(named).collect();
    let Some(first) = wrong.first() else {
        return Item { title, name: Ok(judged.name().to_owned()) };
    };
    let (line, column) = document.place(&first.path);
    let text = format!("{file}:{line}:{column}: {title} cannot be deleted: {}", first.sentence());
    Item { title, name: Err(Failure::new(Exit::Invalid, text)) }
}

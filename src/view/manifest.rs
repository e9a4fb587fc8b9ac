//! Manifests as people wrote them: the documents of a file, YAML or JSON, each with the line and column of each value.
//!
//! Each document is read by itself: what breaks one leaves the others alone.

mod decode;
mod interpolate;
mod split;
mod tree;

pub use decode::LONGEST;
pub use interpolate::Variables;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::api::names::GROUP;
use crate::decide::problem::{Step, quoted};

use tree::{Node, Place, Shape, Wrong};

/// The most documents of a file that are read.
const MOST: usize = 1000;

/// Why a file, or a document of it, tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// It is no YAML, no text, or a list that is none.
    #[error("{file}:{line}:{column}: {text}")]
    Syntax {
        /// The file.
        file: String,
        /// The line in the file, from 1.
        line: u64,
        /// The column in that line, from 1, in characters.
        column: u64,
        /// What is wrong.
        text: String,
    },
    /// It is no text at all, or in another encoding than UTF-8.
    #[error("{file} {text}")]
    Encoding {
        /// The file.
        file: String,
        /// What it is instead, and what to do.
        text: String,
    },
    /// It is too long.
    #[error(
        "{file} has more than {LONGEST} bytes, the most that the API server takes in one request; split it"
    )]
    TooLong {
        /// The file.
        file: String,
    },
    /// It has too many documents.
    #[error("{file} has more than {MOST} documents; what comes after them was not read: split it")]
    TooMany {
        /// The file.
        file: String,
    },
    /// What is looked for is not in it.
    #[error("{file} has no {wanted}; it has: {found}")]
    Absent {
        /// The file.
        file: String,
        /// What was looked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// There is more than one to choose from.
    #[error("{file} has more than one {wanted}: {found}; name one, or put it in a file of its own")]
    Several {
        /// The file.
        file: String,
        /// What was looked for.
        wanted: String,
        /// What is there.
        found: String,
    },
}

impl ManifestError {
    /// Line and column in the file, both from 1, where there is a place.
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::Syntax { line, column, .. } => Some((*line, *column)),
            Self::Encoding { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::Absent { .. }
            | Self::Several { .. } => None,
        }
    }
}

/// One document of a file. It serialises as it was written: in its order, without comments.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Document {
    root: Node,
    /// The values into which the environment was put, as they were written.
    #[serde(skip)]
    written: Vec<(Vec<Step>, String)>,
}

/// Reads the documents of a file, each by itself; those of a `List` one by one. Empty documents are passed over.
pub fn documents(file: &str, bytes: &[u8]) -> Vec<Result<Document, ManifestError>> {
    let text = match decode::text(file, bytes) {
        Ok(text) => text,
        Err(error) => return vec![Err(error)],
    };
    let mut found = Vec::new();
    for piece in split::pieces(text) {
        if found.len() >= MOST {
            found.truncate(MOST);
            found.push(Err(ManifestError::TooMany { file: file.into() }));
            return found;
        }
        let items = tree::read(&piece).and_then(|roots| {
            let items: Result<Vec<Vec<Node>>, Wrong> = roots.into_iter().map(items).collect();
            Ok(items?.concat())
        });
        match items {
            Err(Wrong { line, column, text }) => {
                found.push(Err(ManifestError::Syntax { file: file.into(), line, column, text }));
            }
            Ok(items) => {
                found.extend(items.into_iter().map(|root| Ok(Document { root, written: Vec::new() })));
            }
        }
    }
    if found.len() > MOST {
        found.truncate(MOST);
        found.push(Err(ManifestError::TooMany { file: file.into() }));
    }
    found
}

/// The items of a list of Kubernetes, or the document itself. Other kinds that are called a list are documents like any.
fn items(root: Node) -> Result<Vec<Node>, Wrong> {
    if matches!(root.shape, Shape::Leaf(Value::Null, _)) {
        return Ok(Vec::new());
    }
    let listed = match (root.text_at("apiVersion"), root.text_at("kind")) {
        (None | Some("v1"), Some("List")) => true,
        (version, Some("ComputeList")) => version.is_none_or(|version| version.starts_with(GROUP)),
        _ => false,
    };
    if !listed {
        return Ok(vec![root]);
    }
    let Place { line, column } = root.at("items").map_or(root.place, |items| items.place);
    let wrong = |text: &str| Err(Wrong { line, column, text: text.into() });
    let Shape::Map(fields) = root.shape else { return Ok(Vec::new()) };
    match fields.into_iter().find(|(key, _)| key.text == "items").map(|(_, items)| items.shape) {
        Some(Shape::List(items)) => Ok(items),
        // Of a list without items Go writes so.
        Some(Shape::Leaf(Value::Null, _)) => Ok(Vec::new()),
        Some(Shape::Leaf(..) | Shape::Map(_)) => {
            wrong("items is no list; that of a List holds its documents")
        }
        None => wrong("a List without items; it takes a list of documents"),
    }
}

/// The one document that is wanted; `wanted` says what that is, for the error.
pub fn one(
    file: &str,
    documents: Vec<Document>,
    wanted: &str,
    is: impl Fn(&Document) -> bool,
) -> Result<Document, ManifestError> {
    let titles = |documents: &[Document]| {
        let titles: Vec<String> = documents.iter().take(5).map(Document::title).collect();
        match titles.len() {
            0 => "nothing".to_owned(),
            _ if documents.len() > titles.len() => format!("{}, …", titles.join(", ")),
            _ => titles.join(", "),
        }
    };
    let all = titles(&documents);
    let mut found: Vec<Document> = documents.into_iter().filter(is).collect();
    if found.len() > 1 {
        let (file, wanted, found) = (file.into(), wanted.into(), titles(&found));
        return Err(ManifestError::Several { file, wanted, found });
    }
    found.pop().ok_or_else(|| ManifestError::Absent { file: file.into(), wanted: wanted.into(), found: all })
}

impl Document {
    /// The document without its places, and without nulls: the API server drops those too.
    pub fn value(&self) -> Value {
        self.root.value()
    }

    /// Its `kind`; empty for none.
    pub fn kind(&self) -> &str {
        self.root.text_at("kind").unwrap_or_default()
    }

    /// Its `metadata.name`; empty for none.
    pub fn name(&self) -> String {
        self.root.at("metadata").and_then(|metadata| metadata.text_at("name")).unwrap_or_default().to_owned()
    }

    fn title(&self) -> String {
        match (self.kind(), self.root.text_at("type")) {
            ("", None) => "something without a kind".into(),
            // As DataOS has it.
            ("", Some(kind)) => format!("{kind} {}", self.root.text_at("name").unwrap_or_default()),
            (kind, _) => format!("{kind} {}", self.name()),
        }
    }

    /// Line and column of the value at a path, in the file, both from 1; of the last step that is there.
    pub fn place(&self, path: &[Step]) -> (u64, u64) {
        let mut node = &self.root;
        let mut at = node.place;
        for step in path {
            let next = match (step, &node.shape) {
                (Step::Key(wanted), Shape::Map(fields)) => {
                    fields.iter().find(|(key, _)| key.text == *wanted).map(|(key, value)| (key.place, value))
                }
                (Step::Index(index), Shape::List(items)) => items.get(*index).map(|item| (item.place, item)),
                _ => None,
            };
            let Some((place, below)) = next else { break };
            if place.line > 0 {
                at = place;
            }
            node = below;
        }
        (at.line.max(1), at.column.max(1))
    }
}

/// A text as a scalar of YAML: in quotes where it would be read as something else without them.
pub fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    let safe = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(word);
    if safe && tree::plain(text) == *text { text.to_owned() } else { Value::from(text).to_string() }
}

/// A text for people, from what a parser says of a sign: without signs that a terminal acts on.
fn told(text: &str) -> String {
    quoted(text).trim_matches('"').to_owned()
}

#[cfg(test)]
fn read(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    documents(file, text.as_bytes()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# two documents
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: main
    resources: {requests: {cpu: 2, memory: 1Gi}}
  nothing: null
---
apiVersion: poros.dataos.io/v1beta1
kind: Compute
metadata:
  name: query
spec:
  nodePool:
    nodeSelector:
      dataos.io/purpose: query
";

    fn key(key: &str) -> Step {
        Step::Key(key.into())
    }

    #[test]
    fn documents_are_read_with_their_places() {
        let documents = read("f.yaml", FILE).unwrap();
        assert_eq!(documents.iter().map(Document::kind).collect::<Vec<_>>(), ["Pod", "Compute"]);
        let pod = &documents[0];
        assert_eq!(pod.value()["spec"]["containers"][0]["resources"]["requests"]["cpu"], 2);
        assert!(pod.value()["spec"].get("nothing").is_none());
        assert_eq!(pod.place(&[key("spec"), key("containers"), Step::Index(0), key("name")]), (7, 5));
        let compute = &documents[1];
        let path = [key("spec"), key("nodePool"), key("nodeSelector"), key("dataos.io/purpose")];
        assert_eq!(compute.place(&path), (18, 7));
        assert_eq!(compute.place(&[key("spec"), key("absent")]), (15, 1), "the last step that is there");
        let one = one("f.yaml", documents, "Compute", |document| document.kind() == "Compute").unwrap();
        assert_eq!(one.name(), "query");
    }

    #[test]
    fn a_list_is_its_items() {
        let text =
            r#"{"kind": "List", "items": [{"kind": "Pod", "metadata": {"name": "a"}}, {"kind": "Node"}]}"#;
        let documents = read("-", text).unwrap();
        assert_eq!(documents.iter().map(Document::kind).collect::<Vec<_>>(), ["Pod", "Node"]);
        let error = one("-", documents, "Compute", |document| document.kind() == "Compute").unwrap_err();
        assert_eq!(error.to_string(), "- has no Compute; it has: Pod a, Node ");
    }

    #[test]
    fn a_list_without_items_and_a_kind_that_is_called_one_do_not_vanish() {
        let documents = read("-", "{kind: AllowList, name: a}").unwrap();
        assert_eq!(documents.iter().map(Document::kind).collect::<Vec<_>>(), ["AllowList"]);
        for (text, expect) in [
            ("kind: List\nitems: {a: b}", "-:2:8: items is no list; that of a List holds its documents"),
            ("kind: ComputeList\nitems: a", "-:2:8: items is no list; that of a List holds its documents"),
            ("# none\nkind: List", "-:2:1: a List without items; it takes a list of documents"),
        ] {
            assert_eq!(read("-", text).map(|_| ()).unwrap_err().to_string(), expect);
        }
        assert_eq!(read("-", "{kind: List, items: null}").unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        for text in ["a: [1, 2", "a: b\n\tc: d", "a: 1\na: 2\n", "x: &a [*a]", "a: b: c"] {
            let error = read("f.yaml", text).map(|_| ()).unwrap_err().to_string();
            let places = error.strip_prefix("f.yaml:").unwrap().splitn(3, ':').take(2);
            assert!(places.map(str::parse::<u64>).all(|place| place.is_ok_and(|place| place > 0)), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

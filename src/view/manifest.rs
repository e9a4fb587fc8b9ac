//! Manifests as people wrote them: YAML (or JSON) with the line and column of each value.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};
use thiserror::Error;

use crate::decide::schema::Step;

/// The longest manifest that is read, in bytes: what the API server takes.
const LONGEST: usize = 3 << 20;

/// Why a file tells nothing.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It is no YAML.
    #[error("{file} is no YAML: {text}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        text: String,
    },
    /// It is too long.
    #[error("{file} has {bytes} bytes; a manifest has at most {LONGEST}")]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
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

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    tree: Spanned<Tree>,
}

#[derive(Clone, Debug)]
enum Tree {
    Leaf(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

/// Reads the documents of a file; those of a `List` one by one.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    if text.len() > LONGEST {
        return Err(ManifestError::TooLong { file: file.into(), bytes: text.len() });
    }
    let trees: Vec<Spanned<Tree>> = serde_saphyr::from_multiple(text)
        .map_err(|error| ManifestError::Syntax { file: file.into(), text: syntax(&error) })?;
    let mut documents = Vec::new();
    for tree in trees {
        match tree.value {
            Tree::Leaf(Value::Null) => {}
            Tree::Map(ref fields) if kind_of(fields).is_some_and(|kind| kind.ends_with("List")) => {
                let items =
                    fields.iter().find(|(key, _)| key.value == "items").map(|(_, items)| &items.value);
                if let Some(Tree::List(items)) = items {
                    documents.extend(items.iter().map(|item| Document { tree: item.clone() }));
                }
            }
            _ => documents.push(Document { tree }),
        }
    }
    Ok(documents)
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
        plain(&self.tree.value)
    }

    /// Its `kind`; empty for none.
    pub fn kind(&self) -> &str {
        match &self.tree.value {
            Tree::Map(fields) => kind_of(fields).unwrap_or_default(),
            Tree::Leaf(_) | Tree::List(_) => "",
        }
    }

    /// Its `metadata.name`; empty for none.
    pub fn name(&self) -> String {
        self.value()["metadata"]["name"].as_str().unwrap_or_default().to_owned()
    }

    fn title(&self) -> String {
        match self.kind() {
            "" => "something without a kind".into(),
            kind => format!("{kind} {}", self.name()),
        }
    }

    /// Line and column of the value at a path, both from 1; of the last step that is there.
    pub fn place(&self, path: &[Step]) -> (u64, u64) {
        let mut at = self.tree.referenced;
        let mut tree = &self.tree.value;
        for step in path {
            let next = match (step, tree) {
                (Step::Key(wanted), Tree::Map(fields)) => fields
                    .iter()
                    .find(|(key, _)| key.value == *wanted)
                    .map(|(key, value)| (key.referenced, &value.value)),
                (Step::Index(index), Tree::List(items)) => {
                    items.get(*index).map(|item| (item.referenced, &item.value))
                }
                _ => None,
            };
            let Some((place, below)) = next else { break };
            if place != Location::UNKNOWN {
                at = place;
            }
            tree = below;
        }
        (at.line(), at.column())
    }
}

fn kind_of(fields: &[(Spanned<String>, Spanned<Tree>)]) -> Option<&str> {
    let (_, kind) = fields.iter().find(|(key, _)| key.value == "kind")?;
    match &kind.value {
        Tree::Leaf(Value::String(kind)) => Some(kind),
        _ => None,
    }
}

fn plain(tree: &Tree) -> Value {
    match tree {
        Tree::Leaf(value) => value.clone(),
        Tree::List(items) => items.iter().map(|item| plain(&item.value)).collect(),
        Tree::Map(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.value.clone(), plain(&value.value)));
            Value::Object(fields.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
    }
}

/// What is wrong, in one line, with its place.
fn syntax(error: &serde_saphyr::Error) -> String {
    let whole = error.to_string();
    let first = whole.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unreadable");
    let first = first.trim_start_matches("error: ");
    match error.location() {
        Some(at) if at != Location::UNKNOWN && !first.contains("line ") => {
            format!("line {}, column {}: {first}", at.line(), at.column())
        }
        _ => first.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Tree::Map(map))
    }
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
    fn what_is_no_yaml_is_said_with_its_place() {
        for text in ["a: [1, 2", "a: b\n\tc: d", "a: 1\na: 2\n", "x: &a [*a]", "a: b: c"] {
            let error = read("f.yaml", text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with("f.yaml is no YAML: "), "{error}");
            assert!(error.contains("line "), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

//! What `--output` takes, and objects in those formats that are no table of Computes.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::PrettyFormatter;
use thiserror::Error;

use crate::api::identifier::TYPE;
use crate::api::names::{GROUP, VERSION_SHOWN};
use crate::decide::jsonpath::{JsonPathError, Path, ReachError, Template, told};
use crate::decide::meant::nearest;
use crate::view::table::{Column, Table};
use crate::view::talk::Voice;

/// A format.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Output {
    /// The table of the reference, or kubectl's.
    #[default]
    Table,
    /// The same with more columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A name in each line, as other commands take it.
    Name,
    /// A template.
    JsonPath(Template),
    /// A table of these columns: titles and paths.
    Columns(Vec<(String, Path)>),
}

/// What the words are, for help and errors.
pub const FORMATS: &str = "table, wide, json, yaml, name, jsonpath=TEMPLATE, custom-columns=TITLE:PATH,…";

/// The words that take nothing.
const WORDS: [(&str, Output); 5] = [
    ("table", Output::Table),
    ("wide", Output::Wide),
    ("json", Output::Json),
    ("yaml", Output::Yaml),
    ("name", Output::Name),
];

/// No format.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OutputError {
    /// There is none of this name.
    #[error("there is no format {given:?}{meant}: {FORMATS}")]
    Unknown {
        /// What was given.
        given: String,
        /// What was meant.
        meant: String,
    },
    /// It takes something more.
    #[error("{format} needs {needs}, such as {example}")]
    Bare {
        /// Its name.
        format: &'static str,
        /// What it needs.
        needs: &'static str,
        /// An example.
        example: &'static str,
    },
    /// A template or path does not parse.
    #[error("{what}: {error}")]
    Path {
        /// Which.
        what: String,
        /// What is wrong. (Not its source: the command line prints no causes.)
        error: JsonPathError,
    },
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(given: &str) -> Result<Self, OutputError> {
        let (word, rest) = match given.split_once('=') {
            Some((word, rest)) => (word, Some(rest)),
            None => (given, None),
        };
        match (word, rest.filter(|rest| !rest.is_empty())) {
            ("jsonpath", Some(template)) => {
                let template = Template::parse(template);
                let template = template.map_err(|error| OutputError::Path { what: "jsonpath".into(), error });
                template.map(Self::JsonPath)
            }
            ("jsonpath", None) => Err(OutputError::Bare {
                format: "jsonpath",
                needs: "a template",
                example: "jsonpath='{.items[*].metadata.name}'",
            }),
            ("custom-columns", Some(columns)) => columns_of(columns).map(Self::Columns),
            ("custom-columns", None) => Err(OutputError::Bare {
                format: "custom-columns",
                needs: "titles and paths",
                example: "custom-columns=NAME:.metadata.name,OWNER:.spec.owner",
            }),
            _ => {
                let found = WORDS.into_iter().find(|(known, _)| *known == given).map(|(_, output)| output);
                found.ok_or_else(|| OutputError::Unknown { given: given.into(), meant: meant(word) })
            }
        }
    }
}

fn meant(given: &str) -> String {
    let all: Vec<&str> = WORDS.iter().map(|(word, _)| *word).chain(["jsonpath", "custom-columns"]).collect();
    match nearest(given, &all) {
        Some(word) => format!("; did you mean {word}? There are"),
        None => "; there are".to_owned(),
    }
}

/// `TITLE:PATH,…`; commas in brackets belong to a path.
fn columns_of(given: &str) -> Result<Vec<(String, Path)>, OutputError> {
    let mut depth = 0_usize;
    let parts = given.split(|sign| {
        match sign {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        sign == ',' && depth == 0
    });
    let column = |part: &str| {
        let Some((title, path)) =
            part.split_once(':').filter(|(title, path)| !title.is_empty() && !path.is_empty())
        else {
            let error = JsonPathError { column: 1, text: "a column reads TITLE:PATH".into() };
            return Err(OutputError::Path { what: format!("custom column {part:?}"), error });
        };
        let path = Path::relaxed(path)
            .map_err(|error| OutputError::Path { what: format!("the path of column {title}"), error })?;
        Ok((title.to_owned(), path))
    };
    parts.map(column).collect()
}

impl Output {
    /// Whether whole objects are needed, not only what rows show.
    pub fn needs_objects(&self) -> bool {
        match self {
            Self::Table | Self::Wide | Self::Name => false,
            Self::Json | Self::Yaml | Self::JsonPath(_) | Self::Columns(_) => true,
        }
    }
}

/// Objects as kubectl gives them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<'a> {
    api_version: &'static str,
    items: &'a [&'a Value],
    kind: &'static str,
    metadata: BTreeMap<&'static str, &'static str>,
}

impl<'a> List<'a> {
    /// Of these.
    pub fn of(items: &'a [&'a Value]) -> Self {
        // Of no use to anybody, and always there.
        let metadata = BTreeMap::from([("resourceVersion", "")]);
        Self { api_version: "v1", items, kind: "List", metadata }
    }
}

/// JSON, in lines as kubectl has them.
pub fn as_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter));
    // What was read as JSON can be written as such.
    debug_assert!(written.is_ok());
    bytes.push(b'\n');
    String::from_utf8(bytes).unwrap_or_default()
}

/// A document of YAML.
pub fn as_yaml(value: &impl Serialize) -> Result<String, serde_saphyr::ser_error::Error> {
    let mut text = serde_saphyr::to_string(value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// How other commands take a Compute: `dataos-ctl get --id`, or kubectl.
pub fn as_name(name: &str, voice: Voice) -> String {
    match voice {
        Voice::Dataos => format!("{TYPE}:{VERSION_SHOWN}:{name}\n"),
        Voice::Kubectl => format!("{TYPE}.{GROUP}/{name}\n"),
    }
}

/// A table of columns that were asked for.
pub fn as_columns(columns: &[(String, Path)], objects: &[&Value]) -> Result<Table, ReachError> {
    let cell = |path: &Path, object: &Value| {
        let found: Vec<String> = path.reach(object)?.into_iter().map(told).collect();
        Ok(if found.is_empty() { "<none>".to_owned() } else { found.join(",") })
    };
    let row = |object: &&Value| columns.iter().map(|(_, path)| cell(path, object)).collect();
    Ok(Table {
        columns: columns.iter().map(|(title, _)| Column::new(title.clone(), 0)).collect(),
        rows: objects.iter().map(row).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::table::Layout;
    use serde_json::json;

    #[test]
    fn each_format_is_known_by_its_word() {
        for (word, output) in WORDS {
            assert_eq!(word.parse::<Output>(), Ok(output));
        }
        assert!(matches!("jsonpath={.a}".parse(), Ok(Output::JsonPath(_))));
        let Ok(Output::Columns(columns)) = "custom-columns=A:.a,B:.b[0,1],C:{.c}".parse() else {
            panic!("no columns");
        };
        assert_eq!(columns.iter().map(|(title, _)| title.as_str()).collect::<Vec<_>>(), ["A", "B", "C"]);
    }

    #[test]
    fn what_is_no_format_is_told_with_what_is_meant() {
        let error = |given: &str| given.parse::<Output>().unwrap_err().to_string();
        assert!(
            error("jsn").starts_with("there is no format \"jsn\"; did you mean json? There are: table, ")
        );
        assert!(error("go-template=x").contains("; there are: table, "));
        assert!(error("jsonpath").contains("needs a template"));
        assert!(error("custom-columns=").contains("needs titles"));
        assert_eq!(error("jsonpath={.a"), "jsonpath: column 4: a { has no }");
        assert_eq!(error("custom-columns=A"), "custom column \"A\": column 1: a column reads TITLE:PATH");
        assert!(error("custom-columns=A:.a[").starts_with("the path of column A: column 4"));
    }

    #[test]
    fn objects_are_given_as_kubectl_gives_them() {
        let object = json!({"metadata": {"name": "a"}, "spec": {"n": 1}});
        assert_eq!(json!(List::of(&[&object]))["items"][0], object);
        assert_eq!(json!(List::of(&[]))["kind"], "List");
        assert_eq!(as_json(&json!({"a": [1]})), "{\n    \"a\": [\n        1\n    ]\n}\n");
        assert_eq!(as_yaml(&json!({"a": 1})).unwrap(), "a: 1\n");
        let columns = columns_of("N:.metadata.name,X:.x").unwrap();
        let table = as_columns(&columns, &[&object]).unwrap();
        let text = table.laid_out(Layout::Kubectl, true, None, &mut Vec::new());
        assert_eq!(text, "N     X\na     <none>\n");
    }
}

//! Computes in the format that was asked for: all at once, or as they change.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::api::dataos::{BODY, to_native};
use crate::api::listed::Listed;
use crate::decide::jsonpath::ReachError;
use crate::view::computes::{Field, KUBECTL, KUBECTL_WIDE, REFERENCE, REFERENCE_WIDE, lasting, table};
use crate::view::follow::Event;
use crate::view::output::{List, Output, as_columns, as_json, as_name, as_yaml};
use crate::view::table::{Column, Layout, Table};
use crate::view::talk::Voice;

/// A Compute that is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What rows show.
    pub listed: Listed,
    /// All of it; null where only rows are shown.
    pub object: Value,
}

impl From<Listed> for Found {
    fn from(listed: Listed) -> Self {
        Self { listed, object: Value::Null }
    }
}

impl From<Value> for Found {
    fn from(object: Value) -> Self {
        Self { listed: Listed::deserialize(&object).unwrap_or_default(), object }
    }
}

impl Found {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.listed.metadata.name
    }
}

/// Why Computes cannot be shown so.
#[derive(Debug, Error)]
pub enum FormatError {
    /// YAML has no words for it.
    #[error("it cannot be written as YAML")]
    Yaml(#[source] serde_saphyr::ser_error::Error),
    /// A path leads nowhere.
    #[error(transparent)]
    Reach(ReachError),
}

/// In which way Computes are shown.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct Format {
    /// Whose manners.
    pub voice: Voice,
    /// The format.
    pub output: Output,
    /// Manifests with what became of them, instead.
    pub details: bool,
    /// These columns, instead of those of the format.
    pub columns: Vec<Field>,
    /// Their tags as well.
    pub tags: bool,
    /// Whether tables have headers.
    pub headed: bool,
    /// Whether each change is told with what it is.
    pub events: bool,
    /// Whether one was asked for by its name.
    pub single: bool,
    /// Whether `managedFields` are shown.
    pub managed_fields: bool,
}

impl Format {
    /// The plain table.
    pub fn plain(voice: Voice) -> Self {
        Self {
            voice,
            output: Output::Table,
            details: false,
            columns: Vec::new(),
            tags: false,
            headed: true,
            events: false,
            single: false,
            managed_fields: false,
        }
    }

    /// Whether it is a table of Computes.
    pub fn is_table(&self) -> bool {
        !self.details && matches!(self.output, Output::Table | Output::Wide)
    }

    /// Whether it is one in which a row in error does not say why.
    pub fn wants_reasons(&self) -> bool {
        self.is_table() && !self.fields().contains(&Field::Message)
    }

    /// What was read, as far as it is shown: whole objects without `managedFields`. Who asks for these by a path gets them.
    pub fn taken(&self, read: impl Into<Found>) -> Found {
        let mut found = read.into();
        if !self.managed_fields
            && matches!(self.output, Output::Json | Output::Yaml)
            && let Some(metadata) = found.object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
        found
    }

    /// Whether whole objects are needed.
    pub fn needs_objects(&self) -> bool {
        self.details || self.output.needs_objects()
    }

    fn layout(&self) -> Layout {
        match self.voice {
            Voice::Dataos => Layout::Reference,
            Voice::Kubectl => Layout::Kubectl,
        }
    }

    /// The columns of its table.
    fn fields(&self) -> Vec<Field> {
        if !self.columns.is_empty() {
            return self.columns.clone();
        }
        let (few, more) = match self.voice {
            Voice::Dataos => (&REFERENCE[..], &REFERENCE_WIDE[..]),
            Voice::Kubectl => (&KUBECTL[..], &KUBECTL_WIDE[..]),
        };
        let wide = if self.output == Output::Wide { more } else { &[] };
        let tags = if self.tags { &[Field::Tags][..] } else { &[] };
        [few, wide, tags].concat()
    }

    /// What of a Compute would be news to who watches.
    pub fn news(&self, found: &Found) -> Vec<String> {
        if self.is_table() {
            lasting(&self.fields(), &found.listed)
        } else if self.output == Output::Name {
            Vec::new()
        } else {
            vec![found.listed.metadata.resource_version.clone()]
        }
    }

    /// Computes as text. `widths` are those of the columns so far.
    pub fn told(
        &self,
        found: &[Found],
        now: Timestamp,
        screen: Option<usize>,
        widths: &mut Vec<usize>,
    ) -> Result<String, FormatError> {
        if self.details {
            let texts = found.iter().map(|found| details(&found.object));
            return Ok(texts.collect::<Result<Vec<_>, _>>()?.join("---\n"));
        }
        let objects: Vec<&Value> = found.iter().map(|found| &found.object).collect();
        Ok(match &self.output {
            Output::Table | Output::Wide => {
                let rows: Vec<&Listed> = found.iter().map(|found| &found.listed).collect();
                table(&self.fields(), &rows, now).laid_out(self.layout(), self.headed, screen, widths)
            }
            Output::Name => found.iter().map(|found| as_name(found.name(), self.voice)).collect(),
            Output::Columns(columns) => {
                let table = as_columns(columns, &objects).map_err(FormatError::Reach)?;
                table.laid_out(Layout::Kubectl, self.headed, screen, widths)
            }
            // The paths that people know begin at a List, in both.
            Output::JsonPath(template) => match objects.as_slice() {
                [one] if self.single => template.told(one),
                all => template.told(&json!(List::of(all))),
            }
            .map_err(FormatError::Reach)?,
            Output::Json | Output::Yaml => match (self.voice, objects.as_slice()) {
                (Voice::Kubectl, [one]) if self.single => self.document(one)?,
                (Voice::Kubectl, all) => self.document(&List::of(all))?,
                (Voice::Dataos, all) => self.document(&all)?,
            },
        })
    }

    fn document(&self, value: &impl Serialize) -> Result<String, FormatError> {
        if self.output == Output::Json {
            Ok(as_json(value))
        } else {
            as_yaml(value).map_err(FormatError::Yaml)
        }
    }

    /// Changes as text, each by itself; `headed` for the first of them.
    pub fn changes(
        &self,
        changes: &[(Event, Found)],
        headed: bool,
        now: Timestamp,
        screen: Option<usize>,
        widths: &mut Vec<usize>,
    ) -> Result<String, FormatError> {
        let headed = headed && self.headed;
        let with_events = |mut table: Table| {
            if self.events {
                table.columns.insert(0, Column::new("EVENT", 8));
                for (row, (event, _)) in table.rows.iter_mut().zip(changes) {
                    row.insert(0, event.word().to_owned());
                }
            }
            table
        };
        let object = |(event, found): &(Event, Found)| {
            let object = &found.object;
            if self.events { json!({"type": event.word(), "object": object}) } else { object.clone() }
        };
        if self.details {
            let texts = changes
                .iter()
                .map(|(event, found)| Ok(format!("---\n# {}\n{}", event.word(), details(&found.object)?)));
            return texts.collect();
        }
        Ok(match &self.output {
            Output::Table | Output::Wide => {
                let rows: Vec<&Listed> = changes.iter().map(|(_, found)| &found.listed).collect();
                let table = with_events(table(&self.fields(), &rows, now));
                table.laid_out(self.layout(), headed, screen, widths)
            }
            Output::Columns(columns) => {
                let objects: Vec<&Value> = changes.iter().map(|(_, found)| &found.object).collect();
                let table = as_columns(columns, &objects).map_err(FormatError::Reach)?;
                with_events(table).laid_out(Layout::Kubectl, headed, screen, widths)
            }
            Output::Name => changes.iter().map(|(_, found)| as_name(found.name(), self.voice)).collect(),
            Output::JsonPath(template) => {
                let texts = changes.iter().map(|(_, found)| template.told(&found.object));
                texts.collect::<Result<_, _>>().map_err(FormatError::Reach)?
            }
            Output::Json if self.events => {
                changes.iter().map(|change| object(change).to_string() + "\n").collect()
            }
            Output::Json => changes.iter().map(|change| as_json(&object(change))).collect(),
            Output::Yaml => {
                let texts = changes.iter().map(|change| as_yaml(&object(change)));
                let texts = texts.map(|text| text.map(|text| format!("---\n{text}")));
                texts.collect::<Result<_, _>>().map_err(FormatError::Yaml)?
            }
        })
    }
}

/// The order of a native manifest.
const NATIVE: [&str; 8] = ["name", "version", "type", "layer", "owner", "description", "tags", BODY];

/// A native manifest, as `apply` takes it, with what became of it in comments.
fn details(object: &Value) -> Result<String, FormatError> {
    let native = to_native(object);
    let mut text = String::new();
    for key in NATIVE {
        if let Some(value) = native.get(key) {
            text += &as_yaml(&json!({key: value})).map_err(FormatError::Yaml)?;
        }
    }
    let about = json!({
        "created": object["metadata"]["creationTimestamp"],
        "generation": object["metadata"]["generation"],
        "uid": object["metadata"]["uid"],
        "status": object["status"],
    });
    for line in as_yaml(&about).map_err(FormatError::Yaml)?.lines() {
        let _ = writeln!(text, "# {line}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let format = Format { output: Output::Json, ..Format::plain(Voice::Dataos) };
        format.taken(json!({
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute",
            "metadata": {"name": "a", "managedFields": [1], "uid": "u"},
            "spec": {"owner": "ann", "purpose": "query", "nodePool": {"nodeSelector": {"k": "v"}}},
            "status": {"aggregateStatus": "active"},
        }))
    }

    fn format(voice: Voice, output: Output) -> Format {
        Format { output, events: voice == Voice::Dataos, ..Format::plain(voice) }
    }

    fn changes(format: &Format, headed: bool) -> String {
        let now = Timestamp::UNIX_EPOCH;
        format.changes(&[(Event::Modified, found())], headed, now, None, &mut Vec::new()).unwrap()
    }

    #[test]
    fn none_at_all_is_an_empty_array_or_list() {
        let told =
            |voice, output| format(voice, output).told(&[], Timestamp::UNIX_EPOCH, None, &mut Vec::new());
        assert_eq!(told(Voice::Dataos, Output::Json).unwrap(), "[]\n");
        assert_eq!(told(Voice::Dataos, Output::Yaml).unwrap(), "[]\n");
        assert!(told(Voice::Kubectl, Output::Json).unwrap().contains("\"items\": [],"));
    }

    #[test]
    fn changes_are_told_with_what_they_are() {
        let told = changes(&format(Voice::Dataos, Output::Json), true);
        assert_eq!(told.lines().count(), 1);
        let event: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("MODIFIED"), &json!("a")));
        assert!(event["object"]["metadata"].get("managedFields").is_none());
        let table = changes(&format(Voice::Dataos, Output::Table), false);
        assert!(table.starts_with("  MODIFIED | a "), "{table}");
        let table = changes(&format(Voice::Kubectl, Output::Table), true);
        assert!(table.starts_with("NAME   PURPOSE   STATUS"), "{table}");
        assert_eq!(changes(&format(Voice::Kubectl, Output::Name), true), "compute.poros.dataos.io/a\n");
        let template = "jsonpath={.metadata.name}{'\\n'}".parse().unwrap();
        assert_eq!(changes(&format(Voice::Dataos, template), true), "a\n");
    }

    #[test]
    fn managed_fields_are_left_out_of_whole_objects_alone() {
        let object = json!({"metadata": {"name": "a", "managedFields": [1]}});
        for (output, kept) in [("json", 0), ("yaml", 0), ("jsonpath={.a}", 1), ("custom-columns=A:.a", 1)] {
            let format = format(Voice::Kubectl, output.parse().unwrap());
            let taken = format.taken(object.clone()).object;
            assert_eq!(taken["metadata"].get("managedFields").iter().count(), kept, "{output}");
        }
    }

    #[test]
    fn details_can_be_applied() {
        let format = Format { details: true, ..Format::plain(Voice::Dataos) };
        let text = format.told(&[found(), found()], Timestamp::UNIX_EPOCH, None, &mut Vec::new()).unwrap();
        assert!(
            text.starts_with("name: a\nversion: v1beta\ntype: compute\nowner: ann\ncompute:\n"),
            "{text}"
        );
        assert!(text.contains("#   aggregateStatus: active\n# uid: u\n---\nname: a\n"), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_no_news() {
        let table = format(Voice::Dataos, Output::Table);
        let (mut other, before) = (found(), table.news(&found()));
        other.listed.status.users.pods = 7;
        assert_eq!(table.news(&other), before, "the plain table shows no users");
        let wide = format(Voice::Dataos, Output::Wide);
        assert_ne!(wide.news(&other), wide.news(&found()));
    }
}

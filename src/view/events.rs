//! Events about a Compute, as the API server keeps them for a while.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use serde::Serialize;

/// How many events are told.
const TOLD: usize = 20;

/// Events about a Compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// How many there are.
    pub there: usize,
    /// The last of them, the newest first.
    pub last: Vec<Told>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// When it was seen last; none where it does not say.
    pub time: Option<Timestamp>,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The reason word.
    pub reason: String,
    /// In words.
    pub note: String,
    /// How often it was seen.
    pub count: i32,
    /// Who tells it.
    pub by: String,
}

/// The last events, the newest first.
pub fn last(found: Vec<Event>) -> Events {
    let there = found.len();
    let mut last: Vec<Told> = found.into_iter().map(told).collect();
    last.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.note.cmp(&b.note)));
    last.truncate(TOLD);
    Events { there, last }
}

/// Writers of both generations say when and how often each in their own fields.
fn told(event: Event) -> Told {
    let series = event.series.as_ref();
    let time = series
        .map(|series| series.last_observed_time.0)
        .or(event.deprecated_last_timestamp.map(|time| time.0))
        .or(event.event_time.map(|time| time.0))
        .or(event.metadata.creation_timestamp.map(|time| time.0));
    let count = series.map(|series| series.count).or(event.deprecated_count).unwrap_or(1);
    let old = event.deprecated_source.and_then(|source| source.component);
    Told {
        time,
        count,
        type_: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.note.unwrap_or_default(),
        by: event.reporting_controller.filter(|by| !by.is_empty()).or(old).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(fields: Value) -> Event {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn the_newest_come_first_whoever_wrote_them() {
        let mut found: Vec<Event> = (10..40)
            .map(|second| {
                event(json!({
                    "metadata": {}, "eventTime": format!("2026-11-22T14:00:{second}.000000Z"),
                    "type": "Normal", "reason": "Active", "note": "n", "reportingController": "poros.dataos.io/poros",
                }))
            })
            .collect();
        found.push(event(json!({
            "metadata": {}, "eventTime": null, "type": "Warning", "reason": "Old", "note": "o",
            "deprecatedCount": 3, "deprecatedLastTimestamp": "2026-11-22T14:00:38Z", "deprecatedSource": {"component": "c"},
        })));
        found.push(event(json!({
            "metadata": {}, "eventTime": "2026-11-22T13:00:00.000000Z", "note": "s",
            "series": {"count": 7, "lastObservedTime": "2026-11-22T15:00:00.000000Z"},
        })));
        let told = last(found);
        assert_eq!((told.there, told.last.len()), (32, TOLD));
        let counts: Vec<(i32, &str)> =
            told.last.iter().take(4).map(|told| (told.count, told.note.as_str())).collect();
        assert_eq!(counts, [(7, "s"), (1, "n"), (1, "n"), (3, "o")]);
        assert_eq!((told.last[1].by.as_str(), told.last[3].by.as_str()), ("poros.dataos.io/poros", "c"));
    }
}

//! Where kubectl finds an error and the RFC nothing: an item that a list has not, and items of what is no list.

use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::query::js_path_process;
use serde_json::Value;
use thiserror::Error;

/// Why a path leads nowhere in a value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReachError {
    /// There are not so many items.
    #[error("{path} asks for item {index} of a list of {length}; the first is 0")]
    Beyond {
        /// The path, as it was given.
        path: String,
        /// Which item; from the end if negative.
        index: i64,
        /// How many there are.
        length: i64,
    },
    /// The slice ends before it begins.
    #[error("{path} asks for the items from {from} up to {to}")]
    Backwards {
        /// The path, as it was given.
        path: String,
        /// The first item.
        from: i64,
        /// The one after the last.
        to: i64,
    },
    /// There are no items.
    #[error("{path} asks for an item of what is no list but {found}")]
    NoList {
        /// The path, as it was given.
        path: String,
        /// What it is.
        found: &'static str,
    },
}

/// Whether all lists on the way have the items that are asked for. What is not there at all is no error, nor is null.
pub(super) fn check(path: &str, query: &JpQuery, value: &Value) -> Result<(), ReachError> {
    for (at, segment) in query.segments.iter().enumerate() {
        let (from, to) = match segment {
            Segment::Selector(Selector::Index(index)) => (*index, None),
            Segment::Selector(Selector::Slice(from, to, _)) => (from.unwrap_or(0), Some(*to)),
            Segment::Selector(Selector::Name(_) | Selector::Wildcard | Selector::Filter(_))
            | Segment::Selectors(_)
            | Segment::Descendant(_) => continue,
        };
        let before = JpQuery::new(query.segments.get(..at).unwrap_or_default().to_vec());
        for found in js_path_process(&before, value).unwrap_or_default() {
            within(path, found.val, from, to)?;
        }
    }
    Ok(())
}

#[allow(clippy::option_option)] // an index has no end at all, a slice may be open
fn within(path: &str, value: &Value, from: i64, to: Option<Option<i64>>) -> Result<(), ReachError> {
    let path = path.to_owned();
    let list = match value {
        Value::Null => return Ok(()),
        Value::Array(list) => list,
        Value::Object(_) => return Err(ReachError::NoList { path, found: "a map" }),
        Value::String(_) => return Err(ReachError::NoList { path, found: "a text" }),
        Value::Number(_) => return Err(ReachError::NoList { path, found: "a number" }),
        Value::Bool(_) => return Err(ReachError::NoList { path, found: "true or false" }),
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let counted = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let first = counted(from);
    let end = match to {
        None => first.saturating_add(1),
        Some(to) => to.map_or(length, counted),
    };
    if first == end {
        Ok(())
    } else if !(0..length).contains(&first) {
        Err(ReachError::Beyond { path, index: from, length })
    } else if !(0..=length).contains(&end) {
        Err(ReachError::Beyond { path, index: to.flatten().unwrap_or(end).saturating_sub(1), length })
    } else if first > end {
        Err(ReachError::Backwards { path, from: first, to: end })
    } else {
        Ok(())
    }
}

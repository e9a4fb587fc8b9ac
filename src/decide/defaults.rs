//! Default Computes: read from what an installer wrote down, for Poros to create where they are absent.

use serde_json::Value;
use thiserror::Error;

use crate::api::names::API_VERSION;

/// A Compute that is created where it is absent, and never changed.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultCompute {
    /// `metadata.name`.
    pub name: String,
    /// The whole manifest.
    pub manifest: Value,
}

/// Why a file says no default Computes.
#[derive(Debug, Error)]
pub enum DefaultsError {
    /// It is neither YAML nor JSON.
    #[error("it is neither YAML nor JSON")]
    Text(#[source] Box<serde_saphyr::Error>),
    /// It holds something else.
    #[error("items[{at}] is no Compute: apiVersion {API_VERSION}, kind Compute and metadata.name are needed")]
    Kind {
        /// Where in the list, from 0.
        at: usize,
    },
}

/// Reads a Compute, or a `List` of them. What their specs say, the API server judges.
pub fn read(text: &str) -> Result<Vec<DefaultCompute>, DefaultsError> {
    let document: Value =
        serde_saphyr::from_str(text).map_err(|error| DefaultsError::Text(Box::new(error)))?;
    let items = match document["items"].as_array() {
        Some(items) if document["kind"] == "List" => items.clone(),
        _ => vec![document],
    };
    let read = |(at, manifest): (usize, Value)| {
        let name = manifest["metadata"]["name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        let compute = manifest["apiVersion"] == API_VERSION && manifest["kind"] == "Compute";
        match name {
            Some(name) if compute => Ok(DefaultCompute { name, manifest }),
            _ => Err(DefaultsError::Kind { at }),
        }
    };
    items.into_iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_and_a_single_compute_are_read() {
        let compute = format!(
            "apiVersion: {API_VERSION}\nkind: Compute\nmetadata: {{name: a}}\nspec: {{purpose: query}}\n"
        );
        let one = read(&compute).unwrap();
        assert_eq!(
            (one.len(), one[0].name.as_str(), &one[0].manifest["spec"]["purpose"]),
            (1, "a", &"query".into())
        );
        let item = compute.trim_end().replace('\n', "\n  ");
        let list = format!(
            "apiVersion: v1\nkind: List\nitems:\n- {item}\n- {}\n",
            item.replace("name: a", "name: b")
        );
        let names: Vec<_> = read(&list).unwrap().into_iter().map(|compute| compute.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(read("kind: List\nitems: []\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_compute_is_told_with_its_place() {
        let list = format!(
            "kind: List\nitems:\n- {{apiVersion: {API_VERSION}, kind: Compute, metadata: {{name: a}}}}\n- {{kind: Pod}}\n"
        );
        assert!(read(&list).unwrap_err().to_string().starts_with("items[1] is no Compute"));
        assert!(read("just text").is_err());
        assert!(matches!(read("{"), Err(DefaultsError::Text(_))));
    }
}

//! AdmissionReview `admission.k8s.io/v1` on the wire: the parts that Poros reads, and its answer.

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::decide::admission::Subject;

/// Why a body is no review.
#[derive(Debug, Error)]
pub enum BadReview {
    /// It cannot be read as one. The text says where.
    #[error("this is no AdmissionReview: {0}")]
    Unreadable(String),
    /// It is of a version that Poros was not registered for.
    #[error("an AdmissionReview of admission.k8s.io/v1 is expected, not of {0:?}")]
    Version(String),
}

/// The request of a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// Told back in the answer.
    uid: String,
    /// The object as it would be stored.
    #[serde(default)]
    pub object: Value,
    /// As it is stored; null at create.
    #[serde(default)]
    old_object: Value,
    /// Who asks.
    #[serde(default)]
    pub user_info: Subject,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    request: Review,
}

impl Review {
    /// Reads a body.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadReview> {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|error| BadReview::Unreadable(error.to_string()))?;
        if envelope.api_version != "admission.k8s.io/v1" {
            return Err(BadReview::Version(envelope.api_version));
        }
        Ok(envelope.request)
    }

    /// The object as it is stored; none at create.
    pub fn old_object(&self) -> Option<&Value> {
        Some(&self.old_object).filter(|old| !old.is_null())
    }

    /// The answer: allowed, with this patch (RFC 6902). What is to be refused the validating policies refuse.
    pub fn answer(&self, patch: Vec<Value>) -> Vec<u8> {
        let mut response = json!({"uid": self.uid, "allowed": true});
        if !patch.is_empty() {
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(ByteString(Value::Array(patch).to_string().into_bytes()));
        }
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
            .to_string()
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_read_and_answered() {
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "oldObject": null, "object": {"a": 1},
                "userInfo": {"username": "anna", "groups": ["g"]},
            },
        });
        let review = Review::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!((review.old_object(), review.user_info.username.as_str()), (None, "anna"));
        let answer: Value = serde_json::from_slice(&review.answer(Vec::new())).unwrap();
        assert_eq!(answer["response"], json!({"uid": "u-1", "allowed": true}));
        let answer: Value = serde_json::from_slice(&review.answer(vec![json!({"op": "x"})])).unwrap();
        let patch: ByteString = serde_json::from_value(answer["response"]["patch"].clone()).unwrap();
        assert_eq!(patch.0, br#"[{"op":"x"}]"#);
    }

    #[test]
    fn garbage_is_told_apart() {
        for garbage in ["", "{}", "[]", "null", "{\"apiVersion\": 3}", "\u{0}", "{\"request\": {\"uid\": 1}}"]
        {
            assert!(matches!(Review::parse(garbage.as_bytes()), Err(BadReview::Unreadable(_))), "{garbage}");
        }
        let old = r#"{"apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "x"}}"#;
        assert!(matches!(Review::parse(old.as_bytes()), Err(BadReview::Version(_))));
    }
}

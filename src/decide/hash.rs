//! Short content hashes: equal content, equal hash, on every machine and in every version of Poros.

use sha2::{Digest, Sha256};

/// The way in which hashes are made. Raise it when that changes, so that an upgrade does not read as drift.
pub const HASH_VERSION: &str = "1";

/// The first 16 hex digits of the SHA-256 of the value's JSON with sorted keys.
pub fn of(value: &serde_json::Value) -> String {
    // serde_json's Map is sorted (its `preserve_order` feature is off), so equal values print alike.
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        assert_eq!(of(&json!({"a": 1, "b": [2]})), of(&json!({"b": [2], "a": 1})));
        assert_ne!(of(&json!({"a": 1})), of(&json!({"a": 2})));
        assert_eq!(of(&json!({})).len(), 16);
    }
}

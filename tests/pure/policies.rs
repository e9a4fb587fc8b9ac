//! The texts of the shared policies and their version: stored ones are compared by text where the version is not newer.

use poros::decide::hash;
use poros::decide::policies::{POLICY_VERSION, known};
use serde_json::json;

/// Of each version that was ever released, and of the one to come: the hash of all its texts.
const TEXTS: [(u32, &str); 2] = [(1, "2d34c9ca3e66acc8"), (2, "3fb17f6aaaba6229")];

#[test]
fn other_texts_have_another_version() {
    let texts: Vec<_> = known()
        .into_iter()
        .map(|shared| {
            json!([shared.kind.kind(), shared.name, shared.spec, shared.places_pods, shared.optional])
        })
        .collect();
    let found = hash::of(&json!(texts));
    let [.., (version, expect)] = TEXTS;
    assert_eq!(
        POLICY_VERSION, version,
        "add the version to TEXTS in tests/pure/policies.rs: ({POLICY_VERSION}, \"{found}\")"
    );
    assert_eq!(
        found, expect,
        "the texts of the shared policies changed and their version did not: an older Poros would report them as altered, and \
         put its own back (--manage-policies). If version {version} was released, raise POLICY_VERSION in \
         src/decide/policies.rs and add its hash to TEXTS in tests/pure/policies.rs; if it was not, replace its hash there by \"{found}\""
    );
}

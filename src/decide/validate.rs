//! From what people wrote to what can be built: the rules of the schema once more, for objects stored under another one.

use std::collections::BTreeSet;

use crate::api::compute::{ComputeSpec, DeletionPolicy, Toleration, TolerationOperator};
use crate::decide::fault::{Category, Fault};
use crate::decide::observed::{Compute, Settings};

/// A spec that can be built: every rule of the CRD holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    /// What pods are given.
    pub content: Content,
    /// How many nodes must be ready.
    pub min_ready_nodes: u32,
    /// How long the Compute may be pending, in seconds.
    pub progress_deadline_seconds: u32,
}

/// The part of a Compute that places pods. Two specs with equal content place alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// Labels that a node must carry.
    pub node_selector: std::collections::BTreeMap<String, String>,
    /// Tolerations that a pod is given.
    pub tolerations: Vec<Toleration>,
}

impl Content {
    /// Its hash.
    pub fn hash(&self) -> String {
        crate::decide::hash::of(
            &serde_json::json!({"nodeSelector": self.node_selector, "tolerations": self.tolerations}),
        )
    }
}

/// Checks a stored Compute.
pub fn validate(compute: &Compute, settings: &Settings) -> Result<Valid, Fault> {
    let spec = compute.spec.as_ref().map_err(|why| {
        Fault::new(
            Category::Undecodable,
            format!("the stored Compute cannot be read: {why}; edit it, or upgrade Poros"),
        )
    })?;
    if let Some(dataplane) = spec.dataplane.as_ref().filter(|named| **named != settings.dataplane) {
        return Err(Fault::new(
            Category::UnknownDataplane,
            format!(
                "spec.dataplane is {dataplane:?}, but this Poros builds for {:?}; edit it, or apply the Compute there",
                settings.dataplane
            ),
        ));
    }
    check(spec).map_err(|text| Fault::new(Category::InvalidSpec, text))?;
    Ok(Valid {
        content: Content {
            node_selector: spec.node_pool.node_selector.clone(),
            tolerations: spec.node_pool.tolerations.iter().map(normal).collect(),
        },
        min_ready_nodes: spec.node_pool.min_ready_nodes,
        progress_deadline_seconds: spec.progress_deadline_seconds,
    })
}

/// What a Compute says about its deletion; of one that cannot be read, the careful answer.
pub fn deletion_policy(compute: &Compute) -> DeletionPolicy {
    compute.spec.as_ref().map(|spec| spec.deletion_policy).unwrap_or_default()
}

/// The rules of the CRD. The text names the field.
fn check(spec: &ComputeSpec) -> Result<(), String> {
    let pool = &spec.node_pool;
    let pairs = pool.node_selector.len();
    if !(1..=32).contains(&pairs) {
        return Err(format!("spec.nodePool.nodeSelector has {pairs} pairs; it takes 1 to 32"));
    }
    for (key, value) in &pool.node_selector {
        label_key(key).map_err(|why| format!("spec.nodePool.nodeSelector has the key {key:?}: {why}"))?;
        label_value(value)
            .map_err(|why| format!("spec.nodePool.nodeSelector[{key:?}] is {value:?}: {why}"))?;
    }
    if pool.tolerations.len() > 32 {
        return Err(format!(
            "spec.nodePool.tolerations has {} items; it takes at most 32",
            pool.tolerations.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, toleration) in pool.tolerations.iter().enumerate() {
        let at = format!("spec.nodePool.tolerations[{index}]");
        tolerable(toleration).map_err(|(field, why)| format!("{at}.{field}: {why}"))?;
        if !seen.insert(toleration) {
            return Err(format!("{at} is listed twice; list each toleration once"));
        }
    }
    Ok(())
}

fn tolerable(toleration: &Toleration) -> Result<(), (&'static str, String)> {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    match toleration.operator {
        TolerationOperator::Exists if !value.is_empty() => {
            return Err(("value", format!("{value:?} has no meaning with operator Exists; remove it")));
        }
        TolerationOperator::Equal if key.is_empty() => {
            return Err(("key", "operator Equal needs a key; name one, or use Exists".into()));
        }
        TolerationOperator::Exists | TolerationOperator::Equal => {}
    }
    if !key.is_empty() {
        label_key(key).map_err(|why| ("key", format!("{key:?}: {why}")))?;
    }
    label_value(value).map_err(|why| ("value", format!("{value:?}: {why}")))
}

/// A toleration as pods will carry it: no empty strings where nothing is meant.
pub fn normal(toleration: &Toleration) -> Toleration {
    let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Toleration { key: present(&toleration.key), value: present(&toleration.value), ..toleration.clone() }
}

fn label_key(key: &str) -> Result<(), &'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| prefix.len() > 253 || !prefix.split('.').all(dns_label)) {
        return Err("the prefix of a label key is a DNS subdomain of at most 253 characters");
    }
    if name.is_empty() || label_value(name).is_err() {
        return Err(
            "the name of a label key has 1 to 63 letters, digits, '-', '_', '.', and a letter or digit at both ends",
        );
    }
    Ok(())
}

fn dns_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = label.as_bytes();
    bytes.iter().all(|b| inner(*b)) && outer(bytes.first()) && outer(bytes.last())
}

/// Whether this can be the name of a Compute, its length aside.
pub fn is_name(name: &str) -> bool {
    dns_label(name)
}

/// Whether this can be the value of a label, its length aside.
pub fn is_label_value(value: &str) -> bool {
    value.len() > 63 || label_value(value).is_ok()
}

fn label_value(value: &str) -> Result<(), &'static str> {
    let bytes = value.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let outer = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    if bytes.len() <= 63 && bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last()) {
        return Ok(());
    }
    Err("a label value has at most 63 letters, digits, '-', '_', '.', and a letter or digit at both ends")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Through the real types, as stored objects come in.
    fn check_pool(pool: Value) -> Result<(), String> {
        check(&serde_json::from_value(json!({"purpose": "query", "nodePool": pool})).unwrap())
    }

    #[test]
    fn good_pools_pass() {
        for pool in [
            json!({"nodeSelector": {"dataos.io/purpose": "query"}}),
            json!({"nodeSelector": {"a": ""}, "tolerations": [{"operator": "Exists"}]}),
            json!({"nodeSelector": {"A.b_c-9": "X"}, "tolerations": [{"key": "dedicated", "value": "query", "effect": "NoSchedule"}]}),
        ] {
            assert_eq!(check_pool(pool.clone()), Ok(()), "{pool}");
        }
    }

    #[test]
    fn bad_pools_are_refused_with_the_field() {
        for (pool, field) in [
            (json!({"nodeSelector": {}}), "nodeSelector has 0 pairs"),
            (json!({"nodeSelector": {"-a": "x"}}), "the key \"-a\""),
            (json!({"nodeSelector": {"a/b/c": "x"}}), "the key \"a/b/c\""),
            (json!({"nodeSelector": {"/b": "x"}}), "the key \"/b\""),
            (json!({"nodeSelector": {"Ex.com/b": "x"}}), "the key \"Ex.com/b\""),
            (json!({"nodeSelector": {"a": "-x"}}), "nodeSelector[\"a\"] is \"-x\""),
            (json!({"nodeSelector": {"а": "x"}}), "the key"), // a Cyrillic look-alike
            (json!({"nodeSelector": {"a": "x".repeat(64)}}), "nodeSelector[\"a\"]"),
            (json!({"nodeSelector": {"a": "x"}, "tolerations": [{}]}), "tolerations[0].key"),
            (
                json!({"nodeSelector": {"a": "x"}, "tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]}),
                "tolerations[0].value",
            ),
            (
                json!({"nodeSelector": {"a": "x"}, "tolerations": [{"key": "k"}, {"key": "k"}]}),
                "tolerations[1] is listed twice",
            ),
            (json!({"nodeSelector": {"a": "x"}, "tolerations": [{"key": "k k"}]}), "tolerations[0].key"),
        ] {
            let found = check_pool(pool.clone()).unwrap_err();
            assert!(found.contains(field), "{pool}: {found}");
        }
    }

    #[test]
    fn empty_strings_are_normalised_away() {
        let stored = Toleration {
            key: Some(String::new()),
            operator: TolerationOperator::Exists,
            value: Some(String::new()),
            effect: None,
        };
        assert_eq!(
            normal(&stored),
            Toleration { key: None, operator: TolerationOperator::Exists, value: None, effect: None }
        );
    }
}

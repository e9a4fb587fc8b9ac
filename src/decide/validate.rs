//! From what people wrote to what can be built: the rules of the schema once more, for objects stored under another one.

use std::collections::BTreeSet;

use crate::api::compute::{ComputeSpec, DeletionPolicy, Toleration, TolerationOperator};
use crate::decide::fault::{Category, Fault};
use crate::decide::observed::{Compute, Settings};
use crate::decide::problem::{Problem, Step, path, quoted};

const SELECTOR: [&str; 3] = ["spec", "nodePool", "nodeSelector"];
const TOLERATIONS: [&str; 3] = ["spec", "nodePool", "tolerations"];

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
    if let Some(problem) = problems(spec).first() {
        return Err(Fault::new(Category::InvalidSpec, problem.sentence()));
    }
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

/// Every rule of the CRD that a spec breaks, each with the path of its field.
pub fn problems(spec: &ComputeSpec) -> Vec<Problem> {
    let pool = &spec.node_pool;
    let mut found = Vec::new();
    let count = pool.node_selector.len();
    if !(1..=32).contains(&count) {
        let count = format!("{count} pairs");
        found.push(Problem::found(path(&SELECTOR), format!("has {count}; it takes 1 to 32"), count));
    }
    found.extend(pairs(pool.node_selector.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
    if pool.tolerations.len() > 32 {
        let items = format!("{} items", pool.tolerations.len());
        found.push(Problem::found(path(&TOLERATIONS), format!("has {items}; it takes at most 32"), items));
    }
    found.extend(tolerations(pool.tolerations.iter().enumerate()));
    found
}

fn below(parent: &[&str], step: Step) -> Vec<Step> {
    path(parent).into_iter().chain([step]).collect()
}

/// What is wrong with these pairs of the node selector.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (key, value) in pairs {
        let at = below(&SELECTOR, Step::Key(key.to_owned()));
        if let Err(why) = label_key(key) {
            found.push(Problem::found(at, format!("is no label key: {why}"), quoted(key)));
        } else if let Err(why) = label_value(value) {
            found.push(Problem::found(at, format!("is {}: {why}", quoted(value)), quoted(value)));
        }
    }
    found
}

/// What is wrong with these tolerations, each with its number in the list.
pub fn tolerations<'a>(tolerations: impl IntoIterator<Item = (usize, &'a Toleration)>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, toleration) in tolerations {
        let mut at = below(&TOLERATIONS, Step::Index(index));
        if let Err(Misfit { field, text, value }) = tolerable(toleration) {
            at.push(Step::Key(field.into()));
            let found_value = (!value.is_empty()).then(|| quoted(value));
            found.push(Problem { found: found_value, ..Problem::new(at, text) });
        } else if !seen.insert(toleration) {
            found.push(Problem::new(at, "is listed twice; list each toleration once"));
        }
    }
    found
}

/// The field of a toleration that breaks a rule.
struct Misfit<'a> {
    field: &'static str,
    text: String,
    value: &'a str,
}

fn tolerable(toleration: &Toleration) -> Result<(), Misfit<'_>> {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let misfit = |field, value, text| Err(Misfit { field, text, value });
    match toleration.operator {
        TolerationOperator::Exists if !value.is_empty() => {
            let text = format!("is {}, which has no meaning with operator Exists; remove it", quoted(value));
            return misfit("value", value, text);
        }
        TolerationOperator::Equal if key.is_empty() => {
            let text = "is absent; operator Equal needs a key: name one, or use Exists";
            return misfit("key", key, text.into());
        }
        TolerationOperator::Exists | TolerationOperator::Equal => {}
    }
    let refused = |text: &str, why| format!("is {}: {why}", quoted(text));
    match (label_key(key), label_value(value)) {
        (Err(why), _) if !key.is_empty() => misfit("key", key, refused(key, why)),
        (_, Err(why)) => misfit("value", value, refused(value, why)),
        (_, Ok(())) => Ok(()),
    }
}

/// A toleration as pods will carry it: no empty strings where nothing is meant.
pub fn normal(toleration: &Toleration) -> Toleration {
    let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Toleration { key: present(&toleration.key), value: present(&toleration.value), ..toleration.clone() }
}

/// Whether this can be the key of a label or of a taint; why not.
pub fn label_key(key: &str) -> Result<(), &'static str> {
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

/// Whether this can be the name of any object: a DNS subdomain. What is none has no path of its own in the API: it would
/// lead elsewhere.
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(dns_label)
}

/// Whether this can be the value of a label, its length aside.
pub fn is_label_value(value: &str) -> bool {
    value.len() > 63 || label_value(value).is_ok()
}

/// Whether this can be the value of a label; why not.
pub fn label_value(value: &str) -> Result<(), &'static str> {
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

    #[test]
    fn what_would_lead_elsewhere_is_no_name() {
        for name in ["a", "rv-a", "etl-7.data", "1"] {
            assert!(is_object_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for name in ["", ".", "..", "../x", "a/b", "a b", "a?x=y", "a#", "a%2e", "A", "-a", "a.", "é", &long]
        {
            assert!(!is_object_name(name), "{name}");
        }
    }
    use serde_json::{Value, json};

    /// Through the real types, as stored objects come in.
    fn check_pool(pool: Value) -> Result<(), String> {
        let spec = serde_json::from_value(json!({"purpose": "query", "nodePool": pool})).unwrap();
        let found: Vec<String> = problems(&spec).iter().map(Problem::sentence).collect();
        if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
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
            (json!({"nodeSelector": {"-a": "x"}}), "nodeSelector.-a is no label key"),
            (json!({"nodeSelector": {"a/b/c": "x"}}), "nodeSelector[\"a/b/c\"] is no label key"),
            (json!({"nodeSelector": {"/b": "x"}}), "nodeSelector[\"/b\"] is no label key"),
            (json!({"nodeSelector": {"Ex.com/b": "x"}}), "nodeSelector[\"Ex.com/b\"] is no label key"),
            (json!({"nodeSelector": {"a": "-x"}}), "nodeSelector.a is \"-x\""),
            (json!({"nodeSelector": {"а": "x"}}), "is no label key"), // a Cyrillic look-alike
            (json!({"nodeSelector": {"a": "x".repeat(64)}}), "nodeSelector.a is"),
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

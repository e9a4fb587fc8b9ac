//! A strict reader of the OpenMetrics text format: what a scraper might forgive fails here.

use std::collections::{BTreeMap, BTreeSet};

/// A sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A scrape.
#[derive(Debug)]
pub struct Exposition {
    /// All samples, in order.
    pub samples: Vec<Sample>,
    /// Name, type and help of each family, in order.
    pub families: Vec<(String, String, String)>,
}

impl Exposition {
    /// Reads a scrape; panics with the line that breaks a rule.
    pub fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("it does not end with its mark"));
        let mut samples: Vec<Sample> = Vec::new();
        let (mut names, mut seen, mut families) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut family = Family::default();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (word, name) = (words.next().unwrap(), words.next().unwrap_or_default());
                let rest = words.next().unwrap_or_default();
                if name != family.name {
                    assert!(names.insert(name.to_owned()), "{name} comes twice: {line}");
                    family = Family { name: name.to_owned(), ..Family::default() };
                }
                assert!(!family.sampled, "it comes after a sample: {line}");
                let before = match word {
                    "HELP" => std::mem::replace(&mut family.help, rest.to_owned()),
                    "TYPE" => std::mem::replace(&mut family.kind, rest.to_owned()),
                    "UNIT" => std::mem::replace(&mut family.unit, rest.to_owned()),
                    word => panic!("{word} is no word of the format: {line}"),
                };
                assert!(before.is_empty() && !rest.is_empty(), "empty, or said twice: {line}");
                continue;
            }
            assert!(!family.help.is_empty() && !family.kind.is_empty(), "no HELP or TYPE before: {line}");
            if !std::mem::replace(&mut family.sampled, true) {
                families.push((family.name.clone(), family.kind.clone(), family.help.clone()));
            }
            let sample = sample(line);
            family.takes(&sample, line);
            let key = format!("{} {:?}", sample.name, sample.labels);
            assert!(seen.insert(key), "the same series twice: {line}");
            samples.push(sample);
        }
        Self { samples, families }
    }

    /// The value of the series with exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.samples
            .iter()
            .find(|sample| sample.name == name && sample.labels == labels)
            .map(|sample| sample.value)
    }

    /// The series about a Compute.
    pub fn of(&self, compute: &str) -> Vec<&Sample> {
        let about = |sample: &&Sample| sample.labels.get("compute").is_some_and(|name| name == compute);
        self.samples.iter().filter(about).collect()
    }

    /// The one value of `label` for which the series of this name about a Compute is 1; panics unless exactly one is.
    pub fn one_hot(&self, name: &str, compute: &str, label: &str) -> String {
        let series: Vec<_> = self.of(compute).into_iter().filter(|sample| sample.name == name).collect();
        let sum: f64 = series.iter().map(|sample| sample.value).sum();
        assert!((sum - 1.0).abs() < f64::EPSILON, "{name} of {compute} sums to {sum}: {series:?}");
        let hot: Vec<_> = series.iter().filter(|sample| sample.value > 0.5).collect();
        assert_eq!(hot.len(), 1, "{series:?}");
        hot[0].labels[label].clone()
    }
}

#[derive(Default)]
struct Family {
    name: String,
    help: String,
    kind: String,
    unit: String,
    sampled: bool,
}

impl Family {
    /// Asserts that a sample is of this family, by its name and its type.
    fn takes(&self, sample: &Sample, line: &str) {
        assert!(named(&self.name, ':'), "{} is no name of a metric", self.name);
        let suffix = sample.name.strip_prefix(&self.name).unwrap_or_else(|| panic!("of no family: {line}"));
        let suffixes: &[&str] = match self.kind.as_str() {
            "gauge" => &[""],
            "counter" => &["_total", "_created"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count", "_created"],
            kind => panic!("{kind} is no type that Poros has: {line}"),
        };
        assert!(suffixes.contains(&suffix), "a {} has no {suffix:?}: {line}", self.kind);
        assert_eq!(suffix == "_bucket", sample.labels.contains_key("le"), "{line}");
        let counted = self.kind == "counter" || suffix == "_bucket" || suffix == "_count";
        assert!(!counted || (sample.value >= 0.0 && sample.value.is_finite()), "{line}");
    }
}

fn named(name: &str, also: char) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == also)
}

/// `name{label="value",…} value`.
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
            assert!(named(label, '_'), "{label:?} is no name of a label: {line}");
            let (value, after) = quoted(after).unwrap_or_else(|| panic!("an open quote: {line}"));
            assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
            assert!(after.starts_with(['}', ',']), "{line}");
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("{value:?} is no number: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// The text up to the closing quote, without its escapes, and what comes after.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                other => panic!("\\{other} is no escape"),
            }),
            (_, character) => value.push(character),
        }
    }
}

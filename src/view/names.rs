//! Names that people meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::decide::meant::{by_nearness, nearest};

/// How many names a sentence lists.
const LISTED: usize = 5;

/// `Compute quer does not exist; did you mean query? There are: …`: what to say of a name that is not there.
pub fn absent(kind: &str, name: &str, there: &[String]) -> String {
    if there.is_empty() {
        return format!("no {kind} named {name} exists; there is none at all");
    }
    let names: Vec<&str> = by_nearness(name, there).into_iter().map(|(_, name)| name).collect();
    let listed = listed(&names, LISTED);
    match nearest(name, there) {
        Some(meant) => format!("no {kind} named {name} exists; did you mean {meant}? There are: {listed}"),
        None => format!("no {kind} named {name} exists; there are: {listed}"),
    }
}

/// The first few of a list, and how many more there are.
pub fn listed(names: &[impl AsRef<str>], most: usize) -> String {
    let mut text = names.iter().take(most).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > most {
        let _ = write!(text, " and {} more", names.len() - most);
    }
    text
}

/// `key=value` pairs, as `kubectl -l` takes them; `none` for none.
pub fn pairs(pairs: &BTreeMap<String, String>) -> String {
    if pairs.is_empty() {
        return "none".into();
    }
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// `1 node`, `2 nodes`.
pub fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_name_is_told_with_what_is_there() {
        let there: Vec<String> = ["gpu", "query-default", "runnable-default"].map(String::from).into();
        assert_eq!(
            absent("Compute", "query-defualt", &there),
            "no Compute named query-defualt exists; did you mean query-default? There are: query-default, runnable-default, gpu"
        );
        assert_eq!(
            absent("Compute", "x", &there),
            "no Compute named x exists; there are: gpu, query-default, runnable-default"
        );
        assert_eq!(absent("Compute", "x", &[]), "no Compute named x exists; there is none at all");
        let many: Vec<String> = (0..9).map(|index| format!("n{index}")).collect();
        assert_eq!(listed(&many, 3), "n0, n1, n2 and 6 more");
    }
}

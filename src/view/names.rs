//! Names that people meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::decide::meant::{by_nearness, nearest};
use crate::decide::problem::quoted;
use crate::decide::validate::is_object_name;

/// How many names a sentence lists.
const LISTED: usize = 5;

/// A name, of a namespaced object with its namespace, as sentences have it: in quotes if it can be none.
pub fn told(name: &str) -> String {
    if name.split('/').all(is_object_name) { name.to_owned() } else { quoted(name) }
}

/// `Compute quer does not exist; did you mean query? There are: …`: what to say of a name that is not there.
pub fn absent(kind: &str, name: &str, there: &[String]) -> String {
    let shown = told(name);
    if there.is_empty() {
        return format!("no {kind} named {shown} exists; there is none at all");
    }
    let names: Vec<&str> = by_nearness(name, there).into_iter().map(|(_, name)| name).collect();
    let listed = listed(&names, LISTED);
    match nearest(name, there) {
        Some(meant) => format!("no {kind} named {shown} exists; did you mean {meant}? There are: {listed}"),
        None => format!("no {kind} named {shown} exists; there are: {listed}"),
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
        assert_eq!(absent("Compute", "", &[]), "no Compute named \"\" exists; there is none at all");
        assert_eq!(
            absent("pod", "data/../x?y\u{1b}[2J", &[]),
            "no pod named \"data/../x?y\\u{1b}[2J\" exists; there is none at all"
        );
        let many: Vec<String> = (0..9).map(|index| format!("n{index}")).collect();
        assert_eq!(listed(&many, 3), "n0, n1, n2 and 6 more");
    }
}

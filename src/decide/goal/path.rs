//! The part of kubectl's `JSONPath` that names one field: `{.status.conditions[?(@.type=="Ready")].reason}`.

use std::fmt;

use serde_json::Value;

/// Where a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
    /// As it was given, without braces.
    given: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// From the end where it is negative.
    Index(i64),
    /// The first of a list whose field has this value.
    First {
        key: String,
        value: String,
    },
}

impl Path {
    /// Reads `{.a.b[0]['c.d']}`, with or without braces; none if it is anything else.
    pub fn read(given: &str) -> Option<Self> {
        let trimmed = given.trim();
        let inner = trimmed.strip_prefix('{').map_or(Some(trimmed), |rest| rest.strip_suffix('}'))?.trim();
        let mut rest = inner.strip_prefix('$').unwrap_or(inner);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = match rest.strip_prefix('[') {
                Some(bracket) => in_brackets(bracket)?,
                // The first dot may be left out.
                None if steps.is_empty() || rest.starts_with('.') => {
                    key(rest.strip_prefix('.').unwrap_or(rest))?
                }
                None => return None,
            };
            steps.push(step);
            rest = left;
        }
        (!steps.is_empty()).then(|| Self { steps, given: inner.to_owned() })
    }

    /// The field, if it is there.
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => {
                let list = value.as_array()?;
                let length = i64::try_from(list.len()).ok()?;
                let index = if *index < 0 { length.checked_add(*index)? } else { *index };
                list.get(usize::try_from(index).ok()?)
            }
            Step::First { key, value: wanted } => value
                .as_array()?
                .iter()
                .find(|item| item.get(key).is_some_and(|found| as_text(found) == *wanted)),
        })
    }

    /// Whether it begins with this key.
    pub fn is_in(&self, key: &str) -> bool {
        self.steps.first() == Some(&Step::Key(key.to_owned()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(&self.given)
    }
}

/// A value as text: strings without quotes.
pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A key up to the next dot or bracket; `\.` is a dot of its own.
fn key(text: &str) -> Option<(Step, &str)> {
    let mut key = String::new();
    let mut signs = text.char_indices();
    let mut rest = "";
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => key.push(signs.next()?.1),
            '.' | '[' => {
                rest = &text[at..];
                break;
            }
            '*' | ' ' | ']' | '{' | '}' | '(' | ')' | '?' | '@' => return None,
            sign => key.push(sign),
        }
    }
    (!key.is_empty()).then_some((Step::Key(key), rest))
}

/// What follows a `[`, up to and with its `]`.
fn in_brackets(text: &str) -> Option<(Step, &str)> {
    if let Some(filter) = text.strip_prefix("?(@.") {
        let (key, rest) = filter.split_once("==")?;
        let (value, rest) = quoted(rest.trim_start())?;
        let rest = rest.trim_start().strip_prefix(")]")?;
        return Some((Step::First { key: key.trim().to_owned(), value }, rest));
    }
    if text.starts_with(['\'', '"']) {
        let (key, rest) = quoted(text)?;
        return Some((Step::Key(key), rest.strip_prefix(']')?));
    }
    let (index, rest) = text.split_once(']')?;
    Some((Step::Index(index.trim().parse().ok()?), rest))
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|sign| ['\'', '"'].contains(sign))?;
    let (inner, rest) = text[1..].split_once(quote)?;
    Some((inner.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_found_as_kubectl_names_it() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "d"}},
            "status": {"n": 2, "list": [{"type": "X", "reason": "no"}, {"type": "Ready", "reason": "Active"}]},
        });
        for (given, expect) in [
            ("{.status.n}", "2"),
            (".status.n", "2"),
            ("status.n", "2"),
            ("{.status.list[0].reason}", "no"),
            ("{.status.list[-1].reason}", "Active"),
            (r#"{.status.list[?(@.type=="Ready")].reason}"#, "Active"),
            ("{$.status.list[?(@.type == 'X')].reason}", "no"),
            (r"{.metadata.labels.a\.b/c}", "d"),
            ("{.metadata.labels['a.b/c']}", "d"),
        ] {
            let path = Path::read(given).unwrap_or_else(|| panic!("{given}"));
            assert_eq!(path.find(&object).map(as_text).as_deref(), Some(expect), "{given}");
        }
        for absent in ["{.status.m}", "{.status.list[9]}", "{.status.list[-9]}", "{.status.n.o}"] {
            assert_eq!(Path::read(absent).unwrap().find(&object), None, "{absent}");
        }
    }

    #[test]
    fn what_names_no_single_field_is_refused() {
        for given in
            ["", "{}", "{.", "{.a", "{.a[*]}", "{range .a}{end}", "{.a[x]}", "{.a['b]}", "{..a}", "é["]
        {
            assert_eq!(Path::read(given), None, "{given}");
        }
    }
}

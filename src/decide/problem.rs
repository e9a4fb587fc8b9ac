//! What is wrong with a manifest, as data: where, what was found, what is allowed there, and what was perhaps meant.

use std::fmt::Write as _;

use serde_json::Value;

use crate::decide::meant::nearest;

/// How many characters of a found value are shown.
const SHOWN: usize = 80;

/// One step of a path into a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field, or a key of a map.
    Key(String),
    /// An item of a list.
    Index(usize),
}

/// The path of these fields.
pub fn path(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

/// A path as people write it: `spec.nodePool.tolerations[0].key`.
pub fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
            Step::Key(key) if key.is_empty() || !key.chars().all(plain) => {
                let _ = write!(text, "[{}]", quoted(key));
            }
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    text
}

fn plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '$')
}

/// Something that a manifest gets wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub path: Vec<Step>,
    /// What, in words that fit after the path.
    pub text: String,
    /// What was found there, as it is shown to people; none where nothing is.
    pub found: Option<String>,
    /// All that is allowed there, where that is a list of words.
    pub allowed: Vec<String>,
    /// The allowed word that was perhaps meant.
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem that its path and its words say in full.
    pub fn new(path: Vec<Step>, text: impl Into<String>) -> Self {
        Self { path, text: text.into(), ..Self::default() }
    }

    /// The same, with what was found.
    pub fn found(path: Vec<Step>, text: impl Into<String>, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..Self::new(path, text) }
    }

    /// `word` is none of the words that are allowed: `is "fast"; did you mean …? It takes …`.
    pub fn word(path: Vec<Step>, word: &str, allowed: Vec<String>) -> Self {
        let found = quoted(word);
        let list = allowed.join(", ");
        let nearest = nearest(word, &allowed);
        let text = match &nearest {
            Some(meant) => format!("is {found}; did you mean {meant}? It takes {list}"),
            None => format!("is {found}; it takes {list}"),
        };
        Self { path, text, found: Some(found), allowed, nearest }
    }

    /// The last step of the path is none of the fields that there are.
    pub fn field(path: Vec<Step>, field: &str, allowed: Vec<String>) -> Self {
        let list = allowed.join(", ");
        let nearest = nearest(field, &allowed);
        let text = match &nearest {
            Some(meant) => format!("is no field; did you mean {meant}? There are: {list}"),
            None => format!("is no field; there are: {list}"),
        };
        Self { path, text, found: Some(quoted(field)), allowed, nearest }
    }

    /// Path and words: `spec.purpose is "fast"; …`.
    pub fn sentence(&self) -> String {
        match written(&self.path) {
            at if at.is_empty() => format!("the manifest {}", self.text),
            at => format!("{at} {}", self.text),
        }
    }
}

/// A text as it is shown: in quotes, on one line, without signs that change what a terminal shows, and not at any length.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// A value as it is shown: a word, a number or a text as they are, lists and maps by their kind.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_near_is_suggested() {
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"].map(String::from).to_vec();
        let problem = Problem::word(path(&["effect"]), "NoSchedul", effects.clone());
        assert_eq!(
            problem.sentence(),
            "effect is \"NoSchedul\"; did you mean NoSchedule? It takes NoSchedule, PreferNoSchedule, NoExecute"
        );
        assert_eq!(problem.found.as_deref(), Some("\"NoSchedul\""));
        assert_eq!(problem.nearest.as_deref(), Some("NoSchedule"));
        assert_eq!(problem.allowed, effects);
        assert_eq!(Problem::word(Vec::new(), "x", effects).nearest, None);
    }

    #[test]
    fn nothing_is_shown_that_a_terminal_would_act_on() {
        for (text, expect) in [
            ("a\u{1b}[31m", r#""a\u{1b}[31m""#),
            ("a\u{202e}b", r#""a\u{202e}b""#),
            ("a\0b\nc", r#""a\0b\nc""#),
            ("grün 🛠", "\"grün 🛠\""),
        ] {
            assert_eq!(quoted(text), expect);
        }
        assert_eq!(quoted(&"é".repeat(1000)).chars().count(), SHOWN + 3);
        assert_eq!(written(&path(&["a", "b.c/d", "", "e\u{1b}", "f"])), r#"a["b.c/d"][""]["e\u{1b}"].f"#);
    }
}

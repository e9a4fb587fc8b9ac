//! `$NAME` and `${NAME}` in a manifest: the environment, put into scalars after they were read.
//!
//! A value can never become structure, comments are not touched, and places stay what they were. A plain scalar gets its
//! type anew (`minReadyNodes: $N` is a number), a quoted one stays a text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::decide::meant::nearest;
use crate::decide::problem::{Problem, Step, quoted};
use crate::view::manifest::Document;
use crate::view::manifest::decode::LONGEST;
use crate::view::manifest::tree::{self, Node, Shape, Style};

/// The environment variables, by name.
pub type Variables = BTreeMap<String, String>;

impl Document {
    /// Puts the variables in; gives back what could not be, with its path. What could not stays as it was written.
    pub fn interpolate(&mut self, variables: &Variables) -> Vec<Problem> {
        let mut walk =
            Walk { variables, path: Vec::new(), written: Vec::new(), problems: Vec::new(), left: LONGEST };
        walk.node(&mut self.root);
        self.written = walk.written;
        walk.problems
    }

    /// Tells a problem with what was written, not with what the environment holds: that may be for nobody's eyes.
    pub fn conceal(&self, problem: &mut Problem) {
        let Some((_, written)) = self.written.iter().find(|(path, _)| *path == problem.path) else { return };
        if let Some(found) = &mut problem.found {
            let written = quoted(written);
            problem.text = problem.text.replace(&*found, &written);
            *found = written;
        }
    }
}

struct Walk<'a> {
    variables: &'a Variables,
    path: Vec<Step>,
    /// What was written where something was put in.
    written: Vec<(Vec<Step>, String)>,
    problems: Vec<Problem>,
    /// How many bytes all values together may still add.
    left: usize,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.shape {
            Shape::Leaf(Value::String(text), style) => {
                if let Some(put) = self.text(text) {
                    self.written.push((self.path.clone(), std::mem::take(text)));
                    let text = put;
                    let value = match style {
                        Style::Plain => tree::plain(&text),
                        Style::Quoted => text.into(),
                    };
                    node.shape = Shape::Leaf(value, *style);
                }
            }
            Shape::Leaf(..) => {}
            Shape::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(Step::Index(index));
                    self.node(item);
                    self.path.pop();
                }
            }
            Shape::Map(fields) => {
                let mut keys = BTreeSet::new();
                for (key, value) in fields {
                    self.path.push(Step::Key(key.text.clone()));
                    if let Some(text) = self.text(&key.text) {
                        self.path.pop();
                        self.path.push(Step::Key(text.clone()));
                        key.text = text;
                    }
                    if !keys.insert(key.text.clone()) {
                        self.say("is there twice, once the environment variables are put in");
                    }
                    self.node(value);
                    self.path.pop();
                }
            }
        }
    }

    fn say(&mut self, text: impl Into<String>) {
        self.problems.push(Problem::new(self.path.clone(), text));
    }

    /// The text with its variables put in; none if there is nothing to put in, or something is wrong.
    fn text(&mut self, text: &str) -> Option<String> {
        if !text.contains('$') {
            return None;
        }
        let before = self.problems.len();
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            whole.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            rest = match reference(after) {
                Reference::Dollar { rest } => {
                    whole.push('$');
                    rest
                }
                Reference::Nothing => {
                    whole.push('$');
                    after
                }
                Reference::Named { name, rest } => {
                    match self.variables.get(name) {
                        Some(value) if value.len() > self.left => {
                            self.say(format!("would make the manifest longer than {LONGEST} bytes: ${name}"));
                        }
                        Some(value) => {
                            self.left -= value.len();
                            whole.push_str(value);
                        }
                        None => self.absent(name),
                    }
                    rest
                }
                Reference::Strange { rest } => {
                    self.say(
                        "has a ${ that no name and } follow; write ${NAME}, $$ for a dollar sign, or give --disable-interpolation",
                    );
                    rest
                }
            };
        }
        whole.push_str(rest);
        (self.problems.len() == before).then_some(whole)
    }

    fn absent(&mut self, name: &str) {
        let names: Vec<&String> = self.variables.keys().collect();
        let meant = nearest(name, &names);
        let hint = meant.as_ref().map(|meant| format!("; did you mean ${meant}?")).unwrap_or_default();
        let text = format!(
            "names the environment variable {name}, which is not set{hint} Set it, write $${name} for a dollar sign, or give --disable-interpolation"
        );
        let text = if meant.is_some() { text } else { text.replacen(" Set it", ": set it", 1) };
        let found = Some(format!("${name}"));
        self.problems.push(Problem { found, nearest: meant, ..Problem::new(self.path.clone(), text) });
    }
}

/// What follows a `$`.
enum Reference<'a> {
    /// Another one: both are one dollar sign.
    Dollar { rest: &'a str },
    /// A name.
    Named { name: &'a str, rest: &'a str },
    /// A `{` without a name and `}`.
    Strange { rest: &'a str },
    /// Something else: the dollar sign stays.
    Nothing,
}

fn reference(after: &str) -> Reference<'_> {
    let length = |text: &str| {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        if starts { length } else { 0 }
    };
    if let Some(rest) = after.strip_prefix('$') {
        return Reference::Dollar { rest };
    }
    if let Some(braced) = after.strip_prefix('{') {
        let (name, rest) = braced.split_at(length(braced));
        return match rest.strip_prefix('}') {
            Some(rest) if !name.is_empty() => Reference::Named { name, rest },
            _ => Reference::Strange { rest: braced },
        };
    }
    match after.split_at(length(after)) {
        ("", _) => Reference::Nothing,
        (name, rest) => Reference::Named { name, rest },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::problem::{path, written};
    use crate::view::manifest::read;
    use serde_json::json;

    fn variables() -> Variables {
        [
            ("N", "3"),
            ("NAME", "query"),
            ("YAML", "a: b\n- c # d"),
            ("EMPTY", ""),
            ("YES", "true"),
            ("SECRET_TOKEN", "s3cr3t"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn interpolated(text: &str) -> (Value, Vec<Problem>) {
        let mut document = read("f.yaml", text).unwrap().remove(0);
        let problems = document.interpolate(&variables());
        (document.value(), problems)
    }

    #[test]
    fn scalars_get_their_variables_and_their_type() {
        for (text, expect) in [
            ("a: $N", json!({"a": 3})),
            ("a: ${N}", json!({"a": 3})),
            ("a: \"$N\"", json!({"a": "3"})),
            ("a: '$N'", json!({"a": "3"})),
            ("a: |\n  $N", json!({"a": "3\n"})),
            ("a: &x $N\nb: *x", json!({"a": 3, "b": 3})),
            ("a: &x \"$N\"\nb: *x", json!({"a": "3", "b": "3"})),
            ("a: !!str $N", json!({"a": "3"})),
            ("a: $N$N", json!({"a": 33})),
            ("a: v$N", json!({"a": "v3"})),
            ("a: $YES", json!({"a": true})),
            ("a: $EMPTY", json!({})),
            ("a: \"$EMPTY\"", json!({"a": ""})),
            ("a: $YAML", json!({"a": "a: b\n- c # d"})),
            ("a: [$N, {b: $NAME}]", json!({"a": [3, {"b": "query"}]})),
            ("$NAME: 1", json!({"query": 1})),
            ("$N: 1", json!({"3": 1})),
            ("a: $$N costs $5 or $ or 5$", json!({"a": "$N costs $5 or $ or 5$"})),
            ("a: $$$N", json!({"a": "$3"})),
            ("a: 1 # $ABSENT", json!({"a": 1})),
            ("a: ${NAME}-x $NAME_", json!(null)),
            ("a: é$N", json!({"a": "é3"})),
        ] {
            let (value, problems) = interpolated(text);
            if expect.is_null() {
                assert_eq!(problems.len(), 1, "{text}");
            } else {
                assert_eq!((value, problems), (expect, vec![]), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_set_is_told_and_no_value_is() {
        let (value, problems) =
            interpolated("a:\n- b: $NAMEE\n  c: $SECRET_TOKE\n  d: ${X:-y}\n  e: $ABSENT");
        let told: Vec<String> = problems.iter().map(Problem::sentence).collect();
        assert_eq!(
            told,
            [
                "a[0].b names the environment variable NAMEE, which is not set; did you mean $NAME? Set it, write $$NAMEE for a dollar sign, or give --disable-interpolation",
                "a[0].c names the environment variable SECRET_TOKE, which is not set; did you mean $SECRET_TOKEN? Set it, write $$SECRET_TOKE for a dollar sign, or give --disable-interpolation",
                "a[0].d has a ${ that no name and } follow; write ${NAME}, $$ for a dollar sign, or give --disable-interpolation",
                "a[0].e names the environment variable ABSENT, which is not set: set it, write $$ABSENT for a dollar sign, or give --disable-interpolation",
            ]
        );
        assert!(!told.concat().contains("s3cr3t"));
        assert_eq!(value["a"][0]["e"], "$ABSENT", "what could not be put in stays");
    }

    #[test]
    fn keys_must_stay_apart() {
        let (_, problems) = interpolated("query: 1\n$NAME: 2");
        assert_eq!(problems[0].sentence(), "query is there twice, once the environment variables are put in");
    }

    #[test]
    fn places_stay_and_growth_is_bounded() {
        let mut document = read("f.yaml", "a: 1\n$NAME:\n  b: $YAML\n").unwrap().remove(0);
        assert_eq!(document.interpolate(&variables()), []);
        assert_eq!(document.place(&path(&["query", "b"])), (3, 3));
        let long = Variables::from([("L".to_owned(), "x".repeat(1 << 20))]);
        let mut document = read("f.yaml", "[$L, $L, $L, $L]").unwrap().remove(0);
        let problems = document.interpolate(&long);
        assert_eq!(problems.len(), 1);
        assert_eq!(written(&problems[0].path), "[3]");
    }
}

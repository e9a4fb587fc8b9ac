//! Templates of `JSONPath` in kubectl's dialect: text, `{.metadata.name}`, `{range .items[*]}…{end}`, `{"\n"}`.
//!
//! The dialect is older than RFC 9535: names have dashes, keys have escaped dots, braces are left out for a column. Each path
//! is put in the words of the RFC ([`dialect`]), and a library does the rest.

mod dialect;

use std::iter::Peekable;
use std::str::CharIndices;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;
use thiserror::Error;

/// The longest template, in bytes.
const LONGEST: usize = 16 << 10;
/// How deep `range` may stand in `range`.
const DEEPEST: usize = 16;

/// A template does not parse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("column {column}: {text}")]
pub struct JsonPathError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub text: String,
}

/// A path into an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    query: JpQuery,
    /// Whether it begins at the whole, not at the item of a range.
    absolute: bool,
}

impl Path {
    /// A path without a template around it, as for a column: `.metadata.name`, `metadata.name` or `{.metadata.name}`.
    pub fn relaxed(given: &str) -> Result<Self, JsonPathError> {
        let inner = given.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(given);
        let mut source = Source::new(inner)?;
        let path = source.path()?;
        match source.peek() {
            None => Ok(path),
            Some(sign) => Err(source.error(&format!("{sign:?} is not part of a path"))),
        }
    }

    /// What it leads to.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        // What is not there is nothing, as kubectl has it by default.
        let found = js_path_process(&self.query, value).unwrap_or_default();
        found.into_iter().map(|found| found.val).collect()
    }
}

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Path(Path),
    Range(Path, Vec<Part>),
}

impl Template {
    /// Reads a template. One without braces is a path: printed as it is, it would tell nothing.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        if !text.contains('{') && text.starts_with(['.', '$', '@', '[']) {
            return Path::relaxed(text).map(|path| Self { parts: vec![Part::Path(path)] });
        }
        let mut source = Source::new(text)?;
        Ok(Self { parts: source.parts(0)? })
    }

    /// What it says of an object.
    pub fn told(&self, value: &Value) -> String {
        let mut text = String::new();
        tell(&self.parts, value, value, &mut text);
        text
    }
}

fn tell(parts: &[Part], whole: &Value, current: &Value, text: &mut String) {
    let found = |path: &Path| path.find(if path.absolute { whole } else { current });
    for part in parts {
        match part {
            Part::Text(words) => text.push_str(words),
            Part::Path(path) => {
                let values: Vec<String> = found(path).into_iter().map(told).collect();
                text.push_str(&values.join(" "));
            }
            Part::Range(path, inner) => {
                for item in found(path) {
                    tell(inner, whole, item, text);
                }
            }
        }
    }
}

/// A value as text: strings as they are, all else as JSON.
pub fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A template that is being read.
struct Source<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Result<Self, JsonPathError> {
        let source = Self { text, rest: text.char_indices().peekable() };
        if text.len() > LONGEST {
            return Err(source.error(&format!("it has {} bytes; the longest has {LONGEST}", text.len())));
        }
        Ok(source)
    }

    /// An error at the next sign.
    fn error(&self, text: &str) -> JsonPathError {
        let at = self.rest.clone().next().map_or(self.text.len(), |(at, _)| at);
        let column = self.text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        JsonPathError { column, text: text.to_owned() }
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, sign)| *sign)
    }

    fn take(&mut self) -> Option<char> {
        self.rest.next().map(|(_, sign)| sign)
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, sign)| *sign == wanted).is_some()
    }

    fn blanks(&mut self) {
        while self.rest.next_if(|(_, sign)| sign.is_whitespace()).is_some() {}
    }

    /// Parts up to the end, or up to the `{end}` of a range.
    fn parts(&mut self, depth: usize) -> Result<Vec<Part>, JsonPathError> {
        let mut parts = Vec::new();
        let mut words = String::new();
        while let Some(sign) = self.peek() {
            if sign != '{' {
                words.extend(self.take());
                continue;
            }
            if !words.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut words)));
            }
            if self.braces(depth, &mut parts)? {
                return Ok(parts);
            }
        }
        if depth > 0 {
            return Err(self.error("a {range …} has no {end}"));
        }
        if !words.is_empty() {
            parts.push(Part::Text(words));
        }
        Ok(parts)
    }

    /// What one pair of braces holds; whether that is the `end` of a range.
    fn braces(&mut self, depth: usize, parts: &mut Vec<Part>) -> Result<bool, JsonPathError> {
        self.take();
        loop {
            self.blanks();
            match self.peek() {
                None => return Err(self.error("a { has no }")),
                Some('}') => {
                    self.take();
                    return Ok(false);
                }
                Some('"' | '\'') => parts.push(Part::Text(self.quoted()?)),
                Some(_) => {
                    let before = self.rest.clone();
                    match self.word().as_str() {
                        "end" if depth == 0 => {
                            self.rest = before;
                            return Err(self.error("this {end} ends no {range …}"));
                        }
                        "end" => {
                            self.closing()?;
                            return Ok(true);
                        }
                        "range" if depth >= DEEPEST => {
                            return Err(self.error(&format!("ranges are at most {DEEPEST} deep")));
                        }
                        "range" => {
                            self.blanks();
                            let path = self.path()?;
                            self.closing()?;
                            parts.push(Part::Range(path, self.parts(depth + 1)?));
                            return Ok(false);
                        }
                        _ => {
                            self.rest = before;
                            parts.push(Part::Path(self.path()?));
                        }
                    }
                }
            }
        }
    }

    fn closing(&mut self) -> Result<(), JsonPathError> {
        self.blanks();
        if self.takes('}') { Ok(()) } else { Err(self.error("a } is expected")) }
    }

    /// Letters, if any.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some((_, sign)) = self.rest.next_if(|(_, sign)| sign.is_ascii_alphanumeric()) {
            word.push(sign);
        }
        word
    }

    /// A path, in words of the RFC.
    fn path(&mut self) -> Result<Path, JsonPathError> {
        let absolute = self.takes('$');
        let begin = self.error("");
        if !absolute {
            self.takes('@');
        }
        let mut query = String::from("$");
        self.steps(&mut query, false)?;
        let query =
            parse_json_path(&query).map_err(|_| JsonPathError { text: "this is no path".into(), ..begin })?;
        Ok(Path { query, absolute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list() -> Value {
        json!({"items": [
            {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x", "my-key": "y"}},
             "spec": {"n": 2, "tags": ["t1", "t2", "t3"]},
             "status": {"conditions": [{"type": "Built", "status": "False"}, {"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "spec": {"n": 10, "tags": []}, "status": {"conditions": []}},
        ]})
    }

    fn told(template: &str) -> String {
        Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}")).told(&list())
    }

    /// What kubectl 1.36 prints for the same.
    #[test]
    fn templates_say_what_kubectl_says() {
        for (template, text) in [
            ("{.items[*].metadata.name}", "a b"),
            (".items[*].metadata.name", "a b"),
            ("{ .items[0].metadata.name }!", "a!"),
            ("{.items[-1].metadata.name}", "b"),
            ("{.items[0,1].spec.n}", "2 10"),
            ("{.items[0].spec.tags[0:2]}", "t1 t2"),
            ("{.items[0].spec.tags[1:]}", "t2 t3"),
            ("{.items[0].spec.tags}", r#"["t1","t2","t3"]"#),
            ("{.items[*]['metadata'].name}", "a b"),
            ("{.items[0]['metadata.name', 'spec.n']}", ""),
            (r"{.items[0].metadata.labels.app\.kubernetes\.io/name}", "x"),
            (r"{.items[0].metadata.labels['app\.kubernetes\.io/name']}", "x"),
            (r#"{.items[0].metadata.labels["app.kubernetes.io/name"]}"#, "x"),
            ("{.items[0].metadata.labels.my-key}", "y"),
            (r#"{range .items[*]}{.metadata.name}{"\t"}{.spec.n}{"\n"}{end}"#, "a\t2\nb\t10\n"),
            ("{range .items[*]}{.metadata.name}={range .spec.tags[*]}{@},{end};{end}", "a=t1,t2,t3,;b=;"),
            (r#"{.items[*].status.conditions[?(@.type=="Ready")].status}"#, "True"),
            ("{.items[?(@.metadata.name=='b')].spec.n}", "10"),
            ("{.items[?(@.spec.n > 5)].metadata.name}", "b"),
            (r#"{.items[?(@.metadata.labels.my-key=="y")].metadata.name}"#, "a"),
            (r#"{.items[?(@.metadata.labels.app\.kubernetes\.io/name=="x")].spec.n}"#, "2"),
            ("{..name}", "a b"),
            ("{.absent.field}", ""),
            ("{.items[7].spec}", ""),
            ("plain", "plain"),
            ("{range .items[*]}{$.items[0].spec.n}{end}", "22"),
            ("", ""),
        ] {
            assert_eq!(told(template), text, "{template}");
        }
    }

    #[test]
    fn what_does_not_parse_is_told_with_its_place() {
        for (template, error) in [
            ("a{.b", "column 5: a { has no }"),
            ("{range .items[*]}x", "column 19: a {range …} has no {end}"),
            ("x{end}", "column 3: this {end} ends no {range …}"),
            ("{.items[}", "column 9: '}' is no index, key or filter"),
            ("{.items[?(@.a==\"b]}", "column 20: a \" has no end"),
            ("{.items[?(@.a==1]}", "column 17: a ( has no )"),
            ("{.a..}", "column 6: a name is expected"),
            ("{.a b}{range .c d}", "column 17: a } is expected"),
            ("{\"a}", "column 5: a \" has no end"),
            ("{.a]}", "column 4: ']' is not part of a path"),
        ] {
            let found = Template::parse(template).unwrap_err().to_string();
            assert_eq!(found, error, "{template}");
        }
        assert!(Template::parse(&"{range .a}".repeat(40)).is_err());
        assert!(Template::parse(&format!("{{.a[?{}", "(".repeat(5000))).is_err());
        assert!(Path::relaxed(".a}b").is_err());
        assert!(Path::relaxed(&"x".repeat(20_000)).is_err());
    }

    #[test]
    fn no_template_panics() {
        let signs = [
            '{', '}', '.', '[', ']', '?', '(', ')', '@', '$', '*', '"', '\'', '\\', ',', ':', '-', '0', 'a',
            'é', ' ',
        ];
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(signs[usize::try_from(state >> 33).unwrap() % signs.len()]);
            }
            if let Ok(template) = Template::parse(&text) {
                template.told(&list());
            }
        }
    }
}

//! `JSONPath` in kubectl's dialect: paths (`.metadata.name`), and templates of them: text, `{.metadata.name}`,
//! `{range .items[*]}…{end}`, `{"\n"}`.
//!
//! The dialect is older than RFC 9535: names have dashes, keys have escaped dots, braces are left out for a column. Each path
//! is put in the words of the RFC ([`dialect`]), and a library does the rest.

mod dialect;
mod reach;

pub use reach::ReachError;

use dialect::Queries;

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;
use thiserror::Error;

/// The longest template, in bytes.
const LONGEST: usize = 16 << 10;
/// How deep `range` may stand in `range`.
const DEEPEST: usize = 16;

/// A template or path does not parse.
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
    /// What it leads to is what these do, one after the other.
    queries: Vec<JpQuery>,
    /// Whether it begins at the whole, not at the item of a range.
    absolute: bool,
    /// As it was given, without braces.
    given: String,
}

impl Path {
    /// A path without a template around it, as for a column: `.metadata.name`, `metadata.name` or `{.metadata.name}`.
    pub fn relaxed(given: &str) -> Result<Self, JsonPathError> {
        Self::read(&mut Source::new(given)?)
    }

    /// The same of one field: what could lead to several, or to the whole, is refused. Of what a filter leaves, the first counts.
    pub fn of_a_field(given: &str) -> Result<Self, JsonPathError> {
        let mut source = Source::new(given)?;
        let path = Self::read(&mut source)?;
        if let Some((column, step)) = source.several {
            return Err(JsonPathError { column, text: format!("{step} leads to more than one value") });
        }
        if path.queries.iter().all(|query| query.segments.is_empty()) {
            return Err(JsonPathError { column: 1, text: "it names no field".into() });
        }
        Ok(path)
    }

    fn read(source: &mut Source<'_>) -> Result<Self, JsonPathError> {
        source.blanks();
        let braced = source.takes('{');
        source.blanks();
        let path = source.path()?;
        if braced {
            source.closing()?;
        }
        source.blanks();
        match source.peek() {
            None => Ok(path),
            Some(sign) => Err(source.error(&format!("{sign:?} is not part of a path"))),
        }
    }

    /// Whether it begins with this key.
    pub fn is_in(&self, key: &str) -> bool {
        let is = |query: &JpQuery| matches!(query.segments.first(), Some(Segment::Selector(Selector::Name(first))) if first == key);
        self.queries.iter().any(is)
    }

    /// What it leads to. What is not there is nothing.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let found = |query| js_path_process(query, value).unwrap_or_default();
        self.queries.iter().flat_map(found).map(|found| found.val).collect()
    }

    /// As [`Self::find`], but an item that a list has not is an error, as kubectl has it. A key that is not there is nothing.
    pub fn reach<'a>(&self, value: &'a Value) -> Result<Vec<&'a Value>, ReachError> {
        self.queries.iter().try_for_each(|query| reach::check(&self.given, query, value))?;
        Ok(self.find(value))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(&self.given)
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
    pub fn told(&self, value: &Value) -> Result<String, ReachError> {
        let mut text = String::new();
        tell(&self.parts, value, value, &mut text)?;
        Ok(text)
    }
}

fn tell(parts: &[Part], whole: &Value, current: &Value, text: &mut String) -> Result<(), ReachError> {
    let found = |path: &Path| path.reach(if path.absolute { whole } else { current });
    for part in parts {
        match part {
            Part::Text(words) => text.push_str(words),
            Part::Path(path) => {
                let values: Vec<String> = found(path)?.into_iter().map(told).collect();
                text.push_str(&values.join(" "));
            }
            Part::Range(path, inner) => {
                for item in found(path)? {
                    tell(inner, whole, item, text)?;
                }
            }
        }
    }
    Ok(())
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
    /// The first step that can lead to more than one value: its column, and what it is. A filter is none: it finds one.
    several: Option<(usize, &'static str)>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Result<Self, JsonPathError> {
        let source = Self { text, rest: text.char_indices().peekable(), several: None };
        if text.len() > LONGEST {
            return Err(source.error(&format!("it has {} bytes; the longest has {LONGEST}", text.len())));
        }
        Ok(source)
    }

    /// An error at the next sign.
    fn error(&self, text: &str) -> JsonPathError {
        JsonPathError { column: self.column(), text: text.to_owned() }
    }

    /// Where the next sign is, in bytes from 0.
    fn at(&self) -> usize {
        self.rest.clone().next().map_or(self.text.len(), |(at, _)| at)
    }

    /// Where the next sign is, in characters from 1.
    fn column(&self) -> usize {
        self.text.get(..self.at()).map_or(0, |before| before.chars().count()) + 1
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
        let from = self.at();
        let absolute = self.takes('$');
        let begin = self.error("");
        if !absolute {
            self.takes('@');
        }
        let mut queries = Queries(vec!["$".into()]);
        self.steps(&mut queries, false)?;
        let queries: Result<Vec<JpQuery>, _> = queries.0.iter().map(|query| parse_json_path(query)).collect();
        let queries = queries.map_err(|_| JsonPathError { text: "this is no path".into(), ..begin })?;
        let given = self.text.get(from..self.at()).unwrap_or_default().to_owned();
        Ok(Path { queries, absolute, given })
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
        let parsed = Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
        parsed.told(&list()).unwrap_or_else(|error| panic!("{template}: {error}"))
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
            ("{.items[0]['metadata.name', 'spec.n']}", "a 2"),
            ("{.items[*]['metadata.name', 'spec.n']}", "a b 2 10"),
            ("{.items[*]['metadata','spec']['name','n']}", "a b 2 10"),
            ("{.items[0,1]['metadata.name']}", "a b"),
            ("{.items[0].metadata.labels['app.kubernetes.io/name']}", ""),
            ("{.items[0].spec.tags[3:]}", ""),
            ("{.items[*].absent[7]}", ""),
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
            ("plain", "plain"),
            ("{range .items[*]}{$.items[0].spec.n}{end}", "22"),
            ("", ""),
        ] {
            assert_eq!(told(template), text, "{template}");
        }
    }

    /// Where kubectl 1.36 ends with an error.
    #[test]
    fn what_a_list_has_not_is_an_error() {
        for (template, error) in [
            ("{.items[7].spec}", ".items[7].spec asks for item 7 of a list of 2; the first is 0"),
            ("{.items[-3].spec}", ".items[-3].spec asks for item -3 of a list of 2; the first is 0"),
            ("{.items[0,9].spec}", ".items[0,9].spec asks for item 9 of a list of 2; the first is 0"),
            ("{.items[0:9]}", ".items[0:9] asks for item 8 of a list of 2; the first is 0"),
            ("{.items[3:]}", ".items[3:] asks for item 3 of a list of 2; the first is 0"),
            ("{.items[1:0]}", ".items[1:0] asks for the items from 1 up to 0"),
            (
                "{.items[*].spec.tags[0]}",
                ".items[*].spec.tags[0] asks for item 0 of a list of 0; the first is 0",
            ),
            ("{range .items[9]}x{end}", ".items[9] asks for item 9 of a list of 2; the first is 0"),
            ("{.items[0].spec[0]}", ".items[0].spec[0] asks for an item of what is no list but a map"),
            (
                "{.items[0].metadata.name[0]}",
                ".items[0].metadata.name[0] asks for an item of what is no list but a text",
            ),
        ] {
            let found = Template::parse(template).unwrap().told(&list()).unwrap_err().to_string();
            assert_eq!(found, error, "{template}");
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
        for (path, error) in [
            (".a}b", "column 3: '}' is not part of a path"),
            ("{.a b}", "column 5: a } is expected"),
            ("{.a}b", "column 5: 'b' is not part of a path"),
            ("{ .a[x] }", "column 6: 'x' is no index, key or filter"),
        ] {
            assert_eq!(Path::relaxed(path).unwrap_err().to_string(), error, "{path}");
        }
        assert!(Path::relaxed(&"x".repeat(20_000)).is_err());
        let lists = Path::relaxed(&"[0,1]".repeat(7)).unwrap_err().to_string();
        assert_eq!(lists, "column 34: lists of keys make at most 64 paths of one");
        assert!(Path::relaxed(&"[0,1]".repeat(6)).is_ok());
    }

    #[test]
    fn a_field_is_found_as_kubectl_names_it() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "d"}},
            "status": {"n": 2, "list": [{"type": "X", "reason": "no"}, {"type": "Ready", "reason": "Active"}]},
        });
        let found = |given: &str| {
            let path = Path::of_a_field(given).unwrap_or_else(|error| panic!("{given}: {error}"));
            path.find(&object).first().map(|value| super::told(value))
        };
        for (given, expect) in [
            ("{.status.n}", "2"),
            ("{ .status.n }", "2"),
            (".status.n", "2"),
            ("status.n", "2"),
            ("{.status.list[0].reason}", "no"),
            ("{.status.list[-1].reason}", "Active"),
            (r#"{.status.list[?(@.type=="Ready")].reason}"#, "Active"),
            ("{$.status.list[?(@.type == 'X')].reason}", "no"),
            ("{.status.list[?(@.type)].reason}", "no"),
            (r"{.metadata.labels.a\.b/c}", "d"),
            (r"{.metadata.labels['a\.b/c']}", "d"),
        ] {
            assert_eq!(found(given).as_deref(), Some(expect), "{given}");
        }
        for absent in ["{.status.m}", "{.status.list[9]}", "{.status.list[-9]}", "{.status.n.o}"] {
            assert_eq!(found(absent), None, "{absent}");
        }
        for (given, inside) in
            [(".status.n", true), ("{$['status'].n}", true), ("spec.status", false), ("statu", false)]
        {
            assert_eq!(Path::of_a_field(given).unwrap().is_in("status"), inside, "{given}");
        }
        assert_eq!(Path::of_a_field("{ .a['b'] }").unwrap().to_string(), ".a['b']");
    }

    #[test]
    fn what_names_no_single_field_is_refused_with_its_place() {
        for (given, error) in [
            ("", "column 1: it names no field"),
            ("{}", "column 1: it names no field"),
            ("$", "column 1: it names no field"),
            ("{.", "column 3: a } is expected"),
            ("{.a", "column 4: a } is expected"),
            ("{.a[*]}", "column 5: * leads to more than one value"),
            ("é.*.b", "column 3: * leads to more than one value"),
            ("{.a[0:1]}", "column 5: a slice leads to more than one value"),
            ("{.a[0, 1]}", "column 5: a list of keys leads to more than one value"),
            ("{.a['b','c']}", "column 5: a list of keys leads to more than one value"),
            ("{..a}", "column 2: .. leads to more than one value"),
            ("{range .a}{end}", "column 8: a } is expected"),
            ("{.a[x]}", "column 5: 'x' is no index, key or filter"),
            ("{.a['b]}", "column 9: a ' has no end"),
            ("é[", "column 3: a [ has no ]"),
        ] {
            assert_eq!(Path::of_a_field(given).unwrap_err().to_string(), error, "{given}");
        }
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
                let _ = template.told(&list());
            }
            if let Ok(path) = Path::of_a_field(&text) {
                path.find(&list());
            }
        }
    }
}

//! jq filters: compiled with the place of what is wrong, and run without a view of anything but their input: no
//! environment, no clock, no time zone, no files, no modules, nothing that ends the process or writes beside the answer.
//!
//! A filter may run for ever, and take any memory: who runs one bounds both.

mod product;

use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read, write};
use serde_json::Value;
use thiserror::Error;

/// Built-ins of jq that see or touch more than their input.
const WITHHELD: [&str; 14] = [
    "env",
    // Given back by NOW.
    "now",
    "localtime",
    "strflocaltime",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input",
    "inputs",
    "repl",
    "input_filename",
];

/// What jq calls the time, as it is given to [`Filter::run`].
const NOW: &str = "def now: $__now__;";
const NOW_VARIABLE: &str = "$__now__";

/// What the filter itself is called.
const MAIN: &str = "__main__";

/// The longest filter, in bytes.
const LONGEST: usize = 64 << 10;

/// Why a filter does not compile.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    /// It is not how filters are written, or names something that there is not.
    #[error("the filter is wrong at line {line}, column {column}: {text}")]
    Wrong {
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What.
        text: String,
    },
    /// It wants a module.
    #[error("the filter wants a module, and there is none: write it in one piece")]
    Module,
    /// It is too long.
    #[error("the filter is longer than {} KiB", LONGEST >> 10)]
    Long,
}

/// Why a filter ends before its end.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RunError {
    /// It raised an error.
    #[error("{0}")]
    Raised(String),
    /// The filter's language has no such input.
    #[error("it cannot be read: {0}")]
    Unread(String),
}

/// A filter.
pub struct Filter(jaq_core::Filter<JustLut<Val>>);

impl Filter {
    /// Compiles it.
    pub fn compile(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST {
            return Err(FilterError::Long);
        }
        let defined = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let own = |text| load::parse(text, |parser| parser.defs()).unwrap_or_default();
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        // First only to be told what is wrong with how it is written, and where.
        Loader::new([]).load(&arena, File { code: text, path: () }).map_err(|errors| {
            let first = errors.into_iter().next().map(|(_, error)| error);
            match first {
                Some(load::Error::Lex(errors)) => first_of(
                    text,
                    errors
                        .into_iter()
                        .map(|(expect, found)| (found, format!("expected {}", expect.as_str()))),
                ),
                Some(load::Error::Parse(errors)) => first_of(
                    text,
                    errors
                        .into_iter()
                        .map(|(expect, found)| (found, format!("expected {}", expect.as_str()))),
                ),
                Some(load::Error::Io(_)) | None => FilterError::Module,
            }
        })?;
        let body = load::parse(text, |parser| parser.term()).ok_or(FilterError::Module)?;
        let main = Def { name: MAIN, args: Vec::new(), body: product::bounded(body) };
        let defined = defined.filter(|defined| !WITHHELD.contains(&defined.name)).chain(own(NOW));
        let defined = defined.chain(own(product::DEFINITIONS)).map(shorter).chain([main]);
        let modules = Loader::new(defined).load(&arena, File { code: MAIN, path: () });
        // It was read once already.
        let modules = modules.map_err(|_| FilterError::Module)?;
        let functions = functions.filter(|(name, ..)| !WITHHELD.contains(name));
        let prepared = Compiler::default().with_funs(functions).with_global_vars([NOW_VARIABLE]);
        let compiled = prepared.compile(modules).map_err(|errors| {
            let all = errors.into_iter().flat_map(|(_, errors)| errors);
            first_of(
                text,
                all.map(|(found, undefined)| (found, format!("there is no {} {found}", undefined.as_str()))),
            )
        })?;
        Ok(Self(compiled))
    }

    /// Runs it: what it gives, one after the other, each as indented JSON, and strings as they are if `raw`. It ends with the
    /// first error. `now` is the time that filters see, in seconds since 1970.
    pub fn run(&self, input: &Value, raw: bool, now: f64) -> impl Iterator<Item = Result<String, RunError>> {
        let input = read::parse_single(input.to_string().as_bytes());
        let input = input.map_err(|error| RunError::Unread(error.to_string()));
        let (input, unread) = match input {
            Ok(input) => (Some(input), None),
            Err(error) => (None, Some(Err(error))),
        };
        let outputs = input.into_iter().flat_map(move |input| {
            let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([Val::from(now)]));
            self.0.id.run((context, input)).map(unwrap_valr)
        });
        let mut failed = false;
        let outputs = outputs.map(move |output| {
            output.map(|value| text(&value, raw)).map_err(|error| RunError::Raised(error.to_string()))
        });
        unread.into_iter().chain(outputs).take_while(move |output| {
            let goes_on = !failed;
            failed = output.is_err();
            goes_on
        })
    }
}

/// A definition of our own among those of a filter, which lives no longer than its text.
fn shorter<'a>(definition: Def<&'static str>) -> Def<&'a str> {
    definition
}

fn text(value: &Val, raw: bool) -> String {
    match value {
        Val::TStr(text) if raw => String::from_utf8_lossy(text).into_owned(),
        value => {
            let style = write::Pp { indent: Some("  ".to_owned()), sep_space: true, ..write::Pp::default() };
            let mut bytes = Vec::new();
            // Writing into memory cannot fail.
            let _ = write::write(&mut bytes, &style, 0, value);
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}

fn first_of<'a>(whole: &str, errors: impl Iterator<Item = (&'a str, String)>) -> FilterError {
    let at = |part: &str| load::span(whole, part).start.min(whole.len());
    let first = errors.map(|(part, text)| (at(part), text)).min_by_key(|(at, _)| *at);
    let (at, text) = first.unwrap_or_default();
    let before = whole.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    FilterError::Wrong { line, column, text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-22T09:00:00.5Z.
    const TIME: f64 = 1_795_338_000.5;

    fn gives(filter: &str, input: &Value) -> Vec<Result<String, RunError>> {
        Filter::compile(filter).unwrap().run(input, true, TIME).collect()
    }

    fn wrong(filter: &str) -> String {
        Filter::compile(filter).err().unwrap().to_string()
    }

    #[test]
    fn a_filter_gives_what_jq_gives() {
        let input = json!({"value": "error", "runs": [{"phase": "failed"}, {"phase": "done"}], "n": 1});
        let all = |filter: &str| gives(filter, &input).into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(all(".value"), ["error"]);
        assert_eq!(all(".runs[] | select(.phase == \"failed\") | .phase"), ["failed"]);
        assert_eq!(all(".runs | length, (map(.phase) | join(\",\"))"), ["2", "failed,done"]);
        assert_eq!(all("{a: .n}"), ["{\n  \"a\": 1\n}"]);
        assert_eq!(all("\"2026-11-22T09:00:00Z\" | fromdateiso8601"), ["1795338000"]);
        assert_eq!(all("now"), ["1795338000.5"]);
        assert_eq!(all("now | floor | todate"), ["2026-11-22T09:00:00Z"]);
        assert_eq!(all("empty"), [""; 0]);
        assert_eq!(all("first(repeat(1))"), ["1"]);
        assert_eq!(all("[.value | test(\"^err\")]"), ["[\n  true\n]"]);
        let failed = gives(".n, .value.x, .n", &input);
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert_eq!(failed[0], Ok("1".into()));
        assert!(matches!(failed[1], Err(RunError::Raised(_))), "{failed:?}");
    }

    #[test]
    fn what_does_not_compile_is_told_with_its_place() {
        for (filter, expect) in [
            (".a |", "line 1, column 5"),
            (".a\n| .b[", "line 2, column 6: expected closing bracket"),
            ("foo", "line 1, column 1: there is no filter foo"),
            (".\"é\" | nope(1)", "line 1, column 8: there is no filter nope"),
            (".é", "line 1, column 2: expected token"),
            ("$x", "there is no variable $x"),
            ("", "line 1, column 1"),
            ("import \"a\" as a; a::b", "module"),
        ] {
            let said = wrong(filter);
            assert!(said.contains(expect), "{filter:?}: {said}");
        }
        assert_eq!(wrong(&" ".repeat(LONGEST + 1)), "the filter is longer than 64 KiB");
    }

    #[test]
    fn a_product_takes_no_more_memory_than_is_told() {
        let input = json!({"a": "x", "n": 3});
        let all = |filter: &str| gives(filter, &input).into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(all(".n * 2, .a * .n, .n * .a, (.a *= 2 | .a)"), ["6", "xxx", "xxx", "xx"]);
        assert_eq!(all("{a: {b: 1}} * {a: {c: 2}} | .a | keys | join(\",\")"), ["b,c"]);
        let order = |sign: &str| all(&format!("[(1, 2) {sign} (10, 100)] | map(tostring) | join(\" \")"));
        assert_eq!((order("+"), order("*")), (vec!["11 101 12 102".into()], vec!["10 100 20 200".into()]));
        assert_eq!(
            all("2 + 3 * 4, 2 * 3 * 4, -.n * 2, (.a * 16777216 | length)"),
            ["14", "24", "-6", "16777216"]
        );
        for filter in [
            "\"x\" * 100000000000 | length",
            "100000000000 * \"x\"",
            ".a *= 100000000000",
            "\"\\(.a * 100000000000)\"",
            "[{b: (.a * 100000000000)}]",
            "def f: . * 100000000000; .a | f",
            "reduce range(3) as $n (.a; . * 1000000)",
            ".[.a * 100000000000]",
            "try (.a * 100000000000) catch error(.)",
            "if true then .a * 100000000000 else 1 end",
            ". as {(.a * 100000000000): $x} | $x",
            "\"é\" * 100000000000000000000000",
        ] {
            let said = gives(filter, &input);
            let told = format!("{said:?}");
            assert!(said.len() == 1 && told.contains("repeated to more than 16 Mi"), "{filter}: {told}");
        }
    }

    #[test]
    fn nothing_but_the_input_is_seen() {
        for filter in [
            "env",
            "$ENV",
            "input",
            "inputs",
            "halt",
            "halt_error",
            "debug",
            "stderr",
            "input_filename",
            "localtime",
        ] {
            assert!(wrong(filter).contains("there is no"), "{filter}");
        }
    }
}

//! Hostile bytes: every one is told, none harms, and what stands beside it is read.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{judged, told};
use poros::view::manifest::{Variables, documents};
use proptest::prelude::*;

const GOOD: &str =
    "name: NAME\nversion: v1beta\ntype: compute\ncompute: {purpose: gpu, nodePool: {nodeSelector: {a: b}}}\n";

fn good(name: &str) -> String {
    GOOD.replace("NAME", name)
}

#[test]
fn what_is_broken_is_told_with_its_place_in_the_file_and_the_others_go_on() {
    for (broken, line, column, words) in [
        ("a: [1, 2", 6, 4, "unclosed bracket '['"),
        ("a: b\n\tc: d", 7, 1, "a tab indents this line; YAML takes spaces alone there"),
        ("a:\n  b: 1\n\tc: 1", 8, 1, "a tab indents this line; YAML takes spaces alone there"),
        ("a: 1\na: 2", 7, 1, "the key a is there already; each key of a map is written once"),
        ("a: {b: 1, b: 2}", 6, 11, "the key b is there already; each key of a map is written once"),
        ("x: &a [*a]", 6, 8, ""),
        ("a: b: c", 6, 5, ""),
        ("a: *none", 6, 4, ""),
        ("a: \"open", 7, 1, ""),
        ("a: @x", 6, 4, ""),
        ("a: !!binary x", 6, 13, ""),
    ] {
        let text = format!("{}---\n{broken}\n---\n{}", good("first"), good("last"));
        let found = told(&text);
        assert_eq!(found.len(), 3, "{broken:?}: {found:#?}");
        assert_eq!((found[0].as_str(), found[2].as_str()), ("first:v1beta:compute", "last:v1beta:compute"));
        let start = format!("f.yaml:{line}:{column}: {words}");
        assert!(found[1].starts_with(&start), "{broken:?}: {} instead of {start}", found[1]);
        assert!(!found[1].contains('\n') && found[1].len() < 300, "{}", found[1]);
    }
}

#[test]
fn a_hundred_documents_some_of_which_are_broken() {
    let mut text = String::new();
    for number in 0..100 {
        let document = if number % 10 == 3 { "a: [\n".to_owned() } else { good(&format!("c-{number}")) };
        let _ = write!(text, "---\n{document}");
    }
    let found = told(&text);
    assert_eq!(found.len(), 100);
    assert_eq!(found.iter().filter(|told| told.starts_with("f.yaml:")).count(), 10);
    assert_eq!(found[99], "c-99:v1beta:compute");
    let (line, _) = documents("f", text.as_bytes())[93].as_ref().unwrap_err().place().unwrap();
    let expect = text.lines().enumerate().filter(|(_, line)| *line == "a: [").last().unwrap().0 + 1;
    assert!(line >= expect as u64 && line <= expect as u64 + 1, "{line} beside {expect}");
}

#[test]
fn ends_of_lines_and_marks_make_no_difference() {
    let unix = format!("{}---\n{}", good("a"), good("b").replace("purpose: gpu", "purpose: fast"));
    let expect = told(&unix);
    assert_eq!(expect.len(), 3);
    assert!(expect[2].starts_with("9:11: compute.purpose is \"fast\""), "{expect:?}");
    assert_eq!(told(&unix.replace('\n', "\r\n")), expect);
    assert_eq!(told(&format!("\u{feff}{unix}")), expect);
    assert_eq!(told(&format!("\u{feff}{}", unix.replace('\n', "\r\n"))), expect);
}

#[test]
fn what_is_no_text_is_told_for_what_it_is() {
    let utf16: Vec<u8> = "\u{feff}name: a".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bare: Vec<u8> = "name: abc".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let long = vec![b'#'; (3 << 20) + 1];
    for (bytes, expect) in [
        (&utf16[..], "f is UTF-16 or UTF-32; save it as UTF-8"),
        (&bare, "f is UTF-16 or UTF-32; save it as UTF-8"),
        (
            b"\x7fELF\x02\x01\x01\x00rest",
            "f is a binary file: byte 7 is zero; a manifest is YAML or JSON text",
        ),
        (b"a: 1\nb: \xff\n", "f:2:4: no UTF-8 text; save it as UTF-8"),
        (&long, "f has more than 3145728 bytes, the most that the API server takes in one request; split it"),
    ] {
        let found = documents("f", bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].as_ref().unwrap_err().to_string(), expect);
    }
    for nothing in ["", "\n", "# only\n", "---\n---\n...\n", "\u{feff}", "null", "~"] {
        assert_eq!(told(nothing), Vec::<String>::new(), "{nothing:?}");
    }
}

#[test]
fn bombs_are_bounded() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(laughs, "a{level}: &a{level} [{}]", [below.as_str(); 9].join(", "));
    }
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let merges = format!("a: &a {{x: 1}}\n{}", lines(20_000, &|n| format!("k{n}: {{<<: *a}}")));
    let deep = "[".repeat(10_000);
    let closed = format!("{}{}", "{a: ".repeat(10_000), "}".repeat(10_000));
    let block = lines(10_000, &|depth| format!("{}a:", " ".repeat(depth.min(200))));
    let wide = format!("a: [{}]", "1,".repeat(1 << 20));
    let separators = "---\na\n".repeat(400_000);
    let items = format!("kind: List\nitems: [{}]", "1,".repeat(100_000));
    let scalar = format!("name: {}", "x".repeat(3_000_000));
    for (what, text) in [
        ("laughs", laughs),
        ("merges", merges),
        ("deep", deep),
        ("closed", closed),
        ("block", block),
        ("wide", wide),
        ("separators", separators),
        ("items", items),
        ("scalar", scalar),
    ] {
        let text = format!("{}---\n{text}", good("first"));
        let start = Instant::now();
        let found = told(&text);
        assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
        assert_eq!(found[0], "first:v1beta:compute");
        assert!(found.len() > 1 && found.len() < 3000, "{what}: {} lines", found.len());
        assert!(found.iter().all(|told| told.len() < 500), "{what}");
    }
}

#[test]
fn hostile_names_are_refused_with_their_place() {
    for name in [
        "A",
        "a.b",
        "-a",
        "a-",
        "а",
        "a\u{202e}b",
        "a\\0b",
        "\u{1f4a3}",
        "../a",
        "%2e",
        "__proto__",
        "a b",
        "a/b",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([49, 63, 253, 254, 100_000].map(|length| "x".repeat(length)))
    .chain([String::new()])
    {
        let text = good("NAME").replace("NAME", &format!("\"{name}\""));
        let found = told(&text);
        assert!(found.len() == 2 && found[1].starts_with("1:1: "), "{found:#?}");
        assert!(found.concat().len() < 600);
        assert!(!found.concat().chars().any(|c| c.is_control() || c == '\u{202e}'), "{found:?}");
    }
    for length in [1, 48] {
        assert_eq!(told(&good(&"x".repeat(length))).len(), 1);
    }
}

#[test]
fn hostile_labels_and_tolerations_are_refused() {
    const UNREADABLE: usize = usize::MAX;
    let compute = |metadata: &str, pool: &str| {
        format!(
            "apiVersion: poros.dataos.io/v1beta1\nkind: Compute\nmetadata: {{name: a{metadata}}}\nspec: {{purpose: gpu, nodePool: {{nodeSelector: {{a: b}}{pool}}}}}\n"
        )
    };
    let (long, longest) = ("x".repeat(63), "x".repeat(64));
    let prefixed = format!("{}.{}/{long}", "y".repeat(200), "z".repeat(52));
    let many = |item: &str| format!(", tolerations: [{}]", vec![item; 10_000].join(", "));
    for (metadata, pool, problems) in [
        (format!(", labels: {{a: {long}}}"), String::new(), 0),
        (format!(", labels: {{a: {longest}}}"), String::new(), 1),
        (format!(", labels: {{? {prefixed} : a}}"), String::new(), 0),
        (format!(", labels: {{? y{prefixed} : a}}"), String::new(), 1),
        (format!(", annotations: {{a: {}}}", "x".repeat((256 << 10) - 1)), String::new(), 0),
        (format!(", annotations: {{a: {}}}", "x".repeat(256 << 10)), String::new(), 1),
        (String::new(), ", tolerations: [{key: k, operator: Exists, value: v}]".into(), 1),
        (String::new(), ", tolerations: [{effect: NoSchedule}]".into(), 1),
        (String::new(), ", tolerations: [{key: k, effect: Never}]".into(), 1),
        (String::new(), ", tolerations: [{key: k}, {key: k}]".into(), 1),
        (String::new(), many("{key: k}"), 10_000),
        (String::new(), ", minReadyNodes: 1e1000".into(), UNREADABLE),
        (String::new(), ", minReadyNodes: -0".into(), 0),
        (String::new(), ", minReadyNodes: .inf".into(), UNREADABLE),
        (String::new(), ", minReadyNodes: .nan".into(), UNREADABLE),
        (String::new(), ", minReadyNodes: 99999999999999999999999".into(), 1),
        (String::new(), ", minReadyNodes: 1.5".into(), 1),
    ] {
        let text = compute(&metadata, &pool);
        let found = told(&text);
        if problems == UNREADABLE {
            assert!(found.len() == 1 && found[0].starts_with("f.yaml:4:70: "), "{found:?}");
            continue;
        }
        let shown = text.chars().take(200).collect::<String>();
        assert_eq!(found.len(), 1 + problems, "{shown}: {:?}", found.iter().take(4).collect::<Vec<_>>());
    }
}

fn lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let joined = text.replace("\r\n", "\n");
    // Leaked: a test's few bytes.
    Box::leak(joined.into_boxed_str()).split(['\n', '\r']).collect()
}

/// Reads, interpolates and judges; every place is one of the file.
fn holds(bytes: &[u8]) {
    let variables = Variables::from([("A".to_owned(), "x: [".to_owned())]);
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines = lines(&text);
    let within = |(line, column): (u64, u64)| {
        let line = usize::try_from(line).unwrap();
        assert!(line >= 1 && line <= lines.len(), "line {line} of {} in {text:?}", lines.len());
        let length = lines[line - 1].chars().count();
        assert!(column >= 1 && column <= length as u64 + 1, "{line}:{column} of {length} in {text:?}");
    };
    for document in documents("f", bytes) {
        match document {
            Err(error) => error.place().into_iter().for_each(within),
            Ok(mut document) => {
                for problem in document.interpolate(&variables) {
                    within(document.place(&problem.path));
                }
                let (verdict, _) = judged(&document);
                for problem in &verdict.problems {
                    within(document.place(&problem.path));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&bytes);
    }

    #[test]
    fn no_text_of_signs_harms(text in r#"([a-c$:{}\[\],&*!|>'"%@#?~ \-.\n\r\t0-9<é\u{feff}\u{2028}\u{85}]|---|\n- |: |\$A|\$\{A\}|\r\n){0,60}"#) {
        holds(text.as_bytes());
    }

    #[test]
    fn no_change_of_a_manifest_harms(at in 0..120usize, cut in 0..30usize, put in "[ -~\\n\\t\u{e9}]{0,6}") {
        let text = good("new-usecases");
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        holds(format!("{}{put}{}", &text[..at], &text[end..]).as_bytes());
    }
}

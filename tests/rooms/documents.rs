//! The pages for people, against what they speak of: the table of the chart's values is made from the chart, and the runbook has
//! a heading for each word that somebody on call can meet, and for no other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use poros::decide::judge::{Form, judge};
use poros::decide::reason::Reason;
use serde_json::Value;

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// The line in `charts/poros/values.yaml` of each key, by its path, with the comment right above it.
fn comments(values: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    let mut open: Vec<(usize, &str)> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(comment) = text.strip_prefix("# ") {
            above.push(comment);
            continue;
        }
        if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with(['-', '{'])) {
            open.retain(|(outer, _)| *outer < indent);
            open.push((indent, key));
            let path: Vec<&str> = open.iter().map(|(_, key)| *key).collect();
            found.push((path.join("."), above.join(" ")));
        }
        above.clear();
    }
    found
}

/// A part of the schema, without the detour of a `$ref`.
fn resolved<'a>(schema: &'a Value, whole: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(link) => whole.pointer(link.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// What the schema allows, in a few words.
fn allowed(schema: &Value, whole: &Value) -> String {
    let schema = resolved(schema, whole);
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        return words.join(", ");
    }
    match schema["type"].as_str().unwrap() {
        "integer" => format!("{} to {}", schema["minimum"], schema["maximum"]),
        "array" => format!("list of {}", allowed(&schema["items"], whole)),
        "object" if schema["additionalProperties"]["type"] == "string" => "map of strings".into(),
        other => other.into(),
    }
}

/// Each value that can be set by itself: its path, and what the schema says of it.
fn leaves<'a>(prefix: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    for (key, schema) in schema["properties"].as_object().unwrap() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        // What Helm passes down, and what is Kubernetes' own, are of one piece.
        let whole_piece = ["global", "resources"].contains(&path.as_str());
        if schema["properties"].is_object() && !whole_piece {
            leaves(&path, schema, found);
        } else {
            found.push((path, schema));
        }
    }
}

/// The table of values, and what is missing to make it.
fn values_table() -> (String, Vec<String>) {
    let text = read("charts/poros/values.yaml");
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(&read("charts/poros/values.schema.json")).unwrap();
    let mut known = Vec::new();
    leaves("", &schema, &mut known);
    // Helm gives them to a chart that another one depends on; nothing here reads them.
    known.retain(|(key, _)| !["global", "enabled"].contains(&key.as_str()));
    let said = comments(&text);
    let mut wrong: Vec<String> = known
        .iter()
        .filter(|(key, _)| !said.iter().any(|(path, _)| path == key))
        .map(|(key, _)| format!("{key} is in values.schema.json, and not in values.yaml"))
        .collect();
    let mut table = String::from("| value | allowed | default | what it is |\n|---|---|---|---|\n");
    for (key, comment) in &said {
        let inside = known.iter().any(|(outer, _)| key.starts_with(&format!("{outer}.")));
        let around = known.iter().any(|(inner, _)| inner.starts_with(&format!("{key}.")));
        let Some((_, schema_of)) = known.iter().find(|(path, _)| path == key) else {
            if !(inside || around) {
                wrong.push(format!("{key} is in values.yaml, and not in values.schema.json"));
            }
            continue;
        };
        if comment.len() < 10 || comment.contains('|') {
            wrong.push(format!("{key} has no comment in values.yaml that fits into a table"));
        }
        let default = key.split('.').fold(&values, |value, part| &value[part]);
        let default = match default {
            Value::Object(entries) if key == "defaultComputes" => {
                let off =
                    |(name, one): (&String, &Value)| (one["enabled"] == false).then(|| format!("`{name}`"));
                let names: Vec<String> = entries.iter().filter_map(off).collect();
                assert_eq!(names.len(), entries.len(), "no default Compute is on by default");
                format!("{}, both off", names.join(" and "))
            }
            Value::Object(_) | Value::Array(_) => format!("`{}`", flow(default)),
            Value::String(text) if text.is_empty() => "empty".into(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let _ = writeln!(table, "| `{key}` | {} | {default} | {comment} |", allowed(schema_of, &schema));
    }
    (table, wrong)
}

/// What is set to null is left out, and would be missed by a template without a path.
#[test]
fn no_value_can_be_left_out() {
    let whole: Value = serde_json::from_str(&read("charts/poros/values.schema.json")).unwrap();
    let mut open = vec![("", &whole)];
    let mut seen = 0;
    while let Some((path, schema)) = open.pop() {
        let Some(properties) = schema["properties"].as_object() else { continue };
        // Those that another chart gives, and what is Kubernetes' own.
        let free = ["global", "enabled", "requests", "limits"];
        let all: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let free = if path.is_empty() || path == "resources" { &free[..] } else { &[] };
        let wanted: BTreeSet<&str> = all.into_iter().filter(|key| !free.contains(key)).collect();
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()).collect();
        assert_eq!(required, wanted, "values.schema.json: what {path:?} requires");
        open.extend(properties.iter().map(|(key, schema)| (key.as_str(), schema)));
        seen += 1;
    }
    assert_eq!(seen, 11, "objects with properties");
}

/// A value as it is written in a line of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.parse::<f64>().is_ok() => format!("{text:?}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

const BEGIN: &str = "<!-- made from charts/poros: POROS_BLESS=1 cargo test --test rooms writes it -->\n";
const END: &str = "<!-- end of what is made -->\n";

#[test]
fn the_table_of_values_is_what_the_chart_says() {
    let (table, wrong) = values_table();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let page = read("docs/install.md");
    let (before, rest) = page.split_once(BEGIN).expect("docs/install.md has no mark where the table begins");
    let (_, after) = rest.split_once(END).expect("docs/install.md has no mark where the table ends");
    let wanted = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("POROS_BLESS").is_some() {
        fs::write(path("docs/install.md"), &wanted).unwrap();
    }
    assert!(
        read("docs/install.md") == wanted,
        "the table of values in docs/install.md is not what the chart says; POROS_BLESS=1 cargo test --test rooms writes it"
    );
}

#[test]
fn values_are_read_with_their_comments() {
    let found = comments("# A page.\n\n# First,\n# and more.\na:\n  # Inner.\n  b: 1\nc: {d: 2}\n");
    let found: Vec<(&str, &str)> = found.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    assert_eq!(found, [("a", "First, and more."), ("a.b", "Inner."), ("c", "")]);
}

/// The headings of a level, up to the next one above it, from the section of that name.
fn headings(page: &str, section: &str) -> Vec<String> {
    let (_, rest) =
        page.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let rest = rest.split("\n## ").next().unwrap();
    rest.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect()
}

#[test]
fn the_runbook_has_each_alert_and_each_reason() {
    let page = read("docs/operations.md");
    let alerts: Value = serde_saphyr::from_str(&read("charts/poros/files/alerts.yaml")).unwrap();
    let alerts: Vec<&str> =
        alerts["alerts"].as_array().unwrap().iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(
        headings(&page, "Alerts"),
        alerts,
        "docs/operations.md: one heading for each alert, in their order"
    );
    let reasons: BTreeSet<String> = Reason::all().map(|reason| reason.word().to_owned()).collect();
    let told = headings(&page, "Reasons");
    assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "a reason is told twice");
    assert_eq!(
        told.into_iter().collect::<BTreeSet<_>>(),
        reasons,
        "docs/operations.md: one heading for each word of src/decide/reason.rs"
    );
    // Alerts and words of the page of faults link to these.
    for reason in Reason::all() {
        if let Reason::Fault(category) = reason {
            let link = format!("(faults.md#{})", category.word().to_lowercase());
            assert!(page.contains(&link), "{} does not link to its fault", category.word());
        }
    }
}

#[test]
fn the_runbook_speaks_of_what_there_is() {
    let page = read("docs/operations.md");
    let metrics = read("docs/metrics.md");
    let mut named = BTreeSet::new();
    for (at, _) in page.match_indices("poros_") {
        let name: String = page[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        let name = name.trim_end_matches("_bucket").to_owned();
        assert!(metrics.contains(&format!("| `{name}` |")), "docs/operations.md: there is no metric {name}");
        named.insert(name);
    }
    assert!(named.len() > 6, "{named:?}");
    // Lines of /readyz: each piece between the dots stands in a text of the code.
    let code: String = super::sources().into_iter().map(|source| source.code).collect();
    let (_, lines) = page.split_once("\n## Lines of /readyz\n").expect("no section on /readyz");
    let rows: Vec<&str> = lines
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        for piece in row.split('…').map(str::trim).filter(|piece| !piece.is_empty()) {
            assert!(code.contains(piece), "docs/operations.md: /readyz does not say {piece:?}");
        }
    }
}

#[test]
fn the_install_section_is_four_lines_of_this_version() {
    for page in ["README.md", "docs/install.md"] {
        let text = read(page);
        let lines = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(lines.lines().count(), 4, "{page}: {lines}");
        let image = format!("poros:{} ", env!("CARGO_PKG_VERSION"));
        assert!(
            format!("{lines} ").replace('\n', " ").contains(&image),
            "{page} brings another image than {image}"
        );
    }
}

#[test]
fn the_dockerfile_speaks_of_this_version() {
    let text = read("Dockerfile");
    let line = text.lines().find(|line| line.starts_with("#   docker build ")).expect("no line to type");
    let version = env!("CARGO_PKG_VERSION");
    for word in [format!("VERSION={version}"), format!("poros:{version}")] {
        assert!(line.split(' ').any(|other| other == word), "Dockerfile: {line} has no {word}");
    }
}

/// Each claim names the file that holds it or the test that tries it.
#[test]
fn the_threat_model_speaks_of_files_that_there_are() {
    let page = read("SECURITY.md");
    let words = page.split(|c: char| c.is_whitespace() || "()`,;".contains(c));
    let files: BTreeSet<&str> = words
        .map(|word| word.split('#').next().unwrap().trim_end_matches([':', '.']))
        .filter(|word| {
            ["src/", "tests/", "docs/", "examples/", "charts/", "xtask/"]
                .iter()
                .any(|top| word.starts_with(top))
        })
        .collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        assert!(path(file).exists(), "SECURITY.md names {file}, which is not there");
    }
}

/// The annotations of the chart that are YAML themselves.
fn annotation(name: &str) -> Value {
    let chart: Value = serde_saphyr::from_str(&read("charts/poros/Chart.yaml")).unwrap();
    let text = chart["annotations"][format!("artifacthub.io/{name}")]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}"));
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn what_artifact_hub_shows_is_true() {
    let crds = annotation("crds");
    let said: BTreeSet<(String, String, String)> = crds
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| ["kind", "version", "name"].map(|key| crd[key].as_str().unwrap().to_owned()).into())
        .collect();
    let there: BTreeSet<(String, String, String)> = poros::api::crd::all()
        .map(|crd| {
            let version = crd.spec.versions[0].name.clone();
            (crd.spec.names.kind.clone(), version, crd.metadata.name.clone().unwrap())
        })
        .into();
    assert_eq!(said, there);
    let examples = annotation("crdsExamples");
    let examples = examples.as_array().unwrap();
    assert!(!examples.is_empty());
    for example in examples {
        let judged = judge(example);
        assert_eq!((judged.form, judged.problems.len()), (Form::Kubernetes, 0), "{:?}", judged.problems);
    }
    let changes = annotation("changes");
    for change in changes.as_array().unwrap() {
        let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
        assert!(kinds.contains(&change["kind"].as_str().unwrap()), "{change}");
    }
}

//! The laws of the rooms (docs/architecture.md), held by reading the sources. Each message says how to mend.
#![allow(clippy::unwrap_used, clippy::panic)] // a test

#[path = "rooms/documents.rs"]
mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms that it may use.
const ROOMS: [(&str, &[&str]); 13] = [
    ("api", &[]),
    ("decide", &["api"]),
    ("world", &["api", "decide"]),
    ("cluster", &["api", "decide", "world"]),
    ("admission", &["api", "decide", "world"]),
    ("controller", &["api", "decide", "world", "cluster", "admission", "telemetry", "listen"]),
    ("telemetry", &[]),
    ("listen", &[]),
    ("web", &["api", "decide", "telemetry", "listen"]),
    ("view", &["api", "decide"]),
    ("ctl", &["api", "decide", "cluster", "view"]),
    ("bin/poros", &["api", "decide", "cluster", "controller", "telemetry", "web"]),
    ("bin/dataos-ctl", &["ctl", "view"]),
];

/// Words that a room must not contain, and why.
const FORBIDDEN: [(&[&str], &[&str], &str); 5] = [
    (
        &["api", "decide", "view", "world"],
        &["async ", ".await", "kube::Client", "kube::Api", "kube::runtime", "tokio::", "Client,"],
        "talks to something: move the talking to `cluster` and pass in what it found",
    ),
    (
        &["api", "decide", "view", "world"],
        &["Timestamp::now", "SystemTime", "Instant::now", "Zoned::now"],
        "reads a clock: take the time as an argument",
    ),
    (
        &["api", "decide", "view"],
        &["tracing::", "rand::", "RandomState"],
        "logs or is random: give back a value instead",
    ),
    (
        &["admission"],
        &["kube::"],
        "talks to the API server: pass in what it asks as a function of `Knowledge`",
    ),
    (
        &["api", "decide", "world", "view", "cluster", "controller", "admission", "ctl", "telemetry", "web"],
        &["println!", "eprintln!", "print!(", "dbg!"],
        "prints: only `bin` may",
    ),
];

/// The longest file, before its tests.
const LINES: usize = 400;

struct Source {
    path: PathBuf,
    room: String,
    /// Up to the tests.
    code: String,
}

fn sources() -> Vec<Source> {
    sources_of("src")
}

/// All code, also that of the rig, whose files are no rooms: with the folder that a path begins in.
fn all_sources() -> impl Iterator<Item = (PathBuf, Source)> {
    ["src", "xtask/src"].into_iter().flat_map(|top| {
        sources_of(top).into_iter().map(move |source| (Path::new(top).join(&source.path), source))
    })
}

fn sources_of(top: &str) -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
    let mut files = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let relative = path.strip_prefix(&src).unwrap().to_path_buf();
            // Each program is a room of its own.
            let parts = relative.iter().take(if relative.starts_with("bin") { 2 } else { 1 });
            let parts: Vec<&str> = parts.map(|part| part.to_str().unwrap()).collect();
            let room = parts.join("/").trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            Source { path: relative, room, code }
        })
        .collect()
}

/// Lines of code: without comments, which may speak of anything.
fn code_lines(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// The modules that a file names, as paths from the crate's root: `use crate::a::b::{C, d::E}` names `a::b`, `a::b::d`.
fn used(code: &str) -> BTreeSet<String> {
    let code: String = code_lines(code).collect::<Vec<_>>().join("\n");
    let mut paths = BTreeSet::new();
    for start in ["crate::", "poros::"] {
        for (at, _) in code.match_indices(start) {
            let whole =
                at == 0 || !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if whole {
                expand("", &code[at + start.len()..], &mut paths);
            }
        }
    }
    paths
}

/// Reads one use tree; gives back where it ended.
fn expand(prefix: &str, text: &str, paths: &mut BTreeSet<String>) -> usize {
    let mut path = prefix.to_owned();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        at += word.len();
        if word.chars().next().is_some_and(char::is_lowercase) && word != "self" {
            if !path.is_empty() {
                path.push_str("::");
            }
            path.push_str(&word);
        }
        if !text[at..].starts_with("::") {
            paths.insert(path);
            return at;
        }
        at += 2;
        if text[at..].starts_with('{') {
            at += 1;
            loop {
                at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',']).len();
                if text[at..].starts_with('}') || text[at..].is_empty() {
                    return at + 1;
                }
                at += expand(&path, &text[at..], paths).max(1);
            }
        }
    }
}

#[test]
fn use_trees_are_read() {
    let found = used("use crate::a::{B, c::{d, E}, f};\nlet x = crate::g::h(); other_crate::no();");
    let expect = ["a", "a::c", "a::c::d", "a::f", "g::h"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expect);
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let table: BTreeMap<_, _> = ROOMS.into_iter().collect();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let allowed = table.get(source.room.as_str()).unwrap_or_else(|| {
            panic!(
                "{}: no such room; add it to the table in docs/architecture.md and to ROOMS",
                source.path.display()
            )
        });
        for path in used(&source.code) {
            let room = path.split("::").next().unwrap();
            let known = table.contains_key(room);
            assert!(
                !known || room == source.room || allowed.contains(&room),
                "{}: `{}` may not use `{room}` (it may use {allowed:?}). Move the shared type to a room below, or pass the value in",
                source.path.display(),
                source.room,
            );
        }
    }
}

/// The file that a path leads into: `decide::plan::plan` leads into `decide::plan`.
fn file_of(path: &str, files: &BTreeSet<String>) -> Option<String> {
    let mut path = path.to_owned();
    while !files.contains(&path) {
        path.truncate(path.rfind("::")?);
    }
    Some(path)
}

#[test]
fn no_circle_of_files() {
    let sources = sources();
    let module = |path: &Path| path.with_extension("").to_str().unwrap().replace('/', "::");
    let files: BTreeSet<String> = sources.iter().map(|source| module(&source.path)).collect();
    let edges: BTreeMap<String, BTreeSet<String>> = sources
        .iter()
        .map(|source| {
            let from = module(&source.path);
            let to = used(&source.code)
                .iter()
                .filter_map(|path| file_of(path, &files))
                .filter(|to| *to != from)
                .collect();
            (from, to)
        })
        .collect();
    for start in &files {
        let mut stack = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = stack.pop() {
            for next in &edges[path.last().unwrap()] {
                if next == start {
                    panic!(
                        "circle of files: {} -> {start}. Move what both need to a file of its own",
                        path.join(" -> ")
                    );
                } else if seen.insert(next.clone()) {
                    stack.push(path.iter().cloned().chain([next.clone()]).collect());
                }
            }
        }
    }
}

#[test]
fn rooms_do_not_do_what_is_not_theirs() {
    for source in sources() {
        for (rooms, words, how) in FORBIDDEN {
            if !rooms.contains(&source.room.as_str()) {
                continue;
            }
            for line in code_lines(&source.code) {
                for word in words {
                    assert!(
                        !line.contains(word),
                        "{}: `{}` {how}\n  {line}",
                        source.path.display(),
                        word.trim()
                    );
                }
            }
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for (path, source) in all_sources() {
        let path = path.display();
        assert!(
            source.code.starts_with("//! "),
            "{path}: begin with a `//!` line that says what the file is for"
        );
        let lines = source.code.lines().count();
        assert!(lines <= LINES, "{path}: {lines} lines before the tests; split it by idea (at most {LINES})");
        assert!(!path.to_string().ends_with("mod.rs"), "{path}: use `name.rs` beside `name/`");
    }
}

#[test]
fn errors_keep_their_sources_apart() {
    for (path, source) in all_sources() {
        let path = path.display();
        let from = code_lines(&source.code).find(|line| line.contains("#[from]"));
        assert_eq!(from, None, "{path}: use #[source] and a variant per thing attempted, not #[from]");
    }
}

#[test]
fn the_table_of_faults_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("POROS_BLESS").is_some() {
        fs::write(&path, poros::view::faults::document()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found,
        poros::view::faults::document(),
        "docs/faults.md is not what the code says; POROS_BLESS=1 cargo test --test rooms writes it"
    );
}

#[test]
fn the_crds_are_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for crd in poros::api::crd::all() {
        let path = folder.join(format!("{}.yaml", crd.spec.names.plural));
        let wanted = serde_saphyr::to_string(&crd).unwrap();
        if std::env::var_os("POROS_BLESS").is_some() {
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found,
            wanted,
            "{} is not what the types say; POROS_BLESS=1 cargo test --test rooms writes it",
            path.display()
        );
    }
}

#[test]
fn the_chart_is_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/poros");
    for (path, wanted) in poros::view::chart::files().unwrap() {
        let path = folder.join(path);
        if std::env::var_os("POROS_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "{} is not what the code says; POROS_BLESS=1 cargo test --test rooms writes it",
            path.display()
        );
    }
}

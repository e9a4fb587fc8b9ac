//! `get --watch` and `get -r`: what is shown while Computes come, change and go.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::of;
use crate::cli::transcript::Transcript;
use crate::harness::cluster;
use crate::harness::objects::{patch, raw_computes};
use crate::harness::{until, wait};
use crate::rows::{apply, clear};
use crate::trials;

trials![
    a_watch_tells_each_change_once,
    a_watch_in_json_is_a_line_for_each_change,
    kubectl_poros_watches_as_kubectl,
    a_watch_ends_with_its_reader,
    a_refresh_prints_the_table_again,
];

/// How Ctrl-C ends what goes on.
const INTERRUPTED: i32 = 130;

/// A command that goes on.
pub(super) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(super) fn start(told: &Transcript, line: &str) -> Self {
        let mut command = told.command(&format!("exec {line}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let out: ChildStdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line in which all of these words are.
    pub(super) async fn until(&mut self, words: &[&str]) -> String {
        let found =
            |seen: &[String]| seen.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned();
        for _ in 0..600 {
            self.seen.extend(self.lines.try_iter());
            if let Some(line) = found(&self.seen) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no line with {words:?} in {:#?}", self.seen);
    }

    /// Interrupts it; gives back its lines, what it said, and how it ended.
    pub(super) fn end(mut self) -> (Vec<String>, String, i32) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        self.seen.extend(self.lines.iter());
        (self.seen, said, code)
    }
}

async fn a_watch_tells_each_change_once() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (owner, name) = ("gil.watch", "cli-watch-table");
    let told = Transcript::new("get-watch", cluster, owner);
    let mut running = Running::start(&told, "dataos-ctl get --watch");
    running.until(&["EVENT", "OWNER"]).await;
    apply(&client, &of(owner, name)).await;
    running.until(&["ADDED", name, "pending"]).await;
    running.until(&["MODIFIED", name, "active"]).await;
    // Neither is in a column, and somebody else's is not shown.
    patch(&raw_computes(&client), name, &json!({"spec": {"description": "x", "tags": ["t"]}})).await;
    apply(&client, &of("somebody.else", "cli-watch-other")).await;
    clear(&client, name).await;
    running.until(&["DELETED", name]).await;
    let (lines, said, code) = running.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    assert!(said.contains("get...complete"), "{said}");
    // As they came, with the events of teardown as Poros wrote them.
    assert!(!lines.iter().any(|line| line.contains("somebody.else")), "{lines:#?}");
    let rows: Vec<&String> = lines.iter().skip(2).collect();
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "the same row twice: {lines:#?}");
    let cell = |row: &str, at: usize| row.split('|').nth(at).unwrap_or_default().trim().to_owned();
    let events: Vec<(String, String)> = rows.iter().map(|row| (cell(row, 0), cell(row, 5))).collect();
    let events: Vec<(&str, &str)> =
        events.iter().map(|(event, status)| (event.as_str(), status.as_str())).collect();
    assert_eq!(events[..2], [("ADDED", "pending"), ("MODIFIED", "active")], "{lines:#?}");
    assert_eq!(events.last().map(|(event, _)| *event), Some("DELETED"), "{lines:#?}");
    assert!(events.len() <= 6, "{lines:#?}");
    clear(&client, "cli-watch-other").await;
}

async fn a_watch_in_json_is_a_line_for_each_change() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (owner, name) = ("hal.watch", "cli-watch-json");
    let told = Transcript::new("get-watch-json", cluster, owner);
    apply(&client, &of(owner, name)).await;
    wait::active(&client, name).await;
    let mut running = Running::start(&told, "dataos-ctl get --watch --output json --status active -q");
    running.until(&["ADDED", name]).await;
    patch(&raw_computes(&client), name, &json!({"spec": {"description": "changed"}})).await;
    running.until(&["MODIFIED", "\"description\":\"changed\""]).await;
    clear(&client, name).await;
    // It leaves those that are active before it is gone, and is told of once more.
    running.until(&["MODIFIED", "\"aggregateStatus\":\"delet"]).await;
    let (lines, said, code) = running.end();
    assert_eq!((code, said.as_str()), (INTERRUPTED, ""));
    for line in &lines {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["object"]["metadata"]["name"], name);
        assert!(event["object"]["metadata"].get("managedFields").is_none());
    }
    assert!(
        !lines.iter().any(|line| line.starts_with("{\"object\"") && line.contains("\"type\":\"DELETED\""))
    );
}

async fn kubectl_poros_watches_as_kubectl() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-watch-kubectl";
    let told = Transcript::new("get-watch-kubectl", cluster, "ida.watch");
    apply(&client, &of("ida.watch", name)).await;
    wait::active(&client, name).await;
    let mut plain = Running::start(&told, &format!("kubectl poros get compute {name} -w"));
    let mut events = Running::start(&told, "kubectl poros get cmp -w --output-watch-events -o name");
    let mut rows = Running::start(&told, &format!("kubectl poros get cmp {name} -w --output-watch-events"));
    plain.until(&["NAME", "PURPOSE"]).await;
    plain.until(&[name, "active"]).await;
    rows.until(&["EVENT", "NAME"]).await;
    rows.until(&["ADDED", name]).await;
    events.until(&[&format!("compute.poros.dataos.io/{name}")]).await;
    patch(&raw_computes(&client), name, &json!({"spec": {"purpose": "gpu"}})).await;
    plain.until(&[name, "gpu"]).await;
    rows.until(&["MODIFIED", name, "gpu"]).await;
    clear(&client, name).await;
    rows.until(&["DELETED", name]).await;
    for running in [plain, events, rows] {
        let (lines, said, code) = running.end();
        assert_eq!((code, said.as_str()), (INTERRUPTED, ""), "{lines:#?}");
    }
}

async fn a_watch_ends_with_its_reader() {
    let cluster = cluster::shared().await;
    let told = Transcript::new("get-watch-reader", cluster, "jan.watch");
    let mut child = told
        .command("exec dataos-ctl get --watch")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.contains("EVENT"), "{line}");
    // Nothing happens that it could write, and fail to.
    drop(out);
    let status = until("the watch to end", wait::LIMIT, || {
        let ended = child.try_wait().unwrap();
        async move { ended.ok_or_else(|| "it runs".to_owned()) }
    })
    .await;
    assert_eq!(status.code(), Some(0));
    // `head` takes what it wants, and nobody complains.
    let printed = told.quietly("kubectl poros get computes -w --no-headers -o name | head -n 0");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
}

async fn a_refresh_prints_the_table_again() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (owner, name) = ("kim.refresh", "cli-refresh");
    let mut told = Transcript::new("get-refresh", cluster, owner);
    apply(&client, &of(owner, name)).await;
    wait::active(&client, name).await;
    let mut running = Running::start(&told, "dataos-ctl get -r --refreshRate 1");
    running.until(&[name, "active"]).await;
    clear(&client, name).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (lines, said, code) = running.end();
    assert_eq!(code, INTERRUPTED, "{said}");
    let heads = lines.iter().filter(|line| line.contains("NAME")).count();
    assert!(heads >= 3, "{lines:#?}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("----")),
        "it is gone from the table: {lines:#?}"
    );
    assert_eq!(said.matches("get...complete").count(), heads, "{said}");
    // On a terminal, each stands in the place of the one before.
    told.set("TERM", "xterm");
    let printed = told.quietly("script -qec 'timeout -s INT 3 dataos-ctl get -r --refreshRate 1' /dev/null");
    let screens: Vec<&str> = printed.out.split("\u{1b}[H\u{1b}[2J").collect();
    assert!(screens.len() >= 3, "{:?}", printed.out);
    // What the one line of talk tells changes with the Computes of other tests; where the table stands does not.
    let below =
        |screen: &&str| screen.split_once("\r\n").map_or_else(String::new, |(_, below)| below.to_owned());
    let screens: Vec<String> = screens.iter().map(below).collect();
    assert!(screens[1].contains("NAME"), "{screens:?}");
    assert_eq!(screens[1], screens[2], "and lines of talk do not move it");
}

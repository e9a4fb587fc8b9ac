//! What is shown while it goes on, on a pipe and at a terminal: watches and refreshes until Ctrl-C, the progress of a wait,
//! the seconds that pass, and what the Tab key completes.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use regex::Regex;
use serde_json::json;

use super::apply::native;
use super::transcript::{Printed, Transcript};
use super::wait::poolless;
use crate::harness::cluster;
use crate::harness::objects::{compute, delete, node, nodes, patch, raw_computes, with};
use crate::harness::{until, wait};
use crate::rows::{apply, clear};
use crate::trials;

trials![
    a_watch_is_followed_until_ctrl_c,
    a_table_is_refreshed_until_ctrl_c,
    progress_is_drawn_over_itself,
    progress_fits_the_terminal_that_shows_it,
    the_tab_key_completes,
];

/// A command that is under way, as a person at a terminal or a program at its pipes sees it.
pub(super) struct Live {
    line: &'static str,
    child: Child,
    /// The keys of the terminal; none at a pipe.
    keys: Option<ChildStdin>,
    out: Stream,
    err: Stream,
}

/// What came so far, and who reads on.
struct Stream(Arc<Mutex<String>>, JoinHandle<()>);

impl Stream {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = source.read(&mut part) {
                bytes.extend_from_slice(&part[..count]);
                *sink.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Self(seen, reader)
    }

    fn seen(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn whole(self) -> String {
        self.1.join().unwrap();
        self.0.lock().unwrap().clone()
    }
}

impl Live {
    /// At a pipe. The shell gives its place to the program, so that a signal reaches it.
    fn at_a_pipe(told: &Transcript, line: &'static str) -> Self {
        Self::begin(line, told.command(&format!("exec {line}")))
    }

    /// At a terminal of 100 columns. (`script`, of the base system, makes one.)
    pub(super) fn at_a_terminal(told: &Transcript, line: &'static str) -> Self {
        let mut command =
            told.command(&format!("script -qec 'stty cols 100 rows 40; exec {line}' /dev/null"));
        command.stdin(Stdio::piped());
        Self::begin(line, command)
    }

    fn begin(line: &'static str, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { line, keys: child.stdin.take(), child, out: Stream::of(out), err: Stream::of(err) }
    }

    /// Waits until this was shown so often.
    pub(super) async fn shows(&self, times: usize, text: &str) {
        until(&format!("{text:?} {times} times of {}", self.line), wait::LIMIT, || {
            let seen = self.out.seen() + &self.err.seen();
            let enough = seen.matches(text).count() >= times;
            async move { if enough { Ok(()) } else { Err(seen) } }
        })
        .await;
    }

    fn types(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Ctrl-C: at a terminal the key itself, else the signal.
    pub(super) fn interrupt(&mut self) {
        if self.keys.is_some() {
            self.types("\u{3}");
        } else {
            let id = self.child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        }
    }

    pub(super) async fn end(mut self) -> Printed {
        let child = &mut self.child;
        let status = until(&format!("the end of {}", self.line), wait::LIMIT, || {
            let ended = child.try_wait().unwrap();
            async move { ended.ok_or_else(|| "it runs".to_owned()) }
        })
        .await;
        // Only now: a terminal that is typed at no more would hang up.
        drop(self.keys);
        Printed { out: self.out.whole(), err: self.err.whole(), code: status.code().unwrap_or(-1) }
    }
}

/// A transcript in which what commands a terminal is seen: ␍ is a return to the first column, ␛ begins the rest.
fn visible(mut told: Transcript) -> Transcript {
    told.set("TERM", "xterm");
    told.replace("\r\n", "\n");
    told.replace("\r", "␍");
    told.replace("\u{3}", "");
    told.replace("\u{1b}", "␛");
    told
}

async fn a_watch_is_followed_until_ctrl_c() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (owner, name) = ("liv.watch", "cli-live-watch");
    let mut told = visible(Transcript::new("live-watch", cluster, owner));
    apply(&client, &with(poolless(name), "/spec/owner", json!(owner))).await;
    wait::active(&client, name).await;
    // Columns of the manifest alone: how many steps its status takes differs.
    let table = "dataos-ctl get --watch --columns name,owner,purpose";
    let mut all = [
        Live::at_a_pipe(&told, table),
        Live::at_a_terminal(&told, table),
        Live::at_a_pipe(&told, "dataos-ctl get --watch --output name -q"),
        Live::at_a_pipe(&told, "kubectl poros get compute/cli-live-watch -w -o name --output-watch-events"),
    ];
    for live in &all {
        live.shows(1, name).await;
    }
    patch(&raw_computes(&client), name, &json!({"spec": {"purpose": "gpu"}})).await;
    for live in &all[..2] {
        live.shows(1, "gpu").await;
    }
    clear(&client, name).await;
    for live in &all[..2] {
        live.shows(1, "DELETED").await;
    }
    for live in &mut all {
        live.interrupt();
    }
    for (live, seat) in all.into_iter().zip(["at a pipe", "at a terminal", "at a pipe", "at a pipe"]) {
        told.remark(seat);
        let line = live.line;
        let mut printed = live.end().await;
        if line.contains("-o name") || line.contains("--output name") {
            // A line for each event; how many there are on the way differs.
            let mut lines: Vec<&str> = printed.out.lines().collect();
            lines.dedup();
            printed.out = lines.join("\n") + "\n";
        }
        told.note(line, &printed);
    }
    told.compare();
}

async fn a_table_is_refreshed_until_ctrl_c() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (owner, name) = ("liv.refresh", "cli-live-refresh");
    let mut told = visible(Transcript::new("live-refresh", cluster, owner));
    apply(&client, &with(poolless(name), "/spec/owner", json!(owner))).await;
    wait::active(&client, name).await;
    let line = "dataos-ctl get -t compute -r --refreshRate 3 --plain --no-headers";
    let drawn = "dataos-ctl get -t compute -r --refreshRate 3 --no-headers";
    let mut all = [Live::at_a_pipe(&told, line), Live::at_a_terminal(&told, drawn)];
    for live in &mut all {
        live.shows(2, name).await;
        live.interrupt();
    }
    for (live, seat) in all.into_iter().zip(["at a pipe", "at a terminal"]) {
        told.remark(seat);
        told.note(live.line, &live.end().await);
    }
    told.compare();
    clear(&client, name).await;
}

/// Goes back to the first column, and empties the line.
const OVER: &str = "\r\u{1b}[K";

/// What a terminal shows of a wait, without the progress that was drawn on the way to what lasts, of which each machine
/// sees more or less; and with the seconds put in words: before the first progress `[0000]`, after it `[000N]`.
fn lasting(shown: &str, lasts: &[&str]) -> String {
    let lasts =
        |part: &str| part.is_empty() || part.contains('\n') || lasts.iter().any(|words| part.contains(words));
    let seconds = Regex::new(r"\[\d{4}\]").unwrap();
    let (before, after) = shown.split_once(OVER).expect("progress is drawn");
    let drawn: String =
        after.split(OVER).filter(|part| lasts(part)).map(|part| OVER.to_owned() + part).collect();
    seconds.replace_all(before, "[0000]").into_owned() + &seconds.replace_all(&drawn, "[000N]")
}

async fn progress_is_drawn_over_itself() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let (waited, applied) = ("cli-live-wait", "cli-live-apply");
    apply(&client, &compute(waited)).await;
    wait::says(&client, waited, "pending/building AwaitingPool").await;
    let mut told = visible(Transcript::new("live-progress", cluster, "liv.progress"));
    told.file("poor.yaml", native(applied).replace("minReadyNodes: 0", "minReadyNodes: 1"));
    let all = [
        Live::at_a_terminal(&told, "dataos-ctl wait -t compute -n cli-live-wait"),
        Live::at_a_terminal(&told, "dataos-ctl apply -f poor.yaml --wait"),
        Live::at_a_terminal(&told, "kubectl poros wait compute/cli-live-wait"),
        Live::at_a_pipe(&told, "dataos-ctl wait -t compute -n cli-live-wait --plain"),
    ];
    let none = "no node carries the labels";
    for live in &all {
        live.shows(1, none).await;
    }
    // Another state that lasts: a node, but it is not ready.
    for name in [waited, applied] {
        node(&client, &format!("{name}-1"), name, false).await;
    }
    let unready = "no node of the pool is ready";
    for live in &all {
        live.shows(1, unready).await;
    }
    for name in [waited, applied] {
        node(&client, &format!("{name}-2"), name, true).await;
    }
    let elapsed = Regex::new(r"\[\d{4}\]").unwrap();
    let seconds = Regex::new(r"(?:INFO|WARN)(?:\u{1b}\[0m)?\[(\d{4})\]").unwrap();
    for live in all {
        let line = live.line;
        let terminal = live.keys.is_some();
        let mut printed = live.end().await;
        assert_eq!(printed.code, 0, "{line}: {}{}", printed.out, printed.err);
        let talk = if terminal { &printed.out } else { &printed.err };
        let passed: Vec<u64> = seconds.captures_iter(talk).map(|found| found[1].parse().unwrap()).collect();
        if line.starts_with("dataos-ctl") {
            assert!(passed.is_sorted() && passed[0] == 0, "{line}: {passed:?}");
            // Two states were shown that lasted for a second each.
            assert!(passed.last() >= Some(&2), "{line}: {passed:?}");
        }
        if terminal {
            printed.out = lasting(&printed.out, &[none, unready]);
            told.remark("at a terminal");
        } else {
            // A line for each state that lasts.
            let lasts = |line: &&str| {
                !line.contains(&format!(" {waited}: ")) || line.contains(none) || line.contains(unready)
            };
            let lines: String = printed.err.split_inclusive('\n').filter(lasts).collect();
            let (begun, rest) = lines.split_once('\n').unwrap();
            printed.err = format!("{begun}\n{}", elapsed.replace_all(rest, "[000N]"));
            told.remark("at a pipe");
        }
        told.note(line, &printed);
    }
    told.compare();
    for name in [waited, applied] {
        clear(&client, name).await;
        for index in 1..=2 {
            delete(&nodes(&client), &format!("{name}-{index}")).await.unwrap();
        }
    }
}

/// Data goes to a program, talk to a narrow terminal: what wraps could not be written over.
async fn progress_fits_the_terminal_that_shows_it() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-live-fits";
    apply(&client, &compute(name)).await;
    wait::says(&client, name, "pending/building AwaitingPool").await;
    let mut told = Transcript::new("live-fits", cluster, "liv.fits");
    told.set("TERM", "xterm");
    let live = Live::at_a_terminal(
        &told,
        "sh -c \"stty cols 40; dataos-ctl wait -t compute -n cli-live-fits --timeout 4s | cat\"",
    );
    let printed = live.end().await;
    let drawn: Vec<&str> =
        printed.out.split(OVER).filter(|part| !part.is_empty() && !part.contains('\n')).collect();
    assert!(!drawn.is_empty(), "{}", printed.out);
    for line in drawn {
        assert!(line.chars().count() < 40, "{line:?} in {}", printed.out);
        assert!(line.starts_with("cli-live-fits: built and proven; "), "{line:?} in {}", printed.out);
    }
    clear(&client, name).await;
}

async fn the_tab_key_completes() {
    let cluster = cluster::shared().await;
    let client = cluster.client().await;
    let name = "cli-tab-key-only";
    apply(&client, &poolless(name)).await;
    let mut told = Transcript::new("live-tab", cluster, "ann");
    told.set("TERM", "dumb");
    told.set("PS1", "ready> ");
    // The shell of a person, and its Tab key. (The other shells are not on every machine.)
    let mut bash = Live::at_a_terminal(&told, "bash --norc --noprofile -i");
    bash.shows(1, "ready> ").await;
    bash.types("source <(dataos-ctl completion bash); PS1='go> '\r");
    bash.shows(1, "\ngo> ").await;
    bash.types("dataos-ctl vers\t--cli\t --output j\t\r");
    bash.shows(1, concat!("\"client\": \"", env!("CARGO_PKG_VERSION"), "\"")).await;
    bash.shows(2, "\ngo> ").await;
    bash.types("dataos-ctl get --no-he\t -q --output name -n cli-tab-key-\t\r");
    bash.shows(1, &format!("\ncompute:v1beta:{name}")).await;
    bash.types("exit\r");
    let printed = bash.end().await;
    assert_eq!(printed.code, 0, "{}", printed.out);
    clear(&client, name).await;
}

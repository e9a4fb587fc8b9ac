//! `jq`: runs a filter over each document of some manifests, within bounds: a filter may never end, and take any memory.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::cluster::call::chain;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::files;
use crate::ctl::session::Session;
use crate::decide::filter::{Filter, FilterError, RunError};
use crate::view::manifest::documents;

/// The most that is printed, in bytes.
const LARGEST: usize = 16 << 20;
/// The most memory, in bytes, where the system tells it. All of it, for that of one thread is not told.
const MEMORY: u64 = 512 << 20;
/// What a filter that calls itself may take of it. It is taken as it is used.
const STACK: usize = 1 << 30;
/// How often time and memory are looked at, and for how long at most what was given is kept back.
const LOOK: Duration = Duration::from_millis(10);
/// How much of what was given is written at once, in bytes.
const BLOCK: usize = 64 << 10;

/// What to run over what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The files, as with `apply`.
    pub files: Vec<PathBuf>,
    /// The filter.
    pub filter: String,
    /// Whether strings are printed as they are.
    pub raw: bool,
    /// How long it may take.
    pub limit: Duration,
}

enum Said {
    Wrong(FilterError),
    Gave(String),
    /// Of the document of this number.
    Failed(usize, RunError),
    Done,
}

/// Runs it.
pub fn jq(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let (mut inputs, mut unread) = (Vec::new(), None);
    for source in files::sources(&request.files, false) {
        let name = source.name.clone();
        let read = match source.read() {
            Ok(bytes) => documents(&name, &bytes),
            Err(error) => {
                let failure = Failure::from(error);
                session.terminal.error(&failure.text);
                unread = Some(failure.exit);
                continue;
            }
        };
        for (index, document) in read.into_iter().enumerate() {
            match document {
                Ok(document) => inputs.push((format!("document {} of {name}", index + 1), document.value())),
                Err(error) => {
                    session.terminal.error(&chain(&error));
                    unread = Some(Exit::Invalid);
                }
            }
        }
    }
    let (sender, said) = sync_channel(16);
    let (names, values): (Vec<String>, Vec<Value>) = inputs.into_iter().unzip();
    let (filter, raw, limit) = (request.filter, request.raw, request.limit);
    let worker = std::thread::Builder::new().name("filter".into()).stack_size(STACK);
    // It cannot be stopped, so it is left behind: it ends with the process.
    let started = worker.spawn(move || work(&filter, raw, &values, &sender));
    started
        .map_err(|error| Failure::new(Exit::Failed, format!("the filter could not be started: {error}")))?;
    listen(&said, &names, limit, session)?;
    match unread {
        Some(exit) => Err(Failure::new(exit, "")),
        None => Ok(Exit::Ok),
    }
}

fn work(filter: &str, raw: bool, inputs: &[Value], sender: &SyncSender<Said>) {
    let filter = match Filter::compile(filter) {
        Ok(filter) => filter,
        Err(error) => return drop(sender.send(Said::Wrong(error))),
    };
    // One time for all of it.
    let now = Timestamp::now().as_duration().as_secs_f64();
    for (index, input) in inputs.iter().enumerate() {
        for output in filter.run(input, raw, now) {
            let said = match output {
                Ok(text) => Said::Gave(text),
                Err(error) => Said::Failed(index, error),
            };
            if sender.send(said).is_err() {
                return;
            }
        }
    }
    let _ = sender.send(Said::Done);
}

fn listen(
    said: &Receiver<Said>,
    names: &[String],
    limit: Duration,
    session: &mut Session,
) -> Result<(), Failure> {
    let (mut printed, mut failed) = (0, false);
    let mut given = String::new();
    let mut watch = Watch::over(limit);
    loop {
        let heard = said.recv_timeout(LOOK);
        let goes_on = matches!(heard, Ok(Said::Gave(_)));
        let due = watch.is_due();
        if !given.is_empty() && (!goes_on || given.len() > BLOCK || due) {
            session.terminal.document(&std::mem::take(&mut given))?;
        }
        if due {
            watch.look()?;
        }
        match heard {
            Ok(Said::Gave(text)) => {
                printed += text.len() + 1;
                if printed > LARGEST {
                    session.terminal.document(&given)?;
                    let text = format!("the filter was stopped: it gives more than {} MiB", LARGEST >> 20);
                    return Err(Failure::new(Exit::Failed, text));
                }
                given.push_str(&text);
                given.push('\n');
            }
            Ok(Said::Failed(index, why)) => {
                failed = true;
                let name = names.get(index).map_or("a document", String::as_str);
                session.terminal.error(&format!("the filter fails on {name}: {why}"));
            }
            Ok(Said::Wrong(error)) => return Err(Failure::of(Exit::Usage, &error)),
            Ok(Said::Done) if failed => return Err(Failure::new(Exit::Failed, "")),
            Ok(Said::Done) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(
                    Exit::Failed,
                    "the filter broke off: this is an error of dataos-ctl",
                ));
            }
        }
    }
}

/// Looks at time and memory, but not at each thing that a filter gives: the look costs more than most of them.
struct Watch {
    began: Instant,
    limit: Duration,
    next: Instant,
}

impl Watch {
    fn over(limit: Duration) -> Self {
        let began = Instant::now();
        Self { began, limit, next: began }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    fn look(&mut self) -> Result<(), Failure> {
        self.next = Instant::now() + LOOK;
        if self.began.elapsed() >= self.limit {
            let text =
                format!("the filter was stopped: it did not end within {} s", self.limit.as_secs_f64());
            return Err(Failure::new(Exit::TimedOut, text).remedy("--timeout gives it longer"));
        }
        if memory().is_some_and(|memory| memory > MEMORY) {
            let text = format!("the filter was stopped: it takes more than {} MiB of memory", MEMORY >> 20);
            return Err(Failure::new(Exit::Failed, text));
        }
        Ok(())
    }
}

/// What this process has of memory, in bytes, where the system tells it (Linux).
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

//! `jq`: runs a filter over each document of some manifests, within bounds: a filter may never end, and take any memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::ctl::failure::{Exit, Failure};
use crate::ctl::files;
use crate::ctl::session::Session;
use crate::decide::filter::{Filter, FilterError, RunError};
use crate::view::manifest::Allowance;

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

/// The documents of a file: what people call each, and what it holds.
type Inputs = Vec<(String, Value)>;

enum Said {
    /// The filter is one; or why it is none.
    Compiled(Result<(), FilterError>),
    Gave(String),
    /// Of the document of this number.
    Failed(usize, RunError),
    /// With all documents of a file.
    Done,
}

/// Runs it, over one file after the other: no more than one of them is held.
pub fn jq(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let (sender, said) = sync_channel(16);
    let (files, inputs) = sync_channel::<Arc<Inputs>>(1);
    let (filter, raw) = (request.filter, request.raw);
    let worker = std::thread::Builder::new().name("filter".into()).stack_size(STACK);
    // It cannot be stopped, so it is left behind: it ends with the process.
    let started = worker.spawn(move || work(&filter, raw, &inputs, &sender));
    started
        .map_err(|error| Failure::new(Exit::Failed, format!("the filter could not be started: {error}")))?;
    let mut run = Run { said, printed: 0, exit: Exit::Ok, spent: Duration::ZERO, limit: request.limit };
    run.listen(&Inputs::new(), session)?;
    for (name, bytes) in files::contents(files::sources(&request.files, false)) {
        let mut inputs = Inputs::new();
        let documents = match bytes {
            Ok(bytes) => files::documents(&name, &bytes, &mut Allowance::default()),
            Err(error) => vec![Err(error.into())],
        };
        for (index, document) in documents.into_iter().enumerate() {
            match document {
                Ok(document) => inputs.push((format!("document {} of {name}", index + 1), document.value())),
                Err(failure) => {
                    session.terminal.error(&failure.told());
                    run.ended(failure.exit);
                }
            }
        }
        let inputs = Arc::new(inputs);
        if !inputs.is_empty() && files.send(Arc::clone(&inputs)).is_ok() {
            run.listen(&inputs, session)?;
        }
    }
    // All was said.
    if run.exit == Exit::Ok { Ok(Exit::Ok) } else { Err(Failure::new(run.exit, "")) }
}

fn work(filter: &str, raw: bool, files: &Receiver<Arc<Inputs>>, sender: &SyncSender<Said>) {
    let filter = match Filter::compile(filter) {
        Ok(filter) => filter,
        Err(error) => return drop(sender.send(Said::Compiled(Err(error)))),
    };
    // One time for all of it.
    let now = Timestamp::now().as_duration().as_secs_f64();
    if sender.send(Said::Compiled(Ok(()))).is_err() {
        return;
    }
    for inputs in files {
        for (index, (_, input)) in inputs.iter().enumerate() {
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
        if sender.send(Said::Done).is_err() {
            return;
        }
    }
}

/// What became of it so far.
struct Run {
    said: Receiver<Said>,
    /// In bytes.
    printed: usize,
    exit: Exit,
    /// In the filter: how long files take to read does not count.
    spent: Duration,
    limit: Duration,
}

impl Run {
    /// What one part ended with.
    fn ended(&mut self, exit: Exit) {
        self.exit = Exit::of_all([self.exit, exit]);
    }

    /// Prints what is given of these, to their end. A failure ends it all.
    fn listen(&mut self, inputs: &Inputs, session: &mut Session) -> Result<(), Failure> {
        let mut given = String::new();
        let mut watch = Watch::over(self.limit, self.spent);
        loop {
            let heard = self.said.recv_timeout(LOOK);
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
                    self.printed += text.len() + 1;
                    if self.printed > LARGEST {
                        session.terminal.document(&given)?;
                        let text =
                            format!("the filter was stopped: it gives more than {} MiB", LARGEST >> 20);
                        return Err(Failure::new(Exit::Failed, text));
                    }
                    given.push_str(&text);
                    given.push('\n');
                }
                Ok(Said::Failed(index, why)) => {
                    self.ended(Exit::Failed);
                    let name = inputs.get(index).map_or("a document", |(name, _)| name);
                    session.terminal.error(&format!("the filter fails on {name}: {why}"));
                }
                Ok(Said::Compiled(Err(error))) => return Err(Failure::of(Exit::Usage, &error)),
                Ok(Said::Compiled(Ok(())) | Said::Done) => {
                    self.spent = watch.spent();
                    return Ok(());
                }
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
}

/// Looks at time and memory, but not at each thing that a filter gives: the look costs more than most of them.
struct Watch {
    began: Instant,
    /// Before it began.
    spent: Duration,
    limit: Duration,
    next: Instant,
}

impl Watch {
    fn over(limit: Duration, spent: Duration) -> Self {
        let began = Instant::now();
        Self { began, spent, limit, next: began }
    }

    fn spent(&self) -> Duration {
        self.spent + self.began.elapsed()
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    fn look(&mut self) -> Result<(), Failure> {
        self.next = Instant::now() + LOOK;
        if self.spent() >= self.limit {
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

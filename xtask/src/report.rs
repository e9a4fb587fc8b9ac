//! How long work tells a person what it does: lines, and one line that changes.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal a progress line is repeated this often, so that a CI log grows slowly.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);
/// Longer progress lines would wrap, and a wrapped line cannot be overwritten.
const WIDTH: usize = 100;

/// A listener to long work.
pub trait Report {
    /// A line that stays.
    fn line(&mut self, text: &str);
    /// The state of the work under way; replaces the state before it where it can.
    fn progress(&mut self, text: &str);
}

/// Reports to standard error: a changing line on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Terminal {
    in_place: bool,
    open: bool,
    last: Option<Instant>,
}

impl Terminal {
    /// A report to this process's standard error.
    pub fn new() -> Self {
        Self { in_place: std::io::stderr().is_terminal(), open: false, last: None }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Report for Terminal {
    fn line(&mut self, text: &str) {
        let clear = if self.open { "\r\x1b[2K" } else { "" };
        self.open = false;
        // A closed standard error must not stop the work itself.
        let _ = writeln!(std::io::stderr().lock(), "{clear}{text}");
    }

    fn progress(&mut self, text: &str) {
        let mut error = std::io::stderr().lock();
        if self.in_place {
            let short: String = text.chars().take(WIDTH).collect();
            self.open = true;
            let _ = write!(error, "\r\x1b[2K{short}").and_then(|()| error.flush());
        } else if self.last.is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL) {
            self.last = Some(Instant::now());
            let _ = writeln!(error, "{text}");
        }
    }
}

/// Keeps the lines, drops the progress: for tests.
#[derive(Debug, Default)]
pub struct Collected {
    /// The lines so far.
    pub lines: Vec<String>,
}

impl Report for Collected {
    fn line(&mut self, text: &str) {
        self.lines.push(text.to_owned());
    }

    fn progress(&mut self, _: &str) {}
}

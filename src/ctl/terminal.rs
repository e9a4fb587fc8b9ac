//! Where the answers go: data to standard output, talk to standard error.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};
use std::os::fd::AsFd as _;
use std::time::Instant;

use clap::{Args, ValueEnum};
use terminal_size::{Height, Width, terminal_size_of};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use crate::view::table::{shortened, shown, shown_lines};
use crate::view::talk::{self, Level, Voice};

/// The longest answer to a question, in bytes.
const ANSWER: u64 = 1024;

/// How it talks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How it talks", next_display_order = 900)]
pub struct Manners {
    /// Colours: always, never, or auto (on a terminal, unless NO_COLOR is set)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Colour,
    /// No emoji, and no line that is written over
    #[arg(long, global = true)]
    pub plain: bool,
    /// Only data, warnings and errors
    #[arg(long, short = 'q', global = true)]
    pub quiet: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What can be shown where somebody looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct Look {
    /// Whether data may have colours.
    pub coloured: bool,
    /// Whether talk may have colours.
    pub coloured_talk: bool,
    /// Whether somebody looks at the data as it comes.
    pub interactive: bool,
    /// Whether a line of talk can be written over.
    pub live: bool,
    /// Whether somebody can be asked.
    pub asks: bool,
    /// Whether emoji can be shown.
    pub emoji: bool,
    /// Columns of the terminal that shows the data; none where there is no terminal: nothing is cut there.
    pub width: Option<usize>,
    /// Columns of the terminal that shows the talk, which may be another, or the only one.
    pub width_of_talk: Option<usize>,
}

impl Look {
    /// Looks at this process: its terminals and its environment.
    pub fn of_this_process(manners: &Manners) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let coloured = |terminal: bool| match manners.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !dumb && set("NO_COLOR").is_none(),
        };
        let (data, talk) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        // As POSIX has it: the first of these that is set decides.
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let columns = |size: Option<(Width, Height)>| {
            size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
        };
        Self {
            coloured: coloured(data),
            coloured_talk: coloured(talk),
            interactive: data,
            asks: talk && io::stdin().is_terminal(),
            live: talk && !dumb && !manners.plain,
            emoji: !manners.plain && (locale.contains("utf-8") || locale.contains("utf8")),
            width: columns(terminal_size_of(io::stdout())),
            width_of_talk: columns(terminal_size_of(io::stderr())),
        }
    }
}

/// Data or talk could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Who reads has seen enough, as `head` has: no error to anybody.
    #[error("who reads has closed the pipe")]
    Closed,
    /// It could not be written.
    #[error("the answer could not be written to standard output")]
    Failed(#[source] io::Error),
}

/// Waits until nobody reads standard output any more; for ever where that cannot be known.
pub async fn reader_is_gone() {
    // A pipe whose reader went is in error at once; without this it would be found with the next data, which may never come.
    // It is only looked at, not written to, so it need not be made non-blocking, which others who have it would feel.
    let data = io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    if let Ok(data) = data
        && data.ready(Interest::ERROR).await.is_ok_and(|ready| ready.is_error() || ready.is_write_closed())
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Where the answers go.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct Terminal {
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    began: Instant,
    voice: Voice,
    quiet: bool,
    /// Whether something was said.
    said: bool,
    /// Whether it says how far something is.
    follows: bool,
    /// Whether it says what is odd.
    warns: bool,
    /// What can be shown.
    pub look: Look,
    /// The last progress, and whether its line is still open.
    progress: Option<(String, bool)>,
}

impl Terminal {
    /// The terminal of this process.
    pub fn of_this_process(voice: Voice, manners: &Manners) -> Self {
        Self {
            data: Box::new(io::stdout()),
            talk: Box::new(io::stderr()),
            began: Instant::now(),
            voice,
            // As kubectl, which says nothing unless something is wrong.
            quiet: manners.quiet || voice == Voice::Kubectl,
            said: false,
            follows: !manners.quiet,
            warns: true,
            look: Look::of_this_process(manners),
            progress: None,
        }
    }

    /// Says nothing more but what is wrong: for programs that read data, and errors as data.
    pub fn hush(&mut self) {
        (self.quiet, self.follows, self.warns) = (true, false, false);
    }

    /// Whose manners it has.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Writes data as it is.
    pub fn data(&mut self, text: &str) -> Result<(), WriteError> {
        self.end_progress();
        let written = self.data.write_all(text.as_bytes()).and_then(|()| self.data.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => WriteError::Closed,
            _ => WriteError::Failed(error),
        })
    }

    /// Writes what the cluster holds: as it is, but to a terminal without what that would take for a command.
    pub fn document(&mut self, text: &str) -> Result<(), WriteError> {
        if self.look.interactive { self.data(&shown_lines(text)) } else { self.data(text) }
    }

    /// Empties the screen where somebody looks at it, so that what follows stands in place of what was there.
    pub fn anew(&mut self) -> Result<(), WriteError> {
        if self.is_read_with_data() { self.data("\u{1b}[H\u{1b}[2J") } else { Ok(()) }
    }

    /// Whether talk stands beside data, on one screen that somebody looks at.
    pub fn is_read_with_data(&self) -> bool {
        self.look.interactive && self.look.live
    }

    /// Says what is done; the sign is left out where it cannot be shown.
    pub fn info(&mut self, sign: &str, text: &str) {
        if !self.quiet {
            let sign = if self.look.emoji { sign } else { "" };
            self.say(Level::Info, &format!("{sign}{text}"));
        }
    }

    /// As [`Self::info`], of something that went wrong.
    pub fn warn(&mut self, sign: &str, text: &str) {
        if !self.warns {
            return;
        }
        let sign = if self.look.emoji && self.voice == Voice::Dataos { sign } else { "" };
        self.say(Level::Warn, &format!("{sign}{text}"));
    }

    /// Says that what was begun went wrong; kubectl has no word for the whole.
    pub fn failed(&mut self, sign: &str, text: &str) {
        if self.voice == Voice::Dataos {
            self.warn(sign, text);
        }
    }

    /// Says what is wrong.
    pub fn error(&mut self, text: &str) {
        self.say(Level::Error, text);
    }

    /// An empty line between talk and data, as the reference has it, where there was talk.
    pub fn gap(&mut self) {
        if self.said && !self.quiet {
            self.end_progress();
            self.write_talk("\n");
        }
    }

    /// Says how far something is: over the last such line where that can be done, else once for each change.
    pub fn progress(&mut self, text: &str) {
        if !self.follows || self.progress.as_ref().is_some_and(|(last, _)| last == text) {
            return;
        }
        if self.look.live {
            // Cut, for a line that wraps cannot be written over.
            let width = self.look.width_of_talk.unwrap_or(80).saturating_sub(1);
            let shown = shortened(&shown(text), width);
            self.write_talk(&format!("\r\u{1b}[K{shown}"));
            self.progress = Some((text.to_owned(), true));
        } else {
            let line = talk::line(self.voice, Level::Info, self.seconds(), text, false);
            self.write_talk(&line);
            self.progress = Some((text.to_owned(), false));
        }
    }

    /// Says something of what was just shown, where talk stands beside data.
    pub fn note(&mut self, text: &str) {
        if !self.quiet || self.voice == Voice::Kubectl {
            self.aside(text);
        }
    }

    /// Asks whoever looks; gives back the line that was typed, without blanks around it. Only where [`Look::asks`].
    pub async fn ask(&mut self, question: &str) -> String {
        self.end_progress();
        self.write_talk(question);
        let (sender, answer) = tokio::sync::oneshot::channel();
        // In a thread of its own, which ends with the process: Ctrl-C is heard meanwhile, and nothing interrupts a read.
        std::thread::spawn(move || {
            let mut answer = String::new();
            // What cannot be read is no answer.
            let _ = io::stdin().lock().take(ANSWER).read_line(&mut answer);
            let _ = sender.send(answer);
        });
        answer.await.unwrap_or_default().trim().to_owned()
    }

    /// Writes text to where talk goes, as it is.
    pub fn aside(&mut self, text: &str) {
        self.end_progress();
        self.write_talk(text);
    }

    fn say(&mut self, level: Level, text: &str) {
        self.end_progress();
        self.said = true;
        let line = talk::line(self.voice, level, self.seconds(), text, self.look.coloured_talk);
        self.write_talk(&line);
    }

    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn end_progress(&mut self) {
        if let Some((_, true)) = self.progress.take() {
            self.write_talk("\r\u{1b}[K");
        }
    }

    fn write_talk(&mut self, text: &str) {
        // Nobody is left to be told.
        let _ = self.talk.write_all(text.as_bytes());
        let _ = self.talk.flush();
    }
}

//! The demo's engine: a story of steps that a person could type, each with a check that it held.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::assets::chain;
use crate::rig::{Companion, Rig, RigError};
use crate::signals;
use crate::table::Table;

mod error;
mod scene;
mod screen;
mod shell;

pub use error::StepError;
pub use scene::Scene;

use screen::{Screen, say};

const POLL: Duration = Duration::from_millis(200);

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Held,
    Failed,
    Stopped,
}

/// The steps so far, and the control plane they play on.
#[derive(Debug)]
pub struct Story {
    // Fields are dropped in this order: the companion goes before what it talks to.
    companion: RefCell<Option<Companion>>,
    rig: Rig,
    programs: PathBuf,
    screen: Screen,
    rows: Vec<(String, Mark, Duration)>,
}

impl Story {
    /// A story on a control plane that is up, which is its first step. Its commands find the programs of the folder
    /// `programs` by their names.
    pub fn new(rig: Rig, programs: PathBuf) -> Self {
        let (companion, screen, rows) = (RefCell::new(None), Screen::new(), Vec::new());
        let mut story = Self { companion, rig, programs, screen, rows };
        let title = "A control plane is up: etcd, API server, controller manager, scheduler, KWOK";
        let time = story.rig.ready_after();
        story.screen.title(1, title);
        story.screen.held(&format!("ready at {}", story.rig.url()), time);
        story.rows.push((title.to_owned(), Mark::Held, time));
        story
    }

    /// The control plane.
    pub fn rig(&self) -> &Rig {
        &self.rig
    }

    /// Plays a step, unless one before it failed.
    pub fn step(&mut self, title: &str, play: impl FnOnce(&Scene<'_>) -> Result<(), StepError>) {
        if !self.held() {
            return;
        }
        self.screen.title(self.rows.len() + 1, title);
        let begin = Instant::now();
        let Self { companion, rig, programs, screen, .. } = self;
        let result = play(&Scene { rig, programs, companion, screen });
        self.screen.waited();
        if let Err(error) = &result {
            self.screen.failed(&chain(error));
        }
        let mark = match result {
            Ok(()) => Mark::Held,
            Err(StepError::Stopped) => Mark::Stopped,
            Err(_) => Mark::Failed,
        };
        self.rows.push((title.to_owned(), mark, begin.elapsed()));
    }

    /// Whether every step so far held.
    pub fn held(&self) -> bool {
        self.rows.iter().all(|(_, mark, _)| *mark == Mark::Held)
    }

    /// Tells how it went. Unless `once`, stays up with `usage` until a signal comes. Then stops everything:
    /// first the companion, then the control plane.
    pub fn end(self, once: bool, usage: &str) -> Result<ExitCode, RigError> {
        say(&format!("\n{}", self.table().text()));
        let held = self.held();
        if held {
            let all: Duration = self.rows.iter().map(|(_, _, time)| *time).sum();
            say(&format!("\nAll {} steps held, in {:.0} s.", self.rows.len(), all.as_secs_f64()));
        }
        if !once && !signals::stop_asked() {
            if !held {
                say("\nA step failed. All stays up for a look.");
            }
            say(usage);
            self.stay();
        }
        let Self { companion, rig, .. } = self;
        drop(companion);
        if !held && !signals::stop_asked() {
            rig.keep_folder();
            say(&format!("Logs are in {}", rig.dir().join("logs").display()));
        }
        rig.stop()?;
        say("Stopped; nothing is left running.");
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn stay(&self) {
        let mut told = !self.held();
        while !signals::stop_asked() {
            if let Some(error) = scene::fallen(&self.companion).filter(|_| !told) {
                self.screen.failed(&chain(&error));
                told = true;
            }
            std::thread::sleep(POLL);
        }
        // Beside the terminal's own ^C.
        say("");
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["", "step", "result", "seconds"]);
        for (number, (title, mark, time)) in self.rows.iter().enumerate() {
            let result = match mark {
                Mark::Held => "held",
                Mark::Failed => "failed",
                Mark::Stopped => "stopped",
            };
            let seconds = format!("{:.1}", time.as_secs_f64());
            table.row([(number + 1).to_string(), title.clone(), result.to_owned(), seconds]);
        }
        table
    }
}

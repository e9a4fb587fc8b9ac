//! The demo's engine: a story of steps that a person could type, each with a check that it held.

use std::io::Write;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::assets::{Tool, chain};
use crate::rig::{Rig, RigError};
use crate::signals;
use crate::table::Table;

/// Between two questions to the API server.
const POLL: Duration = Duration::from_millis(200);

/// Why a step did not hold.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Ctrl-C.
    #[error("stopped by a signal")]
    Stopped,
    /// A command could not be run.
    #[error("cannot run {typed:?}: is `sh` on PATH?")]
    Run {
        /// The command.
        typed: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A command failed.
    #[error("{typed:?} ended with {status}; its output is above")]
    Failed {
        /// The command.
        typed: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A command that had to be refused was not, or for another reason.
    #[error("{typed:?} had to be refused with {expected:?}; its output is above")]
    NotRefused {
        /// The command.
        typed: String,
        /// What the refusal had to say.
        expected: String,
    },
    /// A condition did not come true.
    #[error("not within {seconds} s: {what}; last seen: {seen}")]
    Late {
        /// The condition.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// What was there instead.
        seen: String,
    },
    /// The rig failed.
    #[error("the rig failed")]
    Rig(#[source] RigError),
}

/// One step while it plays.
#[derive(Debug)]
pub struct Scene<'a> {
    rig: &'a Rig,
}

impl Scene<'_> {
    /// The control plane.
    pub fn rig(&self) -> &Rig {
        self.rig
    }

    /// Runs a line as a shell would and shows its output; it must succeed. `kubectl` in it is the
    /// demo's own, pointed at the demo's control plane.
    pub fn run(&self, typed: &str) -> Result<String, StepError> {
        let output = self.play(typed)?;
        Self::succeeded(typed, &output)
    }

    /// Runs a line that must be refused, in words that hold `expected`.
    pub fn refused(&self, typed: &str, expected: &str) -> Result<(), StepError> {
        let output = self.play(typed)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() && said.contains(expected) {
            return Ok(());
        }
        Err(StepError::NotRefused { typed: typed.to_owned(), expected: expected.to_owned() })
    }

    /// Waits until `kubectl get <query> -o json` satisfies `holds`, which says what it sees where not.
    pub fn until(
        &self,
        what: &str,
        limit: Duration,
        query: &[&str],
        mut holds: impl FnMut(&Value) -> Result<(), String>,
    ) -> Result<(), StepError> {
        let begin = Instant::now();
        loop {
            let answer = self.rig.kubectl().arg("get").args(query).args(["-o", "json"]).output();
            let typed = || format!("kubectl get {}", query.join(" "));
            let output = answer.map_err(|source| StepError::Run { typed: typed(), source })?;
            let seen = match serde_json::from_slice(&output.stdout) {
                Ok(value) if output.status.success() => holds(&value),
                _ => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            };
            let Err(seen) = seen else {
                say(&format!("   ✓ {what} ({:.1} s)", begin.elapsed().as_secs_f64()));
                return Ok(());
            };
            if signals::stop_asked() {
                return Err(StepError::Stopped);
            }
            if begin.elapsed() > limit {
                return Err(StepError::Late { what: what.to_owned(), seconds: limit.as_secs(), seen });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Writes a file into the rig's folder, and returns its path as a person would type it.
    pub fn write(&self, name: &str, text: &str) -> Result<String, StepError> {
        let path = self.rig.dir().join(name);
        let error = |source| StepError::Rig(RigError::File { verb: "write", path: path.clone(), source });
        std::fs::write(&path, text).map_err(error)?;
        let shown = path.strip_prefix(crate::workspace::root()).unwrap_or(&path);
        Ok(shown.display().to_string())
    }

    /// A remark between commands.
    pub fn remark(&self, text: &str) {
        say(&format!("   {text}"));
    }

    fn succeeded(typed: &str, output: &Output) -> Result<String, StepError> {
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        // kubectl is in the terminal's group and hears Ctrl-C itself.
        if signals::stop_asked() {
            return Err(StepError::Stopped);
        }
        Err(StepError::Failed { typed: typed.to_owned(), status: output.status })
    }

    fn play(&self, typed: &str) -> Result<Output, StepError> {
        if signals::stop_asked() {
            return Err(StepError::Stopped);
        }
        say(&format!("   $ {typed}"));
        let output =
            self.shell(typed).map_err(|source| StepError::Run { typed: typed.to_owned(), source })?;
        for line in
            [&output.stdout, &output.stderr].into_iter().flat_map(|text| text.split(|byte| *byte == b'\n'))
        {
            if !line.is_empty() {
                say(&format!("     {}", String::from_utf8_lossy(line)));
            }
        }
        Ok(output)
    }

    fn shell(&self, typed: &str) -> std::io::Result<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", typed]).current_dir(crate::workspace::root()).stdin(Stdio::null());
        command
            .env("KUBECONFIG", self.rig.kubeconfig())
            .env("PATH", self.path())
            .env("KUBECTL_KUBERC", "false");
        command.output()
    }

    /// The binaries come first, so that what is shown is what runs.
    fn path(&self) -> std::ffi::OsString {
        let own = self.rig.assets().path(Tool::Kubectl).parent().map(std::path::Path::to_path_buf);
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let folders = own.into_iter().chain(std::env::split_paths(&rest));
        std::env::join_paths(folders).unwrap_or(rest)
    }
}

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
    rig: Rig,
    rows: Vec<(String, Mark, Duration)>,
}

impl Story {
    /// A story on a control plane that is up.
    pub fn new(rig: Rig) -> Self {
        let mut story = Self { rig, rows: Vec::new() };
        let title = "A control plane: etcd, API server, controller manager, scheduler, KWOK";
        let time = story.rig.ready_after();
        say(&format!("\n1. {title}"));
        say(&format!("   ✓ ready in {:.1} s at {}", time.as_secs_f64(), story.rig.url()));
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
        say(&format!("\n{}. {title}", self.rows.len() + 1));
        let begin = Instant::now();
        let result = play(&Scene { rig: &self.rig });
        if let Err(error) = &result {
            say(&format!("   ✗ {}", chain(error)));
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
    /// first what `before` stops, then the control plane.
    pub fn end(self, once: bool, usage: &str, before: impl FnOnce()) -> Result<ExitCode, RigError> {
        say(&format!("\n{}", self.table().text()));
        let held = self.held();
        if !once && !signals::stop_asked() {
            say(if held { "" } else { "\nA step failed. All stays up for a look." });
            say(usage);
            say(&format!("\n  export KUBECONFIG={}", self.rig.kubeconfig().display()));
            say(&format!("  alias kubectl={}", self.rig.assets().path(Tool::Kubectl).display()));
            say("\nCtrl-C stops everything.");
            while !signals::stop_asked() {
                std::thread::sleep(POLL);
            }
        }
        before();
        if self.rows.iter().any(|(_, mark, _)| *mark == Mark::Failed) {
            self.rig.keep_folder();
            say(&format!("Logs are in {}", self.rig.dir().join("logs").display()));
        }
        self.rig.stop()?;
        say("Stopped.");
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["step", "", "held", "seconds"]);
        for (number, (title, mark, time)) in self.rows.iter().enumerate() {
            let held = match mark {
                Mark::Held => "ok",
                Mark::Failed => "failed",
                Mark::Stopped => "stopped",
            };
            let seconds = format!("{:.1}", time.as_secs_f64());
            table.row([(number + 1).to_string(), title.clone(), held.to_owned(), seconds]);
        }
        table
    }
}

/// Writes a line to standard output; a reader that went away is no error.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

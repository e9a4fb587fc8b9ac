//! One step while it plays: commands that a person could type, and conditions of the API to wait for.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::StepError;
use super::screen::Screen;
use super::shell::{self, Ran};
use crate::assets::Tool;
use crate::rig::{Companion, Rig};
use crate::signals;

/// Between two questions to the API server.
const POLL: Duration = Duration::from_millis(200);
/// How long a refusal may be made in other words, while the API server still learns of a change.
const WORDS: Duration = Duration::from_secs(10);

/// One step while it plays.
#[derive(Debug)]
pub struct Scene<'a> {
    pub(super) rig: &'a Rig,
    pub(super) programs: &'a Path,
    pub(super) companion: &'a RefCell<Option<Companion>>,
    pub(super) screen: &'a Screen,
}

impl Scene<'_> {
    /// The control plane.
    pub fn rig(&self) -> &Rig {
        self.rig
    }

    /// Runs a line as a shell would and shows its output as it comes; it must succeed. `kubectl` in it
    /// is the demo's own, pointed at the demo's control plane.
    pub fn run(&self, typed: &str) -> Result<String, StepError> {
        self.screen.typed(typed);
        let mut table = None;
        let ran = self.play(typed, |error, line| show(self.screen, &mut table, error, line))?;
        if ran.status.success() {
            return Ok(ran.stdout());
        }
        Err(StepError::Failed { typed: typed.to_owned(), status: ran.status })
    }

    /// Runs a line until it succeeds, and shows its last output only: for what the API server still learns.
    pub fn run_in_time(&self, typed: &str, limit: Duration) -> Result<(), StepError> {
        self.screen.typed(typed);
        self.insist(typed, limit, |ran| {
            if ran.status.success() { Ok(Ok(())) } else { Err(ran.stderr().trim().to_owned()) }
        })
    }

    /// Runs a line that must be refused, in words that hold `expected`.
    pub fn refused(&self, typed: &str, expected: &str) -> Result<(), StepError> {
        self.screen.typed(typed);
        let mut code = None;
        self.insist(typed, WORDS, |ran| {
            let said = ran.stderr();
            code = ran.status.code();
            if ran.status.success() {
                return Ok(Err(StepError::NotRefused { typed: typed.to_owned() }));
            }
            if said.contains(expected) { Ok(Ok(())) } else { Err(said.trim().to_owned()) }
        })?;
        let code = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
        self.holds(&format!("refused{code}, and it says that it {expected}"), || Ok(()))
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
            let seen = self.ask(query)?.and_then(|value| holds(&value));
            self.screen.waited();
            let Err(seen) = seen else {
                self.screen.held(what, begin.elapsed());
                return Ok(());
            };
            self.pause(what, begin, limit, seen)?;
        }
    }

    /// What `kubectl get <query> -o json` says now.
    pub fn facts(&self, query: &[&str]) -> Result<Value, StepError> {
        let wrong = |seen| StepError::Wrong { what: query.join(" "), seen };
        self.ask(query)?.map_err(|seen| self.broken().unwrap_or(wrong(seen)))
    }

    /// Shows a command whose answer the demo fetches by itself, until that is the right one.
    pub fn until_told(
        &self,
        typed: &str,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut() -> Result<String, String>,
    ) -> Result<(), StepError> {
        self.screen.typed(typed);
        let begin = Instant::now();
        loop {
            let seen = ask();
            self.screen.waited();
            match seen {
                Ok(answer) => {
                    self.screen.output(&answer, false);
                    self.screen.held(what, begin.elapsed());
                    return Ok(());
                }
                Err(seen) => self.pause(what, begin, limit, seen)?,
            }
        }
    }

    /// Says that something holds, if it does.
    pub fn holds(&self, what: &str, check: impl FnOnce() -> Result<(), String>) -> Result<(), StepError> {
        check().map_err(|seen| StepError::Wrong { what: what.to_owned(), seen })?;
        self.screen.held(what, Duration::ZERO);
        Ok(())
    }

    /// Starts a program beside the control plane. It is watched from now on: if it ends, so does the step under way.
    pub fn accompany(&self, name: &'static str, typed: &str, command: Command) -> Result<(), StepError> {
        self.screen.typed(typed);
        let companion = self.rig.companion(name, command).map_err(StepError::Rig)?;
        self.companion.replace(Some(companion));
        Ok(())
    }

    /// A remark between commands.
    pub fn remark(&self, text: &str) {
        self.screen.remark(text);
    }

    fn pause(&self, what: &str, begin: Instant, limit: Duration, seen: String) -> Result<(), StepError> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        if begin.elapsed() > limit {
            return Err(StepError::Late { what: what.to_owned(), seconds: limit.as_secs(), seen });
        }
        self.screen.waiting(what, &seen, begin);
        std::thread::sleep(POLL);
        Ok(())
    }

    /// Runs a line again and again until `judge` has a verdict.
    fn insist(
        &self,
        typed: &str,
        limit: Duration,
        mut judge: impl FnMut(&Ran) -> Result<Result<(), StepError>, String>,
    ) -> Result<(), StepError> {
        let begin = Instant::now();
        loop {
            let ran = self.play(typed, |_, _| ())?;
            self.screen.waited();
            match judge(&ran) {
                Ok(verdict) => {
                    let mut table = None;
                    for (error, line) in &ran.lines {
                        show(self.screen, &mut table, *error, line);
                    }
                    return verdict;
                }
                Err(seen) => self.pause(typed, begin, limit, seen)?,
            }
        }
    }

    fn ask(&self, query: &[&str]) -> Result<Result<Value, String>, StepError> {
        let answer = self.rig.kubectl().arg("get").args(query).args(["-o", "json"]).output();
        let typed = || format!("kubectl get {}", query.join(" "));
        let Output { status, stdout, stderr } =
            answer.map_err(|source| StepError::Run { typed: typed(), source })?;
        if !status.success() {
            return Ok(Err(String::from_utf8_lossy(&stderr).trim().to_owned()));
        }
        Ok(serde_json::from_slice(&stdout).map_err(|error| error.to_string()))
    }

    fn play(&self, typed: &str, tell: impl FnMut(bool, &str)) -> Result<Ran, StepError> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        let failed = |source| StepError::Run { typed: typed.to_owned(), source };
        shell::run(self.shell(typed), failed, tell, || self.broken())
    }

    /// Why the step cannot go on, whatever it waits for.
    fn broken(&self) -> Option<StepError> {
        if signals::stop_asked() { Some(StepError::Stopped) } else { fallen(self.companion) }
    }

    fn shell(&self, typed: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", typed]).current_dir(crate::workspace::root());
        command
            .env("KUBECONFIG", self.rig.kubeconfig())
            .env("PATH", self.path())
            .env("KUBECTL_KUBERC", "false");
        command
    }

    /// The binaries come first, so that what is shown is what runs.
    fn path(&self) -> OsString {
        let own = self.rig.assets().path(Tool::Kubectl).parent().map(Path::to_path_buf);
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let own = own.into_iter().chain([self.programs.to_path_buf()]);
        let folders = own.chain(std::env::split_paths(&rest));
        std::env::join_paths(folders).unwrap_or(rest)
    }
}

/// Whether the companion ended by itself.
pub(super) fn fallen(companion: &RefCell<Option<Companion>>) -> Option<StepError> {
    let mut companion = companion.borrow_mut();
    let running = companion.as_mut()?;
    let status = match running.ended() {
        Ok(status) => status?,
        Err(error) => return Some(StepError::Rig(error)),
    };
    let (name, log, tail) = (running.name(), running.log().to_owned(), running.last_words());
    Some(StepError::Fallen { name, status, log, tail })
}

/// Shows a line of output. kubectl's tables have heads of capitals.
fn show(screen: &Screen, table: &mut Option<bool>, error: bool, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    let head = || line.contains("  ") && !line.chars().any(char::is_lowercase);
    let table = !error && *table.get_or_insert_with(head);
    screen.output(line, table);
}

//! Builds the control plane with Go, and shows how far it is.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::{CacheError, Slot};
use super::modules::Module;
use super::{Project, Settings, Tool};
use crate::report::Report;

/// Raised where the way of building changes, so that older builds in the cache are not taken.
pub(crate) const RECIPE: &str = "1";
/// How many last lines of Go's output an error shows.
const TAIL: usize = 20;

/// Why the build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Go could not be started.
    #[error("cannot run {program:?}: is Go installed as it should be?")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Go ended with an error.
    #[error(
        "`go {what}` in {module:?} ended with {status}; mend what it says (network, disk, Go version) and run this again. Its last lines:\n{tail}"
    )]
    Go {
        /// The verb.
        what: &'static str,
        /// The Go module.
        module: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it printed.
        tail: String,
    },
    /// The result could not be kept.
    #[error("the build cannot be kept")]
    Keep(#[source] CacheError),
}

#[derive(Debug, Default)]
struct Heard {
    packages: usize,
    lines: Vec<String>,
}

/// Builds every binary of a module into the slot.
pub(crate) fn build(
    settings: &Settings,
    module: &Module,
    slot: &Slot,
    report: &mut dyn Report,
) -> Result<(), BuildError> {
    let go = Go { program: &settings.go, module };
    let start = Instant::now();
    report.line(&format!(
        "Building {} with Go. The first time this takes {} minutes, mostly the processor's; later runs find it in the cache.",
        module.what(),
        module.minutes()
    ));
    let packages = go.packages(start, report)?;
    let bench = slot.workbench().map_err(BuildError::Keep)?;
    go.compile(&bench, packages, start, report)?;
    for tool in &module.versions.tools {
        // The Go package of etcd is called `server`, so its binary is too.
        let made = if *tool == Tool::Etcd { "server" } else { tool.file() };
        slot.keep(&bench.join(made), tool.file()).map_err(BuildError::Keep)?;
    }
    report.line(&format!("Built {} in {}.", module.what(), minutes(start.elapsed())));
    Ok(())
}

/// The Go program at work on one module.
#[derive(Clone, Copy)]
struct Go<'build> {
    program: &'build Path,
    module: &'build Module,
}

impl Go<'_> {
    /// How many packages there are at most to compile. With empty caches this fetches the modules first.
    fn packages(self, start: Instant, report: &mut dyn Report) -> Result<usize, BuildError> {
        let mut command = self.command(&["list", "-deps", "tool"]);
        let mut child = self.spawn(command.stdout(Stdio::piped()))?;
        let output = child.stdout.take();
        let counter = std::thread::spawn(move || {
            output.map_or(0, |output| BufReader::new(output).lines().map_while(Result::ok).count())
        });
        self.follow(child, "list", |heard| {
            let fetched = heard.lines.len();
            report.progress(&format!("Fetching Go modules: {fetched} so far, {}", minutes(start.elapsed())));
        })?;
        Ok(counter.join().unwrap_or(0))
    }

    fn compile(
        self,
        bench: &Path,
        packages: usize,
        start: Instant,
        report: &mut dyn Report,
    ) -> Result<(), BuildError> {
        let mut command = self.command(&["build", "-v", "-trimpath", "-mod=readonly"]);
        command.arg("-ldflags").arg(link_flags(self.module.versions.of(Project::Kubernetes)));
        // Go takes an `-o` that ends with a slash as a folder for many binaries.
        command.arg("-o").arg(bench.join("")).arg("tool").stdout(Stdio::null());
        let child = self.spawn(&mut command)?;
        let what = self.module.what();
        self.follow(child, "build", |heard| {
            let (done, time) = (heard.packages, minutes(start.elapsed()));
            report.progress(&format!("Building {what}: {done} of at most {packages} packages, {time}"));
        })
    }

    fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(&self.module.folder);
        command.env("CGO_ENABLED", "0").env("GOWORK", "off");
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn spawn(self, command: &mut Command) -> Result<Child, BuildError> {
        command.spawn().map_err(|source| self.unable(source))
    }

    fn unable(self, source: std::io::Error) -> BuildError {
        BuildError::Run { program: self.program.to_owned(), source }
    }

    /// Reads what Go says until it ends, and lets `show` tell of it.
    fn follow(
        self,
        mut child: Child,
        what: &'static str,
        mut show: impl FnMut(&Heard),
    ) -> Result<(), BuildError> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let reader = child.stderr.take().map(|error| {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || {
                for line in BufReader::new(error).lines().map_while(Result::ok) {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    // `go build -v` prints the import path of each package it compiles, alone on a line.
                    heard.packages += usize::from(!line.contains(' '));
                    heard.lines.push(line);
                }
            })
        });
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|source| self.unable(source))? {
                break status;
            }
            show(&heard.lock().unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(Duration::from_millis(200));
        };
        if let Some(reader) = reader {
            // A reader that died has only lost lines for the error's text.
            let _ = reader.join();
        }
        if status.success() {
            return Ok(());
        }
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let tail =
            heard.lines.iter().skip(heard.lines.len().saturating_sub(TAIL)).cloned().collect::<Vec<_>>();
        let module = self.module.folder.clone();
        Err(BuildError::Go { what, module, status, tail: tail.join("\n") })
    }
}

/// Without these flags the API server calls itself v0.0.0, and clients refuse to believe it.
fn link_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} -X k8s.io/client-go/pkg/version.gitVersion={version}"
    )
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::link_flags;

    #[test]
    fn version_is_told_to_server_and_clients() {
        let flags = link_flags("v1.36.3");
        assert!(flags.contains("version.gitMajor=1 ") && flags.contains("gitMinor=36 "), "{flags}");
        assert!(flags.ends_with("client-go/pkg/version.gitVersion=v1.36.3"), "{flags}");
    }
}

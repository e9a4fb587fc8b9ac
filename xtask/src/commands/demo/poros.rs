//! Poros itself: built as a release, run beside the control plane; and the programs that people type.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use xtask::assets::Tool;
use xtask::demo::{Scene, StepError};
use xtask::rig::Rig;
use xtask::workspace;

use super::{quoted, say};

/// Why there is no Poros to run.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// Cargo could not be run, or not be read.
    #[error("cannot run cargo")]
    Run(#[source] std::io::Error),
    /// It ran, and failed.
    #[error("Poros could not be built ({0}; see above)")]
    Failed(ExitStatus),
    /// It built something else.
    #[error("cargo built no program named {0}")]
    Nothing(&'static str),
    /// The names that people type could not be made.
    #[error("cannot put {0} into a folder of programs")]
    Link(&'static str, #[source] std::io::Error),
}

/// The program that runs as the controller.
const POROS: &str = "poros";
/// The program that people type, and kubectl's plugin by another name.
const CTL: &str = "dataos-ctl";

/// What was built.
#[derive(Debug)]
pub(super) struct Built {
    poros: PathBuf,
    ctl: PathBuf,
}

/// Builds the release, in sight of the person who waits for it, and tells where it is.
pub(super) fn build() -> Result<Built, BuildError> {
    let arguments = ["build", "--release", "--locked", "--bins", "--package", "poros"];
    say(&format!("$ cargo {}     (some minutes the first time)", arguments.join(" ")));
    let mut command = workspace::cargo();
    // Progress and errors go to the terminal; what was built comes as JSON.
    command.args(arguments).arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = command.spawn().map_err(BuildError::Run)?;
    let lines = child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    let programs: BTreeMap<String, PathBuf> =
        lines.map_while(Result::ok).filter_map(|line| executable(&line)).collect();
    let status = child.wait().map_err(BuildError::Run)?;
    if !status.success() {
        return Err(BuildError::Failed(status));
    }
    let program = |name| programs.get(name).cloned().ok_or(BuildError::Nothing(name));
    Ok(Built { poros: program(POROS)?, ctl: program(CTL)? })
}

/// Name and path in cargo's message that a program was built, or is there.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let name = message["target"]["name"].as_str().filter(|_| message["reason"] == "compiler-artifact")?;
    message["executable"].as_str().map(|path| (name.to_owned(), PathBuf::from(path)))
}

impl Built {
    /// A folder with what people type, by the names that they type: kubectl finds its plugins on PATH.
    pub(super) fn folder(&self, rig: &Rig) -> Result<PathBuf, BuildError> {
        let folder = rig.dir().join("programs");
        std::fs::create_dir_all(&folder).map_err(|error| BuildError::Link("programs", error))?;
        let kubectl = rig.assets().path(Tool::Kubectl);
        let ctl = self.ctl.as_path();
        for (name, program) in
            [(POROS, self.poros.as_path()), (CTL, ctl), ("kubectl-poros", ctl), ("kubectl", kubectl)]
        {
            let link = folder.join(name);
            let _ = std::fs::remove_file(&link);
            symlink(program, link).map_err(|error| BuildError::Link(name, error))?;
        }
        Ok(folder)
    }

    /// Poros, listening on this port.
    pub(super) fn poros(self, port: u16) -> Poros {
        Poros { program: self.poros, port }
    }
}

/// Poros, and where it is to listen.
#[derive(Debug)]
pub(super) struct Poros {
    program: PathBuf,
    pub(super) port: u16,
}

impl Poros {
    /// Starts it, and waits until it says that it is ready.
    pub(super) fn run(&self, scene: &Scene<'_>) -> Result<(), StepError> {
        let listen = format!("127.0.0.1:{}", self.port);
        let arguments = ["run", "--manage-policies", "--listen", &listen];
        let mut command = Command::new(&self.program);
        // A log is read by other programs than terminals, too.
        command.args(arguments).env("NO_COLOR", "1");
        let shown = self.program.strip_prefix(workspace::root()).unwrap_or(&self.program);
        let typed = format!("{} {} &", quoted(shown), arguments.join(" "));
        scene.accompany("poros", &typed, command)?;
        let url = format!("http://{listen}/readyz");
        let ready = || ask(&url).and_then(|answer| if answer == "ok" { Ok(answer) } else { Err(answer) });
        let (typed, what) =
            (format!("curl {url}"), "Poros is ready: its caches are complete, its policies act");
        scene.until_told(&typed, what, Duration::from_secs(30), ready)?;
        let log = log(scene.rig());
        let log = log.strip_prefix(workspace::root()).unwrap_or(&log);
        scene.remark(&format!("Its log: {}", log.display()));
        Ok(())
    }
}

/// Where its log goes.
pub(super) fn log(rig: &Rig) -> PathBuf {
    rig.dir().join("logs").join("poros.log")
}

/// GET, with the answer's text whatever its code.
fn ask(url: &str) -> Result<String, String> {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(2)))
        .http_status_as_error(false);
    let answer = ureq::Agent::from(config.build()).get(url).call();
    let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
    text.map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_taken_from_cargos_own_words() {
        let built = r#"{"reason":"compiler-artifact","target":{"name":"poros","kind":["bin"]},"executable":"/t/release/poros"}"#;
        assert_eq!(executable(built), Some(("poros".to_owned(), PathBuf::from("/t/release/poros"))));
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"poros","kind":["lib"]},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("no JSON"), None);
    }
}

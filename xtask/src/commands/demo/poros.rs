//! Poros itself: built as a release, run beside the control plane; and the programs that people type.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use xtask::assets::Tool;
use xtask::demo::{Scene, StepError};
use xtask::image::{self, BuildError, CTL, POROS, Program, Recipe};
use xtask::rig::Rig;
use xtask::workspace;

use super::{quoted, say};

/// The folder of programs could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot put {name} into a folder of programs")]
pub(super) struct LinkError {
    name: &'static str,
    #[source]
    source: std::io::Error,
}

/// Builds the release, in sight of the person who waits for it: the program that an image holds.
pub(super) fn build() -> Result<Program, BuildError> {
    say("Building Poros as an image has it: some minutes the first time.");
    image::program(&Recipe::own())
}

/// A folder with what people type, by the names that they type: kubectl finds its plugins on PATH.
pub(super) fn folder(program: &Program, rig: &Rig) -> Result<PathBuf, LinkError> {
    let folder = rig.dir().join("programs");
    std::fs::create_dir_all(&folder).map_err(|source| LinkError { name: "programs", source })?;
    let (kubectl, poros) = (rig.assets().path(Tool::Kubectl), program.path());
    for (name, program) in [(POROS, &*poros), (CTL, &poros), ("kubectl-poros", &poros), ("kubectl", kubectl)]
    {
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        symlink(program, link).map_err(|source| LinkError { name, source })?;
    }
    Ok(folder)
}

/// Poros, and where it is to listen.
#[derive(Debug)]
pub(super) struct Poros {
    pub(super) program: PathBuf,
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

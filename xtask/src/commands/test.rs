//! `cargo xtask test`: every check, in order, until one fails.
//!
//! `--all` adds the slow tests and the other versions of Kubernetes, which are built then.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xtask::assets::{Assets, Plan, Settings, Work, cache_home, chain, known_kubernetes, on_path};
use xtask::command;
use xtask::report::{Report, Terminal};
use xtask::table::Table;
use xtask::workspace;

use super::say;

const DENY_VERSION: &str = "0.20.2";
/// The advisories' database is a nicety: a network that swallows packets must not hold up the checks.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);

/// Lists the slow tests, in every test binary that has some.
const ALL: &str = "POROS_TEST_ALL";
/// Lists the tests of the image.
const IMAGE: &str = "POROS_TEST_IMAGE";
/// Lists the tests of the real node.
const NODE: &str = "POROS_TEST_NODE";
/// Makes it an error that this host cannot run a real node, or build the Dockerfile.
const REQUIRED: &str = "POROS_REQUIRE_NODE";
/// The Kubernetes of the cluster ring; by default the main one.
const KUBERNETES: &str = "POROS_TEST_KUBERNETES";
/// The modules of the cluster ring that every Kubernetes must pass.
const ON_EVERY_VERSION: [&str; 2] = ["schema::", "placement::"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the slow tests too, and what must hold on every Kubernetes on the oldest and the newest
    #[arg(long)]
    all: bool,
}

struct Step {
    name: &'static str,
    remedy: &'static str,
    run: fn(&mut Checks) -> Result<Outcome, String>,
}

enum Outcome {
    Passed,
    /// Not done, and why that is no failure.
    NotDone(String),
}

const STEPS: [Step; 9] = [
    Step { name: "control plane", remedy: "do what it says, then run this again", run: Checks::assets },
    Step { name: "format", remedy: "run `cargo fmt --all`", run: Checks::format },
    Step { name: "clippy", remedy: "mend what it names; a warning counts", run: Checks::clippy },
    Step {
        name: "dependencies",
        remedy: "see deny.toml: each exception there has its reason",
        run: Checks::deny,
    },
    Step { name: "advisories", remedy: "update the crate it names", run: Checks::advisories },
    Step { name: "tests", remedy: "run one alone with `cargo test NAME -- --nocapture`", run: Checks::tests },
    Step {
        name: "image",
        remedy: "run it alone with `POROS_TEST_IMAGE=1 cargo test -p xtask --test image`",
        run: Checks::image,
    },
    Step {
        name: "real node",
        remedy: "run it alone with `POROS_TEST_NODE=1 cargo test --test node -p xtask` (or `-p poros`), as root",
        run: Checks::real_node,
    },
    Step {
        name: "other versions",
        remedy: "run one alone with `POROS_TEST_KUBERNETES=VERSION cargo test --test it NAME`",
        run: Checks::other_versions,
    },
];

struct Checks {
    all: bool,
    cargo: OsString,
    install: Option<std::process::Child>,
    deny: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let mut checks = Checks::prepare(arguments.all);
    let mut table = Table::new(["step", "result", "seconds"]);
    let begin = Instant::now();
    let mut failed = None;
    for (number, step) in STEPS.iter().enumerate() {
        say(&format!("\n== {}/{}: {}", number + 1, STEPS.len(), step.name));
        let start = Instant::now();
        let result = (step.run)(&mut checks);
        let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
        let word = match &result {
            Ok(Outcome::Passed) => "ok",
            Ok(Outcome::NotDone(why)) => why.as_str(),
            Err(_) => "failed",
        };
        say(&format!("-- {}: {word}, {seconds} s", step.name));
        table.row([step.name.to_owned(), word.to_owned(), seconds]);
        if let Err(text) = result {
            failed = Some(format!("{} failed: {text}. What to do: {}.", step.name, step.remedy));
            break;
        }
    }
    table.row(["all".to_owned(), String::new(), format!("{:.1}", begin.elapsed().as_secs_f64())]);
    say(&format!("\n{}", table.text()));
    if let Some(text) = failed {
        say(&format!("\n{text}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Checks {
    /// Starts at once what takes long and needs nobody: the installation of cargo-deny.
    fn prepare(all: bool) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let root = cache_home().join("poros").join(format!("cargo-deny-{DENY_VERSION}"));
        let cached = root.join("bin").join("cargo-deny");
        let mut checks = Self { all, cargo, install: None, deny: cached.clone() };
        if let Some(found) = on_path("cargo-deny").filter(has_wanted_version) {
            checks.deny = found;
        } else if !has_wanted_version(&cached) {
            say(&format!(
                "Installing cargo-deny {DENY_VERSION} into {}, beside the first steps.",
                root.display()
            ));
            let mut install =
                Self::cargo(&["install", "--quiet", "--locked", "--version", DENY_VERSION, "cargo-deny"]);
            // A folder that stays, so that a run that failed early has not built for nothing.
            install.arg("--root").arg(&root).env("CARGO_TARGET_DIR", root.join("build")).stdin(Stdio::null());
            // Without a child here the step itself fails, and says so.
            checks.install = install.spawn().ok();
        }
        checks
    }

    fn cargo(arguments: &[&str]) -> Command {
        let mut command = workspace::cargo();
        command.args(arguments);
        command
    }

    fn assets(&mut self) -> Result<Outcome, String> {
        let mut report = Terminal::new();
        // Before minutes of work; the table has the same, and more.
        let node = lacks(Work::RealNode)?;
        for why in [&node, &lacks(Work::Dockerfile)?].into_iter().flatten() {
            report.line(&format!("Not all will be done: {why}."));
        }
        let works = vec![Work::Image, Work::Dockerfile];
        let settings = Settings { node: node.is_none(), helm: true, works, ..Settings::from_environment() };
        let plan = Plan::make(&settings).map_err(|error| chain(&error))?;
        report.line(&plan.table().text());
        Work::Image.is_possible().map_err(|error| chain(&error))?;
        plan.carry_out(&settings, &mut report).map_err(|error| chain(&error))?;
        for kubernetes in self.others()? {
            let settings = Settings { kubernetes: Some(kubernetes), ..settings.clone() };
            let assets = Assets::find(&settings, &mut report).map_err(|error| chain(&error))?;
            report.line(&format!("Kubernetes {} is at hand.", assets.kubernetes()));
        }
        Ok(Outcome::Passed)
    }

    fn format(_: &mut Self) -> Result<Outcome, String> {
        passed(&mut Self::cargo(&["fmt", "--all", "--check"]))
    }

    fn clippy(_: &mut Self) -> Result<Outcome, String> {
        passed(&mut Self::cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    }

    fn deny(&mut self) -> Result<Outcome, String> {
        if let Some(mut install) = self.install.take() {
            let status = install.wait().map_err(|error| error.to_string())?;
            if !status.success() {
                return Err(format!(
                    "cargo-deny {DENY_VERSION} could not be installed ({status}; see above)"
                ));
            }
            if let Some(root) = self.deny.parent().and_then(Path::parent) {
                // What resists costs disk, nothing else.
                let _ = std::fs::remove_dir_all(root.join("build"));
            }
        }
        passed(
            self.deny_command(&["--locked", "check", "bans", "licenses", "sources"])
                .arg("--hide-inclusion-graph"),
        )
    }

    fn advisories(&mut self) -> Result<Outcome, String> {
        let mut fetch = self.deny_command(&["fetch", "db"]);
        if !succeeds_within(fetch.stdout(Stdio::null()).stderr(Stdio::null()), DATABASE_PATIENCE) {
            return Ok(Outcome::NotDone("not done: the advisories' database was not reached".to_owned()));
        }
        passed(&mut self.deny_command(&["--locked", "check", "advisories"]))
    }

    fn tests(&mut self) -> Result<Outcome, String> {
        let mut command = Self::cargo(&["test", "--workspace", "--locked"]);
        if self.all {
            command.env(ALL, "1");
        }
        passed(&mut command)
    }

    fn image(&mut self) -> Result<Outcome, String> {
        if !cfg!(target_os = "linux") {
            return Ok(Outcome::NotDone("not done: an image is built on Linux".to_owned()));
        }
        let command = || Self::cargo(&["test", "--locked", "--package", "xtask", "--test", "image"]);
        if !lists_tests(command().args(["--", "--list"]).env(IMAGE, "1")) {
            return Err("there are no tests of the image".to_owned());
        }
        let mut command = command();
        if self.all {
            command.env(ALL, "1");
        }
        let outcome = passed(command.env(IMAGE, "1"))?;
        Ok(lacks(Work::Dockerfile)?.map_or(outcome, |why| Outcome::NotDone(format!("ok; not done: {why}"))))
    }

    fn real_node(&mut self) -> Result<Outcome, String> {
        if let Some(why) = lacks(Work::RealNode)? {
            return Ok(Outcome::NotDone(format!("not done: {why}")));
        }
        for package in ["xtask", "poros"] {
            let command = || Self::cargo(&["test", "--locked", "--package", package, "--test", "node"]);
            if !lists_tests(command().args(["--", "--list"]).env(NODE, "1")) {
                return Err(format!("the package {package} has no tests of the real node"));
            }
            let mut command = command();
            if self.all {
                command.env(ALL, "1");
            }
            passed(command.env(NODE, "1"))?;
        }
        Ok(Outcome::Passed)
    }

    fn other_versions(&mut self) -> Result<Outcome, String> {
        let others = self.others()?;
        if others.is_empty() {
            return Ok(Outcome::NotDone("not done: asked for by --all".to_owned()));
        }
        for kubernetes in others {
            for module in ON_EVERY_VERSION {
                let command = || Self::cargo(&["test", "--locked", "--test", "it", module]);
                if !lists_tests(command().args(["--", "--list"])) {
                    return Err(format!("the cluster ring has no tests of {module:?}"));
                }
                say(&format!("Kubernetes {kubernetes}:"));
                passed(command().env(KUBERNETES, &kubernetes))?;
            }
        }
        Ok(Outcome::Passed)
    }

    /// The versions of Kubernetes beside the main one, where they are asked for.
    fn others(&self) -> Result<Vec<String>, String> {
        if !self.all {
            return Ok(Vec::new());
        }
        let known = known_kubernetes(&Settings::from_environment()).map_err(|error| chain(&error))?;
        Ok(known.into_iter().skip(1).collect())
    }

    fn deny_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.deny);
        command.args(arguments).current_dir(workspace::root()).env("CARGO", &self.cargo);
        command
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        // A step before it failed, and a build that goes on in the background would surprise.
        if let Some(install) = &mut self.install {
            let _ = install.kill();
            let _ = install.wait();
        }
    }
}

/// Why something cannot be done here, in words; an error where it must be.
fn lacks(work: Work) -> Result<Option<String>, String> {
    let Err(error) = work.is_possible() else { return Ok(None) };
    let what = match work {
        Work::RealNode => "the real node",
        Work::Image => "the image",
        Work::Dockerfile => "the Dockerfile",
    };
    let text = format!("{what}: {}", chain(&error));
    let is_required = std::env::var_os(REQUIRED).is_some_and(|value| !value.is_empty());
    if is_required { Err(format!("{text} ({REQUIRED} is set)")) } else { Ok(Some(text)) }
}

fn passed(command: &mut Command) -> Result<Outcome, String> {
    let typed = command::typed(command);
    say(&format!("$ {typed}"));
    let status = command.status().map_err(|error| format!("cannot run `{typed}`: {error}"))?;
    if status.success() { Ok(Outcome::Passed) } else { Err(format!("`{typed}` ended with {status}")) }
}

/// A filter that fits nothing would pass.
fn lists_tests(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(": test"))
}

fn succeeds_within(command: &mut Command, patience: Duration) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).spawn() else { return false };
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            _ => {
                // Too late or lost: the answer is no, whatever becomes of it.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

fn has_wanted_version(program: &PathBuf) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(DENY_VERSION))
}

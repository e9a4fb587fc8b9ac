//! The chart: what Helm makes of it, against what the code says; and on a real API server, what it takes of it.

mod forbidden;
mod installed;
mod pods;
mod release;
mod rendered;
mod retired;
mod roads;
mod schemas;
mod stolen;
mod values;

use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use libtest_mimic::Trial;
use serde_json::Value;
use xtask::assets::{Assets, Settings, Tool, chain};
use xtask::report::Terminal;

/// The tests of the chart.
pub fn trials() -> Vec<Trial> {
    let modules = [
        roads::trials(),
        schemas::trials(),
        installed::trials(),
        retired::trials(),
        forbidden::trials(),
        pods::trials(),
        rendered::trials(),
        values::trials(),
    ];
    modules.into_iter().flatten().collect()
}

/// The folder of the chart.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/poros");

static ASSETS: OnceLock<Assets> = OnceLock::new();

/// Helm, as the rig has it.
fn helm() -> Command {
    let assets = ASSETS.get_or_init(|| {
        let settings = Settings { helm: true, ..Settings::from_environment() };
        Assets::find(&settings, &mut Terminal::new()).unwrap_or_else(|error| panic!("{}", chain(&error)))
    });
    let mut command = Command::new(assets.path(Tool::Helm));
    command.stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// What it printed; panics with what it said if it failed.
fn printed(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?} failed: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What an API server with mutating policies, or an older one, has, as Helm is told without a cluster.
fn of_version(mutates: bool) -> &'static [&'static str] {
    if mutates {
        &["--kube-version=1.36.3", "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"]
    } else {
        &["--kube-version=1.30.14"]
    }
}

/// The documents of the chart with these values, each with its text.
fn documents(mutates: bool, flags: &[&str]) -> Vec<(Value, String)> {
    documents_in("elsewhere", mutates, flags)
}

/// As [`documents`], in this namespace.
fn documents_in(namespace: &str, mutates: bool, flags: &[&str]) -> Vec<(Value, String)> {
    let mut command = helm();
    command
        .args(["template", "poros", CHART, "--namespace", namespace])
        .args(of_version(mutates))
        .args(flags);
    let text = printed(&mut command);
    read(&text)
}

/// The documents that Helm printed, each with its text.
fn read(text: &str) -> Vec<(Value, String)> {
    let texts = text.split("---\n# Source: ").filter_map(|document| Some(document.split_once('\n')?.1));
    let parsed = |text: &str| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let all = texts.map(|text| (parsed(text), text.to_owned()));
    all.filter(|(object, _): &(Value, _)| !object.is_null()).collect()
}

/// The one of this kind and name.
fn named(documents: &[(Value, String)], kind: &str, name: &str) -> Value {
    let is_it = |(object, _): &&(Value, String)| object["kind"] == kind && object["metadata"]["name"] == name;
    documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}")).0.clone()
}

//! `cargo xtask status`.

use std::process::ExitCode;

use xtask::rig::standing::{Standing, version_of};
use xtask::table::Table;

use super::{say, standing_folder};

pub(crate) fn run() -> ExitCode {
    let standing = Standing::read(&standing_folder());
    if standing.processes().is_empty() {
        say("Nothing is up. Start it with: cargo xtask up");
        return ExitCode::FAILURE;
    }
    let mut table = Table::new(["process", "pid", "state", "address", "version", "ready"]);
    for process in standing.processes() {
        let state = if standing.runs(process) { "running" } else { "gone" };
        let ready =
            standing.ready(process).map_or_else(|answer| format!("no: {answer}"), |()| "yes".to_owned());
        let version = version_of(&process.program).unwrap_or_default();
        let (pid, address) = (process.pid.to_string(), format!("{}:{}", process.host, process.port));
        table.row([process.name.clone(), pid, state.to_owned(), address, version, ready]);
    }
    say(&table.text());
    if standing.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

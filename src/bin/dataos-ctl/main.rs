//! `dataos-ctl`, and `kubectl-poros` by its name: wiring and exit codes; everything else is in the library.
#![allow(clippy::print_stderr)] // the edge: here printing is the job

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use poros::ctl::completion;
use poros::ctl::connection::Connection;
use poros::ctl::dataos::Dataos;
use poros::ctl::failure::{Exit, Failure};
use poros::ctl::kubectl::Kubectl;
use poros::ctl::mistyped;
use poros::ctl::session::Session;
use poros::ctl::terminal::{Manners, Terminal};
use poros::view::talk::Voice;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_stem).unwrap_or_default();
    if name == "kubectl_complete-poros" {
        return ExitCode::from(completion::offered_to_kubectl(&arguments, Kubectl::command()).code());
    }
    if let Some(exit) = completion::offered(&arguments, Dataos::command) {
        return ExitCode::from(exit.code());
    }
    // kubectl runs `kubectl-poros` for `kubectl poros`; krew installs it by that name.
    let exit = if name == "kubectl-poros" || name == "kubectl_poros" {
        match Kubectl::try_parse_from(arguments) {
            Ok(program) => {
                let (manners, connection) = (program.manners.clone(), program.connection.clone());
                let json = program.speaks_json();
                start(Voice::Kubectl, &manners, connection, json, async |session| program.run(session).await)
            }
            Err(error) => usage(error, &Kubectl::command()),
        }
    } else {
        match Dataos::try_parse_from(arguments) {
            Ok(program) => {
                let (manners, connection) = (program.manners.clone(), program.connection.clone());
                let json = program.speaks_json();
                start(Voice::Dataos, &manners, connection, json, async |session| program.run(session).await)
            }
            Err(error) => usage(error, &Dataos::command()),
        }
    };
    ExitCode::from(exit.code())
}

/// Help and version are data; what does not fit is an error of usage.
fn usage(error: clap::Error, command: &clap::Command) -> Exit {
    let error = mistyped::meant(error, command);
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}

fn start(
    voice: Voice,
    manners: &Manners,
    connection: Connection,
    json: bool,
    run: impl AsyncFnOnce(&mut Session) -> Result<Exit, Failure>,
) -> Exit {
    let mut session = Session { terminal: Terminal::of_this_process(voice, manners), connection };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            session.terminal.error(&format!("the process could not be set up: {error}"));
            return Exit::Failed;
        }
    };
    let result = runtime.block_on(run(&mut session));
    // A name look-up that hangs must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(exit) => exit,
        Err(failure) => {
            if json {
                session.terminal.aside(&failure.problem());
            } else if !failure.text.is_empty() {
                session.terminal.error(&failure.told());
            }
            failure.exit
        }
    }
}

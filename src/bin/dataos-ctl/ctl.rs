//! `dataos-ctl`, and `kubectl-poros` by its name: wiring and exit codes; everything else is in the library.
#![allow(clippy::print_stderr)] // the edge: here printing is the job

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use poros::ctl::completion;
use poros::ctl::dataos::Dataos;
use poros::ctl::failure::{Exit, Failure};
use poros::ctl::interrupt::Interrupt;
use poros::ctl::kubectl::Kubectl;
use poros::ctl::mistyped;
use poros::ctl::program::Program;
use poros::ctl::session::Session;
use poros::ctl::terminal::{Terminal, WriteError};
use poros::view::talk::Voice;

/// Runs the command line under the name by which this process was started.
pub(crate) fn main() -> ExitCode {
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
        start::<Kubectl>(arguments)
    } else {
        start::<Dataos>(arguments)
    };
    ExitCode::from(exit.code())
}

/// Help and version are data; what does not fit is an error of usage.
fn usage(error: clap::Error, command: &clap::Command, json: bool) -> Exit {
    let error = mistyped::meant(error, command);
    if json && error.use_stderr() {
        let text = error.to_string();
        // Usage and help are for people.
        let text = text.split("\n\nUsage:").next().unwrap_or_default();
        let text = text.split("\n\nFor more information").next().unwrap_or_default();
        eprint!("{}", Failure::new(Exit::Usage, text.trim_start_matches("error: ").trim()).problem());
        return Exit::Usage;
    }
    match error.print() {
        _ if error.use_stderr() => Exit::Usage,
        // Who reads may have seen enough, as `head` has.
        Err(failed) if failed.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: {}", Failure::from(WriteError::Failed(failed)).told());
            Exit::Failed
        }
        _ => Exit::Ok,
    }
}

/// Whether JSON is asked for, in arguments that do not fit.
fn asks_for_json(arguments: &[OsString], voice: Voice) -> bool {
    let kubectl = voice == Voice::Kubectl;
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let one = |word: &&str| *word == "--output=json" || (kubectl && ["-ojson", "-o=json"].contains(word));
    let flag = |word: &str| word == "--output" || (kubectl && word == "-o");
    words.iter().any(one) || words.windows(2).any(|pair| matches!(pair, [word, "json"] if flag(word)))
}

fn start<P: Program>(arguments: Vec<OsString>) -> Exit {
    let json = asks_for_json(&arguments, P::VOICE);
    let program = match P::try_parse_from(arguments) {
        Ok(program) => program,
        Err(error) => return usage(error, &P::command(), json),
    };
    let json = program.speaks_json();
    let (manners, connection) = program.common();
    let mut session = Session {
        terminal: Terminal::of_this_process(P::VOICE, &manners),
        connection,
        interrupt: Interrupt::of_this_process(),
    };
    if json {
        session.terminal.hush();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            session.terminal.error(&format!("the process could not be set up: {error}"));
            return Exit::Failed;
        }
    };
    let result = runtime.block_on(program.run(&mut session));
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

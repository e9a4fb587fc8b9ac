//! Every verb and flag, as text: the generated parts of docs/cli.md.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::ctl::dataos::Dataos;
use crate::ctl::failure::Exit;
use crate::ctl::kubectl::Kubectl;

/// The verbs of both programs, each with its flags; then the flags that all of them take.
pub fn verbs() -> String {
    let mut text = String::new();
    for tree in [Dataos::command(), Kubectl::command()] {
        let name = tree.get_bin_name().unwrap_or_else(|| tree.get_name()).to_owned();
        for verb in tree.get_subcommands() {
            of(&mut text, &name, verb);
        }
    }
    text.push_str("### All verbs\n\n");
    flags(&mut text, &Dataos::command());
    text
}

/// The exit codes.
pub fn exits() -> String {
    let mut text = "| code | meaning |\n|---|---|\n".to_owned();
    for exit in Exit::ALL {
        let _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
    }
    text
}

fn of(text: &mut String, parent: &str, command: &Command) {
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        for verb in command.get_subcommands() {
            of(text, &name, verb);
        }
        return;
    }
    let _ = write!(text, "### {name}\n\n{}.\n\n", command.get_about().unwrap_or_default());
    flags(text, command);
}

fn flags(text: &mut String, command: &Command) {
    let shown: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    if shown.is_empty() {
        return;
    }
    text.push_str("| flag | meaning |\n|---|---|\n");
    for argument in shown {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let default = argument.get_default_values().first().filter(|_| argument.get_action().takes_values());
        let default =
            default.map(|value| format!(" (default `{}`)", value.to_string_lossy())).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {}{default} |", written(argument), help.replace('|', "\\|"));
    }
    text.push('\n');
}

/// `-f, --filename FILE`
fn written(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let aliases = argument.get_visible_aliases().unwrap_or_default();
    let names: Vec<String> =
        short.into_iter().chain(long).chain(aliases.iter().map(|alias| format!("--{alias}"))).collect();
    let value = if argument.get_action().takes_values() {
        argument.get_value_names().unwrap_or_default().join(" ")
    } else {
        String::new()
    };
    match (names.is_empty(), value.is_empty()) {
        (true, _) => value.replace('|', "\\|"),
        (false, true) => names.join(", "),
        // Its value may be left out, and stands behind a sign of equality.
        (false, false) if argument.is_require_equals_set() => format!("{}[={value}]", names.join(", ")),
        (false, false) => format!("{} {value}", names.join(", ")),
    }
}

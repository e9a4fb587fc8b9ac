//! What a command of the system says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a command said nothing that is of use.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be run.
    #[error("cannot run `{line}`")]
    Run {
        /// As a person types it.
        line: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{line}` failed: {answer}")]
    Failed {
        /// As a person types it.
        line: String,
        /// What it said.
        answer: String,
    },
}

/// What a command prints, once it has ended well.
pub fn answer(command: &mut Command) -> Result<String, CommandError> {
    answer_to(command, Stdio::null())
}

/// What a command prints that reads this, once it has ended well.
pub fn answer_to(command: &mut Command, input: Stdio) -> Result<String, CommandError> {
    let output = command.stdin(input).output();
    let output = output.map_err(|source| CommandError::Run { line: typed(command), source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(CommandError::Failed { line: typed(command), answer: text(&output.stderr).trim().to_owned() })
}

/// A command as a person types it: the program without its folder, then its arguments.
pub fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_is_printed_and_an_error_says_what_was_typed() {
        assert_eq!(answer(Command::new("/bin/sh").args(["-c", "echo well; echo no >&2"])).unwrap(), "well\n");
        let error = answer(Command::new("/bin/sh").args(["-c", "echo why >&2; false"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo why >&2; false` failed: why");
        let error = answer(&mut Command::new("/nowhere/prog")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `prog`");
    }
}

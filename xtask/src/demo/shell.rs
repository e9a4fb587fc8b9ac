//! Runs a line of a person's as a shell would, tells each line of output as it comes, and can break off.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// Between two questions whether to break off.
const POLL: Duration = Duration::from_millis(50);

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    /// In the order in which they came; `true` for those of standard error.
    pub(super) lines: Vec<(bool, String)>,
}

impl Ran {
    pub(super) fn stdout(&self) -> String {
        self.joined(false)
    }

    pub(super) fn stderr(&self) -> String {
        self.joined(true)
    }

    fn joined(&self, errors: bool) -> String {
        let own = self.lines.iter().filter(|(error, _)| *error == errors);
        own.map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// Runs the command to its end, or until `break_off` gives a reason not to.
pub(super) fn run<E>(
    mut command: Command,
    failed: impl Fn(std::io::Error) -> E,
    mut tell: impl FnMut(bool, &str),
    break_off: impl Fn() -> Option<E>,
) -> Result<Ran, E> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that breaking off reaches what the shell started.
    let mut child = command.process_group(0).spawn().map_err(&failed)?;
    let (sender, receiver) = channel();
    let readers = [
        child.stdout.take().map(|pipe| read(pipe, false, sender.clone())),
        child.stderr.take().map(|pipe| read(pipe, true, sender.clone())),
    ];
    drop(sender);
    let mut lines = Vec::new();
    let mut broken = None;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok((error, line)) => {
                tell(error, &line);
                lines.push((error, line));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if broken.is_none() => {
                broken = break_off();
                if broken.is_some() {
                    // One that is gone already needs no signal.
                    let _ = kill_process_group(Pid::from_child(&child), Signal::TERM);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    let status = child.wait().map_err(&failed)?;
    for reader in readers.into_iter().flatten() {
        // It has ended: its sender is gone.
        let _ = reader.join();
    }
    broken.map_or(Ok(Ran { status, lines }), Err)
}

fn read(
    pipe: impl Read + Send + 'static,
    error: bool,
    sender: Sender<(bool, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender.send((error, String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn both_streams_are_kept_apart() {
        let ran = run(shell("echo a; echo b >&2; exit 3"), |error| error, |_, _| (), || None).unwrap();
        assert_eq!((ran.stdout().as_str(), ran.stderr().as_str()), ("a", "b"));
        assert_eq!(ran.status.code(), Some(3));
    }

    #[test]
    fn breaking_off_ends_what_the_shell_started() {
        let begin = Instant::now();
        let command = shell("sleep 60; echo late");
        let ran = run(command, |error| error.to_string(), |_, _| (), || Some("enough".to_owned()));
        assert_eq!(ran.unwrap_err(), "enough");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}

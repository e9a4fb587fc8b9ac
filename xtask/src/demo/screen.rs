//! How the demo looks: colours and a changing line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";
/// A line that would say less than this beside its indent is not worth folding.
const NARROW: usize = 40;
/// A shorter wait needs no word.
const SHORT: Duration = Duration::from_millis(500);

/// Standard output, as a person sees it.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: bool,
    colours: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let colours = terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
        Self { terminal, colours }
    }

    pub(super) fn title(&self, number: usize, title: &str) {
        say(&format!("\n{}", self.painted(BOLD, &format!("{number}. {title}"))));
    }

    /// A command, as it is typed: its line breaks are kept, so that it can be copied.
    pub(super) fn typed(&self, typed: &str) {
        let mut sign = "$";
        for line in typed.lines() {
            say(&format!("   {sign} {}", self.painted(CYAN, line)));
            sign = ">";
        }
    }

    /// A line that a command printed. The columns of a table are worth more than its last words.
    pub(super) fn output(&self, line: &str, table: bool) {
        if table {
            say(&format!("     {}", cut(line, self.room(5))));
        } else {
            self.folded("     ", "       ", line, "");
        }
    }

    pub(super) fn held(&self, what: &str, time: Duration) {
        let time = if time < SHORT { String::new() } else { format!(" ({:.1} s)", time.as_secs_f64()) };
        self.folded(&format!("   {} ", self.painted(GREEN, "✓")), "     ", &format!("{what}{time}"), "");
    }

    pub(super) fn failed(&self, why: &str) {
        for (number, line) in why.lines().enumerate() {
            let sign =
                if number == 0 { format!("   {} ", self.painted(RED, "✗")) } else { "     ".to_owned() };
            self.folded(&sign, "     ", line, "");
        }
    }

    pub(super) fn remark(&self, text: &str) {
        self.folded("   ", "   ", text, DIM);
    }

    /// What is awaited, and what is there so far. Gone with the next line. Not for files.
    pub(super) fn waiting(&self, what: &str, seen: &str, since: Instant) {
        if self.terminal && since.elapsed() > SHORT {
            let text = format!("   … {} s: {what} (now: {seen})", since.elapsed().as_secs());
            let mut output = std::io::stdout().lock();
            let line = self.painted(DIM, &cut(&text.replace('\n', " "), self.room(0)));
            let _ = write!(output, "\r\x1b[2K{line}").and_then(|()| output.flush());
        }
    }

    /// Takes back what [`Self::waiting`] drew.
    pub(super) fn waited(&self) {
        if self.terminal {
            let mut output = std::io::stdout().lock();
            let _ = write!(output, "\r\x1b[2K").and_then(|()| output.flush());
        }
    }

    fn folded(&self, first: &str, next: &str, text: &str, colour: &str) {
        let mut indent = first;
        for line in fold(text, self.room(next.len())) {
            say(&format!("{indent}{}", self.painted(colour, &line)));
            indent = next;
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours && !colour.is_empty() { format!("{colour}{text}{RESET}") } else { text.to_owned() }
    }

    /// How many letters fit beside the indent; a file takes all.
    fn room(&self, indent: usize) -> usize {
        let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        let columns = if self.terminal { size().map_or(0, |size| usize::from(size.ws_col)) } else { 0 };
        match columns.saturating_sub(indent) {
            room if room >= NARROW => room,
            _ => usize::MAX,
        }
    }
}

/// Writes a line to standard output; a reader that went away is no error.
pub(super) fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

fn cut(line: &str, room: usize) -> String {
    if line.chars().count() <= room {
        return line.to_owned();
    }
    line.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most so many letters, broken at spaces; a longer word stays whole, so that it can be copied.
fn fold(text: &str, room: usize) -> Vec<String> {
    if text.chars().count() <= room {
        return vec![text.to_owned()];
    }
    let words = text.trim_start_matches(' ');
    let mut line = " ".repeat(text.len() - words.len());
    let mut lines = Vec::new();
    for (number, word) in words.split(' ').enumerate() {
        if number > 0 && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        } else if number > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_cut_and_prose_is_folded_at_spaces() {
        assert_eq!(cut("NAME  STATUS", 12), "NAME  STATUS");
        assert_eq!(cut("NAME  STATUS", 8), "NAME  S…");
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("  one  two", usize::MAX), ["  one  two"]);
        assert_eq!(fold("  one two", 6), ["  one", "two"]);
        assert_eq!(fold("a averyverylongword b", 6), ["a", "averyverylongword", "b"]);
    }
}

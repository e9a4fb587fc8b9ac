//! How a line of talk reads: as the reference prints it, or as kubectl does.

use crate::view::table::shown_lines;

/// Whose manners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// `dataos-ctl`: each line with its level and the seconds since the start.
    Dataos,
    /// `kubectl`: a word before what is wrong, nothing before the rest.
    Kubectl,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What is done.
    Info,
    /// What is odd.
    Warn,
    /// What is wrong.
    Error,
}

/// The width to which the reference pads the text of a line, in characters; a blank follows.
const PADDED: usize = 44;

/// A line of talk, with its line break. `seconds` since the start. What others wrote may stand in the text: names of files,
/// what API servers, proxies and login programs say.
pub fn line(voice: Voice, level: Level, seconds: u64, text: &str, coloured: bool) -> String {
    let paint = |colour: u8, word: &str| {
        if coloured { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
    };
    let text = shown_lines(text);
    match voice {
        Voice::Dataos => {
            let (colour, word) = match level {
                Level::Info => (36, "INFO"),
                Level::Warn => (33, "WARN"),
                Level::Error => (31, "ERRO"),
            };
            format!("{}[{seconds:04}] {text:<PADDED$} \n", paint(colour, word))
        }
        Voice::Kubectl => match level {
            Level::Info => format!("{text}\n"),
            Level::Warn => format!("{} {text}\n", paint(33, "Warning:")),
            Level::Error => format!("{} {text}\n", paint(31, "error:")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_in_the_reference() {
        let line = |seconds, text| line(Voice::Dataos, Level::Info, seconds, text, false);
        // From the page that the mission names, its sign put right.
        assert_eq!(line(0, "🔍 get..."), "INFO[0000] 🔍 get...                                     \n");
        assert_eq!(
            line(1, "🔍 get...complete"),
            "INFO[0001] 🔍 get...complete                             \n"
        );
    }

    #[test]
    fn kubectl_says_what_is_wrong() {
        let line = |level| line(Voice::Kubectl, level, 0, "a", false);
        assert_eq!(
            [line(Level::Info), line(Level::Warn), line(Level::Error)],
            ["a\n", "Warning: a\n", "error: a\n"]
        );
    }

    #[test]
    fn a_terminal_is_told_nothing_to_do() {
        for voice in [Voice::Dataos, Voice::Kubectl] {
            let line = line(voice, Level::Error, 0, "a\u{1b}[31m\r\u{9b}2Jb\u{202e}c", false);
            assert!(line.contains("a\u{fffd}[31m\u{fffd}\u{fffd}2Jb\u{fffd}c"), "{line:?}");
        }
    }
}

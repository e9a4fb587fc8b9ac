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

impl Voice {
    /// A command, or a text that ends in one, as those who use this program type it: who has `dataos-ctl` need not have
    /// `kubectl poros`. What `dataos-ctl` has no verb for stays as it is.
    pub fn command(self, text: &str) -> String {
        let spoken = || {
            let (before, kubectl) = text.split_at(text.find("kubectl ")?);
            let mut words = kubectl.split(' ').skip(1).filter(|word| *word != "poros");
            let (verb, kind, name) = (words.next()?, words.next()?, words.next());
            let flags: Vec<&str> = words.collect();
            let told = match (verb, kind, name, flags.as_slice()) {
                ("tree", name, None, []) => format!("tree -t compute -n {name}"),
                ("explain", kind @ ("compute" | "pod"), Some(name), []) => format!("explain {kind} {name}"),
                // Who sets the annotation means to delete it.
                ("annotate", "compute", Some(name), ["poros.dataos.io/delete-in-use=true"]) => {
                    format!("delete -t compute -n {name} --force")
                }
                ("describe" | "delete", "compute", Some(name), []) => format!("{verb} -t compute -n {name}"),
                ("get", "compute", Some(name), ["-w"]) => format!("get -t compute -n {name} --watch"),
                ("get", "compute", Some(name), ["-o", "yaml"]) => {
                    format!("get -t compute -n {name} --output yaml")
                }
                _ => return None,
            };
            Some(format!("{before}dataos-ctl {told}"))
        };
        match self {
            Self::Dataos => spoken().unwrap_or_else(|| text.to_owned()),
            Self::Kubectl => text.to_owned(),
        }
    }
}

/// Of a workspace that is named all the same.
pub const NO_WORKSPACE: &str = "a Compute is in no workspace: the one that was named is not used";

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
    fn commands_are_those_of_the_program_that_is_used() {
        for (text, told) in [
            ("kubectl poros tree a", "dataos-ctl tree -t compute -n a"),
            ("look: kubectl describe compute a", "look: dataos-ctl describe -t compute -n a"),
            ("kubectl get compute a -w", "dataos-ctl get -t compute -n a --watch"),
            ("kubectl get compute a -o yaml", "dataos-ctl get -t compute -n a --output yaml"),
            ("kubectl poros explain pod a/b", "dataos-ctl explain pod a/b"),
            (
                "at once: kubectl annotate compute a poros.dataos.io/delete-in-use=true",
                "at once: dataos-ctl delete -t compute -n a --force",
            ),
            (
                "kubectl annotate compute a poros.dataos.io/paused-",
                "kubectl annotate compute a poros.dataos.io/paused-",
            ),
            ("kubectl edit compute a", "kubectl edit compute a"),
            ("kubectl describe node n", "kubectl describe node n"),
            (
                "kubectl get compute a -o yaml --show-managed-fields",
                "kubectl get compute a -o yaml --show-managed-fields",
            ),
            ("wait", "wait"),
        ] {
            assert_eq!(Voice::Dataos.command(text), told);
            assert_eq!(Voice::Kubectl.command(text), text);
        }
    }

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

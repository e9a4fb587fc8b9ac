//! How an explanation reads on a terminal: a headline, then facts, each a word on the left and lines on the right.

use unicode_width::UnicodeWidthStr as _;

use crate::view::table::shown;

/// The widest line, in columns.
pub const WIDTH: usize = 100;
/// Lines are never folded to less.
const NARROWEST: usize = 40;
/// Where the lines of a fact begin.
const INDENT: usize = 13;

/// An explanation, ready to be laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    headline: String,
    tone: Tone,
    facts: Vec<(&'static str, Vec<Line>)>,
}

/// What a text is to its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Not as it should be.
    Bad,
}

/// How text is to look where it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether tones are told by colours, too. Words tell them always.
    pub coloured: bool,
    /// Whether more than ASCII can be shown.
    pub unicode: bool,
    /// The widest line, in columns.
    pub width: usize,
}

impl Default for Style {
    /// As for a file.
    fn default() -> Self {
        Self { coloured: false, unicode: true, width: WIDTH }
    }
}

impl Style {
    /// For a terminal of so many columns; none for what is no terminal.
    pub fn new(coloured: bool, unicode: bool, columns: Option<usize>) -> Self {
        Self { coloured, unicode, width: columns.unwrap_or(WIDTH).clamp(NARROWEST, WIDTH) }
    }

    /// A text in a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let colour = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.coloured || text.is_empty() => return text.to_owned(),
            Tone::Good => 32,
            Tone::Odd => 33,
            Tone::Bad => 31,
        };
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    }

    fn bold(self, text: &str) -> String {
        if self.coloured && !text.is_empty() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A text of ours in signs that can be shown.
    pub(in crate::view) fn spelt(self, text: &str) -> String {
        if self.unicode { text.to_owned() } else { text.replace('…', "...") }
    }

    /// A paragraph, folded, with a line break at the end.
    pub fn paragraph(self, text: &str) -> String {
        fold(&self.spelt(text), self.width, 0).join("\n") + "\n"
    }
}

/// A line of a fact; one that is too long is folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    tone: Tone,
    /// Columns in from where facts begin.
    inward: usize,
    /// Columns more from the second row on.
    hanging: usize,
    /// To be copied: never folded.
    whole: bool,
}

impl Line {
    /// A line.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A line under the one before.
    pub fn under(text: impl Into<String>) -> Self {
        Self { inward: 2, hanging: 2, ..Self::new(text) }
    }

    /// `  12  what`: a count and what it counts, the counts in a column.
    pub fn counted(count: usize, what: impl std::fmt::Display) -> Self {
        Self { inward: 0, hanging: 7, ..Self::new(format!("{count:>5}  {what}")) }
    }

    /// A command to copy.
    pub fn command(text: impl Into<String>) -> Self {
        Self { inward: 2, whole: true, ..Self::new(text) }
    }

    /// The same in a tone.
    #[must_use]
    pub fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Page {
    /// A page with its headline.
    pub fn new(headline: impl Into<String>, tone: Tone) -> Self {
        Self { headline: headline.into(), tone, facts: Vec::new() }
    }

    /// Adds a line to a fact; the fact, if the one before is another.
    pub fn say(&mut self, fact: &'static str, line: impl Into<Line>) {
        match self.facts.last_mut() {
            Some((last, lines)) if *last == fact => lines.push(line.into()),
            _ => self.facts.push((fact, vec![line.into()])),
        }
    }

    /// Lays it out, with a line break at the end.
    pub fn lay_out(&self, style: Style) -> String {
        let mut out = String::new();
        for row in fold(&style.spelt(&self.headline), style.width, 2) {
            out.push_str(&style.paint(self.tone, &row));
            out.push('\n');
        }
        for (fact, lines) in &self.facts {
            let mut label = *fact;
            for line in lines {
                let margin = INDENT + line.inward;
                let rows = if line.whole {
                    vec![shown(&line.text)]
                } else {
                    fold(&style.spelt(&line.text), style.width.saturating_sub(margin), line.hanging)
                };
                for row in rows {
                    let gap = " ".repeat((margin - 2).saturating_sub(label.chars().count()));
                    let text = format!("  {}{gap}{}", style.bold(label), style.paint(line.tone, &row));
                    out.push_str(text.trim_end());
                    out.push('\n');
                    label = "";
                }
            }
        }
        out
    }
}

/// Folds a text at its blanks; rows after the first are set in. A word that is too long stays whole.
pub(in crate::view) fn fold(text: &str, width: usize, hanging: usize) -> Vec<String> {
    // What others wrote (node names, messages) must neither steer the terminal nor break the layout.
    let text = shown(text);
    let lead: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut rows = Vec::new();
    let mut row = lead;
    let mut words = 0;
    let mut gap = "";
    for word in text.trim_start().split(' ') {
        let length = row.width() + gap.len() + word.width();
        if words > 0 && length > width {
            rows.push(row.trim_end().to_owned());
            row = " ".repeat(hanging);
            gap = "";
            words = 0;
        }
        if word.is_empty() && words == 0 {
            continue;
        }
        row.push_str(gap);
        row.push_str(word);
        gap = " ";
        words += 1;
    }
    rows.push(row.trim_end().to_owned());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_laid_out_and_folded() {
        let mut page = Page::new("Compute query is active", Tone::Good);
        page.say("State", "active/built");
        page.say("Pool", Line::new("word ".repeat(30).trim_end()));
        page.say("Pool", Line::counted(12, "word ".repeat(20).trim_end()));
        page.say("Do", Line::command("kubectl ".repeat(20).trim_end()));
        let text = page.lay_out(Style::default());
        let expect = "\
Compute query is active
  State      active/built
  Pool       word word word word word word word word word word word word word word word word word
             word word word word word word word word word word word word word
                12  word word word word word word word word word word word word word word word word
                    word word word word
  Do           kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl kubectl
";
        assert_eq!(text, expect);
        assert!(
            text.lines().filter(|line| !line.contains("kubectl")).all(|line| line.chars().count() <= WIDTH)
        );
    }

    #[test]
    fn colours_are_only_there_when_wanted_and_nothing_steers_the_terminal() {
        let mut page = Page::new("a\u{1b}[2Jb\nc", Tone::Bad);
        page.say("State", Line::new("x").tone(Tone::Good));
        assert_eq!(page.lay_out(Style::default()), "a\u{fffd}[2Jb\u{fffd}c\n  State      x\n");
        let coloured = page.lay_out(Style { coloured: true, ..Style::default() });
        assert_eq!(
            coloured,
            "\u{1b}[31ma\u{fffd}[2Jb\u{fffd}c\u{1b}[0m\n  \u{1b}[1mState\u{1b}[0m      \u{1b}[32mx\u{1b}[0m\n"
        );
    }

    #[test]
    fn a_page_fits_its_terminal_and_its_letters() {
        let mut page = Page::new("x", Tone::Plain);
        page.say("Pool", "語 ".repeat(20).trim_end());
        page.say("Pool", "a, …");
        let narrow = Style::new(false, false, Some(20));
        assert_eq!(narrow.width, NARROWEST);
        assert_eq!(
            page.lay_out(narrow),
            format!(
                "x\n  Pool       {0}\n             {0}\n             語 語\n             a, ...\n",
                ["語"; 9].join(" ")
            )
        );
        assert_eq!(Style::new(false, true, Some(300)).width, WIDTH);
        assert_eq!(Style::new(false, true, None).width, WIDTH);
    }
}

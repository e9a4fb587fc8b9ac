//! How an explanation reads on a terminal: a headline, then facts, each a word on the left and lines on the right.

/// The widest line, in characters.
pub const WIDTH: usize = 100;
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
    pub fn lay_out(&self, coloured: bool) -> String {
        let paint = |tone: Tone, text: &str| match (coloured, tone) {
            (false, _) | (true, Tone::Plain) => text.to_owned(),
            (true, Tone::Good) => format!("\u{1b}[32m{text}\u{1b}[0m"),
            (true, Tone::Odd) => format!("\u{1b}[33m{text}\u{1b}[0m"),
            (true, Tone::Bad) => format!("\u{1b}[31m{text}\u{1b}[0m"),
        };
        let mut out = String::new();
        for row in fold(&self.headline, WIDTH, 2) {
            out.push_str(&paint(self.tone, &row));
            out.push('\n');
        }
        for (fact, lines) in &self.facts {
            let mut label = *fact;
            for line in lines {
                let margin = INDENT + line.inward;
                let rows = if line.whole {
                    vec![line.text.clone()]
                } else {
                    fold(&line.text, WIDTH - margin, line.hanging)
                };
                for row in rows {
                    let gap = " ".repeat((margin - 2).saturating_sub(label.chars().count()));
                    let shown = if coloured && !label.is_empty() {
                        format!("\u{1b}[1m{label}\u{1b}[0m")
                    } else {
                        label.to_owned()
                    };
                    let text = format!("  {shown}{gap}{}", paint(line.tone, &row));
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
fn fold(text: &str, width: usize, hanging: usize) -> Vec<String> {
    // What others wrote (node names, messages) must neither steer the terminal nor break the layout.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let lead: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut rows = Vec::new();
    let mut row = lead;
    let mut words = 0;
    let mut gap = "";
    for word in text.trim_start().split(' ') {
        let length = row.chars().count() + gap.len() + word.chars().count();
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
        let text = page.lay_out(false);
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
        assert_eq!(page.lay_out(false), "a [2Jb c\n  State      x\n");
        let coloured = page.lay_out(true);
        assert_eq!(
            coloured,
            "\u{1b}[31ma [2Jb c\u{1b}[0m\n  \u{1b}[1mState\u{1b}[0m      \u{1b}[32mx\u{1b}[0m\n"
        );
    }
}

//! A tree as text: box drawing, or ASCII where that cannot be shown.

use serde::Serialize;

use crate::view::page::{Style, Tone, fold};
use crate::view::table::shown;

/// A line of a tree, and what hangs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// What it is: `Placement query`.
    pub what: String,
    /// How it is, in words.
    pub state: String,
    /// How good that is.
    #[serde(skip)]
    pub tone: Tone,
    /// What hangs on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Branch>,
}

impl Branch {
    /// A line.
    pub(in crate::view) fn new(what: impl Into<String>, state: impl Into<String>, tone: Tone) -> Self {
        Self { what: what.into(), state: state.into(), tone, children: Vec::new() }
    }

    /// The same with what hangs on it.
    #[must_use]
    pub(in crate::view) fn with(self, children: Vec<Branch>) -> Self {
        Self { children, ..self }
    }

    /// As text, with a line break at the end.
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        self.draw(&mut text, style, "", "");
        text
    }

    /// `first` stands before its first row, `rest` before the others and before what hangs on it.
    fn draw(&self, text: &mut String, style: Style, first: &str, rest: &str) {
        let (fork, last, through) =
            if style.unicode { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
        let gap = if self.what.is_empty() { "" } else { "  " };
        let hanging = if self.children.is_empty() { "   " } else { through };
        let room = style.width.saturating_sub(rest.chars().count());
        let rows = fold(&style.spelt(&format!("{}{gap}{}", self.what, self.state)), room, 0);
        for (index, row) in rows.iter().enumerate() {
            let row = match index {
                0 => format!("{first}{}", self.painted(style, row, gap)),
                _ => format!("{rest}{hanging}{}", style.paint(self.tone, row)),
            };
            text.push_str(row.trim_end());
            text.push('\n');
        }
        for (index, child) in self.children.iter().enumerate() {
            let ends = index + 1 == self.children.len();
            let (fork, through) = if ends { (last, "   ") } else { (fork, through) };
            child.draw(text, style, &format!("{rest}{fork}"), &format!("{rest}{through}"));
        }
    }

    /// Only the state has a tone.
    fn painted(&self, style: Style, row: &str, gap: &str) -> String {
        let what = format!("{}{gap}", shown(&self.what));
        match row.strip_prefix(&what) {
            Some(state) => what + &style.paint(self.tone, state),
            None => row.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Branch {
        Branch::new("Compute query", "active/built: revision 3 is in force", Tone::Good).with(vec![
            Branch::new("Pool", "4 nodes match, and their labels are told in so many words", Tone::Odd).with(
                vec![
                    Branch::new("2 nodes", "take its pods: q1, …", Tone::Good),
                    Branch::new("1 node", "not ready: q5\u{1b}[2J", Tone::Bad),
                ],
            ),
            Branch::new("Users", "none", Tone::Plain),
        ])
    }

    #[test]
    fn a_tree_is_drawn_folded_and_in_its_letters() {
        let style = Style { width: 50, ..Style::default() };
        assert_eq!(
            tree().text(style),
            "\
Compute query  active/built: revision 3 is in
│  force
├─ Pool  4 nodes match, and their labels are told
│  │  in so many words
│  ├─ 2 nodes  take its pods: q1, …
│  └─ 1 node  not ready: q5\u{fffd}[2J
└─ Users  none
"
        );
        let ascii = tree().text(Style { unicode: false, ..Style::default() });
        assert!(ascii.contains("\n|  |- 2 nodes  take its pods: q1, ...\n|  `- 1 node"), "{ascii}");
        assert!(ascii.ends_with("\n`- Users  none\n"), "{ascii}");
    }

    #[test]
    fn colours_only_add_to_words() {
        let style = Style { coloured: true, ..Style::default() };
        let coloured = tree().text(style);
        assert!(coloured.contains("2 nodes  \u{1b}[32mtake its pods: q1, …\u{1b}[0m\n"), "{coloured}");
        let bare = coloured.replace("\u{1b}[32m", "").replace("\u{1b}[33m", "").replace("\u{1b}[31m", "");
        assert_eq!(bare.replace("\u{1b}[0m", ""), tree().text(Style::default()));
    }
}

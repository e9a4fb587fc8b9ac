//! Tables as text: in the layout of the reference, and in kubectl's.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What its header says.
    pub title: String,
    /// Its least width in the reference's layout.
    pub least: usize,
    /// Whether its cells are in the middle, there.
    pub centred: bool,
    /// Whether its cells may be cut where the screen is too narrow.
    pub elastic: bool,
}

impl Column {
    /// A column with cells at its left.
    pub fn new(title: impl Into<String>, least: usize) -> Self {
        Self { title: title.into(), least, centred: false, elastic: false }
    }

    /// A column with cells in its middle.
    pub fn centred(title: impl Into<String>, least: usize) -> Self {
        Self { centred: true, ..Self::new(title, least) }
    }

    /// A column of sentences.
    pub fn elastic(title: impl Into<String>) -> Self {
        Self { elastic: true, ..Self::new(title, 0) }
    }
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As the reference does: headers in the middle over a rule, columns parted by bars, a blank at each side of them and
    /// one more before the first. Byte for byte, blanks at the end included.
    Reference,
    /// As kubectl does: columns at the left, three blanks between them, none at the end.
    Kubectl,
}

/// The least width of a column of kubectl's, with the blanks after it.
const KUBECTL_LEAST: usize = 6;
/// The blanks between columns of kubectl's.
const KUBECTL_GAP: usize = 3;
/// A cell is not cut to less than this.
const ELASTIC_LEAST: usize = 10;

/// A table: each row has a cell for each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// In a layout, for a screen of so many columns if there is one. `widths` are the widths of the columns so far: they grow,
    /// and rows that are printed later stand under those before.
    pub fn laid_out(
        &self,
        layout: Layout,
        headed: bool,
        screen: Option<usize>,
        widths: &mut Vec<usize>,
    ) -> String {
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
        self.grow(layout, headed, &shown, widths);
        if let Some(screen) = screen {
            self.cut(layout, screen, widths);
        }
        let rows = shown.iter().map(|row| {
            let cells = row.iter().zip(&self.columns).zip(widths.iter());
            let cells = cells.map(|((cell, column), width)| {
                let cell = if column.elastic { shortened(cell, *width) } else { cell.clone() };
                (cell, column, *width)
            });
            cells.collect::<Vec<_>>()
        });
        match layout {
            Layout::Reference => self.reference(headed, rows, widths),
            Layout::Kubectl => self.kubectl(headed, rows, widths),
        }
    }

    fn reference<'a>(
        &self,
        headed: bool,
        rows: impl Iterator<Item = Vec<(String, &'a Column, usize)>>,
        widths: &[usize],
    ) -> String {
        let line = |cells: Vec<String>| format!(" {}\n", cells.join("|"));
        let mut text = String::new();
        if headed {
            let titles = self.columns.iter().zip(widths);
            text += &line(
                titles.map(|(column, width)| format!(" {} ", middle(&column.title, *width, 0))).collect(),
            );
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(text, "-{}", rules.join("|"));
        }
        for row in rows {
            let cells = row.iter().map(|(cell, column, width)| {
                // The page has the blank that is left over at the right of a cell, and of a header too.
                format!(" {} ", if column.centred { middle(cell, *width, 1) } else { left(cell, *width) })
            });
            text += &line(cells.collect());
        }
        text
    }

    fn kubectl<'a>(
        &self,
        headed: bool,
        rows: impl Iterator<Item = Vec<(String, &'a Column, usize)>>,
        widths: &[usize],
    ) -> String {
        let titles = headed.then(|| self.columns.iter().map(|column| column.title.clone()).collect());
        let rows = rows.map(|row| row.into_iter().map(|(cell, ..)| cell).collect());
        let mut text = String::new();
        for row in titles.into_iter().chain(rows) {
            let row: Vec<String> = row;
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| left(cell, *width)).collect();
            text += cells.join(&" ".repeat(KUBECTL_GAP)).trim_end();
            text.push('\n');
        }
        text
    }

    /// The widths that the cells need, and no less than before.
    fn grow(&self, layout: Layout, headed: bool, rows: &[Vec<String>], widths: &mut Vec<usize>) {
        widths.resize(self.columns.len(), 0);
        for (index, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let least = match layout {
                Layout::Reference => column.least.max(column.title.width()),
                Layout::Kubectl if headed => column.title.width().max(KUBECTL_LEAST - KUBECTL_GAP),
                Layout::Kubectl => KUBECTL_LEAST - KUBECTL_GAP,
            };
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width());
            *width = cells.chain([least, *width]).max().unwrap_or(0);
        }
    }

    /// Takes from the elastic columns, the longest first, what the screen has not.
    fn cut(&self, layout: Layout, screen: usize, widths: &mut [usize]) {
        let between = match layout {
            // A bar and two blanks for each column, of which one stands before the first.
            Layout::Reference => 3 * widths.len(),
            Layout::Kubectl => KUBECTL_GAP * widths.len().saturating_sub(1),
        };
        let whole = widths.iter().sum::<usize>() + between;
        for _ in screen..whole {
            let elastic = self.columns.iter().zip(widths.iter_mut()).filter(|(column, _)| column.elastic);
            match elastic.map(|(_, width)| width).max() {
                Some(width) if *width > ELASTIC_LEAST => *width -= 1,
                _ => return,
            }
        }
    }
}

/// Without what a terminal would take for a command: anybody may have written what a cell tells.
pub fn shown(text: &str) -> String {
    let visible = |sign: char| if is_told(sign) { sign } else { '\u{fffd}' };
    text.chars().map(visible).collect()
}

/// A text of lines, without what a terminal would take for a command.
pub fn shown_lines(text: &str) -> String {
    let visible = |sign: char| match sign {
        '\n' | '\t' => sign,
        _ if is_told(sign) => sign,
        _ => '\u{fffd}',
    };
    text.chars().map(visible).collect()
}

/// Cut to this width; the end is told by a sign.
pub fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut taken = 1;
    for sign in text.chars() {
        taken += sign.width().unwrap_or(0);
        if taken > width {
            break;
        }
        cut.push(sign);
    }
    cut + "…"
}

/// Whether a sign can be shown: it is no command to a terminal, turns no text's direction, and can be seen.
pub fn is_told(sign: char) -> bool {
    let invisible = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    !sign.is_control() && !invisible
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// In the middle; `less` blanks of the gap are not shared but stay at the right.
fn middle(text: &str, width: usize, less: usize) -> String {
    let gap = width.saturating_sub(text.width());
    let before = gap.saturating_sub(less) / 2;
    format!("{}{text}{}", " ".repeat(before), " ".repeat(gap - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_cut_where_the_screen_is_narrow() {
        let table = Table {
            columns: vec![Column::new("NAME", 0), Column::elastic("MESSAGE")],
            rows: vec![vec!["a".into(), "nothing is wrong here at all".into()]],
        };
        let laid_out = |screen| table.laid_out(Layout::Kubectl, false, screen, &mut Vec::new());
        assert_eq!(laid_out(None), "a     nothing is wrong here at all\n");
        assert_eq!(laid_out(Some(80)), "a     nothing is wrong here at all\n");
        assert_eq!(laid_out(Some(25)), "a     nothing is wrong h…\n");
        assert_eq!(laid_out(Some(5)), "a     nothing i…\n", "a few signs stay");
    }

    #[test]
    fn later_rows_stand_under_those_before() {
        let mut table = Table {
            columns: vec![Column::new("NAME", 0), Column::new("OWNER", 0)],
            rows: vec![vec!["query-default".into(), "ann".into()]],
        };
        let mut widths = Vec::new();
        table.laid_out(Layout::Kubectl, true, None, &mut widths);
        table.rows = vec![vec!["a".into(), "bob".into()]];
        assert_eq!(table.laid_out(Layout::Kubectl, false, None, &mut widths), "a               bob\n");
    }

    #[test]
    fn as_kubectl_has_no_blanks_at_the_end() {
        let table = Table {
            columns: vec![Column::new("NAME", 17), Column::new("OWNER", 0)],
            rows: vec![vec!["query-default".into(), "ann".into()], vec!["x".into(), String::new()]],
        };
        let laid_out = |headed| table.laid_out(Layout::Kubectl, headed, None, &mut Vec::new());
        assert_eq!(laid_out(true), "NAME            OWNER\nquery-default   ann\nx\n");
        assert_eq!(laid_out(false), "query-default   ann\nx\n");
    }

    #[test]
    fn a_cell_cannot_command_the_terminal() {
        assert_eq!(shown_lines("a\u{1b}b\n\tc\u{9b}d"), "a\u{fffd}b\n\tc\u{fffd}d");
        assert_eq!(shown("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }
}

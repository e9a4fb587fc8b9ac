//! Tables as text: in the layout of the reference, and in kubectl's.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What its header says.
    pub title: String,
    /// Its least width in the reference's layout.
    pub least: usize,
    /// Whether its cells are in the middle, there.
    pub centred: bool,
}

impl Column {
    /// A column with cells at its left.
    pub fn new(title: impl Into<String>, least: usize) -> Self {
        Self { title: title.into(), least, centred: false }
    }

    /// A column with cells in its middle.
    pub fn centred(title: impl Into<String>, least: usize) -> Self {
        Self { centred: true, ..Self::new(title, least) }
    }
}

/// A table: each row has a cell for each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As the reference lays it out: headers in the middle over a rule, columns parted by bars, a blank at each side of
    /// them and one more before the first. Byte for byte, blanks at the end included.
    pub fn as_reference(&self, headed: bool) -> String {
        let widths = self.widths(|column| column.least);
        let line = |cells: Vec<String>| format!(" {}\n", cells.join("|"));
        let mut text = String::new();
        if headed {
            let titles = self.columns.iter().zip(&widths);
            text += &line(
                titles.map(|(column, width)| format!(" {} ", middle(&column.title, *width, 0))).collect(),
            );
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(text, "-{}", rules.join("|"));
        }
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).zip(&widths).map(|((cell, column), width)| {
                let cell = shown(cell);
                // The page has the blank that is left over at the right of a cell, and of a header too.
                format!(" {} ", if column.centred { middle(&cell, *width, 1) } else { left(&cell, *width) })
            });
            text += &line(cells.collect());
        }
        text
    }

    /// As kubectl lays it out: columns at the left, three blanks between them, none at the end; no cell is empty.
    pub fn as_kubectl(&self, headed: bool) -> String {
        let filled = |cell: &String| if cell.is_empty() { "<none>".to_owned() } else { shown(cell) };
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(filled).collect()).collect();
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.clone()).collect();
        let rows: Vec<Vec<String>> = headed.then_some(titles).into_iter().chain(rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| left(cell, *width)).collect();
            text += cells.join("   ").trim_end();
            text.push('\n');
        }
        text
    }

    fn widths(&self, least: impl Fn(&Column) -> usize) -> Vec<usize> {
        let cells = |index: usize| {
            self.rows.iter().filter_map(move |row| row.get(index)).map(|cell| shown(cell).width())
        };
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(index, column)| {
                cells(index).max().unwrap_or(0).max(column.title.width()).max(least(column))
            })
            .collect()
    }
}

/// Without what a terminal would take for a command: anybody may have written what a cell tells.
pub fn shown(text: &str) -> String {
    let visible = |sign: char| if sign.is_control() || is_invisible(sign) { '\u{fffd}' } else { sign };
    text.chars().map(visible).collect()
}

/// Signs that turn the direction of a text, or cannot be seen.
fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
    fn as_kubectl_has_no_empty_cells_and_no_blanks_at_the_end() {
        let table = Table {
            columns: vec![Column::new("NAME", 17), Column::new("OWNER", 0)],
            rows: vec![vec!["query-default".into(), "ann".into()], vec!["x".into(), String::new()]],
        };
        assert_eq!(
            table.as_kubectl(true),
            "NAME            OWNER\nquery-default   ann\nx               <none>\n"
        );
        assert_eq!(table.as_kubectl(false), "query-default   ann\nx               <none>\n");
    }

    #[test]
    fn a_cell_cannot_command_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }
}

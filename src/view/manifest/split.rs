//! From text to the texts of its documents.
//!
//! YAML forbids its document markers at the start of a line everywhere else, in quotes and block scalars too, so lines alone
//! tell where a document ends, however broken it is.

/// The text of one document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The line in the file on which it begins, from 1.
    pub(super) line: u64,
    /// The text.
    pub(super) text: &'a str,
}

/// The documents of a text; those that hold nothing but comments are left out.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    Pieces { rest: text, line: 1 }.filter(|piece| lines(piece.text).any(speaks))
}

struct Pieces<'a> {
    rest: &'a str,
    line: u64,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut end = 0;
        let mut count = 0;
        // Directives and comments before the first `---` belong to the document that it opens.
        let mut begun = false;
        for line in lines(self.rest) {
            let opens = marked(line, "---");
            if opens && begun {
                break;
            }
            begun |= opens || (speaks(line) && !line.starts_with('%'));
            end += line.len();
            count += 1;
            if marked(line, "...") {
                break;
            }
        }
        let (text, rest) = self.rest.split_at(end);
        let piece = Piece { line: self.line, text };
        self.rest = rest;
        self.line += count;
        Some(piece)
    }
}

/// The lines of a text, each with its end. YAML ends a line at LF, CRLF and CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(['\n', '\r'])
            .map_or(rest.len(), |at| if rest[at..].starts_with("\r\n") { at + 2 } else { at + 1 });
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

/// Whether a line is this marker: alone, or before a blank.
fn marked(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a line says anything beside comments and markers.
fn speaks(line: &str) -> bool {
    let after = if marked(line, "---") || marked(line, "...") { &line[3..] } else { line };
    let after = after.trim();
    !after.is_empty() && !after.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(u64, &str)> {
        pieces(text).map(|piece| (piece.line, piece.text)).collect()
    }

    #[test]
    fn a_text_is_cut_at_the_markers_of_documents() {
        for (text, expect) in [
            ("", vec![]),
            ("a: 1", vec![(1, "a: 1")]),
            ("a: 1\n---\nb: 2\n", vec![(1, "a: 1\n"), (2, "---\nb: 2\n")]),
            ("---\na: 1\n", vec![(1, "---\na: 1\n")]),
            ("--- {a: 1}\n--- |\n ---\n", vec![(1, "--- {a: 1}\n"), (2, "--- |\n ---\n")]),
            ("---\n---\n# nothing\n---\na: 1", vec![(4, "---\na: 1")]),
            (
                "# first\n%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2",
                vec![(1, "# first\n%YAML 1.2\n---\na: 1\n...\n"), (6, "%YAML 1.2\n---\nb: 2")],
            ),
            ("a: ---\n---b: 1\n----\n", vec![(1, "a: ---\n---b: 1\n----\n")]),
            ("a: 1\r\n---\r\nb: 2\r\n", vec![(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")]),
            ("a: 1\r---\rb: 2", vec![(1, "a: 1\r"), (2, "---\rb: 2")]),
            ("a: '\n---\nb: 2", vec![(1, "a: '\n"), (2, "---\nb: 2")]),
        ] {
            assert_eq!(found(text), expect, "{text:?}");
        }
    }
}

//! What `/readyz` says in any test, against the runbook: whoever is called finds each line there.

const PAGE: &str = include_str!("../../../docs/operations.md");

/// Panics at a line of `/readyz` that has no row under *Lines of /readyz* in docs/operations.md.
pub fn tells(body: &str) {
    let (_, lines) =
        PAGE.split_once("\n## Lines of /readyz\n").expect("docs/operations.md speaks of /readyz");
    let lines = lines.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> =
        lines.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for line in body.lines().map(|line| line.strip_prefix("not ready: ").unwrap_or(line)) {
        assert!(
            line == "ok" || rows.iter().any(|row| is_told(row, line)),
            "docs/operations.md has no row under \"Lines of /readyz\" for: {line}"
        );
    }
}

/// Whether a line begins as a row says, whose dots stand for anything.
fn is_told(row: &str, line: &str) -> bool {
    let mut pieces = row.split('…');
    let begin = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(begin) else { return false };
    pieces.all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

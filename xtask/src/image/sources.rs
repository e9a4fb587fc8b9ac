//! Of which sources what lies in cargo's output folder was made.
//!
//! Cargo knows a package of a workspace by its place in it, and takes for fresh what is newer than its files. So of two
//! checkouts with one output folder the second may be given the program of the first, and of one whose files were put
//! back to older ones, what was built of the newer ones. Here what was compiled is known by its content.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::assets::hex;

/// The files that make a difference and that no compiler tells of.
const FILES_OF_CARGO: [&str; 2] = ["Cargo.toml", "Cargo.lock"];

/// Whether a checkout has the very files that the note tells of. Without a note nothing is known.
pub(super) fn are_as_noted(note: &Path, checkout: &Path) -> bool {
    let text = std::fs::read_to_string(note).unwrap_or_default();
    let is_same = |line: &str| {
        line.split_once(' ').is_some_and(|(sum, file)| told(checkout, file).is_some_and(|now| now == sum))
    };
    !text.is_empty() && text.lines().all(is_same)
}

/// Notes of which files of the checkout a program was compiled, since `begin`. `dep_info` is cargo's list of them, beside the
/// program. What somebody wrote meanwhile may be inside or not, and then there is no note.
pub(super) fn note(note: &Path, checkout: &Path, dep_info: &Path, begin: SystemTime) -> std::io::Result<()> {
    let list = std::fs::read_to_string(dep_info)?;
    let mut text = String::new();
    for file in inputs(&list, checkout).iter().map(String::as_str).chain(FILES_OF_CARGO) {
        let Some(sum) = told(checkout, file) else { continue };
        if std::fs::metadata(checkout.join(file))?.modified()? >= begin {
            return Ok(());
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sum} {file}");
    }
    std::fs::write(note, text)
}

/// The sum of a file's content, in hexadecimal digits.
fn told(checkout: &Path, file: &str) -> Option<String> {
    Some(hex(&Sha256::digest(std::fs::read(checkout.join(file)).ok()?)))
}

/// The files of the checkout that a list like `/t/poros: /c/src/a.rs /c/src/b\ c.rs` names, without the checkout's own path.
fn inputs(list: &str, checkout: &Path) -> BTreeSet<String> {
    let files = list.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, files)| split(files));
    let own = |file: PathBuf| Some(checkout.join(file).strip_prefix(checkout).ok()?.to_str()?.to_owned());
    files.filter_map(own).collect()
}

/// The words of a line; a space in a word has a backslash before it.
fn split(line: &str) -> impl Iterator<Item = PathBuf> {
    let mut words = vec![String::new()];
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek(), words.last_mut()) {
            ('\\', Some(' '), Some(word)) => word.extend(letters.next()),
            (' ', ..) => words.push(String::new()),
            (_, _, Some(word)) => word.push(letter),
            (_, _, None) => {}
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_compiler_is_read() {
        let list = "/t/release/poros: /c/src/main.rs /c/a\\ b.txt /t/out/made.rs src/relative.rs\n";
        let files = ["a b.txt", "src/main.rs", "src/relative.rs"].map(str::to_owned);
        assert_eq!(inputs(list, Path::new("/c")), BTreeSet::from(files));
    }
}

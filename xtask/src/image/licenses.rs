//! The licences of what is in a program, as one text that goes with it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::bill::Runtime;
use super::parts::{Part, Role};

/// The licence of the C library, the one part that is no package.
const LGPL: &str = include_str!("lgpl-2.1.txt");
/// How the files are called that packages keep their licences in.
const NAMES: [&str; 7] = ["license", "licence", "licenses", "copying", "copyright", "notice", "unlicense"];

/// Who is to be named, under which licence, and all the texts: each once, under a number. Of the same packages it is the
/// same text. In the folder `standard` are texts of licences by their SPDX names, such as `MIT.txt`: the toolchain's.
pub(super) fn text(parts: &[Part], runtime: &Runtime, standard: &Path) -> std::io::Result<String> {
    let mut texts = Texts::default();
    let mut list = String::new();
    for part in parts.iter().filter(|part| part.role == Role::Inside) {
        let mut license = part.license.clone().unwrap_or_else(|| "not told".to_owned());
        let mut files = files(&part.folder)?;
        if files.is_empty() {
            let _ = write!(license, ", by {}", part.authors.join(", "));
            files = named(&license, standard);
        }
        line(&mut list, &part.name, &part.version, &license, &texts.numbers(&files)?);
    }
    let rust = "MIT OR Apache-2.0";
    let numbers = texts.numbers(&named(rust, standard))?;
    line(
        &mut list,
        "Rust standard library",
        &runtime.rust,
        &format!("{rust}, of the Rust Project"),
        &numbers,
    );
    if let Some(version) = &runtime.glibc {
        let lgpl = texts.number(LGPL);
        line(&mut list, "GNU C library", version, "LGPL-2.1-or-later, linked statically", &[lgpl]);
    }
    let mut whole = format!(
        "What is in this program, under which licence, and the number of each text below.\n\
         Of a package that brings no text its authors are named, and the standard text of its licence.\n\n{list}"
    );
    for (place, text) in texts.all.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(whole, "\n======== {} ========\n\n{text}\n", place + 1);
    }
    Ok(whole)
}

fn line(list: &mut String, name: &str, version: &str, license: &str, numbers: &[usize]) {
    let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = format!("{name} {version}: {license} [{numbers}]");
    let _ = writeln!(list, "{}", text.trim_end_matches(" []"));
}

/// Texts that differ in more than their spaces.
#[derive(Debug, Default)]
struct Texts {
    all: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Texts {
    fn numbers(&mut self, files: &[PathBuf]) -> std::io::Result<Vec<usize>> {
        let mut numbers = Vec::new();
        for file in files {
            numbers.push(self.number(&String::from_utf8_lossy(&std::fs::read(file)?)));
        }
        numbers.dedup();
        Ok(numbers)
    }

    fn number(&mut self, text: &str) -> usize {
        let key = text.split_whitespace().collect::<Vec<_>>().join(" ");
        *self.numbers.entry(key).or_insert_with(|| {
            let lines = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            self.all.push(lines.trim_matches('\n').to_owned());
            self.all.len()
        })
    }
}

/// The standard texts of the licences that an SPDX expression names, as far as they are there.
fn named(expression: &str, standard: &Path) -> Vec<PathBuf> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'));
    words.map(|word| standard.join(format!("{word}.txt"))).filter(|path| path.is_file()).collect()
}

/// The files of a package that hold its licences, by name; they lie at its top, or in a folder there.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
        if !NAMES.contains(&stem) {
            continue;
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                files.extend(Some(entry?.path()).filter(|path| path.is_file()));
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_spaces_alone_are_one() {
        let mut texts = Texts::default();
        let numbers =
            ["Do\n  as you like. \n", "Do as\r\nyou like.", "Do not."].map(|text| texts.number(text));
        assert_eq!(
            (numbers, texts.all),
            ([1, 1, 2], vec!["Do\n  as you like.".to_owned(), "Do not.".to_owned()])
        );
    }
}

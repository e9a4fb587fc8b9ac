//! The files that `-f` names: files, folders and standard input, each told by name, none read at any length.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use thiserror::Error;

use crate::ctl::failure::{Exit, Failure, Located};
use crate::view::manifest::{self, Allowance, Document, LONGEST, ManifestError, Variables};
use crate::view::table::shown;

/// What a file is called in a folder for it to be a manifest.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The most files of one run.
const MOST: usize = 10_000;

/// The most that is read in one run, in bytes.
const TOTAL: usize = 100 << 20;

/// How deep folders are followed.
const DEEP: usize = 64;

/// How long a named pipe may be without a writer.
const WRITER: Duration = Duration::from_secs(5);

/// Standard input, as people are told of it.
const STANDARD_INPUT: &str = "standard input";

/// A file that was named, or found in a folder.
#[derive(Debug)]
pub struct Source {
    /// What people call it.
    pub name: String,
    from: Origin,
}

#[derive(Debug)]
enum Origin {
    StandardInput,
    File(PathBuf),
    /// Not a regular file, and named by the person, who knows.
    Special(PathBuf),
    Unusable(FileError),
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system refuses it.
    #[error("{file} could not be read")]
    Io {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pipe, device or socket was found in a folder.
    #[error(
        "{file} is no regular file but a pipe, device or socket; it was not opened: name it with -f if it is meant"
    )]
    Special {
        /// Its name.
        file: String,
    },
    /// A named pipe has no writer.
    #[error("{file} is a pipe into which nothing writes; it was given up after {} seconds", WRITER.as_secs())]
    Unwritten {
        /// Its name.
        file: String,
    },
    /// A folder has no manifest.
    #[error("{folder} has no file that ends in .yaml, .yml or .json{hint}")]
    Empty {
        /// Its name.
        folder: String,
        /// What to do, if subfolders could have some.
        hint: String,
    },
    /// A folder within itself.
    #[error(
        "{folder} leads back to a folder that is read already, or is more than {DEEP} deep; it was passed over"
    )]
    Loop {
        /// Its name.
        folder: String,
    },
    /// There are too many files.
    #[error("{folder} has more than {MOST} manifests; the others were passed over: name smaller folders")]
    TooMany {
        /// The folder in which the bound was met.
        folder: String,
    },
    /// All files together are too long.
    #[error("more than {TOTAL} bytes of manifests in one run; {file} and what follows was not read")]
    TooMuch {
        /// The first that was not read.
        file: String,
    },
    /// Standard input is named twice.
    #[error("standard input is named twice; it can be read once")]
    Twice,
}

/// The files of these paths, in this order; those of a folder in the order of their names, those of its subfolders only if
/// asked for. What cannot be used is there too, and says why when it is read.
pub fn sources(paths: &[PathBuf], recursive: bool) -> Vec<Source> {
    let mut found = Vec::new();
    let mut input = false;
    for path in paths {
        if path.as_os_str() == "-" {
            let from = if input { Origin::Unusable(FileError::Twice) } else { Origin::StandardInput };
            input = true;
            found.push(Source { name: STANDARD_INPUT.into(), from });
            continue;
        }
        let name = told(path);
        match fs::metadata(path) {
            Err(source) => found.push(unusable(FileError::Io { file: name, source })),
            Ok(about) if about.is_dir() => {
                let mut walk = Walk { recursive, found: &mut found, seen: BTreeSet::new(), subfolders: 0 };
                let before = walk.found.len();
                walk.folder(path, 0);
                let subfolders = walk.subfolders;
                if found.len() == before {
                    let hint = match subfolders {
                        0 => "",
                        _ if recursive => ", and its subfolders have none",
                        _ => "; give -R to read its subfolders",
                    };
                    found.push(unusable(FileError::Empty { folder: name, hint: hint.into() }));
                }
            }
            Ok(about) if about.is_file() => found.push(Source { name, from: Origin::File(path.clone()) }),
            Ok(_) => found.push(Source { name, from: Origin::Special(path.clone()) }),
        }
    }
    found
}

/// What people call it: on one line, for a name may have line breaks, and without what a terminal would take for a command.
fn told(path: &Path) -> String {
    shown(&path.display().to_string())
}

fn unusable(error: FileError) -> Source {
    let name = match &error {
        FileError::Io { file, .. }
        | FileError::Special { file }
        | FileError::Unwritten { file }
        | FileError::TooMuch { file } => file.clone(),
        FileError::Empty { folder, .. } | FileError::Loop { folder } | FileError::TooMany { folder } => {
            folder.clone()
        }
        FileError::Twice => STANDARD_INPUT.into(),
    };
    Source { name, from: Origin::Unusable(error) }
}

/// The bytes of each, by its name, until there is more than a run reads.
pub fn contents(sources: Vec<Source>) -> impl Iterator<Item = (String, Result<Vec<u8>, FileError>)> {
    let (mut total, mut over) = (0, false);
    sources.into_iter().map_while(move |source| {
        if over {
            return None;
        }
        over = total > TOTAL;
        let file = source.name.clone();
        let read = if over { Err(FileError::TooMuch { file: file.clone() }) } else { source.read() };
        total += read.as_ref().map_or(0, Vec::len);
        Some((file, read))
    })
}

struct Walk<'a> {
    recursive: bool,
    found: &'a mut Vec<Source>,
    /// The real paths of the folders that were read.
    seen: BTreeSet<PathBuf>,
    subfolders: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let name = told(folder);
        let real = match fs::canonicalize(folder) {
            Ok(real) => real,
            Err(source) => return self.found.push(unusable(FileError::Io { file: name, source })),
        };
        if depth > DEEP || !self.seen.insert(real) {
            return self.found.push(unusable(FileError::Loop { folder: name }));
        }
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<PathBuf> = match listed {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(source) => return self.found.push(unusable(FileError::Io { file: name, source })),
        };
        paths.sort();
        for path in paths {
            let manifest = path.extension().and_then(|ending| ending.to_str());
            let manifest = manifest.is_some_and(|ending| ENDINGS.contains(&ending));
            let file = told(&path);
            if self.found.len() >= MOST {
                self.found.push(unusable(FileError::TooMany { folder: name }));
                return;
            }
            match fs::metadata(&path) {
                Ok(about) if about.is_dir() => {
                    self.subfolders += 1;
                    if self.recursive {
                        self.folder(&path, depth + 1);
                    }
                }
                _ if !manifest => {}
                Ok(about) if about.is_file() => {
                    self.found.push(Source { name: file, from: Origin::File(path) });
                }
                Ok(_) => self.found.push(unusable(FileError::Special { file })),
                Err(source) => self.found.push(unusable(FileError::Io { file, source })),
            }
        }
    }
}

impl Source {
    /// Its bytes; at most one more than a manifest may have, which says that it is too long.
    pub fn read(self) -> Result<Vec<u8>, FileError> {
        let Self { name: file, from } = self;
        let read = match from {
            Origin::Unusable(error) => return Err(error),
            Origin::StandardInput => bounded(io::stdin().lock()),
            Origin::File(path) => File::open(path).and_then(bounded),
            Origin::Special(path) => {
                let (sender, opened) = mpsc::channel();
                // Opening a pipe waits for its writer, and nothing can interrupt that but the end of the process.
                std::thread::spawn(move || sender.send(File::open(path)));
                match opened.recv_timeout(WRITER) {
                    Ok(opened) => opened.and_then(bounded),
                    Err(_) => return Err(FileError::Unwritten { file }),
                }
            }
        };
        read.map_err(|source| FileError::Io { file, source })
    }
}

/// The environment, for manifests that name its variables. One that is no UTF-8 can be in none.
pub fn environment() -> Variables {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let exit = match &error {
            FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            FileError::TooMuch { .. } => Exit::Invalid,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

/// The documents of a file, each by itself, or why it is none; that there is none at all is a failure as well.
pub fn documents(file: &str, bytes: &[u8], allowance: &mut Allowance) -> Vec<Result<Document, Failure>> {
    let all = manifest::documents_within(file, bytes, allowance);
    if all.is_empty() {
        return vec![Err(Failure::new(Exit::Invalid, format!("{file} has no manifest in it")))];
    }
    all.into_iter().map(|document| document.map_err(|error| unreadable(file, &error))).collect()
}

fn unreadable(file: &str, error: &ManifestError) -> Failure {
    let mut failure = Failure::of(Exit::Invalid, error);
    if let Some((line, column)) = error.place() {
        let (file, detail) = (file.to_owned(), error.to_string());
        failure.errors.push(Located { file, line, column, detail, ..Located::default() });
    }
    failure
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("poros-files-{}-{number}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn with(self, files: &[&str]) -> Self {
            for file in files {
                let path = self.0.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, *file).unwrap();
            }
            self
        }

        fn told(&self, recursive: bool) -> Vec<String> {
            let root = self.0.display().to_string();
            sources(std::slice::from_ref(&self.0), recursive)
                .into_iter()
                .map(|source| match source.read() {
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Err(error) => error.to_string().replace(&root, "ROOT"),
                })
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_is_its_manifests_in_order() {
        let folder = Folder::new().with(&["b.yaml", "a.yml", "c.json", "readme.md", "sub/d.yaml", "z.yaml"]);
        assert_eq!(folder.told(false), ["a.yml", "b.yaml", "c.json", "z.yaml"]);
        assert_eq!(folder.told(true), ["a.yml", "b.yaml", "c.json", "sub/d.yaml", "z.yaml"]);
    }

    #[test]
    fn a_name_is_told_on_one_line() {
        let folder = Folder::new().with(&["a\nb\u{1b}[31m.yaml"]);
        let found = sources(std::slice::from_ref(&folder.0), false);
        assert!(found[0].name.ends_with("/a\u{fffd}b\u{fffd}[31m.yaml"), "{:?}", found[0].name);
        assert_eq!(folder.told(false), ["a\nb\u{1b}[31m.yaml"], "it is opened by the name that it has");
    }

    #[test]
    fn a_folder_without_manifests_is_told() {
        assert_eq!(Folder::new().told(false), ["ROOT has no file that ends in .yaml, .yml or .json"]);
        let folder = Folder::new().with(&["sub/a.yaml"]);
        assert_eq!(
            folder.told(false),
            ["ROOT has no file that ends in .yaml, .yml or .json; give -R to read its subfolders"]
        );
        let folder = Folder::new().with(&["sub/a.txt"]);
        assert_eq!(
            folder.told(true),
            ["ROOT has no file that ends in .yaml, .yml or .json, and its subfolders have none"]
        );
    }

    #[test]
    fn loops_and_special_files_are_told() {
        let folder = Folder::new().with(&["sub/a.yaml"]);
        symlink(&folder.0, folder.0.join("sub/loop")).unwrap();
        symlink("/dev/zero", folder.0.join("zero.yaml")).unwrap();
        symlink("nowhere", folder.0.join("gone.yaml")).unwrap();
        symlink("sub/a.yaml", folder.0.join("again.yaml")).unwrap();
        assert!(Command::new("mkfifo").arg(folder.0.join("pipe.yaml")).status().unwrap().success());
        assert_eq!(
            folder.told(true),
            [
                "sub/a.yaml",
                "ROOT/gone.yaml could not be read",
                "ROOT/pipe.yaml is no regular file but a pipe, device or socket; it was not opened: name it with -f if it is meant",
                "sub/a.yaml",
                "ROOT/sub/loop leads back to a folder that is read already, or is more than 64 deep; it was passed over",
                "ROOT/zero.yaml is no regular file but a pipe, device or socket; it was not opened: name it with -f if it is meant",
            ]
        );
    }

    #[test]
    fn a_named_device_is_read_to_the_bound_and_a_pipe_from_its_writer() {
        let zero = sources(&["/dev/zero".into()], false).remove(0).read().unwrap();
        assert_eq!(zero.len(), LONGEST + 1);
        let folder = Folder::new();
        let pipe = folder.0.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "a: 1")
        });
        assert_eq!(sources(&[pipe], false).remove(0).read().unwrap(), b"a: 1");
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_not_there_is_told_and_standard_input_is_read_once() {
        let mut found = sources(&["/nowhere/a.yaml".into(), "-".into(), "-".into()], false);
        assert_eq!(
            found.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(),
            ["/nowhere/a.yaml", "standard input", "standard input"]
        );
        assert_eq!(
            found.pop().unwrap().read().unwrap_err().to_string(),
            "standard input is named twice; it can be read once"
        );
        assert_eq!(found.remove(0).read().unwrap_err().to_string(), "/nowhere/a.yaml could not be read");
    }
}

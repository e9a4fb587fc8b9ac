//! The image again: of the same checkout elsewhere the same one, of another checkout another one.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use xtask::workspace;

use crate::folder::{Folder, copy, sum};
use crate::{BUILT, answer, cargo_home};

/// Poros itself is compiled and linked again; the packages that it uses are those of the first build.
pub(crate) fn another_checkout_gives_the_same_digest() -> Result<(), String> {
    let folder = Folder::new("checkout");
    let own = cargo_metadata()?["target_directory"].as_str().unwrap().to_owned();
    same_again(&folder.0, &[("CARGO_TARGET_DIR", &own)])
}

pub(crate) fn nothing_shared_gives_the_same_digest() -> Result<(), String> {
    let (folder, home) = (Folder::new("alone"), Folder::new("home"));
    // The archives of the packages, so that none is asked for again; they are unpacked there.
    for part in ["cache", "index"] {
        let from = cargo_home().join("registry").join(part);
        if from.is_dir() {
            copy(&from, &home.0.join("registry").join(part), &[]);
        }
    }
    let output = folder.0.join("output").display().to_string();
    same_again(&folder.0, &[("CARGO_HOME", &home.0.display().to_string()), ("CARGO_TARGET_DIR", &output)])
}

/// A program of one line, in a package that is called as ours, under one version, and older than any output.
const SMALL: [(&str, &str); 4] = [
    (
        "Cargo.toml",
        "[package]\nname = \"poros\"\nversion = \"0.0.1\"\nedition = \"2024\"\nlicense = \"Apache-2.0\"\n",
    ),
    ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"poros\"\nversion = \"0.0.1\"\n"),
    ("src/lib.rs", "pub fn say() {\n    println!(\"TEXT\");\n}\n"),
    ("src/main.rs", "fn main() {\n    poros::say();\n}\n"),
];

/// Cargo alone takes the program of one for that of the other: it looks at times, and at places within a workspace.
pub(crate) fn two_checkouts_with_one_output_have_a_digest_each() -> Result<(), String> {
    let folder = Folder::new("two");
    let output = folder.0.join("output").display().to_string();
    let old = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 30);
    for name in ["one", "other"] {
        let checkout = folder.0.join(name);
        // By this file a checkout is known.
        for (file, text) in SMALL.into_iter().chain([("xtask/src/rig.rs", "")]) {
            let path = checkout.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text.replace("TEXT", name)).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        }
    }
    let build = |name: &str| -> Result<(String, bool), String> {
        let checkout = folder.0.join(name);
        let (told, talk) = xtask(&checkout, &[], &[("CARGO_TARGET_DIR", &output)])?;
        let says = answer(&mut Command::new(checkout.join("target/image").join("root").join("poros")))?;
        assert_eq!(says.trim(), name, "{talk}");
        Ok((digest(&told), talk.contains("Compiling poros")))
    };
    let (one, other) = (build("one")?, build("other")?);
    assert!(one.1 && other.1 && one.0 != other.0, "{one:?}, {other:?}");
    // What was built of the very same files is not built again.
    assert_eq!(build("other")?, (other.0, false));
    assert_eq!(build("one")?, (one.0, true));
    Ok(())
}

fn digest(told: &str) -> String {
    told.lines().find_map(|line| line.strip_prefix("digest ")).unwrap_or_default().trim().to_owned()
}

fn same_again(folder: &Path, environment: &[(&str, &str)]) -> Result<(), String> {
    let first = &*BUILT;
    let checkout = folder.join("source");
    copy(&workspace::root(), &checkout, &["target", ".git"]);
    let begin = Instant::now();
    let revision = first.revision.iter().flat_map(|revision| ["--revision", revision.as_str()]);
    let (told, talk) = xtask(&checkout, &revision.collect::<Vec<_>>(), environment)?;
    println!("built again after {:?}", begin.elapsed());
    let compiled = format!("Compiling poros v{} ({})", first.version, checkout.display());
    assert!(talk.contains(&compiled), "it was not built again: {talk}");
    let digest = digest(&told);
    println!("{}\n{digest}", first.digest);
    let again = checkout.join("target/image");
    for file in ["root/poros", "poros.tar", "poros.cdx.json"] {
        let read = |folder: &Path| sum(&std::fs::read(folder.join(file)).unwrap());
        assert_eq!(read(&again), read(&workspace::target().join("image")), "{file}");
    }
    assert_eq!(digest, first.digest);
    Ok(())
}

/// `cargo xtask image` of a checkout: what it writes to standard output, and to standard error.
pub(crate) fn xtask(
    checkout: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(String, String), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("image")
        .args(arguments)
        .current_dir(checkout)
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        // Its words are read here, whatever is set outside.
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("CARGO_TERM_QUIET");
    let output = command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, talk) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() { Ok((told, talk)) } else { Err(format!("{}: {talk}", output.status)) }
}

fn cargo_metadata() -> Result<Value, String> {
    let mut command = workspace::cargo();
    let text = answer(command.args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    Ok(serde_json::from_str(&text).unwrap())
}

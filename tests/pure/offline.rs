//! The verbs that need no cluster, run as a person runs them.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs a command line in a shell that knows `dataos-ctl` alone.
fn run(line: &str) -> Output {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_dataos-ctl"));
    Command::new("/bin/sh")
        .args(["-c", line])
        .env_clear()
        .env("PATH", program.parent().unwrap())
        .output()
        .unwrap()
}

#[test]
fn schemas_for_editors_read_as_in_their_golden_files() {
    for (flags, file) in [("", "schema-native.json"), (" --kubernetes", "schema-kubernetes.json")] {
        let found = run(&format!("dataos-ctl develop schema generate{flags}"));
        assert!(found.status.success(), "{found:?}");
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pure/golden").join(file);
        if std::env::var_os("POROS_BLESS").is_some() {
            std::fs::write(&path, &found.stdout).unwrap();
        }
        let wanted = std::fs::read(&path).unwrap_or_default();
        assert!(
            wanted == found.stdout,
            "{file} is not what is printed; POROS_BLESS=1 cargo test --test pure offline writes it\n{}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    for verb in [
        "develop generate",
        "develop schema generate",
        "completion bash",
        "version --client",
        "--help",
        "get -h",
    ] {
        let full = run(&format!("dataos-ctl {verb} >/dev/full"));
        let said = String::from_utf8_lossy(&full.stderr);
        assert_eq!(full.status.code(), Some(1), "{verb}: {said}");
        assert!(said.contains("could not be written to standard output"), "{verb}: {said}");
        // Who closes standard output wants none, as with kubectl: it is opened as /dev/null, not as the next file.
        let closed = run(&format!("dataos-ctl {verb} >&-"));
        assert_eq!((closed.status.code(), closed.stderr.len()), (Some(0), 0), "{verb}");
    }
    // Talk that reaches nobody stops nothing.
    let mute = run("dataos-ctl develop generate -n Not_A_Name 2>&-");
    assert_eq!((mute.status.code(), mute.stdout.len()), (Some(4), 0));
}

//! The binary, where there is no cluster to be found: it says what is wrong with the configuration, and where.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What `poros run` says before it gives up, with this home folder and this `KUBECONFIG`.
fn said(home: &Path, kubeconfig: Option<&Path>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poros"));
    command.arg("run").env_clear().env("HOME", home);
    if let Some(path) = kubeconfig {
        command.env("KUBECONFIG", path);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(folder.join(".kube")).unwrap();
    folder
}

#[test]
fn no_kubeconfig_is_told_from_a_broken_one() {
    let (empty, broken) = (folder("no-kubeconfig"), folder("broken-kubeconfig"));
    let file = broken.join(".kube/config");
    std::fs::write(&file, "apiVersion: v1\nkind: Config\nclusters: 7\n").unwrap();

    let absent = said(&empty, None);
    assert!(absent.starts_with("poros: no cluster is configured: set KUBECONFIG"), "{absent}");
    let usual = said(&broken, None);
    let at = file.display();
    let expect = |origin: &str| {
        format!("poros: the kubeconfig {:?} that {origin} cannot be used: at line 3, column", at.to_string())
    };
    assert!(usual.starts_with(&expect("is in its usual place")), "{usual}");
    let named = said(&empty, Some(&file));
    assert!(named.starts_with(&expect("KUBECONFIG names")), "{named}");
    let missing = empty.join("nothing-here");
    let named = said(&empty, Some(&missing));
    assert!(named.contains("nothing-here\" that KUBECONFIG names cannot be read"), "{named}");
    assert_eq!(said(&broken, Some(Path::new(""))), usual, "an empty name is no name");
}

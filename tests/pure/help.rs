//! What `--help`, `-h` and the manual say, as the programs print it: `golden/help.txt`, `golden/usage.txt`, `golden/manual.txt`.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::CommandFactory as _;
use poros::ctl::dataos::Dataos;
use poros::ctl::kubectl::Kubectl;

/// A verb of a program, or the program itself.
struct Verb {
    /// By what name the program is run.
    program: &'static str,
    words: Vec<String>,
    /// As a person types it.
    typed: String,
    tree: clap::Command,
}

impl Verb {
    fn program(program: &'static str, mut tree: clap::Command) -> Self {
        tree.build();
        Self { program, words: Vec::new(), typed: tree.get_bin_name().unwrap().to_owned(), tree }
    }

    /// Itself, and all below it.
    fn all(self) -> Vec<Self> {
        // `help` prints what `--help` does.
        let below: Vec<Self> = (self.tree.get_subcommands().filter(|verb| verb.get_name() != "help"))
            .map(|verb| Self {
                program: self.program,
                words: self.words.iter().cloned().chain([verb.get_name().to_owned()]).collect(),
                typed: format!("{} {}", self.typed, verb.get_name()),
                tree: verb.clone(),
            })
            .collect();
        [self].into_iter().chain(below.into_iter().flat_map(Self::all)).collect()
    }

    /// What it prints of itself, where nobody looks: 100 columns wide.
    fn prints(&self, flag: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_dataos-ctl"))
            .arg0(self.program)
            .args(&self.words)
            .arg(flag)
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{} {flag}: {output:?}", self.typed);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn programs() -> [Verb; 2] {
    [Verb::program("dataos-ctl", Dataos::command()), Verb::program("kubectl-poros", Kubectl::command())]
}

fn compare(name: &str, found: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pure/golden").join(name);
    if std::env::var_os("POROS_BLESS").is_some() {
        std::fs::write(&file, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = wanted.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
    let line = differs.unwrap_or(wanted.lines().count().min(found.lines().count()));
    assert!(
        wanted == found,
        "{name} is not what is printed, first at line {}; POROS_BLESS=1 cargo test --test pure help writes it\n- {}\n+ {}",
        line + 1,
        wanted.lines().nth(line).unwrap_or("(the end)"),
        found.lines().nth(line).unwrap_or("(the end)"),
    );
}

/// What this flag makes every verb print. The flags that all verbs take are shown once, with the program; that each verb
/// tells of them in the same words is asserted.
fn printed(flag: &str) -> String {
    let mut text = String::new();
    for program in programs() {
        let whole = program.prints(flag);
        let (_, common) = whole.split_once("\nHow it talks:\n").unwrap();
        let common = format!("\nHow it talks:\n{common}");
        let verbs = program.all();
        for verb in &verbs {
            let help = verb.prints(flag);
            assert!(
                help.contains(&common),
                "{} has other words for what all verbs take:\n{help}",
                verb.typed
            );
            let shown = if verb.words.is_empty() { help } else { help.replacen(&common, "\n…\n", 1) };
            if let [resource, twin] = verb.words.as_slice()
                && resource == "resource"
            {
                let twin = verbs.iter().find(|other| other.words == [twin.clone()]).unwrap();
                let wanted = twin.prints(flag).replacen(&common, "\n…\n", 1);
                assert_eq!(
                    shown,
                    wanted.replace(&format!("Usage: {}", twin.typed), &format!("Usage: {}", verb.typed))
                );
                continue;
            }
            let _ = write!(text, "$ {} {flag}\n{shown}\n", verb.typed);
        }
    }
    text
}

#[test]
fn help_reads_as_in_its_golden_file() {
    compare("help.txt", &printed("--help"));
}

#[test]
fn short_help_reads_as_in_its_golden_file() {
    compare("usage.txt", &printed("-h"));
}

#[test]
fn the_manual_tells_of_each_verb_and_flag_what_help_does() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("manual-{}", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_dataos-ctl"))
        .args(["develop", "man"])
        .arg(&folder)
        .env_clear()
        .status()
        .unwrap();
    assert!(status.success());
    let mut found: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let verbs: Vec<Verb> = programs().into_iter().flat_map(Verb::all).collect();
    let page =
        |verb: &Verb| format!("{}.1", [&[verb.program.to_owned()], &verb.words[..]].concat().join("-"));
    let mut wanted: Vec<String> = verbs.iter().map(page).collect();
    wanted.sort();
    assert_eq!(found, wanted, "a page for each verb");

    let mut text = format!("{}\n", found.join("\n"));
    for verb in &verbs {
        let name = page(verb);
        let roff = std::fs::read_to_string(folder.join(&name)).unwrap();
        // As `man` shows it.
        let shown = roff.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\\\", "\\");
        for flag in verb.tree.get_arguments().filter(|flag| !flag.is_hide_set() && flag.get_id() != "help") {
            let help = flag.get_help().unwrap().to_string();
            let help = help.split("\n\n").next().unwrap();
            assert!(
                shown.contains(&format!("\n{help}\n")),
                "{name} does not tell of {}: {help}",
                flag.get_id()
            );
        }
        if ["dataos-ctl.1", "dataos-ctl-delete.1", "kubectl-poros-explain-pod.1"].contains(&name.as_str()) {
            let _ = write!(text, "\n== {name}\n{}", roff.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    compare("manual.txt", &text);
}

//! What a person typed and saw, compared byte for byte with a file in `cli/golden`.
//!
//! `POROS_BLESS=1 cargo test --test it cli` writes the files. Only what differs from run to run is put in words first:
//! seconds since the start, times, uids, the address of the API server, and what a test says.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

/// A session on a terminal that nobody looks at.
pub struct Transcript {
    name: &'static str,
    folder: PathBuf,
    programs: &'static Path,
    kubeconfig: PathBuf,
    environment: Vec<(String, String)>,
    text: String,
    replaced: Vec<(Regex, String)>,
}

/// What one command printed, and how it ended.
pub struct Printed {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Transcript {
    /// A session as this user, who may do everything.
    pub fn new(name: &'static str, cluster: &Cluster, user: &str) -> Self {
        let folder = cluster.rig.dir().join("cli").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let kubeconfig = folder.join(".kubeconfig");
        std::fs::write(&kubeconfig, as_user(cluster, user)).unwrap();
        Self::with_kubeconfig(name, cluster, kubeconfig)
    }

    /// A session as this user, who may do what roles say.
    pub fn plain(name: &'static str, cluster: &Cluster, user: &str) -> Self {
        let folder = cluster.rig.dir().join("cli").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let kubeconfig = folder.join(".kubeconfig");
        let whole: Value = serde_saphyr::from_str(&as_user(cluster, user)).unwrap();
        let mut plain = whole;
        plain["users"][0]["user"].as_object_mut().unwrap().remove("as-groups");
        std::fs::write(&kubeconfig, serde_saphyr::to_string(&plain).unwrap()).unwrap();
        Self::with_kubeconfig(name, cluster, kubeconfig)
    }

    /// A session with this kubeconfig.
    pub fn with_kubeconfig(name: &'static str, cluster: &Cluster, kubeconfig: PathBuf) -> Self {
        let folder = cluster.rig.dir().join("cli").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut transcript = Self {
            name,
            folder,
            programs: programs(cluster),
            kubeconfig,
            environment: Vec::new(),
            text: String::new(),
            replaced: Vec::new(),
        };
        transcript.replace(&regex::escape(&cluster.rig.url()), "https://API-SERVER");
        transcript.replace(r"(INFO|WARN|ERRO)(\x1b\[0m)?\[\d{4}\]", "$1$2[0000]");
        transcript.replace(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME");
        transcript.replace("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID");
        let folder = transcript.folder.display().to_string();
        transcript.replace(&regex::escape(&folder), "FOLDER");
        transcript
    }

    /// Puts what matches in words, in all that follows.
    pub fn replace(&mut self, pattern: &str, by: &str) {
        self.replaced.push((Regex::new(pattern).unwrap(), by.to_owned()));
    }

    /// Sets a variable of the environment, for all that follows.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file into the folder that the commands run in.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs a command line as a shell would, and notes it with what it printed.
    pub fn run(&mut self, line: &str) -> Printed {
        let printed = self.quietly(line);
        self.note(line, &printed);
        printed
    }

    /// Runs a command line, and notes nothing.
    pub fn quietly(&self, line: &str) -> Printed {
        let output = self.command(line).output().expect("a shell starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("only UTF-8 is printed");
        Printed {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// The command that runs a line.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.programs.display()))
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("KUBECONFIG", &self.kubeconfig)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Notes, as a comment of a shell, what the next command line does not show.
    pub fn remark(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = write!(self.text, "# {text}");
    }

    /// Notes a command line with what it printed.
    pub fn note(&mut self, line: &str, printed: &Printed) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "$ {line}");
        for talk in printed.err.split_inclusive('\n') {
            let _ = write!(self.text, "2> {talk}");
        }
        self.text.push_str(&printed.out);
        if !self.text.ends_with('\n') {
            self.text.push_str("(no line break at the end)\n");
        }
        if printed.code != 0 {
            let _ = writeln!(self.text, "(exit {})", printed.code);
        }
    }

    /// Compares all of it with its file.
    pub fn compare(self) {
        let mut found = self.text;
        for (pattern, by) in &self.replaced {
            found = pattern.replace_all(&found, by.as_str()).into_owned();
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/cli/golden")
            .join(format!("{}.txt", self.name));
        if std::env::var_os("POROS_BLESS").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == wanted,
            "{}.txt is not what was printed; POROS_BLESS=1 cargo test --test it cli writes it\n{}",
            self.name,
            difference(&wanted, &found),
        );
    }
}

/// The lines that are in one of them alone, blanks at their ends marked; of the same lines the first that
/// stands elsewhere.
fn difference(wanted: &str, found: &str) -> String {
    let mut text = String::new();
    let (wanted, found): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), found.lines().collect());
    for line in wanted.iter().filter(|line| !found.contains(line)) {
        let _ = writeln!(text, "- {line}$");
    }
    for line in found.iter().filter(|line| !wanted.contains(line)) {
        let _ = writeln!(text, "+ {line}$");
    }
    if text.is_empty() {
        let first = wanted.iter().zip(&found).position(|(wanted, found)| wanted != found);
        let line = first.unwrap_or(wanted.len().min(found.len()));
        let end = "(the end)";
        let _ = writeln!(text, "the same lines in another order or number, first at line {}:", line + 1);
        let _ = writeln!(text, "- {}", wanted.get(line).unwrap_or(&end));
        let _ = writeln!(text, "+ {}", found.get(line).unwrap_or(&end));
    }
    text
}

/// A folder with the programs of Poros and kubectl by the names that people know.
pub fn programs(cluster: &Cluster) -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let binary = std::env::var_os("DATAOS_CTL_BINARY")
            .map_or_else(|| env!("CARGO_BIN_EXE_dataos-ctl").into(), PathBuf::from);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("programs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let kubectl = PathBuf::from(cluster.rig.kubectl().get_program());
        for (name, program) in [
            ("dataos-ctl", &binary),
            ("kubectl-poros", &binary),
            ("kubectl_complete-poros", &binary),
            ("kubectl", &kubectl),
        ] {
            let _ = std::fs::remove_file(folder.join(name));
            symlink(program, folder.join(name)).unwrap();
        }
        folder
    })
}

/// The administrator's kubeconfig, impersonating a user.
fn as_user(cluster: &Cluster, user: &str) -> String {
    let text = std::fs::read_to_string(cluster.rig.kubeconfig()).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["as"] = json!(user);
    kubeconfig["users"][0]["user"]["as-groups"] = json!(["system:masters"]);
    serde_saphyr::to_string(&kubeconfig).unwrap()
}

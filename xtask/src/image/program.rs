//! The release build: one program that needs nothing of the system, and that does not tell where it was built.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

use super::bill::Runtime;
use super::parts::{Compiled, Metadata, Part, auditable};
use crate::workspace;

/// The package and its program.
pub const POROS: &str = "poros";
/// The other name of that program: by it, it is the command line.
pub const CTL: &str = "dataos-ctl";

/// The section in which a program carries its list of packages.
const LIST: &str = ".dep-v0";

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A command could not be run.
    #[error("cannot run {program}")]
    Run {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A command failed.
    #[error("`{program}` failed: {answer}")]
    Command {
        /// Which.
        program: String,
        /// What it said.
        answer: String,
    },
    /// Cargo said something else than it is known to.
    #[error("what cargo says of {place:?} is not understood")]
    Metadata {
        /// The workspace.
        place: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The build failed.
    #[error(
        "Poros could not be built ({0}; see above). It is linked with a static C library, which Debian has in libc6-dev and Fedora in glibc-static"
    )]
    Failed(ExitStatus),
    /// It built something else.
    #[error("cargo built no program named {POROS}")]
    Nothing,
    /// A file resists.
    #[error("cannot write {path:?}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The program, as the image has it and the demo runs it.
#[derive(Debug, Clone)]
pub struct Program {
    /// The folder with nothing but the program and, where it has two names, a link to it.
    pub folder: PathBuf,
    /// Its version.
    pub version: String,
    /// What it is made of, by name and version.
    pub parts: Vec<Part>,
    /// What else is inside.
    pub runtime: Runtime,
}

impl Program {
    /// The file of the program.
    pub fn path(&self) -> PathBuf {
        self.folder.join(POROS)
    }
}

/// Builds the release of a checkout, in sight of the person who waits for it, into a folder of its own.
///
/// Other checkouts are built where this one is, so that the packages that they share are built once.
pub(super) fn build(checkout: &Path, folder: &Path, links: &[&str]) -> Result<Program, BuildError> {
    let toolchain = Toolchain::find(checkout)?;
    let own = metadata(&workspace::root(), &toolchain)?;
    let metadata = if checkout == workspace::root() { own.clone() } else { metadata(checkout, &toolchain)? };
    let output = Path::new(&own.target_directory);
    let (file, compiled) = compile(checkout, &toolchain, &metadata, output)?;
    let lock = checkout.join("Cargo.lock");
    let text = std::fs::read_to_string(&lock).map_err(|source| BuildError::File { path: lock, source })?;
    let parts = compiled.parts(&metadata, &text);
    place(&file, folder, links, &parts)?;
    let version = parts.iter().find(|part| part.name == POROS).map(|part| part.version.clone());
    let glibc = cfg!(all(target_os = "linux", target_env = "gnu"))
        .then(|| answer(Command::new("getconf").arg("GNU_LIBC_VERSION")))
        .transpose()?
        .map(|text| text.trim().trim_start_matches("glibc ").to_owned());
    let runtime = Runtime { rust: toolchain.release, glibc };
    Ok(Program { folder: folder.to_owned(), version: version.ok_or(BuildError::Nothing)?, parts, runtime })
}

/// The compiler that builds the checkout.
struct Toolchain {
    host: String,
    release: String,
    sysroot: String,
}

impl Toolchain {
    fn find(checkout: &Path) -> Result<Self, BuildError> {
        let rustc = || {
            let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
            rustc.current_dir(checkout);
            rustc
        };
        let about = answer(rustc().arg("-vV"))?;
        let value = |key: &str| {
            let line = about.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().to_owned()
        };
        let sysroot = answer(rustc().args(["--print", "sysroot"]))?.trim().to_owned();
        Ok(Self { host: value("host:"), release: value("release:"), sysroot })
    }
}

fn metadata(checkout: &Path, toolchain: &Toolchain) -> Result<Metadata, BuildError> {
    let mut command = workspace::cargo();
    command.current_dir(checkout);
    command.args(["metadata", "--format-version=1", "--locked", "--filter-platform", &toolchain.host]);
    let text = answer(&mut command)?;
    serde_json::from_str(&text).map_err(|source| BuildError::Metadata { place: checkout.to_owned(), source })
}

/// The flags of the compiler, the same for each checkout that is built into `output`: others would build all packages anew.
fn flags(toolchain: &Toolchain, metadata: &Metadata, output: &Path) -> Vec<String> {
    let sources: BTreeSet<&Path> = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .filter_map(|package| Path::new(&package.manifest_path).parent()?.parent())
        .collect();
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = Vec::new();
    // Elsewhere programs are static already, or cannot be.
    if toolchain.host.ends_with("-linux-gnu") {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    // Cargo compiles the packages of a workspace by relative paths: the checkout's own is told nowhere.
    flags.extend([remap(Path::new(&toolchain.sysroot), "/rust"), remap(output, "/target")]);
    flags.extend(sources.into_iter().map(|folder| remap(folder, "/registry")));
    flags
}

fn compile(
    checkout: &Path,
    toolchain: &Toolchain,
    metadata: &Metadata,
    output: &Path,
) -> Result<(PathBuf, Compiled), BuildError> {
    let mut command = workspace::cargo();
    command.current_dir(checkout);
    command.args(["build", "--release", "--locked", "--package", POROS, "--bin", POROS]);
    // With the target named, the flags are for the program alone, not for what the build itself runs.
    command.args(["--target", &toolchain.host]).arg("--target-dir").arg(output);
    command.arg("--message-format=json-render-diagnostics");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain, metadata, output).join("\x1f"));
    command.env("CARGO_INCREMENTAL", "0");
    // As today's profile has it; an older version's would build all packages anew, too.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    let run = |source| BuildError::Run { program: "cargo".to_owned(), source };
    // Progress and errors go to the terminal; what was built comes as JSON.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(run)?;
    let lines = child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    let folder = output.join(&toolchain.host);
    let (mut compiled, mut file) = (Compiled::default(), None);
    for message in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
        compiled.note(&message, &folder.to_string_lossy());
        file = executable(&message).or(file);
    }
    let status = child.wait().map_err(run)?;
    if !status.success() {
        return Err(BuildError::Failed(status));
    }
    Ok((file.ok_or(BuildError::Nothing)?, compiled))
}

/// The path in cargo's message that the program was built, or is there.
fn executable(message: &Value) -> Option<PathBuf> {
    let is_program = message["reason"] == "compiler-artifact" && message["target"]["name"] == POROS;
    message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
}

/// Puts the program with its list of packages into the folder, and nothing else.
fn place(file: &Path, folder: &Path, links: &[&str], parts: &[Part]) -> Result<(), BuildError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::File { path, source }
    };
    let bench = folder.with_extension("new");
    let _ = std::fs::remove_dir_all(&bench);
    std::fs::create_dir_all(&bench).map_err(error(&bench))?;
    let program = bench.join(POROS);
    std::fs::copy(file, &program).map_err(error(&program))?;
    let anyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, anyone).map_err(error(&program))?;
    if cfg!(target_os = "linux") {
        let list = bench.join(LIST);
        let text = auditable(parts, POROS).to_string();
        std::fs::write(&list, zlib(text.as_bytes())).map_err(error(&list))?;
        let mut section = std::ffi::OsString::from(format!("{LIST}="));
        section.push(&list);
        answer(Command::new("objcopy").arg("--add-section").arg(section).arg(&program))?;
        std::fs::remove_file(&list).map_err(error(&list))?;
    }
    for link in links {
        std::os::unix::fs::symlink(POROS, bench.join(link)).map_err(error(&bench.join(link)))?;
    }
    // Who runs the older program keeps it.
    let _ = std::fs::remove_dir_all(folder);
    std::fs::rename(&bench, folder).map_err(error(folder))
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    // Into memory: there is nothing that could fail.
    let _ = std::io::Write::write_all(&mut encoder, bytes);
    encoder.finish().unwrap_or_default()
}

fn answer(command: &mut Command) -> Result<String, BuildError> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args().take(1));
    let program = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let run = |source| BuildError::Run { program: program.clone(), source };
    let output = command.stdin(Stdio::null()).output().map_err(run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(BuildError::Command { answer: String::from_utf8_lossy(&output.stderr).trim().to_owned(), program })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_program_is_taken_from_cargos_own_words() {
        let artifact = |target: Value, executable: Value| json!({"reason": "compiler-artifact", "target": target, "executable": executable});
        let built = artifact(json!({"name": "poros", "kind": ["bin"]}), json!("/t/release/poros"));
        assert_eq!(executable(&built), Some(PathBuf::from("/t/release/poros")));
        let library = artifact(json!({"name": "poros", "kind": ["lib"]}), Value::Null);
        assert_eq!(executable(&library), None);
        assert_eq!(executable(&json!({"reason": "build-finished", "success": true})), None);
    }
}

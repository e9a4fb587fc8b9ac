//! The release build: one program that needs nothing of the system, and that does not tell where it was built.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::SystemTime;

use serde_json::Value;

use super::bill::Runtime;
use super::parts::{Compiled, Metadata, Part, auditable};
use super::{licenses, sources};
use crate::assets::{HostError, Work};
use crate::command::{self, CommandError};
use crate::workspace;

/// The package and its program.
pub const POROS: &str = "poros";
/// The other name of that program: by it, it is the command line.
pub const CTL: &str = "dataos-ctl";

/// The file in the image that names who made what is inside, and under which licence.
pub const LICENSES: &str = "licenses/THIRD-PARTY";

/// The section in which a program carries its list of packages.
const LIST: &str = ".dep-v0";

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// This host lacks what the build needs beside the compiler.
    #[error("Poros cannot be built as an image has it")]
    Host(#[source] HostError),
    /// A command failed.
    #[error("a command of the build failed")]
    Command(#[source] CommandError),
    /// Cargo could not be run.
    #[error("cannot run cargo")]
    Cargo(#[source] std::io::Error),
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
    #[error("Poros could not be built ({0}; see above)")]
    Failed(ExitStatus),
    /// It built something else.
    #[error("cargo built no program named {POROS}")]
    Nothing,
    /// The licences of what is inside could not be read.
    #[error("cannot read the licences of the packages")]
    Licenses(#[source] std::io::Error),
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
    /// The folder with nothing but the program, links to it, and the licences.
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
    Work::Image.is_possible().map_err(BuildError::Host)?;
    let toolchain = Toolchain::find(checkout)?;
    let own = metadata(&workspace::root(), &toolchain)?;
    let metadata = if checkout == workspace::root() { own.clone() } else { metadata(checkout, &toolchain)? };
    let output = Path::new(&own.target_directory);
    // Another checkout that builds there would put its program where this one's is taken from.
    let _lock = lock(&output.join("poros-image.lock"))?;
    let (file, compiled) = compile(&Order { checkout, toolchain: &toolchain, metadata: &metadata, output })?;
    let lock = checkout.join("Cargo.lock");
    let text = std::fs::read_to_string(&lock).map_err(error(&lock))?;
    let parts = compiled.parts(&metadata, &text);
    let glibc = cfg!(all(target_os = "linux", target_env = "gnu"))
        .then(|| answer(Command::new("getconf").arg("GNU_LIBC_VERSION")))
        .transpose()?
        .map(|text| text.trim().trim_start_matches("glibc ").to_owned());
    let version = parts.iter().find(|part| part.name == POROS).map(|part| part.version.clone());
    let version = version.ok_or(BuildError::Nothing)?;
    let standard = Path::new(&toolchain.sysroot).join("share/doc/rust/licenses");
    let runtime = Runtime { rust: toolchain.release, glibc };
    let licenses = licenses::text(&parts, &runtime, &standard).map_err(BuildError::Licenses)?;
    place(&file, folder, links, &parts, &licenses)?;
    Ok(Program { folder: folder.to_owned(), version, parts, runtime })
}

/// Waits until nobody else holds the file. It is let go with what is given back, or with this process.
pub(super) fn lock(path: &Path) -> Result<File, BuildError> {
    let open = || {
        std::fs::create_dir_all(path.parent().unwrap_or(path))?;
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(error(path))
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

/// What to compile, with what, and where to.
struct Order<'a> {
    checkout: &'a Path,
    toolchain: &'a Toolchain,
    metadata: &'a Metadata,
    output: &'a Path,
}

/// What cargo did.
#[derive(Default)]
struct Built {
    compiled: Compiled,
    program: Option<PathBuf>,
    /// Something of the checkout itself was there already, by cargo's word.
    was_there: bool,
}

/// Compiles the checkout, and no other: what cargo finds there already counts only where it was made of the same files.
fn compile(order: &Order<'_>) -> Result<(PathBuf, Compiled), BuildError> {
    let own =
        order.metadata.packages.iter().find(|package| package.name == POROS && package.source.is_none());
    let own = own.ok_or(BuildError::Nothing)?;
    let folder = order.output.join(&order.toolchain.host).join("release");
    let note = folder.join(format!("{POROS}-{}.sources", own.version));
    let is_known = sources::are_as_noted(&note, order.checkout);
    let begin = SystemTime::now();
    // Until the build has ended well, nobody knows.
    let _ = std::fs::remove_file(&note);
    let mut built = run(order, &own.id)?;
    if built.was_there && !is_known {
        let mut clean = cargo(order);
        clean.args(["clean", "--release", "--locked", "--package", POROS, "--target", &order.toolchain.host]);
        answer(clean.arg("--target-dir").arg(order.output))?;
        built = run(order, &own.id)?;
    }
    let program = built.program.ok_or(BuildError::Nothing)?;
    sources::note(&note, order.checkout, &program.with_extension("d"), begin).map_err(error(&note))?;
    Ok((program, built.compiled))
}

fn run(order: &Order<'_>, own: &str) -> Result<Built, BuildError> {
    let mut command = cargo(order);
    command.args(["build", "--release", "--locked", "--package", POROS, "--bin", POROS]);
    // With the target named, the flags are for the program alone, not for what the build itself runs.
    command.args(["--target", &order.toolchain.host]).arg("--target-dir").arg(order.output);
    command.arg("--message-format=json-render-diagnostics");
    let flags = flags(order.toolchain, order.metadata, order.output);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    // Progress and errors go to the terminal; what was built comes as JSON.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(BuildError::Cargo)?;
    let lines = child.stdout.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines());
    let folder = order.output.join(&order.toolchain.host);
    let mut built = Built::default();
    for message in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
        built.compiled.note(&message, &folder.to_string_lossy());
        built.program = executable(&message).or(built.program);
        built.was_there |= message["package_id"] == own && message["fresh"] == true;
    }
    let status = child.wait().map_err(BuildError::Cargo)?;
    if status.success() { Ok(built) } else { Err(BuildError::Failed(status)) }
}

/// Cargo in the checkout, with the profile of today's, whatever its own says and whatever the environment: another would
/// make another program, and build all packages anew.
fn cargo(order: &Order<'_>) -> Command {
    let mut command = workspace::cargo();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            command.env_remove(&name);
        }
    }
    command.current_dir(order.checkout).env("CARGO_INCREMENTAL", "0");
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    command
}

/// The path in cargo's message that the program was built, or is there.
fn executable(message: &Value) -> Option<PathBuf> {
    let is_program = message["reason"] == "compiler-artifact" && message["target"]["name"] == POROS;
    message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
}

/// Puts the program with its list of packages and their licences into the folder, and nothing else.
fn place(
    file: &Path,
    folder: &Path,
    links: &[&str],
    parts: &[Part],
    licenses: &str,
) -> Result<(), BuildError> {
    let bench = folder.with_extension("new");
    let _ = std::fs::remove_dir_all(&bench);
    let notices = bench.join(LICENSES);
    let above = notices.parent().unwrap_or(&bench);
    std::fs::create_dir_all(above).map_err(error(above))?;
    std::fs::write(&notices, licenses).map_err(error(&notices))?;
    let program = bench.join(POROS);
    std::fs::copy(file, &program).map_err(error(&program))?;
    for (path, mode) in [(&*program, 0o755), (&notices, 0o644), (above, 0o755)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(error(path))?;
    }
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

fn error(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::File { path, source }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    // Into memory: there is nothing that could fail.
    let _ = std::io::Write::write_all(&mut encoder, bytes);
    encoder.finish().unwrap_or_default()
}

fn answer(command: &mut Command) -> Result<String, BuildError> {
    command::answer(command).map_err(BuildError::Command)
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

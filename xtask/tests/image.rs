//! The image: what is in it, that it is the same again, and that the Dockerfile makes the same.
//!
//! Listed with `POROS_TEST_IMAGE` only, since it needs a release build: minutes, the first time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "sizes and times are reported")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use xtask::assets::{chain, hex, on_path};
use xtask::image::{self, Image, Recipe, Role, checksums};
use xtask::workspace;

/// What may be pulled, in bytes.
const SIZE: u64 = 20 << 20;

/// Built once, in the first test.
static BUILT: LazyLock<Image> =
    LazyLock::new(|| image::build(&Recipe::own()).unwrap_or_else(|error| panic!("{}", chain(&error))));

fn main() {
    let mut arguments = Arguments::from_args();
    // Two cargos would wait for each other.
    arguments.test_threads.get_or_insert(1);
    let trial = |name: &str, test: fn() -> Result<(), String>| {
        Trial::test(name.to_owned(), move || test().map_err(Failed::from))
    };
    let mut trials = Vec::new();
    if std::env::var_os("POROS_TEST_IMAGE").is_some() {
        let root = rustix::process::geteuid().is_root();
        trials.extend([
            trial("the_archive_is_what_the_command_tells", the_archive_is_what_the_command_tells),
            trial("the_program_needs_nothing_of_the_system", the_program_needs_nothing_of_the_system),
            trial("no_place_of_this_machine_is_in_the_program", no_place_of_this_machine_is_in_the_program),
            trial("the_program_carries_its_list_of_packages", the_program_carries_its_list_of_packages),
            trial("the_bill_of_materials_is_whole", the_bill_of_materials_is_whole),
            trial("the_dockerfile_makes_the_same", the_dockerfile_makes_the_same).with_ignored_flag(!root),
            trial("another_checkout_gives_the_same_digest", another_checkout_gives_the_same_digest),
        ]);
        if std::env::var_os("POROS_TEST_ALL").is_some() {
            trials.push(trial("nothing_shared_gives_the_same_digest", nothing_shared_gives_the_same_digest));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn the_archive_is_what_the_command_tells() -> Result<(), String> {
    let image = &*BUILT;
    let told = xtask(&workspace::root(), &[], &[])?.0;
    for fact in [&image.reference, &image.digest, &image.archive.display().to_string()] {
        assert!(told.contains(fact.as_str()), "{fact} is not in: {told}");
    }
    assert_eq!(image.reference, format!("poros:{}", env!("CARGO_PKG_VERSION")));
    let read = Archive::read(&image.archive);
    assert_eq!(read.name, format!("docker.io/library/{}", image.reference));
    assert_eq!((&read.digest, read.size), (&image.digest, image.size));
    let program = std::fs::read(image.root.join("poros")).unwrap();
    assert_eq!(
        read.files,
        BTreeMap::from([
            ("poros".to_owned(), format!("755 0:0 {}", sum(&program))),
            ("dataos-ctl".to_owned(), "777 0:0 -> poros".to_owned()),
        ])
    );
    let mut labels = json!({
        "org.opencontainers.image.title": "poros",
        "org.opencontainers.image.version": image.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    if let Some(revision) = &image.revision {
        labels["org.opencontainers.image.revision"] = json!(revision);
    }
    assert_eq!(
        read.config["config"],
        json!({"Entrypoint": ["/poros"], "User": "65532:65532", "Labels": labels})
    );
    println!("{} bytes to pull, {} unpacked", image.size, image.unpacked);
    assert!(image.size < SIZE, "{} bytes to pull", image.size);
    Ok(())
}

fn the_program_needs_nothing_of_the_system() -> Result<(), String> {
    let program = BUILT.root.join("poros");
    let elf =
        answer(Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(&program))?;
    assert!(elf.contains("LOAD") && !elf.contains("INTERP") && !elf.contains("NEEDED"), "{elf}");
    // By each name it is another program.
    let says = |name: &str, word: &str| answer(Command::new(BUILT.root.join(name)).arg(word).env_clear());
    assert_eq!(says("poros", "--version")?.trim(), format!("poros {}", BUILT.version));
    assert!(says("poros", "--help")?.contains("poros <COMMAND>"));
    assert!(says("dataos-ctl", "--help")?.contains("dataos-ctl"));
    let folder = Folder::new("names");
    symlink(&program, folder.0.join("kubectl-poros")).unwrap();
    assert!(answer(Command::new(folder.0.join("kubectl-poros")).arg("--help"))?.contains("kubectl poros"));
    Ok(())
}

fn no_place_of_this_machine_is_in_the_program() -> Result<(), String> {
    let program = std::fs::read(BUILT.root.join("poros")).unwrap();
    let holds = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    let sysroot = answer(Command::new("rustc").args(["--print", "sysroot"]))?;
    let mut places = vec![
        workspace::root().display().to_string(),
        cargo_home().display().to_string(),
        sysroot.trim().to_owned(),
    ];
    // That of root is short, and a word of many texts.
    places.extend(std::env::var("HOME").ok().filter(|home| home != "/").map(|home| format!("{home}/")));
    places.extend(std::env::var("CARGO_TARGET_DIR").ok());
    for place in places {
        assert!(!holds(&place), "{place} is in the program");
    }
    // Panics tell where they are: these names stand for the places above.
    assert!(holds("/registry/") && holds("src/controller"));
    Ok(())
}

fn the_program_carries_its_list_of_packages() -> Result<(), String> {
    let program = BUILT.root.join("poros");
    // What is not of the format is an error here.
    let list = auditable_info::audit_info_from_file(&program, auditable_info::Limits::default())
        .map_err(|error| error.to_string())?;
    let list = serde_json::to_value(&list).unwrap();
    let lock = std::fs::read_to_string(workspace::root().join("Cargo.lock")).unwrap();
    let locked: BTreeSet<(String, String)> = checksums(&lock).into_keys().collect();
    let (mut roots, mut inside, mut all) = (Vec::new(), BTreeSet::new(), 0);
    for package in list["packages"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        let key = (text("name"), text("version"));
        all += 1;
        if package["root"] == json!(true) {
            roots.push(key.clone());
        } else {
            assert!(locked.contains(&key), "{key:?} is not in Cargo.lock");
        }
        if package["kind"] != json!("build") {
            inside.insert(key);
        }
    }
    assert_eq!(roots, [("poros".to_owned(), BUILT.version.clone())]);
    assert_eq!(inside, normal()?);
    println!("{} packages inside, {} listed, {} locked", inside.len(), all, locked.len());
    Ok(())
}

fn the_bill_of_materials_is_whole() -> Result<(), String> {
    let text = std::fs::read_to_string(&BUILT.bill).unwrap();
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    assert_eq!(bill["metadata"]["component"]["version"], json!(BUILT.digest));
    for changing in ["serialNumber", "timestamp"] {
        assert!(!text.contains(changing), "{changing} is another each time");
    }
    let lock = std::fs::read_to_string(workspace::root().join("Cargo.lock")).unwrap();
    let locked = checksums(&lock);
    let (mut packages, mut others, mut references) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    let program = sum(&std::fs::read(BUILT.root.join("poros")).unwrap());
    for component in bill["components"].as_array().unwrap() {
        let text = |key: &str| component[key].as_str().unwrap().to_owned();
        let key = (text("name"), text("version"));
        assert!(references.insert(text("bom-ref")), "{key:?} is there twice");
        let license = component["licenses"][0]["expression"].as_str().unwrap_or_default();
        assert!(!license.is_empty() && !license.contains('/'), "{key:?}: {license:?}");
        if !text("purl").starts_with("pkg:cargo/") {
            others.push(key.0);
            continue;
        }
        let hash = &component["hashes"][0]["content"];
        let wanted = if key.0 == "poros" { Some(&program) } else { locked.get(&key) };
        assert_eq!(hash.as_str(), wanted.map(String::as_str), "{key:?}");
        packages.insert(key);
    }
    assert_eq!(packages, normal()?);
    assert_eq!(others, ["rust-std", "glibc"]);
    assert_eq!(packages.len(), BUILT.parts.iter().filter(|part| part.role == Role::Inside).count());
    references.insert(BUILT.digest.clone());
    let dependencies = bill["dependencies"].as_array().unwrap();
    let mut reached = BTreeSet::from([BUILT.digest.clone()]);
    for dependency in dependencies {
        assert!(references.contains(dependency["ref"].as_str().unwrap()), "{dependency}");
        reached.extend(
            dependency["dependsOn"].as_array().unwrap().iter().map(|on| on.as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(reached, references, "each is used by another");
    Ok(())
}

fn the_dockerfile_makes_the_same() -> Result<(), String> {
    let Some(program) = on_path("buildah") else {
        return Err("buildah is not on PATH: apt-get install buildah".to_owned());
    };
    let folder = Folder::under_target("buildah");
    let policy = folder.0.join("policy.json");
    std::fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();
    let buildah = |verb: &str| {
        let mut command = Command::new(&program);
        for (option, place) in [("--root", "storage"), ("--runroot", "run")] {
            command.arg(option).arg(folder.0.join(place));
        }
        command.args(["--storage-driver", "vfs", verb, "--signature-policy"]).arg(&policy);
        command
    };
    let mut build = buildah("bud");
    build.args(["--isolation", "chroot", "--identity-label=false", "--tag", "poros:again"]);
    build.arg("--build-arg").arg(format!("VERSION={}", BUILT.version));
    build.arg("--build-arg").arg(format!("REVISION={}", BUILT.revision.as_deref().unwrap_or_default()));
    build.arg("--file").arg(workspace::root().join("Dockerfile")).arg(&BUILT.root);
    answer(&mut build)?;
    let archive = folder.0.join("again.tar");
    answer(buildah("push").arg("poros:again").arg(format!("oci-archive:{}", archive.display())))?;
    let (ours, mut theirs) = (Archive::read(&BUILT.archive), Archive::read(&archive));
    assert_eq!(theirs.files, ours.files);
    if BUILT.revision.is_none() {
        // A Dockerfile cannot leave a label out.
        let labels = theirs.config["config"]["Labels"].as_object_mut().unwrap();
        assert_eq!(labels.remove("org.opencontainers.image.revision"), Some(json!("")));
    }
    for key in ["User", "Entrypoint", "Labels", "Cmd", "ExposedPorts", "Volumes", "WorkingDir"] {
        let (ours, theirs) = (&ours.config["config"][key], &theirs.config["config"][key]);
        // The root is where work begins, said or not.
        assert_eq!(Some(theirs).filter(|place| **place != json!("/")).unwrap_or(&Value::Null), ours, "{key}");
    }
    assert_eq!(theirs.config["architecture"], ours.config["architecture"]);
    Ok(())
}

/// Poros itself is compiled and linked again; the packages that it uses are those of the first build.
fn another_checkout_gives_the_same_digest() -> Result<(), String> {
    let folder = Folder::new("checkout");
    let own = cargo_metadata()?["target_directory"].as_str().unwrap().to_owned();
    same_again(&folder.0, &[("CARGO_TARGET_DIR", &own)])
}

fn nothing_shared_gives_the_same_digest() -> Result<(), String> {
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
    let digest = told.lines().find_map(|line| line.strip_prefix("digest ")).unwrap_or_default().trim();
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
fn xtask(
    checkout: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(String, String), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("image")
        .args(arguments)
        .current_dir(checkout)
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"));
    let output = command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, talk) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() { Ok((told, talk)) } else { Err(format!("{}: {talk}", output.status)) }
}

/// The packages whose code is in Poros, as `cargo tree` tells them.
fn normal() -> Result<BTreeSet<(String, String)>, String> {
    let about = answer(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let mut tree = workspace::cargo();
    tree.args(["tree", "--locked", "--package=poros", "--edges=normal,no-proc-macro", "--prefix=none"]);
    let text = answer(tree.args(["--format={p}", "--target", &host]))?;
    let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    Ok(words.map(|words| (words[0].to_owned(), words[1].trim_start_matches('v').to_owned())).collect())
}

fn cargo_metadata() -> Result<Value, String> {
    let mut command = workspace::cargo();
    let text = answer(command.args(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    Ok(serde_json::from_str(&text).unwrap())
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// What an OCI archive with one image holds.
struct Archive {
    name: String,
    digest: String,
    /// Manifest, configuration and layers.
    size: u64,
    config: Value,
    /// By path: mode, owner and group, and the sum of the content or where a link leads.
    files: BTreeMap<String, String>,
}

impl Archive {
    fn read(path: &Path) -> Self {
        let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        each(&std::fs::read(path).unwrap(), |name, _, content| {
            if let Some(named) = name.strip_prefix("blobs/sha256/").filter(|named| !named.is_empty()) {
                assert_eq!(named, sum(content), "a blob is not what its name says");
            }
            blobs.insert(name.to_owned(), content.to_owned());
        });
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let size = std::cell::Cell::new(0);
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let bytes = &blobs[&format!("blobs/{}", digest.replace(':', "/"))];
            assert_eq!(descriptor["size"], json!(bytes.len()));
            size.set(size.get() + bytes.len() as u64);
            bytes.as_slice()
        };
        assert_eq!(json(&blobs["oci-layout"]), json!({"imageLayoutVersion": "1.0.0"}));
        let index = json(&blobs["index.json"]);
        let entry = &index["manifests"][0];
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        let manifest = json(blob(entry));
        let config = json(blob(&manifest["config"]));
        let mut files = BTreeMap::new();
        let layers = manifest["layers"].as_array().unwrap();
        let sums = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert_eq!(layers.len(), sums.len());
        for (layer, diff) in layers.iter().zip(sums) {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(blob(layer)).read_to_end(&mut plain).unwrap();
            assert_eq!(*diff, json!(format!("sha256:{}", sum(&plain))));
            each(&plain, |name, header, content| {
                let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
                let link = header.link_name().unwrap().map(|to| format!("-> {}", to.display()));
                let what = link.unwrap_or_else(|| sum(content));
                files
                    .insert(name.to_owned(), format!("{:o} {owner} {what}", header.mode().unwrap() & 0o7777));
            });
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&entry["annotations"]["io.containerd.image.name"]);
        Self { name, digest: text(&entry["digest"]), size: size.get(), config, files }
    }
}

/// Each file and link of a tar file.
fn each(bytes: &[u8], mut note: impl FnMut(&str, &tar::Header, &[u8])) {
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = entry.path().unwrap().display().to_string();
        note(name.trim_start_matches("./"), &entry.header().clone(), &content);
    }
}

fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self::at(&std::env::temp_dir(), name)
    }

    fn under_target(name: &str) -> Self {
        Self::at(&workspace::target(), name)
    }

    fn at(above: &Path, name: &str) -> Self {
        let folder = above.join(format!("poros-image-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies a folder; all that is copied is as new as the copy.
fn copy(from: &Path, to: &Path, but: &[&str]) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let (from, to) = (entry.path(), to.join(&name));
        if but.iter().any(|other| *other == name) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to, &[]);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

fn answer(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}", text(&output.stderr)))
}

//! The image: what is in it, that it is the same again, and that the Dockerfile makes the same.
//!
//! Listed with `POROS_TEST_IMAGE` only, since it needs a release build: minutes, the first time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "sizes and times are reported")]

mod again;
mod archive;
mod folder;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use xtask::assets::{Work, chain, on_path};
use xtask::image::{self, Image, Recipe, Role, checksums};
use xtask::{command, workspace};

use again::{
    another_checkout_gives_the_same_digest, nothing_shared_gives_the_same_digest,
    two_checkouts_with_one_output_have_a_digest_each, xtask,
};
use archive::Archive;
use folder::{Folder, sum};

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
        let can_build = Work::Dockerfile.is_possible().is_ok();
        trials.extend([
            trial("the_archive_is_what_the_command_tells", the_archive_is_what_the_command_tells),
            trial("the_program_needs_nothing_of_the_system", the_program_needs_nothing_of_the_system),
            trial("no_place_of_this_machine_is_in_the_program", no_place_of_this_machine_is_in_the_program),
            trial("the_program_carries_its_list_of_packages", the_program_carries_its_list_of_packages),
            trial("the_bill_of_materials_is_whole", the_bill_of_materials_is_whole),
            trial("the_dockerfile_makes_the_same", the_dockerfile_makes_the_same)
                .with_ignored_flag(!can_build),
            trial("the_licences_of_all_packages_are_told", the_licences_of_all_packages_are_told),
            trial(
                "two_checkouts_with_one_output_have_a_digest_each",
                two_checkouts_with_one_output_have_a_digest_each,
            ),
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
    for fact in [&image.reference, &image.digest, &image.platform, &image.archive.display().to_string()] {
        assert!(told.contains(fact.as_str()), "{fact} is not in: {told}");
    }
    assert_eq!(image.reference, format!("poros:{}", env!("CARGO_PKG_VERSION")));
    let read = Archive::read(&image.archive);
    assert_eq!(read.name, format!("docker.io/library/{}", image.reference));
    assert_eq!((&read.digest, read.size), (&image.digest, image.size));
    let program = std::fs::read(image.root.join("poros")).unwrap();
    let notices = std::fs::read(image.root.join(image::LICENSES)).unwrap();
    assert_eq!(
        read.files,
        BTreeMap::from([
            ("poros".to_owned(), format!("755 0:0 {}", sum(&program))),
            ("dataos-ctl".to_owned(), "777 0:0 -> poros".to_owned()),
            (image::LICENSES.to_owned(), format!("644 0:0 {}", sum(&notices))),
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
        if !text("purl").starts_with("pkg:cargo/") && key.0 != "poros" {
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

/// What is redistributed with the program is named there, with the texts that its licences ask for.
fn the_licences_of_all_packages_are_told() -> Result<(), String> {
    let text = std::fs::read_to_string(BUILT.root.join(image::LICENSES)).unwrap();
    let (list, texts) = text.split_once("\n======== 1 ========\n").unwrap();
    let told: BTreeSet<(String, String)> = list
        .lines()
        .filter_map(|line| line.split_once(": ")?.0.rsplit_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    for package in normal()? {
        assert!(told.contains(&package), "{package:?}");
    }
    for part in ["Rust standard library ", "GNU C library "] {
        assert!(list.lines().any(|line| line.starts_with(part)), "{part}");
    }
    for license in [
        "Apache License\n",
        "GNU LESSER GENERAL PUBLIC LICENSE",
        "Permission is hereby granted, free of charge",
        "Permission to use, copy, modify, and/or distribute this software",
        "Redistributions in binary form must reproduce",
    ] {
        assert!(texts.contains(license), "{license}");
    }
    // Each number leads to a text.
    let numbers = list.lines().filter_map(|line| line.rsplit_once(" [")?.1.strip_suffix(']'));
    let greatest =
        numbers.flat_map(|line| line.split(", ")).map(|number| number.parse::<u32>().unwrap()).max();
    assert!(text.contains(&format!("\n======== {} ========\n", greatest.unwrap())));
    println!("{} bytes of licences", text.len());
    Ok(())
}

fn the_dockerfile_makes_the_same() -> Result<(), String> {
    let Some(program) = on_path("buildah") else {
        return Err("buildah is not on PATH: apt-get install buildah".to_owned());
    };
    let folder = Folder::under_target("buildah");
    let policy = folder.0.join("policy.json");
    std::fs::write(&policy, r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();
    let plain = |verb: &str| {
        let mut command = Command::new(&program);
        for (option, place) in [("--root", "storage"), ("--runroot", "run")] {
            command.arg(option).arg(folder.0.join(place));
        }
        command.args(["--storage-driver", "vfs", verb]);
        command
    };
    let buildah = |verb: &str| {
        let mut command = plain(verb);
        command.arg("--signature-policy").arg(&policy);
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
    // As an older Docker reads the archive: by its `manifest.json` alone.
    answer(buildah("pull").arg(format!("docker-archive:{}", BUILT.archive.display())))?;
    let told = answer(plain("images").args(["--noheading", "--format={{.Name}}:{{.Tag}}"]))?;
    assert!(told.lines().any(|name| name.ends_with(&format!("library/{}", BUILT.reference))), "{told}");
    Ok(())
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

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn answer(command: &mut Command) -> Result<String, String> {
    command::answer(command).map_err(|error| chain(&error))
}

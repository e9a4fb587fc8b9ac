//! The bill of materials of an image, as CycloneDX has it: what is in it, and nothing that changes by itself.

use serde_json::{Value, json};

use super::parts::{Origin, Part, Role};

/// What is in a program beside packages of Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The version of Rust, whose standard library is inside.
    pub rust: String,
    /// The version of the GNU C library, where that is inside.
    pub glibc: Option<String>,
}

/// The image that the bill is of.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) reference: &'a str,
    pub(super) digest: &'a str,
    /// The program's own package.
    pub(super) root: &'a str,
    /// The SHA-256 of the program, in hexadecimal digits.
    pub(super) program: &'a str,
}

/// The bill as JSON: the image, and below it the program with each package whose code is in it.
pub(super) fn bill(subject: &Subject<'_>, parts: &[Part], runtime: &Runtime) -> Value {
    let inside = |place: &&usize| parts[**place].role == Role::Inside;
    let all: Vec<&Part> = parts.iter().filter(|part| part.role == Role::Inside).collect();
    let mut components: Vec<Value> = all.iter().map(|part| component(part, subject)).collect();
    let system = system(runtime);
    let below: Vec<Value> = system.iter().map(|component| component["bom-ref"].clone()).collect();
    let mut dependencies = vec![json!({"ref": subject.digest, "dependsOn": root(&all, subject.root)})];
    dependencies.extend(all.iter().map(|part| {
        let mut on: Vec<Value> =
            part.uses.iter().filter(inside).map(|place| json!(purl(&parts[*place]))).collect();
        if part.name == subject.root {
            on.extend(below.iter().cloned());
        }
        json!({"ref": purl(part), "dependsOn": on})
    }));
    components.extend(system);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": subject.digest,
                "name": subject.reference,
                "version": subject.digest,
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn root(parts: &[&Part], name: &str) -> Vec<String> {
    parts.iter().filter(|part| part.name == name).map(|part| purl(part)).collect()
}

fn component(part: &Part, subject: &Subject<'_>) -> Value {
    let is_root = part.name == subject.root;
    let mut component = json!({
        "type": if is_root { "application" } else { "library" },
        "bom-ref": purl(part),
        "name": part.name,
        "version": part.version,
        "purl": purl(part),
    });
    if let Some(license) = &part.license {
        // Some packages still write a slash, which SPDX has not.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    let checksum = if is_root { Some(subject.program) } else { part.checksum.as_deref() };
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// What every static program has inside.
fn system(runtime: &Runtime) -> Vec<Value> {
    let library = |name: &str, version: &str, license: &str| {
        let purl = format!("pkg:generic/{name}@{version}");
        json!({
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "licenses": [{"expression": license}],
        })
    };
    let rust = library("rust-std", &runtime.rust, "MIT OR Apache-2.0");
    let glibc = runtime.glibc.as_deref().map(|version| library("glibc", version, "LGPL-2.1-or-later"));
    std::iter::once(rust).chain(glibc).collect()
}

fn purl(part: &Part) -> String {
    // A package of the type `cargo` is one of crates.io. A plus separates build metadata, and means a space in an address.
    let kind = if part.origin == Origin::CratesIo { "cargo" } else { "generic" };
    format!("pkg:{kind}/{}@{}", part.name, part.version.replace('+', "%2B"))
}

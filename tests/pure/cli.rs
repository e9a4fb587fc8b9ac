//! docs/cli.md and the manifest for krew, held against what the program takes.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use poros::ctl::reference;

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text with this between `<!-- NAME: generated -->` and the `<!-- end -->` after it.
fn filled(text: &str, name: &str, by: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("docs/cli.md lost its {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("docs/cli.md lost its {end}"));
    format!("{before}{begin}{}\n{end}{after}", by.trim_end())
}

#[test]
fn the_page_of_the_cli_tells_every_verb_flag_and_exit_code() {
    let path = file("docs/cli.md");
    let found = fs::read_to_string(&path).unwrap();
    let wanted = filled(&found, "exits", &reference::exits());
    let wanted = filled(&wanted, "verbs", &reference::verbs());
    if std::env::var_os("POROS_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "docs/cli.md is not what the program takes; POROS_BLESS=1 cargo test --test pure cli writes it"
    );
}

#[test]
fn krew_finds_the_program_by_its_name() {
    // As a release fills it in: the tag, and an address with its sum.
    let template = fs::read_to_string(file(".krew.yaml")).unwrap();
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    let mut text = String::new();
    let mut addresses = Vec::new();
    for line in template.lines() {
        match line
            .trim()
            .strip_prefix("{{addURIAndSha \"")
            .and_then(|rest| rest.strip_suffix("\" .TagName }}"))
        {
            Some(address) => {
                addresses.push(address.replace("{{ .TagName }}", &tag));
                let indent = &line[..line.len() - line.trim_start().len()];
                let sum = "0".repeat(64);
                let address = &addresses[addresses.len() - 1];
                let _ = write!(text, "{indent}uri: {address}\n{indent}sha256: {sum}\n");
            }
            None => text += &(line.replace("{{ .TagName }}", &tag) + "\n"),
        }
    }
    assert!(!text.contains("{{"), "{text}");
    let manifest: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(
        (manifest["kind"].as_str(), manifest["metadata"]["name"].as_str()),
        (Some("Plugin"), Some("poros"))
    );
    assert_eq!(manifest["spec"]["version"], *tag);
    let short = manifest["spec"]["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && short.len() <= 50 && !short.ends_with('.'), "{short}");
    assert!(manifest["spec"]["description"].is_string() && manifest["spec"]["homepage"].is_string());
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!((platforms.len(), addresses.len()), (4, 4));
    for (platform, address) in platforms.iter().zip(&addresses) {
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        assert!(address.starts_with("https://"), "{address}");
        assert!(address.ends_with(&format!("/{tag}/kubectl-poros_{tag}_{os}_{arch}.tar.gz")), "{address}");
        // The name by which the program knows what it is.
        assert_eq!(platform["bin"], "kubectl-poros");
        let files: Vec<_> =
            platform["files"].as_array().unwrap().iter().map(|file| file["from"].as_str().unwrap()).collect();
        assert_eq!(files, ["kubectl-poros", "LICENSE"]);
    }
}

#[test]
fn the_readme_shows_the_cli_in_ten_lines() {
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## The command line\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let shown = section.split("```").nth(1).unwrap();
    let commands =
        shown.lines().filter(|line| line.contains("dataos-ctl ") || line.contains("kubectl poros "));
    let commands: Vec<&str> = commands.collect();
    assert!(commands.len() <= 10, "{commands:#?}");
    assert!(section.contains("docs/cli.md"));
}

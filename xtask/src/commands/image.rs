//! `cargo xtask image`.

use std::path::Path;
use std::process::ExitCode;

use xtask::image::{self, Image, POROS, Recipe, Role};

use super::{Ended, quoted, say};

/// What the image is called.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the image will be, without its tag, like registry.example.org/poros
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// The commit that the source is of. Default: git's word, where nothing is changed
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> Ended {
    let Arguments { repository, revision } = arguments;
    let recipe =
        Recipe { repository: repository.clone().unwrap_or(POROS.to_owned()), revision, ..Recipe::own() };
    let image = image::build(&recipe)?;
    say(&format!("\n{}\n{}", facts(&image), ways(&image, repository.as_deref())));
    Ok(ExitCode::SUCCESS)
}

fn facts(image: &Image) -> String {
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    let inside = image.parts.iter().filter(|part| part.role == Role::Inside).count();
    format!(
        "image       {}
digest      {}
platform    {}, that of this machine
size        {} to pull, {} unpacked
revision    {}
archive     {}
SBOM        {} ({inside} packages)
",
        image.reference,
        image.digest,
        image.platform,
        mib(image.size),
        mib(image.unpacked),
        image
            .revision
            .as_deref()
            .unwrap_or("unknown: git keeps no such checkout, or it is changed; --revision names it"),
        quoted(&image.archive),
        quoted(&image.bill),
    )
}

/// What to type next. Without the name of a registry the image goes by two names: the one that it is given there, and the
/// short one where it is brought by hand.
fn ways(image: &Image, repository: Option<&str>) -> String {
    let (archive, reference) = (quoted(&image.archive), &image.reference);
    let there = match repository {
        Some(_) => reference.clone(),
        None => format!("REGISTRY/{reference}"),
    };
    let install = |repository: &str| {
        format!(
            "  helm install poros charts/poros --namespace poros-system --create-namespace --set image.repository={repository}"
        )
    };
    let by_hand = match repository {
        // It has its name already, wherever it comes from.
        Some(_) => String::new(),
        None => format!("  or, where it was brought by hand:\n{}\n", install(POROS)),
    };
    format!(
        "Bring it to a cluster, in one of these ways; only the first keeps the digest:
  skopeo copy oci-archive:{archive} docker://{there}
  ctr --namespace k8s.io images import {archive}     (by hand: on each node)
  docker load --input {archive}                      (or podman; then tag and push it, or `kind load`)

Then install it:
{}
{by_hand}
Or build the same by the Dockerfile, of what lies in {root}:
  {}",
        install(repository.unwrap_or("REGISTRY/poros")),
        dockerfile(image, &image.root),
        root = quoted(&image.root),
    )
}

fn dockerfile(image: &Image, root: &Path) -> String {
    let revision = image.revision.as_deref().unwrap_or_default();
    let arguments = format!("--build-arg VERSION={} --build-arg REVISION={revision}", image.version);
    format!("docker build --file Dockerfile {arguments} --tag {} {}", image.reference, quoted(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(reference: &str) -> Image {
        Image {
            archive: "/t/poros.tar".into(),
            bill: "/t/poros.cdx.json".into(),
            root: "/t/root".into(),
            reference: reference.to_owned(),
            version: "1.2.3".to_owned(),
            revision: None,
            digest: "sha256:00".to_owned(),
            size: 10 << 20,
            unpacked: (25 << 20) + (1 << 19),
            platform: "linux/arm64".to_owned(),
            parts: Vec::new(),
        }
    }

    fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
        text.lines().map(str::trim).filter(|line| line.starts_with(word)).collect()
    }

    #[test]
    fn with_a_repository_all_say_its_name() {
        let text = ways(&image("registry.example.org/poros:1.2.3"), Some("registry.example.org/poros"));
        assert_eq!(
            lines(&text, "skopeo"),
            ["skopeo copy oci-archive:/t/poros.tar docker://registry.example.org/poros:1.2.3"]
        );
        let [install] = lines(&text, "helm")[..] else { unreachable!("{text}") };
        assert!(install.ends_with(" --set image.repository=registry.example.org/poros"), "{install}");
        assert!(!text.contains("REGISTRY"), "{text}");
    }

    #[test]
    fn without_one_there_is_a_line_for_each_name_of_the_image() {
        let text = ways(&image("poros:1.2.3"), None);
        assert_eq!(
            lines(&text, "skopeo"),
            ["skopeo copy oci-archive:/t/poros.tar docker://REGISTRY/poros:1.2.3"]
        );
        let [registry, hand] = lines(&text, "helm")[..] else { unreachable!("{text}") };
        assert!(registry.ends_with(" --set image.repository=REGISTRY/poros"), "{registry}");
        assert!(hand.ends_with(" --set image.repository=poros"), "{hand}");
    }

    #[test]
    fn the_facts_are_told_one_a_line() {
        let text = facts(&image("poros:1.2.3"));
        assert_eq!(lines(&text, "size"), ["size        10.0 MiB to pull, 25.5 MiB unpacked"]);
        assert_eq!(lines(&text, "platform"), ["platform    linux/arm64, that of this machine"]);
        assert!(text.contains("revision    unknown"), "{text}");
    }
}

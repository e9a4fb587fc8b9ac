//! `cargo xtask image`.

use std::process::ExitCode;

use xtask::image::{self, Recipe};

use super::{Ended, quoted, say};

/// What the image is called.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the image will be, without its tag
    #[arg(long, default_value = "poros", value_name = "NAME")]
    repository: String,
    /// The commit that the source is of. Default: git's word, where nothing is changed
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> Ended {
    let Arguments { repository, revision } = arguments;
    let image = image::build(&Recipe { repository, revision, ..Recipe::own() })?;
    let revision = image.revision.as_deref();
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
    let (archive, reference) = (quoted(&image.archive), &image.reference);
    say(&format!(
        "
image       {reference}
digest      {}
size        {} to pull, {} unpacked
revision    {}
archive     {archive}
materials   {} ({} packages)

Bring it to a cluster, in one of these ways:
  skopeo copy oci-archive:{archive} docker://REGISTRY/{reference}
  ctr --namespace k8s.io images import {archive}     (on each node)
  docker load --input {archive}                      (or podman)

Then install it:
  helm install poros charts/poros --namespace poros-system --create-namespace --set image.repository=REGISTRY/poros

Or build the same by the Dockerfile, of what lies in {root}:
  docker build --file Dockerfile --build-arg VERSION={} --build-arg REVISION={} --tag {reference} {root}",
        image.digest,
        mib(image.size),
        mib(image.unpacked),
        revision.unwrap_or("unknown: git keeps no such checkout, or it is changed; --revision names it"),
        quoted(&image.bill),
        image.parts.iter().filter(|part| part.role == image::Role::Inside).count(),
        image.version,
        revision.unwrap_or_default(),
        root = quoted(&image.root),
    ));
    Ok(ExitCode::SUCCESS)
}

//! Container images as OCI archives: files on nothing. The same files give the same bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::assets::{Platform, hex};

/// Nobody, as images without users of their own know it.
pub const USER: &str = "65532:65532";

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path:?}")]
pub struct ArchiveError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// What an image holds: one program on nothing, and what is told of it.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// Its full name, registry and tag with it, as containerd keeps it.
    pub reference: &'a str,
    /// The file of the program.
    pub program: &'a Path,
    /// The program's absolute path in the image, which is its entry point.
    pub place: &'a str,
    /// Absolute paths in the image that are links to the program.
    pub links: &'a [&'a str],
    /// A file of notices and its absolute path in the image.
    pub notices: Option<(&'a Path, &'a str)>,
    /// The image's labels.
    pub labels: BTreeMap<&'a str, String>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The digest of the image's manifest, like `sha256:…`.
    pub digest: String,
    /// What is pulled, in bytes: manifest, configuration and the compressed layer.
    pub size: u64,
    /// What the layer's files take when they are unpacked, in bytes.
    pub unpacked: u64,
}

/// A part of an image, named by its digest.
struct Blob {
    bytes: Vec<u8>,
    kind: &'static str,
}

impl Blob {
    fn json(value: &Value, kind: &'static str) -> Self {
        Self { bytes: value.to_string().into_bytes(), kind }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.kind, "digest": digest(&self.bytes), "size": self.bytes.len()})
    }
}

/// What is in an archive.
enum Entry<'a> {
    Folder { name: String },
    File { name: &'a str, content: &'a [u8], mode: u32 },
    Link { name: &'a str, to: &'a str },
}

/// Writes an archive with one image: the program at `place`, which is also its entry point.
pub fn write(archive: &Path, reference: &str, program: &Path, place: &str) -> Result<Written, ArchiveError> {
    write_content(
        archive,
        &Content { reference, program, place, links: &[], notices: None, labels: BTreeMap::new() },
    )
}

/// Writes an archive with one image. An older archive there is replaced at once, never half.
pub fn write_content(archive: &Path, content: &Content<'_>) -> Result<Written, ArchiveError> {
    let error = |source| ArchiveError { verb: "write", path: archive.to_owned(), source };
    let (files, unpacked) = layer(content)?;
    let layer = compress(&files).map_err(error)?;
    let layer = Blob { bytes: layer, kind: "application/vnd.oci.image.layer.v1.tar+gzip" };
    let platform = Platform::running();
    let mut told = json!({"Entrypoint": [content.place], "User": USER});
    if !content.labels.is_empty() {
        told["Labels"] = json!(content.labels);
    }
    let config = json!({
        "architecture": platform.arch,
        "os": "linux",
        "config": told,
        "rootfs": {"type": "layers", "diff_ids": [digest(&files)]},
    });
    let config = Blob::json(&config, "application/vnd.oci.image.config.v1+json");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Blob::json(&manifest, "application/vnd.oci.image.manifest.v1+json");
    let mut entry = manifest.descriptor();
    // The first name is containerd's, the other that of most tools beside it.
    entry["annotations"] = json!({
        "io.containerd.image.name": content.reference,
        "org.opencontainers.image.ref.name": content.reference,
    });
    entry["platform"] = json!({"architecture": platform.arch, "os": "linux"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let blobs = [&layer, &config, &manifest];
    let names = blobs.map(|blob| format!("blobs/{}", digest(&blob.bytes).replace(':', "/")));
    // What Docker before 25 reads instead of all that.
    let docker =
        json!([{"Config": names[1], "RepoTags": [content.reference], "Layers": [names[0]]}]).to_string();
    let plain = |name, content| Entry::File { name, content, mode: 0o644 };
    let heads = [
        plain("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        plain("index.json", index.as_bytes()),
        plain("manifest.json", docker.as_bytes()),
    ];
    let parts = names.iter().zip(blobs).map(|(name, blob)| plain(name, &blob.bytes));
    replace(archive, &pack(heads.into_iter().chain(parts)).map_err(error)?).map_err(error)?;
    Ok(Written {
        digest: digest(&manifest.bytes),
        size: blobs.iter().map(|blob| blob.bytes.len() as u64).sum(),
        unpacked,
    })
}

/// The files of an image as a tar file, and what they take unpacked.
fn layer(content: &Content<'_>) -> Result<(Vec<u8>, u64), ArchiveError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| ArchiveError { verb: "read", path: path.to_owned(), source })
    };
    let program = read(content.program)?;
    let file = content.place.trim_start_matches('/');
    let mut entries = vec![Entry::File { name: file, content: &program, mode: 0o755 }];
    entries.extend(
        content.links.iter().map(|link| Entry::Link { name: link.trim_start_matches('/'), to: file }),
    );
    let notices = content.notices.map(|(path, place)| Ok((read(path)?, place.trim_start_matches('/'))));
    let notices = notices.transpose()?;
    if let Some((content, name)) = &notices {
        let above = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty());
        entries.extend(above.map(|folder| Entry::Folder { name: format!("{}/", folder.display()) }));
        entries.push(Entry::File { name, content, mode: 0o644 });
    }
    let unpacked = program.len() + notices.as_ref().map_or(0, |(content, _)| content.len());
    let error = |source| ArchiveError { verb: "pack", path: content.program.to_owned(), source };
    Ok((pack(entries.into_iter()).map_err(error)?, unpacked as u64))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// A tar file whose bytes depend on nothing but names, contents and modes.
fn pack<'a>(entries: impl Iterator<Item = Entry<'a>>) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        match entry {
            Entry::Folder { name } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                header.set_mode(0o755);
                archive.append_data(&mut header, name, std::io::empty())?;
            }
            Entry::File { name, content, mode } => {
                header.set_size(content.len() as u64);
                header.set_mode(mode);
                archive.append_data(&mut header, name, content)?;
            }
            Entry::Link { name, to } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_mode(0o777);
                archive.append_link(&mut header, name, to)?;
            }
        }
    }
    archive.into_inner()
}

/// The header says neither when nor where.
fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes a file that takes an older one's place at once; who has that open keeps it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, bytes)?;
    std::fs::rename(&name, path)
}

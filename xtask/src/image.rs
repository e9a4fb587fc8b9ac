//! Container images as OCI archives: one static program on nothing. The same program gives the same bytes.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::assets::{Platform, hex};

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path:?}")]
pub struct ImageError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
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

    fn digest(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.kind, "digest": format!("sha256:{}", self.digest()), "size": self.bytes.len()})
    }
}

/// Writes an archive with one image: the program at `place`, which is also its entry point.
pub fn write(archive: &Path, reference: &str, program: &Path, place: &str) -> Result<(), ImageError> {
    let content = std::fs::read(program).map_err(|source| ImageError {
        verb: "read",
        path: program.to_owned(),
        source,
    })?;
    let error = |source| ImageError { verb: "write", path: archive.to_owned(), source };
    let layer = pack(&[(place.trim_start_matches('/'), &content, 0o755)]).map_err(error)?;
    let layer = Blob { bytes: layer, kind: "application/vnd.oci.image.layer.v1.tar" };
    let platform = Platform::running();
    let config = json!({
        "architecture": platform.arch,
        "os": "linux",
        "config": {"Entrypoint": [place], "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.digest())]},
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
    entry["annotations"] = json!({"io.containerd.image.name": reference});
    entry["platform"] = json!({"architecture": platform.arch, "os": "linux"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let names: Vec<String> =
        [&layer, &config, &manifest].map(|blob| format!("blobs/sha256/{}", blob.digest())).into();
    let mut files: Vec<(&str, &[u8], u32)> = vec![
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644),
        ("index.json", index.as_bytes(), 0o644),
    ];
    let blobs = [&layer, &config, &manifest];
    files.extend(names.iter().zip(blobs).map(|(name, blob)| (name.as_str(), blob.bytes.as_slice(), 0o644)));
    let bytes = pack(&files).map_err(error)?;
    File::create(archive).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).map_err(error)
}

/// A tar file whose bytes depend on nothing but names, contents and modes.
fn pack(files: &[(&str, &[u8], u32)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, name, *content)?;
    }
    archive.into_inner()
}

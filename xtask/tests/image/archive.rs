//! Reads an OCI archive as its format says, and asserts that it is one.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use crate::folder::sum;

/// What an OCI archive with one image holds.
pub(crate) struct Archive {
    pub(crate) name: String,
    pub(crate) digest: String,
    /// Manifest, configuration and layers.
    pub(crate) size: u64,
    pub(crate) config: Value,
    /// By path: mode, owner and group, and the sum of the content or where a link leads.
    pub(crate) files: BTreeMap<String, String>,
}

impl Archive {
    pub(crate) fn read(path: &Path) -> Self {
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
        if let Some(docker) = blobs.get("manifest.json") {
            let place =
                |part: &Value| json!(format!("blobs/{}", part["digest"].as_str().unwrap().replace(':', "/")));
            let [image] = json(docker).as_array().unwrap().clone().try_into().unwrap();
            assert_eq!(image["Config"], place(&manifest["config"]));
            assert_eq!(image["Layers"], layers.iter().map(place).collect::<Value>());
            assert_eq!(image["RepoTags"][0], entry["annotations"]["io.containerd.image.name"]);
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

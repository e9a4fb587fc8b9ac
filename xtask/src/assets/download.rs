//! Takes release downloads: never a byte of a file whose checksum is not the published one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::Agent;

use super::cache::{CacheError, Slot, hex};
use super::release::{Release, checksum};
use crate::report::Report;

/// A place that does not answer within this time costs the user this time, once.
const ANSWER: Duration = Duration::from_secs(5);
/// A transfer that stalls for this long has failed.
const STALL: Duration = Duration::from_mins(1);

/// Why a download was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The place did not answer, or not with the file.
    #[error("cannot fetch {url}")]
    Fetch {
        /// The address.
        url: String,
        /// What the client says.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The checksum file does not name the download.
    #[error("{url} gives no SHA-256 checksum for {name:?}")]
    NoChecksum {
        /// The checksum file.
        url: String,
        /// The download.
        name: String,
    },
    /// The file is not the one that was published.
    #[error("wrong checksum, file not used: {url} has SHA-256 {found}, published is {published}")]
    WrongChecksum {
        /// The download.
        url: String,
        /// The published checksum.
        published: String,
        /// The checksum of what came.
        found: String,
    },
    /// The archive lacks the binary, or cannot be read.
    #[error("{url} cannot be unpacked, or holds no file {name:?}")]
    Unpack {
        /// The archive.
        url: String,
        /// The file wanted from it.
        name: &'static str,
        /// What the reader says.
        #[source]
        source: std::io::Error,
    },
    /// The transfer broke off, or the file could not be written.
    #[error("the transfer of {url} to {path:?} broke off")]
    Transfer {
        /// The download.
        url: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cache could not be used.
    #[error("the download cannot be kept")]
    Keep(#[source] CacheError),
}

/// Asks for the first checksum file: tells at small cost whether the place serves this release.
pub(crate) fn reach(release: &Release) -> Result<(), DownloadError> {
    published(&agent(), release).map(drop)
}

/// Fetches one binary into the cache.
pub(crate) fn take(
    release: &Release,
    slot: &Slot,
    report: &mut dyn Report,
) -> Result<PathBuf, DownloadError> {
    let agent = agent();
    let wanted = published(&agent, release)?;
    let bench = slot.workbench().map_err(DownloadError::Keep)?;
    let file = bench.join(&release.name);
    let found = transfer(&agent, release, &file, report)?;
    if found != wanted {
        let url = release.url.clone();
        return Err(DownloadError::WrongChecksum { url, published: wanted, found });
    }
    let binary = if release.packed { unpack(release, &file, &bench)? } else { file };
    slot.keep(&binary, release.tool.file()).map_err(DownloadError::Keep)
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_resolve(Some(ANSWER))
        .timeout_connect(Some(ANSWER))
        .timeout_per_read(Some(STALL))
        .build();
    config.into()
}

fn published(agent: &Agent, release: &Release) -> Result<String, DownloadError> {
    let url = &release.checksum_url;
    let failed = |source| DownloadError::Fetch { url: url.clone(), source: Box::new(source) };
    let request = agent.get(url).config().timeout_global(Some(ANSWER)).build();
    let text = request.call().and_then(|mut answer| answer.body_mut().read_to_string()).map_err(failed)?;
    checksum(&text, &release.name)
        .ok_or_else(|| DownloadError::NoChecksum { url: url.clone(), name: release.name.clone() })
}

fn transfer(
    agent: &Agent,
    release: &Release,
    file: &Path,
    report: &mut dyn Report,
) -> Result<String, DownloadError> {
    let url = &release.url;
    let broken = |source| DownloadError::Transfer { url: url.clone(), path: file.to_owned(), source };
    let answer = agent
        .get(url)
        .call()
        .map_err(|source| DownloadError::Fetch { url: url.clone(), source: Box::new(source) })?;
    let mut body = answer.into_body().into_reader();
    let mut target = File::create(file).map_err(broken)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let (start, mut total) = (Instant::now(), 0_u64);
    loop {
        let count = body.read(&mut buffer).map_err(broken)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        target.write_all(bytes).map_err(broken)?;
        total += count as u64;
        let (name, mib) = (&release.name, total >> 20);
        report.progress(&format!("Fetching {name}: {mib} MiB, {} s", start.elapsed().as_secs()));
    }
    Ok(hex(&hash.finalize()))
}

fn unpack(release: &Release, archive: &Path, bench: &Path) -> Result<PathBuf, DownloadError> {
    let name = release.tool.file();
    let error = |source| DownloadError::Unpack { url: release.url.clone(), name, source };
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive).map_err(error)?));
    for entry in tar.entries().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        let wanted = entry.header().entry_type().is_file()
            && entry.path().map_err(error)?.file_name().is_some_and(|file| file == name);
        if wanted {
            let binary = bench.join(name);
            let mut target = File::create(&binary).map_err(error)?;
            std::io::copy(&mut entry, &mut target).map_err(error)?;
            return Ok(binary);
        }
    }
    Err(error(std::io::Error::from(std::io::ErrorKind::NotFound)))
}

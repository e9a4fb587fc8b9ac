//! The flags of `dataos-ctl jq`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::ctl::connection::limit;
use crate::ctl::jq::Request;

/// Run a jq filter over manifests.
#[derive(Clone, Debug, Args)]
pub(super) struct Jq {
    /// A manifest, or any YAML or JSON; a folder, or - for standard input; may be given several times
    #[arg(
        long = "manifestFile",
        visible_aliases = ["file", "filename"],
        short = 'f',
        value_name = "FILE",
        required = true
    )]
    files: Vec<PathBuf>,
    /// The filter, such as '.compute.nodePool.nodeSelector'; it is run over each document, and sees nothing else
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    filter: String,
    /// Print strings as they are, without quotes
    #[arg(long)]
    raw: bool,
    /// How long it may take; 0 for as long as it takes
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = limit, allow_hyphen_values = true)]
    timeout: Duration,
}

impl Jq {
    pub(super) fn request(self) -> Request {
        Request { files: self.files, filter: self.filter, raw: self.raw, limit: self.timeout }
    }
}

//! CRDs and policies on a real API server, without Poros: how they read, what they default, and what they take.

mod hostile;
mod oversize;
mod policies;
mod shown;

use std::sync::OnceLock;

use libtest_mimic::Trial;
use xtask::rig::Options;

use crate::harness::cluster::Cluster;

/// All tests of the CRDs and of the policies' texts.
pub fn trials() -> Vec<Trial> {
    [shown::trials(), hostile::trials(), oversize::trials(), policies::trials()]
        .into_iter()
        .flatten()
        .collect()
}

static BARE: OnceLock<Cluster> = OnceLock::new();

/// A control plane on which no Poros runs, so that what is seen is the API server's doing alone.
async fn bare() -> &'static Cluster {
    let start = || BARE.get_or_init(|| Cluster::start(Options::api_only("it-schema")));
    tokio::task::spawn_blocking(start).await.expect("the control plane starts")
}

//! Which cluster is asked, and as whom: the flags, as kubectl has them.

use std::path::PathBuf;

use clap::Args;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which cluster, and as whom")]
pub struct Connection {
    /// The kubeconfig to use. Default: as kubectl
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

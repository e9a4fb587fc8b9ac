//! The flags of `kubectl poros why`, `tree` and `explain`.

use clap::Args;

use crate::ctl::answer::Output;
use crate::ctl::asked::Told;
use crate::ctl::failure::Failure;
use crate::ctl::kubectl::Kubectl;
use crate::ctl::kubectl::which::{Namespaces, is_kind, name};
use crate::ctl::{tree, why};

/// Which Compute.
#[derive(Debug, Args)]
struct Which {
    /// The Compute: NAME, compute/NAME, or compute NAME
    #[arg(value_name = "[TYPE/]NAME", required = true, num_args = 1..=2)]
    compute: Vec<String>,
}

/// Say why a Compute is as it is.
#[derive(Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    told: Told<Kubectl>,
    #[command(flatten)]
    namespaces: Namespaces,
}

impl Why {
    pub(super) fn request(self) -> Result<why::Request, Failure> {
        Ok(why::Request { name: name(&self.which.compute)?, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show what hangs on Computes.
#[derive(Debug, Args)]
pub(super) struct Tree {
    /// The Compute: NAME, compute/NAME, or compute NAME. Default: each of them
    #[arg(value_name = "[TYPE/]NAME", num_args = 0..=2)]
    compute: Vec<String>,
    /// Name every node, pod and workload, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told<Kubectl>,
    #[command(flatten)]
    namespaces: Namespaces,
}

impl Tree {
    pub(super) fn request(self) -> Result<tree::Request, Failure> {
        let name = match self.compute.as_slice() {
            [] => None,
            // `tree computes`, as `get computes`: each of them.
            [all] if is_kind(all) => None,
            given => Some(name(given)?),
        };
        Ok(tree::Request { name, all: self.all_nodes, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

//! The flags of `dataos-ctl describe`, `why` and `tree`.

use clap::Args;

use crate::ctl::answer::Output;
use crate::ctl::asked::Told;
use crate::ctl::dataos::Dataos;
use crate::ctl::dataos::which::Named;
use crate::ctl::failure::Failure;
use crate::ctl::{describe, tree, why};

/// Say why a Compute is as it is.
#[derive(Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Named,
    #[command(flatten)]
    told: Told<Dataos>,
}

impl Why {
    pub(super) fn request(self) -> Result<why::Request, Failure> {
        Ok(why::Request { name: self.which.one()?, output: self.told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show all about a Compute.
#[derive(Debug, Args)]
pub(super) struct Describe {
    #[command(flatten)]
    which: Named,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told<Dataos>,
}

impl Describe {
    pub(super) fn request(self) -> Result<describe::Request, Failure> {
        let Self { which, all_nodes, told } = self;
        Ok(describe::Request { name: which.one()?, all_nodes, output: told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

/// Show what hangs on Computes.
#[derive(Debug, Args)]
pub(super) struct Tree {
    #[command(flatten)]
    which: Named,
    /// Name every node, pod and workload, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told<Dataos>,
}

impl Tree {
    pub(super) fn request(self) -> Result<tree::Request, Failure> {
        let Self { which, all_nodes, told } = self;
        Ok(tree::Request { name: which.name()?, all: all_nodes, output: told.output })
    }

    pub(super) fn speaks_json(&self) -> bool {
        self.told.output == Output::Json
    }
}

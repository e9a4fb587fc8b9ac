//! The flags of `dataos-ctl describe`, `why`, `tree` and `explain`. `-o` is the owner to the reference, so `--output` has no
//! short form.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::api::identifier::{Identifier, IdentifierError, TYPE};
use crate::ctl::answer::Output;
use crate::ctl::dataos::asked::{known, known_type, known_version};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::{describe, explain, tree, why};

/// How to tell it.
#[derive(Clone, Debug, Args)]
struct Told {
    /// How to tell it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Which Compute.
#[derive(Clone, Debug, Args)]
struct Which {
    /// The type of resource: compute (of a pod tells: dataos-ctl explain pod)
    #[arg(long = "type", short = 't', default_value = TYPE, value_name = "TYPE")]
    type_: String,
    /// The version of the resource: v1beta
    #[arg(long, short = 'v')]
    version: Option<String>,
    /// Its name
    #[arg(long, short = 'n')]
    name: Option<String>,
    /// The resource as NAME:VERSION:TYPE, or a row of the table
    #[arg(long, short = 'i', value_parser = Identifier::from_row, conflicts_with = "name")]
    identifier: Option<Identifier>,
    /// The resource as TYPE:VERSION:NAME
    #[arg(
        long,
        value_parser = |given: &str| -> Result<Identifier, IdentifierError> { given.parse() },
        conflicts_with_all = ["name", "identifier"]
    )]
    id: Option<Identifier>,
}

impl Which {
    /// Its name, if one is given.
    fn name(self) -> Result<Option<String>, Failure> {
        if ["pod", "pods", "po"].contains(&self.type_.as_str()) {
            let text = format!(
                "this tells of Computes; of a pod tells: dataos-ctl explain pod {}",
                self.name.as_deref().unwrap_or("NAME")
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        known_type(&self.type_)?;
        if let Some(version) = &self.version {
            known_version(version)?;
        }
        let identifier = self.identifier.or(self.id).map(known).transpose()?;
        Ok(self.name.or(identifier.map(|identifier| identifier.name)).filter(|name| !name.is_empty()))
    }

    fn one(self) -> Result<String, Failure> {
        let missing = || Failure::new(Exit::Usage, "which Compute is meant? Give its name: -n NAME");
        self.name()?.ok_or_else(missing)
    }
}

/// Say why a Compute is as it is.
#[derive(Clone, Debug, Args)]
pub(super) struct Why {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    told: Told,
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
#[derive(Clone, Debug, Args)]
pub(super) struct Describe {
    #[command(flatten)]
    which: Which,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
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
#[derive(Clone, Debug, Args)]
pub(super) struct Tree {
    #[command(flatten)]
    which: Which,
    /// Name every node, pod and workload, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
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

/// Explain a pod or a Compute.
#[derive(Clone, Debug, Args)]
pub(super) struct Explain {
    #[command(subcommand)]
    what: What,
}

/// What to explain.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Why a pod is where it is, or is not: its Compute, what that injected, which nodes fit and why others do not
    #[command(visible_aliases = ["po", "pods"], after_help = POD_EXAMPLES)]
    Pod(Pod),
    /// What a Compute does, who uses it, what is wrong with it, what blocks its deletion, what an edit would do
    #[command(visible_aliases = ["cmp", "computes"], after_help = COMPUTE_EXAMPLES)]
    Compute(Compute),
}

const POD_EXAMPLES: &str = "Examples:
  dataos-ctl explain pod data/etl-7                # a pod of the namespace data
  dataos-ctl explain pod --namespace data etl-7    # the same
  dataos-ctl explain pod -f deployment.yaml        # the pods that a manifest would make, asked as a dry run
  kubectl get deploy etl -o yaml | dataos-ctl explain pod -f -";

const COMPUTE_EXAMPLES: &str = "Examples:
  dataos-ctl explain compute query-default
  dataos-ctl explain compute query-default -f changed.yaml    # what applying it would do; nothing is written
  dataos-ctl explain compute -f new.yaml --output json";

/// Which pod.
#[derive(Clone, Debug, Args)]
struct Pod {
    /// The pod
    #[arg(
        value_name = "[NAMESPACE/]NAME",
        required_unless_present = "filename",
        conflicts_with = "filename"
    )]
    name: Option<String>,
    /// The namespace. Default: that of the kubeconfig's context
    #[arg(long)]
    namespace: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Which Compute.
#[derive(Clone, Debug, Args)]
struct Compute {
    /// The Compute
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Debug, Args)]
struct How {
    /// A manifest that is not applied yet; - reads standard input
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Name every node, not the first few
    #[arg(long)]
    all_nodes: bool,
    #[command(flatten)]
    told: Told,
}

impl How {
    fn how(self) -> explain::How {
        explain::How { file: self.filename, all_nodes: self.all_nodes, output: self.told.output }
    }
}

impl Explain {
    pub(super) fn request(self) -> explain::Request {
        match self.what {
            What::Pod(Pod { name, namespace, how }) => {
                explain::Request::Pod { pod: name, namespace, how: how.how() }
            }
            What::Compute(Compute { name, how }) => explain::Request::Compute { name, how: how.how() },
        }
    }

    pub(super) fn speaks_json(&self) -> bool {
        let (What::Pod(Pod { how, .. }) | What::Compute(Compute { how, .. })) = &self.what;
        how.told.output == Output::Json
    }
}

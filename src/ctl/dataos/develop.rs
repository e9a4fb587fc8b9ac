//! The flags of `dataos-ctl develop`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::api::identifier::TYPE;
use crate::api::names::VERSION_SHOWN;
use crate::ctl::dataos::which::{known_type, known_version};
use crate::ctl::develop::Request;
use crate::ctl::failure::Failure;

/// What helps to write manifests.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum Develop {
    /// Print a first manifest, to be edited: each field with what it means and what it takes
    Generate(Generate),
    /// The schema of manifests
    #[command(subcommand)]
    Schema(Schema),
    /// Write the pages of the manual, one for each verb; man -l DIR/dataos-ctl-get.1 shows one
    Man(Man),
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Schema {
    /// Print the JSON Schema of manifests, for editors
    Generate(SchemaGenerate),
}

#[derive(Clone, Debug, Args)]
pub(super) struct Generate {
    #[command(flatten)]
    of: Of,
    /// The name of the Compute
    #[arg(long = "name", short = 'n', value_name = "NAME", default_value = "my-compute")]
    new_name: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct SchemaGenerate {
    #[command(flatten)]
    of: Of,
    /// That of manifests for Kubernetes (apiVersion, kind, spec), instead of native ones
    #[arg(long)]
    kubernetes: bool,
}

#[derive(Clone, Debug, Args)]
struct Of {
    /// The type of resource: compute
    #[arg(long = "type", short = 't', default_value = TYPE, value_name = "TYPE")]
    type_: String,
    /// The version of the resource
    #[arg(long, short = 'v', default_value = VERSION_SHOWN)]
    version: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Man {
    /// The folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Develop {
    pub(super) fn request(self) -> Result<Request, Failure> {
        Ok(match self {
            Self::Generate(Generate { of, new_name: name }) => {
                let Of { type_, version } = of.known()?;
                Request::Generate { of_type: type_, version, name }
            }
            Self::Schema(Schema::Generate(SchemaGenerate { of, kubernetes })) => {
                of.known()?;
                Request::Schema { kubernetes }
            }
            Self::Man(Man { folder }) => Request::Man(folder),
        })
    }
}

impl Of {
    fn known(self) -> Result<Self, Failure> {
        known_type(&self.type_)?;
        known_version(&self.version)?;
        Ok(Self { type_: TYPE.to_owned(), ..self })
    }
}

//! `develop`: what helps to write manifests, and the pages of the manual.

use std::path::PathBuf;

use clap::Command;
use serde_json::Value;

use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::decide::problem::written;
use crate::view::{jsonschema, sample};

/// What to print, or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A first manifest.
    Generate {
        /// Its type.
        of_type: String,
        /// Its version.
        version: String,
        /// Its name.
        name: String,
    },
    /// The JSON Schema of manifests.
    Schema {
        /// Of those for Kubernetes, instead of native ones.
        kubernetes: bool,
    },
    /// The pages of the manual, into this folder.
    Man(PathBuf),
}

/// Prints, or writes it; the manual is that of these programs.
pub fn develop(request: Request, programs: [Command; 2], session: &mut Session) -> Result<Exit, Failure> {
    match request {
        Request::Generate { of_type, version, name } => {
            let text = sample::native(&of_type, &version, &name).map_err(|problems| {
                let told =
                    problems.iter().map(|problem| format!("{} {}", written(&problem.path), problem.text));
                Failure::new(Exit::Invalid, told.collect::<Vec<_>>().join("; "))
            })?;
            session.terminal.data(&text)?;
        }
        Request::Schema { kubernetes } => {
            let schema: Value = if kubernetes { jsonschema::kubernetes() } else { jsonschema::native() };
            session.terminal.data(&format!("{schema:#}\n"))?;
        }
        Request::Man(folder) => {
            let written = std::fs::create_dir_all(&folder).and_then(|()| {
                programs.into_iter().try_for_each(|program| clap_mangen::generate_to(program, &folder))
            });
            written.map_err(|error| {
                Failure::new(
                    Exit::Failed,
                    format!("the manual could not be written to {}: {error}", folder.display()),
                )
            })?;
        }
    }
    Ok(Exit::Ok)
}

//! `develop`: what helps to write manifests, and the pages of the manual.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
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
                programs.into_iter().try_for_each(|program| {
                    // A page tells all, also what `-h` leaves out.
                    let whole = program.mut_args(|flag| flag.hide_short_help(false));
                    let mut whole = whole.disable_help_subcommand(true);
                    whole.build();
                    pages(&whole, &folder)
                })
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

/// Writes the page of a program or verb, and those of the verbs below it.
fn pages(command: &Command, folder: &Path) -> io::Result<()> {
    command.get_subcommands().try_for_each(|verb| pages(verb, folder))?;
    let source = concat!("Poros ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).manual("Manual of Poros").generate_to(folder).map(drop)
}

//! `version`: of this program, of the API server, and of the Computes that it serves.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::api::names::GROUP;
use crate::cluster::discovery;
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;

/// Show versions: of this program, of the cluster, and of the Computes that it serves
#[derive(Clone, Debug, Args)]
pub struct Version {
    /// Show that of this program alone; no cluster is asked
    #[arg(long)]
    client: bool,
    /// How to tell it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// Those that are served, the preferred one first; none where the CRD is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    compute: Option<Vec<String>>,
}

impl Version {
    /// Whether errors are told as JSON.
    pub fn speaks_json(&self) -> bool {
        self.output == Output::Json
    }
}

/// Tells them. What the cluster does not say costs the exit code, not the rest.
pub async fn version(request: Version, session: &mut Session) -> Result<Exit, Failure> {
    let mut versions = Versions { client: env!("CARGO_PKG_VERSION"), server: None, compute: None };
    let mut failure = None;
    if !request.client {
        match Box::pin(asked(session)).await {
            Ok((server, compute)) => (versions.server, versions.compute) = (Some(server), Some(compute)),
            Err(why) => failure = Some(why),
        }
    }
    let text = match request.output {
        Output::Json => serde_json::to_string_pretty(&versions).unwrap_or_default() + "\n",
        Output::Text => told(&versions),
    };
    // With --output json, data or a problem, and never both.
    if failure.is_none() || !request.speaks_json() {
        session.terminal.data(&text)?;
    }
    failure.map_or(Ok(Exit::Ok), Err)
}

async fn asked(session: &Session) -> Result<(String, Vec<String>), Failure> {
    let client = session.client().await?;
    let (server, computes) = tokio::join!(discovery::version(&client), discovery::computes(&client));
    let failed = |error| Failure::of_call("the versions of the cluster could not be asked", &error);
    Ok((server.map_err(failed)?, computes.map_err(failed)?))
}

fn told(versions: &Versions) -> String {
    let mut text = format!("Client:  {}\n", versions.client);
    if let Some(server) = &versions.server {
        let _ = writeln!(text, "Server:  Kubernetes {server}");
    }
    match &versions.compute {
        None => {}
        Some(served) if served.is_empty() => text += "Compute: not served; Poros is not installed there\n",
        Some(served) => {
            let _ = writeln!(text, "Compute: {GROUP}/{}", served.join(", "));
        }
    }
    text
}

//! The Compute that is meant: the one of that name, or what to say when there is none.

use jiff::Timestamp;
use kube::Client;

use crate::api::listed::Listed;
use crate::cluster::call::CallError;
use crate::cluster::computes::{self, Read, Stored};
use crate::ctl::failure::{Exit, Failure};
use crate::decide::observed::Compute;
use crate::view::names::{absent, told};

/// The Compute of this name, and when it was created.
pub async fn compute(client: &Client, name: &str) -> Result<(Compute, Option<Timestamp>), Failure> {
    match look(client, name).await? {
        Some(Stored { compute, object }) => {
            let created = object["metadata"]["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
            Ok((compute, created))
        }
        None => Err(missing(client, name).await),
    }
}

/// The Compute of this name; none if there is none.
pub async fn look<K: Read>(client: &Client, name: &str) -> Result<Option<K>, Failure> {
    let found = computes::one(client, name).await;
    found.map_err(|error| Failure::of_call(&format!("Compute {name} could not be read"), &error))
}

/// What to say of a name that there is no Compute of: the nearest one, or that there can be none in this cluster.
pub async fn missing(client: &Client, name: &str) -> Failure {
    let text = match computes::all::<Listed>(client).await {
        Ok(there) => {
            let names: Vec<String> = there.into_iter().map(|listed| listed.metadata.name).collect();
            absent("Compute", name, &names)
        }
        Err(error @ CallError::Unserved(_)) => return unlisted(&error),
        // Who may not list them is told no more than that.
        Err(_) => format!("no Compute named {} exists", told(name)),
    };
    Failure::new(Exit::NotFound, text)
}

/// What to say of Computes that could not be listed.
pub fn unlisted(error: &CallError) -> Failure {
    Failure::of_call("Computes could not be listed", error)
}

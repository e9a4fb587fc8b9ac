//! The Compute that is meant: the one of that name, or what to say when there is none.

use jiff::Timestamp;
use kube::Client;

use crate::cluster::call::CallError;
use crate::cluster::read;
use crate::ctl::failure::{Exit, Failure};
use crate::decide::observed::Compute;
use crate::view::names::absent;

/// The Compute of this name, and when it was created.
pub async fn compute(client: &Client, name: &str) -> Result<(Compute, Option<Timestamp>), Failure> {
    match read::compute(client, name).await {
        Ok(Some(read::Stored { compute, object })) => {
            let created = object["metadata"]["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
            Ok((compute, created))
        }
        Ok(None) => Err(missing(client, name).await),
        Err(error) => Err(unread(name, &error)),
    }
}

/// What to say of a name that there is no Compute of: the nearest one.
async fn missing(client: &Client, name: &str) -> Failure {
    let text = match read::computes(client).await {
        Ok(there) => {
            let names: Vec<String> = there.into_iter().map(|compute| compute.name).collect();
            absent("Compute", name, &names)
        }
        Err(error @ CallError::Unserved(_)) => return unread(name, &error),
        // Who may not list them is told no more than that.
        Err(_) => format!("no Compute named {name} exists"),
    };
    Failure::new(Exit::NotFound, text)
}

/// What to say of a Compute that could not be read.
pub fn unread(name: &str, error: &CallError) -> Failure {
    Failure::of_call(&format!("Compute {name} could not be read"), error)
}

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
        Ok(Some(found)) => Ok(found),
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
        Err(_) => format!("no Compute named {name} exists"),
    };
    Failure::new(Exit::NotFound, text)
}

/// What to say of a Compute that could not be read.
pub fn unread(name: &str, error: &CallError) -> Failure {
    match error {
        CallError::NotFound(_) => unserved(),
        error => Failure::of_call(&format!("Compute {name} could not be read"), error),
    }
}

/// What to say where there are no Computes at all.
pub fn unserved() -> Failure {
    let text = "this cluster knows no Computes: their CRD is not installed";
    Failure::new(Exit::NotFound, text).remedy("poros crd | kubectl apply --server-side -f -")
}

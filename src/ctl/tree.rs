//! `tree`: what hangs on a Compute, or on each of them.

use crate::ctl::answer::{self, Output};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::{gather, named};
use crate::view::tree::branch::Branch;
use crate::view::tree::{Facts, trees};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The Compute; each of them for none.
    pub name: Option<String>,
    /// Whether every node, pod and workload is to be named.
    pub all: bool,
    /// How to tell it.
    pub output: Output,
}

/// Draws them.
pub async fn tree(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let facts = answer::found("tree", session, async |session: &Session| {
        let client = session.client().await?;
        let Some(name) = &request.name else {
            return Box::pin(gather::all(&client, request.all))
                .await
                .map_err(|error| named::unlisted(&error));
        };
        let (compute, _) = named::compute(&client, name).await?;
        Ok(Facts::from(Box::pin(gather::compute(&client, compute, request.all)).await))
    })
    .await?;
    let trees = trees(&facts);
    if trees.is_empty() && request.output == Output::Text {
        session.terminal.aside("No resources found\n");
        return Ok(Exit::Ok);
    }
    answer::tell(session, request.output, &trees, |style| {
        trees.iter().map(|tree: &Branch| tree.text(style)).collect()
    })
}

//! `describe`: all about one Compute.

use crate::ctl::answer::{self, Output};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::{gather, named};
use crate::view::describe::{self, Facts};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The Compute.
    pub name: String,
    /// Whether every node is to be named.
    pub all_nodes: bool,
    /// How to tell it.
    pub output: Output,
}

/// Describes it.
pub async fn describe(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let facts = answer::found("describe", session, async |session: &Session| {
        let client = session.client().await?;
        let (compute, created) = named::compute(&client, &request.name).await?;
        let uid = compute.uid.clone();
        let (of, events) = tokio::join!(
            Box::pin(gather::compute(&client, compute, request.all_nodes)),
            gather::events(&client, &uid)
        );
        Ok(Facts { of, created, events })
    })
    .await?;
    let mut told = describe::describe(facts);
    told.explanation.speak(session.terminal.voice());
    let now = answer::now(session);
    answer::tell(session, request.output, &told, |style| told.page(style, now).lay_out(style))
}

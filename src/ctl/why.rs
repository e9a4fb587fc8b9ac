//! `why`: why a Compute is as it is, in one paragraph, and what to type next.

use crate::ctl::answer::{self, Output};
use crate::ctl::failure::{Exit, Failure};
use crate::ctl::session::Session;
use crate::ctl::{gather, named};
use crate::view::why;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The Compute.
    pub name: String,
    /// How to tell it.
    pub output: Output,
}

/// Tells why.
pub async fn why(request: Request, session: &mut Session) -> Result<Exit, Failure> {
    let facts = answer::found("why", session, async |session: &Session| {
        let client = session.client().await?;
        let (compute, _) = named::compute(&client, &request.name).await?;
        Ok(Box::pin(gather::compute(&client, compute, false)).await)
    })
    .await?;
    let mut told = why::why(&facts, answer::now(session));
    let voice = session.terminal.voice();
    for next in &mut told.next {
        next.command = voice.command(&next.command);
    }
    answer::tell(session, request.output, &told, |style| told.text(style))
}

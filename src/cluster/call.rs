//! One call to the API server: its deadline, and what can become of it.

use std::time::Duration;

use kube::api::DynamicObject;
use thiserror::Error;

/// The longest that a write, or a read of one object, may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the API server did not do what it was asked.
#[derive(Debug, Error)]
pub enum CallError {
    /// It refused for lack of a permission. The message names user, verb and resource.
    #[error("{0}")]
    Forbidden(String),
    /// The object changed in the meantime, or is there already.
    #[error("{0}")]
    Conflict(String),
    /// The object is gone.
    #[error("{0}")]
    NotFound(String),
    /// It refused for another reason.
    #[error("{message} (status {code})")]
    Refused {
        /// What it said.
        message: String,
        /// The HTTP status.
        code: u16,
    },
    /// It answered with something else than the object that was asked for or written.
    #[error("the answer is not {0:?}")]
    Otherwise(String),
    /// It did not answer in time.
    #[error("no answer from the API server within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// It could not be reached, or its answer could not be read.
    #[error("the API server could not be asked")]
    Unreachable(#[source] Box<kube::Error>),
}

impl CallError {
    /// Sorts an error of the client.
    pub(super) fn of(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable(Box::new(error)) };
        let message = without_user(&status.message);
        match status.code {
            // RBAC says "cannot"; admission refuses with 403 too, but is no lack of a permission.
            403 if message.contains(" cannot ") => Self::Forbidden(message),
            409 => Self::Conflict(message),
            404 => Self::NotFound(message),
            code => Self::Refused { message, code },
        }
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with its causes, in one line. No text of ours repeats its source; those of libraries do.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = error.source();
    }
    text
}

/// Without the dump of the asking user (` and user &{…} `) that some refusals carry: it tells nobody anything.
fn without_user(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" and user &{") else { return message.to_owned() };
    match rest.split_once("} ") {
        Some((_, after)) => format!("{before}: Poros {after}"),
        None => before.to_owned(),
    }
}

/// The object of this name, as an answer: one that is another, or nothing at all, must not pass for it.
pub(super) fn named(object: DynamicObject, name: &str) -> Result<DynamicObject, CallError> {
    let metadata = &object.metadata;
    let whole = metadata.name.as_deref() == Some(name) && metadata.uid.is_some();
    if whole && metadata.resource_version.is_some() {
        Ok(object)
    } else {
        Err(CallError::Otherwise(name.to_owned()))
    }
}

/// Makes a call, within [`CALL_TIMEOUT`].
pub(super) async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    call_within(CALL_TIMEOUT, request).await
}

/// Makes a call, within this time.
pub(super) async fn call_within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result.map_err(CallError::of),
        Err(_) => Err(CallError::Timeout(limit)),
    }
}

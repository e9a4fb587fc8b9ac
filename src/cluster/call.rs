//! One call to the API server, and what can become of it.

use std::time::Duration;

use kube::api::DynamicObject;
use kube::core::Status;
use thiserror::Error;

use crate::cluster::client::{NoAnswer, PluginError, Unknown};

/// Why the API server did not do what it was asked.
#[derive(Debug, Error)]
pub enum CallError {
    /// It does not know who asks.
    #[error(transparent)]
    Unauthorized(Box<Unknown>),
    /// Who asks could not log in.
    #[error("the login could not be renewed")]
    Login(#[source] Box<PluginError>),
    /// It refused for lack of a permission. The message names user, verb and resource.
    #[error("{0}")]
    Forbidden(String),
    /// The object changed in the meantime, or is there already.
    #[error("{0}")]
    Conflict(String),
    /// The object is gone.
    #[error("{0}")]
    NotFound(String),
    /// It does not serve that resource: its CRD is not installed, or it is older or newer.
    #[error("the API server does not serve this resource")]
    Unserved(String),
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
    /// It could not be reached, or gave no whole answer in time.
    #[error(transparent)]
    Unreachable(Box<NoAnswer>),
    /// The request could not be written down, or its answer could not be read.
    #[error("the API server could not be asked")]
    Unreadable(#[source] Box<kube::Error>),
}

impl CallError {
    /// Sorts an error of the client.
    pub(super) fn of(error: kube::Error) -> Self {
        let status = match error {
            kube::Error::Api(status) => status,
            kube::Error::Service(error) => return Self::of_client(error),
            error => return Self::Unreadable(Box::new(error)),
        };
        let message = without_user(&status.message);
        match status.code {
            403 if is_forbidden(&status) => Self::Forbidden(message),
            409 => Self::Conflict(message),
            404 if is_of_an_object(&status) => Self::NotFound(message),
            404 => Self::Unserved(message),
            code => Self::Refused { message, code },
        }
    }

    /// Sorts what our own layers of the client say.
    fn of_client(error: tower::BoxError) -> Self {
        let error = match error.downcast() {
            Ok(error) => return Self::Unreachable(error),
            Err(error) => error,
        };
        let error = match error.downcast() {
            Ok(error) => return Self::Unauthorized(error),
            Err(error) => error,
        };
        match error.downcast() {
            Ok(error) => Self::Login(error),
            Err(error) => Self::Unreadable(Box::new(kube::Error::Service(error))),
        }
    }

    /// Whether it will be the same in a moment, unless somebody does something.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Unauthorized(_) | Self::Login(_) | Self::Forbidden(_) | Self::Unserved(_) => true,
            Self::Refused { code, .. } => *code < 500 && *code != 429,
            Self::Conflict(_)
            | Self::NotFound(_)
            | Self::Otherwise(_)
            | Self::Timeout(_)
            | Self::Unreachable(_)
            | Self::Unreadable(_) => false,
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

/// Whether it is a permission that is lacking: RBAC says "cannot"; admission refuses with 403, too.
pub(super) fn is_forbidden(status: &Status) -> bool {
    status.code == 403 && status.message.contains(" cannot ")
}

/// Whether a 404 is of an object; else nothing is served at that path.
fn is_of_an_object(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| !details.name.is_empty())
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

/// Makes a call. The client bounds how long it takes.
pub(super) async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
    request.await.map_err(CallError::of)
}

/// Makes a call, within this time.
pub(super) async fn call_within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    tokio::time::timeout(limit, call(request)).await.unwrap_or(Err(CallError::Timeout(limit)))
}

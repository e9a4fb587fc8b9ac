//! What every answer of the API server goes through: it is counted, it is not read for ever, and a list is the list that was
//! asked for (kube looks at neither its kind nor its version).

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::ACCEPT;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use kube::client::{Body, DynBody};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use tower::{BoxError, Service};

use crate::cluster::client::asked::Asked;

/// The largest answer that is read, in bytes. A page of a list is far below it, even one of the largest objects that
/// people can make; what is above it would only cost memory. A watch has no such limit: of its stream only a line is held.
const LARGEST_ANSWER: usize = 128 << 20;

/// Told of each request, once it is answered: what it asked, and the class of the answer (`2xx`, or `none` for no answer).
pub type Tell = Arc<dyn Fn(Asked, &'static str) + Send + Sync>;

/// Sees all answers.
#[derive(Clone)]
pub(super) struct Answers<S> {
    pub(super) inner: S,
    pub(super) tell: Tell,
}

impl<S> Service<Request<Body>> for Answers<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = Asked::of(&request);
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let metadata_only = accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadataList"));
        let (answer, tell) = (self.inner.call(request), self.tell.clone());
        async move {
            let answer = answer.await;
            tell(asked.clone(), answer.as_ref().map_or("none", |answer| class(answer.status())));
            let (head, body) = answer?.into_parts();
            let most = if asked.verb == "watch" { usize::MAX } else { LARGEST_ANSWER };
            let body: Box<DynBody> = Box::new(Limited::new(body, most));
            if asked.verb != "list" || !head.status.is_success() {
                return Ok(Response::from_parts(head, body));
            }
            let whole = body.collect().await?.to_bytes();
            let title = Title::of(&whole);
            if let Some(misfit) = asked.misfit(&title.kind, &title.api_version, metadata_only) {
                let unreadable = serde_json::Error::custom(misfit);
                return Err(Box::new(kube::Error::SerdeError(unreadable)) as BoxError);
            }
            let body: Box<DynBody> = Box::new(Full::new(whole).map_err(|never| match never {}));
            Ok(Response::from_parts(head, body))
        }
        .boxed()
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// What an object says that it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Title {
    kind: String,
    api_version: String,
}

impl Title {
    /// Reads no further than it must: of most resources the API server writes it first. Empty where there is none.
    fn of(json: &[u8]) -> Self {
        let mut title = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(json);
        // Who stops in the middle gets an error, and what follows is read by whom it concerns.
        let _ = serde::Deserializer::deserialize_map(&mut reader, Reading(&mut title));
        title
    }
}

struct Reading<'a>(&'a mut Title);

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.0.kind.is_empty() || self.0.api_version.is_empty() {
            match map.next_key::<String>()?.as_deref() {
                Some("kind") => self.0.kind = map.next_value()?,
                Some("apiVersion") => self.0.api_version = map.next_value()?,
                Some(_) => drop(map.next_value::<IgnoredAny>()?),
                None => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_found_wherever_it_stands() {
        let title = |kind: &str, version: &str| Title { kind: kind.into(), api_version: version.into() };
        for (json, expect) in [
            (
                r#"{"kind":"NodeList","apiVersion":"v1","items":[{"kind":"Node"}, cut off"#,
                title("NodeList", "v1"),
            ),
            (r#"{"apiVersion":"a/v1","items":[{"kind":"A"}],"kind":"AList"}"#, title("AList", "a/v1")),
            ("{}", Title::default()),
            ("[]", Title::default()),
            ("<html>", Title::default()),
            ("", Title::default()),
            (r#"{"kind":7}"#, Title::default()),
        ] {
            assert_eq!(Title::of(json.as_bytes()), expect, "{json}");
        }
        let deep = format!("{{\"items\":{}", "[".repeat(100_000));
        assert_eq!(Title::of(deep.as_bytes()), Title::default());
    }
}

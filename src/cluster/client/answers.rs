//! What every answer of the API server goes through: it is counted, it is not waited for or read for ever, and a list is the
//! list that was asked for (kube looks at neither its kind nor its version). Where there is none, it is told why and where.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::header::ACCEPT;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Collected, Full, Limited, StreamBody};
use hyper::body::Bytes;
use kube::client::{Body, DynBody};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use tower::{BoxError, Service};

use crate::cluster::client::asked::Asked;
use crate::cluster::client::place::{NoAnswer, Place, Unknown, Why, no_answer};

/// The largest list that is read, in bytes. A page is far below it, even one of the largest objects that people can make;
/// what is above it would only cost memory.
const LARGEST_LIST: usize = 128 << 20;
/// The largest of all other answers, and the longest line of a watch, which is an event. etcd takes objects of 1.5 MiB,
/// where nobody told it otherwise.
const LARGEST_OBJECT: usize = 16 << 20;

/// Told of each request, once it is answered: what it asked, and the class of the answer (`2xx`, or `none` for no answer).
pub type Tell = Arc<dyn Fn(Asked, &'static str) + Send + Sync>;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A connection.
    pub(super) connect: Duration,
    /// Any request but a list or a watch, with its answer.
    pub(super) call: Duration,
    /// A list; none as long as something comes.
    pub(super) list: Option<Duration>,
}

/// Sees all answers.
#[derive(Clone)]
pub(super) struct Answers<S> {
    pub(super) inner: S,
    pub(super) tell: Tell,
    pub(super) place: Arc<Place>,
    pub(super) limits: Limits,
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
        let (place, limits) = (self.place.clone(), self.limits);
        let limit = match asked.verb {
            "watch" => None,
            "list" => limits.list,
            _ => Some(limits.call),
        };
        async move {
            let answer = async {
                let answer: Result<Response<Box<DynBody>>, BoxError> = answer.await;
                tell(asked.clone(), answer.as_ref().map_or("none", |answer| class(answer.status())));
                match answer {
                    Ok(answer) => read(answer, asked, metadata_only, place.clone()).await,
                    Err(error) => Err(error),
                }
            };
            let answer = match limit {
                None => answer.await,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        return Err(Box::new(NoAnswer { place, why: Why::Silent(limit) }) as BoxError);
                    }
                },
            };
            answer.map_err(|error| no_answer(error, &place, limits.connect))
        }
        .boxed()
    }
}

/// Reads an answer: a watch as it comes, all else as a whole.
async fn read(
    answer: Response<Box<DynBody>>,
    asked: Asked,
    metadata_only: bool,
    place: Arc<Place>,
) -> Result<Response<Box<DynBody>>, BoxError> {
    let (head, body) = answer.into_parts();
    if head.status == StatusCode::UNAUTHORIZED {
        return Err(Box::new(Unknown { place }));
    }
    let limit = match asked.verb {
        "watch" if head.status.is_success() => return Ok(Response::from_parts(head, bounded_lines(body))),
        "list" => LARGEST_LIST,
        _ => LARGEST_OBJECT,
    };
    let whole = collected(body, limit).await?.to_bytes();
    if asked.verb == "list" && head.status.is_success() {
        let title = Title::of(&whole);
        if let Some(misfit) = asked.misfit(&title.kind, &title.api_version, metadata_only) {
            let unreadable = serde_json::Error::custom(misfit);
            return Err(Box::new(kube::Error::SerdeError(unreadable)));
        }
    }
    let body: Box<DynBody> = Box::new(Full::new(whole).map_err(|never| match never {}));
    Ok(Response::from_parts(head, body))
}

fn collected(body: Box<DynBody>, limit: usize) -> BoxFuture<'static, Result<Collected<Bytes>, BoxError>> {
    Limited::new(body, limit).collect().boxed()
}

/// A stream of lines, which ends in an error where one is too long: kube would hold all of it.
fn bounded_lines(body: Box<DynBody>) -> Box<DynBody> {
    let mut held = 0;
    let frames = BodyStream::new(body).map(move |frame| {
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            held = match data.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => data.len() - end - 1,
                None => held + data.len(),
            };
        }
        if held > LARGEST_OBJECT {
            return Err(format!("an event of more than {} MiB is not read", LARGEST_OBJECT >> 20).into());
        }
        Ok(frame)
    });
    Box::new(StreamBody::new(frames))
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
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn a_line_that_does_not_end_is_given_up() {
        let lines = |lines: usize, length: usize| {
            let mut line = vec![b'x'; length];
            line.push(b'\n');
            let frames = futures::stream::iter((0..lines).map(move |_| Ok(Frame::data(line.clone().into()))));
            bounded_lines(Box::new(StreamBody::new(frames)))
        };
        let read = lines(40, 1 << 20).collect().await.unwrap().to_bytes();
        assert_eq!(read.len(), 40 * ((1 << 20) + 1), "many lines of a size that may be");
        let endless = futures::stream::iter((0..40).map(|_| Ok(Frame::data(vec![b'x'; 1 << 20].into()))));
        let error = bounded_lines(Box::new(StreamBody::new(endless))).collect().await.unwrap_err();
        assert_eq!(error.to_string(), "an event of more than 16 MiB is not read");
    }

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

//! What the API server had no time for is asked again: it answers with 429 while too many ask, while it ends, and to lists and
//! watches while it gets ready for a CRD that was changed. Nothing took effect then, so that a write may be repeated, too.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use tower::BoxError;
use tower::retry::Policy;

/// How often, at most.
const TIMES: u32 = 5;
/// The pause before each, where the API server names none. It names a second at first, and more the longer it lasts.
const PAUSE: Duration = Duration::from_secs(1);
/// Who would wait for longer is told instead. One that ends names as long.
const LONGEST: Duration = Duration::from_secs(5);

/// One request, made again up to [`TIMES`].
#[derive(Clone, Debug, Default)]
pub(super) struct Again {
    made: u32,
}

impl Again {
    /// How long to wait before it is made again, if it is, after such an answer, which named a pause.
    fn after(&mut self, status: StatusCode, named: Option<&str>) -> Option<Duration> {
        // A date is taken for none named: no API server sends one.
        let pause = named.and_then(|named| named.parse().ok()).map_or(PAUSE, Duration::from_secs);
        let again = status == StatusCode::TOO_MANY_REQUESTS && pause <= LONGEST && self.made < TIMES;
        self.made += u32::from(again);
        again.then_some(pause)
    }
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for Again {
    type Future = tokio::time::Sleep;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        answer: &mut Result<Response<B>, BoxError>,
    ) -> Option<Self::Future> {
        let answer = answer.as_ref().ok()?;
        let named = answer.headers().get(RETRY_AFTER).and_then(|pause| pause.to_str().ok());
        self.after(answer.status(), named).map(tokio::time::sleep)
    }

    /// As kube copies one: none where its body is a stream.
    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Policy::<_, Response<B>, _>::clone_request(&mut RetryPolicy::default(), request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(code: u16, named: Option<&str>) -> Vec<Duration> {
        let (mut again, status) = (Again::default(), StatusCode::from_u16(code).unwrap());
        std::iter::from_fn(|| again.after(status, named)).take(100).collect()
    }

    #[test]
    fn only_what_had_no_effect_is_asked_again_and_not_for_ever() {
        for named in [None, Some("1"), Some("Sun, 06 Nov 2094 08:49:37 GMT"), Some("-1"), Some("")] {
            assert_eq!(pauses(429, named), [PAUSE; TIMES as usize], "{named:?}");
        }
        assert_eq!(pauses(429, Some("0")), [Duration::ZERO; TIMES as usize]);
        for named in ["6", "3600", "18446744073709551615"] {
            assert!(pauses(429, Some(named)).is_empty(), "{named}");
        }
        for code in [200, 400, 403, 404, 409, 500, 503, 504] {
            assert!(pauses(code, Some("1")).is_empty(), "{code}");
        }
    }

    #[tokio::test]
    async fn what_is_asked_again_is_what_was_asked() {
        let request = || {
            let request =
                Request::patch("/apis/x?dryRun=All").header("content-type", "application/merge-patch+json");
            request.extension("told").body(Body::from(b"{}".to_vec())).unwrap()
        };
        let again = Policy::<_, Response<()>, _>::clone_request(&mut Again::default(), &request()).unwrap();
        let (expected, _) = request().into_parts();
        let (found, body) = again.into_parts();
        assert_eq!(
            (found.method, found.uri, found.headers),
            (expected.method, expected.uri, expected.headers)
        );
        assert_eq!(found.extensions.get::<&str>(), Some(&"told"));
        assert_eq!(body.collect_bytes().await.unwrap(), "{}");
    }
}

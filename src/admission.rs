//! The webhook: an AdmissionReview in, an answer out, from what is known. Every replica serves it, leader or not.
//!
//! It runs only where the API server has no MutatingAdmissionPolicy, or may soon have none. It decides nothing itself:
//! `decide::admission` does.

pub mod authority;
pub mod review;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::future::BoxFuture;
use tracing::debug;

use crate::admission::review::{BadReview, Review};
use crate::admission::tls::TlsListener;
use crate::api::placement::PlacementSpec;
use crate::decide::admission::{self as rules, Request, Subject};
use crate::decide::registration::{PATH_COMPUTES, PATH_PODS};

/// The largest review: two objects of the largest size that is stored, and some room.
const BODY_LIMIT: usize = 8 << 20;
/// The longest that a review may take: less than the API server waits.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What answers are made from. Given in as functions, so that nothing here knows a client or a lock.
#[derive(Clone)]
pub struct Knowledge {
    /// What is not known yet; empty when answers can be given.
    pub unready: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// The Placement that is in force for the Compute of this name.
    pub in_force: Arc<dyn Fn(&str) -> Option<PlacementSpec> + Send + Sync>,
    /// Whether somebody may name another as the owner of the Compute of this name.
    pub may_assign: Arc<dyn Fn(Subject, String) -> BoxFuture<'static, bool> + Send + Sync>,
}

/// Serves until it is dropped.
pub async fn serve(listener: TlsListener, knowledge: Knowledge) -> std::io::Result<()> {
    let app = Router::new()
        .route(PATH_PODS, post(pods))
        .route(PATH_COMPUTES, post(computes))
        .with_state(knowledge);
    axum::serve(listener, app).await
}

async fn pods(State(knowledge): State<Knowledge>, body: Body) -> Response {
    answered(read(&knowledge, body).await.map(|review| {
        let pod = &review.object;
        let patch = rules::named(pod).map(|name| rules::place(pod, name, (knowledge.in_force)(name).as_ref()));
        review.answer(patch.unwrap_or_default())
    }))
}

async fn computes(State(knowledge): State<Knowledge>, body: Body) -> Response {
    let review = match read(&knowledge, body).await {
        Ok(review) => review,
        Err(refusal) => return answered(Err(refusal)),
    };
    let request =
        Request { object: &review.object, old: review.old_object(), user: &review.user_info.username };
    let assigned = request.assigns();
    let may_assign = if assigned {
        let name = review.object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let asked = (knowledge.may_assign)(review.user_info.clone(), name);
        // Who cannot be asked about becomes no assigner.
        tokio::time::timeout(TIMEOUT, asked).await.unwrap_or(false)
    } else {
        false
    };
    answered(Ok(review.answer(rules::own(&request, may_assign))))
}

/// Reads a review, if answers can be given at all.
async fn read(knowledge: &Knowledge, body: Body) -> Result<Review, (StatusCode, String)> {
    let unready = (knowledge.unready)();
    if !unready.is_empty() {
        // The API server refuses what it would have Poros place, rather than to let it through unplaced.
        let text = format!("Poros is starting and has not listed yet: {}", unready.join(", "));
        return Err((StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let bytes: Bytes = match tokio::time::timeout(TIMEOUT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = format!("the review could not be read, or is larger than {BODY_LIMIT} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(_) => {
            let text = format!("the review did not arrive within {} s", TIMEOUT.as_secs());
            return Err((StatusCode::REQUEST_TIMEOUT, text));
        }
    };
    Review::parse(&bytes).map_err(|error: BadReview| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn answered(result: Result<Vec<u8>, (StatusCode, String)>) -> Response {
    match result {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err((code, text)) => {
            debug!(%code, "a review was not answered: {text}");
            (code, text + "\n").into_response()
        }
    }
}

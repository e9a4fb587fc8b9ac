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
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::future::BoxFuture;
use tokio::sync::watch;
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

/// Gives the Placement that is in force for the Compute of a name.
pub type InForce = Arc<dyn Fn(&str) -> Option<PlacementSpec> + Send + Sync>;
/// Says whether somebody may name another as the owner of the Compute of a name.
pub type MayAssign = Arc<dyn Fn(Subject, String) -> BoxFuture<'static, bool> + Send + Sync>;

/// What answers are made from. Given in as functions, so that nothing here knows a client or a lock.
#[derive(Clone)]
pub struct Knowledge {
    /// What is not known yet; empty when answers can be given.
    pub unready: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// The Placement that is in force for the Compute of this name.
    pub in_force: InForce,
    /// Whether somebody may name another as the owner of the Compute of this name.
    pub may_assign: MayAssign,
}

/// Serves until it is dropped. From when it is `leaving`, each answer is the last one on its connection: the API server keeps
/// connections, and would send the next review to a process that is gone.
pub async fn serve(
    listener: TlsListener,
    knowledge: Knowledge,
    leaving: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let part = map_response(move |mut response: Response| {
        if *leaving.borrow() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    });
    let app = Router::new()
        .route(PATH_PODS, post(pods))
        .route(PATH_COMPUTES, post(computes))
        .layer(part)
        .with_state(knowledge);
    axum::serve(listener, app).await
}

async fn pods(State(knowledge): State<Knowledge>, body: Body) -> Response {
    answered(read(&knowledge, body).await.map(|review| {
        let pod = &review.object;
        let patch =
            rules::named(pod).map(|name| rules::place(pod, name, (knowledge.in_force)(name).as_ref()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    const LIFETIME: Duration = Duration::from_secs(3600);

    struct Served {
        address: std::net::SocketAddr,
        authority: String,
        ready: Arc<AtomicBool>,
        leaving: watch::Sender<bool>,
        configs: watch::Sender<Option<Arc<tokio_rustls::rustls::ServerConfig>>>,
    }

    fn generation() -> crate::decide::certificate::Generation {
        let now = jiff::Timestamp::now().as_second();
        authority::make(&["127.0.0.1".into()], LIFETIME, now).unwrap()
    }

    async fn served() -> Served {
        let generation = generation();
        let (configs, receiver) = watch::channel(Some(tls::config(&generation).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready = Arc::new(AtomicBool::new(true));
        let is_ready = ready.clone();
        let placement: PlacementSpec = serde_json::from_value(json!({
            "revision": 1, "lastRevision": 1, "nodeSelector": {"a": "b"}, "tolerations": [], "closed": false,
        }))
        .unwrap();
        let knowledge = Knowledge {
            unready: Arc::new(
                move || if is_ready.load(Ordering::Relaxed) { vec![] } else { vec!["computes"] },
            ),
            in_force: Arc::new(move |name| (name == "query").then(|| placement.clone())),
            may_assign: Arc::new(|subject, _| Box::pin(async move { subject.username == "flux" })),
        };
        let leaving = watch::Sender::new(false);
        let told = leaving.subscribe();
        tokio::spawn(serve(TlsListener::new(listener, receiver).unwrap(), knowledge, told));
        Served { address, authority: generation.authority, ready, leaving, configs }
    }

    async fn connect(
        served: &Served,
        authority: &str,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Sends a request; gives back status and body.
    async fn ask(served: &Served, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let stream = connect(served, &served.authority).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = http_body_util::Full::new(Bytes::copy_from_slice(body));
        let request =
            hyper::Request::builder().method(method).uri(path).header("host", "x").body(body).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let code = answer.status().as_u16();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        (code, String::from_utf8_lossy(&body).into_owned())
    }

    fn review(object: &Value, user: &str) -> Vec<u8> {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u-1", "object": object, "oldObject": null, "userInfo": {"username": user}},
        })
        .to_string()
        .into_bytes()
    }

    fn patch(body: &str) -> Value {
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&answer["response"]["uid"], &answer["response"]["allowed"]),
            (&json!("u-1"), &json!(true))
        );
        let patch = answer["response"]["patch"].clone();
        let bytes: Option<k8s_openapi::ByteString> = serde_json::from_value(patch).unwrap();
        bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes.0).unwrap())
    }

    #[tokio::test]
    async fn who_leaves_answers_once_a_connection() {
        let served = served().await;
        let stream = connect(&served, &served.authority).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for (leaves, last) in [(false, None), (false, None), (true, Some("close"))] {
            served.leaving.send_replace(leaves);
            sender.ready().await.unwrap();
            let body = http_body_util::Full::new(Bytes::from(review(&json!({}), "anna")));
            let request =
                hyper::Request::builder().method("POST").uri("/pods").header("host", "x").body(body).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
            let said = answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(said.as_deref(), last);
            http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
        }
        assert!(sender.ready().await.is_err(), "the connection is closed");
        // Another one is still taken.
        assert_eq!(ask(&served, "POST", "/pods", &review(&json!({}), "anna")).await.0, 200);
    }

    #[tokio::test]
    async fn reviews_are_answered_and_garbage_is_not() {
        let served = served().await;
        let pod = |name: &str| json!({"metadata": {"labels": {"poros.dataos.io/compute": name}}, "spec": {}});
        let (code, body) = ask(&served, "POST", "/pods", &review(&pod("query"), "anna")).await;
        assert_eq!((code, patch(&body).as_array().unwrap().len()), (200, 4), "{body}");
        let (code, body) = ask(&served, "POST", "/pods", &review(&pod("nobody"), "anna")).await;
        assert_eq!((code, patch(&body)), (200, Value::Null));
        let (code, body) = ask(&served, "POST", "/pods", &review(&json!(["no pod"]), "anna")).await;
        assert_eq!((code, patch(&body)), (200, Value::Null));
        let compute = json!({"metadata": {"name": "c"}, "spec": {"owner": "bob"}});
        for (user, owner) in [("anna", json!("anna")), ("flux", Value::Null)] {
            let (_, body) = ask(&served, "POST", "/computes", &review(&compute, user)).await;
            assert_eq!(
                patch(&body).pointer("/0/path").is_some_and(|path| path == "/spec/owner"),
                owner != Value::Null
            );
        }
        for garbage in
            [&b""[..], b"{}", b"\0\xff", b"[1", b"{\"apiVersion\":\"admission.k8s.io/v1\",\"request\":7}"]
        {
            assert_eq!(ask(&served, "POST", "/pods", garbage).await.0, 400);
            assert_eq!(ask(&served, "POST", "/computes", garbage).await.0, 400);
        }
        assert_eq!(ask(&served, "POST", "/other", b"{}").await.0, 404);
        assert_eq!(ask(&served, "GET", "/pods", b"").await.0, 405);
        assert_eq!(ask(&served, "POST", "/pods", &vec![b' '; BODY_LIMIT + 1]).await.0, 413);
        // None of it hurt.
        assert_eq!(ask(&served, "POST", "/pods", &review(&pod("query"), "anna")).await.0, 200);
    }

    #[tokio::test]
    async fn who_has_not_listed_does_not_answer() {
        let served = served().await;
        served.ready.store(false, Ordering::Relaxed);
        let (code, body) = ask(&served, "POST", "/pods", &review(&json!({}), "anna")).await;
        assert!(code == 503 && body.contains("not listed yet: computes"), "{code} {body}");
    }

    #[tokio::test]
    async fn a_new_certificate_is_served_without_a_restart() {
        let served = served().await;
        connect(&served, &served.authority).await.unwrap();
        let next = generation();
        served.configs.send_replace(Some(tls::config(&next).unwrap()));
        connect(&served, &next.authority).await.unwrap();
        assert!(connect(&served, &served.authority).await.is_err(), "the old authority did not sign it");
        let unfit = crate::decide::certificate::Generation { key: generation().key, ..next.clone() };
        let garbage = crate::decide::certificate::Generation { key: "-----BEGIN".into(), ..next };
        for broken in [unfit, garbage] {
            let error = tls::config(&broken).unwrap_err();
            assert!(!format!("{error:?}").contains(&broken.key), "{error:?}");
        }
    }
}

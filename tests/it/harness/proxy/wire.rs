//! The proxy on the wire: TLS on both sides, HTTP/1.1, and a connection of its own to the API server for each request,
//! so that none outlives a restart of it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Act, Face, Frames, Order, Point, Said, Seen, Shared, harm};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;
type Orders = broadcast::Receiver<(Order, Option<&'static str>)>;

/// How long Poros has to read a reply before it is killed after it.
const READ: Duration = Duration::from_millis(3);

/// The API server.
#[derive(Clone)]
pub(super) struct Upstream {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr, authority: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, tls: Arc::new(config).into() }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::from(self.address.ip()), stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

pub(super) async fn accept(
    listener: TcpListener,
    acceptors: Vec<(Face, TlsAcceptor)>,
    upstream: Upstream,
    shared: Arc<Shared>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        if shared.outage() {
            continue;
        }
        let face = shared.face();
        let Some((_, tls)) = acceptors.iter().find(|(shown, _)| *shown == face) else { continue };
        let (tls, upstream, shared) = (tls.clone(), upstream.clone(), shared.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let (mut hang_ups, under_way) = (shared.hang_ups.subscribe(), AtomicU32::new(0));
            let service = service_fn(|request| counted(request, face, &upstream, &shared, &under_way));
            // An error of the service is meant: it closes the connection without a reply.
            let served =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let mut served = pin!(served);
            loop {
                tokio::select! {
                    _ = &mut served => return,
                    _ = hang_ups.recv() => if under_way.load(Ordering::Relaxed) == 0 { return },
                }
            }
        });
    }
}

/// Answers, and keeps count of what is under way on a connection.
async fn counted(
    request: Request<Incoming>,
    face: Face,
    upstream: &Upstream,
    shared: &Arc<Shared>,
    under_way: &AtomicU32,
) -> Result<Response<Body>, Failure> {
    under_way.fetch_add(1, Ordering::Relaxed);
    let answer = answer(request, face, upstream, shared).await;
    under_way.fetch_sub(1, Ordering::Relaxed);
    answer
}

async fn answer(
    request: Request<Incoming>,
    face: Face,
    upstream: &Upstream,
    shared: &Arc<Shared>,
) -> Result<Response<Body>, Failure> {
    if shared.outage() {
        return Err("the API server cannot be reached".into());
    }
    // What a killed process had still sent is lost with it.
    if shared.deaf() {
        return never().await;
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let seen = read(&head, &body);
    let (watch, resource) = (seen.watch, seen.resource.clone());
    let list = (seen.verb == "GET" && seen.name.is_empty() && !watch).then(|| seen.query.clone());
    let taken = taken(&head, shared);
    // Before the request is noted: an order that is given when it was seen is for its watch, too.
    let orders = shared.orders.subscribe();
    // A connection that was being made, or was in use, while the face changed shows what the proxy does not show now.
    let Some((at, act)) = shared.note(seen, face) else {
        return Err("the proxy shows another face now".into());
    };
    if !taken {
        return Ok(said(Said::status(401)));
    }
    match act {
        Some(Act::Kill(Point::Before, pid)) => {
            shared.kill(pid);
            return never().await;
        }
        Some(Act::Answer(code)) => return Ok(said(Said::status(code))),
        Some(Act::Say(answer)) if !answer.effect => return Ok(said(answer)),
        Some(Act::LoseRequest) => return Err("the request is lost".into()),
        Some(Act::Hold(time)) => tokio::time::sleep(time).await,
        Some(Act::Late) => {
            tokio::spawn(late(
                Request::from_parts(head, Full::new(body)),
                upstream.clone(),
                shared.clone(),
                at,
            ));
            return never().await;
        }
        _ => {}
    }
    let reply = upstream.forward(Request::from_parts(head, Full::new(body))).await?;
    shared.answered(at, reply.status().as_u16());
    let (head, body) = reply.into_parts();
    if watch && head.status.is_success() {
        let body = tapped(body, resource.clone(), orders);
        let body = match shared.frame_rewrite(&resource) {
            Some(rewrite) => rewritten(body, rewrite),
            None => body,
        };
        return Ok(Response::from_parts(
            head,
            match act {
                Some(Act::CutReply(after)) => cut(body, after),
                _ => body,
            },
        ));
    }
    let mut body = body.collect().await?.to_bytes();
    if let (Some(query), Some(rewrite)) = (list, shared.list_rewrite(&resource))
        && head.status.is_success()
    {
        let list = rewrite(&query, serde_json::from_slice(&body).unwrap());
        return Ok(plain(200, whole(list.to_string())));
    }
    match act {
        Some(Act::Kill(Point::AfterCommit, pid)) => {
            shared.kill(pid);
            return never().await;
        }
        Some(Act::Kill(Point::AfterReply, pid)) => {
            let shared = shared.clone();
            // Nothing that Poros sends after it read the reply gets through.
            shared.deafen();
            tokio::spawn(async move {
                tokio::time::sleep(READ).await;
                shared.kill(pid);
            });
        }
        Some(Act::LoseReply) => return Err("the reply is lost".into()),
        Some(Act::HoldReply(time)) => tokio::time::sleep(time).await,
        Some(Act::Say(answer)) => return Ok(said(answer)),
        Some(Act::CutReply(after)) => {
            // What was announced never comes.
            return Ok(Response::from_parts(head, cut(whole(body), after)));
        }
        Some(Act::Drip(pause)) => {
            let drops = stream::unfold(body.split_off(0), move |mut left| async move {
                tokio::time::sleep(pause).await;
                let rest = (!left.is_empty()).then(|| left.split_off(1))?;
                Some((Ok(Frame::data(left)), rest))
            });
            return Ok(Response::from_parts(head, StreamBody::new(drops).boxed_unsync()));
        }
        _ => {}
    }
    Ok(Response::from_parts(head, whole(body)))
}

/// Forwards a request when the test says so; nobody hears the reply.
async fn late(request: Request<Full<Bytes>>, upstream: Upstream, shared: Arc<Shared>, at: usize) {
    let released = shared.released.subscribe().wait_for(|released| *released).await.is_ok();
    if released && let Ok(reply) = upstream.forward(request).await {
        shared.answered(at, reply.status().as_u16());
    }
}

fn taken(head: &hyper::http::request::Parts, shared: &Shared) -> bool {
    shared.takes(head.headers.get("authorization").and_then(|value| value.to_str().ok()))
}

fn plain(code: u16, body: Body) -> Response<Body> {
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

async fn never() -> Result<Response<Body>, Failure> {
    std::future::pending().await
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer in the API server's place.
fn said(answer: Said) -> Response<Body> {
    let mut builder = Response::builder().status(answer.code).header("content-type", "application/json");
    if let Some((name, value)) = answer.header {
        builder = builder.header(name, value);
    }
    let body = match answer.body {
        harm::Body::Status => whole(status(answer.code).to_string()),
        harm::Body::Text(text) => whole(text),
        harm::Body::Deep(depth) => whole(format!(r#"{{"items":{}"#, "[".repeat(depth))),
        harm::Body::Large(bytes) => {
            const PART: usize = 1 << 20;
            let parts = stream::unfold(bytes, |left| async move {
                let part = Bytes::from(vec![b' '; PART]);
                (left > 0).then(|| (Ok(Frame::data(part)), left.saturating_sub(PART)))
            });
            StreamBody::new(parts).boxed_unsync()
        }
    };
    builder.body(body).unwrap()
}

/// A body that breaks off after so many bytes.
fn cut(body: Body, after: usize) -> Body {
    let stream = stream::unfold(Some((body, after)), |state| async move {
        let (mut body, left) = state?;
        if left == 0 {
            return Some((Err("the reply is cut".into()), None));
        }
        let frame: Result<Frame<Bytes>, Failure> = body.frame().await?;
        let frame = frame.map(|frame| match frame.into_data() {
            Ok(mut data) => {
                data.truncate(left);
                data
            }
            Err(_) => Bytes::new(),
        });
        let next = frame.as_ref().ok().map(|data| (body, left - data.len()));
        Some((frame.map(Frame::data), next))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// A watch whose events are rewritten, line by line.
fn rewritten(body: Body, rewrite: Frames) -> Body {
    let stream = stream::unfold((body, Vec::new(), rewrite), |(mut body, mut kept, rewrite)| async move {
        loop {
            let frame: Result<Frame<Bytes>, Failure> = body.frame().await?;
            let data = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => return Some((Err(error), (body, kept, rewrite))),
            };
            kept.extend_from_slice(&data);
            let mut out = String::new();
            while let Some(end) = kept.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = kept.drain(..=end).collect();
                let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
                let events = (rewrite.lock().unwrap())(event);
                out.extend(events.iter().map(|event| format!("{event}\n")));
            }
            if !out.is_empty() {
                return Some((Ok(Frame::data(Bytes::from(out))), (body, kept, rewrite)));
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

fn status(code: u16) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "said by the fault proxy", "reason": reason, "code": code,
    })
}

/// The body of a watch, as it comes, until an order is given.
fn tapped(body: Incoming, resource: String, orders: Orders) -> Body {
    let state = Some((body, resource, orders, false));
    let stream = stream::unfold(state, |state| async move {
        let (mut body, resource, mut orders, mut silent) = state?;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Ok((_, Some(of))) if of != resource => {}
                    Ok((Order::Cut, _)) | Err(_) => return Some((Err("the watch is cut".into()), None)),
                    Ok((Order::Expire, _)) => {
                        let event = json!({"type": "ERROR", "object": status(410)});
                        return Some((Ok(Frame::data(format!("{event}\n").into())), None));
                    }
                    Ok((Order::Silence, _)) => silent = true,
                },
                frame = body.frame(), if !silent => {
                    let frame: Result<Frame<Bytes>, Failure> = frame?.map_err(Into::into);
                    let next = frame.is_ok().then_some((body, resource, orders, silent));
                    return Some((frame, next));
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// What is asked, from `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUBRESOURCE]]`.
fn read(head: &hyper::http::request::Parts, body: &[u8]) -> Seen {
    let mut parts: Vec<&str> = head.uri.path().split('/').skip(1).collect();
    parts.drain(..parts.len().min(if parts[0] == "api" { 2 } else { 3 }));
    if parts.len() > 2 && parts[0] == "namespaces" {
        parts.drain(..2);
    }
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let resource = if parts.len() > 2 { format!("{}/{}", part(0), part(2)) } else { part(0).to_owned() };
    // A create has its name in the body alone.
    let named = || Some(serde_json::from_slice::<Value>(body).ok()?["metadata"]["name"].as_str()?.to_owned());
    let name = if parts.len() > 1 { part(1).to_owned() } else { named().unwrap_or_default() };
    let query = head.uri.query().unwrap_or_default();
    let asks = |word: &str| query.split('&').any(|pair| pair.starts_with(word));
    Seen {
        write: None,
        verb: head.method.to_string(),
        resource,
        name,
        watch: asks("watch=") && !asks("watch=false"),
        dry_run: asks("dryRun="),
        query: query.to_owned(),
        answer: None,
        act: None,
        at: Duration::ZERO,
    }
}

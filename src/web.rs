//! Health and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::telemetry::Metrics;

/// Why there is no health endpoint.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Says what is not ready yet; empty when all is.
pub type Unready = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Listens; gives back the address, of which a port 0 was replaced by a free one, and what serves on it.
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    unready: Unready,
) -> Result<(SocketAddr, impl Future<Output = std::io::Result<()>>), ServeError> {
    let listener =
        TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let local = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&unready()) }))
        .route("/metrics", get(move || async move { rendered(&metrics) }));
    Ok((local, axum::serve(listener, app).into_future()))
}

fn ready(missing: &[String]) -> (StatusCode, String) {
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".into());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; ")))
}

fn rendered(metrics: &Metrics) -> ([(header::HeaderName, &'static str); 1], String) {
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, openmetrics)], metrics.render())
}

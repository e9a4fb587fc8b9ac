//! Health and metrics over HTTP.

pub mod states;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use thiserror::Error;

use crate::decide::observed::Compute;
use crate::listen::listen;
use crate::telemetry::Metrics;
use crate::web::states::{Group, States};

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

/// Whether all is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// What is not ready yet; empty when all is.
    pub missing: Vec<String>,
    /// What should be known, but keeps nothing from being ready.
    pub remarks: Vec<String>,
}

/// What is served about the Computes.
#[derive(Clone)]
pub struct Scrape {
    /// Counters.
    pub metrics: Metrics,
    /// All Computes as they are known now; none where another process tells of them.
    pub computes: Arc<dyn Fn() -> Option<Vec<Arc<Compute>>> + Send + Sync>,
    /// What is told of them.
    pub groups: BTreeSet<Group>,
}

/// Listens; gives back the address, of which a port 0 was replaced by a free one, and what serves on it.
pub async fn serve(
    address: SocketAddr,
    scrape: Scrape,
    readiness: impl Fn() -> Readiness + Clone + Send + Sync + 'static,
) -> Result<(SocketAddr, impl Future<Output = std::io::Result<()>>), ServeError> {
    let listener = listen(address).await.map_err(|source| ServeError::Listen { address, source })?;
    let local = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&readiness()) }))
        .route("/metrics", get(move || rendered(scrape.clone())));
    Ok((local, axum::serve(listener, app).into_future()))
}

fn ready(Readiness { missing, remarks }: &Readiness) -> (StatusCode, String) {
    let (code, mut lines) = match missing.as_slice() {
        [] => (StatusCode::OK, vec!["ok".to_owned()]),
        missing => {
            (StatusCode::SERVICE_UNAVAILABLE, missing.iter().map(|why| format!("not ready: {why}")).collect())
        }
    };
    lines.extend(remarks.iter().cloned());
    (code, lines.join("\n") + "\n")
}

/// All metrics. Written down apart from the threads that make passes: with 10,000 Computes that takes a while.
async fn rendered(scrape: Scrape) -> Result<([(header::HeaderName, &'static str); 1], String), StatusCode> {
    let text = tokio::task::spawn_blocking(move || {
        let states = match (scrape.computes)() {
            Some(computes) => States::new(computes, scrape.groups),
            None => States::default(),
        };
        scrape.metrics.render(Box::new(states))
    });
    let text = text.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, openmetrics)], text))
}

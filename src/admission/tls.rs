//! TLS of the webhook: each new connection is served by the newest certificate that was set. No restart is needed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::decide::certificate::Generation;

/// The longest that a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at one time; more of them wait.
const HANDSHAKES: usize = 64;
/// The pause after a connection that could not be taken (too many open files, say).
const PAUSE: Duration = Duration::from_millis(100);

/// Why a certificate cannot be served. Keys are never told.
#[derive(Debug, Error)]
pub enum TlsError {
    /// It is no PEM.
    #[error("the stored {what} of the webhook cannot be read; delete the Secret, and Poros makes new ones")]
    Pem {
        /// The certificate or its key.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The certificate and its key do not fit.
    #[error(
        "the stored certificate of the webhook cannot be served; delete the Secret, and Poros makes new ones"
    )]
    Unfit(#[source] rustls::Error),
}

/// What serves a generation.
pub fn config(generation: &Generation) -> Result<Arc<ServerConfig>, TlsError> {
    let certificate = CertificateDer::from_pem_slice(generation.certificate.as_bytes())
        .map_err(|source| TlsError::Pem { what: "certificate", source })?;
    let key = PrivateKeyDer::from_pem_slice(generation.key.as_bytes())
        .map_err(|source| TlsError::Pem { what: "key", source })?;
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unfit)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map(Arc::new)
        .map_err(TlsError::Unfit)
}

/// Connections that made their handshake.
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    /// Takes connections, and makes their handshakes beside each other. Until there is a certificate they wait.
    pub fn new(
        listener: TcpListener,
        configs: watch::Receiver<Option<Arc<ServerConfig>>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        let accepting = tokio::spawn(accept(listener, configs, sender));
        Ok(Self { address, ready, accepting })
    }
}

async fn accept(
    listener: TcpListener,
    configs: watch::Receiver<Option<Arc<ServerConfig>>>,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!("a connection to the webhook could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (mut configs, sender) = (configs.clone(), sender.clone());
        tokio::spawn(async move {
            let handshake = async {
                let config = configs.wait_for(Option::is_some).await.ok()?.clone()?;
                TlsAcceptor::from(config).accept(stream).await.ok()
            };
            if let Ok(Some(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await {
                // Nobody takes it where the server has just stopped.
                let _ = sender.send((stream, from)).await;
            }
            drop(slot);
        });
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The other end lives as long as this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

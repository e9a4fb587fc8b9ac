//! Puts the token that a program printed into each request, and runs the program again before it expires.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use kube::config::{ExecAuthCluster, ExecConfig};
use tokio::sync::Mutex;
use tower::{BoxError, Service, ServiceExt as _};

use crate::cluster::client::plugin::{self, Credential, PluginError};

/// A token that expires within this time is not used any more: the request takes a while, and clocks differ.
const EARLY: SignedDuration = SignedDuration::from_secs(30);

/// A program that logs in, and what it printed last.
pub(super) struct Plugin {
    exec: ExecConfig,
    told: Option<ExecAuthCluster>,
    unattended: bool,
    held: Mutex<Held>,
}

struct Held {
    header: Option<HeaderValue>,
    expires: Option<Timestamp>,
}

impl Plugin {
    /// Runs the program for the first time. The certificate is for the whole connection.
    pub(super) async fn start(
        exec: ExecConfig,
        told: Option<ExecAuthCluster>,
        unattended: bool,
    ) -> Result<(Arc<Self>, Option<(String, String)>), PluginError> {
        let mut credential = run(&exec, told.as_ref(), unattended).await?;
        let certificate = credential.certificate.take();
        let held = Mutex::new(held(&exec, credential)?);
        Ok((Arc::new(Self { exec, told, unattended, held }), certificate))
    }

    async fn header(&self) -> Result<Option<HeaderValue>, PluginError> {
        let mut now = self.held.lock().await;
        let expired = now.expires.is_some_and(|expires| Timestamp::now() + EARLY >= expires);
        // A certificate cannot be replaced on a connection that stands.
        if expired && now.header.is_some() {
            *now = held(&self.exec, run(&self.exec, self.told.as_ref(), self.unattended).await?)?;
        }
        Ok(now.header.clone())
    }
}

fn held(exec: &ExecConfig, credential: Credential) -> Result<Held, PluginError> {
    let header = credential.token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose();
    let mut header = header.map_err(|_| PluginError::Unreadable {
        command: exec.command.clone().unwrap_or_default(),
        why: "its token holds what no token may".into(),
    })?;
    if let Some(header) = &mut header {
        header.set_sensitive(true);
    }
    Ok(Held { header, expires: credential.expires })
}

async fn run(
    exec: &ExecConfig,
    told: Option<&ExecAuthCluster>,
    unattended: bool,
) -> Result<Credential, PluginError> {
    let (exec, told) = (exec.clone(), told.cloned());
    let command = exec.command.clone().unwrap_or_default();
    let ran = tokio::task::spawn_blocking(move || plugin::run(&exec, told.as_ref(), unattended)).await;
    ran.map_err(|error| PluginError::Start { command, source: std::io::Error::other(error) })?
}

/// A client whose requests bear the token.
pub(super) struct LoggedIn<S> {
    inner: Arc<Mutex<S>>,
    plugin: Arc<Plugin>,
}

impl<S> LoggedIn<S> {
    pub(super) fn new(inner: S, plugin: Arc<Plugin>) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), plugin }
    }
}

impl<S> Service<Request<Body>> for LoggedIn<S>
where
    S: Service<Request<Body>, Error = BoxError> + Send + 'static,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (inner, plugin) = (self.inner.clone(), self.plugin.clone());
        async move {
            if let Some(header) = plugin.header().await? {
                request.headers_mut().insert(AUTHORIZATION, header);
            }
            // Held until the request is on its way, not until it is answered.
            let answer = inner.lock().await.ready().await?.call(request);
            answer.await
        }
        .boxed()
    }
}

//! The connection: in-cluster, or by kubeconfig as kubectl reads it.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use http::{Request, Response};
use http_body_util::Limited;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tower::Service;
use tower::layer::layer_fn;

/// A connection on which nothing came for so long while an answer was due is dead. Watches end after 60 s at the latest,
/// so a live one is never silent for longer.
const SILENCE: Duration = Duration::from_secs(75);
/// The largest answer that is read, in bytes. A page of a list is far below it, even one of the largest objects that
/// people can make; what is above it would only cost memory. A watch has no such limit: of its stream only a line is held.
const LARGEST_ANSWER: usize = 128 << 20;

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster is configured: set KUBECONFIG, or run inside a cluster")]
    Absent(#[source] Box<InClusterError>),
    /// A kubeconfig was found, and cannot be used.
    #[error("the kubeconfig that {place} cannot be used; mend it, or name another with --kubeconfig")]
    Broken {
        /// Where it comes from.
        place: &'static str,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The named kubeconfig cannot be used.
    #[error("the kubeconfig {path:?} cannot be used")]
    Kubeconfig {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The client could not be made.
    #[error("the client for {url} could not be made")]
    Client {
        /// The API server.
        url: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Makes the client. Retries are the queue's, so the client makes none: it would repeat writes that took effect.
pub async fn connect(kubeconfig: Option<&std::path::Path>) -> Result<Client, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await.map_err(|source| ConnectError::Kubeconfig {
            path: path.display().to_string(),
            source: Box::new(source),
        })?,
        None => inferred().await?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    // kube waits for ever otherwise, also for the answer to a watch that an API server accepted and forgot.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let url = config.cluster_url.to_string();
    let builder = ClientBuilder::try_from(config);
    let builder = builder.map_err(|source| ConnectError::Client { url, source: Box::new(source) })?;
    Ok(builder.with_layer(&layer_fn(LimitAnswers)).build())
}

/// Reads no answer for ever, but those that are streams.
#[derive(Clone, Debug)]
struct LimitAnswers<S>(S);

impl<S> Service<Request<Body>> for LimitAnswers<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>>,
    S::Future: Send + 'static,
{
    type Response = Response<Limited<Box<DynBody>>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let most = largest_answer(&request);
        self.0.call(request).map_ok(move |response| response.map(|body| Limited::new(body, most))).boxed()
    }
}

fn largest_answer<T>(request: &Request<T>) -> usize {
    let mut parameters = request.uri().query().unwrap_or_default().split('&');
    if parameters.any(|parameter| parameter == "watch=true") { usize::MAX } else { LARGEST_ANSWER }
}

/// As kubectl reads it, else the service account of the pod. A kubeconfig that is there and broken is an error: another
/// cluster than the one that was meant would be worse.
async fn inferred() -> Result<Config, ConnectError> {
    let broken = match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let named = std::env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty());
    let absent = match &broken {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(why, _) => why.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    if absent && !named {
        return Config::incluster().map_err(|source| ConnectError::Absent(Box::new(source)));
    }
    let place = if named { "KUBECONFIG names" } else { "is in its usual place" };
    Err(ConnectError::Broken { place, source: Box::new(broken) })
}

async fn from_file(path: &std::path::Path) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    let authority = authority_file(&kubeconfig);
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // Read anew once a minute, as in a cluster: an authority may be replaced while Poros runs.
    config.root_cert_file = authority;
    Ok(config)
}

/// The file of the cluster's authority, where the kubeconfig names one and does not hold it itself.
fn authority_file(kubeconfig: &Kubeconfig) -> Option<std::path::PathBuf> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *current)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    let cluster = cluster.cluster.as_ref()?;
    if cluster.certificate_authority_data.is_some() {
        return None;
    }
    cluster.certificate_authority.as_ref().map(Into::into)
}

#[cfg(test)]
mod tests {
    use kube::api::{ListParams, WatchParams};

    use super::*;

    #[test]
    fn a_list_is_limited_and_a_watch_is_not() {
        let pods = kube::core::Request::new("/api/v1/pods");
        let list = pods.list(&ListParams::default().limit(250)).unwrap();
        assert_eq!(largest_answer(&list), LARGEST_ANSWER);
        let one = pods.get("watch=true", &kube::api::GetParams::default()).unwrap();
        assert_eq!(largest_answer(&one), LARGEST_ANSWER);
        let watch = pods.watch(&WatchParams::default(), "7").unwrap();
        assert_eq!(largest_answer(&watch), usize::MAX);
    }
}

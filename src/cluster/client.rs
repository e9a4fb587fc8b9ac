//! The connection: in-cluster, or by kubeconfig as kubectl reads it.

mod answers;
mod asked;

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tower::layer::layer_fn;

use crate::cluster::client::answers::Answers;
pub use crate::cluster::client::answers::Tell;
pub use crate::cluster::client::asked::Asked;

/// A connection on which nothing came for so long while an answer was due is dead. Watches end after 60 s at the latest,
/// so a live one is never silent for longer.
const SILENCE: Duration = Duration::from_secs(75);
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

/// Makes the client; `tell` is told of each request. Retries are the queue's, so the client makes none: it would repeat
/// writes that took effect.
pub async fn connect(kubeconfig: Option<&std::path::Path>, tell: Tell) -> Result<Client, ConnectError> {
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
    Ok(builder.with_layer(&layer_fn(|inner| Answers { inner, tell: tell.clone() })).build())
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

//! The connection: in-cluster, or by kubeconfig as kubectl reads it.

use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

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
    let url = config.cluster_url.to_string();
    Client::try_from(config).map_err(|source| ConnectError::Client { url, source: Box::new(source) })
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
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await
}

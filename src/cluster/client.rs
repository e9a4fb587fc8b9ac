//! The connection: by kubeconfig as kubectl reads it, else by the service account of the pod.

mod access;
mod again;
mod answers;
mod asked;
mod kubeconfig;
mod login;
mod place;
mod plugin;
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, InClusterError};
use kube::{Client, Config};
use thiserror::Error;
use tower::buffer::BufferLayer;
use tower::layer::layer_fn;
use tower::layer::util::Stack;
use tower::retry::RetryLayer;
use tower::util::option_layer;

pub use crate::cluster::client::access::{Access, ChooseError};
use crate::cluster::client::again::Again;
pub use crate::cluster::client::answers::Tell;
use crate::cluster::client::answers::{Answers, Limits};
pub use crate::cluster::client::asked::Asked;
pub use crate::cluster::client::kubeconfig::ReadError;
use crate::cluster::client::login::{LoggedIn, Plugin};
pub use crate::cluster::client::place::{Login, NoAnswer, Place, Unknown, Why};
pub use crate::cluster::client::plugin::PluginError;

/// The longest that a write, or a read of one object, may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection on which nothing came for so long while an answer was due is dead. Watches end after 60 s at the latest,
/// so a live one is never silent for longer.
const SILENCE: Duration = Duration::from_secs(75);
/// How many requests may wait to be made, where they may be made again.
const WAITING: usize = 64;
/// The longest that a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster is configured: set KUBECONFIG, or run inside a cluster")]
    Absent(#[source] Box<InClusterError>),
    /// The kubeconfig cannot be used.
    #[error(transparent)]
    Kubeconfig(ReadError),
    /// What was asked for cannot be.
    #[error(transparent)]
    Choose(ChooseError),
    /// The login by a program failed.
    #[error("no login at the API server {place}")]
    Login {
        /// Where.
        place: Box<Place>,
        /// Why.
        #[source]
        source: PluginError,
    },
    /// The client could not be made.
    #[error("the client for the API server {place} could not be made")]
    Client {
        /// Where.
        place: Box<Place>,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Makes the client; `tell` is told of each request. Retries are the queue's; for who has none, the client makes them where
/// nothing took effect.
pub async fn connect(access: &Access, tell: Tell) -> Result<Client, ConnectError> {
    let kubeconfig = kubeconfig::read(access.kubeconfig.as_deref()).map_err(ConnectError::Kubeconfig)?;
    let (mut config, exec, place) = match kubeconfig {
        None if access.server.is_none() && access.context.is_none() && access.cluster.is_none() => {
            let config = Config::incluster();
            let mut config = config.map_err(|source| ConnectError::Absent(Box::new(source)))?;
            access::act_as(access, &mut config.auth_info).map_err(ConnectError::Choose)?;
            (config, None, None)
        }
        kubeconfig => {
            let variable = |name: &str| std::env::var(name).ok();
            let chosen = access::choose(access, &kubeconfig.unwrap_or_default(), variable);
            let chosen = chosen.map_err(ConnectError::Choose)?;
            (chosen.config, chosen.exec.map(|exec| (exec, chosen.told)), Some(chosen.place))
        }
    };
    let place = place.unwrap_or_else(|| in_cluster(&config));
    let plugin = match exec {
        None => None,
        Some((exec, told)) => {
            let started = Plugin::start(exec, told, access.unattended).await;
            let (plugin, certificate) =
                started.map_err(|source| ConnectError::Login { place: Box::new(place.clone()), source })?;
            if let Some((certificate, key)) = certificate {
                bear(&mut config.auth_info, certificate, key);
            }
            Some(plugin)
        }
    };
    let limits = Limits {
        connect: CONNECT_TIMEOUT,
        call: access.request_timeout.unwrap_or(CALL_TIMEOUT),
        list: access.request_timeout,
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // kube waits for ever otherwise, also for the answer to a watch that an API server accepted and forgot.
    config.read_timeout = Some(SILENCE.max(limits.call));
    config.reset_reader_on_write = true;
    let place = Arc::new(place);
    let builder = ClientBuilder::try_from(config).map_err(|source| ConnectError::Client {
        place: Box::new((*place).clone()),
        source: Box::new(source),
    })?;
    let login = plugin.map(|plugin| layer_fn(move |inner| LoggedIn::new(inner, plugin.clone())));
    let answers = layer_fn(move |inner| Answers { inner, tell: tell.clone(), place: place.clone(), limits });
    // A request that may be made again needs a service that can be cloned.
    let again =
        access.again.then(|| Stack::new(BufferLayer::new(WAITING), RetryLayer::new(Again::default())));
    Ok(builder.with_layer(&option_layer(login)).with_layer(&answers).with_layer(&option_layer(again)).build())
}

fn in_cluster(config: &Config) -> Place {
    let login = config.auth_info.token_file.clone().map_or(Login::None, Login::File);
    Place { url: access::bare(&config.cluster_url), login, ..Place::default() }
}

/// Logs in with a certificate, given as PEM.
fn bear(user: &mut AuthInfo, certificate: String, key: String) {
    // As the kubeconfig would hold them: in base64.
    let base64 = |pem: String| match serde_json::to_value(ByteString(pem.into_bytes())) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    };
    user.client_certificate_data = Some(base64(certificate));
    user.client_key_data = Some(base64(key).into());
}

//! Which API server is asked, by which way and as whom; and why there was no answer, or none but "who are you?".

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;
use thiserror::Error;
use tokio_rustls::rustls::{CertificateError, Error as TlsError, InvalidMessage};
use tower::BoxError;

/// Which API server is asked, by which way, and as whom. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its URL.
    pub url: String,
    /// The context of the kubeconfig; none in a cluster.
    pub context: Option<String>,
    /// The user of the kubeconfig.
    pub user: Option<String>,
    /// How that user logs in.
    pub login: Login,
    /// The proxy, without user and password.
    pub proxy: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        match &self.context {
            Some(context) => write!(f, " (context {context:?})"),
            None => Ok(()),
        }
    }
}

/// How somebody logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// With a token, or name and password, that the kubeconfig holds.
    Held,
    /// With a token in this file.
    File(String),
    /// With a certificate.
    Certificate,
    /// With what this program prints.
    Plugin(String),
}

/// There was no answer.
#[derive(Debug, Error)]
#[error("the API server {place} {why}")]
pub struct NoAnswer {
    /// Where from.
    pub place: Arc<Place>,
    /// Why.
    pub why: Why,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody listens there.
    Refused,
    /// Its name has no address.
    Unresolved,
    /// No way leads there.
    Unroutable(String),
    /// Nobody took the connection, in this time.
    Unconnected(Duration),
    /// Its certificate is not to be trusted.
    Untrusted(String),
    /// It wants no such TLS.
    Tls(String),
    /// The proxy did not let the connection through.
    Proxy(String),
    /// It took the request and did not answer, in this time.
    Silent(Duration),
    /// The connection broke, or what came over it cannot be read.
    Broken(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("cannot be reached: nobody listens there (connection refused)"),
            Self::Unresolved => f.write_str("cannot be reached: its name has no address"),
            Self::Unroutable(why) => write!(f, "cannot be reached: {why}"),
            Self::Unconnected(limit) => {
                write!(f, "cannot be reached: it took no connection within {} s", limit.as_secs_f64())
            }
            Self::Untrusted(why) => write!(f, "is not trusted: {why}"),
            Self::Tls(why) => write!(f, "cannot be talked to by TLS: {why}"),
            Self::Proxy(why) => write!(f, "cannot be reached through its proxy {why}"),
            Self::Silent(limit) => write!(f, "did not answer within {} s", limit.as_secs_f64()),
            Self::Broken(why) => write!(f, "gave no answer: {why}"),
        }
    }
}

/// The API server does not know who asks.
#[derive(Debug, Error)]
#[error("the API server {place} does not know {}: the login is missing, expired or unknown (401)", who(.place))]
pub struct Unknown {
    /// Where, and as whom.
    pub place: Arc<Place>,
}

fn who(place: &Place) -> String {
    place.user.as_ref().map_or_else(|| "who asks".into(), |user| format!("user {user:?} of the kubeconfig"))
}

/// What became of a request that the client could not make, if it is one of the above; else the error itself.
pub(super) fn no_answer(error: BoxError, place: &Arc<Place>, connect_limit: Duration) -> BoxError {
    let connecting = cause::<ClientError>(&*error).is_some_and(ClientError::is_connect);
    let Some(why) = why(&*error, place, connecting.then_some(connect_limit)) else { return error };
    Box::new(NoAnswer { place: place.clone(), why })
}

fn why(error: &(dyn StdError + 'static), place: &Place, connecting: Option<Duration>) -> Option<Why> {
    if let Some(tls) = cause::<TlsError>(error) {
        return Some(match tls {
            TlsError::InvalidCertificate(why) => Why::Untrusted(distrust(why)),
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Why::Tls("what listens there does not speak it".into())
            }
            TlsError::AlertReceived(alert) => Why::Tls(format!("it ended the handshake ({alert:?})")),
            other => Why::Tls(other.to_string()),
        });
    }
    let io = cause::<io::Error>(error);
    let Some(limit) = connecting else {
        // A request that was never sent is none of these: a login that cannot be made, a client that is shut down.
        let broken =
            cause::<ClientError>(error).is_some() || io.is_some() || cause::<hyper::Error>(error).is_some();
        return broken.then(|| Why::Broken(deepest(error)));
    };
    if let Some(proxy) = &place.proxy {
        let why = deepest(error);
        let why = match why.strip_prefix("tunnel error: ").unwrap_or(&why) {
            "unsuccessful" => "it refuses the tunnel",
            why => why,
        };
        return Some(Why::Proxy(format!("{proxy}: {why}")));
    }
    if causes(error).any(|cause| cause.to_string() == "dns error") {
        return Some(Why::Unresolved);
    }
    Some(match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Why::Refused,
        Some(io::ErrorKind::TimedOut) => Why::Unconnected(limit),
        _ => Why::Unroutable(deepest(error)),
    })
}

/// Why a certificate is not trusted, where the library's words are none.
fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "nobody who is trusted signed its certificate".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".into()
        }
        other => other.to_string(),
    }
}

/// An error and its causes. What an [`io::Error`] holds, it hides as its cause.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn deepest(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

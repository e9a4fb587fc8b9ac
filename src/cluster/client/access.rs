//! Which cluster, by which way, and as whom: what somebody asks for over what the kubeconfig says, by kubectl's rules.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use k8s_openapi::ByteString;
use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, ExecAuthCluster, ExecConfig, Kubeconfig};
use thiserror::Error;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::cluster::client::place::{Login, Place};
use crate::cluster::client::proxy::{self, ProxyError};

/// What somebody asks for. By default, all as the kubeconfig says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig. None: as kubectl finds it, else the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    pub context: Option<String>,
    /// The cluster of the kubeconfig, instead of the context's.
    pub cluster: Option<String>,
    /// The user of the kubeconfig, instead of the context's.
    pub user: Option<String>,
    /// The URL of the API server, instead of the cluster's.
    pub server: Option<String>,
    /// The file of the authority that is trusted, instead of the cluster's.
    pub certificate_authority: Option<PathBuf>,
    /// The name that the API server's certificate is to bear, instead of that in its URL.
    pub tls_server_name: Option<String>,
    /// Whether any certificate is taken.
    pub insecure: bool,
    /// Who to act as.
    pub impersonate: Option<String>,
    /// Of which groups.
    pub groups: Vec<String>,
    /// With which uid.
    pub uid: Option<String>,
    /// How long any request but a watch may take. None: [`super::CALL_TIMEOUT`], and for lists as long as
    /// something comes.
    pub request_timeout: Option<Duration>,
    /// Whether what the API server had no time for is asked again, a few times. Not for who has a queue of its own.
    pub again: bool,
    /// Whether nobody is there to answer a program that logs in, or to read what it says.
    pub unattended: bool,
}

/// Why what was asked for cannot be.
#[derive(Debug, Error)]
pub enum ChooseError {
    /// The kubeconfig has none of that name.
    #[error("the kubeconfig has no {what} named {name:?}")]
    Unknown {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that it has.
        known: Vec<String>,
        /// Whether a flag names it, not the kubeconfig itself.
        asked: bool,
    },
    /// The kubeconfig says which contexts there are, and not which is meant.
    #[error("the kubeconfig has no current context, and none was asked for")]
    Undecided {
        /// The contexts that it has.
        known: Vec<String>,
    },
    /// A cluster without an address.
    #[error("the kubeconfig gives cluster {0:?} no address (server)")]
    Addressless(String),
    /// An address that is none.
    #[error("the address of the API server is no URL: {0:?}")]
    Address(String),
    /// An authority that cannot be read.
    #[error("the authority of cluster {cluster:?} cannot be used: {why}")]
    Authority {
        /// The cluster.
        cluster: String,
        /// Why.
        why: String,
    },
    /// Groups or a uid, and nobody to act as.
    #[error("groups or a uid to act with go with a user to act as")]
    Nobody,
    /// A proxy that cannot be used.
    #[error("the API server cannot be asked through a proxy")]
    Proxy(#[source] ProxyError),
}

/// What was chosen.
#[derive(Debug)]
pub(super) struct Chosen {
    /// All but the login by a program.
    pub(super) config: Config,
    /// The login by a program.
    pub(super) exec: Option<ExecConfig>,
    /// What that program is told of the cluster, where it is to know.
    pub(super) told: Option<ExecAuthCluster>,
    pub(super) place: Place,
}

/// Chooses by kubeconfig; `variable` is the environment, for proxies.
pub(super) fn choose(
    access: &Access,
    kubeconfig: &Kubeconfig,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Chosen, ChooseError> {
    let current = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
    let (context_name, context) = match access.context.as_deref().or(current) {
        Some(name) => (Some(name.to_owned()), context(kubeconfig, name, access.context.is_some())?),
        // With a cluster or an address of its own, a request needs no context.
        None if access.cluster.is_some() || access.server.is_some() => (None, Context::default()),
        None => {
            return Err(ChooseError::Undecided { known: names(&kubeconfig.contexts, |named| &named.name) });
        }
    };
    let cluster_name = access.cluster.clone().unwrap_or_else(|| context.cluster.clone());
    let mut cluster = match kubeconfig.clusters.iter().find(|named| named.name == cluster_name) {
        Some(named) => named.cluster.clone().unwrap_or_default(),
        None if cluster_name.is_empty() && access.server.is_some() => Cluster::default(),
        None => {
            let known = names(&kubeconfig.clusters, |named| &named.name);
            let asked = access.cluster.is_some();
            return Err(ChooseError::Unknown { what: "cluster", name: cluster_name, known, asked });
        }
    };
    over(access, &mut cluster);
    let user_name = access.user.clone().or_else(|| context.user.clone()).filter(|name| !name.is_empty());
    let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == user_name.as_ref());
    if let (Some(name), None) = (&access.user, user) {
        let known = names(&kubeconfig.auth_infos, |named| &named.name);
        return Err(ChooseError::Unknown { what: "user", name: name.clone(), known, asked: true });
    }
    // A context may name a user that there is none of: kubectl asks as nobody then.
    let mut user = user.and_then(|named| named.auth_info.clone()).unwrap_or_default();
    act_as(access, &mut user)?;

    let mut config = configured(&cluster_name, &cluster)?;
    config.proxy_url = proxy::choose(cluster.proxy_url.as_deref(), variable, &config.cluster_url)
        .map_err(ChooseError::Proxy)?;
    if let Some(namespace) = context.namespace.filter(|namespace| !namespace.is_empty()) {
        config.default_namespace = namespace;
    }
    let login = login(&user);
    let exec = user.exec.take().filter(|_| matches!(login, Login::Plugin(_)));
    config.auth_info = user;
    let told = match &exec {
        Some(exec) if exec.provide_cluster_info => {
            Some(ExecAuthCluster::try_from(&cluster).map_err(|error| ChooseError::Authority {
                cluster: cluster_name.clone(),
                why: error.to_string(),
            })?)
        }
        _ => None,
    };
    let place = Place {
        url: bare(&config.cluster_url),
        context: context_name,
        user: user_name,
        login,
        proxy: config.proxy_url.as_ref().map(bare),
    };
    Ok(Chosen { config, exec, told, place })
}

fn context(kubeconfig: &Kubeconfig, name: &str, asked: bool) -> Result<Context, ChooseError> {
    let found = kubeconfig.contexts.iter().find(|named| named.name == name);
    let unknown = || ChooseError::Unknown {
        what: "context",
        name: name.into(),
        known: names(&kubeconfig.contexts, |named| &named.name),
        asked,
    };
    Ok(found.ok_or_else(unknown)?.context.clone().unwrap_or_default())
}

fn names<T>(all: &[T], name: impl Fn(&T) -> &String) -> Vec<String> {
    all.iter().map(|named| name(named).clone()).collect()
}

/// What was asked for goes over what the cluster says, and takes along what goes with what it replaces.
fn over(access: &Access, cluster: &mut Cluster) {
    if let Some(server) = &access.server {
        cluster.server = Some(server.clone());
        cluster.tls_server_name = None;
    }
    if let Some(name) = &access.tls_server_name {
        cluster.tls_server_name = Some(name.clone());
    }
    if let Some(file) = &access.certificate_authority {
        cluster.certificate_authority = Some(file.display().to_string());
        cluster.certificate_authority_data = None;
        cluster.insecure_skip_tls_verify = None;
    }
    if access.insecure {
        cluster.insecure_skip_tls_verify = Some(true);
    }
}

/// Acts as somebody else, where that was asked for.
pub(super) fn act_as(access: &Access, user: &mut AuthInfo) -> Result<(), ChooseError> {
    if let Some(name) = &access.impersonate {
        user.impersonate = Some(name.clone());
    }
    if !access.groups.is_empty() {
        user.impersonate_groups = Some(access.groups.clone());
    }
    if let Some(uid) = &access.uid {
        user.impersonate_uid = Some(uid.clone());
    }
    let with = user.impersonate_groups.is_some() || user.impersonate_uid.is_some();
    if with && user.impersonate.is_none() { Err(ChooseError::Nobody) } else { Ok(()) }
}

/// kube's own way from a kubeconfig reads the environment's proxies by other rules, so it is not gone.
fn configured(name: &str, cluster: &Cluster) -> Result<Config, ChooseError> {
    let server = cluster.server.as_deref().filter(|server| !server.is_empty());
    let server = server.ok_or_else(|| ChooseError::Addressless(name.into()))?;
    let whole = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let url = whole.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
    let mut config = Config::new(url.ok_or_else(|| ChooseError::Address(server.into()))?);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.disable_compression = cluster.disable_compression.unwrap_or_default();
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or_default();
    if config.accept_invalid_certs {
        return Ok(config);
    }
    let unusable = |why: String| ChooseError::Authority { cluster: name.into(), why };
    if let Some(data) = &cluster.certificate_authority_data {
        let data: ByteString = serde_json::from_value(serde_json::Value::String(data.clone()))
            .map_err(|_| unusable("certificate-authority-data is not base64".into()))?;
        config.root_cert = Some(certificates(&data.0).map_err(unusable)?);
    } else if let Some(file) = cluster.certificate_authority.as_ref().filter(|file| !file.is_empty()) {
        let held = std::fs::read(file).map_err(|error| unusable(format!("{file:?}: {error}")))?;
        config.root_cert = Some(certificates(&held).map_err(|why| unusable(format!("{file:?}: {why}")))?);
        // Read anew once a minute, as in a cluster: an authority may be replaced while Poros runs.
        config.root_cert_file = Some(file.into());
    }
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let all: Result<Vec<Vec<u8>>, _> =
        CertificateDer::pem_slice_iter(pem).map(|one| one.map(|one| one.to_vec())).collect();
    match all {
        Ok(all) if all.is_empty() => Err("it holds no certificate".into()),
        Ok(all) => Ok(all),
        Err(_) => Err("it is no PEM".into()),
    }
}

/// The login that kube will use, by its order of precedence.
fn login(user: &AuthInfo) -> Login {
    let held = user.auth_provider.is_some()
        || (user.username.is_some() && user.password.is_some())
        || user.token.is_some();
    if held {
        return Login::Held;
    }
    if let Some(file) = &user.token_file {
        return Login::File(file.clone());
    }
    if let Some(exec) = &user.exec {
        return Login::Plugin(exec.command.clone().unwrap_or_default());
    }
    let certificate = user.client_certificate.is_some() || user.client_certificate_data.is_some();
    if certificate { Login::Certificate } else { Login::None }
}

/// A URL without user and password.
pub(super) fn bare(url: &Uri) -> String {
    let text = url.to_string();
    let text = text.trim_end_matches('/');
    match (text.split_once("://"), url.authority().map(http::uri::Authority::as_str)) {
        (Some((scheme, rest)), Some(authority)) if authority.contains('@') => {
            let kept = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{kept}{}", rest.strip_prefix(authority).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::call::chain;

    const TWO: &str = r"
current-context: hub
contexts:
- {name: hub, context: {cluster: hub-cluster, user: ann, namespace: data}}
- {name: edge, context: {cluster: edge-cluster, user: ghost}}
clusters:
- {name: hub-cluster, cluster: {server: 'https://hub:6443/', tls-server-name: kubernetes}}
- {name: edge-cluster, cluster: {server: 'https://edge:6443', proxy-url: 'http://me:s3cret@proxy:3128'}}
- {name: bare}
users:
- {name: ann, user: {token: s3cret}}
- {name: bob, user: {exec: {command: login-bob, apiVersion: v1, provideClusterInfo: true}}}
- {name: cy, user: {client-certificate: a, client-key: b, as: dee}}
";

    fn chosen(access: Access) -> Result<Chosen, ChooseError> {
        choose(&access, &Kubeconfig::from_yaml(TWO).unwrap(), |_| None)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn what_is_asked_for_goes_over_what_the_kubeconfig_says() {
        let all = chosen(Access::default()).unwrap();
        assert_eq!(all.place.to_string(), "https://hub:6443 (context \"hub\")");
        assert_eq!((all.place.user.as_deref(), all.place.login), (Some("ann"), Login::Held));
        assert_eq!(all.config.default_namespace, "data");
        assert_eq!(all.config.tls_server_name.as_deref(), Some("kubernetes"));

        let edge = chosen(Access { context: some("edge"), ..Access::default() }).unwrap();
        assert_eq!(edge.place.url, "https://edge:6443");
        assert_eq!(edge.place.login, Login::None, "nobody is behind the user that the context names");
        assert_eq!(edge.place.proxy.as_deref(), Some("http://proxy:3128"), "without its password");
        assert!(edge.config.proxy_url.unwrap().to_string().contains("me:s3cret@"));

        let mixed = Access { cluster: some("edge-cluster"), user: some("bob"), ..Access::default() };
        let mixed = chosen(mixed).unwrap();
        assert_eq!(mixed.place.url, "https://edge:6443");
        assert_eq!(mixed.place.login, Login::Plugin("login-bob".into()));
        assert_eq!(mixed.told.unwrap().server.as_deref(), Some("https://edge:6443"));
        assert!(mixed.config.auth_info.exec.is_none(), "it is not for kube to run");

        let server = Access { server: some("https://other"), ..Access::default() };
        let server = chosen(server).unwrap();
        assert_eq!((server.place.url.as_str(), server.config.tls_server_name), ("https://other", None));
        let insecure = Access { insecure: true, tls_server_name: some("x"), ..Access::default() };
        let insecure = chosen(insecure).unwrap().config;
        assert!(insecure.accept_invalid_certs);
        assert_eq!(insecure.tls_server_name.as_deref(), Some("x"));

        let act = Access {
            impersonate: some("eve"),
            groups: vec!["ops".into()],
            uid: some("7"),
            ..Access::default()
        };
        let act = chosen(act).unwrap().config.auth_info;
        assert_eq!(act.impersonate.as_deref(), Some("eve"));
        assert_eq!(act.impersonate_groups.unwrap(), ["ops"]);
        assert_eq!(act.impersonate_uid.as_deref(), Some("7"));
        let cy = Access { user: some("cy"), groups: vec!["ops".into()], ..Access::default() };
        assert_eq!(chosen(cy).unwrap().config.auth_info.impersonate.as_deref(), Some("dee"));
    }

    #[test]
    fn without_a_context_an_address_is_enough() {
        let empty = Kubeconfig::default();
        let error = choose(&Access::default(), &empty, |_| None).unwrap_err();
        assert!(matches!(error, ChooseError::Undecided { .. }), "{error}");
        let server = Access { server: some("localhost:8080"), ..Access::default() };
        let chosen = choose(&server, &empty, |_| None).unwrap();
        assert_eq!(chosen.place, Place { url: "http://localhost:8080".into(), ..Place::default() });
    }

    #[test]
    fn what_cannot_be_is_told_with_what_there_is() {
        let said = |access: Access| chain(&chosen(access).unwrap_err());
        for (access, expect) in [
            (
                Access { context: some("hubb"), ..Access::default() },
                "the kubeconfig has no context named \"hubb\"",
            ),
            (Access { cluster: some("x"), ..Access::default() }, "the kubeconfig has no cluster named \"x\""),
            (Access { user: some("x"), ..Access::default() }, "the kubeconfig has no user named \"x\""),
            (
                Access { cluster: some("bare"), ..Access::default() },
                "the kubeconfig gives cluster \"bare\" no address (server)",
            ),
            (
                Access { server: some("https://"), ..Access::default() },
                "the address of the API server is no URL: \"https://\"",
            ),
            (
                Access { groups: vec!["ops".into()], ..Access::default() },
                "groups or a uid to act with go with a user to act as",
            ),
        ] {
            assert_eq!(said(access), expect);
        }
        let absent = Access { certificate_authority: Some("/nowhere/ca.crt".into()), ..Access::default() };
        assert!(said(absent).contains("\"hub-cluster\" cannot be used: \"/nowhere/ca.crt\": No such file"));
        let ChooseError::Unknown { known, asked, .. } =
            chosen(Access { context: some("hubb"), ..Access::default() }).unwrap_err()
        else {
            panic!()
        };
        assert_eq!((known, asked), (vec!["hub".to_owned(), "edge".to_owned()], true));
    }

    #[test]
    fn a_url_is_told_without_its_password() {
        for (url, told) in [
            ("https://api:6443/k8s/clusters/c-1", "https://api:6443/k8s/clusters/c-1"),
            ("https://me:s3cret@api:6443/k8s/", "https://api:6443/k8s"),
            ("http://me@api", "http://api"),
        ] {
            assert_eq!(bare(&url.parse().unwrap()), told);
        }
    }
}

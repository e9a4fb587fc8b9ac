//! Which proxy leads to the API server, as kubectl chooses it: the kubeconfig's always, else one of the environment, unless
//! `NO_PROXY` names the API server. (kube compares `NO_PROXY` with the proxy, and refuses a list that ends in a comma.)

use std::net::IpAddr;

use http::Uri;
use thiserror::Error;

/// Why a proxy cannot be used. It may hold a password, so it is not told.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the proxy that {origin} gives cannot be used: {why}")]
pub struct ProxyError {
    /// Where it is given.
    pub origin: String,
    /// Why.
    pub why: &'static str,
}

/// The proxy for an API server, by `proxy-url` of the kubeconfig and this environment.
pub(super) fn choose(
    explicit: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
    target: &Uri,
) -> Result<Option<Uri>, ProxyError> {
    // As Go does: capitals first, and an empty one is none.
    let either = |name: &str| {
        let set = |name: &str| {
            variable(name).filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value))
        };
        set(name).or_else(|| set(&name.to_lowercase()))
    };
    if let Some(proxy) = explicit.filter(|proxy| !proxy.is_empty()) {
        return usable("proxy-url in the kubeconfig", proxy).map(Some);
    }
    let secure = target.scheme_str() != Some("http");
    let Some((origin, proxy)) = either(if secure { "HTTPS_PROXY" } else { "HTTP_PROXY" }) else {
        return Ok(None);
    };
    let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = target.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let spared =
        either("NO_PROXY").is_some_and(|(_, list)| list.split(',').any(|entry| names(entry, host, port)));
    if spared || is_local(host) { Ok(None) } else { usable(&origin, &proxy).map(Some) }
}

fn usable(origin: &str, proxy: &str) -> Result<Uri, ProxyError> {
    let error = |why| ProxyError { origin: origin.into(), why };
    let proxy = match proxy.split_once("://") {
        None => format!("http://{proxy}"),
        // Both leave it to the proxy to look the name up.
        Some(("socks5h", rest)) => format!("socks5://{rest}"),
        Some(_) => proxy.to_owned(),
    };
    let proxy: Uri = proxy.parse().map_err(|_| error("it is no URL"))?;
    match proxy.scheme_str() {
        Some("http" | "https" | "socks5") => Ok(proxy),
        _ => Err(error("it is to begin with http://, https:// or socks5://")),
    }
}

/// What Go asks no proxy of the environment for.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an entry of `NO_PROXY` names this host: `*`, an address, a range of them, or a name, with or without a port. A
/// name stands for all names below it, too; one with a dot before it for those alone.
fn names(entry: &str, host: &str, port: u16) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return within(network, bits, &host);
    }
    let (entry, wanted) = match entry.rsplit_once(':') {
        // Of an IPv6 address, a colon is a part.
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => {
            (name, number.parse::<u16>().ok())
        }
        _ => (entry.as_str(), None),
    };
    let entry = entry.trim_matches(['[', ']']);
    if entry.is_empty() || wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let (Ok(entry), Ok(host)) = (entry.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return entry == host;
    }
    let below = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    match entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')) {
        Some(name) => below(name),
        None => host == entry || below(entry),
    }
}

fn within(network: &str, bits: &str, host: &str) -> bool {
    let (Ok(network), Ok(bits), Ok(host)) = (network.parse(), bits.parse::<u32>(), host.parse()) else {
        return false;
    };
    match (network, host) {
        (IpAddr::V4(network), IpAddr::V4(host)) if bits <= 32 => {
            let beyond = 32 - bits;
            network.to_bits().checked_shr(beyond) == host.to_bits().checked_shr(beyond)
        }
        (IpAddr::V6(network), IpAddr::V6(host)) if bits <= 128 => {
            let beyond = 128 - bits;
            network.to_bits().checked_shr(beyond) == host.to_bits().checked_shr(beyond)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(explicit: Option<&str>, environment: &[(&str, &str)], target: &str) -> Option<String> {
        let variable = |name: &str| {
            environment.iter().find(|(there, _)| *there == name).map(|(_, value)| (*value).to_owned())
        };
        choose(explicit, variable, &target.parse().unwrap()).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_kubeconfigs_proxy_comes_first_and_the_environments_is_spared_by_no_proxy() {
        let server = "https://api.example.org:6443";
        let proxy = ("HTTPS_PROXY", "proxy.corp:3128");
        assert_eq!(chosen(None, &[], server), None);
        assert_eq!(chosen(None, &[proxy], server).unwrap(), "http://proxy.corp:3128/");
        assert_eq!(chosen(None, &[("https_proxy", "http://p:1")], server).unwrap(), "http://p:1/");
        assert_eq!(chosen(None, &[("HTTPS_PROXY", "")], server), None);
        assert_eq!(chosen(None, &[("HTTP_PROXY", "http://p:1")], server), None, "it is for http alone");
        assert_eq!(chosen(None, &[("HTTP_PROXY", "p:1")], "http://api.example.org").unwrap(), "http://p:1/");
        assert_eq!(
            chosen(Some("socks5h://s:1080"), &[("NO_PROXY", "*")], server).unwrap(),
            "socks5://s:1080/"
        );
        for (list, spared) in [
            ("*", true),
            ("example.org", true),
            (".example.org", true),
            ("*.example.org", true),
            ("localhost,,api.example.org,", true),
            ("API.example.org:6443", true),
            ("api.example.org:443", false),
            (".api.example.org", false),
            ("ample.org", false),
            ("proxy.corp", false),
            ("10.0.0.0/8", false),
            (" , ", false),
        ] {
            assert_eq!(chosen(None, &[proxy, ("NO_PROXY", list)], server).is_none(), spared, "{list}");
        }
        for (list, server, spared) in [
            ("10.0.0.0/8", "https://10.9.8.7", true),
            ("10.0.0.0/8", "https://11.9.8.7", false),
            ("0.0.0.0/0", "https://11.9.8.7", true),
            ("10.0.0.1", "https://10.0.0.1:6443", true),
            ("10.0.0.1/33", "https://10.0.0.1:6443", false),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]:6443", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
            ("[fd00::1]:443", "https://[fd00::1]:6443", false),
            ("", "https://127.0.0.1:6443", true),
            ("", "https://[::1]:6443", true),
            ("", "https://localhost:6443", true),
        ] {
            assert_eq!(
                chosen(None, &[proxy, ("no_proxy", list)], server).is_none(),
                spared,
                "{list} {server}"
            );
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        let server = "https://api.example.org".parse().unwrap();
        for proxy in ["ftp://me:s3cret@proxy", "http://me:s3cret@ proxy", "://"] {
            let error = choose(Some(proxy), |_| None, &server).unwrap_err().to_string();
            assert!(error.starts_with("the proxy that proxy-url in the kubeconfig gives"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}

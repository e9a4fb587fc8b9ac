//! The MutatingWebhookConfiguration by which the API server calls Poros: what it should be, and what a stored one lacks.
//!
//! In a cluster the chart owns it and Poros writes nothing of it but the authorities to trust.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::api::names::{
    GROUP, LABEL_COMPUTE, LABEL_MANAGED_BY, LABEL_PART_OF, MANAGED_BY, PART_OF, VERSION, WEBHOOK,
    WEBHOOK_COMPUTES, WEBHOOK_PODS,
};
use crate::decide::difference::{self, Step};

/// The path of the webhook for pods.
pub const PATH_PODS: &str = "/pods";
/// The path of the webhook for Computes.
pub const PATH_COMPUTES: &str = "/computes";

/// Where the API server finds the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// At this URL, without a path: `https://127.0.0.1:9443`.
    Url(String),
    /// At port 443 of a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Endpoint {
    /// The names and addresses that a certificate for it must hold.
    pub fn hosts(&self) -> Vec<String> {
        let service = match self {
            Self::Url(url) => return vec![host(url).to_owned()],
            Self::Service { namespace, name } => format!("{name}.{namespace}.svc"),
        };
        vec![format!("{service}.cluster.local"), service]
    }

    fn client(&self, path: &str, bundle: &str) -> Value {
        let bundle = ByteString(bundle.as_bytes().to_vec());
        match self {
            Self::Url(url) => json!({"url": format!("{url}{path}"), "caBundle": bundle}),
            Self::Service { namespace, name } => json!({
                "service": {"namespace": namespace, "name": name, "path": path, "port": 443},
                "caBundle": bundle,
            }),
        }
    }
}

/// The host of an `https://host:port`.
fn host(url: &str) -> &str {
    let authority = url.strip_prefix("https://").unwrap_or(url);
    let authority = authority.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// `webhooks`, with every field that the API server would default.
///
/// Pods that name a Compute are refused while nobody answers, and no others are touched; a Compute is let through, since
/// Poros adds the finalizer itself and the owner can be named again.
fn webhooks(client: impl Fn(&str) -> Value) -> Value {
    let rule = |group: &str, version: &str, operations: &[&str], resource: &str| {
        json!([{
            "apiGroups": [group], "apiVersions": [version], "operations": operations, "resources": [resource],
            "scope": "*",
        }])
    };
    let webhook = |name: &str, path: &str, failure: &str, rules: Value, objects: Value| {
        json!({
            "name": name,
            "clientConfig": client(path),
            "rules": rules,
            "failurePolicy": failure,
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": objects,
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "admissionReviewVersions": ["v1"],
            "reinvocationPolicy": "IfNeeded",
        })
    };
    let labelled = json!({"matchExpressions": [{"key": LABEL_COMPUTE, "operator": "Exists"}]});
    json!([
        webhook(WEBHOOK_PODS, PATH_PODS, "Fail", rule("", "v1", &["CREATE"], "pods"), labelled),
        webhook(
            WEBHOOK_COMPUTES,
            PATH_COMPUTES,
            "Ignore",
            rule(GROUP, VERSION, &["CREATE", "UPDATE"], "computes"),
            json!({}),
        ),
    ])
}

/// The whole object.
pub fn to_json(endpoint: &Endpoint, bundle: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": WEBHOOK, "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_PART_OF: PART_OF}},
        "webhooks": webhooks(|path| endpoint.client(path, bundle)),
    })
}

/// What the stored `webhooks` lack to place pods; none if they will do. Where Poros is found is not looked at: that
/// differs from cluster to cluster, and the proof says whether it works.
pub fn lack(stored: Option<&Value>) -> Option<String> {
    let Some(stored) = stored else { return Some("is absent".into()) };
    let wanted = webhooks(|_| Value::Null);
    let pods = |webhooks: &Value| {
        let found = webhooks.as_array()?.iter().find(|webhook| webhook["name"] == WEBHOOK_PODS)?;
        let mut found = found.clone();
        let fields = found.as_object_mut()?;
        // How long it may take, and whom it spares, is the chart's choice.
        for free in ["clientConfig", "timeoutSeconds", "namespaceSelector", "matchConditions"] {
            fields.remove(free);
        }
        Some(found)
    };
    let Some(found) = pods(stored) else { return Some(format!("lacks the webhook {WEBHOOK_PODS}")) };
    let root = [Step::Key("webhooks".into())];
    difference::first(&root, &pods(&wanted)?, &found).map(|field| format!("was altered at {field}"))
}

/// Whether the stored `webhooks` are just what Poros would write.
pub fn is_as_wanted(stored: &Value, endpoint: &Endpoint, bundle: &str) -> bool {
    *stored == to_json(endpoint, bundle)["webhooks"]
}

/// Whether each of the stored `webhooks` trusts this authority (PEM).
pub fn trusts(stored: Option<&Value>, authority: &str) -> bool {
    let bundles = |webhook: &Value| {
        let bundle: Option<ByteString> =
            serde_json::from_value(webhook["clientConfig"]["caBundle"].clone()).ok();
        bundle.is_some_and(|bundle| String::from_utf8_lossy(&bundle.0).contains(authority))
    };
    stored.and_then(Value::as_array).is_some_and(|webhooks| webhooks.iter().all(bundles))
}

/// The patch (RFC 6902) that makes each of the stored `webhooks` trust just this bundle; empty if they do.
pub fn trust(stored: &Value, bundle: &str) -> Vec<Value> {
    let bundle = json!(ByteString(bundle.as_bytes().to_vec()));
    let webhooks = stored.as_array().map(Vec::as_slice).unwrap_or_default();
    let differ =
        webhooks.iter().enumerate().filter(|(_, webhook)| webhook["clientConfig"]["caBundle"] != bundle);
    differ
        .flat_map(|(index, webhook)| {
            [
                // By its name: another writer may have moved them.
                json!({"op": "test", "path": format!("/webhooks/{index}/name"), "value": webhook["name"]}),
                json!({"op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": bundle}),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Endpoint {
        Endpoint::Service { namespace: "poros-system".into(), name: "poros-webhook".into() }
    }

    #[test]
    fn hosts_are_what_the_api_server_will_ask_for() {
        assert_eq!(service().hosts().last().unwrap(), "poros-webhook.poros-system.svc");
        for (url, host) in [
            ("https://127.0.0.1:9443", "127.0.0.1"),
            ("https://[::1]:9443", "::1"),
            ("https://poros.example.com", "poros.example.com"),
        ] {
            assert_eq!(Endpoint::Url(url.into()).hosts(), [host]);
        }
    }

    #[test]
    fn what_a_stored_one_lacks_is_named() {
        let stored = to_json(&service(), "CA\n")["webhooks"].clone();
        assert_eq!(lack(Some(&stored)), None);
        assert_eq!(lack(None).unwrap(), "is absent");
        let changed = |pointer: &str, value: Value| {
            let mut changed = stored.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            lack(Some(&changed))
        };
        assert_eq!(changed("/0/timeoutSeconds", json!(10)), None, "the chart's choice");
        assert_eq!(changed("/1/failurePolicy", json!("Fail")), None, "the chart's choice");
        let altered = changed("/0/failurePolicy", json!("Ignore")).unwrap();
        assert_eq!(altered, "was altered at webhooks.failurePolicy");
        assert_eq!(changed("/0/name", json!("other")).unwrap(), "lacks the webhook pods.poros.dataos.io");
    }

    #[test]
    fn only_authorities_that_differ_are_patched() {
        let stored = to_json(&service(), "OLD\n")["webhooks"].clone();
        assert!(is_as_wanted(&stored, &service(), "OLD\n"));
        assert_eq!(trust(&stored, "OLD\n"), [] as [Value; 0]);
        assert_eq!(trust(&stored, "OLD\nNEW\n").len(), 4);
        assert!(trusts(Some(&stored), "OLD\n") && !trusts(Some(&stored), "NEW\n") && !trusts(None, "OLD\n"));
        assert_eq!(trust(&json!("garbage"), "NEW\n"), [] as [Value; 0]);
    }
}

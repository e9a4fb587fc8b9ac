//! What a request asks of which resource, read from its method and its URL.

use http::{Method, Request};
use kube::api::{ApiResource, GroupVersionKind};

/// How many characters are told of what an answer says of itself.
const LONGEST_TOLD: usize = 100;

/// What a request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As RBAC calls it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`; `other` is none of these.
    pub verb: &'static str,
    /// `<group>/<version>`, or the version alone for the core group; empty where no resource is asked for.
    pub api_version: String,
    /// The resource, as in the URL, with its subresource: `computes/status`. `discovery` is what the API server serves.
    pub resource: String,
}

impl Asked {
    /// Reads it from a request. All of them are Poros's own, so there are no more resources than Poros knows.
    pub fn of<T>(request: &Request<T>) -> Self {
        let segments: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let (api_version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => (String::new(), &[][..]),
        };
        let (resource, named) = match rest {
            [] => ("discovery".to_owned(), true),
            ["namespaces", _, rest @ ..] if !rest.is_empty() => path(rest),
            rest => path(rest),
        };
        let mut parameters = request.uri().query().unwrap_or_default().split('&');
        let verb = match *request.method() {
            Method::GET if parameters.any(|parameter| parameter == "watch=true") => "watch",
            Method::GET if named => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if named => "delete",
            _ => "other",
        };
        Self { verb, api_version, resource }
    }

    /// What is wrong with the answer to a list, by what it says of itself: that it is a list of something else.
    pub fn misfit(&self, kind: &str, api_version: &str, metadata_only: bool) -> Option<String> {
        let fits = if metadata_only {
            // It does not say of what.
            (kind, api_version) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
        } else {
            let of = kind.strip_suffix("List").unwrap_or_default();
            api_version == self.api_version
                && ApiResource::from_gvk(&GroupVersionKind::gvk("", "", of)).plural == self.resource
        };
        let Self { api_version: asked, resource, .. } = self;
        // Whoever answers instead may say anything.
        let told = |text: &str| text.chars().take(LONGEST_TOLD).collect::<String>();
        let (kind, version) = (told(kind), told(api_version));
        (!fits).then(|| {
            format!("asked for {resource} of {asked}, the API server answered with {kind:?} of {version:?}")
        })
    }
}

/// The resource of `<plural>`, `<plural>/<name>` or `<plural>/<name>/<subresource>`, and whether an object is named.
fn path(segments: &[&str]) -> (String, bool) {
    match segments {
        [plural, _, subresource] => (format!("{plural}/{subresource}"), true),
        [plural, rest @ ..] => ((*plural).to_owned(), !rest.is_empty()),
        [] => (String::new(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_verb_and_resource() {
        for (method, url, expect) in [
            ("GET", "/api/v1/nodes?limit=250", ("list", "v1", "nodes")),
            ("GET", "/api/v1/nodes?watch=true&resourceVersion=7", ("watch", "v1", "nodes")),
            ("GET", "/api/v1/nodes/watch=true?", ("get", "v1", "nodes")),
            ("GET", "/api/v1/namespaces", ("list", "v1", "namespaces")),
            ("PATCH", "/api/v1/namespaces/poros-system?force=true", ("patch", "v1", "namespaces")),
            ("POST", "/api/v1/namespaces/poros-system/pods?dryRun=All", ("create", "v1", "pods")),
            (
                "PUT",
                "/apis/poros.dataos.io/v1beta1/computes/a/status",
                ("update", "poros.dataos.io/v1beta1", "computes/status"),
            ),
            ("DELETE", "/apis/g/v1/things/a", ("delete", "g/v1", "things")),
            ("DELETE", "/apis/g/v1/things", ("other", "g/v1", "things")),
            (
                "GET",
                "/apis/coordination.k8s.io/v1/namespaces/x/leases/poros",
                ("get", "coordination.k8s.io/v1", "leases"),
            ),
            (
                "GET",
                "/apis/admissionregistration.k8s.io/v1",
                ("get", "admissionregistration.k8s.io/v1", "discovery"),
            ),
            ("GET", "/version", ("get", "", "discovery")),
        ] {
            let asked = Asked::of(&Request::builder().method(method).uri(url).body(()).unwrap());
            assert_eq!((asked.verb, asked.api_version.as_str(), asked.resource.as_str()), expect, "{url}");
        }
    }

    #[test]
    fn an_answer_fits_what_was_asked_or_is_told() {
        let list = |api_version: &str, resource: &str| Asked {
            verb: "list",
            api_version: api_version.into(),
            resource: resource.into(),
        };
        for (api_version, resource, kind) in [
            ("v1", "nodes", "NodeList"),
            ("poros.dataos.io/v1beta1", "computes", "ComputeList"),
            ("discovery.k8s.io/v1", "endpointslices", "EndpointSliceList"),
            ("x/v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicyList"),
            ("x/v1", "mutatingwebhookconfigurations", "MutatingWebhookConfigurationList"),
        ] {
            assert_eq!(list(api_version, resource).misfit(kind, api_version, false), None, "{kind}");
            let misfit = list(api_version, resource).misfit(kind, "other/v1", false).unwrap();
            assert!(misfit.starts_with(&format!("asked for {resource} of {api_version}, ")), "{misfit}");
        }
        let pods = list("v1", "pods");
        assert!(pods.misfit("NodeList", "v1", false).is_some());
        assert!(pods.misfit("", "", false).is_some());
        assert!(pods.misfit("PodList", "v1", true).is_some(), "metadata was asked for");
        assert_eq!(pods.misfit("PartialObjectMetadataList", "meta.k8s.io/v1", true), None);
        let endless = "x".repeat(1 << 20);
        let misfit = pods.misfit(&endless, &endless, false).unwrap();
        assert_eq!(misfit.matches('x').count(), 2 * LONGEST_TOLD, "{}", &misfit[..300]);
    }
}

//! Somebody else's mutating webhook: it takes tolerations of one key from every pod, and has the last word.
//!
//! A MutatingAdmissionPolicy cannot play this part: the API server orders policies anew, by chance, each time one
//! changes, and the last of two that undo each other wins. Webhooks come after all policies, also when reinvoked.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::objects::{create, delete, dry_run, dynamic, pod, pods};
use crate::harness::{until, wait};

const NAME: &str = "strip.example.com";

/// The webhook; it serves until the runtime of its test ends.
pub struct Stripper {
    client: Client,
    key: &'static str,
    url: String,
    authority: String,
}

impl Stripper {
    /// Serves it; nobody calls it yet.
    pub async fn serve(client: &Client, key: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/strip", listener.local_addr().unwrap());
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let private = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], private)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(|request| answer(request, key));
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { client: client.clone(), key, url, authority: signed.cert.pem() }
    }

    fn configurations(&self) -> Api<DynamicObject> {
        let group = "admissionregistration.k8s.io/v1";
        let (kind, plural) = ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
        dynamic(&self.client, group, kind, plural, None)
    }

    /// Puts it into the way of pods, and waits until it acts.
    pub async fn start(&self) {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": NAME},
            "webhooks": [{
                "name": NAME,
                "clientConfig": {"url": self.url, "caBundle": ByteString(self.authority.clone().into_bytes())},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        create(&self.configurations(), &configuration).await.unwrap();
        self.await_acting(true).await;
    }

    /// Takes it out of the way, and waits until it no longer acts.
    pub async fn stop(&self) {
        delete(&self.configurations(), NAME).await.unwrap();
        self.await_acting(false).await;
    }

    /// A pod without our label shows whether it acts.
    async fn await_acting(&self, expect: bool) {
        let mut plain = pod("plain", "any");
        plain["metadata"]["labels"] = json!({});
        plain["spec"]["tolerations"] = json!([{"key": self.key, "operator": "Exists"}]);
        until("the webhook to act, or not to", wait::LIMIT, || async {
            let stored = dry_run(&pods(&self.client), &plain).await.map_err(|error| error.to_string())?;
            let found = stored.data["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
            let acts = !found.iter().any(|toleration| toleration["key"] == self.key);
            if acts == expect { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

async fn answer(request: Request<Incoming>, key: &str) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let tolerations =
        review["request"]["object"]["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    let kept: Vec<_> = tolerations.iter().filter(|toleration| toleration["key"] != key).collect();
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    if kept.len() < tolerations.len() {
        let patch = json!([{"op": "replace", "path": "/spec/tolerations", "value": kept}]);
        response["patch"] = json!(ByteString(patch.to_string().into_bytes()));
        response["patchType"] = json!("JSONPatch");
    }
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let json = ("content-type", "application/json");
    Ok(Response::builder().header(json.0, json.1).body(review.to_string().into()).unwrap())
}

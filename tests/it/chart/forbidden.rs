//! What whoever has the token of Poros is refused, and what people with the chart's roles are: call by call, on a real API
//! server, under the whole chart. Roles refuse most of it; where they cannot say it finely enough, the guard `account` does.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use xtask::rig::Options;

use super::release::Installed;
use super::stolen;
use crate::harness::cluster::{NAMESPACE, POROS_USER};
use crate::harness::objects::{compute, create, dynamic, pod, raw_computes, with};
use crate::harness::people::as_user;
use crate::harness::{until, wait};
use crate::trials;

trials![a_stolen_token_and_the_roles_for_people_go_as_far_as_they_must];

/// What roles refuse, by whom.
const CALLS: &str = include_str!("forbidden.txt");

/// What roles refuse these: `METHOD path`.
fn calls(whom: &str) -> Vec<&'static str> {
    let of = |part: &'static str| part.lines().skip(1).filter(|line| !line.is_empty());
    let parts = CALLS.split("\n# ").filter(|part| part.starts_with(&format!("{whom}: ")));
    parts.flat_map(of).collect()
}

/// Verbs that no call has: what the API server says of them when it is asked what the token may do.
const BY_NAME: [(&str, &str, &str); 12] = [
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "roles"),
    ("bind", "rbac.authorization.k8s.io", "roles"),
    ("impersonate", "", "users"),
    ("impersonate", "", "groups"),
    ("impersonate", "", "serviceaccounts"),
    ("sign", "certificates.k8s.io", "signers"),
    ("use", "poros.dataos.io", "computes"),
    ("assign-owner", "poros.dataos.io", "computes"),
    ("*", "poros.dataos.io", "computes"),
    ("*", "poros.dataos.io", "placements"),
];

/// Makes a call: HTTP status, and what the API server said.
pub(super) async fn call(client: &Client, what: &str, body: &Value) -> (u16, String) {
    send(client, what, &[], body).await
}

async fn send(client: &Client, what: &str, headers: &[(&str, &str)], body: &Value) -> (u16, String) {
    let (method, path) = what.split_once(' ').unwrap();
    let form = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let mut request = Request::builder().method(method).uri(path).header("content-type", form);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match client.request_text(request.body(body.to_string().into_bytes()).unwrap()).await {
        Ok(text) => (200, text),
        Err(kube::Error::Api(status)) => (status.code, status.message),
        Err(error) => panic!("{what}: {error}"),
    }
}

/// A client with the token of an account of the chart.
pub(super) async fn token(installed: &Installed, account: &str) -> Client {
    let token = installed.cluster.kubectl(&["create", "token", account, "-n", NAMESPACE]);
    let file = installed.cluster.rig.kubeconfig_for_token(account, token.trim()).unwrap();
    let kubeconfig = Kubeconfig::read_from(file).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn a_stolen_token_and_the_roles_for_people_go_as_far_as_they_must() {
    // With the controllers, for one of them makes tokens.
    let options = Options { controller_manager: true, ..Options::api_only("it-chart-stolen") };
    let installed = Installed::start(options, &[]).await;
    let (cluster, client) = (&installed.cluster, &installed.client);
    cluster.await_policies();
    let manifest = with(json!(compute("victim")), "/spec/nodePool/minReadyNodes", json!(0));
    create(&raw_computes(client), &manifest).await.unwrap();
    let stolen = token(&installed, "poros").await;
    cluster.expect_impostor();

    every_call_is_about_something(client).await;
    let by_roles = refused_by_roles(&stolen, POROS_USER, &calls("Poros")).await;
    let as_others = as_somebody_else(&stolen).await;
    verbs_are_not_given(&stolen).await;
    refused_by_roles(&stolen, POROS_USER, &calls("Poros where policies place pods")).await;
    // From here on with the roles that the chart gives below Kubernetes 1.36, where it has more to lose.
    for (role, text) in super::documents_in(NAMESPACE, false, &[]) {
        let is_role = role["kind"].as_str().unwrap().ends_with("Role");
        if is_role && role["metadata"]["name"] == "poros" {
            let file = cluster.rig.dir().join("role.yaml");
            std::fs::write(&file, text).unwrap();
            cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file.to_str().unwrap()]);
        }
    }
    wait::may(cluster, NAMESPACE, "create", "secrets", true).await;
    let by_guard = refused_by_the_guard(client, &stolen).await;
    assert!(by_roles > 130 && as_others + by_guard > 20, "{by_roles} + {as_others} + {by_guard} calls");

    for role in ["view", "edit", "use", "assign-owner"] {
        let (name, user) = (format!("poros-{role}"), format!("{role}@example.com"));
        let (role_flag, user_flag) = (format!("--clusterrole={name}"), format!("--user={user}"));
        cluster.kubectl(&["create", "clusterrolebinding", &format!("people-{role}"), &role_flag, &user_flag]);
        let person = as_user(cluster, &user).await;
        refused_by_roles(&person, &user, &calls("people")).await;
        if role != "edit" {
            refused_by_roles(&person, &user, &calls("all but editors")).await;
        }
    }
    // That it is not all one: an editor edits.
    let editor = as_user(cluster, "edit@example.com").await;
    until("the role to be acted on", wait::LIMIT, || async {
        let (code, said) = call(
            &editor,
            "PATCH /apis/poros.dataos.io/v1beta1/computes/victim",
            &json!({"metadata": {"labels": {"a": "b"}}}),
        )
        .await;
        if code == 200 { Ok(()) } else { Err(said) }
    })
    .await;

    stolen::a_token_could_be_anybodys_but_for_the_guard(&installed, &stolen).await;
    stolen::what_is_left_to_who_has_the_token(&installed, &stolen).await;
}

/// A call of something that is not there would be refused as well.
async fn every_call_is_about_something(client: &Client) {
    let mut served: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for what in ["Poros", "Poros where policies place pods", "people", "all but editors"]
        .iter()
        .flat_map(|whom| calls(whom))
    {
        let path = what.split_once(' ').unwrap().1.split('?').next().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (version, rest) = match parts[0] {
            "api" if parts.len() > 2 => (parts[..2].join("/"), &parts[2..]),
            "apis" if parts.len() > 3 => (parts[..3].join("/"), &parts[3..]),
            _ => continue,
        };
        let rest = if rest[0] == "namespaces" && rest.len() > 2 { &rest[2..] } else { rest };
        let resource = match rest {
            // An old way to say who may change finalizers, which is a right without a call.
            [_, _, "finalizers"] => continue,
            [resource, _, subresource] => format!("{resource}/{subresource}"),
            [resource, ..] => (*resource).to_owned(),
            [] => panic!("{what} names nothing"),
        };
        if !served.contains_key(&version) {
            let (_, list) = call(client, &format!("GET /{version}"), &Value::Null).await;
            let list: Value = serde_json::from_str(&list).unwrap();
            let names = list["resources"].as_array().unwrap().iter();
            let names = names.map(|resource| resource["name"].as_str().unwrap().to_owned()).collect();
            served.insert(version.clone(), names);
        }
        assert!(served[&version].contains(&resource), "{what}: there is no {resource} in {version}");
    }
}

/// Asserts that roles refuse these calls; gives back how many.
async fn refused_by_roles(client: &Client, user: &str, calls: &[&str]) -> usize {
    for what in calls {
        let (code, said) = call(client, what, &json!({})).await;
        let words = format!("User \"{user}\" cannot ");
        assert!(code == 403 && said.contains(&words), "{user}: {what}: {code}: {said}");
    }
    calls.len()
}

async fn as_somebody_else(stolen: &Client) -> usize {
    let others: [&[(&str, &str)]; 5] = [
        &[("Impersonate-User", "rig-admin")],
        &[("Impersonate-User", POROS_USER), ("Impersonate-Group", "system:masters")],
        &[("Impersonate-User", "system:serviceaccount:kube-system:namespace-controller")],
        &[("Impersonate-User", "system:serviceaccount:poros-system:poros-retire")],
        &[("Impersonate-User", POROS_USER), ("Impersonate-Uid", "0")],
    ];
    for headers in others {
        let (code, said) = send(stolen, "GET /api/v1/nodes", headers, &Value::Null).await;
        assert!(code == 403 && said.contains("cannot impersonate"), "{headers:?}: {code}: {said}");
    }
    others.len()
}

async fn verbs_are_not_given(stolen: &Client) {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(stolen.clone());
    for (verb, group, resource) in BY_NAME {
        let review =
            json!({"spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}}});
        let review = serde_json::from_value(review).unwrap();
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert!(!answer.status.unwrap().allowed, "it may {verb} {resource}");
    }
}

/// What the roles of Poros let through, and the guard `account` does not; gives back how many calls that are.
async fn refused_by_the_guard(client: &Client, stolen: &Client) -> usize {
    let home = format!("/api/v1/namespaces/{NAMESPACE}");
    let (pods, secrets) = (format!("POST {home}/pods"), format!("POST {home}/secrets"));
    let leases = format!("POST /apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    let compute = "PATCH /apis/poros.dataos.io/v1beta1/computes/victim".to_owned();
    let webhook = "PATCH /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/poros.dataos.io";
    let plain = |name: &str| {
        let mut plain = pod(name, "nobody");
        plain["metadata"]["labels"] = json!({});
        plain["spec"]["serviceAccountName"] = json!("poros-probe");
        plain
    };
    let host = with(plain("poros-probe-1"), "/spec/hostPID", json!(true));
    let secret = |name: &str, kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "poros-probe"}},
        })
    };
    let lease = |metadata: Value| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata});
    let registered = registration(client).await;
    let hooks = |change: fn(&mut Value)| {
        let mut webhooks = registered.clone();
        change(&mut webhooks);
        json!({"webhooks": webhooks})
    };
    let pods_only_dry = "may create pods only as a dry run, to prove a placement";
    let one_secret = "may create no Secret but poros-webhook, of type Opaque";
    let one_lease = "may create no Lease but poros";
    let finalizer = "may change nothing of a Compute but its status and Poros's own finalizer";
    let authority = "may change nothing of a webhook but its caBundle";
    let calls = [
        (&pods, plain("poros-probe-1"), pods_only_dry),
        (&pods, host, pods_only_dry),
        (&format!("{pods}?dryRun=All"), plain("other"), pods_only_dry),
        (&secrets, secret("other", "Opaque"), one_secret),
        (&secrets, secret("poros-webhook", "kubernetes.io/service-account-token"), one_secret),
        (&secrets, secret("poros-webhook", "bootstrap.kubernetes.io/token"), one_secret),
        (
            &secrets,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "poros-webhook"}}),
            one_secret,
        ),
        (&leases, lease(json!({"name": "other"})), one_lease),
        (&leases, lease(json!({"generateName": "poros"})), one_lease),
        (&compute, json!({"spec": {"nodePool": {"nodeSelector": {"mine": "all"}}}}), finalizer),
        (&compute, json!({"spec": {"deletionPolicy": "Detach"}}), finalizer),
        (&compute, json!({"metadata": {"labels": {"mine": "all"}}}), finalizer),
        (
            &compute,
            json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}}),
            finalizer,
        ),
        (
            &compute,
            json!({"metadata": {"finalizers": ["poros.dataos.io/cleanup", "example.com/hold"]}}),
            finalizer,
        ),
        (
            &compute,
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "worker", "uid": "0"}]}}),
            finalizer,
        ),
        (
            &webhook.to_owned(),
            hooks(|hooks| hooks[0]["clientConfig"]["url"] = json!("https://127.0.0.1:2/mine")),
            authority,
        ),
        (
            &webhook.to_owned(),
            hooks(|hooks| hooks[0]["rules"][0]["resources"] = json!(["secrets"])),
            authority,
        ),
        (
            &webhook.to_owned(),
            hooks(|hooks| hooks[0]["namespaceSelector"] = json!({"matchLabels": {"a": "b"}})),
            authority,
        ),
        (&webhook.to_owned(), json!({"webhooks": []}), authority),
    ];
    for (what, body, words) in &calls {
        // A policy acts about a second after it was made.
        until(&format!("{what} to be refused"), wait::LIMIT, || async {
            let (code, said) = call(stolen, what, body).await;
            let refused = code == 403 && said.contains("'account.poros.dataos.io'") && said.contains(words);
            if refused { Ok(()) } else { Err(format!("{body}: {code}: {said}")) }
        })
        .await;
    }
    calls.len()
}

/// A webhook of Poros's name, as the chart registers it below Kubernetes 1.36; nobody asks it anything.
async fn registration(client: &Client) -> Value {
    let group = "admissionregistration.k8s.io/v1";
    let api = dynamic(client, group, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", None);
    let object = json!({
        "apiVersion": group, "kind": "MutatingWebhookConfiguration", "metadata": {"name": "poros.dataos.io"},
        "webhooks": [{
            "name": "pods.poros.dataos.io",
            "clientConfig": {"url": "https://127.0.0.1:1/never"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    create(&api, &object).await.unwrap().data["webhooks"].clone()
}

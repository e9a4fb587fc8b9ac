//! The command line of each component.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::Layout;
use super::{Component, Options};

/// The arguments for one component.
pub(super) fn of(
    component: Component,
    layout: &Layout,
    ports: &BTreeMap<Component, u16>,
    options: &Options,
    mutating_policies: bool,
) -> Vec<String> {
    let port = |component| ports.get(&component).copied().unwrap_or_default();
    let own = port(component);
    match component {
        Component::Etcd => etcd(layout, own),
        Component::Apiserver => apiserver(layout, own, port(Component::Etcd), options, mutating_policies),
        Component::ControllerManager => {
            let mut arguments = client(layout, component, own);
            arguments.extend([
                "--use-service-account-credentials=true".to_owned(),
                flag("root-ca-file", &layout.ca),
                flag("service-account-private-key-file", &layout.pki("service-accounts.key")),
            ]);
            arguments
        }
        Component::Scheduler => client(layout, component, own),
        Component::Kwok => vec![
            flag("kubeconfig", &layout.kubeconfig("kwok")),
            flag("config", &layout.stages),
            "--manage-all-nodes=true".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            "--cidr=10.97.0.0/16".to_owned(),
            "--node-ip=10.98.0.1".to_owned(),
            format!("--server-address=127.0.0.1:{own}"),
        ],
    }
}

fn etcd(layout: &Layout, port: u16) -> Vec<String> {
    let url = format!("https://127.0.0.1:{port}");
    vec![
        flag("data-dir", &layout.etcd),
        // A crash of the machine may lose the data, and that is what makes it fast.
        "--unsafe-no-fsync=true".to_owned(),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // A cluster of one never calls its peer address, so any port does.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        flag("cert-file", &layout.pki("server.crt")),
        flag("key-file", &layout.pki("server.key")),
        "--client-cert-auth=true".to_owned(),
        flag("trusted-ca-file", &layout.ca),
        "--enable-grpc-gateway=false".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn apiserver(
    layout: &Layout,
    port: u16,
    etcd: u16,
    options: &Options,
    mutating_policies: bool,
) -> Vec<String> {
    let mut arguments = vec![
        format!("--etcd-servers=https://127.0.0.1:{etcd}"),
        flag("etcd-cafile", &layout.ca),
        flag("etcd-certfile", &layout.pki("etcd-client.crt")),
        flag("etcd-keyfile", &layout.pki("etcd-client.key")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        flag("tls-cert-file", &layout.pki("server.crt")),
        flag("tls-private-key-file", &layout.pki("server.key")),
        flag("client-ca-file", &layout.ca),
        "--anonymous-auth=false".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        // The loopback address may not be an endpoint, and no pod here calls the API server.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        flag("service-account-key-file", &layout.pki("service-accounts.pub")),
        flag("service-account-signing-key-file", &layout.pki("service-accounts.key")),
        flag("audit-log-path", &layout.audit_log),
        flag("audit-policy-file", &layout.audit_policy),
        // A request is in the log before its client has the answer, so a reader need not wait.
        "--audit-log-mode=blocking".to_owned(),
        // In MiB; a log that turns over would lose lines that a test counts.
        "--audit-log-maxsize=4096".to_owned(),
        "--shutdown-delay-duration=0s".to_owned(),
        "--shutdown-send-retry-after=false".to_owned(),
        "--profiling=false".to_owned(),
    ];
    let mut disabled = Vec::new();
    if !options.controller_manager {
        // Nobody makes the `default` service account of a namespace, and without it no pod is let in.
        disabled.push("ServiceAccount");
    }
    if !mutating_policies {
        disabled.push("MutatingAdmissionPolicy");
        let off = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]
            .map(|resource| format!("admissionregistration.k8s.io/v1/{resource}=false"));
        arguments.push(format!("--runtime-config={}", off.join(",")));
    }
    // A flag given twice has its last value.
    if !disabled.is_empty() {
        arguments.push(format!("--disable-admission-plugins={}", disabled.join(",")));
    }
    arguments.extend(options.extra_apiserver_args.iter().cloned());
    arguments
}

/// What the controller manager and the scheduler have in common.
fn client(layout: &Layout, component: Component, port: u16) -> Vec<String> {
    vec![
        flag("kubeconfig", &layout.kubeconfig(component.name())),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        flag("tls-cert-file", &layout.pki("server.crt")),
        flag("tls-private-key-file", &layout.pki("server.key")),
        // There is one of each, and an election would cost seconds at every start.
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

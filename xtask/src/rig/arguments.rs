//! The command line of each component.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::Layout;
use super::machine::Machine;
use super::standing::version_of;
use super::{Component, MutatingPolicies, Options};

/// The first minor version that knows the admission plugin MutatingAdmissionPolicy; an older one refuses to be told its name.
const MUTATING_PLUGIN_SINCE: u32 = 32;

/// The arguments for one component. `program` is what will run with them.
pub(super) fn of(
    component: Component,
    program: &Path,
    layout: &Layout,
    ports: &BTreeMap<Component, u16>,
    options: &Options,
    policies: MutatingPolicies,
    machine: Option<Machine>,
) -> Vec<String> {
    let port = |component| ports.get(&component).copied().unwrap_or_default();
    let own = port(component);
    match component {
        Component::Etcd => etcd(layout, own),
        Component::Apiserver | Component::SecondApiserver => {
            let mut arguments =
                apiserver(layout, component, program, own, port(Component::Etcd), options, policies);
            arguments.extend(machine.map(|machine| reachable(layout, machine)).into_iter().flatten());
            arguments.extend(options.extra_apiserver_args.iter().cloned());
            arguments
        }
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
        Component::Node => node(layout),
        Component::Kwok => vec![
            flag("kubeconfig", &layout.kubeconfig("kwok")),
            flag("config", &layout.stages),
            // Beside a real node it must leave alone what is not its own.
            if options.node {
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned()
            } else {
                "--manage-all-nodes=true".to_owned()
            },
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
    component: Component,
    program: &Path,
    port: u16,
    etcd: u16,
    options: &Options,
    policies: MutatingPolicies,
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
        flag("audit-log-path", &layout.audit_log(component)),
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
    // Only the program itself is sure of its version, since a folder of the user's may hold any.
    let known = || minor(&version_of(program).unwrap_or_default()) >= MUTATING_PLUGIN_SINCE;
    if policies == MutatingPolicies::Off && known() {
        disabled.push("MutatingAdmissionPolicy");
        let resources = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];
        let off = resources.map(|resource| format!("admissionregistration.k8s.io/v1/{resource}=false"));
        arguments.push(format!("--runtime-config={}", off.join(",")));
    }
    // A flag given twice has its last value.
    if !disabled.is_empty() {
        arguments.push(format!("--disable-admission-plugins={}", disabled.join(",")));
    }
    arguments
}

/// What the API server needs besides to work with a real node. Of a flag given twice the last value counts; lists add up.
fn reachable(layout: &Layout, machine: Machine) -> Vec<String> {
    vec![
        // Of all the host's addresses the one that its own node reaches. Others may, too: certificates keep them out.
        format!("--bind-address={}", machine.host()),
        format!("--advertise-address={}", machine.host()),
        // Keeps the endpoint of the service `kubernetes`, which pods call.
        "--endpoint-reconciler-type=lease".to_owned(),
        "--authorization-mode=Node".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        flag("kubelet-certificate-authority", &layout.ca),
        flag("kubelet-client-certificate", &layout.pki("admin.crt")),
        flag("kubelet-client-key", &layout.pki("admin.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        // The packet filter of services is inside the machine: webhooks are called at their pods' addresses.
        "--enable-aggregator-routing=true".to_owned(),
    ]
}

/// Namespaces of its own; `--kill-child` ends the first process in them, and so all, when this one is killed. The folders
/// that it must see come after these.
fn node(layout: &Layout) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["--mount", "--net", "--pid", "--fork", "--kill-child", "/bin/sh"].map(str::to_owned).into();
    arguments.push(layout.dir.join("node").join("machine.sh").display().to_string());
    // So written, the guard and `down` know the process for one of this rig.
    arguments.push(format!("folder={}/", layout.dir.display()));
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

/// The minor version; a version that cannot be read is taken for a new one.
fn minor(kubernetes: &str) -> u32 {
    kubernetes.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(u32::MAX)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn minor_version_is_read_and_a_strange_one_is_new() {
        assert_eq!((minor("v1.30.14"), minor("v1.36.3")), (30, 36));
        assert_eq!((minor(""), minor("v2")), (u32::MAX, u32::MAX));
    }
}

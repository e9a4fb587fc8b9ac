//! With which rights, which login and by which way the cluster is asked, and what is said where it cannot be.

mod doors;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};
use xtask::rig::Options;

use self::doors::{Proxy, plain_http, silent};
use super::apply::native;
use super::transcript::Transcript;
use crate::harness::cluster::{self, Cluster, NAMESPACE};
use crate::harness::objects::{compute, create, node, pod, pods, raw_computes, with};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::rows::{apply, own};
use crate::trials;

trials![
    a_role_suffices_and_a_missing_one_is_named,
    a_program_logs_in,
    a_login_that_is_not_taken_is_told_from_all_else,
    a_proxy_leads_to_the_cluster,
    what_is_not_an_api_server_is_told_by_what_is_wrong,
    the_kubeconfig_is_read_as_kubectl_does,
    a_cluster_without_poros_says_so_and_its_roles_join_those_of_all_clusters,
];

/// A kubeconfig for the rig, with this user and this over its cluster.
fn kubeconfig(cluster: &Cluster, user: &Value, over: &Value) -> Value {
    let mut server = json!({"server": cluster.rig.url(), "certificate-authority": cluster.rig.ca_file()});
    for (name, value) in over.as_object().unwrap() {
        server[name] = value.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": server}],
        "users": [{"name": "somebody", "user": user}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "somebody"}}],
    })
}

/// A transcript whose kubeconfig this is.
fn transcript(name: &'static str, cluster: &Cluster, kubeconfig: &Value) -> Transcript {
    let path = folder(name, cluster).join(".kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    Transcript::with_kubeconfig(name, cluster, path)
}

fn folder(name: &str, cluster: &Cluster) -> PathBuf {
    let folder = cluster.rig.dir().join("cli").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The administrator's own login, as somebody else.
fn acting(cluster: &Cluster, user: &str) -> Value {
    let text = std::fs::read_to_string(cluster.rig.kubeconfig()).unwrap();
    let admin: Value = serde_saphyr::from_str(&text).unwrap();
    let mut login = admin["users"][0]["user"].clone();
    login["as"] = json!(user);
    login
}

/// A token of Poros's account.
fn token(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "token", "poros", "-n", NAMESPACE, "--duration=1h"]).trim().to_owned()
}

fn script(name: &str, cluster: &Cluster, file: &str, text: &str) -> String {
    let path = folder(name, cluster).join(file);
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("./{file}")
}

async fn a_role_suffices_and_a_missing_one_is_named() {
    // Nodes of its own, for it tells of all that there are.
    let (cluster, client) = own("it-roles").await;
    let cluster = &cluster;
    let _poros = Poros::start(cluster, &[&["--manage-policies"], &SHORT[..]].concat());
    cluster.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/access/roles.yaml")]);
    // `viola` has what is bound as `view`: no controller joins roles here, and that these join it is another trial's.
    for (user, role) in [
        ("vera", "poros-view"),
        ("edda", "poros-edit"),
        ("viola", "poros-view"),
        ("viola", "system:aggregate-to-view"),
    ] {
        let (name, role) =
            (format!("access-{user}-{}", role.replace(':', "-")), format!("--clusterrole={role}"));
        cluster.kubectl(&["create", "clusterrolebinding", &name, &role, &format!("--user={user}")]);
    }
    let name = "access-roles";
    node(&client, "access-roles-1", name, true).await;
    node(&client, "access-roles-2", "access-roles-other", true).await;
    apply(&client, &with(compute(name), "/spec/owner", json!("vera"))).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 1).await;
    create(&pods(&client), &pod("access-roles-a", name)).await.unwrap();
    wait::used(&client, name, 1).await;

    let mut told =
        transcript("access-roles", cluster, &kubeconfig(cluster, &acting(cluster, "vera"), &json!({})));
    let manifest = native(name).replace("    minReadyNodes: 0\n", "") + "owner: vera\n";
    told.file("moved.yaml", manifest.replace(&format!("pool: {name}"), "pool: access-roles-other"));
    told.file("own.yaml", native("access-roles-own"));
    let moved = with(compute(name), "/spec/nodePool/nodeSelector/pool", json!("access-roles-other"));
    told.file("moved.json", moved.to_string());
    // What is seen on the way to active differs.
    told.replace(r"(?m)^2> INFO\[\d{4}\] access-roles-own: .*\n", "");
    // Who views reads all but the pods of others, and writes nothing.
    told.run("dataos-ctl get -t compute -q");
    told.run("dataos-ctl wait -t compute -n access-roles -q");
    told.run("dataos-ctl why -t compute -n access-roles -q");
    told.run("dataos-ctl describe -t compute -n access-roles -q");
    told.run("kubectl poros tree access-roles");
    told.run("kubectl poros explain compute access-roles -f moved.json");
    told.run("dataos-ctl apply -f own.yaml -q");
    told.run("dataos-ctl delete -t compute -n access-roles -q");
    told.run("kubectl auth can-i list secrets -A");
    // With the roles of every cluster there is nothing that is not seen.
    for line in
        ["dataos-ctl describe -t compute -n access-roles -q", "dataos-ctl why -t compute -n access-roles -q"]
    {
        let printed = told.run(&format!("{line} --as viola"));
        assert!(
            !printed.out.contains("cannot see") && !printed.out.contains("cannot be seen"),
            "{}",
            printed.out
        );
    }
    // Who edits reads, writes, waits and deletes.
    told.run("dataos-ctl apply -f own.yaml --wait --as edda");
    told.run("dataos-ctl get -t compute -q --as edda");
    told.run("dataos-ctl apply --diff -f moved.yaml --force-conflicts -q --as edda");
    told.run("dataos-ctl apply -f own.yaml -q --output name --dry-run=server --as edda");
    told.run("sed 's/first/second/' own.yaml | dataos-ctl update -f - --as edda");
    told.run("dataos-ctl wait -t compute -n access-roles-own --for status=active --as edda");
    told.run("dataos-ctl describe -t compute -n access-roles-own -q --as edda");
    told.run("dataos-ctl why -t compute -n access-roles-own -q --as edda");
    told.run("dataos-ctl delete -f own.yaml --as edda");
    told.run("dataos-ctl wait -t compute -n access-roles-own --for deleted -q --as edda");
    told.run("dataos-ctl delete -t compute -n access-roles -q --as edda");
    told.run("kubectl auth can-i patch computes.poros.dataos.io --subresource=status --as edda 2>/dev/null");
    told.run("kubectl auth can-i create placements.poros.dataos.io --as edda 2>/dev/null");
    told.run("kubectl auth can-i patch nodes --as edda 2>/dev/null");
    told.run("kubectl poros get computes --as nobody");
    // Who has no right at all is told of what it takes to write, though it is a read that is refused.
    told.run("dataos-ctl apply -f own.yaml --as nobody");
    told.run("dataos-ctl apply -f own.yaml --output json --as nobody");
    told.run("dataos-ctl delete -t compute -n access-roles --as nobody");
    told.run("dataos-ctl delete --selector a=b --yes --output json --as nobody");
    told.compare();
    assert!(raw_computes(&client).get_opt("access-roles-own").await.unwrap().is_none());
}

async fn a_program_logs_in() {
    let cluster = cluster::shared().await;
    let name = "access-program";
    let credential = json!({
        "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"token": token(cluster), "expirationTimestamp": "2999-01-01T00:00:00Z"},
    });
    let login = script(
        name,
        cluster,
        "login",
        &format!(
            "echo run >> runs\necho \"logging $1 in to $(echo \"$KUBERNETES_EXEC_INFO\" | grep -o 'https://[^\"]*')\" >&2\n\
             cat <<'END'\n{credential}\nEND\n"
        ),
    );
    let exec = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": login, "args": ["ann"],
        "interactiveMode": "IfAvailable", "provideClusterInfo": true,
    }});
    let mut told = transcript(name, cluster, &kubeconfig(cluster, &exec, &json!({})));
    told.remark("a program that gives a token");
    told.run("dataos-ctl get -t compute -o nobody -q");
    let runs = std::fs::read_to_string(folder(name, cluster).join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1, "each run may ask a person for a password");

    // Each says what is wrong, and none of them a secret.
    let failing = script(
        name,
        cluster,
        "failing",
        "echo 'session of ann has ended: run login-tool login' >&2\necho s3cret\nexit 3\n",
    );
    let silly =
        script(name, cluster, "silly", "echo '{\"kind\": \"ExecCredential\", \"status\": \"s3cret\"'\n");
    let unknown = script(
        name,
        cluster,
        "unknown",
        "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"s3cret\"}}'\n",
    );
    for (command, hint, mode) in [
        (failing.as_str(), None, "Never"),
        ("login-tool", Some("login-tool is to be had at https://login.example.org"), "Never"),
        ("login-tool", None, "Never"),
        (silly.as_str(), None, "Never"),
        (unknown.as_str(), None, "Never"),
        (unknown.as_str(), None, "Always"),
    ] {
        let exec = json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": mode,
            "installHint": hint,
        }});
        let command = command.trim_start_matches("./");
        let hinted = if hint.is_some() { ", with a hint" } else { "" };
        told.remark(&format!("the program {command}{hinted}, interactiveMode {mode}"));
        told.file(".kubeconfig", kubeconfig(cluster, &exec, &json!({})).to_string());
        let printed = told.run("dataos-ctl get -t compute -q");
        assert!(!printed.err.contains("s3cret") && printed.out.is_empty(), "{}", printed.err);
        assert_eq!(printed.code, 5, "{}", printed.err);
    }
    told.compare();
}

async fn a_login_that_is_not_taken_is_told_from_all_else() {
    let cluster = cluster::shared().await;
    let name = "access-login";
    let token_file = folder(name, cluster).join("token");
    std::fs::write(&token_file, "ended").unwrap();
    let mut told = transcript(name, cluster, &kubeconfig(cluster, &json!({"token": "s3cret"}), &json!({})));
    for (what, login) in [
        ("a token that no server knows", json!({"token": "s3cret"})),
        ("a file with a token that no server knows", json!({"tokenFile": token_file})),
        ("no login", json!({})),
    ] {
        told.remark(what);
        told.file(".kubeconfig", kubeconfig(cluster, &login, &json!({})).to_string());
        let printed = told.run("dataos-ctl get -t compute -q");
        assert!(!printed.err.contains("s3cret"), "{}", printed.err);
        assert_eq!(printed.code, 5, "{}", printed.err);
    }
    told.compare();
}

async fn a_proxy_leads_to_the_cluster() {
    let cluster = cluster::shared().await;
    let name = "access-proxy";
    let proxy = Proxy::start(cluster, false);
    let closed = Proxy::start(cluster, true);
    let login = json!({"token": token(cluster)});
    let over = json!({"proxy-url": format!("http://ann:s3cret@{}", proxy.address)});
    let mut told = transcript(name, cluster, &kubeconfig(cluster, &login, &over));
    told.replace(&proxy.address.to_string(), "PROXY");
    told.replace(&closed.address.to_string(), "CLOSED-PROXY");
    told.remark("proxy-url in the kubeconfig");
    told.run("dataos-ctl get -t compute -o nobody -q");
    assert_eq!(
        proxy.asked(),
        vec![(cluster.rig.url().replace("https://", ""), true)],
        "one connection, with its password"
    );

    // By the environment: not to this machine itself, and not to what NO_PROXY names.
    told.file(".kubeconfig", kubeconfig(cluster, &login, &json!({})).to_string());
    told.set("HTTPS_PROXY", &proxy.address.to_string());
    told.remark("HTTPS_PROXY, and an API server on this machine");
    told.run("dataos-ctl get -t compute -o nobody -q");
    assert_eq!(proxy.asked().len(), 1, "an address of this machine needs no proxy");
    let flags = "--server https://api.rig.invalid:6443 --tls-server-name kubernetes";
    told.remark("HTTPS_PROXY, and one elsewhere");
    told.run(&format!("dataos-ctl get -t compute -o nobody -q {flags}"));
    assert_eq!(proxy.asked().last().unwrap(), &("api.rig.invalid:6443".to_owned(), false));
    assert_eq!(proxy.asked().len(), 2);

    let over = json!({"proxy-url": format!("http://ann:s3cret@{}", closed.address)});
    told.file(".kubeconfig", kubeconfig(cluster, &login, &over).to_string());
    told.remark("proxy-url of a proxy that refuses");
    let printed = told.run("dataos-ctl get -t compute -o nobody -q");
    assert!(!printed.err.contains("s3cret"), "{}", printed.err);
    assert_eq!(closed.asked().len(), 1);
    told.compare();
}

async fn what_is_not_an_api_server_is_told_by_what_is_wrong() {
    let cluster = cluster::shared().await;
    let name = "access-nobody";
    let (plain, silent) = (plain_http(), silent());
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let login = json!({"token": token(cluster)});
    let mut told = transcript(name, cluster, &kubeconfig(cluster, &login, &json!({})));
    told.replace(&plain.to_string(), "PLAIN-HTTP");
    told.replace(&silent.to_string(), "SILENT");
    told.file("other.crt", authority.self_signed(&key).unwrap().pem());
    told.file("no.crt", "not PEM");
    for flags in [
        "--server https://127.0.0.1:1".to_owned(),
        "--certificate-authority other.crt".into(),
        "--tls-server-name other.example.org".into(),
        "--certificate-authority no.crt".into(),
        format!("--server https://{plain}"),
        format!("--server https://{silent} --request-timeout 1s"),
        "--certificate-authority other.crt --insecure-skip-tls-verify -o nobody".into(),
        "--certificate-authority other.crt --tls-allow-insecure -o nobody".into(),
        "--request-timeout soon".into(),
    ] {
        told.run(&format!("dataos-ctl get -t compute -q {flags}"));
    }
    // Some resolvers take longer than that.
    let printed = told.quietly("dataos-ctl get -t compute -q --server https://nowhere.invalid");
    let words = ["its name has no address", "it took no connection within 5 s"];
    assert!(words.iter().any(|words| printed.err.contains(words)) && printed.code == 1, "{}", printed.err);
    told.compare();
}

async fn the_kubeconfig_is_read_as_kubectl_does() {
    let cluster = cluster::shared().await;
    let name = "access-kubeconfig";
    let mut first = kubeconfig(cluster, &json!({"token": "s3cret"}), &json!({}));
    first["contexts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "edge", "context": {"cluster": "edge", "user": "x"}}));
    let mut told = transcript(name, cluster, &first);
    let mut second = kubeconfig(cluster, &json!({"token": "never used"}), &json!({}));
    second["users"].as_array_mut().unwrap().push(json!({"name": "robot", "user": {"token": token(cluster)}}));
    told.file("second", second.to_string());
    told.file("broken", "apiVersion: v1\nkind: Config\nusers:\n- name: s3cret\n  user: {token: [s3cret]}\n");
    told.file(
        "undecided",
        json!({"contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "x"}}]}).to_string(),
    );
    let kubeconfig = folder(name, cluster).join(".kubeconfig").display().to_string();
    for flags in [
        "--context rigg",
        "--context edge",
        "--cluster rigs",
        "--user some",
        "--as-group ops",
        "--kubeconfig nowhere",
        "--kubeconfig broken",
        "--kubeconfig undecided",
    ] {
        let printed = told.run(&format!("dataos-ctl get -t compute -q {flags}"));
        assert!(!printed.err.contains("s3cret"), "{}", printed.err);
    }
    // Several files, one of them absent; the first that names a user says how it logs in.
    told.set("KUBECONFIG", &format!("{kubeconfig}:nowhere:second"));
    told.run("dataos-ctl get -t compute -q -o nobody --user robot");
    told.run("dataos-ctl get -t compute -q");
    told.set("KUBECONFIG", "");
    told.run("dataos-ctl get -t compute -q");
    told.run("dataos-ctl get -t compute -q --kubeconff second");
    told.compare();
}

async fn a_cluster_without_poros_says_so_and_its_roles_join_those_of_all_clusters() {
    let started = tokio::task::spawn_blocking(|| {
        Cluster::bare(Options { controller_manager: true, ..Options::api_only("it-access") })
    });
    let cluster = started.await.unwrap();
    let mut told = Transcript::new("access-without-poros", &cluster, "ann");
    told.run("dataos-ctl get -t compute -q");
    told.run("kubectl poros get computes");
    told.compare();

    cluster.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/access/roles.yaml")]);
    for (role, verbs) in [
        ("view", "get,list,watch"),
        ("edit", "create,delete,get,list,patch,update,watch"),
        ("admin", "create,delete,get,list,patch,update,watch"),
    ] {
        until(&format!("the rules to join {role}"), wait::LIMIT, || async {
            let found: Value =
                serde_json::from_str(&cluster.kubectl(&["get", "clusterrole", role, "-o", "json"])).unwrap();
            let ours = found["rules"].as_array().into_iter().flatten();
            let ours = ours.filter(|rule| rule["apiGroups"] == json!(["poros.dataos.io"]));
            let ours = ours.filter(|rule| rule["resources"].as_array().unwrap().contains(&json!("computes")));
            let mut all: Vec<&str> =
                ours.flat_map(|rule| rule["verbs"].as_array().unwrap()).filter_map(Value::as_str).collect();
            all.sort_unstable();
            all.dedup();
            let all = all.join(",");
            if all == verbs { Ok(()) } else { Err(all) }
        })
        .await;
    }
}

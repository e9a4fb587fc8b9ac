//! The pods of the chart: what their templates say, and what an API server that enforces `restricted` says of them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::release::DEFAULTS;
use super::{documents, named, run};
use crate::harness::cluster;
use crate::harness::objects::{create, delete, dynamic};
use crate::trials;

trials![
    pods_are_let_into_a_restricted_namespace,
    pods_are_what_the_values_ask_for,
    pods_on_the_network_of_nodes_share_no_port,
    the_program_takes_what_the_chart_tells_it,
];

/// The pod templates of the chart, by the kind of what makes pods of them, and the whole object.
fn templates(flags: &[&str]) -> Vec<(String, Value, Value)> {
    let all = documents(true, flags).into_iter();
    all.filter_map(|(object, _)| {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let template = match kind.as_str() {
            "Deployment" | "Job" => object["spec"]["template"].clone(),
            "Pod" => object.clone(),
            _ => return None,
        };
        Some((kind, template, object))
    })
    .collect()
}

/// Of all pods: no ids, which some clusters give each namespace by themselves, and one choice of resources, also where a quota asks
/// for limits.
async fn pods_are_what_the_values_ask_for() {
    let flags = [
        "--set=crds.keep=false,resources.limits.cpu=1,resources.requests.memory=99Mi",
        "--set=image.repository=registry.example.com/a/poros,image.tag=one,image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "--set=defaultComputes.query-default.enabled=true",
    ];
    let found = templates(&flags);
    assert_eq!(found.len(), 4, "the Deployment, the pod of helm test, and two Jobs of the uninstall");
    for (kind, template, _) in &found {
        let text = template.to_string();
        for id in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
            assert!(!text.contains(id), "{kind}: {id}");
        }
        assert_eq!(template["spec"]["securityContext"]["runAsNonRoot"], true, "{kind}");
        let containers =
            ["initContainers", "containers"].map(|list| template["spec"][list].as_array().cloned());
        for container in containers.into_iter().flatten().flatten() {
            let wanted = json!({"requests": {"cpu": "50m", "memory": "99Mi"}, "limits": {"cpu": 1, "memory": "256Mi"}});
            assert_eq!(container["resources"], wanted, "{kind} {}", container["name"]);
        }
    }
    let container = &found.iter().find(|(kind, ..)| kind == "Deployment").unwrap().1["spec"]["containers"][0];
    // What an older Poros does not know is no flag, for it would end with that: chart and image may differ.
    let variable = |name: &str| {
        let env = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name);
        env.unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    assert_eq!(
        variable("POROS_PROBE_IMAGE"),
        container["image"],
        "whoever may pull Poros may have this probe"
    );
    assert_eq!(variable("POROS_DEFAULT_COMPUTES"), "/etc/poros/default-computes.json");
    let arguments = container["args"].to_string();
    assert!(
        arguments.contains("--listen=[::]:8080") && arguments.contains("--webhook-listen=[::]:9443"),
        "{arguments}"
    );

    let budget = named(&documents(true, &[]), "PodDisruptionBudget", "poros");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(
        budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow",
        "a drain waits for no Poros that is not ready"
    );
}

async fn pods_on_the_network_of_nodes_share_no_port() {
    let deployment = |flags: &[&str]| {
        let found = named(&documents(false, flags), "Deployment", "poros");
        let pod = &found["spec"]["template"]["spec"];
        (
            pod["hostNetwork"].clone(),
            pod["dnsPolicy"].clone(),
            found["spec"]["strategy"]["rollingUpdate"].clone(),
        )
    };
    let (network, dns, roll_out) = deployment(&[]);
    assert_eq!(
        (network, dns, roll_out),
        (Value::Null, Value::Null, json!({"maxUnavailable": 0, "maxSurge": 1}))
    );
    let (network, dns, roll_out) = deployment(&["--set=hostNetwork=true"]);
    assert_eq!(
        (network, dns, roll_out),
        (json!(true), json!("ClusterFirstWithHostNet"), json!({"maxUnavailable": 1, "maxSurge": 0}))
    );
}

/// Flags and variables, as far as the program gets without an API server.
async fn the_program_takes_what_the_chart_tells_it() {
    let all = [
        "--set=poolUsage=true,logFormat=text,log=poros=debug\\,kube=info,metrics.groups={none}",
        "--set=extraArgs={--audit-interval=7200},defaultComputes.query-default.enabled=true",
        "--set=image.repository=localhost:5000/a/poros",
    ];
    let folder = std::env::temp_dir().join(format!("poros-told-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let wrong = ["--set=extraArgs={--no-such-flag}"];
    for (flags, told) in [(&[][..], "nowhere"), (&all[..], "nowhere"), (&wrong[..], "--no-such-flag")] {
        let found = documents(false, flags);
        let container = &named(&found, "Deployment", "poros")["spec"]["template"]["spec"]["containers"][0];
        let mut command = Command::new(env!("CARGO_BIN_EXE_poros"));
        command.args(container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()));
        for variable in container["env"].as_array().unwrap() {
            let Some(value) = variable["value"].as_str() else { continue };
            let value = match value.strip_prefix("/etc/poros/") {
                None => value.to_owned(),
                Some(name) => {
                    let map = named(&found, "ConfigMap", "poros-default-computes");
                    std::fs::write(folder.join(name), map["data"][name].as_str().unwrap()).unwrap();
                    folder.join(name).to_str().unwrap().to_owned()
                }
            };
            command.env(variable["name"].as_str().unwrap(), value);
        }
        let output = run(command.env("POROS_KUBECONFIG", "/nowhere"));
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(!output.status.success() && said.contains(told), "{flags:?}: {said}");
        assert_eq!(said.contains("Usage:"), told != "nowhere", "{flags:?}: {said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Each pod template of the chart, and what makes pods of it, as a server-side dry run where `restricted` is enforced.
async fn pods_are_let_into_a_restricted_namespace() {
    let cluster = cluster::shared().await;
    let namespace = "chart-restricted";
    let labels =
        ["enforce", "warn"].map(|mode| (format!("pod-security.kubernetes.io/{mode}"), json!("restricted")));
    let labels: serde_json::Map<String, Value> = labels.into_iter().collect();
    let client = cluster.client().await;
    let namespaces = dynamic(&client, "v1", "Namespace", "namespaces", None);
    create(
        &namespaces,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}),
    )
    .await
    .unwrap();
    let mut seen = 0;
    for flags in [&DEFAULTS[..2], &["--set=crds.keep=false"]] {
        for (kind, template, object) in templates(flags) {
            let account = template["spec"]["serviceAccountName"].as_str().unwrap().to_owned();
            let accounts = dynamic(&client, "v1", "ServiceAccount", "serviceaccounts", Some(namespace));
            create(
                &accounts,
                &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}),
            )
            .await
            .ok();
            let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("restricted-{seen}")}, "spec": template["spec"]});
            if kind == "Deployment" {
                pod["spec"]["restartPolicy"] = json!("Always");
            }
            let mut whole = object.clone();
            whole["metadata"]["namespace"] = json!(namespace);
            for (what, object) in [("pod", pod), ("whole", whole)] {
                let file: PathBuf = cluster.rig.dir().join(format!("restricted-{seen}-{what}.json"));
                std::fs::write(&file, object.to_string()).unwrap();
                let mut kubectl = cluster.rig.kubectl();
                let output =
                    run(kubectl.args(["create", "--dry-run=server", "-n", namespace, "-f"]).arg(&file));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && said.is_empty(), "{kind} as {what}: {said}");
            }
            seen += 1;
        }
    }
    assert_eq!(
        seen, 7,
        "the Deployment and the pod of helm test, each twice; a Job of the uninstall, and then two"
    );
    delete(&namespaces, namespace).await.unwrap();
}

//! On a real API server: Helm installs, upgrades, rolls back and uninstalls, with Poros beside the cluster under the account
//! that the chart gave it. (No node runs here, so hooks are run by hand.)

use std::process::Command;

use kube::api::ListParams;
use serde_json::{Value, json};
use xtask::rig::Options;

use super::release::{DEFAULTS, GROUP, Installed, identity, retire, used_as_granted};
use super::{CHART, run};
use crate::harness::audit::Audit;
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{
    bindings, create, delete, dry_run, dynamic, node, patch, placements, pod, pods, raw_computes, with,
};
use crate::harness::{cluster, until, wait};
use crate::trials;

trials![
    it_is_installed_upgraded_removed_and_adopted,
    without_keep_nothing_stays_and_nothing_in_use_goes,
    the_webhook_is_the_charts_and_its_authority_is_poros_own,
];

async fn it_is_installed_upgraded_removed_and_adopted() {
    let installed = Installed::start(Options::api_only("it-chart"), &DEFAULTS).await;
    let client = &installed.client;
    installed.cluster.await_policies();
    let poros = installed.poros();
    let made = wait::active(client, "query-default").await;
    let made = if identity(&made).2.is_some() { made } else { wait::proven(client, "query-default").await };
    let before = identity(&made);
    assert_eq!(made.spec.owner.as_deref(), Some(cluster::POROS_USER));
    // A default that cannot be is told, and keeps nothing from being ready.
    let remark = until("the refusal to be told", wait::LIMIT, || async {
        let (code, body) = poros.get("/readyz").map_err(|error| error.to_string())?;
        if code == 200 && body.lines().count() > 1 { Ok(body) } else { Err(format!("{code} {body}")) }
    })
    .await;
    assert!(
        remark.contains("the default Compute runnable-default is not there") && remark.contains("nonsense"),
        "{remark}"
    );
    // One that somebody changed is not put back.
    patch(&raw_computes(client), "query-default", &json!({"spec": {"description": "mine"}})).await;
    drop(poros);
    let poros = installed.poros();
    let kept = raw_computes(client).get("query-default").await.unwrap();
    assert_eq!(kept.data["spec"]["description"], "mine");

    helm_test_passes(&installed).await;

    let bound =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    let actions = async |guard: &str| {
        bound
            .get_opt(&format!("{guard}.poros.dataos.io"))
            .await
            .unwrap()
            .map(|binding| binding.data["spec"]["validationActions"].clone())
    };
    installed.helm(
        &[
            &[
                "upgrade",
                "poros",
                CHART,
                "--set=guards.placed=Warn,requireUse=true,exemptNamespaces={kube-system}",
            ],
            &DEFAULTS[..],
        ]
        .concat(),
    );
    assert_eq!(actions("placed").await.unwrap(), json!(["Warn", "Audit"]));
    assert_eq!(actions("use").await.unwrap(), json!(["Deny"]));
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let upgraded = wait::active(client, "query-default").await;
    assert_eq!(
        identity(&upgraded),
        before,
        "an upgrade rebuilds nothing, and levels and namespaces are the installer's"
    );
    installed.helm(&["rollback", "poros", "1"]);
    assert_eq!((actions("placed").await.unwrap(), actions("use").await), (json!(["Deny"]), None));
    assert_eq!(identity(&wait::active(client, "query-default").await), before);

    drop(poros);
    an_uninstall_leaves_what_places_and_guards(&installed).await;

    // Installed again: what stayed is adopted, and nothing is built anew.
    installed.helm(&[&["install", "poros", CHART], &DEFAULTS[..]].concat());
    let _poros = installed.poros();
    until("the finalizer to be back", wait::LIMIT, || async {
        let found = raw_computes(client).get("query-default").await.unwrap();
        if found.metadata.finalizers.unwrap_or_default().is_empty() {
            Err("it is not".into())
        } else {
            Ok(())
        }
    })
    .await;
    assert_eq!(identity(&wait::active(client, "query-default").await), before);
}

/// What `helm test` runs, with the rights that its account has.
async fn helm_test_passes(installed: &Installed) {
    let (cluster, client) = (&installed.cluster, &installed.client);
    // A node that a pool of all nodes would have.
    node(client, "chart-node", "chart", true).await;
    let label = json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}});
    patch(&dynamic(client, "v1", "Node", "nodes", None), "chart-node", &label).await;
    let hooks = installed.helm(&["get", "hooks", "poros"]);
    let hooks = super::read(&hooks);
    let folder = cluster.rig.dir();
    let (manifest, _) = hooks.iter().find(|(object, _)| object["kind"] == "ConfigMap").unwrap();
    std::fs::write(folder.join("compute.yaml"), manifest["data"]["compute.yaml"].as_str().unwrap()).unwrap();
    let kubeconfig = installed.hook_account(&hooks, "poros-test");
    let audit = Audit::from_now(cluster);
    let (pod, _) = hooks.iter().find(|(object, _)| object["kind"] == "Pod").unwrap();
    let containers =
        ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().unwrap().clone());
    let containers = containers.concat();
    assert_eq!(containers.len(), 3);
    for container in containers {
        assert_eq!(container["command"], json!(["/dataos-ctl"]));
        let arguments =
            container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let arguments =
            arguments.map(|argument| argument.replace("/etc/poros-test", folder.to_str().unwrap()));
        let output = Command::new(env!("CARGO_BIN_EXE_dataos-ctl"))
            .args(arguments)
            .env("KUBECONFIG", &kubeconfig)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", container["name"]);
        if container["name"] == "prove" {
            let tried = wait::compute(client, "poros-test", "status", |tried| tried.status.is_some()).await;
            let matched = tried.status.and_then(|status| status.nodes).map(|nodes| nodes.matched);
            assert_eq!(matched, Some(0), "it overlaps with the pools of others");
        }
    }
    assert!(raw_computes(client).get_opt("poros-test").await.unwrap().is_none());
    // An apply of what is not there is a patch, which the API server asks for the verb create as well.
    used_as_granted(&audit, &hooks, "poros-test", &["create"]);
    installed.remove_hook_account("poros-test");
}

/// It is as if Poros were down: pods are placed and refused, and no deletion waits for it.
async fn an_uninstall_leaves_what_places_and_guards(installed: &Installed) {
    let client = &installed.client;
    let hooks = super::read(&installed.helm(&["get", "hooks", "poros"]));
    // No node runs the hook. Then Helm says so, and leaves its Job alone, without the account that may change Computes.
    let output = run(&mut installed.command(&["uninstall", "poros", "--timeout=10s"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("poros-retire not ready"), "{said}");
    let of_hook = "jobs,serviceaccounts,roles,rolebindings";
    let left = installed.cluster.kubectl(&["get", of_hook, "-n", NAMESPACE, "-o", "name"]);
    assert_eq!(
        left.lines().filter(|name| name.contains("poros")).collect::<Vec<_>>(),
        ["job.batch/poros-retire"]
    );
    let left = installed.cluster.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
    assert!(!left.contains("poros"), "{left}");
    installed.cluster.kubectl(&["delete", "job", "poros-retire", "-n", NAMESPACE]);
    installed.retires(&hooks);
    assert!(
        raw_computes(client)
            .get("query-default")
            .await
            .unwrap()
            .metadata
            .finalizers
            .unwrap_or_default()
            .is_empty()
    );
    assert!(
        installed
            .has("MutatingAdmissionPolicy", "mutatingadmissionpolicies", "placement.poros.dataos.io")
            .await
    );
    assert!(
        !installed
            .has("MutatingAdmissionPolicy", "mutatingadmissionpolicies", "computes.poros.dataos.io")
            .await
    );
    let left = installed.cluster.kubectl(&["get", "deployments,serviceaccounts,services,configmaps,roles,rolebindings,secrets,poddisruptionbudgets,networkpolicies", "-n", NAMESPACE, "-o", "name"]);
    assert!(!left.contains("poros"), "{left}");
    let left = installed.cluster.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"]);
    assert!(!left.contains("poros"), "{left}");
    wait::placed(client, "query-default", 1).await;
    wait::refused(client, "never-there", "is not in force").await;
    // A Compute that is made now gets no finalizer that nobody would take off.
    let fresh = with(
        json!(crate::harness::objects::compute("made-without")),
        "/spec/nodePool/minReadyNodes",
        json!(0),
    );
    until("no finalizer to be set", wait::LIMIT, || async {
        let seen = dry_run(&raw_computes(client), &fresh).await.map_err(|error| error.to_string())?;
        if seen.metadata.finalizers.unwrap_or_default().is_empty() { Ok(()) } else { Err("it is set".into()) }
    })
    .await;
    create(&raw_computes(client), &fresh).await.unwrap();
    delete(&raw_computes(client), "made-without").await.unwrap();
    assert!(raw_computes(client).get_opt("made-without").await.unwrap().is_none());
}

async fn without_keep_nothing_stays_and_nothing_in_use_goes() {
    let installed = Installed::start(Options::api_only("it-chart-all"), &["--set=crds.keep=false"]).await;
    let client = &installed.client;
    installed.cluster.await_policies();
    let poros = installed.poros();
    crate::rows::poolless(client, "chart-used").await;
    crate::rows::poolless(client, "chart-free").await;
    create(
        &dynamic(client, "v1", "ServiceAccount", "serviceaccounts", Some("default")),
        &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
    )
    .await
    .ok();
    create(&pods(client), &pod("chart-user", "chart-used")).await.unwrap();
    wait::used(client, "chart-used", 1).await;
    let hooks = super::read(&installed.helm(&["get", "hooks", "poros"]));
    let (kubeconfig, audit) =
        (installed.hook_account(&hooks, "poros-delete-computes"), Audit::from_now(&installed.cluster));
    let (well, said) = retire(&kubeconfig, &["--delete-computes"]);
    assert!(!well && said.contains("nothing was deleted") && said.contains("default/chart-user"), "{said}");
    assert!(raw_computes(client).get("chart-free").await.unwrap().metadata.deletion_timestamp.is_none());
    super::retired::a_guard_that_only_warns_is_kept_to(&installed, &kubeconfig).await;
    delete(&pods(client), "chart-user").await.unwrap();
    wait::compute(client, "chart-used", "no users", |compute| {
        compute
            .status
            .as_ref()
            .is_some_and(|status| status.users.as_ref().is_none_or(|users| users.pods == 0))
    })
    .await;
    let (well, said) = retire(&kubeconfig, &["--delete-computes"]);
    assert!(well, "{said}");
    used_as_granted(&audit, &hooks, "poros-delete-computes", &[]);
    installed.remove_hook_account("poros-delete-computes");
    assert_eq!(placements(client).list(&ListParams::default()).await.unwrap().items.len(), 0);
    assert!(
        bindings(client).list(&ListParams::default()).await.unwrap().items.iter().all(|binding| binding
            .metadata
            .name
            .as_ref()
            .unwrap()
            .contains('.'))
    );
    // Somebody is late: a Compute that holds up the CRD by a finalizer that nobody would take off.
    drop(poros);
    create(&raw_computes(client), &json!(crate::harness::objects::compute("chart-late"))).await.unwrap();
    installed.helm(&["uninstall", "poros", "--no-hooks"]);
    installed.retires(&hooks);
    for kinds in [
        "crds",
        "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings",
    ] {
        // The API server empties a CRD before it lets it go.
        until("nothing of Poros to be left", wait::LIMIT, || async {
            let left = installed.cluster.kubectl(&["get", kinds, "-o", "name"]);
            if left.contains("poros") { Err(left) } else { Ok(()) }
        })
        .await;
    }
}

async fn the_webhook_is_the_charts_and_its_authority_is_poros_own() {
    let installed =
        Installed::start(Options::api_only("it-chart-webhook").without_mutating_policies(), &[]).await;
    let client = &installed.client;
    let _poros = installed.poros();
    let registrations =
        dynamic(client, GROUP, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", None);
    let trusted = || async {
        let found = registrations.get("poros.dataos.io").await.map_err(|error| error.to_string())?;
        let bundles: Vec<Value> = found.data["webhooks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|webhook| webhook["clientConfig"]["caBundle"].clone())
            .collect();
        if bundles.iter().all(Value::is_string) { Ok(bundles) } else { Err(format!("{bundles:?}")) }
    };
    let bundles = until("the API server to be told whom to trust", wait::LIMIT, trusted).await;
    assert_eq!(bundles.len(), 2);
    installed.helm(&["upgrade", "poros", CHART, "--set=replicas=3"]);
    assert_eq!(trusted().await.unwrap(), bundles, "an upgrade leaves the authority to Poros");
    // Nobody answers here: labelled pods are refused, but for those of exempt namespaces, whose webhook is trusted as well.
    installed.helm(&["upgrade", "poros", CHART, "--set=replicas=3,exemptNamespaces={chart-exempt}"]);
    until("the webhook of exempt namespaces to be trusted", wait::LIMIT, || async {
        let bundles = trusted().await?;
        if bundles.len() == 3 { Ok(()) } else { Err(format!("{bundles:?}")) }
    })
    .await;
    installed.cluster.kubectl(&["create", "namespace", "chart-exempt"]);
    installed.cluster.kubectl(&["create", "serviceaccount", "default", "-n", "chart-exempt"]);
    let exempt = dynamic(client, "v1", "Pod", "pods", Some("chart-exempt"));
    until("a pod of an exempt namespace to go in", wait::LIMIT, || async {
        dry_run(&exempt, &pod("goes-in", "never-there")).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    wait::refused(client, "never-there", "failed calling webhook \"pods.poros.dataos.io\"").await;
    // Nor does a tool that compares what it applied see that Poros wrote something.
    let manifest = installed.cluster.rig.dir().join("manifest.yaml");
    std::fs::write(&manifest, installed.helm(&["get", "manifest", "poros"])).unwrap();
    assert_eq!(installed.cluster.kubectl(&["diff", "-f", manifest.to_str().unwrap()]), "");
    let notes = installed.helm(&["get", "notes", "poros"]);
    assert!(notes.contains("the webhook of Poros"), "{notes}");
    installed.helm(&["uninstall", "poros", "--no-hooks"]);
    assert!(registrations.get_opt("poros.dataos.io").await.unwrap().is_none(), "nobody would answer it");
    wait::refused(client, "never-there", "is not in force").await;
}

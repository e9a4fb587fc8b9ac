//! `kubectl poros explain` as a process, against the real API server: what it tells, and with which rights.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::cluster::{self, Cluster};
use crate::harness::objects::{
    compute, create, delete, dynamic, node, nodes, patch, pod, pods, raw_computes, with,
};
use crate::harness::wait;
use crate::rows::{apply, clear, edit, poolless};
use crate::trials;

trials![
    a_pod_is_told_what_placed_it_and_which_nodes_fit,
    a_pod_of_an_older_revision_and_one_with_the_label_alone,
    a_pod_to_come_is_told_the_very_words,
    a_compute_in_error_and_in_use_is_told_with_what_to_do,
    a_changed_manifest_is_told_by_what_it_would_do,
    what_may_not_be_seen_is_said_and_the_rest_is_told,
    what_is_not_there_ends_with_an_error,
];

/// What `kubectl poros explain` printed, and how it ended.
struct Told {
    out: String,
    err: String,
    code: i32,
}

impl Told {
    /// Its text, once it holds all these lines and ended well.
    fn holds(&self, lines: &[&str]) {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        let flowing = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let out = flowing(&self.out);
        for line in lines {
            // As it is laid out, where it says how; else wherever it is folded.
            let found = self.out.contains(line) || (!line.contains('\n') && out.contains(&flowing(line)));
            assert!(found, "{line:?} is not in:\n{}", self.out);
        }
        let wide = self.out.lines().find(|line| line.chars().count() > 100 && !line.contains("kubectl"));
        assert_eq!(wide, None, "a line of more than 100 columns");
        assert!(!self.out.contains('\u{1b}'), "no colours where nobody looks:\n{}", self.out);
    }

    fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        for words in words {
            assert!(self.err.contains(words), "{words:?} is not in: {}", self.err);
        }
    }
}

fn ask_as(kubeconfig: &Path, arguments: &[&str], stdin: &str) -> Told {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_dataos-ctl"))
        .arg0("kubectl-poros")
        .arg("explain")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("poros starts");
    // It may end without reading it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
}

fn ask(cluster: &Cluster, arguments: &[&str]) -> Told {
    ask_as(cluster.rig.kubeconfig(), arguments, "")
}

fn ask_about(cluster: &Cluster, arguments: &[&str], manifest: &Value) -> Told {
    ask_as(cluster.rig.kubeconfig(), &[arguments, &["-f", "-"]].concat(), &manifest.to_string())
}

/// An active Compute over three nodes: one is well, one is cordoned, one is not ready.
async fn with_nodes(client: &Client, name: &str) {
    for index in 1..=3 {
        node(client, &format!("{name}-{index}"), name, index != 3).await;
    }
    patch(&nodes(client), &format!("{name}-2"), &json!({"spec": {"unschedulable": true}})).await;
    apply(client, &compute(name)).await;
    wait::active(client, name).await;
    wait::placed(client, name, 1).await;
}

async fn away(client: &Client, name: &str) {
    clear(client, name).await;
    for index in 1..=3 {
        delete(&nodes(client), &format!("{name}-{index}")).await.unwrap();
    }
}

/// The same as the scheduler writes it, which does not run here.
async fn unschedulable(client: &Client, name: &str, message: &str) {
    let condition =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    let status = json!({"status": {"conditions": [condition]}});
    let merge = kube::api::Patch::Merge(&status);
    pods(client).patch_status(name, &kube::api::PatchParams::default(), &merge).await.unwrap();
}

async fn a_pod_is_told_what_placed_it_and_which_nodes_fit() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-pod");
    with_nodes(&client, name).await;
    let mut wanted = pod("explain-pod-a", name);
    wanted["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    wanted["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "8"}});
    create(&pods(&client), &wanted).await.unwrap();
    unschedulable(&client, "explain-pod-a", "0/3 nodes are available").await;
    ask(cluster, &["pod", "default/explain-pod-a"]).holds(&[
        "Pod default/explain-pod-a names Compute explain-pod\n",
        "  Compute    active/built: revision 1 is in force\n",
        "  Placed     by revision 1, which is in force\n",
        "  Injected   nodeSelector pool=explain-pod\n             tolerations dedicated=explain-pod:NoSchedule\n",
        "  Its own    nodeSelector disk=ssd\n             requests cpu=8\n",
        "  Nodes      none of ",
        "1  no label disk (ssd is wanted); too small: cpu 8 is requested, 4 offered: explain-pod-1",
        "1  no label disk (ssd is wanted); cordoned; too small: ",
        "1  no label disk (ssd is wanted); not ready; too small: ",
        "  Runs       nowhere (Pending); its scheduler says Unschedulable: \"0/3 nodes are available\"\n",
    ]);
    // One that fits, bound as a scheduler would, told by the other way to name it, as data.
    create(&pods(&client), &pod("explain-pod-b", name)).await.unwrap();
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "explain-pod-b"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "explain-pod-1"},
    });
    let (api, post) = (pods(&client), kube::api::PostParams::default());
    api.create_subresource::<Value, Value>("binding", "explain-pod-b", &post, &binding).await.unwrap();
    let told = ask(cluster, &["pod", "-n", "default", "explain-pod-b", "-o", "json"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["placed"]["revision"], 1);
    assert_eq!(told["injected"]["nodeSelector"], json!({"pool": name}));
    assert_eq!((&told["nodes"]["fitting"], &told["nodes"]["names"]), (&json!(1), &json!(["explain-pod-1"])));
    assert_eq!(told["whereabouts"], "on node explain-pod-1 (Pending)");
    let yaml = ask(cluster, &["pod", "default/explain-pod-b", "-o", "yaml"]);
    assert!(yaml.out.contains("whereabouts: on node explain-pod-1 (Pending)"), "{}", yaml.out);
    for pod in ["explain-pod-a", "explain-pod-b"] {
        let now = kube::api::DeleteParams::default().grace_period(0);
        pods(&client).delete(pod, &now).await.unwrap();
    }
    wait::used(&client, name, 0).await;
    away(&client, name).await;
}

async fn a_pod_of_an_older_revision_and_one_with_the_label_alone() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-old");
    poolless(&client, name).await;
    create(&pods(&client), &pod("explain-old-a", name)).await.unwrap();
    let mut unlabelled = pod("explain-old-b", name);
    unlabelled["metadata"]["labels"] = json!({});
    create(&pods(&client), &unlabelled).await.unwrap();
    let label = json!({"metadata": {"labels": {"poros.dataos.io/compute": name}}});
    // A guard keeps people from it on the pod itself; whoever writes the status of pods is not asked.
    let merge = Patch::Merge(&label);
    pods(&client).patch_status("explain-old-b", &PatchParams::default(), &merge).await.unwrap();
    wait::used(&client, name, 1).await;
    edit(&client, name, json!({"spec": {"nodePool": {"nodeSelector": {"pool": "explain-new"}}}})).await;
    wait::active(&client, name).await;
    wait::placed(&client, name, 2).await;
    ask(cluster, &["pod", "default/explain-old-a"]).holds(&[
        "  Placed     by revision 1, which is outdated: revision 2 is in force.",
        // The content that was proven before is kept in the Placement.
        "  Injected   nodeSelector pool=explain-old\n",
    ]);
    ask(cluster, &["pod", "default/explain-old-b"]).holds(&[
        "  Placed     by no Compute: it carries the label, but not the mark poros.dataos.io/placed-by",
        "the label was written ",
    ]);
    ask(cluster, &["compute", name]).holds(&[
        "  Users      1 pod in namespace default\n",
        "1 of them run with an older revision until they are made anew: default/explain-old-a\n",
        "1 more carry the label, but were not placed by it",
        "             nodeSelector pool=explain-new\n",
    ]);
    for pod in ["explain-old-a", "explain-old-b"] {
        delete(&pods(&client), pod).await.unwrap();
    }
    wait::used(&client, name, 0).await;
    clear(&client, name).await;
}

fn deployment(name: &str, compute: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "poros.dataos.io/compute": compute}},
                "spec": pod(name, compute)["spec"],
            },
        },
    })
}

async fn a_pod_to_come_is_told_the_very_words() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-come");
    with_nodes(&client, name).await;
    ask_about(cluster, &["pod"], &deployment("explain-come-d", name)).holds(&[
        "Deployment default/explain-come-d names Compute explain-come\n",
        "  Admission  the API server would take it (a dry run, with your rights)\n",
        "  Injected   nodeSelector pool=explain-come\n",
        "  Its own    nothing\n",
        " fits: explain-come-1\n",
    ]);
    let other = with(pod("explain-come-p", name), "/spec/nodeSelector", json!({"pool": "mine"}));
    ask_about(cluster, &["pod", "-n", "default"], &other).holds(&[
        "  Admission  the API server would refuse it: ",
        "the pod asks for other nodes",
        "pool=mine (pool: explain-come)",
    ]);
    let mut daemons = deployment("explain-come-s", name);
    daemons["kind"] = json!("DaemonSet");
    ask_about(cluster, &["pod"], &daemons).holds(&["a DaemonSet plans from its own template"]);
    // No Compute of that name: pods that name it are refused, in the words of the policy.
    ask_about(cluster, &["pod"], &deployment("explain-come-x", "explain-cone")).holds(&[
        "  Compute    no Compute named explain-cone exists; did you mean explain-come?",
        "  Placed     nothing is in force: pods that name this Compute are refused\n",
        "Compute explain-cone is not in force",
    ]);
    assert!(pods(&client).get_opt("explain-come-p").await.unwrap().is_none(), "nothing is written");
    away(&client, name).await;
}

async fn a_compute_in_error_and_in_use_is_told_with_what_to_do() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-use");
    with_nodes(&client, name).await;
    create(&pods(&client), &pod("explain-use-a", name)).await.unwrap();
    let labelled = json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "explain-use-nightly", "labels": {"poros.dataos.io/compute": name}},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {
            "metadata": {"labels": {"poros.dataos.io/compute": name}},
            "spec": with(pod("x", name)["spec"].clone(), "/restartPolicy", json!("Never")),
        }}}},
    });
    let cron = dynamic(&client, "batch/v1", "CronJob", "cronjobs", Some("default"));
    create(&cron, &labelled).await.unwrap();
    patch(&nodes(&client), "explain-use-1", &json!({"metadata": {"labels": {"pool": "explain-no"}}})).await;
    patch(&nodes(&client), "explain-use-2", &json!({"metadata": {"labels": {"pool": "explain-no"}}})).await;
    wait::says(&client, name, "error/building NoReadyNodes").await;
    wait::compute(&client, name, "used by a pod and a workload", |compute| {
        let users = compute.status.as_ref().and_then(|status| status.users.as_ref());
        users.is_some_and(|users| (users.pods, users.workloads) == (1, 1))
    })
    .await;
    ask(cluster, &["compute", name]).holds(&[
        "  State      error/building: no node of the pool is ready (spec.nodePool.minReadyNodes is 1)",
        "  Fault      NoReadyNodes, found in the step pool\n",
        "             pods that name it: placed; they wait as Pending until a node fits\n",
        "  What to do ",
        "               kubectl describe node explain-use-3\n",
        "             nodeSelector pool=explain-use\n",
        "                 1  not ready: explain-use-3\n",
        "  Users      1 pod in namespace default\n",
        "workloads that carry the label: CronJob/default/explain-use-nightly\n",
        "  Deletion   refused: in use by 1 pod",
        "               kubectl annotate compute explain-use poros.dataos.io/delete-in-use=true\n",
        "  History    ",
        "error/building  NoReadyNodes: ",
    ]);
    delete(&pods(&client), "explain-use-a").await.unwrap();
    delete(&cron, "explain-use-nightly").await.unwrap();
    edit(&client, name, json!({"metadata": {"annotations": {"poros.dataos.io/delete-in-use": "true"}}}))
        .await;
    away(&client, name).await;
}

async fn a_changed_manifest_is_told_by_what_it_would_do() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-edit");
    with_nodes(&client, name).await;
    node(&client, "explain-edit-next", "explain-next", true).await;
    create(&pods(&client), &pod("explain-edit-a", name)).await.unwrap();
    wait::used(&client, name, 1).await;
    let before = raw_computes(&client).get(name).await.unwrap();
    let changed = with(compute(name), "/spec/nodePool/nodeSelector", json!({"pool": "explain-next"}));
    ask_about(cluster, &["compute", name], &changed).holds(&[
        "standard input would change Compute explain-edit\n",
        "  Edits      spec.nodePool.nodeSelector.pool: \"explain-edit\" becomes \"explain-next\"\n",
        "  Revision   1 becomes 2: ",
        "  Pool       3 nodes now, 1 then\n",
        "                 1  join: explain-edit-next\n",
        "                 3  leave: explain-edit-1, explain-edit-2, explain-edit-3\n",
        "  Taints     dedicated=explain-next:NoSchedule on 1 node of the pool would not be tolerated",
        "  Users      1 pod would run with an older revision until made anew\n",
    ]);
    let described = with(compute(name), "/spec/description", json!("for queries"));
    ask_about(cluster, &["compute"], &described).holds(&["  Revision   stays 1: "]);
    let text = "apiVersion: poros.dataos.io/v1beta1\nkind: Compute\nmetadata: {name: explain-edit}\nspec:\n  \
                purpose: query\n  nodepool: {}\n";
    let told = ask_as(cluster.rig.kubeconfig(), &["compute", "-f", "-"], text);
    told.holds(&[
        "standard input cannot be built: 2 errors\n",
        "standard input:6:3: spec.nodepool is no field; did you mean nodePool? There are:",
        "standard input:4:1: spec lacks nodePool, which is required\n",
        "  Until then what is in force stays so\n",
    ]);
    let told = ask_as(cluster.rig.kubeconfig(), &["compute", "-f", "-"], "kind: Compute\n  spec: [\n");
    told.fails(4, &["standard input:"]);
    ask_about(cluster, &["compute", "another"], &changed)
        .fails(4, &["has no Compute named another; it has: Compute explain-edit"]);
    let after = raw_computes(&client).get(name).await.unwrap();
    let written = |compute: &DynamicObject| (compute.metadata.generation, compute.data["spec"].clone());
    assert_eq!(written(&before), written(&after), "nothing is written");
    delete(&pods(&client), "explain-edit-a").await.unwrap();
    wait::used(&client, name, 0).await;
    delete(&nodes(&client), "explain-edit-next").await.unwrap();
    away(&client, name).await;
}

/// A kubeconfig of a service account that may read Computes and pods, and nothing else.
async fn viewer(cluster: &Cluster, client: &Client) -> PathBuf {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    cluster.kubectl(&["create", "serviceaccount", "explain-viewer", "-n", "default"]);
    let role = json!({
        "apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "explain-viewer"},
        "rules": [
            {"apiGroups": ["poros.dataos.io"], "resources": ["computes"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        ],
    });
    create(&dynamic(client, &version, "ClusterRole", "clusterroles", None), &role).await.unwrap();
    let binding = json!({
        "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": "explain-viewer"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "explain-viewer"},
        "subjects": [{"kind": "ServiceAccount", "name": "explain-viewer", "namespace": "default"}],
    });
    create(&dynamic(client, &version, "ClusterRoleBinding", "clusterrolebindings", None), &binding)
        .await
        .unwrap();
    let token = cluster.kubectl(&["create", "token", "explain-viewer", "-n", "default"]);
    cluster.rig.kubeconfig_for_token("explain-viewer", token.trim()).unwrap()
}

async fn what_may_not_be_seen_is_said_and_the_rest_is_told() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-view");
    poolless(&client, name).await;
    create(&pods(&client), &pod("explain-view-a", name)).await.unwrap();
    wait::used(&client, name, 1).await;
    let viewer = viewer(cluster, &client).await;
    // The API server learns of new rights by a watch.
    crate::harness::until("the viewer to be allowed", wait::LIMIT, || async {
        let told = ask_as(&viewer, &["compute", name], "");
        if told.code == 0 && told.out.contains("1 pod in") { Ok(()) } else { Err(told.err + &told.out) }
    })
    .await;
    ask_as(&viewer, &["compute", name], "").holds(&[
        "  State      active/built: revision 1 is in force\n",
        "  In force   cannot be seen\n",
        "  Users      1 pod in namespace default\n",
        "  Not seen   Placement explain-view cannot be seen, so what is in force is not known:",
        "nodes cannot be seen, so what its pool is is not known: nodes is forbidden: User",
        "cannot list resource \"nodes\"",
    ]);
    ask_as(&viewer, &["pod", "default/explain-view-a"], "").holds(&[
        "  Compute    active/built: revision 1 is in force\n",
        "  Placed     by revision 1; ",
        "  Not seen   ",
        "which of them fit is not known: nodes is forbidden",
    ]);
    let manifest = pod("explain-view-b", name).to_string();
    ask_as(&viewer, &["pod", "-f", "-"], &manifest)
        .holds(&["  Admission  not known: pods is forbidden: User", "cannot create resource \"pods\""]);
    delete(&pods(&client), "explain-view-a").await.unwrap();
    wait::used(&client, name, 0).await;
    clear(&client, name).await;
}

async fn what_is_not_there_ends_with_an_error() {
    let cluster = cluster::shared().await;
    let (client, name) = (cluster.client().await, "explain-here");
    poolless(&client, name).await;
    ask(cluster, &["compute", "explain-heer"]).fails(
        3,
        &["no Compute named explain-heer exists; did you mean explain-here? There are: explain-here"],
    );
    ask(cluster, &["pod", "default/explain-nowhere"])
        .fails(3, &["no pod named default/explain-nowhere exists", "was never stored"]);
    ask(cluster, &["pod", "a/b", "-n", "c"])
        .fails(2, &["a/b names the namespace a, and --namespace names c"]);
    ask(cluster, &["compute", "-f", "/nowhere.yaml"])
        .fails(3, &["/nowhere.yaml could not be read: No such file"]);
    ask_about(cluster, &["pod"], &json!({"kind": "ConfigMap", "metadata": {"name": "x"}}))
        .fails(4, &["has no pod, or workload with a pod template; it has: ConfigMap x"]);
    let told = ask_as(Path::new("/nowhere.kubeconfig"), &["compute", name], "");
    told.fails(
        1,
        &[
            "error: the kubeconfig \"/nowhere.kubeconfig\" that KUBECONFIG names cannot be read",
            "/nowhere.kubeconfig",
        ],
    );
    clear(&client, name).await;
}

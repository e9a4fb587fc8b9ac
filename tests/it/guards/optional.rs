//! What is installed only when asked for: the verb `use`, and the default Compute of a namespace.

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};

use super::{LIMIT, refused, taken};
use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{
    bindings, compute, create, delete, dry_run, dynamic, patch, placements, pod, pods, with,
};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::rows::{apply, own};
use crate::trials;

trials![what_is_asked_for_is_installed_kept_and_acts];

const GROUP: &str = "admissionregistration.k8s.io/v1";
const LABEL: &str = "poros.dataos.io/compute";
const MARK: &str = "poros.dataos.io/placed-by";

async fn what_is_asked_for_is_installed_kept_and_acts() {
    let (cluster, client) = own("it-optional").await;
    let flags = [&["--manage-policies", "--require-use", "--namespace-defaults"], &SHORT[..]].concat();
    let _poros = Poros::start(&cluster, &flags);
    // Their proofs pass the guard of the verb `use`.
    for name in ["optional-a", "optional-b", "optional-c"] {
        apply(&client, &with(compute(name), "/spec/nodePool/minReadyNodes", json!(0))).await;
        wait::active(&client, name).await;
    }
    a_service_account_needs_the_verb_use(&client).await;
    a_namespace_names_the_compute_of_its_pods(&client).await;
    what_is_asked_for_is_put_back(&client).await;
}

async fn role(client: &Client, namespace: &str, compute: &str) {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let role = json!({
        "apiVersion": version, "kind": "Role", "metadata": {"name": format!("use-{compute}")},
        "rules": [{"apiGroups": ["poros.dataos.io"], "resources": ["computes"], "resourceNames": [compute], "verbs": ["use"]}],
    });
    let binding = json!({
        "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": format!("use-{compute}")},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": format!("use-{compute}")},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    });
    create(&dynamic(client, &version, "Role", "roles", Some(namespace)), &role).await.unwrap();
    create(&dynamic(client, &version, "RoleBinding", "rolebindings", Some(namespace)), &binding)
        .await
        .unwrap();
}

async fn a_service_account_needs_the_verb_use(client: &Client) {
    let pods = pods(client);
    let said = refused("may not use Compute optional-a", || async {
        dry_run(&pods, &pod("optional-1", "optional-a")).await
    })
    .await;
    assert!(said.contains("service account default/default may not use Compute optional-a: give it the verb use on computes.poros.dataos.io, resourceNames [optional-a], by a Role in namespace default or a ClusterRole"), "{said}");
    role(client, "default", "optional-a").await;
    taken("the account to be allowed", || async { dry_run(&pods, &pod("optional-1", "optional-a")).await })
        .await;
    // This one alone, and this account alone.
    refused("default/default may not use Compute optional-b", || async {
        dry_run(&pods, &pod("optional-1", "optional-b")).await
    })
    .await;
    let mut other = pod("optional-1", "optional-a");
    other["spec"]["serviceAccountName"] = json!("other");
    refused("default/other may not use Compute optional-a", || async { dry_run(&pods, &other).await }).await;
    // Nobody gets past it under the name of the probe.
    other["spec"]["serviceAccountName"] = json!("poros-probe");
    refused("default/poros-probe may not use Compute optional-a", || async { create(&pods, &other).await })
        .await;
}

/// A pod without the label, with a mark that somebody copied.
fn unlabelled(name: &str) -> Value {
    let mut plain = pod(name, "any");
    plain["metadata"]["labels"] = json!({"app": "plain"});
    plain["metadata"]["annotations"] = json!({MARK: "optional-nobody/1", "poros.dataos.io/closed": "true"});
    plain
}

async fn a_namespace_names_the_compute_of_its_pods(client: &Client) {
    let team = "optional-team";
    let namespaces = dynamic(client, "v1", "Namespace", "namespaces", None);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}});
    create(&namespaces, &namespace).await.unwrap();
    role(client, team, "optional-b").await;
    role(client, team, "optional-nobody").await;
    let pods = dynamic(client, "v1", "Pod", "pods", Some(team));
    let plain = dry_run(&pods, &unlabelled("before")).await.unwrap();
    assert!(plain.data["spec"].get("nodeSelector").is_none(), "nothing was asked for this namespace");
    let named = |compute: &str| json!({"metadata": {"labels": {"poros.dataos.io/default-compute": compute}}});
    patch(&namespaces, team, &named("optional-b")).await;
    until("the default to be given", LIMIT, || async {
        let placed = dry_run(&pods, &unlabelled("first")).await.map_err(|error| error.to_string())?;
        if placed.data["spec"].get("nodeSelector").is_some() { Ok(()) } else { Err("not placed".to_owned()) }
    })
    .await;
    // The API server keeps its policies in no order, and each binding that changes shuffles them.
    for index in 0..50 {
        if index % 10 == 9 {
            taken("the binding to stand", || async { bindings(client).get("poros-optional-c").await }).await;
            delete(&bindings(client), "poros-optional-c").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        let name = format!("optional-{index}");
        let placed = create(&pods, &unlabelled(&name)).await.unwrap();
        let labels = placed.metadata.labels.unwrap();
        assert_eq!(labels.get(LABEL).map(String::as_str), Some("optional-b"), "{name}");
        let annotations = placed.metadata.annotations.unwrap();
        assert_eq!(annotations.get(MARK).map(String::as_str), Some("optional-b/1"), "{name}");
        assert_eq!(annotations.get("poros.dataos.io/closed"), None, "{name}");
        assert_eq!(placed.data["spec"]["nodeSelector"], json!({"pool": "optional-b"}), "{name}");
        let tolerations = placed.data["spec"]["tolerations"].as_array().unwrap();
        assert_eq!(tolerations.iter().filter(|t| t["value"] == "optional-b").count(), 1, "{tolerations:?}");
    }
    wait::used(client, "optional-b", 50).await;
    // What a pod names itself goes first; its own node selector is kept, or refused where it says otherwise.
    refused("default may not use Compute optional-a", || async {
        dry_run(&pods, &pod("named", "optional-a")).await
    })
    .await;
    let mut elsewhere = unlabelled("elsewhere");
    elsewhere["spec"]["nodeSelector"] = json!({"pool": "elsewhere"});
    refused("the pod asks for other nodes than Compute optional-b has", || async {
        dry_run(&pods, &elsewhere).await
    })
    .await;
    // Who was placed otherwise is left alone.
    let mut bound = unlabelled("bound");
    bound["spec"]["nodeName"] = json!("some-node");
    let mut daemon = unlabelled("daemon");
    daemon["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "00000000-0000-4000-8000-000000000001",
    }]);
    for left in [bound, daemon] {
        let stored = dry_run(&pods, &left).await.unwrap();
        assert_eq!(stored.metadata.labels.unwrap().get(LABEL), None);
    }
    // A name that nothing stands behind refuses, in the words that a label would.
    patch(&namespaces, team, &named("optional-nobody")).await;
    refused("Compute optional-nobody is not in force", || async {
        dry_run(&pods, &unlabelled("nobody")).await
    })
    .await;
    // Nor does a Placement that is withdrawn place anything: no binding of its Compute tells this policy so.
    let (placements, group) = (placements(client), "poros.dataos.io/v1beta1");
    let mut standing = json!({
        "apiVersion": group, "kind": "Placement", "metadata": {"name": "optional-nobody"},
        "spec": {"revision": 1, "lastRevision": 1, "nodeSelector": {"pool": "a"}, "tolerations": [], "closed": false},
    });
    create(&placements, &standing).await.unwrap();
    taken("a Placement that stands to place", || async { dry_run(&pods, &unlabelled("stands")).await }).await;
    standing["spec"]["withdrawn"] = json!(true);
    patch(&placements, "optional-nobody", &json!({"spec": standing["spec"]})).await;
    refused("Compute optional-nobody is not in force", || async {
        dry_run(&pods, &unlabelled("withdrawn")).await
    })
    .await;
    delete(&placements, "optional-nobody").await.unwrap();
    nothing_is_done_where_none_is_named(client).await;
    // Namespaces that the cluster and Poros itself live in take no default.
    for kept in ["kube-system", NAMESPACE] {
        patch(&namespaces, kept, &named("optional-nobody")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let pods = dynamic(client, "v1", "Pod", "pods", Some(kept));
        dry_run(&pods, &unlabelled("kept")).await.unwrap();
    }
}

/// However widely the policy is bound, and also where the label is empty.
async fn nothing_is_done_where_none_is_named(client: &Client) {
    let namespaces = dynamic(client, "v1", "Namespace", "namespaces", None);
    for (name, labels) in
        [("optional-bare", json!({})), ("optional-empty", json!({"poros.dataos.io/default-compute": ""}))]
    {
        let metadata = json!({"name": name, "labels": labels});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        create(&namespaces, &namespace).await.unwrap();
    }
    // The policy's own binding leaves this one alone, so what is done there shows that the wide one is at work.
    let shown = "kube-public";
    let label = json!({"metadata": {"labels": {"poros.dataos.io/default-compute": "optional-b"}}});
    patch(&namespaces, shown, &label).await;
    role(client, shown, "optional-b").await;
    let bound =
        dynamic(client, GROUP, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", None);
    let wide = json!({
        "apiVersion": GROUP, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "optional-wide"},
        "spec": {
            "policyName": "defaults.poros.dataos.io",
            "paramRef": {"selector": {}, "parameterNotFoundAction": "Deny"},
            "matchResources": {"namespaceSelector": {"matchExpressions": [{
                "key": "kubernetes.io/metadata.name", "operator": "In",
                "values": ["optional-bare", "optional-empty", shown],
            }]}},
        },
    });
    create(&bound, &wide).await.unwrap();
    let given = async |namespace: &str| {
        let pods = dynamic(client, "v1", "Pod", "pods", Some(namespace));
        let stored = dry_run(&pods, &unlabelled("any")).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(stored.metadata.labels.unwrap_or_default().get(LABEL).cloned())
    };
    until("the wide binding to be at work", LIMIT, || async {
        match given(shown).await? {
            Some(_) => Ok(()),
            None => Err("no label".to_owned()),
        }
    })
    .await;
    for namespace in ["optional-bare", "optional-empty"] {
        assert_eq!(given(namespace).await, Ok(None), "{namespace}");
    }
    delete(&bound, "optional-wide").await.unwrap();
    // Nor can it be bound so that pods are refused there.
    let mut absent = wide.clone();
    absent["metadata"]["name"] = json!("optional-absent");
    absent["spec"]["paramRef"] = json!({"name": "never-there", "parameterNotFoundAction": "Deny"});
    create(&bound, &absent).await.unwrap();
    until("the binding without a parameter to be at work", LIMIT, || async {
        match given(shown).await {
            Err(error) if error.contains("no params found") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(given("optional-bare").await, Ok(None));
    delete(&bound, "optional-absent").await.unwrap();
}

async fn what_is_asked_for_is_put_back(client: &Client) {
    let bound =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    delete(&bound, "use.poros.dataos.io").await.unwrap();
    taken("the binding to be put back", || bound.get("use.poros.dataos.io")).await;
    for name in ["optional-a", "optional-b"] {
        wait::active(client, name).await;
    }
}

//! How the CRDs read: columns, short name, category, explanations, defaults.

use serde_json::{Value, json};

use super::bare;
use crate::harness::cluster::Cluster;
use crate::harness::objects::{compute, create, dynamic, placements, raw_computes, with};
use crate::trials;

trials![
    the_crds_are_applied_without_a_warning,
    an_unseen_compute_is_pending_and_has_its_defaults,
    a_list_of_computes_has_the_columns,
    every_field_is_explained,
    a_status_that_somebody_creates_is_dropped,
];

/// Runs kubectl as admin, and gives back what it printed to stdout and stderr.
fn both(cluster: &Cluster, arguments: &[&str]) -> (String, String) {
    let output = cluster.rig.kubectl().args(arguments).output().expect("kubectl starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

async fn the_crds_are_applied_without_a_warning() {
    let cluster = bare().await;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    for arguments in [&["apply", "--server-side", "-f", crds][..], &["replace", "-f", crds]] {
        let (_, stderr) = both(cluster, arguments);
        assert_eq!(stderr, "", "kubectl {arguments:?} has something to say");
    }
    // A structural schema, an accepted name, an established kind: the conditions tell what apply does not.
    for name in ["computes.poros.dataos.io", "placements.poros.dataos.io"] {
        let crds = dynamic(
            &cluster.client().await,
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            None,
        );
        let crd = crds.get(name).await.unwrap();
        for condition in crd.data["status"]["conditions"].as_array().unwrap() {
            let good = if condition["type"] == "NonStructuralSchema" { "False" } else { "True" };
            assert_eq!(condition["status"], good, "{name}: {condition}");
        }
    }
}

async fn an_unseen_compute_is_pending_and_has_its_defaults() {
    let client = bare().await.client().await;
    let api = raw_computes(&client);
    let mut bare = compute("schema-unseen");
    bare["spec"]["nodePool"]["tolerations"] = json!([{"key": "a"}]);
    create(&api, &bare).await.unwrap();
    let stored = api.get("schema-unseen").await.unwrap();
    assert_eq!(
        stored.data["spec"],
        json!({
            "purpose": "query",
            "layer": "user",
            "deletionPolicy": "Block",
            "progressDeadlineSeconds": 300,
            "nodePool": {
                "nodeSelector": {"pool": "schema-unseen"},
                "tolerations": [{"key": "a", "operator": "Equal"}],
                "minReadyNodes": 1,
            },
        })
    );
    let status = &stored.data["status"];
    assert_eq!(status["observedGeneration"], -1, "{status}");
    assert_eq!(status["aggregateStatus"], "pending", "{status}");
    assert_eq!(status["builderState"]["stage"], "building", "{status}");
    let typed: poros::api::compute::Compute =
        serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
    assert_eq!(crate::kstatus::of(&typed), crate::kstatus::Kstatus::InProgress);
}

async fn a_list_of_computes_has_the_columns() {
    let cluster = bare().await;
    let client = cluster.client().await;
    let named = with(compute("schema-columns"), "/spec/owner", json!("iamgroot"));
    create(&raw_computes(&client), &named).await.unwrap();
    let header = |arguments: &[&str]| {
        let (stdout, _) = both(cluster, arguments);
        stdout.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let narrow = "NAME PURPOSE STATUS STAGE NODES RESOURCES OWNER AGE";
    assert_eq!(header(&["get", "computes"]), narrow);
    assert_eq!(header(&["get", "cmp", "-o", "wide"]), format!("{narrow} READY REASON MESSAGE SELECTOR"));
    let placement = json!({
        "apiVersion": "poros.dataos.io/v1beta1",
        "kind": "Placement",
        "metadata": {"name": "schema-columns"},
        "spec": {"revision": 1, "lastRevision": 1, "nodeSelector": {"pool": "x"}, "tolerations": [], "closed": false},
    });
    create(&placements(&client), &placement).await.unwrap();
    assert_eq!(header(&["get", "placements"]), "NAME REVISION CLOSED SELECTOR AGE");
    let (row, _) = both(cluster, &["get", "cmp", "schema-columns", "--no-headers"]);
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words[..5], ["schema-columns", "query", "pending", "building", "iamgroot"], "{row}");
    let (category, _) = both(cluster, &["get", "dataos", "-o", "name"]);
    assert!(category.contains("compute.poros.dataos.io/schema-columns"), "{category}");
}

/// Paths of all fields below one, as `kubectl explain` takes them.
fn paths(path: &str, schema: &Value, found: &mut Vec<(String, String)>) {
    let items = if schema["items"].is_object() { &schema["items"] } else { schema };
    for (name, field) in items["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if path == "compute.metadata" || path == "placement.metadata" {
            continue;
        }
        found.push((path.clone(), field["description"].as_str().unwrap_or_default().to_owned()));
        paths(&path, field, found);
    }
}

async fn every_field_is_explained() {
    let cluster = bare().await;
    let client = cluster.client().await;
    let crds = dynamic(
        &client,
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        None,
    );
    for kind in ["compute", "placement"] {
        let crd = crds.get(&format!("{kind}s.poros.dataos.io")).await.unwrap();
        let mut found = Vec::new();
        paths(kind, &crd.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
        assert!(found.len() > 10, "{found:?}");
        for (path, description) in found {
            assert!(!description.trim().is_empty(), "{path} has no description");
        }
    }
    // What a person sees; one field of each kind, for each costs a process.
    for (path, words) in [
        ("compute", "gives a pool of nodes a name"),
        ("compute.spec", "purpose"),
        ("compute.spec.nodePool", "nodeSelector"),
        ("compute.spec.nodePool.tolerations.operator", "Exists"),
        ("compute.status.conditions", "Reconciling"),
        ("compute.status.builderState.info", "sentence"),
        ("placement.spec.previous", "proven"),
    ] {
        let (text, _) = both(cluster, &["explain", path]);
        assert!(text.contains(words) && !text.contains("<no description>"), "{path}: {text}");
        let description = text.split("DESCRIPTION:").nth(1).unwrap_or_default().trim();
        assert!(!description.starts_with("<empty>") && !description.is_empty(), "{path}: {text}");
    }
}

async fn a_status_that_somebody_creates_is_dropped() {
    let client = bare().await.client().await;
    let api = raw_computes(&client);
    let mut forged = compute("schema-forged");
    forged["status"] = json!({"aggregateStatus": "active", "observedGeneration": 1, "transitionSeq": 7});
    create(&api, &forged).await.unwrap();
    let stored = api.get("schema-forged").await.unwrap();
    assert_eq!(stored.data["status"]["aggregateStatus"], "pending", "{}", stored.data);
    assert_eq!(stored.data["status"]["observedGeneration"], -1, "{}", stored.data);
}

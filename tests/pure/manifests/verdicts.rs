//! What is said of manifests that people get wrong, word for word.

use super::{judged, told};
use poros::decide::judge::{Form, judge};
use poros::view::manifest::documents;
use serde_json::json;

const NATIVE: &str = "\
name: new-usecases
version: v1beta
type: compute
layer: system
compute:
  purpose: query
  nodePool:
    nodeSelector:
      dataos.io/purpose: query
    tolerations:
    - key: dedicated
      effect: NoSchedule
      value: query
";

const KUBERNETES: &str = "\
apiVersion: poros.dataos.io/v1beta1
kind: Compute
metadata:
  name: query
spec:
  purpose: query
  nodePool:
    nodeSelector: {a: b}
";

/// The one problem of a text in which something was replaced.
fn with(text: &str, from: &str, to: &str) -> Vec<String> {
    assert!(text.contains(from), "{from}");
    told(&text.replacen(from, to, 1)).split_off(1)
}

#[test]
fn what_the_environment_holds_is_not_told() {
    let text = KUBERNETES.replace("query\n  nodePool", "$SECRET\n  nodePool");
    let mut document = documents("f", text.as_bytes()).remove(0).unwrap();
    let variables = [("SECRET".to_owned(), "s3cret".to_owned())].into();
    assert_eq!(document.interpolate(&variables), vec![]);
    let mut problems = judge(&document.value()).problems;
    assert!(problems[0].sentence().contains("s3cret"), "{problems:?}");
    for problem in &mut problems {
        document.conceal(problem);
    }
    assert_eq!(problems[0].found.as_deref(), Some("\"$SECRET\""));
    assert!(problems[0].sentence().contains("is \"$SECRET\"; it takes"), "{problems:?}");
    assert!(!format!("{problems:?}").contains("s3cret"), "{problems:?}");
}

#[test]
fn both_forms_are_the_same_compute() {
    let native = documents("f", NATIVE.as_bytes()).remove(0).unwrap();
    let (verdict, problems) = judged(&native);
    assert_eq!((verdict.form, problems), (Form::Native, vec![]));
    assert_eq!(verdict.title.to_string(), "new-usecases:v1beta:compute");
    assert_eq!(
        verdict.compute,
        json!({
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "metadata": {"name": "new-usecases"},
            "spec": {
                "layer": "system", "purpose": "query",
                "nodePool": {
                    "nodeSelector": {"dataos.io/purpose": "query"},
                    "tolerations": [{"key": "dedicated", "effect": "NoSchedule", "value": "query"}],
                },
            },
        })
    );
    let kubernetes = documents("f", KUBERNETES.as_bytes()).remove(0).unwrap();
    let (verdict, problems) = judged(&kubernetes);
    assert_eq!((verdict.form, problems), (Form::Kubernetes, vec![]));
    assert_eq!(verdict.title.to_string(), "query:v1beta:compute");
}

#[test]
fn each_mistake_in_a_native_manifest_has_the_place_and_path_that_were_written() {
    let long = "x".repeat(49);
    for (from, to, expect) in [
        (
            "NoSchedule",
            "NoSchedul",
            "12:7: compute.nodePool.tolerations[0].effect is \"NoSchedul\"; did you mean NoSchedule? It takes NoSchedule, PreferNoSchedule, NoExecute",
        ),
        (
            "new-usecases",
            "New",
            "1:1: name is \"New\"; it takes a-z, 0-9 and '-', with a letter or digit at both ends",
        ),
        ("new-usecases", &long, "1:1: name has 49 characters; it takes at most 48"),
        ("new-usecases", "1", "1:1: name is a number; it takes a text (put it in quotes)"),
        ("name: new-usecases\n", "", "1:1: the manifest lacks name, which is required"),
        ("version: v1beta", "version: v2", "2:1: version is \"v2\"; it takes v1beta, v1beta1, v1"),
        ("version: v1beta\n", "", "1:1: the manifest lacks version, which is required: v1beta"),
        ("type: compute", "type: comput", "3:1: type is \"comput\"; did you mean compute? It takes compute"),
        (
            "type: compute",
            "type: workflow",
            "3:1: type is workflow, a resource of DataOS that Poros does not build; apply it to DataOS itself",
        ),
        (
            "layer:",
            "layr:",
            "4:1: layr is no field; did you mean layer? There are: version, type, compute, name, layer, tags, description, owner",
        ),
        ("layer: system", "purpose: query", "4:1: purpose belongs into compute"),
        (
            "layer: system",
            "workspace: public",
            "4:1: workspace is no field: a Compute belongs to the whole instance; remove it",
        ),
        (
            "  purpose: query",
            "  purpose: query\n  layer: user",
            "7:3: compute.layer belongs beside compute, not into it",
        ),
        (
            "  purpose: query",
            "  purpose: query\n  nodepool: 1",
            "7:3: compute.nodepool is no field; did you mean nodePool? There are: dataplane, purpose, nodePool, progressDeadlineSeconds, deletionPolicy",
        ),
        ("  purpose: query\n", "", "5:1: compute lacks purpose, which is required"),
        (
            "nodeSelector:\n      dataos.io/purpose: query",
            "nodeSelector:\n      bad key: query",
            "9:7: compute.nodePool.nodeSelector[\"bad key\"] is no label key: the name of a label key has 1 to 63 letters, digits, '-', '_', '.', and a letter or digit at both ends",
        ),
        (
            "dataos.io/purpose: query",
            "dataos.io/purpose: true",
            "9:7: compute.nodePool.nodeSelector[\"dataos.io/purpose\"] is true or false; it takes a text (put it in quotes)",
        ),
        (
            "    - key: dedicated\n      effect: NoSchedule",
            "    - effect: NoSchedule",
            "11:7: compute.nodePool.tolerations[0].key is absent; operator Equal needs a key: name one, or use Exists",
        ),
        (
            "    - key: dedicated",
            "    - key: dedicated\n      operator: Exists",
            "14:7: compute.nodePool.tolerations[0].value is \"query\", which has no meaning with operator Exists; remove it",
        ),
    ] {
        assert_eq!(with(NATIVE, from, to), [expect], "{to}");
    }
    let flat = "name: a\nversion: v1\ntype: compute\ncompute: [1]\n";
    assert_eq!(told(flat)[1..], ["4:1: compute is a list; it takes a map"]);
    assert_eq!(
        told("name: a\nversion: v1\ntype: compute\n")[1..],
        ["1:1: the manifest lacks compute, which is required: purpose and nodePool"]
    );
}

#[test]
fn each_mistake_in_a_kubernetes_manifest_has_its_place_and_path() {
    for (from, to, expect) in [
        (
            "kind: Compute",
            "kind: compute",
            "2:1: kind is \"compute\"; did you mean Compute? It takes Compute",
        ),
        (
            "kind: Compute",
            "kind: Computes",
            "2:1: kind is \"Computes\"; did you mean Compute? It takes Compute",
        ),
        (
            "kind: Compute",
            "kind: Placement",
            "2:1: kind is Placement, which Poros alone writes; apply the Compute of that name",
        ),
        (
            "kind: Compute",
            "kind: Deployment",
            "2:1: kind is \"Deployment\", and dataos-ctl applies Computes alone; use kubectl apply -f",
        ),
        (
            "v1beta1",
            "v1",
            "1:1: apiVersion is \"poros.dataos.io/v1\"; did you mean poros.dataos.io/v1beta1? It takes poros.dataos.io/v1beta1",
        ),
        (
            "poros.dataos.io/v1beta1",
            "example.com/v1",
            "1:1: apiVersion is \"example.com/v1\", and dataos-ctl applies Computes of poros.dataos.io/v1beta1 alone; use kubectl apply -f",
        ),
        (
            "apiVersion: poros.dataos.io/v1beta1\n",
            "",
            "1:1: apiVersion is absent; it takes poros.dataos.io/v1beta1",
        ),
        ("  name: query\n", "  nam: query\n", "3:1: metadata lacks name, which is required"),
        (
            "  name: query\n",
            "  name: query\n  namespace: x\n",
            "5:3: metadata.namespace is no field: a Compute belongs to the whole cluster; remove it",
        ),
        (
            "  name: query\n",
            "  name: query\n  labels: {a: 1}\n",
            "5:12: metadata.labels.a is 1; it takes a text (put it in quotes)",
        ),
        (
            "  name: query\n",
            "  name: query\n  labels: {a: b c}\n",
            "5:12: metadata.labels.a is \"b c\": a label value has at most 63 letters, digits, '-', '_', '.', and a letter or digit at both ends",
        ),
        ("  purpose: query\n", "  purpos: query\n", "5:1: spec lacks purpose, which is required"),
        ("{a: b}", "{}", "8:5: spec.nodePool.nodeSelector has 0 pairs; it takes 1 to 32"),
    ] {
        let found = with(KUBERNETES, from, to);
        assert!(found.contains(&expect.to_owned()), "{expect}: {found:#?}");
    }
    assert_eq!(with(KUBERNETES, "  name: query\n", "  nam: query\n").len(), 2, "nam is told too");
    // What a cluster gives back can be applied again.
    let back = KUBERNETES.replace(
        "  name: query\n",
        "  name: query\n  uid: x\n  resourceVersion: '1'\n  managedFields: []\n  creationTimestamp: x\n  generation: 1\n",
    ) + "status: {aggregateStatus: active}\n";
    let (verdict, problems) = judged(&documents("f", back.as_bytes()).remove(0).unwrap());
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(verdict.compute["metadata"], json!({"name": "query"}));
    assert!(verdict.compute.get("status").is_none());
}

#[test]
fn what_is_no_manifest_is_told_for_what_it_is() {
    for (text, expect) in [
        (
            "hello",
            vec![
                "a document without a name",
                "1:1: the manifest is \"hello\"; a manifest is a map of fields",
            ],
        ),
        (
            "[1]",
            vec!["a document without a name", "1:1: the manifest is a list; a manifest is a map of fields"],
        ),
        (
            "image: x\nname: z",
            vec!["z:?:?", "1:1: the manifest has neither name, version and type, nor apiVersion and kind"],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}",
            vec![
                "web:apps/v1:Deployment",
                "2:1: kind is \"Deployment\", and dataos-ctl applies Computes alone; use kubectl apply -f",
            ],
        ),
        (
            "name: w\nversion: v1\ntype: depot\ndepot: {}",
            vec![
                "w:v1:depot",
                "3:1: type is depot, a resource of DataOS that Poros does not build; apply it to DataOS itself",
            ],
        ),
    ] {
        assert_eq!(told(text), expect);
    }
}

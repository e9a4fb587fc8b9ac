//! What matters of a pod, or of the pod that a workload's template makes, read from its manifest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::compute::{TaintEffect, Toleration, TolerationOperator};
use crate::api::names::{LABEL_COMPUTE, MARK_PLACED_BY};
use crate::decide::fit::{Asks, Expression, Term};
use crate::decide::requests::{Container, Needs, Resources, Said, requests};
use crate::decide::validate::normal;

/// A pod, stored or to come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// `kind` of the manifest: `Pod`, or the workload's.
    pub kind: String,
    /// `metadata.namespace`, if it says so.
    pub namespace: Option<String>,
    /// `metadata.name` of the manifest, or `generateName`.
    pub name: String,
    /// The Compute that the pod's label names.
    pub compute: Option<String>,
    /// The Compute that the workload's own label names.
    pub workload_compute: Option<String>,
    /// The mark of admission: the Compute that placed the pod, and the revision of its Placement.
    pub mark: Option<(String, u64)>,
    /// `metadata.creationTimestamp`.
    pub created: Option<String>,
    /// Who wrote the label last, and when, by `metadata.managedFields`.
    pub labelled: Option<(String, String)>,
    /// What it asks of a node.
    pub asks: Asks,
    /// Its tolerations in words: those that Kubernetes gives every pod apart.
    pub tolerated: Vec<Tolerated>,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// `status.phase`.
    pub phase: Option<String>,
    /// The condition `PodScheduled` where it is not True: reason and message.
    pub unscheduled: Option<(String, String)>,
    /// `spec.schedulingGates`.
    pub gates: Vec<String>,
    /// `spec.schedulerName`, where it is not Kubernetes's own.
    pub scheduler: Option<String>,
}

/// A toleration of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerated {
    /// What it tolerates; none if it uses an operator that Poros does not know.
    pub toleration: Option<Toleration>,
    /// The same in words.
    pub words: String,
    /// Whether it is one that Kubernetes gives to every pod.
    pub by_kubernetes: bool,
}

/// The pod of a manifest: itself, or what its template makes. None where there is no template.
pub fn pod_of(manifest: &Value) -> Option<Value> {
    if manifest["kind"] == "Pod" {
        return Some(manifest.clone());
    }
    let templates = ["/spec/jobTemplate/spec/template", "/spec/template", "/template"];
    let template = templates.iter().find_map(|at| manifest.pointer(at))?;
    let mut pod = template.as_object()?.clone();
    pod.get("spec")?.get("containers")?;
    pod.insert("apiVersion".into(), "v1".into());
    pod.insert("kind".into(), "Pod".into());
    let mut metadata = pod.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let name = manifest["metadata"]["name"].as_str().unwrap_or("pod");
    metadata.insert("generateName".into(), format!("{name}-").into());
    if let Some(namespace) = manifest["metadata"].get("namespace") {
        metadata.insert("namespace".into(), namespace.clone());
    }
    pod.insert("metadata".into(), metadata.into());
    Some(pod.into())
}

/// A pod as it can be sent to be created: without what only a stored one has, and under a name that is free.
pub fn sendable(manifest: &Value) -> Option<Value> {
    let mut pod = pod_of(manifest)?;
    pod.as_object_mut()?.remove("status");
    let metadata = pod.get_mut("metadata")?.as_object_mut()?;
    let mut kept = serde_json::Map::new();
    for key in ["namespace", "labels", "annotations", "ownerReferences", "generateName"] {
        if let Some(value) = metadata.remove(key) {
            kept.insert(key.into(), value);
        }
    }
    if let Some(name) = metadata.get("name").and_then(Value::as_str) {
        kept.insert("generateName".into(), format!("{name}-").into());
    }
    if manifest["kind"] == "DaemonSet" {
        // Its controller will say so on each pod, and admission has an opinion on that.
        let owner = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "controller": true,
            "name": manifest["metadata"]["name"], "uid": "00000000-0000-0000-0000-000000000000",
        });
        kept.insert("ownerReferences".into(), json!([owner]));
    }
    *metadata = kept;
    Some(pod)
}

/// Reads a manifest; says which field cannot be read.
pub fn read(manifest: &Value) -> Result<Pod, String> {
    let title = manifest["kind"].as_str().unwrap_or_default();
    let pod = pod_of(manifest).ok_or_else(|| {
        format!("a {title} has no pod template; give a pod or a workload such as a Deployment")
    })?;
    let part = |key: &str| pod.get(key).cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let meta: Meta = serde_json::from_value(part("metadata")).map_err(|why| format!("metadata: {why}"))?;
    let spec: WireSpec = serde_json::from_value(part("spec")).map_err(|why| format!("spec: {why}"))?;
    let status: Status = serde_json::from_value(part("status")).unwrap_or_default();
    let outer = &manifest["metadata"];
    let tolerated: Vec<Tolerated> = spec.tolerations.iter().map(WireToleration::told).collect();
    let word = |text: &String| (!text.is_empty()).then(|| text.clone());
    Ok(Pod {
        kind: title.to_owned(),
        namespace: word(&meta.namespace),
        name: outer["name"].as_str().or(outer["generateName"].as_str()).unwrap_or_default().to_owned(),
        workload_compute: outer["labels"][LABEL_COMPUTE].as_str().map(str::to_owned),
        compute: meta.labels.get(LABEL_COMPUTE).cloned(),
        mark: meta.annotations.get(MARK_PLACED_BY).and_then(|mark| {
            let (compute, revision) = mark.rsplit_once('/')?;
            Some((compute.to_owned(), revision.parse().ok()?))
        }),
        created: word(&meta.creation_timestamp),
        labelled: meta.managed_fields.iter().find_map(labelled),
        asks: Asks {
            selector: spec.node_selector.clone(),
            terms: spec.terms(),
            tolerations: tolerated.iter().filter_map(|told| told.toleration.clone()).collect(),
            requests: requests(&spec.needs()),
        },
        tolerated,
        node: word(&spec.node_name),
        phase: word(&status.phase),
        unscheduled: status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "PodScheduled" && condition.status != "True")
            .map(|condition| (condition.reason.clone(), condition.message.clone())),
        gates: spec.scheduling_gates.iter().map(|gate| gate.name.clone()).collect(),
        scheduler: word(&spec.scheduler_name).filter(|name| name != "default-scheduler"),
    })
}

/// A toleration in words: `dedicated=query:NoSchedule`.
pub fn tolerates(toleration: &Toleration) -> String {
    let mut words = match (toleration.key.as_deref(), toleration.operator) {
        (None | Some(""), _) => "every taint".to_owned(),
        (Some(key), TolerationOperator::Exists) => key.to_owned(),
        (Some(key), TolerationOperator::Equal) => {
            format!("{key}={}", toleration.value.as_deref().unwrap_or_default())
        }
    };
    if let Some(effect) = toleration.effect {
        words.push(':');
        words.push_str(effect.word());
    }
    words
}

fn labelled(entry: &ManagedFields) -> Option<(String, String)> {
    let labels = entry.fields_v1.get("f:metadata")?.get("f:labels")?;
    labels.get(format!("f:{LABEL_COMPUTE}"))?;
    Some((entry.manager.clone(), entry.time.clone()))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    namespace: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    creation_timestamp: String,
    managed_fields: Vec<ManagedFields>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ManagedFields {
    manager: String,
    time: String,
    #[serde(rename = "fieldsV1")]
    fields_v1: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    node_name: String,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<WireToleration>,
    affinity: Affinity,
    scheduler_name: String,
    scheduling_gates: Vec<Gate>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    resources: Said,
    overhead: Resources,
}

#[derive(Deserialize)]
struct Gate {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireToleration {
    key: String,
    operator: String,
    value: String,
    effect: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Affinity {
    node_affinity: NodeAffinity,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeSelector {
    node_selector_terms: Vec<WireTerm>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireTerm {
    match_expressions: Vec<WireExpression>,
    match_fields: Vec<WireExpression>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireExpression {
    key: String,
    operator: String,
    values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

impl WireToleration {
    fn told(&self) -> Tolerated {
        let effect = match self.effect.as_str() {
            "NoSchedule" => Some(TaintEffect::NoSchedule),
            "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
            "NoExecute" => Some(TaintEffect::NoExecute),
            _ => None,
        };
        let operator = match self.operator.as_str() {
            "" | "Equal" => Some(TolerationOperator::Equal),
            "Exists" => Some(TolerationOperator::Exists),
            _ => None,
        };
        let toleration = operator.map(|operator| {
            let (key, value) = (Some(self.key.clone()), Some(self.value.clone()));
            normal(&Toleration { key, operator, value, effect })
        });
        let words = match &toleration {
            Some(toleration) => tolerates(toleration),
            None => format!("{} {} {}", self.key, self.operator, self.value),
        };
        // What the admission plugin DefaultTolerationSeconds adds.
        let defaults = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
        let by_kubernetes = defaults.contains(&self.key.as_str())
            && self.operator == "Exists"
            && effect == Some(TaintEffect::NoExecute);
        Tolerated { toleration, words, by_kubernetes }
    }
}

impl WireSpec {
    fn terms(&self) -> Option<Vec<Term>> {
        let required = &self.affinity.node_affinity.required_during_scheduling_ignored_during_execution;
        let expression = |wire: &WireExpression| Expression {
            key: wire.key.clone(),
            operator: wire.operator.clone(),
            values: wire.values.clone(),
        };
        let term = |wire: &WireTerm| Term {
            labels: wire.match_expressions.iter().map(expression).collect(),
            fields: wire.match_fields.iter().map(expression).collect(),
        };
        required.as_ref().map(|required| required.node_selector_terms.iter().map(term).collect())
    }

    fn needs(&self) -> Needs {
        Needs {
            containers: self.containers.clone(),
            init_containers: self.init_containers.clone(),
            resources: self.resources.clone(),
            overhead: self.overhead.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(spec: Value) -> BTreeMap<String, String> {
        let pod = read(&json!({"kind": "Pod", "spec": spec})).unwrap();
        pod.asks.requests.into_iter().map(|(name, sum)| (name, sum.to_string())).collect()
    }

    #[test]
    fn requests_are_read_from_every_place_where_a_manifest_has_them() {
        let asks = |cpu: Value| json!({"resources": {"requests": {"cpu": cpu}}});
        let sidecar = json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": 1}}});
        for (spec, cpu) in [
            (json!({"containers": [asks(json!("500m")), asks(json!(2))]}), "2500m"),
            (json!({"containers": [asks(json!(1))], "initContainers": [sidecar, asks(json!(2))]}), "3"),
            (json!({"containers": [{"resources": {"limits": {"cpu": 2}}}]}), "2"),
            (json!({"containers": [asks(json!(1))], "overhead": {"cpu": "250m"}}), "1250m"),
            (json!({"containers": [asks(json!(1))], "resources": {"requests": {"cpu": 3}}}), "3"),
        ] {
            assert_eq!(requests(spec.clone())["cpu"], cpu, "{spec}");
        }
        assert_eq!(requests(json!({"containers": [{}]})), [("pods".to_owned(), "1".to_owned())].into());
    }

    #[test]
    fn the_pod_of_a_workload_is_what_its_template_makes() {
        let template = json!({
            "metadata": {"labels": {"poros.dataos.io/compute": "query"}},
            "spec": {"containers": [{}], "nodeSelector": {"disk": "ssd"}},
        });
        let cron = json!({
            "kind": "CronJob",
            "metadata": {"name": "etl", "namespace": "data", "labels": {"poros.dataos.io/compute": "other"}},
            "spec": {"jobTemplate": {"spec": {"template": template}}},
        });
        let pod = read(&cron).unwrap();
        assert_eq!(
            (pod.kind.as_str(), pod.name.as_str(), pod.namespace.as_deref()),
            ("CronJob", "etl", Some("data"))
        );
        assert_eq!((pod.compute.as_deref(), pod.workload_compute.as_deref()), (Some("query"), Some("other")));
        assert_eq!(pod.asks.selector["disk"], "ssd");
        assert_eq!(pod_of(&cron).unwrap()["metadata"]["generateName"], "etl-");
        let error = read(&json!({"kind": "ConfigMap", "metadata": {"name": "x"}})).unwrap_err();
        assert!(error.starts_with("a ConfigMap has no pod template"), "{error}");
        assert!(read(&json!({"kind": "Pod", "spec": {"nodeSelector": {"a": true}}})).is_err());
    }

    #[test]
    fn tolerations_are_told_as_taints_are_written() {
        let pod = read(&json!({"kind": "Pod", "spec": {"tolerations": [
            {"key": "dedicated", "value": "query", "effect": "NoSchedule"},
            {"key": "gpu", "operator": "Exists"},
            {"operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "cost", "operator": "Lt", "value": "5"},
        ]}}))
        .unwrap();
        let words: Vec<(&str, bool)> =
            pod.tolerated.iter().map(|told| (told.words.as_str(), told.by_kubernetes)).collect();
        assert_eq!(
            words,
            [
                ("dedicated=query:NoSchedule", false),
                ("gpu", false),
                ("every taint", false),
                ("node.kubernetes.io/not-ready:NoExecute", true),
                ("cost Lt 5", false),
            ]
        );
        assert_eq!(pod.asks.tolerations.len(), 4);
    }
}

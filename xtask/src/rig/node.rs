//! Manifests of nodes for KWOK to play.

use std::collections::BTreeMap;

use serde_json::json;

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value.
    pub value: &'a str,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: &'a str,
}

/// A Node as a YAML document: 4 processors, 16 GiB, 110 pods. KWOK makes it Ready and keeps up its heartbeat.
pub fn node_yaml(name: &str, labels: &[(&str, &str)], taints: &[Taint<'_>]) -> String {
    let mut all: BTreeMap<&str, &str> =
        [("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux"), ("type", "kwok")].into();
    all.extend(labels.iter().copied());
    let taints: Vec<_> = taints
        .iter()
        .map(|taint| json!({"key": taint.key, "value": taint.value, "effect": taint.effect}))
        .collect();
    let size = json!({"cpu": "4", "memory": "16Gi", "pods": "110"});
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": all, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": {"allocatable": size, "capacity": size},
    });
    // JSON is YAML, and quotes what YAML would misread.
    format!("---\n{node:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_taints_are_in_the_manifest() {
        let taint = Taint { key: "dedicated", value: "query", effect: "NoSchedule" };
        let text = node_yaml("q-1", &[("dataos.io/purpose", "query")], &[taint]);
        let node: serde_json::Value = serde_json::from_str(text.trim_start_matches("---\n")).unwrap();
        assert_eq!(node["metadata"]["labels"]["dataos.io/purpose"], "query");
        assert_eq!(node["metadata"]["labels"]["kubernetes.io/hostname"], "q-1");
        assert_eq!(node["spec"]["taints"][0]["effect"], "NoSchedule");
    }
}

//! Pods that name a Compute, counted per Compute.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::api::status::Users;

/// How many users a status names.
const EXAMPLES: usize = 5;

/// What Poros keeps of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The Compute that its label names.
    pub compute: String,
    /// The revision in its mark, if that is of the same Compute.
    pub revision: Option<u64>,
}

/// All unfinished pods that name a Compute.
#[derive(Debug, Default)]
pub struct Pods {
    computes: HashMap<String, BTreeMap<String, Option<u64>>>,
    named: HashMap<String, String>,
}

impl Pods {
    /// Takes in what a pod (`<namespace>/<name>`) is now; returns the Computes whose users that changes.
    pub fn apply(&mut self, name: String, pod: Option<Pod>) -> Vec<String> {
        let mut concerned = Vec::new();
        let before = self.named.get(&name).cloned();
        if let Some(compute) = before.filter(|compute| pod.as_ref().is_none_or(|pod| pod.compute != *compute))
        {
            if let Some(pods) = self.computes.get_mut(&compute) {
                pods.remove(&name);
                if pods.is_empty() {
                    self.computes.remove(&compute);
                }
            }
            self.named.remove(&name);
            concerned.push(compute);
        }
        if let Some(pod) = pod {
            let known =
                self.computes.entry(pod.compute.clone()).or_default().insert(name.clone(), pod.revision);
            if known != Some(pod.revision) {
                concerned.push(pod.compute.clone());
            }
            self.named.insert(name, pod.compute);
        }
        concerned
    }

    /// Who uses a Compute whose Placement has this revision.
    pub fn users(&self, compute: &str, revision: Option<u64>) -> Users {
        let Some(pods) = self.computes.get(compute) else { return Users::default() };
        let count = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
        let namespaces: BTreeSet<&str> = pods.keys().filter_map(|name| name.split('/').next()).collect();
        Users {
            pods: count(pods.len()),
            outdated_pods: count(pods.values().filter(|placed| **placed != revision).count()),
            workloads: 0,
            namespaces: count(namespaces.len()),
            examples: pods.keys().take(EXAMPLES).map(|name| format!("Pod/{name}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(compute: &str, revision: u64) -> Option<Pod> {
        Some(Pod { compute: compute.into(), revision: Some(revision) })
    }

    #[test]
    fn pods_are_counted_by_compute_and_namespace() {
        let mut pods = Pods::default();
        for index in 0..7 {
            assert_eq!(pods.apply(format!("ns{}/p{index}", index % 2), pod("query", index / 4)), ["query"]);
        }
        assert!(pods.apply("ns0/p0".into(), pod("query", 0)).is_empty(), "nothing changed");
        let users = pods.users("query", Some(1));
        assert_eq!((users.pods, users.outdated_pods, users.namespaces), (7, 4, 2));
        assert_eq!(users.examples.len(), 5);
        assert_eq!(users.examples[0], "Pod/ns0/p0");
        assert_eq!(pods.apply("ns0/p0".into(), None), ["query"]);
        assert_eq!(pods.apply("ns0/p2".into(), pod("gpu", 1)), ["query", "gpu"]);
        assert_eq!(pods.users("query", Some(1)).pods, 5);
        for index in 0..7 {
            pods.apply(format!("ns{}/p{index}", index % 2), None);
        }
        assert!(pods.computes.is_empty() && pods.named.is_empty(), "nothing is kept of pods that are gone");
    }
}

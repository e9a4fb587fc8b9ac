//! Pods and workloads that name a Compute, counted per Compute as they come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::api::status::Users as Told;

/// How many users a status names.
const EXAMPLES: usize = 5;
/// How many of these are left to pods where there are more workloads.
const EXAMPLES_OF_PODS: usize = 2;

/// What Poros keeps of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The Compute that its label names.
    pub compute: String,
    /// The revision in its mark, if that is of the same Compute.
    pub revision: Option<u64>,
}

/// The kinds of workloads that use a Compute whose label they carry themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// apps/v1 `Deployment`
    Deployment,
    /// apps/v1 `StatefulSet`
    StatefulSet,
    /// batch/v1 `CronJob`
    CronJob,
    /// batch/v1 `Job`
    Job,
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deployment, Self::StatefulSet, Self::CronJob, Self::Job];

    /// Its `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::CronJob => "CronJob",
            Self::Job => "Job",
        }
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet => "apps",
            Self::CronJob | Self::Job => "batch",
        }
    }

    /// Its resource, as in a URL of the API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::CronJob => "cronjobs",
            Self::Job => "jobs",
        }
    }
}

/// All unfinished pods and all workloads that name a Compute.
#[derive(Debug, Default)]
pub struct Users {
    of: HashMap<String, Of>,
    pods: HashMap<String, Pod>,
    workloads: HashMap<(WorkloadKind, String), String>,
}

/// Those that name one Compute.
#[derive(Debug, Default)]
struct Of {
    pods: BTreeSet<String>,
    workloads: BTreeSet<(WorkloadKind, String)>,
    revisions: BTreeMap<Option<u64>, usize>,
    namespaces: BTreeMap<String, usize>,
}

impl Of {
    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.workloads.is_empty()
    }
}

impl Users {
    /// Takes in what a pod (`<namespace>/<name>`) is now; returns the Computes whose users that changes.
    pub fn pod(&mut self, name: String, pod: Option<Pod>) -> Vec<String> {
        let before = match &pod {
            Some(pod) => self.pods.insert(name.clone(), pod.clone()),
            None => self.pods.remove(&name),
        };
        if before == pod {
            return Vec::new();
        }
        if let Some(before) = &before {
            self.change(&before.compute, |of| {
                of.pods.remove(&name);
                less(&mut of.revisions, &before.revision);
                less(&mut of.namespaces, namespace(&name));
            });
        }
        if let Some(pod) = &pod {
            self.change(&pod.compute, |of| {
                *of.revisions.entry(pod.revision).or_default() += 1;
                *of.namespaces.entry(namespace(&name).to_owned()).or_default() += 1;
                of.pods.insert(name);
            });
        }
        both(before.map(|pod| pod.compute), pod.map(|pod| pod.compute))
    }

    /// Takes in which Compute a workload (`<namespace>/<name>`) names now; returns the Computes whose users that changes.
    pub fn workload(&mut self, kind: WorkloadKind, name: String, compute: Option<String>) -> Vec<String> {
        let key = (kind, name);
        let before = match &compute {
            Some(compute) => self.workloads.insert(key.clone(), compute.clone()),
            None => self.workloads.remove(&key),
        };
        if before == compute {
            return Vec::new();
        }
        if let Some(before) = &before {
            self.change(before, |of| {
                of.workloads.remove(&key);
                less(&mut of.namespaces, namespace(&key.1));
            });
        }
        if let Some(compute) = &compute {
            self.change(compute, |of| {
                *of.namespaces.entry(namespace(&key.1).to_owned()).or_default() += 1;
                of.workloads.insert(key);
            });
        }
        both(before, compute)
    }

    fn change(&mut self, compute: &str, change: impl FnOnce(&mut Of)) {
        match self.of.get_mut(compute) {
            Some(of) => {
                change(of);
                if of.is_empty() {
                    self.of.remove(compute);
                }
            }
            None => change(self.of.entry(compute.to_owned()).or_default()),
        }
    }

    /// Who uses a Compute whose Placement has this revision.
    pub fn of(&self, compute: &str, revision: Option<u64>) -> Told {
        let Some(of) = self.of.get(compute) else { return Told::default() };
        let count = |users: usize| u32::try_from(users).unwrap_or(u32::MAX);
        // Workloads are what people know, so they come first; but whose pods run is worth a word too.
        let pods = of.pods.len().min(EXAMPLES_OF_PODS.max(EXAMPLES.saturating_sub(of.workloads.len())));
        let workloads = of.workloads.iter().map(|(kind, name)| format!("{}/{name}", kind.kind()));
        let examples = workloads
            .take(EXAMPLES.saturating_sub(pods))
            .chain(of.pods.iter().take(pods).map(|name| format!("Pod/{name}")));
        let current = of.revisions.get(&revision).copied().unwrap_or_default();
        Told {
            pods: count(of.pods.len()),
            outdated_pods: count(of.pods.len().saturating_sub(current)),
            workloads: count(of.workloads.len()),
            namespaces: count(of.namespaces.len()),
            examples: examples.collect(),
        }
    }
}

fn namespace(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

/// One less of something that is counted.
fn less<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(counts: &mut BTreeMap<K, usize>, key: &Q) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn both(before: Option<String>, now: Option<String>) -> Vec<String> {
    let now = now.filter(|now| before.as_ref() != Some(now));
    before.into_iter().chain(now).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(compute: &str, revision: u64) -> Option<Pod> {
        Some(Pod { compute: compute.into(), revision: Some(revision) })
    }

    #[test]
    fn pods_are_counted_by_compute_and_namespace() {
        let mut users = Users::default();
        for index in 0..7 {
            assert_eq!(users.pod(format!("ns{}/p{index}", index % 2), pod("query", index / 4)), ["query"]);
        }
        assert!(users.pod("ns0/p0".into(), pod("query", 0)).is_empty(), "nothing changed");
        let told = users.of("query", Some(1));
        assert_eq!((told.pods, told.outdated_pods, told.namespaces), (7, 4, 2));
        assert_eq!(told.examples.len(), 5);
        assert_eq!(told.examples[0], "Pod/ns0/p0");
        assert_eq!(users.pod("ns0/p0".into(), None), ["query"]);
        assert_eq!(users.pod("ns0/p2".into(), pod("gpu", 1)), ["query", "gpu"]);
        assert_eq!(users.of("query", Some(1)).pods, 5);
        for index in 0..7 {
            users.pod(format!("ns{}/p{index}", index % 2), None);
        }
        assert!(users.of.is_empty() && users.pods.is_empty(), "nothing is kept of pods that are gone");
    }

    #[test]
    fn workloads_count_beside_pods_and_are_named_first() {
        let mut users = Users::default();
        let named = |users: &mut Users, kind, name: &str| {
            users.workload(kind, format!("etl/{name}"), Some("query".into()))
        };
        assert_eq!(named(&mut users, WorkloadKind::CronJob, "nightly"), ["query"]);
        assert!(named(&mut users, WorkloadKind::CronJob, "nightly").is_empty(), "nothing changed");
        let told = users.of("query", None);
        assert_eq!((told.pods, told.workloads, told.namespaces), (0, 1, 1));
        assert_eq!(told.examples, ["CronJob/etl/nightly"]);
        assert!(told.any());
        named(&mut users, WorkloadKind::Job, "nightly");
        for name in ["a", "b", "c"] {
            users.pod(format!("ns/{name}"), pod("query", 1));
        }
        let told = users.of("query", Some(1));
        assert_eq!((told.workloads, told.namespaces), (2, 2));
        assert_eq!(
            told.examples,
            ["CronJob/etl/nightly", "Job/etl/nightly", "Pod/ns/a", "Pod/ns/b", "Pod/ns/c"]
        );
        for name in ["1", "2", "3"] {
            named(&mut users, WorkloadKind::Deployment, name);
        }
        assert_eq!(
            users.of("query", Some(1)).examples,
            ["Deployment/etl/1", "Deployment/etl/2", "Deployment/etl/3", "Pod/ns/a", "Pod/ns/b"]
        );
        let other = users.workload(WorkloadKind::Job, "etl/nightly".into(), Some("gpu".into()));
        assert_eq!(other, ["query", "gpu"], "another label is another Compute");
        users.workload(WorkloadKind::CronJob, "etl/nightly".into(), None);
        assert_eq!(users.of("query", Some(1)).workloads, 3);
    }
}

//! What a pod takes of its node, as the scheduler counts it: sidecars (KEP-753), pod-level requests (KEP-2837), overhead.
//!
//! A stored pod has its defaults already; a manifest has not. They are applied here, so that both count alike.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::decide::quantity::Sum;

/// Amounts of resources, by name.
pub type Resources = BTreeMap<String, Sum>;

/// What a pod says of the resources that it needs: the fields of its spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// `spec.containers[]`.
    pub containers: Vec<Container>,
    /// `spec.initContainers[]`, in order.
    pub init_containers: Vec<Container>,
    /// `spec.resources`: said of the pod as a whole.
    pub resources: Said,
    /// `spec.overhead`.
    pub overhead: Resources,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// `resources`.
    pub resources: Said,
    /// `restartPolicy`: `Always` makes a sidecar of an init container.
    pub restart_policy: String,
}

/// Requests and limits (core/v1 `ResourceRequirements`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Said {
    /// `requests`.
    pub requests: Resources,
    /// `limits`.
    pub limits: Resources,
}

impl Said {
    /// What is requested: a limit without a request is one, too.
    fn requested(&self) -> Resources {
        let mut all = self.limits.clone();
        all.extend(self.requests.iter().map(|(resource, sum)| (resource.clone(), sum.clone())));
        all
    }
}

/// What the pod takes, and `pods: 1`.
///
/// A resize that is under way counts as the spec has it.
pub fn requests(needs: &Needs) -> Resources {
    let mut running = Resources::new();
    for container in &needs.containers {
        join(&mut running, &container.resources.requested());
    }
    // Init containers run one after the other, each beside the sidecars that started before it.
    let (mut starting, mut sidecars) = (Resources::new(), Resources::new());
    for container in &needs.init_containers {
        let requested = container.resources.requested();
        let mut now = sidecars.clone();
        join(&mut now, &requested);
        if container.restart_policy == "Always" {
            join(&mut running, &requested);
            sidecars.clone_from(&now);
        }
        raise(&mut starting, &now);
    }
    raise(&mut running, &starting);
    for (resource, sum) in needs.resources.requested() {
        // A limit of the whole pod is a request only where no container has one; of huge pages it always is.
        let named = needs.resources.requests.contains_key(&resource);
        let counts = named || huge(&resource) || !running.contains_key(&resource);
        if counts && of_whole_pods(&resource) {
            running.insert(resource, sum);
        }
    }
    join(&mut running, &needs.overhead);
    running.insert("pods".into(), Sum::of("1"));
    running
}

/// The resources that can be requested for a pod as a whole.
fn of_whole_pods(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || huge(resource)
}

fn huge(resource: &str) -> bool {
    resource.starts_with("hugepages-")
}

fn join(all: &mut Resources, more: &Resources) {
    for (resource, sum) in more {
        all.entry(resource.clone()).or_default().join(sum);
    }
}

fn raise(all: &mut Resources, least: &Resources) {
    for (resource, sum) in least {
        let known = all.entry(resource.clone()).or_default();
        if sum.exceeds(known) {
            known.clone_from(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(pairs: &[(&str, &str)]) -> Resources {
        pairs.iter().map(|(name, quantity)| ((*name).to_owned(), Sum::of(quantity))).collect()
    }

    fn container(requests: &[(&str, &str)]) -> Container {
        let resources = Said { requests: resources(requests), ..Said::default() };
        Container { resources, ..Container::default() }
    }

    fn init(cpu: &str, stays: bool) -> Container {
        let restart_policy = if stays { "Always" } else { "" }.to_owned();
        Container { restart_policy, ..container(&[("cpu", cpu)]) }
    }

    fn cpu(needs: &Needs) -> String {
        requests(needs).get("cpu").map_or("none".into(), ToString::to_string)
    }

    #[test]
    fn containers_add_up_and_the_largest_init_container_counts_if_it_is_more() {
        let mut needs = Needs {
            containers: vec![container(&[("cpu", "100m")]), container(&[("cpu", "1"), ("memory", "1Gi")])],
            ..Needs::default()
        };
        assert_eq!(cpu(&needs), "1100m");
        assert_eq!(requests(&needs)["memory"].to_string(), "1Gi");
        assert_eq!(requests(&needs)["pods"].to_string(), "1");
        needs.init_containers = vec![init("500m", false), init("2", false)];
        assert_eq!(cpu(&needs), "2");
        needs.init_containers[1] = init("1", false);
        assert_eq!(cpu(&needs), "1100m");
    }

    #[test]
    fn sidecars_run_beside_what_comes_after_them() {
        // A sidecar counts with the containers, and with each init container after it.
        let containers = vec![container(&[("cpu", "1")])];
        let needs =
            |init_containers| Needs { containers: containers.clone(), init_containers, ..Needs::default() };
        assert_eq!(cpu(&needs(vec![init("500m", true)])), "1500m");
        assert_eq!(cpu(&needs(vec![init("500m", true), init("2", false)])), "2500m");
        assert_eq!(cpu(&needs(vec![init("2", false), init("500m", true)])), "2");
        assert_eq!(cpu(&needs(vec![init("300m", true), init("400m", true)])), "1700m");
    }

    #[test]
    fn what_is_said_of_the_whole_pod_replaces_the_sum_and_overhead_comes_on_top() {
        let mut needs = Needs {
            containers: vec![container(&[("cpu", "1"), ("example.com/gpu", "1")])],
            resources: container(&[("cpu", "3"), ("example.com/gpu", "9")]).resources,
            overhead: resources(&[("cpu", "250m"), ("memory", "64Mi")]),
            ..Needs::default()
        };
        assert_eq!(cpu(&needs), "3250m");
        assert_eq!(requests(&needs)["example.com/gpu"].to_string(), "1", "only cpu, memory and huge pages");
        assert_eq!(requests(&needs)["memory"].to_string(), "64Mi");
        needs.resources.requests = resources(&[("cpu", "500m")]);
        assert_eq!(cpu(&needs), "750m", "also where it is less");
    }

    #[test]
    fn a_limit_is_a_request_where_none_is_named() {
        let mut limited = container(&[("cpu", "1")]);
        limited.resources.limits = resources(&[("cpu", "2"), ("memory", "1Gi")]);
        let mut needs = Needs { containers: vec![limited], ..Needs::default() };
        assert_eq!((cpu(&needs).as_str(), requests(&needs)["memory"].to_string().as_str()), ("1", "1Gi"));
        needs.resources.limits = resources(&[("cpu", "4"), ("memory", "8Gi"), ("hugepages-2Mi", "4Mi")]);
        assert_eq!((cpu(&needs).as_str(), requests(&needs)["memory"].to_string().as_str()), ("1", "1Gi"));
        assert_eq!(requests(&needs)["hugepages-2Mi"].to_string(), "4Mi");
        needs.containers.clear();
        assert_eq!(cpu(&needs), "4", "no container names one");
    }

    #[test]
    fn a_pod_that_asks_for_nothing_takes_a_place() {
        let found = requests(&Needs::default());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("pods".to_owned(), Sum::of("1"))]);
    }
}

//! What a pod takes of its node, as the scheduler counts it: sidecars (KEP-753), pod-level requests (KEP-2837), overhead.

use std::collections::BTreeMap;

use crate::decide::quantity::Sum;

/// Amounts of resources, by name.
pub type Resources = BTreeMap<String, Sum>;

/// What a pod says of the resources that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// `spec.containers[].resources.requests`.
    pub containers: Vec<Resources>,
    /// `spec.initContainers[]`, in order.
    pub init_containers: Vec<InitContainer>,
    /// `spec.resources.requests`: said of the pod as a whole.
    pub pod: Resources,
    /// `spec.overhead`.
    pub overhead: Resources,
}

/// A container that starts before the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitContainer {
    /// `resources.requests`.
    pub requests: Resources,
    /// Whether it stays: `restartPolicy: Always`, a sidecar.
    pub stays: bool,
}

/// What the pod takes, and `pods: 1`.
///
/// A resize that is under way counts as the spec has it.
pub fn requests(needs: &Needs) -> Resources {
    let mut running = Resources::new();
    for requests in &needs.containers {
        join(&mut running, requests);
    }
    // Init containers run one after the other, each beside the sidecars that started before it.
    let (mut starting, mut sidecars) = (Resources::new(), Resources::new());
    for container in &needs.init_containers {
        let mut now = sidecars.clone();
        join(&mut now, &container.requests);
        if container.stays {
            join(&mut running, &container.requests);
            sidecars.clone_from(&now);
        }
        raise(&mut starting, &now);
    }
    raise(&mut running, &starting);
    for (resource, sum) in &needs.pod {
        if of_whole_pods(resource) {
            running.insert(resource.clone(), sum.clone());
        }
    }
    join(&mut running, &needs.overhead);
    running.insert("pods".into(), Sum::of("1"));
    running
}

/// The resources that can be requested for a pod as a whole.
fn of_whole_pods(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
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

    fn init(cpu: &str, stays: bool) -> InitContainer {
        InitContainer { requests: resources(&[("cpu", cpu)]), stays }
    }

    fn cpu(needs: &Needs) -> String {
        requests(needs).get("cpu").map_or("none".into(), ToString::to_string)
    }

    #[test]
    fn containers_add_up_and_the_largest_init_container_counts_if_it_is_more() {
        let mut needs = Needs {
            containers: vec![resources(&[("cpu", "100m")]), resources(&[("cpu", "1"), ("memory", "1Gi")])],
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
        let containers = vec![resources(&[("cpu", "1")])];
        let needs =
            |init_containers| Needs { containers: containers.clone(), init_containers, ..Needs::default() };
        assert_eq!(cpu(&needs(vec![init("500m", true)])), "1500m");
        assert_eq!(cpu(&needs(vec![init("500m", true), init("2", false)])), "2500m");
        assert_eq!(cpu(&needs(vec![init("2", false), init("500m", true)])), "2");
        assert_eq!(cpu(&needs(vec![init("300m", true), init("400m", true)])), "1700m");
    }

    #[test]
    fn what_is_said_of_the_whole_pod_replaces_the_sum_and_overhead_comes_on_top() {
        let needs = Needs {
            containers: vec![resources(&[("cpu", "1"), ("example.com/gpu", "1")])],
            pod: resources(&[("cpu", "3"), ("example.com/gpu", "9")]),
            overhead: resources(&[("cpu", "250m"), ("memory", "64Mi")]),
            ..Needs::default()
        };
        assert_eq!(cpu(&needs), "3250m");
        assert_eq!(requests(&needs)["example.com/gpu"].to_string(), "1", "only cpu, memory and huge pages");
        assert_eq!(requests(&needs)["memory"].to_string(), "64Mi");
    }

    #[test]
    fn a_pod_that_asks_for_nothing_takes_a_place() {
        let found = requests(&Needs::default());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("pods".to_owned(), Sum::of("1"))]);
    }
}

//! Every Kubernetes that there is a module for starts, serves, and leaves nothing.
//!
//! Listed with `POROS_TEST_ALL` only, since the versions beside the main one are built for it first.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "times are reported")]

#[path = "shared/seen.rs"]
mod seen;

use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use seen::{processes_of, until};
use serde_json::Value;
use xtask::assets::{Settings, Tool, chain, known_kubernetes};
use xtask::command;
use xtask::rig::standing::version_of;
use xtask::rig::{MutatingPolicies, Options, Rig, node_yaml};

/// The first minor version that serves mutating admission policies in `v1`.
const MUTATING_SINCE: u32 = 36;

fn main() {
    let mut arguments = Arguments::from_args();
    // Whole control planes, each with its processes: one after another.
    arguments.test_threads.get_or_insert(1);
    let listed = std::env::var_os("POROS_TEST_ALL").is_some();
    let known = if listed { known_kubernetes(&Settings::from_environment()).unwrap() } else { Vec::new() };
    let trials = known.into_iter().flat_map(|minor| {
        let trial = |name: &str, test: fn(&str) -> Result<(), String>| {
            let minor = minor.clone();
            Trial::test(format!("kubernetes_{minor}_{name}"), move || test(&minor).map_err(Failed::from))
        };
        [
            trial("starts_serves_and_leaves_nothing", starts_serves_and_leaves_nothing),
            trial("can_do_without_mutating_policies", can_do_without_mutating_policies),
        ]
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn starts_serves_and_leaves_nothing(minor: &str) -> Result<(), String> {
    let options = Options { kubernetes: Some(minor.to_owned()), ..Options::whole("version") };
    let components = options.components();
    let rig = Rig::start(options).map_err(|error| chain(&error))?;
    println!("Kubernetes {minor} is ready after {:?}", rig.ready_after());
    let told: Value = serde_json::from_str(&kubectl(&rig, &["get", "--raw=/version"])?).unwrap();
    let wanted = rig.assets().kubernetes();
    assert_eq!((&told["gitVersion"], &told["minor"]), (&wanted.into(), &minor[2..].into()), "{told}");
    assert!(wanted.starts_with(&format!("v{minor}.")), "{wanted}");
    assert_eq!(kubectl(&rig, &["get", "--raw=/readyz"])?, "ok");
    for tool in [Tool::Apiserver, Tool::ControllerManager, Tool::Scheduler] {
        assert_eq!(version_of(rig.assets().path(tool)).as_deref(), Some(wanted), "{}", tool.file());
    }
    assert_eq!(serves_mutating_policies(&rig)?, minor[2..].parse::<u32>().unwrap() >= MUTATING_SINCE);
    pod_runs(&rig)?;
    let folder = rig.dir().to_owned();
    assert!(components.iter().all(|component| rig.pid_of(*component).is_some()));
    let begin = Instant::now();
    rig.stop().map_err(|error| chain(&error))?;
    println!("Kubernetes {minor} is stopped after {:?}", begin.elapsed());
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), []);
    Ok(())
}

fn can_do_without_mutating_policies(minor: &str) -> Result<(), String> {
    let kubernetes = Some(minor.to_owned());
    let options =
        Options { kubernetes, mutating_policies: MutatingPolicies::Off, ..Options::api_only("no-mutating") };
    let rig = Rig::start(options).map_err(|error| chain(&error))?;
    assert!(!serves_mutating_policies(&rig)?);
    rig.stop().map_err(|error| chain(&error))
}

fn serves_mutating_policies(rig: &Rig) -> Result<bool, String> {
    let served = kubectl(rig, &["get", "--raw=/apis/admissionregistration.k8s.io/v1"])?;
    let both = ["\"mutatingadmissionpolicies\"", "\"mutatingadmissionpolicybindings\""];
    let found = both.map(|resource| served.contains(resource));
    assert_eq!(found[0], found[1], "{served}");
    assert!(served.contains("\"validatingadmissionpolicies\""), "{served}");
    Ok(found[0])
}

/// Controller manager, scheduler and KWOK work with this API server: they bring a Deployment to its node,
/// and its pods go when it goes.
fn pod_runs(rig: &Rig) -> Result<(), String> {
    let manifest = rig.dir().join("node.yaml");
    std::fs::write(&manifest, node_yaml("one", &[], &[])).unwrap();
    kubectl(rig, &["apply", "--server-side", "-f", &manifest.to_string_lossy()])?;
    kubectl(rig, &["create", "deployment", "one", "--image=none"])?;
    kubectl(rig, &["rollout", "status", "deployment/one", "--timeout=60s"])?;
    kubectl(rig, &["delete", "deployment", "one", "--cascade=foreground", "--timeout=60s"])?;
    until("what was deleted to be collected", || {
        kubectl(rig, &["get", "pods,replicasets", "-o=name"]).is_ok_and(|left| left.is_empty())
    });
    Ok(())
}

fn kubectl(rig: &Rig, arguments: &[&str]) -> Result<String, String> {
    command::answer(rig.kubectl().args(arguments)).map_err(|error| chain(&error))
}

//! The rig against real processes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "shared/seen.rs"]
mod seen;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seen::{processes_of, until};
use xtask::rig::{Component, Options, Rig, Signal, Taint, node_yaml};

fn kubectl(rig: &Rig, arguments: &[&str]) -> String {
    let output = rig.kubectl().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn apply(rig: &Rig, manifest: &str) {
    use std::io::Write;
    let mut child = rig.kubectl().args(["apply", "-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn api_server_alone_serves_audits_and_survives_restarts() {
    let begin = Instant::now();
    let rig = Rig::start(Options::api_only("alone")).unwrap();
    println!("ready in {:?}", begin.elapsed());
    let other = Rig::start(Options::api_only("alone")).unwrap();
    assert_ne!((rig.url(), rig.dir()), (other.url(), other.dir()));

    kubectl(&rig, &["create", "namespace", "kept"]);
    for stage in ["RequestReceived", "ResponseComplete"] {
        until(stage, || {
            let audit = std::fs::read_to_string(rig.audit_log()).unwrap();
            let mut lines =
                audit.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.any(|line| {
                let create = line["verb"] == "create" && line["user"]["username"] == "rig-admin";
                create && line["stage"] == stage && line["level"] == "Metadata"
            })
        });
    }

    // Without the controller manager, so without service accounts, a pod is let in all the same.
    kubectl(&rig, &["run", "one", "--image=none", "--namespace=kept"]);

    let url = rig.url();
    for signal in [Signal::Kill, Signal::Term] {
        let begin = Instant::now();
        rig.stop_apiserver(signal).unwrap();
        assert!(rig.pid_of(Component::Apiserver).is_none());
        println!("API server stopped by {signal:?} in {:?}", begin.elapsed());
        rig.start_apiserver().unwrap();
        println!("and back in {:?}", begin.elapsed());
        assert_eq!(rig.url(), url);
        assert_eq!(kubectl(&rig, &["get", "namespace", "kept", "-o=name"]), "namespace/kept\n");
    }
    rig.stop_etcd(Signal::Term).unwrap();
    rig.start_etcd().unwrap();
    until("the API server finds etcd again", || {
        rig.kubectl().args(["get", "namespace", "kept"]).output().unwrap().status.success()
    });

    let token = kubectl(&rig, &["get", "--raw=/version"]);
    assert!(token.contains("gitVersion"), "{token}");
    let refused = rig.kubeconfig_for_token("nobody", "no-such-token").unwrap();
    let output = rig.kubectl().env("KUBECONFIG", refused).args(["get", "namespaces"]).output().unwrap();
    assert!(!output.status.success());

    let folder = rig.dir().to_owned();
    let begin = Instant::now();
    rig.stop().unwrap();
    println!("stopped in {:?}", begin.elapsed());
    assert_eq!(processes_of(&folder), []);
    assert!(!folder.exists());
    drop(other);
}

#[test]
fn whole_control_plane_runs_a_deployment_on_nodes_with_heartbeats() {
    let begin = Instant::now();
    let options = Options { heartbeat: Duration::from_secs(1), ..Options::whole("whole") };
    let rig = Rig::start(options).unwrap();
    println!("ready in {:?}", begin.elapsed());
    let taint = Taint { key: "dedicated", value: "query", effect: "NoSchedule" };
    apply(&rig, &(node_yaml("free", &[], &[]) + &node_yaml("taken", &[("pool", "query")], &[taint])));
    kubectl(&rig, &["wait", "--for=condition=Ready", "node", "--all", "--timeout=30s"]);
    println!("nodes ready after {:?}", begin.elapsed());
    kubectl(&rig, &["create", "deployment", "two", "--image=none", "--replicas=2"]);
    kubectl(&rig, &["rollout", "status", "deployment/two", "--timeout=60s"]);
    println!("pods ready after {:?}", begin.elapsed());
    let nodes = kubectl(&rig, &["get", "pods", "-o=jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(nodes, "free free");
    let beats = |rig: &Rig| {
        let audit = std::fs::read_to_string(rig.audit_log()).unwrap();
        audit.lines().filter(|l| l.contains("rig-kwok") && l.contains("nodes/taken/status")).count()
    };
    let before = beats(&rig);
    until("heartbeats", || beats(&rig) >= before + 3);
    until("leases", || {
        kubectl(&rig, &["get", "leases", "-n=kube-node-lease", "-o=name"]).lines().count() == 2
    });
    let token = kubectl(&rig, &["create", "token", "default"]);
    let login = rig.kubeconfig_for_token("default", token.trim()).unwrap();
    let output = rig.kubectl().env("KUBECONFIG", login).args(["auth", "whoami", "-o=json"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("system:serviceaccount:default:default"));
    let begin = Instant::now();
    drop(rig);
    println!("dropped in {:?}", begin.elapsed());
}

#[test]
fn nothing_is_left_of_a_killed_owner() {
    // The test runs itself as the owner, since only another process can be killed.
    if let Ok(folder) = std::env::var("RIG_OWNER_DIR") {
        let rig = Rig::start(Options { dir: Some(folder.into()), ..Options::whole("owner") }).unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let _companion = rig.companion("sleeper", sleep).unwrap();
        std::thread::sleep(Duration::from_mins(10));
        return;
    }
    let folder = xtask::workspace::target().join("rig").join(format!("killed-owner-{}", std::process::id()));
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_of_a_killed_owner", "--nocapture"])
        .env("RIG_OWNER_DIR", &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Five components and the guard.
    until("the rig is up", || folder.join("state.json").exists() && processes_of(&folder).len() >= 6);
    let sleeper = folder.join("pids").join("companion-sleeper");
    until("the companion is noted", || sleeper.exists());
    let sleeper = std::fs::read_to_string(sleeper).unwrap();
    let sleeper = std::path::Path::new("/proc").join(sleeper.trim()).join("environ");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let begin = Instant::now();
    until("all processes are gone", || processes_of(&folder).is_empty());
    assert!(std::fs::read_to_string(&sleeper).unwrap_or_default().is_empty(), "the companion lives on");
    println!("gone after {:?}", begin.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}

//! The real node: it runs pods, and it leaves nothing.
//!
//! Listed with `POROS_TEST_NODE` only, since it needs root and its binaries are built for it first.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "times are reported")]

mod host;
#[path = "../shared/seen.rs"]
mod seen;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use xtask::assets::{cache_home, chain};
use xtask::command;
use xtask::image::archive::write;
use xtask::image::{self, Recipe};
use xtask::rig::standing::Standing;
use xtask::rig::{Component, NODE, Options, POD_IMAGE, Rig};

use host::{Host, Machine};
use seen::{processes_of, until};

/// Names the folder of the rig of which this program is then only the owner.
const OWNER: &str = "RIG_OWNER_DIR";
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: server
    image: "poros.dataos.io/rig/pod:1"
    args: [serve, "8080"]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: client, image: "poros.dataos.io/rig/own:1", imagePullPolicy: Never}
"#;

/// It asks the API server by a name, as a kubeconfig has it; the environment of a pod has an address.
const ASKER: &str = r#"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: asks-NUMBER, namespace: asks}
data:
  config: |
    apiVersion: v1
    kind: Config
    clusters:
    - name: here
      cluster: {server: "https://HOST", certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt}
    users: [{name: pod, user: {tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token}}]
    contexts: [{name: here, context: {cluster: here, user: pod}}]
    current-context: here
---
apiVersion: v1
kind: Pod
metadata: {name: asks-NUMBER, namespace: asks}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  volumes: [{name: login, configMap: {name: asks-NUMBER}}]
  containers:
  - name: asks
    image: "IMAGE"
    imagePullPolicy: Never
    command: [/dataos-ctl, version]
    env: [{name: KUBECONFIG, value: /login/config}]
    volumeMounts: [{name: login, mountPath: /login, readOnly: true}]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"#;

fn main() {
    if let Ok(folder) = std::env::var(OWNER) {
        let options = Options { dir: Some(folder.into()), ..Options::real_node("owner") };
        let _rig = Rig::start(options).unwrap();
        std::thread::sleep(Duration::from_mins(10));
        return;
    }
    let mut arguments = Arguments::from_args();
    // Each is a whole cluster: one after another.
    arguments.test_threads.get_or_insert(1);
    let trial = |name: &str, test: fn() -> Result<(), String>| {
        Trial::test(name.to_owned(), move || test().map_err(Failed::from))
    };
    let trials = if std::env::var_os("POROS_TEST_NODE").is_some() {
        vec![
            trial("pods_run_answer_and_are_found_by_name", pods_run_answer_and_are_found_by_name),
            trial("the_image_of_poros_finds_names_in_a_pod", the_image_of_poros_finds_names_in_a_pod),
            trial("two_nodes_at_once_share_nothing", two_nodes_at_once_share_nothing),
            trial("nothing_is_left_of_two_rounds", nothing_is_left_of_two_rounds),
            trial("nothing_is_left_of_a_killed_owner", nothing_is_left_of_a_killed_owner),
            trial("down_clears_what_nobody_else_did", down_clears_what_nobody_else_did),
        ]
    } else {
        Vec::new()
    };
    libtest_mimic::run(&arguments, trials).exit();
}

fn pods_run_answer_and_are_found_by_name() -> Result<(), String> {
    let rig = start("node")?;
    assert_eq!(kubectl(&rig, &["get", "nodes", "-o=name"])?, format!("node/{NODE}\n"));
    let version = kubectl(&rig, &["get", "node", NODE, "-o=jsonpath={.status.nodeInfo.kubeletVersion}"])?;
    assert_eq!(version, rig.assets().kubernetes());

    // An image of one's own: the same program under another name.
    let (archive, program) = (rig.dir().join("own.tar"), rig.dir().join("node/images/program"));
    write(&archive, "poros.dataos.io/rig/own:1", &program, "/pod").map_err(|error| chain(&error))?;
    let first = std::fs::read(&archive).unwrap();
    write(&archive, "poros.dataos.io/rig/own:1", &program, "/pod").map_err(|error| chain(&error))?;
    assert!(first == std::fs::read(&archive).unwrap(), "two archives of one program differ");
    rig.import_images(&archive).map_err(|error| chain(&error))?;

    let manifest = rig.dir().join("pods.yaml");
    std::fs::write(&manifest, PODS).unwrap();
    let begin = Instant::now();
    kubectl(&rig, &["apply", "-f", &manifest.to_string_lossy()])?;
    kubectl(&rig, &["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"])?;
    println!("pods ready after {:?}", begin.elapsed());

    let address = kubectl(&rig, &["get", "pod", "server", "-o=jsonpath={.status.podIP}"])?;
    assert_eq!(get(&format!("http://{address}:8080/"))?, "server");
    assert!(kubectl(&rig, &["logs", "server"])?.contains("server serves on 8080"));
    let inside = |arguments: &[&str]| kubectl(&rig, &[&["exec", "client", "--", "/pod"], arguments].concat());
    until("the service leads to the pod", || inside(&["get", "server:80"]).is_ok());
    let service = kubectl(&rig, &["get", "service", "server", "-o=jsonpath={.spec.clusterIP}"])?;
    for name in [&service, &address, "server", "server.default.svc", "server.default.svc.cluster.local"] {
        let port = if name == address { 8080 } else { 80 };
        assert_eq!(inside(&["get", &format!("{name}:{port}")])?, "server\n", "{name}");
    }
    let refusal = inside(&["get", "kubernetes.default.svc:443"])?;
    assert!(refusal.contains("HTTPS"), "{refusal}");
    assert!(inside(&["get", "no-such-service:80"]).is_err());

    // Anything beyond this rig is out of reach: the node knows the way to this host's end, its pods and services.
    let routes = answer(rig.on_node(Path::new("ip")).args(["-4", "route", "show"]))?;
    assert!(!routes.contains("default") && routes.contains("10.96.0.0/16"), "{routes}");
    let known = |route: &str| route.starts_with("198.1") || route.starts_with("10.96.");
    assert!(routes.lines().all(known), "{routes}");

    let token = inside(&["show", "/var/run/secrets/kubernetes.io/serviceaccount/token"])?;
    let login = rig.kubeconfig_for_token("client", token.trim()).map_err(|error| chain(&error))?;
    let told = answer(rig.kubectl().env("KUBECONFIG", login).args(["auth", "whoami", "-o=json"]))?;
    assert!(told.contains("system:serviceaccount:default:default") && told.contains("pod-uid"), "{told}");

    // A crash of the runtime: it comes back, and the pods have not noticed.
    let runtime = processes_of(&rig.dir().join("node/containerd.toml"));
    assert_eq!(runtime.len(), 1, "{runtime:?}");
    answer(Command::new("kill").args(["-9", &runtime[0].0.to_string()]))?;
    assert_eq!(get(&format!("http://{address}:8080/"))?, "server");
    until("containerd is back", || inside(&["get", "server:80"]).is_ok());
    let restarts = "-o=jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    assert_eq!(kubectl(&rig, &["get", "pods", restarts])?, "0 0");

    kubectl(&rig, &["delete", "pods", "--all", "--timeout=60s"])?;
    stop(rig)
}

/// The image has no file of the system beside the program: names are the static C library's business.
fn the_image_of_poros_finds_names_in_a_pod() -> Result<(), String> {
    let image = image::build(&Recipe::own()).map_err(|error| chain(&error))?;
    let rig = start("image")?;
    let names = rig.import_images(&image.archive).map_err(|error| chain(&error))?;
    assert_eq!(names, [format!("docker.io/library/{}", image.reference)]);
    let manifest = rig.dir().join("asks.yaml");
    let pods = ["kubernetes.default.svc", "kubernetes.default", "no-such.default.svc"];
    let mut text = String::new();
    for (number, host) in pods.iter().enumerate() {
        text += &ASKER.replace("NUMBER", &number.to_string()).replace("HOST", host);
    }
    std::fs::write(&manifest, text.replace("IMAGE", &image.reference)).unwrap();
    kubectl(&rig, &["create", "namespace", "asks"])?;
    kubectl(&rig, &["label", "namespace", "asks", "pod-security.kubernetes.io/enforce=restricted"])?;
    kubectl(&rig, &["apply", "-f", &manifest.to_string_lossy()])?;
    let phase = |pod: &str, phase: &str| {
        let phase = format!("--for=jsonpath={{.status.phase}}={phase}");
        kubectl(&rig, &["wait", "-n=asks", &phase, pod, "--timeout=60s"])
    };
    for pod in ["pod/asks-0", "pod/asks-1"] {
        phase(pod, "Succeeded")?;
        let told = kubectl(&rig, &["logs", "-n=asks", pod])?;
        let server = format!("Server:  Kubernetes {}", rig.assets().kubernetes());
        assert!(told.contains(&server) && told.contains(&image.version), "{told}");
    }
    phase("pod/asks-2", "Failed")?;
    let told = kubectl(&rig, &["logs", "-n=asks", "pod/asks-2"])?;
    assert!(told.contains("no-such.default.svc"), "{told}");
    println!("{told}");
    stop(rig)
}

fn two_nodes_at_once_share_nothing() -> Result<(), String> {
    let (one, other) = (start("node")?, start("node")?);
    assert_ne!(one.address_of(Component::Node), other.address_of(Component::Node));
    assert_ne!(Machine::of(one.dir()), Machine::of(other.dir()));
    // A third that was lost in a crash had a name that the first has now: it is not waited for, and nothing is cleared.
    let lost = one.dir().with_file_name(format!("lost-node-{}", std::process::id()));
    std::fs::create_dir_all(lost.join("node")).unwrap();
    std::fs::copy(one.dir().join("node/settings"), lost.join("node/settings")).unwrap();
    assert_eq!(Standing::read(&lost).stop().map_err(|error| chain(&error))?.len(), 0);
    assert!(!lost.exists());
    for rig in [one, other] {
        kubectl(&rig, &["run", "server", &format!("--image={POD_IMAGE}"), "--", "serve", "8080"])?;
        kubectl(&rig, &["wait", "--for=condition=Ready", "pod/server", "--timeout=60s"])?;
        let address = kubectl(&rig, &["get", "pod", "server", "-o=jsonpath={.status.podIP}"])?;
        assert_eq!(get(&format!("http://{address}:8080/"))?, "server");
        // The other's is stopped with its pod in place, while this one's works.
        stop(rig)?;
    }
    Ok(())
}

fn nothing_is_left_of_two_rounds() -> Result<(), String> {
    let before = Host::now();
    for _ in 0..2 {
        let rig = start("node")?;
        kubectl(&rig, &["run", "server", &format!("--image={POD_IMAGE}"), "--", "serve", "8080"])?;
        kubectl(&rig, &["wait", "--for=condition=Ready", "pod/server", "--timeout=60s"])?;
        before.assert_unchanged();
        let (folder, machine) = (rig.dir().to_owned(), Machine::of(rig.dir()));
        assert!(machine.left().len() > 10, "{:?}", machine.left());
        stop(rig)?;
        assert!(!folder.exists());
        assert_eq!(machine.left(), Vec::<String>::new());
        before.assert_unchanged();
    }
    Ok(())
}

fn nothing_is_left_of_a_killed_owner() -> Result<(), String> {
    let before = Host::now();
    let (mut owner, folder) = owner("killed");
    let machine = Machine::of(&folder);
    assert!(!machine.left().is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let begin = Instant::now();
    until("the guard has cleared all", || machine.left().is_empty());
    println!("gone after {:?}", begin.elapsed());
    before.assert_unchanged();
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())
}

fn down_clears_what_nobody_else_did() -> Result<(), String> {
    let before = Host::now();
    let (mut owner, folder) = owner("unguarded");
    let machine = Machine::of(&folder);
    let mut guards = processes_of(&folder);
    guards.retain(|(_, line)| line.contains("poros-rig-guard"));
    assert_eq!(guards.len(), 1, "{guards:?}");
    answer(Command::new("kill").args(["-9", &guards[0].0.to_string()]))?;
    owner.kill().unwrap();
    owner.wait().unwrap();
    // containerd crashes as well, so that nobody has the pods in hand.
    for (pid, _) in processes_of(&folder.join("node/containerd.toml")) {
        answer(Command::new("kill").args(["-9", &pid.to_string()]))?;
    }
    let stopped = Standing::read(&folder).stop().map_err(|error| chain(&error))?;
    assert_eq!(stopped.len(), Options::real_node("").components().len());
    assert_eq!(machine.left(), Vec::<String>::new());
    assert!(!folder.exists());
    before.assert_unchanged();
    Ok(())
}

fn start(name: &str) -> Result<Rig, String> {
    let rig = Rig::start(Options::real_node(name)).map_err(|error| chain(&error))?;
    println!("ready after {:?}", rig.ready_after());
    Ok(rig)
}

fn stop(rig: Rig) -> Result<(), String> {
    let begin = Instant::now();
    rig.stop().map_err(|error| chain(&error))?;
    println!("stopped after {:?}", begin.elapsed());
    Ok(())
}

/// This program as the owner of a rig, once that is ready and has a pod. Its binaries lie where the machine has files of its
/// own, as a cache in `/run/user` does.
fn owner(name: &str) -> (std::process::Child, PathBuf) {
    let folder = xtask::workspace::target().join("rig").join(format!("{name}-node-{}", std::process::id()));
    let cache = PathBuf::from(format!("/run/poros-{name}-{}", std::process::id()));
    std::fs::create_dir(&cache).unwrap();
    std::os::unix::fs::symlink(cache_home().join("poros"), cache.join("poros")).unwrap();
    let owner = Command::new(std::env::current_exe().unwrap())
        .env(OWNER, &folder)
        .env("XDG_CACHE_HOME", &cache)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the rig is up", || folder.join("state.json").exists());
    let kubeconfig = folder.join("admin.kubeconfig");
    let assets = xtask::assets::Assets::find(
        &xtask::assets::Settings::from_environment(),
        &mut xtask::report::Terminal::new(),
    )
    .unwrap();
    let kubectl = |arguments: &[&str]| answer(xtask::rig::kubectl(&assets, &kubeconfig).args(arguments));
    until("a pod is let in", || {
        kubectl(&["run", "server", &format!("--image={POD_IMAGE}"), "--", "serve", "8080"]).is_ok()
    });
    kubectl(&["wait", "--for=condition=Ready", "pod/server", "--timeout=60s"]).unwrap();
    std::fs::remove_dir_all(&cache).unwrap();
    (owner, folder)
}

fn kubectl(rig: &Rig, arguments: &[&str]) -> Result<String, String> {
    answer(rig.kubectl().args(arguments))
}

fn answer(command: &mut Command) -> Result<String, String> {
    command::answer(command).map_err(|error| chain(&error))
}

fn get(url: &str) -> Result<String, String> {
    let config =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(5))).build();
    let agent: ureq::Agent = config.into();
    let mut response = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
    response.body_mut().read_to_string().map_err(|error| error.to_string())
}

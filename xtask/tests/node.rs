//! The real node: it runs pods, and it leaves nothing.
//!
//! Listed with `POROS_TEST_NODE` only, since it needs root and its binaries are built for it first.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "times are reported")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use xtask::assets::chain;
use xtask::image::archive::write;
use xtask::image::{self, Recipe};
use xtask::rig::standing::Standing;
use xtask::rig::{Component, NODE, Options, POD_IMAGE, Rig};

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
            trial("helm_installs_a_chart_that_runs", helm_installs_a_chart_that_runs),
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
    let runtime = process_ids(&rig.dir().join("node/containerd.toml"));
    assert_eq!(runtime.len(), 1, "{runtime:?}");
    answer(Command::new("kill").args(["-9", &runtime[0].to_string()]))?;
    assert_eq!(get(&format!("http://{address}:8080/"))?, "server");
    until("containerd is back", || inside(&["get", "server:80"]).is_ok());
    let restarts = "-o=jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    assert_eq!(kubectl(&rig, &["get", "pods", restarts])?, "0 0");

    kubectl(&rig, &["delete", "pods", "--all", "--timeout=60s"])?;
    stop(rig)
}

fn helm_installs_a_chart_that_runs() -> Result<(), String> {
    let options = Options { helm: true, ..Options::real_node("helm") };
    let rig = Rig::start(options).map_err(|error| chain(&error))?;
    let chart = rig.dir().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    let head = "apiVersion: v2\nname: one\nversion: 0.1.0\n";
    std::fs::write(chart.join("Chart.yaml"), head).unwrap();
    let container = format!("{{name: server, image: {POD_IMAGE:?}, args: [serve, '8080']}}");
    let deployment = format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: \"{{{{ .Release.Name }}}}\"}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: one}}}}
  template:
    metadata: {{labels: {{app: one}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{container}]}}
"
    );
    std::fs::write(chart.join("templates/deployment.yaml"), deployment).unwrap();
    let begin = Instant::now();
    answer(rig.helm().args(["install", "first"]).arg(&chart).args(["--wait", "--timeout=60s"]))?;
    println!("installed after {:?}", begin.elapsed());
    let ready = "-o=jsonpath={.status.readyReplicas}";
    assert_eq!(kubectl(&rig, &["get", "deployment", "first", ready])?, "2");
    answer(rig.helm().args(["uninstall", "first", "--wait", "--timeout=60s"]))?;
    assert_eq!(kubectl(&rig, &["get", "deployments,secrets", "-o=name"])?, "");
    stop(rig)
}

/// The image has no file of the system beside the program: names are the static C library's business.
fn the_image_of_poros_finds_names_in_a_pod() -> Result<(), String> {
    let image = image::build(&Recipe::own()).map_err(|error| chain(&error))?;
    let rig = start("image")?;
    rig.import_images(&image.archive).map_err(|error| chain(&error))?;
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
    assert_ne!(machine(one.dir()), machine(other.dir()));
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
    let before = host();
    for _ in 0..2 {
        let rig = start("node")?;
        kubectl(&rig, &["run", "server", &format!("--image={POD_IMAGE}"), "--", "serve", "8080"])?;
        kubectl(&rig, &["wait", "--for=condition=Ready", "pod/server", "--timeout=60s"])?;
        let during = host();
        assert_eq!((&during["settings"], &during["filter"]), (&before["settings"], &before["filter"]));
        assert_ne!(during["links"], before["links"]);
        let (folder, machine) = (rig.dir().to_owned(), machine(rig.dir()));
        stop(rig)?;
        assert!(!folder.exists());
        assert_eq!(left(&folder, &machine), Vec::<String>::new());
        assert_eq!(host(), before);
    }
    Ok(())
}

fn nothing_is_left_of_a_killed_owner() -> Result<(), String> {
    let before = host();
    let (mut owner, folder) = owner("killed");
    let machine = machine(&folder);
    assert!(!left(&folder, &machine).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let begin = Instant::now();
    until("the guard has cleared all", || left(&folder, &machine).is_empty());
    println!("gone after {:?}", begin.elapsed());
    assert_eq!(host(), before);
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())
}

fn down_clears_what_nobody_else_did() -> Result<(), String> {
    let before = host();
    let (mut owner, folder) = owner("unguarded");
    let machine = machine(&folder);
    let guards: Vec<u32> = process_ids(&folder)
        .into_iter()
        .filter(|pid| command_line(*pid).contains("poros-rig-guard"))
        .collect();
    assert_eq!(guards.len(), 1, "{guards:?}");
    answer(Command::new("kill").args(["-9", &guards[0].to_string()]))?;
    owner.kill().unwrap();
    owner.wait().unwrap();
    // containerd crashes as well, so that nobody has the pods in hand.
    for pid in process_ids(&folder.join("node/containerd.toml")) {
        answer(Command::new("kill").args(["-9", &pid.to_string()]))?;
    }
    let stopped = Standing::read(&folder).stop().map_err(|error| chain(&error))?;
    assert_eq!(stopped.len(), Options::real_node("").components().len());
    assert_eq!(left(&folder, &machine), Vec::<String>::new());
    assert!(!folder.exists());
    assert_eq!(host(), before);
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

/// This program as the owner of a rig, once that is ready and has a pod.
fn owner(name: &str) -> (std::process::Child, PathBuf) {
    let folder = xtask::workspace::target().join("rig").join(format!("{name}-node-{}", std::process::id()));
    let owner = Command::new(std::env::current_exe().unwrap())
        .env(OWNER, &folder)
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
    (owner, folder)
}

/// The name of the link and of the cgroups of a rig's machine.
fn machine(folder: &Path) -> String {
    let settings = std::fs::read_to_string(folder.join("node/settings")).unwrap();
    settings.lines().find_map(|line| line.strip_prefix("NAME=")).unwrap().to_owned()
}

/// What there is of a rig: processes, links, cgroups, mounts.
fn left(folder: &Path, machine: &str) -> Vec<String> {
    let mut left: Vec<String> = process_ids(folder).into_iter().map(command_line).collect();
    for pid in all_process_ids() {
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if cgroups.contains(&format!("/{machine}/")) {
            left.push(command_line(pid));
        }
    }
    let cgroups = answer(Command::new("find").args(["/sys/fs/cgroup", "-name", machine])).unwrap();
    left.extend(cgroups.lines().map(str::to_owned));
    let link = Path::new("/sys/class/net").join(machine);
    left.extend(link.exists().then(|| link.display().to_string()));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&*folder.to_string_lossy())).map(str::to_owned));
    left
}

/// What of the whole host a node could change.
fn host() -> BTreeMap<&'static str, String> {
    let names = [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/keys/root_maxkeys",
        "kernel/keys/root_maxbytes",
        "net/ipv4/ip_forward",
        "net/netfilter/nf_conntrack_max",
    ];
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    let settings = names.map(|name| format!("{name}={}", read(name))).concat();
    let run = |line: &str| answer(Command::new("sh").args(["-c", line])).unwrap();
    BTreeMap::from([
        ("settings", settings),
        ("filter", run("nft list ruleset")),
        ("routes", run("ip -4 route show table all")),
        ("links", run("ip -o link | cut -d: -f2")),
        ("mounts", std::fs::read_to_string("/proc/self/mounts").unwrap()),
        ("cgroups", run("find /sys/fs/cgroup -name 'poros-*' -o -name 'kubepods*'")),
        (
            "folders",
            run(
                "ls -d /etc/cni /opt/cni /run/containerd /run/netns /var/lib/kubelet /var/lib/cni /var/log/pods 2>/dev/null; true",
            ),
        ),
    ])
}

fn all_process_ids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes whose command line names the path, but for this one.
fn process_ids(path: &Path) -> Vec<u32> {
    let path = path.to_string_lossy();
    let named = |pid: &u32| *pid != std::process::id() && command_line(*pid).contains(&*path);
    all_process_ids().into_iter().filter(named).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn kubectl(rig: &Rig, arguments: &[&str]) -> Result<String, String> {
    answer(rig.kubectl().args(arguments))
}

fn answer(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{command:?}: {}", text(&output.stderr)))
    }
}

fn get(url: &str) -> Result<String, String> {
    let config =
        ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(5))).build();
    let agent: ureq::Agent = config.into();
    let mut response = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
    response.body_mut().read_to_string().map_err(|error| error.to_string())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 2 minutes: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

//! A cluster with a real node, used as people use one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::assets::{Tool, chain};
use xtask::image::Image;
use xtask::rig::{NODE, Options, Rig};
use xtask::workspace;

/// The namespace of Poros, as the README has it.
pub const NAMESPACE: &str = "poros-system";
/// The chart of this checkout.
pub const CHART: &str = "charts/poros";
/// Far beyond what anything takes: a machine that is busy is slow, not broken.
pub const LIMIT: Duration = Duration::from_secs(120);
/// What carries the pods of Poros.
pub const REPLICAS: &str = "app.kubernetes.io/name=poros,app.kubernetes.io/component=controller";

/// What a command said.
pub struct Said {
    pub well: bool,
    pub out: String,
    /// What it told beside it: warnings, errors.
    pub told: String,
}

pub struct Site {
    pub rig: Rig,
}

impl Site {
    /// As [`Self::bare`], with a namespace that lets in restricted pods alone.
    pub fn start(options: Options, images: &[&Image]) -> Self {
        let site = Self::bare(options, images);
        site.kubectl(&["create", "namespace", NAMESPACE]);
        site.restrict();
        site
    }

    /// A control plane and a node that has these images.
    pub fn bare(options: Options, images: &[&Image]) -> Self {
        let options = Options { helm: true, ..options };
        let rig = Rig::start(options).unwrap_or_else(|error| panic!("{}", chain(&error)));
        println!("{}: ready after {:?}", rig.dir().file_name().unwrap().display(), rig.ready_after());
        for image in images {
            // Into what the node sees of this host, wherever the checkout lies.
            let archive = rig.dir().join("image.tar");
            std::fs::copy(&image.archive, &archive).unwrap();
            rig.import_images(&archive).unwrap_or_else(|error| panic!("{}", chain(&error)));
        }
        let site = Self { rig };
        site.kubectl(&["label", "node", NODE, "dataos.io/purpose=runnable"]);
        site
    }

    /// Lets only restricted pods into the namespace of Poros. Panics if one is there that it would not let in.
    pub fn restrict(&self) {
        let modes = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
        let said = self.try_kubectl(&["label", "namespace", NAMESPACE, &modes[0], &modes[1]]);
        assert!(said.well && said.told.is_empty(), "{}", said.told);
    }

    /// Lets any pod into the namespace of Poros.
    pub fn unrestrict(&self) {
        let modes = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}-"));
        self.kubectl(&["label", "namespace", NAMESPACE, &modes[0], &modes[1]]);
    }

    pub fn stop(self) {
        self.rig.stop().unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    pub fn helm(&self, arguments: &[&str]) -> String {
        self.try_helm(arguments).printed(arguments)
    }

    pub fn try_helm(&self, arguments: &[&str]) -> Said {
        let mut command = self.rig.helm();
        said(command.args(arguments).args(["--namespace", NAMESPACE]).current_dir(workspace::root()))
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).printed(arguments)
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Said {
        said(self.rig.kubectl().args(arguments))
    }

    /// What kubectl prints as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[arguments, &["-o=json"]].concat())).unwrap()
    }

    pub fn dataos_ctl(&self, arguments: &[&str]) -> Said {
        said(
            Command::new(env!("CARGO_BIN_EXE_dataos-ctl"))
                .args(arguments)
                .env("KUBECONFIG", self.rig.kubeconfig()),
        )
    }

    /// A line as typed into a shell in the checkout.
    pub fn shell(&self, line: &str) -> Said {
        let folder = |tool| self.rig.assets().path(tool).parent().unwrap().to_owned();
        let mut path = vec![folder(Tool::Helm), folder(Tool::Kubectl)];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new("sh");
        for (name, value) in self.rig.helm().get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.args(["-ec", line]).env("PATH", std::env::join_paths(path).unwrap());
        said(command.current_dir(workspace::root()))
    }

    pub fn apply(&self, manifest: &str) {
        let file = self.file(manifest);
        let arguments = ["apply", "-f", &file.to_string_lossy()];
        until("the API server to know the kind", || {
            let said = self.try_kubectl(&arguments);
            // So it says for a moment after it was given a CRD.
            if said.told.contains("There can be a delay") {
                return Err(said.told);
            }
            said.printed(&arguments);
            Ok(())
        });
    }

    /// A manifest as a file of its own.
    pub fn file(&self, manifest: &str) -> PathBuf {
        let mut name = String::from("manifest");
        let _ = write!(name, "-{:?}.yaml", std::thread::current().id());
        let file = self.rig.dir().join(name.replace(['(', ')'], ""));
        std::fs::write(&file, manifest).unwrap();
        file
    }

    pub fn compute(&self, name: &str) -> Value {
        self.json(&["get", "compute", name])
    }

    /// Waits until a Compute is active and its placement is proven.
    pub fn await_proven(&self, name: &str) -> Value {
        until(&format!("{name} to be active and proven"), || {
            let said = self.try_kubectl(&["get", "compute", name, "-o=json"]);
            let compute: Value = serde_json::from_str(&said.out).map_err(|_| said.told)?;
            let status = &compute["status"];
            let placement = &status["placement"];
            let proven =
                placement["revision"].is_u64() && placement["revision"] == placement["provenRevision"];
            let current = status["observedGeneration"] == compute["metadata"]["generation"];
            if status["aggregateStatus"] == "active" && proven && current {
                Ok(compute)
            } else {
                Err(status.to_string())
            }
        })
    }

    /// Waits until so many servers are counted as users of a Compute, each with its Deployment and its pod: they may be
    /// counted one after the other.
    pub fn await_servers(&self, name: &str, servers: u32) {
        until(&format!("{servers} servers that use {name}"), || {
            let users = self.compute(name)["status"]["users"].clone();
            let counted = ["pods", "workloads"].iter().all(|what| users[*what] == servers);
            if counted { Ok(()) } else { Err(users.to_string()) }
        });
    }

    /// The name of the replica that leads; empty between two leaders.
    pub fn leader(&self) -> String {
        let lease = self.json(&["get", "lease", "poros", "-n", NAMESPACE]);
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        let names = self.replicas().into_iter().map(|pod| text(&pod["metadata"]["name"]));
        names.into_iter().find(|name| holder.contains(name)).unwrap_or_default()
    }

    /// The pods of Poros that are not being deleted.
    pub fn replicas(&self) -> Vec<Value> {
        let mut pods = items(&self.json(&["get", "pods", "-n", NAMESPACE, "-l", REPLICAS]));
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    pub fn await_rollout(&self) {
        self.kubectl(&["rollout", "status", "deployment/poros", "-n", NAMESPACE, "--timeout=120s"]);
        // Those of before may still be there.
        until("the replicas of before to be gone", || {
            let pods = items(&self.json(&["get", "pods", "-n", NAMESPACE, "-l", REPLICAS]));
            let going = pods.iter().filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null()).count();
            if going == 0 { Ok(()) } else { Err(format!("{going} of {}", pods.len())) }
        });
    }

    /// Waits until one of the replicas leads and has looked at so many Computes, and none has anything to say: `/readyz` tells
    /// what is missing, and what should be known beside, at once.
    pub fn await_calm(&self, computes: usize) {
        let all = f64::from(u32::try_from(computes).unwrap());
        until("one to lead, and all to be looked at", || {
            let leader = self.leader();
            for pod in self.replicas() {
                let name = text(&pod["metadata"]["name"]);
                let address = pod["status"]["podIP"].as_str().ok_or("it has no address")?;
                let ready = get(&format!("http://{address}:8080/readyz"))?;
                if ready != "ok\n" {
                    return Err(format!("{name}: {ready}"));
                }
                let metrics = get(&format!("http://{address}:8080/metrics"))?;
                let (waiting, passes) =
                    (sum(&metrics, "poros_queue_depth"), sum(&metrics, "poros_passes_total"));
                if name == leader && (waiting > 0.0 || passes < all) {
                    return Err(format!("{name}: {passes} passes of {all}, {waiting} wait"));
                }
            }
            if leader.is_empty() { Err("none leads".into()) } else { Ok(()) }
        });
    }

    /// A Deployment of one server that names a Compute, once it answers; gives back its pod.
    pub fn serve(&self, name: &str, compute: &str) -> Value {
        self.apply(&server(name, compute));
        self.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]);
        let pod = self.server(name);
        Self::assert_serves(&pod);
        pod
    }

    /// The one pod of that Deployment.
    pub fn server(&self, name: &str) -> Value {
        let mut pods = items(&self.json(&["get", "pods", "-l", &format!("app={name}")]));
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        assert_eq!(pods.len(), 1, "the pods of {name}");
        pods.remove(0)
    }

    /// It runs on the real node, was placed there, and answers at its address.
    pub fn assert_serves(pod: &Value) {
        assert_eq!(pod["spec"]["nodeName"], NODE);
        let (name, address) = (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"]));
        let url = format!("http://{address}:8080/");
        assert_eq!(until(&url, || get(&url)), name);
    }
}

impl Said {
    fn printed(self, arguments: &[&str]) -> String {
        assert!(self.well, "{arguments:?} failed: {}{}", self.out, self.told);
        self.out
    }
}

/// A Deployment that carries the label itself, as its pods do.
pub fn server(name: &str, compute: &str) -> String {
    let image = xtask::rig::POD_IMAGE;
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{poros.dataos.io/compute: {compute}}}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, poros.dataos.io/compute: {compute}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: server
        image: "{image}"
        args: [serve, "8080"]
        readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
"#
    )
}

/// A pod that names a Compute.
pub fn pod(name: &str, compute: &str) -> String {
    let image = xtask::rig::POD_IMAGE;
    format!(
        r#"apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{poros.dataos.io/compute: {compute}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: pod, image: "{image}"}}]
"#
    )
}

/// A Compute whose pool is the nodes labelled `dataos.io/purpose: <pool>`, of which none need be there.
pub fn compute(name: &str, pool: &str) -> String {
    format!(
        "---
apiVersion: poros.dataos.io/v1beta1
kind: Compute
metadata: {{name: {name}}}
spec:
  purpose: runnable
  nodePool: {{minReadyNodes: 0, nodeSelector: {{dataos.io/purpose: {pool}}}}}
"
    )
}

pub fn said(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { well: output.status.success(), out: text(&output.stdout), told: text(&output.stderr) }
}

pub fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().cloned().unwrap_or_default()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The sum of a metric over its labels; a replica that stands by makes no passes, and does not tell of them.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

pub fn get(url: &str) -> Result<String, String> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect_timeout(
        &host.parse().map_err(|_| format!("{host} is no address"))?,
        Duration::from_secs(5),
    )
    .map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|error| error.to_string())?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    std::io::Write::write_all(&mut stream, request.as_bytes())
        .and_then(|()| std::io::Read::read_to_string(&mut stream, &mut answer))
        .map_err(|error| error.to_string())?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// Looks again and again, until there is what is looked for.
pub fn until<T>(what: &str, look: impl Fn() -> Result<T, String>) -> T {
    until_within(LIMIT, what, look)
}

/// As [`until`], with a limit of its own.
pub fn until_within<T>(limit: Duration, what: &str, look: impl Fn() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        let seen = match look() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(begin.elapsed() < limit, "waited {limit:?} for {what}: {seen}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The chart of this checkout, as a path that works from anywhere.
pub fn chart() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART).display().to_string()
}

/// The flag with which the chart takes this image.
pub fn set(image: &Image) -> String {
    let (repository, tag) = image.reference.rsplit_once(':').unwrap();
    format!("--set=image.repository={repository},image.tag={tag}")
}

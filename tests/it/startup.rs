//! What `poros run` says when it cannot work: what is missing, what it is for, how to mend it. It goes on trying, and heals.

pub mod webhook;

use std::process::Command;
use std::time::{Duration, Instant};

use poros::decide::lacks::{self, Uses};
use poros::decide::rights::{self, RIGHTS, Right, Scope};
use serde_json::{Value, json};
use xtask::rig::Options;

use crate::harness::cluster::{Cluster, NAMESPACE};
use crate::harness::objects::compute;
use crate::harness::poros::{Poros, READY};
use crate::harness::{until, wait};
use crate::rows::poolless;
use crate::trials;

trials![
    each_right_that_is_taken_away_is_told_and_heals,
    what_is_not_installed_is_told_until_it_is,
    an_api_server_without_validating_policies_is_told,
    wrong_flags_are_told_before_anything_is_started,
];

const BRIEF: [&str; 3] = ["--forbidden-grace=1", "--policy-grace=4", "--counter-interval=1"];
/// With an election, as in a cluster: the Lease is a right as well.
const ELECTS: [&str; 4] =
    ["--leader-elect=true", "--lease-duration=3", "--lease-renew-deadline=2", "--lease-retry=0.5"];

/// A control plane on which Poros has the rights of the chart, and no others.
async fn strict(options: Options) -> Cluster {
    tokio::task::spawn_blocking(|| {
        let cluster = Cluster::bare(options);
        cluster.kubectl(&["delete", "clusterrolebinding", "poros-manage-policies"]);
        cluster
    })
    .await
    .unwrap()
}

/// The lines of `/readyz`, and its code.
fn readyz(poros: &Poros) -> Result<(u16, Vec<String>), String> {
    let (code, body) = poros.get("/readyz").map_err(|error| error.to_string())?;
    Ok((code, body.lines().map(str::to_owned).collect()))
}

/// Gives a role all its rights but these.
fn without(cluster: &Cluster, scope: Scope, gone: &[&Right]) {
    cluster.expect_refusals();
    let rules: Vec<Value> = rights::of(scope)
        .filter(|right| !gone.iter().any(|gone| gone.why == right.why))
        .map(crate::harness::rights::rule)
        .collect();
    let patch = json!({"rules": rules}).to_string();
    match scope.namespace(NAMESPACE) {
        None => cluster.kubectl(&["patch", "clusterrole", "poros", "--type=merge", "-p", &patch]),
        Some(namespace) => {
            cluster.kubectl(&["patch", "role", scope.role(), "-n", namespace, "--type=merge", "-p", &patch])
        }
    };
}

/// Waits until Poros names just what this right gives, with its place; gives back the code of `/readyz`.
async fn names(poros: &Poros, right: &'static Right) -> u16 {
    let place = match right.scope.namespace(NAMESPACE) {
        None => "in the whole cluster".to_owned(),
        Some(namespace) => format!("in the namespace {namespace}"),
    };
    let verbs = right.verbs.join(", ");
    until(&format!("{verbs} {:?} to be missed", right.resources), wait::LIMIT, || async {
        let (code, lines) = readyz(poros)?;
        let told: Vec<&String> = lines.iter().filter(|line| line.contains("Poros may not")).collect();
        let named = right.resources.iter().all(|resource| {
            let words = format!("Poros may not {verbs} {resource} ");
            told.iter()
                .any(|line| line.contains(&words) && line.contains(&place) && line.contains("helm upgrade"))
        });
        if named && told.len() == right.resources.len() { Ok(code) } else { Err(lines.join("\n")) }
    })
    .await
}

async fn each_right_that_is_taken_away_is_told_and_heals() {
    let cluster = strict(Options::api_only("it-startup-rights")).await;
    let client = cluster.client().await;
    let asked = Uses { policies: true, webhook: false, election: true, events: true, defaults: true };
    let used: Vec<&'static Right> = RIGHTS
        .iter()
        .filter(|right| lacks::needed(asked).iter().any(|needed| needed.why == right.why))
        .collect();
    assert_eq!(used.len(), RIGHTS.len() - 4, "all but those of the webhook");
    // As the chart gives them here, it has no others.
    let of_the_webhook = webhook::rights();
    let without = |cluster: &Cluster, scope: Scope, gone: &[&Right]| {
        super::startup::without(cluster, scope, &[&of_the_webhook, gone].concat());
    };
    let started = Instant::now();
    without(&cluster, Scope::Home, &[]);
    without(&cluster, used[0].scope, &used[..1]);
    cluster.install_crds();
    cluster.install_policies();
    let defaults = cluster.rig.dir().join("defaults.json");
    let mut manifest = compute("startup-default");
    manifest["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    std::fs::write(&defaults, manifest.to_string()).unwrap();
    let file = format!("--default-computes={}", defaults.display());
    let poros = Poros::launch(
        &cluster,
        &cluster.poros_kubeconfig(),
        &[&BRIEF[..], &ELECTS, &[file.as_str()]].concat(),
    );
    for (at, right) in used.iter().enumerate() {
        // Something is always lacking, or nobody would look again before something is refused. The one before is given back
        // with the same patch, or by one of its own.
        without(&cluster, right.scope, &[right]);
        if at > 0 && used[at - 1].scope != right.scope {
            without(&cluster, used[at - 1].scope, &[]);
        }
        let code = names(&poros, right).await;
        if right.scope == Scope::Events {
            // It works without.
            poros.await_ready(wait::LIMIT);
        } else {
            assert_eq!(code, 503, "{}", right.why);
        }
        if at == 0 {
            until("the log to say it", wait::LIMIT, || async {
                match said(&poros, right, right.resources[0]) {
                    1 => Ok(()),
                    said => Err(format!("said {said} times")),
                }
            })
            .await;
        }
    }
    without(&cluster, used[used.len() - 1].scope, &[]);
    until("nothing to be lacking", wait::LIMIT, || async {
        let (code, lines) = readyz(&poros)?;
        if (code, lines.as_slice()) == (200, &["ok".to_owned()]) { Ok(()) } else { Err(lines.join("\n")) }
    })
    .await;
    wait::proven(&client, "startup-default").await;
    // Each lack that lasted longer than its grace was said once, and once a minute.
    let minutes = usize::try_from(started.elapsed().as_secs() / 60 + 1).unwrap();
    let all: Vec<usize> = used
        .iter()
        .flat_map(|right| right.resources.iter().map(|resource| said(&poros, right, resource)))
        .collect();
    assert!(all.iter().all(|said| *said <= minutes), "{all:?}\n{}", poros.log_text());
    println!("{} rights were taken away in {:?}", used.len(), started.elapsed());
}

/// How often the log says that a right is lacking.
fn said(poros: &Poros, right: &Right, resource: &str) -> usize {
    let verbs = right.verbs.join(", ");
    let words = format!("WARN poros::controller::lacks: Poros may not {verbs} {resource} ");
    poros.log_text().lines().filter(|line| line.contains(&words)).count()
}

async fn what_is_not_installed_is_told_until_it_is() {
    let cluster = strict(Options::api_only("it-startup-missing")).await;
    // Of a namespace that is not its own.
    cluster.expect_refusals();
    let client = cluster.client().await;
    let flags = [&BRIEF[..], &ELECTS].concat();
    let poros = Poros::launch(&cluster, &cluster.poros_kubeconfig(), &flags);
    let says = async |poros: &Poros, code: u16, words: &[&str], without: &[&str]| {
        until(&format!("{words:?} to be told"), wait::LIMIT, || async {
            let (found, lines) = readyz(poros)?;
            let has = |words: &&str| lines.iter().any(|line| line.contains(words));
            let told = words.iter().all(&has) && !without.iter().any(has);
            if found == code && told { Ok(()) } else { Err(format!("{found} {}", lines.join("\n"))) }
        })
        .await;
    };
    let (computes, placements) =
        ("not ready: computes are not listed yet: ", "not ready: placements are not listed yet: ");
    says(
        &poros,
        503,
        &[computes, placements, "are the CRDs installed? (helm upgrade with crds.enabled=true"],
        &[],
    )
    .await;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    cluster.kubectl(&["apply", "--server-side", "-f", &format!("{crds}/placements.yaml")]);
    says(&poros, 503, &[computes], &[placements]).await;

    // Those of an older version: what it writes there would be lost, so it does not even lead.
    let mut older: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(format!("{crds}/computes.yaml")).unwrap()).unwrap();
    let schema =
        &mut older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    schema.as_object_mut().unwrap().remove("placement").unwrap();
    let file = cluster.rig.dir().join("older.json");
    std::fs::write(&file, older.to_string()).unwrap();
    cluster.kubectl(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
    let words = "not ready: the CRD computes.poros.dataos.io is older than this Poros: it does not know status.placement, and what is written there is lost; helm upgrade with crds.enabled=true";
    says(&poros, 503, &[words], &[computes]).await;
    assert_eq!(poros.metric("poros_leader"), Some(0.0));
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", crds]);

    // The policies are missing next: one is named, with what puts them back.
    says(
        &poros,
        503,
        &["AdmissionPolicy", "is absent; apply the shared policies again: poros policies"],
        &[words],
    )
    .await;
    cluster.install_policies();
    cluster.kubectl(&["create", "serviceaccount", "poros-probe", "-n", NAMESPACE]);
    poros.await_ready(READY);
    poolless(&client, "startup-late").await;

    // In a wrong namespace, and in one that is not there.
    let wrong = Poros::launch(
        &cluster,
        &cluster.poros_kubeconfig(),
        &[&flags[..], &["--namespace=elsewhere"]].concat(),
    );
    let words = "not ready: Poros has none of its permissions in the namespace elsewhere; is that namespace there, and is it the one of the release (--namespace)?";
    says(&wrong, 503, &[words, "not ready: the Lease poros could not be used yet"], &[]).await;
    drop(wrong);
    let admin =
        Poros::launch(&cluster, cluster.rig.kubeconfig(), &[&flags[..], &["--namespace=elsewhere"]].concat());
    let words = "namespaces \"elsewhere\" not found; make the namespace, or name the one of the release with --namespace";
    says(&admin, 503, &[words], &[]).await;
    cluster.kubectl(&["create", "namespace", "elsewhere"]);
    says(&admin, 200, &["ok"], &[]).await;
    let log = poros.log_text();
    for what in ["computes", "placements"] {
        let said = log
            .lines()
            .filter(|line| line.contains(&format!("WARN poros::controller::hearing: the watch of {what}")))
            .count();
        assert!((1..=3).contains(&said), "the watch of {what} was said to fail {said} times: {log}");
    }
    assert!(!log.contains("kube_runtime"), "{log}");
    assert_eq!(
        cluster.kubectl(&["get", "lease", "poros", "-n", NAMESPACE, "-o", "name"]).trim(),
        "lease.coordination.k8s.io/poros"
    );
}

async fn an_api_server_without_validating_policies_is_told() {
    let off = |resource: &str| format!("admissionregistration.k8s.io/v1/{resource}=false");
    let off = [
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    ]
    .map(off);
    let options = Options {
        extra_apiserver_args: vec![
            format!("--runtime-config={}", off.join(",")),
            "--disable-admission-plugins=ServiceAccount,ValidatingAdmissionPolicy,MutatingAdmissionPolicy"
                .into(),
        ],
        ..Options::api_only("it-startup-old")
    };
    let cluster = strict(options).await;
    cluster.kubectl(&["apply", "--server-side", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]);
    let poros = Poros::launch(&cluster, &cluster.poros_kubeconfig(), &BRIEF);
    until("what is lacking to be told", wait::LIMIT, || async {
        let (code, lines) = readyz(&poros)?;
        let told = lines.iter().find(|line| line.starts_with("not ready: the API server (v1."));
        let well = told.is_some_and(|line| {
            line.contains("does not serve ValidatingAdmissionPolicy v1") && line.contains("--runtime-config")
        });
        if code == 503 && well { Ok(()) } else { Err(lines.join("\n")) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(poros.get("/healthz").unwrap().0, 200, "it goes on trying");
    let said = poros
        .log_text()
        .lines()
        .filter(|line| line.contains("does not serve ValidatingAdmissionPolicy"))
        .count();
    assert_eq!(said, 1, "{}", poros.log_text());
}

async fn wrong_flags_are_told_before_anything_is_started() {
    let dir = std::env::temp_dir().join(format!("poros-flags-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let broken = dir.join("broken.json");
    std::fs::write(&broken, "{\"kind\": ").unwrap();
    let pod = dir.join("pod.json");
    std::fs::write(&pod, "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}").unwrap();
    let of = |file: &std::path::Path| format!("--default-computes={}", file.display());
    let (broken, pod, absent) = (of(&broken), of(&pod), of(&dir.join("absent.json")));
    let cases: [(&[&str], &str); 26] = [
        (&["--probe-image="], "--probe-image"),
        (&["--probe-image=poros 1"], "an image is expected"),
        (&["--namespace=Not_A_Namespace"], "--namespace"),
        (&["--namespace="], "--namespace"),
        (&["--dataplane=my cluster"], "--dataplane"),
        (&["--dataplane=-hub"], "--dataplane"),
        (&[&absent], "No such file"),
        (&[&broken], "it is neither YAML nor JSON"),
        (&[&pod], "items[0] is no Compute"),
        (&["--threads=-1"], "--threads"),
        (&["--threads=0"], "1..=64"),
        (&["--audit-interval=0"], "1 to 86400 seconds are possible"),
        (&["--pool-grace=-1"], "0 to 86400 seconds are possible"),
        (&["--pool-grace=NaN"], "--pool-grace"),
        (&["--policy-grace=soon"], "a number of seconds is expected"),
        (&["--listen=8080"], "an address and a port are expected"),
        (&["--metrics=some"], "possible values"),
        (&["--log=kube=loud"], "is neither a level"),
        (&["--log-format=xml"], "possible values"),
        (&["--events=maybe"], "--events"),
        (&["--lease-duration=5", "--lease-renew-deadline=10"], "must be longer than --lease-renew-deadline"),
        (&["--webhook-listen=0.0.0.0:9443"], "--webhook-url or --webhook-service"),
        (&["--webhook-url=http://poros"], "https://HOST"),
        (&["--webhook-service=Poros"], "--webhook-service"),
        (&["--require-use"], "go with --manage-policies"),
        (&["--nope"], "unexpected argument"),
    ];
    for (flags, words) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_poros"))
            .arg("run")
            .args(flags)
            // Whoever begins to work would stumble over this first.
            .env("POROS_KUBECONFIG", dir.join("no-kubeconfig"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(words) && !said.contains("no-kubeconfig"), "{flags:?}: {said}");
        assert!(output.stdout.is_empty());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

//! The certificates of the webhook: shared by replicas, renewed under load, kept over a restart, told to nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use xtask::rig::{Options, free_port};

use crate::harness::audit::Audit;
use crate::harness::cluster::{Cluster, NAMESPACE, POROS_USER};
use crate::harness::objects::{create, delete, dry_run, dynamic, patch, pod, pods, raw_computes};
use crate::harness::poros::{Poros, READY};
use crate::harness::wait::LIMIT;
use crate::harness::{until, wait};
use crate::rows::{clear, poolless, served};
use crate::trials;

trials![
    replicas_renew_certificates_under_load_and_nothing_is_refused,
    a_compute_costs_no_more_by_webhook,
    certificates_outlive_poros_and_are_told_to_nobody,
];

/// In seconds: renewed after 20 s, with 3 s before it is served and 3 s until the old one goes.
const LIFETIME: &str = "--webhook-certificate-lifetime=30";
/// Longer than two renewals take.
const LOAD: Duration = Duration::from_secs(180);

async fn old(name: &'static str) -> (Cluster, Client) {
    let options = Options::api_only(name).without_mutating_policies();
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(options)).await.unwrap();
    let client = cluster.client().await;
    served(&client).await;
    (cluster, client)
}

fn secrets(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "v1", "Secret", "secrets", Some(NAMESPACE))
}

async fn secret(client: &Client) -> DynamicObject {
    secrets(client).get("poros-webhook").await.unwrap()
}

fn entry(secret: &DynamicObject, key: &str) -> String {
    let stored: ByteString = serde_json::from_value(secret.data["data"][key].clone()).unwrap();
    String::from_utf8(stored.0).unwrap()
}

fn keyring(secret: &DynamicObject) -> Value {
    serde_json::from_str(&entry(secret, "keyring.json")).unwrap()
}

/// The certificate that is served at a port, if the authorities of the Secret vouch for it.
async fn served_certificate(port: u16, authorities: &str) -> Result<Vec<u8>, String> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|error| error.to_string())?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

/// What stands before replicas in a cluster: each new connection goes to the next one that takes it.
fn balance(ports: [u16; 2]) -> (u16, Arc<[AtomicU32; 2]>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let counted = taken.clone();
    std::thread::spawn(move || {
        for (turn, from) in listener.incoming().flatten().enumerate() {
            let tried = [turn % 2, (turn + 1) % 2].into_iter();
            let mut connected = tried.filter_map(|replica| {
                Some((replica, std::net::TcpStream::connect(("127.0.0.1", ports[replica])).ok()?))
            });
            let Some((replica, to)) = connected.next() else { continue };
            counted[replica].fetch_add(1, Ordering::Relaxed);
            for (mut from, mut to) in [
                (from.try_clone().unwrap(), to.try_clone().unwrap()),
                (to.try_clone().unwrap(), from.try_clone().unwrap()),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (port, taken)
}

async fn replicas_renew_certificates_under_load_and_nothing_is_refused() {
    let (cluster, client) = old("it-certificates").await;
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let (port, taken) = balance(ports);
    let url = format!("--webhook-url=https://127.0.0.1:{port}");
    let audit = Audit::from_now(&cluster);
    let start = |port: u16| {
        let listen = format!("--webhook-listen=127.0.0.1:{port}");
        let flags = ["--manage-policies", LIFETIME, &url, &listen];
        Poros::launch(&cluster, &cluster.poros_kubeconfig(), &flags)
    };
    // Both at once: one of them creates the Secret, the other one reads it.
    let replicas = ports.map(start);
    for replica in &replicas {
        replica.await_ready(READY);
    }
    let name = "certificates";
    poolless(&client, name).await;
    let created =
        audit.poros().into_iter().filter(|request| request.what() == "create secrets" && request.code == 201);
    assert_eq!(created.count(), 1, "one Secret for all replicas");

    let done = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4).map(|lane| tokio::spawn(stream(client.clone(), lane, done.clone()))).collect();
    let begin = Instant::now();
    let mut seen: [BTreeSet<Vec<u8>>; 2] = Default::default();
    let mut generations = BTreeSet::new();
    // Until each replica has served the third one for a while.
    let (mut enough, mut after) = (false, 0);
    while begin.elapsed() < LOAD && after < 20 {
        after += u32::from(enough);
        let stored = secret(&client).await;
        for generation in keyring(&stored)["generations"].as_array().unwrap() {
            generations.insert(generation["madeAt"].as_i64().unwrap());
        }
        for (replica, port) in ports.into_iter().enumerate() {
            // What was read may be old by the time of the handshake, so it is read anew; a wrong one stays wrong.
            let what = format!("replica {replica} to be trusted");
            let found = until(&what, LIMIT, || async {
                served_certificate(port, &entry(&secret(&client).await, "ca.crt")).await
            });
            seen[replica].insert(found.await);
        }
        enough = generations.len() >= 3 && seen.iter().all(|served| served.len() >= 3);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    done.store(true, Ordering::Relaxed);
    let (mut placed, mut refused) = (0, Vec::new());
    for lane in load {
        let (ok, bad) = lane.await.unwrap();
        placed += ok;
        refused.extend(bad);
    }
    assert_eq!(refused, [] as [String; 0], "{placed} were placed");
    assert!(placed > 100, "{placed}");
    assert!(generations.len() >= 3, "renewed less than twice: {generations:?}");
    for replica in &seen {
        assert!(replica.len() >= 3, "a replica served {} certificates", replica.len());
    }
    let taken = taken.each_ref().map(|taken| taken.load(Ordering::Relaxed));
    assert!(taken.iter().all(|taken| *taken > 0), "the API server called {taken:?}");
    println!("{placed} pods over {} generations; connections {taken:?}; 0 refused", generations.len());

    // One of them is enough.
    let [first, second] = replicas;
    first.kill();
    wait::placed(&client, name, 1).await;
    no_key_in(&second.log_text(), &secret(&client).await);
    clear(&client, name).await;
}

/// Pods, one after the other; how many were placed, and what was said of those that were not.
async fn stream(client: Client, lane: u32, done: Arc<AtomicBool>) -> (u32, Vec<String>) {
    let (mut placed, mut refused) = (0, Vec::new());
    while !done.load(Ordering::Relaxed) {
        match dry_run(&pods(&client), &pod(&format!("certificates-{lane}"), "certificates")).await {
            Ok(_) => placed += 1,
            Err(error) => refused.push(error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (placed, refused)
}

/// No line of any private key is in the text.
fn no_key_in(text: &str, secret: &DynamicObject) {
    assert!(!text.contains("PRIVATE KEY"), "{text}");
    let ring = keyring(secret);
    for generation in ring["generations"].as_array().unwrap() {
        let key = generation["key"].as_str().unwrap();
        assert!(key.contains("PRIVATE KEY"), "there is a key to look for");
        for line in key.lines().filter(|line| !line.starts_with('-')) {
            assert!(!text.contains(line), "a private key is told");
        }
    }
}

async fn certificates_outlive_poros_and_are_told_to_nobody() {
    let (cluster, client) = old("it-secret").await;
    let flags = ["--manage-policies", "--counter-interval=1"];
    let poros = Poros::start(&cluster, &flags);
    let name = "secret";
    poolless(&client, name).await;
    let made = secret(&client).await;
    let ring = keyring(&made);
    assert_eq!(ring["generations"].as_array().unwrap().len(), 1);
    assert!(!entry(&made, "keyring.json").contains("CA PRIVATE"), "{ring}");
    poros.kill();
    let poros = Poros::start(&cluster, &flags);
    wait::placed(&client, name, 1).await;
    assert_eq!(secret(&client).await, made, "a restart goes on with what is stored");

    // Taken away, it is put back; spoilt, it is made anew.
    delete(&secrets(&client), "poros-webhook").await.unwrap();
    let again = until("the Secret to be put back", LIMIT, || async {
        let found = secrets(&client).get_opt("poros-webhook").await.map_err(|error| error.to_string())?;
        found.ok_or_else(|| "it is gone".to_owned())
    })
    .await;
    assert_eq!(keyring(&again), ring, "the same certificates");
    wait::placed(&client, name, 1).await;
    patch(&secrets(&client), "poros-webhook", &json!({"data": {"keyring.json": "Z2FyYmFnZQ=="}})).await;
    let anew = until("other certificates", LIMIT, || async {
        let found = secret(&client).await;
        let found = serde_json::from_str::<Value>(&entry(&found, "keyring.json"));
        found.map_err(|error| error.to_string())
    })
    .await;
    assert_ne!(anew, ring);
    wait::placed(&client, name, 1).await;

    // A registration that somebody removes or alters is put back.
    let group = "admissionregistration.k8s.io/v1";
    let (kind, plural) = ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
    let registrations = dynamic(&client, group, kind, plural, None);
    delete(&registrations, "poros.dataos.io").await.unwrap();
    until("a registration to be made again", LIMIT, || async {
        let found = registrations.get_opt("poros.dataos.io").await.map_err(|error| error.to_string())?;
        found.map(drop).ok_or_else(|| "it is gone".to_owned())
    })
    .await;
    wait::placed(&client, name, 1).await;
    let ignoring =
        json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]).to_string();
    cluster.kubectl(&[
        "patch",
        "mutatingwebhookconfiguration",
        "poros.dataos.io",
        "--type=json",
        "-p",
        &ignoring,
    ]);
    until("the registration to be put back", LIMIT, || async {
        let found = registrations.get("poros.dataos.io").await.map_err(|error| error.to_string())?;
        let policy = &found.data["webhooks"][0]["failurePolicy"];
        if policy == "Fail" { Ok(()) } else { Err(policy.to_string()) }
    })
    .await;

    let told = cluster.kubectl(&["get", "computes,placements,events", "-A", "-o", "yaml"]);
    for text in [poros.log_text(), told] {
        no_key_in(&text, &secret(&client).await);
    }
    // Its rights end at its own Secret.
    for (what, expect) in [("secrets/poros-webhook", "yes"), ("secrets/other", "no"), ("secrets", "no")] {
        let mut kubectl = cluster.rig.kubectl();
        kubectl.args(["auth", "can-i", "get", what, "-n", NAMESPACE, "--as", POROS_USER]);
        let answer = String::from_utf8_lossy(&kubectl.output().unwrap().stdout).trim().to_owned();
        assert_eq!(answer, expect, "{what}");
    }
    clear(&client, name).await;
}

/// The counts of the foundation, with one child less.
async fn a_compute_costs_no_more_by_webhook() {
    let (cluster, client) = old("it-webhook-counts").await;
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    poolless(&client, "costs-first").await;
    let audit = Audit::from_now(&cluster);
    let mut manifest = crate::harness::objects::compute("costs");
    manifest["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    create(&raw_computes(&client), &manifest).await.unwrap();
    wait::active(&client, "costs").await;
    let expect = [("create placements".to_owned(), 1), ("update computes/status".to_owned(), 2)];
    assert_eq!(audit.writes(), expect);
    assert!((1..=3).contains(&audit.probes()), "{}", audit.probes());

    let (_, well) = poros.stop();
    assert!(well);
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    wait::placed(&client, "costs", 1).await;
    // What a restart must not do might come late: proofs are due within 2 s.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let statuses = audit
        .writes()
        .into_iter()
        .filter(|(what, _)| what.contains("computes") || what.contains("placements"));
    assert_eq!(statuses.collect::<Vec<_>>(), expect, "a restart writes nothing of a Compute");

    times(&client).await;
    let audit = Audit::from_now(&cluster);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let others: Vec<_> = audit.poros().into_iter().filter(|request| request.verb != "watch").collect();
    assert_eq!(others, [], "idle, Poros asks for nothing but watches");
    patch(&raw_computes(&client), "costs", &json!({"spec": {"description": "and it is awake"}})).await;
    wait::active(&client, "costs").await;
    assert_eq!(audit.writes(), [("update computes/status".to_owned(), 1)]);
    drop(poros);
}

/// What the webhook adds to the create of a pod. Told, not asserted.
async fn times(client: &Client) {
    let mut unlabelled = pod("costs-1", "costs");
    unlabelled["metadata"]["labels"] = json!({});
    let mut medians = Vec::new();
    for pod in [unlabelled, pod("costs-1", "costs")] {
        let mut took = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            dry_run(&pods(client), &pod).await.unwrap();
            took.push(start.elapsed());
        }
        took.sort();
        medians.push((took[100], took[198]));
    }
    println!("create of a pod, p50 and p99: without the label {:?}, by webhook {:?}", medians[0], medians[1]);
}

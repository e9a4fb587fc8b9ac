//! From the version before to this one, back, and forth again, with Computes and pods in place.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtask::rig::Options;

use crate::site::{NAMESPACE, Site, chart, compute, text, until};
use crate::stream::Stream;
use crate::{facts, images};

/// One with each field that a Compute has.
const WHOLE: &str = r#"
apiVersion: poros.dataos.io/v1beta1
kind: Compute
metadata:
  name: whole
  labels: {team: data}
  annotations: {"example.com/note": "kept"}
spec:
  dataplane: hub
  purpose: query
  description: Each field has a value that is not its default
  layer: system
  tags: [a, b]
  deletionPolicy: Detach
  progressDeadlineSeconds: 77
  nodePool:
    minReadyNodes: 0
    nodeSelector: {dataos.io/purpose: query, example.com/zone: a}
    tolerations:
    - {key: dedicated, operator: Equal, value: query, effect: NoSchedule}
    - {key: spot, operator: Exists}
"#;
const NAMES: [&str; 3] = ["served", "whole", "stream"];

pub fn nothing_is_rebuilt_and_no_pod_moves() {
    let (previous, current) = (images::previous(), images::current());
    assert_ne!(previous.image.digest, current.digest, "these are two versions");
    println!("from {} {}", previous.image.reference, previous.image.digest);
    println!("to   {} {}", current.reference, current.digest);
    let site = Site::start(Options::real_node("upgrade"), &[&previous.image, current]);
    let set = |reference: &str| {
        let (repository, tag) = reference.rsplit_once(':').unwrap();
        format!("--set=image.repository={repository},image.tag={tag}")
    };
    let (older, newer) = (previous.chart.display().to_string(), chart());
    let (old, new) = (set(&previous.image.reference), set(&current.reference));
    site.helm(&["install", "poros", &older, &old, "--wait", "--timeout=120s"]);
    let images_before = running(&site);
    site.apply(&compute("served", "runnable"));
    site.apply(WHOLE);
    for name in &NAMES[..2] {
        site.await_proven(name);
    }
    let server = site.serve("web", "served");
    let stream = Stream::start(&site);
    site.await_users("served", 1);
    let before = seen(&site);

    let begin = Instant::now();
    site.helm(&["upgrade", "poros", &newer, &new, "--wait", "--timeout=180s"]);
    println!("upgraded after {:.1} s", begin.elapsed().as_secs_f64());
    settled(&site, "upgrade", &before);
    let images_after = running(&site);
    assert!(
        images_before.iter().all(|image| !images_after.contains(image)),
        "{images_before:?} {images_after:?}"
    );
    // What is written by the new version is read by the old one.
    site.apply(&compute("younger", "nowhere"));
    site.await_proven("younger");
    let younger = facts::identity(&site, "younger");

    let begin = Instant::now();
    site.helm(&["rollback", "poros", "1", "--wait", "--timeout=180s"]);
    println!("rolled back after {:.1} s", begin.elapsed().as_secs_f64());
    settled(&site, "rollback", &before);
    assert_eq!(running(&site), images_before);
    site.helm(&["rollback", "poros", "2", "--wait", "--timeout=180s"]);
    settled(&site, "second upgrade", &before);
    assert_eq!(running(&site), images_after);
    site.await_proven("younger");
    assert_eq!(facts::identity(&site, "younger"), younger);

    assert_eq!(facts::life(&site.server("web")), facts::life(&server), "it moved, or was started again");
    Site::assert_serves(&site.server("web"));
    let made = stream.end(&site);
    println!("while versions changed: {} placed, refused: {:?}", made.placed, made.refused);
    assert_eq!(made.refused, Vec::<String>::new(), "the API server places, whichever Poros runs");
    site.stop();
}

/// What runs: the images of the replicas, as the node names them.
fn running(site: &Site) -> Vec<String> {
    let mut images: Vec<String> =
        site.replicas().iter().map(|pod| text(&pod["status"]["containerStatuses"][0]["imageID"])).collect();
    assert_eq!(images.len(), 2);
    images.dedup();
    assert_eq!(images.len(), 1, "both are of one version");
    images
}

/// All that is stored of each Compute, but for what time moves and what speaks of the policies of a version.
fn seen(site: &Site) -> BTreeMap<&'static str, Value> {
    let stored = |name| {
        let compute = site.compute(name);
        let metadata = &compute["metadata"];
        let mut status = compute["status"].clone();
        // It is proven again with the policies of each version, and tells when and with which.
        for field in ["provenWith", "provenAt"] {
            status["placement"].as_object_mut().unwrap().remove(field);
        }
        // It grows with the pods that are made meanwhile.
        if name == "stream" {
            status.as_object_mut().unwrap().remove("users");
            status.as_object_mut().unwrap().remove("conditions");
        }
        json!({
            "identity": facts::identity(site, name),
            "spec": compute["spec"],
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
            "finalizers": metadata["finalizers"],
            "generation": metadata["generation"],
            "status": status,
        })
    };
    NAMES.into_iter().map(|name| (name, stored(name))).collect()
}

/// What is stored once the new leader has looked at everything and proven what it had to.
fn settled(site: &Site, what: &str, before: &BTreeMap<&'static str, Value>) {
    let begin = Instant::now();
    for name in NAMES {
        site.await_proven(name);
    }
    // The leader of before gave up its Lease, and the next one looks at everything.
    until("a replica of this version to lead", || {
        let lease = site.json(&["get", "lease", "poros", "-n", NAMESPACE]);
        // Nobody holds it between two leaders.
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let pods = site.replicas();
        let names: Vec<String> = pods.iter().map(|pod| text(&pod["metadata"]["name"])).collect();
        if names.iter().any(|name| holder.contains(name)) {
            Ok(())
        } else {
            Err(format!("{holder} of {names:?}"))
        }
    });
    // It works: and has looked at what was there before.
    let name = what.replace(' ', "-");
    site.apply(&compute(&name, "nowhere"));
    site.await_proven(&name);
    std::thread::sleep(Duration::from_secs(3));
    let after = seen(site);
    for (name, stored) in before {
        assert_eq!(facts::differences(stored, &after[name]), Vec::<String>::new(), "{what}: {name}");
    }
    println!("{what}: settled after {:.1} s", begin.elapsed().as_secs_f64());
}

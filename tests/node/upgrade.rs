//! From the version before to this one, back, and forth again, with Computes and pods in place.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use xtask::rig::Options;

use crate::site::{Site, chart, compute, set, text};
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

pub fn nothing_is_rebuilt_and_no_pod_moves() {
    let (previous, current) = (images::previous(), images::current());
    assert_ne!(previous.image.digest, current.digest, "these are two versions");
    println!("from {} {}", previous.image.reference, previous.image.digest);
    println!("to   {} {}", current.reference, current.digest);
    let site = Site::start(Options::real_node("upgrade"), &[&previous.image, current]);
    let (older, newer) = (previous.chart.display().to_string(), chart());
    let (old, new) = (set(&previous.image), set(current));
    site.helm(&["install", "poros", &older, &old, "--wait", "--timeout=120s"]);
    let images_before = running(&site);
    site.apply(&compute("served", "runnable"));
    site.apply(WHOLE);
    for name in ["served", "whole"] {
        site.await_proven(name);
    }
    let server = site.serve("web", "served");
    let stream = Stream::start(&site);
    site.await_servers("served", 1);
    let mut before = seen(&site, &["served", "whole", "stream"]);

    let begin = Instant::now();
    site.helm(&["upgrade", "poros", &newer, &new, "--wait", "--timeout=180s"]);
    println!("upgraded after {:.1} s", begin.elapsed().as_secs_f64());
    settled(&site, "upgrade", &before);
    let images_after = running(&site);
    assert!(
        images_before.iter().all(|image| !images_after.contains(image)),
        "{images_before:?} {images_after:?}"
    );
    // What is written by the new version is read, and written, by the old one.
    site.apply(&WHOLE.replace("name: whole", "name: younger").replace("zone: a", "zone: b"));
    site.await_proven("younger");
    before.extend(seen(&site, &["younger"]));

    let begin = Instant::now();
    site.helm(&["rollback", "poros", "1", "--wait", "--timeout=180s"]);
    println!("rolled back after {:.1} s", begin.elapsed().as_secs_f64());
    settled(&site, "rollback", &before);
    assert_eq!(running(&site), images_before);

    // The chart of this version with the image of the one before: it works, and what it makes is this version's, too.
    // What the chart tells it that it does not know it passes by.
    let more = "--set=defaultComputes.runnable-default.enabled=true";
    site.helm(&["upgrade", "poros", &newer, &old, more, "--wait", "--timeout=180s"]);
    settled(&site, "older image", &before);
    assert_eq!(running(&site), images_before);
    site.apply(&compute("mixed", "nowhere"));
    site.await_proven("mixed");
    site.apply(&compute("mixed", "elsewhere"));
    let mixed = site.await_proven("mixed");
    assert_eq!(mixed["status"]["placement"]["provenRevision"], 2, "an edit is placed");
    before.extend(seen(&site, &["mixed"]));

    site.helm(&["upgrade", "poros", &newer, &new, "--wait", "--timeout=180s"]);
    settled(&site, "second upgrade", &before);
    assert_eq!(running(&site), images_after);

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

/// All that is stored of these Computes, but for what time moves and what speaks of the policies of a version.
fn seen(site: &Site, names: &[&'static str]) -> BTreeMap<&'static str, Value> {
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
    names.iter().map(|name| (*name, stored(*name))).collect()
}

/// What is stored once the new leader has looked at everything and proven what it had to.
fn settled(site: &Site, what: &str, before: &BTreeMap<&'static str, Value>) {
    let begin = Instant::now();
    let names: Vec<&'static str> = before.keys().copied().collect();
    let probe = what.replace(' ', "-");
    // It works.
    site.apply(&compute(&probe, "nowhere"));
    site.await_proven(&probe);
    for name in &names {
        site.await_proven(name);
    }
    site.await_calm(names.len());
    let after = seen(site, &names);
    for (name, stored) in before {
        assert_eq!(facts::differences(stored, &after[name]), Vec::<String>::new(), "{what}: {name}");
    }
    println!("{what}: settled after {:.1} s", begin.elapsed().as_secs_f64());
}

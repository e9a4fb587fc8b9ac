//! What somebody sees who does what the README says.

use std::time::Instant;

use serde_json::Value;
use xtask::image::Image;
use xtask::rig::{NODE, Options};

use crate::site::{NAMESPACE, Site, items, pod, text, until};
use crate::{facts, images, processes};

/// The default Computes: of the first the node is there, of the second none.
const DEFAULTS: &str =
    " --set defaultComputes.runnable-default.enabled=true --set defaultComputes.query-default.enabled=true";

/// The lines to type of the README: build the image, bring it to the cluster, install, try.
fn lines_to_type() -> [&'static str; 4] {
    let page = include_str!("../../README.md");
    let block = page.split("\n## Install\n").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
    let lines: Vec<&str> = block.lines().skip(1).collect();
    let begins = [
        "cargo xtask image ",
        "skopeo copy oci-archive:target/image/poros.tar ",
        "helm install ",
        "helm test ",
    ];
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line} does not begin with {begin}");
    }
    lines.try_into().expect("four lines")
}

pub fn the_lines_of_the_readme_work() {
    let image = images::current();
    // Nothing is there: the namespace, too, is made by what is typed.
    let site = Site::bare(Options::real_node("install"), &[image]);
    let (repository, _) = image.reference.rsplit_once(':').unwrap();
    // The image is built, and brought to the node as such: no registry can be had here.
    let [_, copy, install, test] = lines_to_type();
    the_archive_is_copied(&site, copy, image);

    let begin = Instant::now();
    assert!(install.contains("REGISTRY/poros"), "{install}");
    let install = install.replace("REGISTRY/poros", repository) + DEFAULTS;
    let installed = site.shell(&install);
    assert!(installed.well, "{install}: {}", installed.told);
    println!("`helm install` ended after {:.1} s", begin.elapsed().as_secs_f64());
    site.await_proven("runnable-default");
    println!("from `helm install` to the first Compute Ready: {:.1} s", begin.elapsed().as_secs_f64());
    site.restrict();
    let tested = site.shell(test);
    assert!(tested.well, "{test}: {}{}", tested.out, tested.told);
    site.await_rollout();
    assert_eq!(site.replicas().len(), 2);

    pods_run_where_their_compute_says(&site);
    the_other_takes_over(&site);
    site.stop();
}

/// To a folder instead of a registry: what would be pushed is the image that was built.
fn the_archive_is_copied(site: &Site, line: &str, image: &Image) {
    if !site.shell("command -v skopeo").well {
        let told = "not done: the line that copies the image needs skopeo (`apt-get install skopeo`)";
        assert!(std::env::var_os("POROS_REQUIRE_NODE").is_none(), "{told}");
        println!("{told}");
        return;
    }
    let folder = site.rig.dir().join("registry");
    let (copy, _) = line.rsplit_once(" docker://REGISTRY/poros:").unwrap();
    let copied = site.shell(&format!("{copy} oci:{}:{}", folder.display(), image.version));
    assert!(copied.well, "{line}: {}", copied.told);
    let index = std::fs::read_to_string(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["manifests"][0]["digest"], *image.digest, "{index}");
}

fn pods_run_where_their_compute_says(site: &Site) {
    let server = site.serve("web", "runnable-default");
    assert_eq!(server["spec"]["nodeSelector"]["dataos.io/purpose"], "runnable");
    site.await_servers("runnable-default", 1);

    // Of the other no node is there: its pod waits, and whoever asks is told.
    until("the empty pool to be told", || {
        let status = site.compute("query-default")["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let pool = conditions.iter().find(|condition| condition["type"] == "PoolReady");
        let empty = pool.is_some_and(|pool| pool["status"] == "False");
        let told = text(&status["builderState"]["info"]).contains("no node carries the labels");
        if empty && told { Ok(()) } else { Err(status.to_string()) }
    });
    site.apply(&pod("lost", "query-default"));
    until("the scheduler's word", || {
        let lost = site.json(&["get", "pod", "lost"]);
        let conditions = lost["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let told =
            conditions.iter().any(|one| one["type"] == "PodScheduled" && one["reason"] == "Unschedulable");
        if told { Ok(()) } else { Err(lost["status"].to_string()) }
    });
    let explained = site.dataos_ctl(&["explain", "pod", "lost"]);
    assert!(explained.out.contains("none of 1 node"), "{}{}", explained.out, explained.told);
    let file = site.file(&pod("never", "never-there"));
    let refused = site.try_kubectl(&["apply", "-f", &file.to_string_lossy()]);
    assert!(refused.told.contains("Compute never-there is not in force"), "{}", refused.told);
}

/// One replica leads, and is killed.
fn the_other_takes_over(site: &Site) {
    let name = |pod: &Value| text(&pod["metadata"]["name"]);
    let leader = site.leader();
    let pods = site.replicas();
    let (led, others): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| name(pod) == leader);
    let ([led], [other]) = (&led[..], &others[..]) else { panic!("{leader:?} leads") };
    for pod in &pods {
        let process = processes::of(pod).unwrap_or_else(|| panic!("{} has no process", name(pod)));
        let [now, most] = processes::resident(process);
        println!("resident: {now} MiB, at most {most} MiB, leads: {}", name(pod) == leader);
        assert_eq!(facts::life(pod).2, [0]);
        let log = site.kubectl(&["logs", "-n", NAMESPACE, &name(pod)]);
        assert!(!log.is_empty());
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line["level"].is_string(), "{line}");
        }
    }
    processes::kill(processes::of(led).unwrap());
    let begin = Instant::now();
    until("the other to lead", || {
        let leader = site.leader();
        if leader == name(other) { Ok(()) } else { Err(format!("{leader:?} does")) }
    });
    println!("the other leads after {:.1} s", begin.elapsed().as_secs_f64());
    site.apply(&crate::site::compute("after", "runnable"));
    site.await_proven("after");
    site.await_rollout();
    let mut restarts: Vec<u64> = site.replicas().iter().flat_map(|pod| facts::life(pod).2).collect();
    restarts.sort_unstable();
    assert_eq!(restarts, [0, 1], "one was killed, and nothing else is started again");
    let nodes = items(&site.json(&["get", "pods", "-n", NAMESPACE]));
    assert!(nodes.iter().all(|pod| pod["spec"]["nodeName"] == NODE));
}

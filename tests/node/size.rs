//! What Poros takes as it is installed: memory, at rest and with many Computes. Reported; what is asserted is that the limits of
//! the chart hold.

use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::rig::Options;

use crate::site::{NAMESPACE, Site, chart, compute, items, until_within};
use crate::{facts, images, processes};

const MANY: usize = 1_000;
/// For all of them to be made and proven.
const PATIENCE: Duration = Duration::from_mins(10);

pub fn a_thousand_computes_fit_the_limits() {
    let image = images::current();
    let site = Site::start(Options::real_node("size"), &[image]);
    let (repository, _) = image.reference.rsplit_once(':').unwrap();
    site.helm(&["install", "poros", &chart(), &format!("--set=image.repository={repository}"), "--wait"]);
    site.apply(&compute("first", "nowhere"));
    site.await_proven("first");
    told(&site, 1);
    let all: String = (0..MANY).map(|number| compute(&format!("many-{number}"), "runnable")).collect();
    let begin = Instant::now();
    site.apply(&all);
    println!("{MANY} Computes applied after {:.1} s", begin.elapsed().as_secs_f64());
    let proven = |one: &&Value| {
        let placement = &one["status"]["placement"];
        placement["revision"].is_u64() && placement["revision"] == placement["provenRevision"]
    };
    until_within(PATIENCE, "all of them to be proven", || {
        let done = items(&site.json(&["get", "computes"])).iter().filter(proven).count();
        if done == MANY + 1 { Ok(()) } else { Err(format!("{done} are")) }
    });
    println!("all are proven after {:.1} s", begin.elapsed().as_secs_f64());
    told(&site, MANY);
    // And as it is after a start that finds all of them.
    site.kubectl(&["rollout", "restart", "deployment/poros", "-n", NAMESPACE]);
    site.await_rollout();
    site.await_calm(MANY);
    told(&site, MANY);
    site.stop();
}

/// What each replica takes now, and at most took; none was ended for it.
fn told(site: &Site, computes: usize) {
    let leader = site.leader();
    for pod in site.replicas() {
        assert_eq!(facts::life(&pod).2, [0], "a replica was started again");
        let process = processes::of(&pod).expect("a replica has a process");
        let leads = pod["metadata"]["name"] == *leader;
        let [now, most] = processes::resident(process);
        println!("{computes} Computes: {now} MiB resident, {most} MiB at most, leads: {leads}");
    }
}

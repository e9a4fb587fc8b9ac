//! Below Kubernetes 1.36: the API server calls Poros through its Service.

use xtask::rig::Options;

use crate::site::{NAMESPACE, Site, chart, compute, pod, set, until};
use crate::stream::Stream;
use crate::{facts, images};

pub fn pods_are_placed_through_the_service() {
    let (previous, image) = (images::previous(), images::current());
    let options = Options::real_node("webhook").without_mutating_policies();
    let site = Site::start(options, &[&previous.image, image]);
    let before = facts::everything(&site);
    let (older, newer) = (previous.chart.display().to_string(), chart());
    site.helm(&["install", "poros", &older, &set(&previous.image), "--wait", "--timeout=120s"]);
    site.apply(&compute("served", "runnable"));
    let placed = site.await_proven("served");
    assert_eq!(placed["status"]["placement"]["mode"], "Webhook");
    let server = site.serve("web", "served");
    assert_eq!(server["spec"]["nodeSelector"]["dataos.io/purpose"], "runnable");
    let identity = facts::identity(&site, "served");

    // To this version: a replica of the one before may end while it is asked. What it does not answer is refused.
    let stream = Stream::start(&site);
    let default = "--set=defaultComputes.runnable-default.enabled=true";
    site.helm(&["upgrade", "poros", &newer, &set(image), default, "--wait", "--timeout=180s"]);
    site.await_rollout();
    site.await_proven("runnable-default");
    let made = stream.end(&site);
    println!("while versions changed: {} placed, refused: {:?}", made.placed, made.refused);
    assert!(made.refused.iter().all(|why| why.contains("failed calling webhook")), "{:?}", made.refused);
    site.await_proven("served");
    assert_eq!(facts::identity(&site, "served"), identity, "nothing is rebuilt");

    // Replicas of this version come and go, one at a time: somebody always answers.
    let stream = Stream::start(&site);
    site.kubectl(&["rollout", "restart", "deployment/poros", "-n", NAMESPACE]);
    site.await_rollout();
    let made = stream.end(&site);
    println!("while all replicas were replaced: {} placed, refused: {:?}", made.placed, made.refused);
    assert_eq!(made.refused, Vec::<String>::new());
    assert_eq!(facts::life(&site.server("web")), facts::life(&server));

    // On the network of the node, for an API server that reaches no pod. The roll-out shares no port, so it has a gap.
    site.unrestrict();
    let host = "--set=hostNetwork=true,replicas=1";
    site.helm(&["upgrade", "poros", &newer, &set(image), default, host, "--wait", "--timeout=180s"]);
    let replica = until("one replica alone", || match <[_; 1]>::try_from(site.replicas()) {
        Ok([replica]) => Ok(replica),
        Err(replicas) => Err(format!("{} replicas", replicas.len())),
    });
    assert_eq!(replica["status"]["podIP"], replica["status"]["hostIP"]);
    site.serve("by-host", "served");
    site.kubectl(&["delete", "deployment", "by-host", "--wait"]);

    // Nobody is left to answer, so nobody may be asked; the guard refuses.
    site.helm(&["uninstall", "poros", "--wait", "--timeout=120s"]);
    let file = site.file(&pod("never", "runnable-default"));
    let said = until("the guard alone to refuse", || {
        let said = site.try_kubectl(&["apply", "-f", &file.to_string_lossy()]).told;
        if said.contains("failed calling webhook") { Err(said) } else { Ok(said) }
    });
    assert!(said.contains("Compute runnable-default is not in force"), "{said}");
    let kept = facts::kept(&["runnable-default", "served", "stream"], false);
    facts::assert_left(&facts::left(&site, &before, &["web"]), &kept);
    site.stop();
}

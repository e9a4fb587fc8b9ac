//! Below Kubernetes 1.36: the API server calls Poros through its Service.

use xtask::rig::Options;

use crate::site::{NAMESPACE, Site, chart, pod, until};
use crate::stream::Stream;
use crate::{facts, images};

pub fn pods_are_placed_through_the_service() {
    let image = images::current();
    let site = Site::start(Options::real_node("webhook").without_mutating_policies(), &[image]);
    let before = facts::everything(&site);
    let (repository, _) = image.reference.rsplit_once(':').unwrap();
    let repository = format!("--set=image.repository={repository}");
    let default = "--set=defaultComputes.runnable-default.enabled=true";
    let chart = chart();
    site.helm(&["install", "poros", &chart, &repository, default, "--wait", "--timeout=120s"]);
    let compute = site.await_proven("runnable-default");
    assert_eq!(compute["status"]["placement"]["mode"], "Webhook");
    let server = site.serve("web", "runnable-default");
    assert_eq!(server["spec"]["nodeSelector"]["dataos.io/purpose"], "runnable");

    // Replicas come and go, one at a time: somebody always answers.
    let stream = Stream::start(&site);
    site.kubectl(&["rollout", "restart", "deployment/poros", "-n", NAMESPACE]);
    site.await_rollout();
    let made = stream.end(&site);
    println!("while all replicas were replaced: {} placed, refused: {:?}", made.placed, made.refused);
    assert_eq!(made.refused, Vec::<String>::new());
    assert_eq!(facts::life(&site.server("web")), facts::life(&server));

    // Nobody is left to answer, so nobody may be asked; the guard refuses.
    site.helm(&["uninstall", "poros", "--wait", "--timeout=120s"]);
    let file = site.file(&pod("never", "runnable-default"));
    let said = until("the guard alone to refuse", || {
        let said = site.try_kubectl(&["apply", "-f", &file.to_string_lossy()]).told;
        if said.contains("failed calling webhook") { Err(said) } else { Ok(said) }
    });
    assert!(said.contains("Compute runnable-default is not in force"), "{said}");
    let left = facts::everything(&site);
    let mine: Vec<&String> = left.difference(&before).filter(|one| one.contains(NAMESPACE)).collect();
    assert!(mine.is_empty(), "{mine:?}");
    site.stop();
}

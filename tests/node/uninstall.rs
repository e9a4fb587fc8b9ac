//! What an uninstall leaves, and what adopts it.

use std::time::Instant;

use xtask::rig::Options;

use crate::site::{Site, chart, compute, pod, until};
use crate::{facts, images};

/// What the trial makes itself.
const MADE: [&str; 2] = ["web", "later"];

pub fn what_stays_is_what_keep_keeps() {
    let image = images::current();
    let site = Site::start(Options::real_node("uninstall"), &[image]);
    let chart = chart();
    let (repository, _) = image.reference.rsplit_once(':').unwrap();
    let repository = format!("--set=image.repository={repository}");
    let default = "--set=defaultComputes.runnable-default.enabled=true";
    let install = || {
        site.helm(&["install", "poros", &chart, &repository, default, "--wait", "--timeout=120s"]);
    };
    // What is there of the cluster itself; its own pods come and go.
    let before = facts::everything(&site);
    install();
    site.await_proven("runnable-default");
    site.apply(&compute("idle", "nowhere"));
    site.await_proven("idle");
    let server = site.serve("web", "runnable-default");
    site.await_servers("runnable-default", 1);
    let identities = ["runnable-default", "idle"].map(|name| facts::identity(&site, name));

    let begin = Instant::now();
    let said = site.helm(&["uninstall", "poros", "--wait", "--timeout=120s"]);
    println!("uninstalled after {:.1} s: {said}", begin.elapsed().as_secs_f64());
    let left = facts::left(&site, &before, &MADE);
    facts::assert_left(&left, &facts::kept(&["runnable-default", "idle"], true));
    assert_eq!(["runnable-default", "idle"].map(|name| facts::identity(&site, name)), identities);

    // As if Poros were down: what names a Compute is placed, or refused.
    assert_eq!(facts::life(&site.server("web")), facts::life(&server));
    let later = site.serve("later", "runnable-default");
    assert_eq!(later["spec"]["nodeSelector"]["dataos.io/purpose"], "runnable");
    refused(&site, "never-there");
    let held = site.try_kubectl(&["delete", "compute", "runnable-default", "--timeout=20s"]);
    assert!(!held.well && held.told.contains("is in use by"), "{}", held.told);
    // Nothing hangs on a finalizer, and what was built goes with its Compute.
    site.kubectl(&["delete", "compute", "idle", "--timeout=20s"]);
    until("what was built for it to be collected", || {
        let there = facts::everything(&site);
        let mine: Vec<_> = there.iter().filter(|object| object.ends_with("idle")).collect();
        if mine.is_empty() { Ok(()) } else { Err(format!("{mine:?}")) }
    });
    refused(&site, "idle");

    // Installed again it takes up what stayed.
    install();
    until("the finalizer to be back", || {
        let compute = site.compute("runnable-default");
        let finalizers = compute["metadata"]["finalizers"].clone();
        if finalizers[0] == "poros.dataos.io/cleanup" { Ok(()) } else { Err(finalizers.to_string()) }
    });
    site.await_proven("runnable-default");
    assert_eq!(facts::identity(&site, "runnable-default"), identities[0]);
    assert_eq!(facts::life(&site.server("web")), facts::life(&server));

    nothing_goes_while_one_is_in_use(&site, &chart, &repository);
    let begin = Instant::now();
    site.kubectl(&["delete", "deployments", "web", "later", "--timeout=60s"]);
    until("no user to be left", || {
        let users = site.compute("runnable-default")["status"]["users"].clone();
        if users["pods"] == 0 && users["workloads"] == 0 { Ok(()) } else { Err(users.to_string()) }
    });
    println!("no user is left after {:.1} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let said = site.helm(&["uninstall", "poros", "--wait", "--timeout=120s"]);
    println!("all was removed after {:.1} s: {said}", begin.elapsed().as_secs_f64());
    until("all to be gone", || {
        let left = facts::left(&site, &before, &MADE);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    site.stop();
}

/// Without `keep` all goes or nothing, and who asked is told why.
fn nothing_goes_while_one_is_in_use(site: &Site, chart: &str, repository: &str) {
    site.helm(&["upgrade", "poros", chart, repository, "--set=crds.keep=false", "--wait", "--timeout=120s"]);
    site.await_rollout();
    let there = facts::everything(site);
    let begin = Instant::now();
    let said = site.try_helm(&["uninstall", "poros", "--wait", "--timeout=180s"]);
    println!("refused after {:.1} s: {}\n{}", begin.elapsed().as_secs_f64(), said.out, said.told);
    assert!(!said.well);
    assert!(said.out.contains("is in use by") || said.told.contains("is in use by"), "the users are named");
    let gone: Vec<String> = there.difference(&facts::everything(site)).cloned().collect();
    assert!(gone.is_empty(), "{gone:?}");
    site.await_rollout();
}

fn refused(site: &Site, compute: &str) {
    let file = site.file(&pod("never", compute));
    let said = site.try_kubectl(&["apply", "-f", &file.to_string_lossy()]);
    assert!(said.told.contains(&format!("Compute {compute} is not in force")), "{}", said.told);
}

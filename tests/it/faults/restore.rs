//! etcd is restored from a backup: time goes back for everybody, and a newer version is not a truer one.

use std::path::{Path, PathBuf};

use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use xtask::rig::{Options, Rig, Signal};

use super::outages::make;
use super::{AFTER_A_START, LIMIT, edit, gone_without_a_trace, pool, settled, settled_within};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{bindings, compute, computes, delete, placements, raw_computes};
use crate::harness::poros::Poros;
use crate::harness::{until, wait};
use crate::trials;

trials![an_etcd_that_is_restored_from_a_backup_is_followed_back];

/// Stops the control plane, does something to the folder of etcd, and starts it again.
fn offline(rig: &Rig, work: impl FnOnce(PathBuf, PathBuf)) {
    rig.stop_apiserver(Signal::Term).unwrap();
    rig.stop_etcd(Signal::Term).unwrap();
    work(rig.dir().join("etcd"), rig.dir().join("etcd-backup"));
    rig.start_etcd().unwrap();
    rig.start_apiserver().unwrap();
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success(), "cp {} {}", from.display(), to.display());
}

/// Edits it as soon as the API server takes it: one that has just started answers 503 for some seconds.
async fn change(client: &Client, name: &str) {
    until("the edit to be taken", LIMIT, || async {
        let patch = Patch::Merge(edit(name));
        let patched = raw_computes(client).patch(name, &PatchParams::default(), &patch).await;
        patched.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

async fn an_etcd_that_is_restored_from_a_backup_is_followed_back() {
    let cluster = Cluster::start(Options::api_only("it-restore"));
    let client = cluster.client().await;
    let poros = Poros::start(&cluster, &["--manage-policies"]);
    for name in ["restore-edited", "restore-deleted", "restore-new"] {
        pool(&client, name).await;
    }
    for name in ["restore-edited", "restore-deleted"] {
        make(&client, &compute(name)).await;
        settled(&client, name, 1).await;
    }
    let before = computes(&client).get("restore-edited").await.unwrap();
    let pid = poros.id();
    offline(&cluster.rig, |etcd, backup| copy(&etcd, &backup));
    // What the backup does not know: two edits, a deletion, a new Compute.
    change(&client, "restore-edited").await;
    settled_within(&client, "restore-edited", 2, AFTER_A_START).await;
    delete(&raw_computes(&client), "restore-deleted").await.unwrap();
    gone_without_a_trace(&client, "restore-deleted").await;
    make(&client, &compute("restore-new")).await;
    settled_within(&client, "restore-new", 1, AFTER_A_START).await;
    offline(&cluster.rig, |etcd, backup| {
        std::fs::remove_dir_all(&etcd).unwrap();
        std::fs::rename(backup, etcd).unwrap();
    });
    let edited = settled_within(&client, "restore-edited", 1, AFTER_A_START).await;
    assert_eq!(edited.spec, before.spec, "it is as it was");
    assert_eq!(
        edited.status.unwrap().transition_seq,
        before.status.unwrap().transition_seq,
        "and nothing was wrong"
    );
    settled_within(&client, "restore-deleted", 1, AFTER_A_START).await;
    assert!(computes(&client).get_opt("restore-new").await.unwrap().is_none());
    // And Poros is not merely silent: it acts on what is there now.
    change(&client, "restore-edited").await;
    let again = settled_within(&client, "restore-edited", 2, AFTER_A_START).await;
    assert_eq!(again.uid(), before.metadata.uid);
    until("the deleted Compute to be held by its finalizer no longer", AFTER_A_START, || async {
        let _ = delete(&raw_computes(&client), "restore-deleted").await;
        let there = computes(&client).get_opt("restore-deleted").await.map_err(|error| error.to_string())?;
        there.map_or(Ok(()), |there| Err(wait::info(&there).to_owned()))
    })
    .await;
    assert!(placements(&client).get_opt("restore-deleted").await.unwrap().is_none());
    assert!(bindings(&client).get_opt("poros-restore-deleted").await.unwrap().is_none());
    assert_eq!(poros.id(), pid, "the same process all along");
    poros.await_ready(LIMIT);
}

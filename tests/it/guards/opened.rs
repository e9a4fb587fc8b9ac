//! The commands of docs/admission.md that open and close the guards, as they stand there; and what still holds.

use std::path::Path;
use std::process::{Command, Stdio};

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{LIMIT, refused, taken};
use crate::harness::cluster::Cluster;
use crate::harness::objects::{create, delete, dry_run, dynamic, patch, pod, pods, raw_computes, refusal};
use crate::harness::poros::{Poros, SHORT};
use crate::harness::{until, wait};
use crate::rows::{clear, own, poolless, seq};
use crate::trials;

trials![the_guards_are_opened_and_closed_as_the_docs_say, a_level_is_asked_for_in_words];

const DOCS: &str = include_str!("../../../docs/admission.md");
const GROUP: &str = "admissionregistration.k8s.io/v1";

/// The n-th command below a heading of the docs.
fn documented(heading: &str, n: usize) -> String {
    let section = DOCS.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("docs/admission.md has no heading {heading:?}"));
    let command = section.split("```sh\n").nth(n + 1).and_then(|rest| rest.split("```").next());
    command.unwrap_or_else(|| panic!("no command {n} below {heading:?}")).to_owned()
}

/// Runs a command as somebody with a shell would, as admin.
fn shell(cluster: &Cluster, command: &str) {
    let kubectl = cluster.rig.kubectl();
    let folder = Path::new(kubectl.get_program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PATH", path).env("KUBECONFIG", cluster.rig.kubeconfig());
    let output = shell.stdin(Stdio::null()).output().expect("sh starts");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn the_guards_are_opened_and_closed_as_the_docs_say() {
    let (cluster, client) = own("it-opened").await;
    let flags = [&["--manage-policies"], &SHORT[..]].concat();
    let poros = Poros::start(&cluster, &flags);
    let used = "opened-used";
    let active = poolless(&client, used).await;
    create(&pods(&client), &pod("opened-used-1", used)).await.unwrap();
    wait::used(&client, used, 1).await;
    refused("is not in force", || async { dry_run(&pods(&client), &pod("opened-nobody", "nobody")).await })
        .await;
    shell(&cluster, &documented("Open every guard", 0));
    everything_is_let_through(&client, used).await;
    nobody_closes_them_again(&client, used, seq(&active)).await;
    shell(&cluster, &documented("Close them again", 0));
    refused("is not in force", || async { dry_run(&pods(&client), &pod("opened-again", "nobody")).await })
        .await;
    wait::held(&client, used).await;
    let (code, ..) = refusal(delete(&raw_computes(&client), used).await);
    assert_eq!(code, 403);
    // A pod that came in unplaced is no user, and may drop its label.
    let part = Patch::Merge(json!({"metadata": {"labels": {"poros.dataos.io/compute": null}}}));
    pods(&client).patch("opened-nobody", &PatchParams::default(), &part).await.unwrap();
    delete(&pods(&client), "opened-nobody").await.unwrap();
    without_poros_in_admission(&cluster, &client, poros, used).await;
    let _poros = Poros::start(&cluster, &flags);
    wait::proven(&client, used).await;
    wait::placed(&client, used, 1).await;
    delete(&pods(&client), "opened-used-1").await.unwrap();
    delete(&pods(&client), "opened-out").await.unwrap();
    wait::used(&client, used, 0).await;
    clear(&client, used).await;
}

async fn everything_is_let_through(client: &Client, used: &str) {
    let nobody = pod("opened-nobody", "nobody");
    let unplaced = taken("an unplaced pod", || async { create(&pods(client), &nobody).await }).await;
    assert!(unplaced.data["spec"].get("nodeSelector").is_none());
    // Of an open guard the finalizer is what is left.
    taken("the deletion of a Compute in use", || async {
        let dry = kube::api::DeleteParams { dry_run: true, ..kube::api::DeleteParams::default() };
        raw_computes(client).delete(used, &dry).await.map(|_| ())
    })
    .await;
    let relabelled = json!({"metadata": {"labels": {"poros.dataos.io/compute": "another"}}});
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    taken("a changed label", || async {
        pods(client).patch("opened-used-1", &dry, &Patch::Merge(&relabelled)).await
    })
    .await;
    // What is in force places on.
    wait::placed(client, used, 1).await;
}

/// Not `--manage-policies`, not even where it has something else to repair; and it is no fault.
async fn nobody_closes_them_again(client: &Client, used: &str, seq_before: u64) {
    let policies = dynamic(client, GROUP, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", None);
    delete(&policies, "labels.poros.dataos.io").await.unwrap();
    taken("the policy to be put back", || policies.get("labels.poros.dataos.io")).await;
    let bound =
        dynamic(client, GROUP, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", None);
    let all = bound
        .list(&kube::api::ListParams::default().labels("app.kubernetes.io/part-of=poros"))
        .await
        .unwrap();
    assert_eq!(all.items.len(), 6);
    for binding in all {
        assert_eq!(
            binding.data["spec"]["validationActions"],
            json!(["Audit"]),
            "{:?}",
            binding.metadata.name
        );
    }
    let told = wait::active(client, used).await;
    assert_eq!(seq(&told), seq_before, "{:?}", told.status.unwrap().history);
}

async fn without_poros_in_admission(cluster: &Cluster, client: &Client, poros: Poros, used: &str) {
    poros.kill();
    // Workloads count as users too; no other Poros is there to write who they are.
    let status = json!({"status": {"users": {"pods": 0, "workloads": 2, "examples": ["CronJob/default/nightly", "Job/default/now"]}}});
    let status = Patch::Merge(status);
    raw_computes(client).patch_status(used, &PatchParams::default(), &status).await.unwrap();
    let (_, said, _) = refusal(delete(&raw_computes(client), used).await);
    assert!(
        said.contains("in use by 2 workloads (CronJob/default/nightly, Job/default/now); remove them"),
        "{said}"
    );
    let status = json!({"status": {"users": {"pods": 3, "workloads": 1}}});
    let status = Patch::Merge(status);
    raw_computes(client).patch_status(used, &PatchParams::default(), &status).await.unwrap();
    let (_, said, _) = refusal(delete(&raw_computes(client), used).await);
    assert!(
        said.contains("in use by 3 pods and 1 workload (CronJob/default/nightly, Job/default/now, …)"),
        "{said}"
    );
    shell(cluster, &documented("Take Poros out", 0));
    until("pods to go in as they are", LIMIT, || async {
        let stored =
            dry_run(&pods(client), &pod("opened-out", used)).await.map_err(|error| error.to_string())?;
        if stored.data["spec"].get("nodeSelector").is_none() { Ok(()) } else { Err("placed".to_owned()) }
    })
    .await;
    create(&pods(client), &pod("opened-out", used)).await.unwrap();
    patch(&pods(client), "opened-out", &json!({"metadata": {"labels": {"a": "b"}}})).await;
}

async fn a_level_is_asked_for_in_words() {
    let policies = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_poros")).arg("policies").args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (_, plain, _) = policies(&[]);
    assert_eq!((plain.matches("- Deny").count(), plain.matches("- Warn").count()), (5, 1));
    let (done, opened, _) = policies(&["--enforce", "all=Audit,placed=Warn", "--require-use"]);
    assert!(done);
    assert_eq!(
        (
            opened.matches("- Deny").count(),
            opened.matches("- Warn").count(),
            opened.matches("- Audit").count()
        ),
        (0, 1, 7)
    );
    let (done, _, said) = policies(&["--enforce", "place=Warn"]);
    assert!(!done && said.contains("there is no guard \"place\"; the guards are all, placed, labels, in-use, builder, account, workloads, use"), "{said}");
}

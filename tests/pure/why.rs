//! Why a Compute is as it is: the paragraph, word for word, and a row for each kind of fault.

use poros::decide::fault::{Blame, Category, STAYS};
use poros::view::compute::ComputeFacts;
use poros::view::nodes::Nodes;
use poros::view::page::{Style, WIDTH};
use poros::view::why::{Phase, Why, why};
use serde_json::{Value, json};

use crate::explain::{compute_facts, compute_of, manifest_of, nodes, unseen};

const SINCE: &str = "2026-11-22T14:05:00Z";

/// A Compute that fails with this category, in the build or after it.
fn failing(category: Category, in_build: bool, info: &str) -> Value {
    let mut manifest = manifest_of("query");
    let word = category.word();
    let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": SINCE});
    let status = &mut manifest["status"];
    status["aggregateStatus"] = json!("error");
    status["builderState"] = json!({
        "stage": if in_build { "error" } else { "building" }, "info": info, "since": SINCE, "summary": "1/2",
    });
    status["conditions"] = json!([
        condition("Ready", "False", word, info),
        condition("PlacementVerified", "Unknown", word, "the probe was not tried"),
        condition("Contended", "True", "Contended", "a rival wrote 4 times"),
    ]);
    status["cloudKernelResources"][1]["status"] = json!("error");
    manifest
}

fn told(manifest: &Value) -> Why {
    why(&ComputeFacts { compute: compute_of(manifest), ..compute_facts(manifest) }, None)
}

/// What the paragraph must hold for a fault of this category, beside what all have; and what it says to type.
fn row(category: Category) -> (&'static str, &'static str) {
    const OLD: &str = "What was proven before stays in force: revision 3 was proven at 2026-11-22T14:00:00Z by a dry-run pod";
    const STANDS: &str =
        "1 of the 2 objects that it needs is in place; MutatingAdmissionPolicyBinding poros-query is not.";
    const VERIFIED: &str =
        "PlacementVerified is Unknown since 2026-11-22T14:05:00Z: the probe was not tried.";
    const POOL: &str = "Its selector pool=query matches 5 of 6 nodes, of which 2 take its pods (q1, q2); the others do not: 1 cordoned (q3), 1 not ready (q5), 1 taint gpu:NoSchedule is not tolerated (q4).";
    match category {
        Category::Undecodable => (OLD, "kubectl get compute query -o yaml"),
        Category::InvalidSpec | Category::UnknownDataplane => (OLD, "kubectl edit compute query"),
        Category::NameTaken => (
            STANDS,
            "kubectl get placement/query mutatingadmissionpolicybinding/poros-query --show-managed-fields -o yaml",
        ),
        Category::Forbidden => (STANDS, "kubectl describe clusterrole poros"),
        Category::ApplyFailed => (STANDS, "kubectl get --raw '/readyz?verbose'"),
        Category::PolicyMissing => {
            (VERIFIED, "poros policies | kubectl apply --server-side --force-conflicts -f -")
        }
        Category::ProofMismatch => {
            (VERIFIED, "kubectl get mutatingadmissionpolicybindings,mutatingwebhookconfigurations")
        }
        Category::ProofBlocked => {
            (VERIFIED, "kubectl get resourcequotas,limitranges,serviceaccounts -n poros-system")
        }
        Category::Contended => (
            "poros-query is not. Contended is True since 2026-11-22T14:05:00Z: a rival wrote 4 times.",
            "kubectl get placement/query mutatingadmissionpolicybinding/poros-query --show-managed-fields -o yaml",
        ),
        Category::NoNodesMatch => (POOL, "kubectl label node NODE pool=query"),
        Category::NoReadyNodes => (POOL, "kubectl describe node q5"),
        Category::Internal => (
            "The message of the bug is in the log of Poros.",
            "kubectl logs -n poros-system deployment/poros",
        ),
    }
}

#[test]
fn every_kind_of_fault_has_its_phase_evidence_and_command() {
    for category in Category::ALL {
        let table = category.row();
        for in_build in [true, false] {
            let possible = match table.blame {
                Blame::InBuild => in_build,
                Blame::AfterBuild => !in_build,
                Blame::ByRule | Blame::AsBefore => true,
            };
            if !possible {
                continue;
            }
            let told = told(&failing(category, in_build, "something of q is so"));
            let (phase, words) = if in_build {
                (Phase::InBuild, "it failed in the build, so what its spec asks for is not in force.")
            } else {
                (Phase::AfterBuild, "it failed after the build: what its spec asks for was proven, then")
            };
            let (evidence, command) = row(category);
            assert_eq!((told.phase, told.category), (phase, Some(category.word())), "{category:?}");
            let (word, step) = (category.word(), table.step.word());
            // Of two cases the one that there is.
            let pods = if table.pods == STAYS { "placed as before" } else { table.pods };
            for words in [
                "Compute query is in error since 2026-11-22T14:05:00Z: ",
                words,
                &format!("The fault is {word}, found in the step {step}: something of q is so."),
                evidence,
                &format!("Pods that name it meanwhile: {pods}."),
                &format!("It is healed by {}.", table.healed_by),
            ] {
                assert!(told.why.contains(words), "{category:?}: {words:?} is not in: {}", told.why);
            }
            assert_eq!(told.next[0].command, command, "{category:?}");
            assert_eq!(told.why.matches("a rival wrote").count(), 1, "said once: {}", told.why);
        }
    }
}

#[test]
fn what_is_active_is_told_with_why_it_may_be_believed() {
    let mut manifest = manifest_of("query");
    let mut facts = compute_facts(&manifest);
    facts.workloads.truncate(1);
    let now = Some("2026-11-22T16:30:00Z".parse().unwrap());
    let told = why(&facts, now);
    assert_eq!((told.phase, told.category, told.deadline), (Phase::None, None, None));
    assert_eq!(
        told.text(Style::default()),
        "\
Compute query is active, and nothing failed. It may be believed: revision 3 was proven at
2026-11-22T14:00:00Z (150m ago) by a dry-run pod that came back placed as it says (mode Policy). Its
selector pool=query matches 5 of 6 nodes, of which 2 take its pods (q1, q2); the others do not: 1
cordoned (q3), 1 not ready (q5), 1 taint gpu:NoSchedule is not tolerated (q4). 3 pods and 1 workload
use it (CronJob/data/nightly, Pod/data/a, Pod/data/b, …); 1 of the pods run with an older revision
until they are made anew.
Next, see all that hangs on it:
  kubectl poros tree query
"
    );
    manifest["status"]["placement"]["provenRevision"] = json!(2);
    manifest["metadata"]["generation"] = json!(4);
    manifest["status"]["conditions"] = json!([
        {"type": "Ready", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": SINCE},
        {"type": "PlacementVerified", "status": "Unknown", "reason": "ProofBlocked", "message": "a quota", "lastTransitionTime": SINCE},
        {"type": "Paused", "status": "False", "reason": "x", "message": "y", "lastTransitionTime": SINCE},
    ]);
    let told = why(&ComputeFacts { compute: compute_of(&manifest), ..facts }, None);
    assert!(
        told.why
            .starts_with("Compute query is active, and nothing failed, but what is in force is not proven. ")
    );
    assert!(
        told.why.ends_with(
            " That is about generation 3: Poros has not acted on generation 4 yet. PlacementVerified is Unknown: a quota."
        ),
        "{}",
        told.why
    );
}

#[test]
fn what_is_pending_is_told_with_what_is_awaited_and_until_when() {
    let mut manifest = manifest_of("query");
    manifest["spec"]["progressDeadlineSeconds"] = json!(300);
    manifest["status"]["aggregateStatus"] = json!("pending");
    manifest["status"]["builderState"] =
        json!({"stage": "building", "info": "built and proven; no node is ready", "since": SINCE});
    manifest["status"]["conditions"] = json!([
        {"type": "Ready", "status": "Unknown", "reason": "AwaitingPool", "message": "", "lastTransitionTime": SINCE},
        {"type": "PoolReady", "status": "False", "reason": "NoReadyNodes", "message": "m", "lastTransitionTime": SINCE},
    ]);
    let facts = ComputeFacts { compute: compute_of(&manifest), ..compute_facts(&manifest) };
    let told = why(&facts, None);
    assert_eq!((told.phase, told.category), (Phase::Building, Some("NoReadyNodes")));
    assert_eq!(told.deadline, Some("2026-11-22T14:10:00Z".parse().unwrap()));
    for words in [
        "Compute query is pending: it is being built, and nothing failed yet. It stands so: built and proven; no node is ready. Its selector",
        "It may be pending until 2026-11-22T14:10:00Z (spec.progressDeadlineSeconds); then it is an error. Pods that name it meanwhile: placed; they wait",
    ] {
        assert!(told.why.contains(words), "{words:?} is not in: {}", told.why);
    }
    assert_eq!(told.next[0].command, "kubectl describe node q5");
    let late = why(&facts, Some("2026-11-22T14:11:00Z".parse().unwrap()));
    let words =
        "Its deadline was 2026-11-22T14:10:00Z (60s ago), and no Poros has acted on that yet: does one run?";
    assert!(late.why.contains(words), "{}", late.why);
    // An edit is judged anew, and what is paused is not judged.
    manifest["metadata"]["generation"] = json!(9);
    assert_eq!(self::told(&manifest).deadline, None);
    manifest["status"]["observedGeneration"] = json!(-1);
    let untried = self::told(&manifest);
    assert_eq!((untried.phase, untried.deadline), (Phase::Unseen, None));
    assert!(
        untried
            .why
            .starts_with("Compute query is pending, and nothing failed, for nothing was tried: no Poros")
    );
}

#[test]
fn what_is_being_deleted_is_told_with_who_holds_it() {
    let mut manifest = manifest_of("query");
    manifest["metadata"]["deletionTimestamp"] = json!(SINCE);
    manifest["status"]["aggregateStatus"] = json!("deleting");
    manifest["status"]["builderState"] =
        json!({"stage": "building", "info": "it is still in use", "since": SINCE});
    let held = told(&manifest);
    assert_eq!((held.phase, held.category), (Phase::Deleting, None));
    assert!(
        held.why.starts_with(
            "Compute query is being deleted, nothing failed, and its users hold it. 3 pods and 1 workload use it (CronJob/data/nightly, "
        ),
        "{}",
        held.why
    );
    let commands: Vec<&str> = held.next.iter().map(|next| next.command.as_str()).collect();
    assert_eq!(
        commands,
        ["kubectl poros tree query", "kubectl annotate compute query poros.dataos.io/delete-in-use=true"]
    );
    manifest["status"]["users"] = json!({});
    manifest["status"]["builderState"]["info"] = json!("what was built for it is being removed");
    let going = told(&manifest);
    assert!(
        going.why.starts_with(
            "Compute query is being deleted: what was built for it is being removed; nothing failed."
        ),
        "{}",
        going.why
    );
    assert_eq!(going.next[0].command, "kubectl get compute query -w");
    manifest["status"]["aggregateStatus"] = json!("deleted");
    manifest["status"]["builderState"] =
        json!({"stage": "built", "info": "all that was built for it is gone"});
    manifest["metadata"]["finalizers"] = json!(["example.com/hold", "poros.dataos.io/cleanup"]);
    let left = told(&manifest);
    assert!(
        left.why.contains("is gone; nothing failed. Finalizers of others hold it, too: example.com/hold."),
        "{}",
        left.why
    );
    assert_eq!(left.next[0].command, "kubectl get compute query -o yaml --show-managed-fields");
    // A teardown that fails is no wait.
    let mut stuck = failing(Category::Forbidden, true, "poros may not delete bindings");
    stuck["status"]["aggregateStatus"] = json!("deleting");
    let stuck = told(&stuck);
    assert_eq!((stuck.phase, stuck.category), (Phase::Deleting, Some("Forbidden")));
    assert!(
        stuck.why.contains("cannot be removed. The fault is Forbidden: poros may not delete bindings. It is healed by granting"),
        "{}",
        stuck.why
    );
    assert_eq!(stuck.next[0].command, "kubectl describe clusterrole poros");
}

#[test]
fn what_may_not_be_seen_is_named_and_the_status_speaks_instead() {
    let mut manifest = manifest_of("query");
    manifest["status"]["nodes"] = json!({"matched": 5, "ready": 3, "schedulable": 1, "summary": "1/5"});
    let blind = ComputeFacts {
        placement: Err(unseen("Placement query")),
        binding: Err(unseen("MutatingAdmissionPolicyBinding poros-query")),
        nodes: Err(unseen("nodes")),
        computes: Err(unseen("other Computes")),
        pods: Err(unseen("pods")),
        workloads: vec![Err(unseen("deployments with its label"))],
        ..compute_facts(&manifest)
    };
    let told = why(&blind, None);
    for words in [
        "By its status its selector matches 5 nodes, of which 3 are ready and 1 takes its pods.",
        "3 pods and 1 workload use it (Pod/data/a, Pod/data/b, Pod/etl/c, …).",
        "You cannot see Placement query, MutatingAdmissionPolicyBinding poros-query, nodes, pods and deployments with its label, so of these it says what the status says.",
    ] {
        assert!(told.why.contains(words), "{words:?} is not in: {}", told.why);
    }
    assert_eq!(told.unseen.len(), 6);
}

#[test]
fn a_pool_without_nodes_and_signs_that_steer_a_terminal() {
    let mut manifest = failing(Category::NoNodesMatch, false, "no node \u{1b}[2J matches");
    manifest["spec"]["nodePool"]["nodeSelector"] = json!({"pool": "nowhere", "zone": "a"});
    let told = told(&manifest);
    assert!(
        told.why.contains("None of the 6 nodes matches its selector pool=nowhere, zone=a: 6 label pool is \"gpu\", \"query\", not \"nowhere\"; no label zone (a is wanted) (g1, q1, q2, …)."),
        "{}",
        told.why
    );
    assert_eq!(told.next[0].command, "kubectl label node NODE pool=nowhere zone=a");
    let text = told.text(Style::new(false, false, Some(60)));
    assert!(!text.contains('\u{1b}') && text.contains("no node \u{fffd}[2J matches"), "{text}");
    assert!(text.lines().filter(|line| !line.starts_with("  ")).all(|line| line.chars().count() <= 60));
    assert!(Style::default().width == WIDTH && !nodes().is_empty());
    let none =
        ComputeFacts { nodes: Ok(Nodes::new()), compute: compute_of(&manifest), ..compute_facts(&manifest) };
    let told = why(&none, None).why;
    assert!(told.contains("The cluster has no nodes, and its selector is pool=nowhere, zone=a."), "{told}");
}

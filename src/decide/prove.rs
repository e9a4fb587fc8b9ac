//! The proof that a Compute places pods: the pod to try, when to try it, and what its return says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::names::{
    LABEL_COMPUTE, LABEL_MANAGED_BY, MANAGED_BY, MARK_PLACED_BY, POLICY_PLACEMENT, PROBE_PREFIX,
    PROBE_SERVICE_ACCOUNT,
};
use crate::api::status::ComputeStatus;
use crate::decide::applied::{Applied, Pace};
use crate::decide::desired::{Desired, Wanted};
use crate::decide::hash;
use crate::decide::manifest::Manifest;
use crate::decide::observed::{Compute, Observed, Proof, Settings, Target};
use crate::decide::truth::Truth;

/// When to try a proof after something that takes the API server's policy refresh (0 to 1 s) to act.
const SLOW: [Duration; 3] =
    [Duration::from_millis(800), Duration::from_millis(1050), Duration::from_millis(1700)];
/// What is said of an API server that has just started.
const STARTING: &str = "the API server has just started and refuses pods that name a Compute for up to 30 s";
/// When to try a proof after something that takes only its informer (about 10 ms) to act.
const FAST: [Duration; 3] =
    [Duration::from_millis(60), Duration::from_millis(200), Duration::from_millis(600)];

/// What is to be proven of what stands, and whether to try it in this pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Task<'a> {
    /// What stands.
    pub wanted: &'a Wanted,
    /// What a proof of it would be a proof of.
    pub target: Target,
    /// Whether to try it.
    pub when: When,
    /// What came of the last try of the same.
    pub known: Option<Proof>,
}

/// What there is to prove; nothing where nothing is to be in force.
pub fn task<'a>(
    observed: &Observed,
    compute: &Compute,
    desired: &'a Desired,
    applied: &Applied,
) -> Option<Task<'a>> {
    let wanted = match desired {
        Desired::Spec(wanted) | Desired::Kept(Some(wanted), _) if wanted.bound => wanted,
        _ => return None,
    };
    let target = target(observed, compute, wanted);
    if !applied.all_in_place() {
        return Some(Task { wanted, target, when: When::Not, known: None });
    }
    let when = when(observed, compute, desired, &target, applied.wrote);
    let waits = matches!(when, When::In(_)) && applied.wrote.is_none();
    let known = observed.recall.proof.as_ref().filter(|(of, _)| waits && *of == target);
    let known = known.map(|(_, proof)| proof.clone());
    Some(Task { wanted, target, when, known })
}

/// When to look again after a try: at once, for the next try is set then; not at all after one that passed.
pub fn again(proof: &Proof) -> Option<Duration> {
    (*proof != Proof::Proven).then_some(Duration::from_millis(10))
}

/// Whether to try a proof in this pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Not at all: the status says that it was made and nothing changed since, or nothing stands to be proven.
    Not,
    /// Now.
    Now,
    /// Not before this long.
    In(Duration),
}

/// What a proof of what is wanted would be a proof of.
fn target(observed: &Observed, compute: &Compute, wanted: &Wanted) -> Target {
    let binding = observed.admission.binds.then(|| Manifest::binding(compute).spec);
    Target {
        revision: wanted.placement.revision,
        content: wanted.content().hash(),
        // The fingerprint tells the modes apart.
        through: hash::of(&json!([binding, &*observed.policies.fingerprint])),
    }
}

/// Whether the stored status says that this was proven.
pub fn is_proven(compute: &Compute, target: &Target) -> bool {
    let through = compute.status.placement.as_ref().and_then(|placement| placement.proven_with.as_deref());
    compute.has_proven(target.revision, &target.content) && through == Some(&target.through)
}

/// Whether the stored status says of what was proven that it was changed since and not proven again.
///
/// The one who changed or repaired it may be dead, and then nobody else remembers that a proof is due.
pub fn is_open(status: &ComputeStatus) -> bool {
    let is_true = |type_: &str| {
        let condition = status.condition(type_);
        condition.is_some_and(|condition| condition.status == Truth::True.word())
    };
    let proven = status.placement.as_ref().is_some_and(|placement| placement.proven_revision.is_some());
    proven && (is_true("Drifted") || !is_true("PlacementVerified"))
}

/// Decides whether to try a proof now. `just_wrote` says what this pass has written: nothing, or something slow or fast.
fn when(
    observed: &Observed,
    compute: &Compute,
    desired: &Desired,
    target: &Target,
    just_wrote: Option<Pace>,
) -> When {
    // What was proven last and is put back or kept while the spec cannot be in force is not proven anew.
    if matches!(desired, Desired::Kept(..)) && is_proven(compute, target) {
        return When::Not;
    }
    let others = observed.others_refresh();
    if let Some(pace) = just_wrote {
        return When::In(delays(pace)[0] + others);
    }
    let recall = &observed.recall;
    // A repair is proven again although the status still says it is: what stood in between is unknown.
    if is_proven(compute, target) && recall.changed_ago.is_none() {
        return When::Not;
    }
    let Some(change) = recall.changed_ago else {
        // Before this process knew the Compute, another one may have written just now.
        if recall.known_for < others {
            return When::In(others.saturating_sub(recall.known_for));
        }
        return spaced(recall.probed_ago, backoff(recall.probes));
    };
    match &recall.proof {
        Some((of, Proof::Blocked(why))) if of == target && why.starts_with(STARTING) => {
            return spaced(recall.probed_ago, backoff(recall.probes).min(Duration::from_secs(5)));
        }
        Some((of, Proof::Blocked(_) | Proof::Unreachable(_))) if of == target => {
            return spaced(recall.probed_ago, backoff(recall.probes));
        }
        _ => {}
    }
    match delays(change.pace).get(recall.probes as usize) {
        Some(due) if change.ago < *due + others => When::In((*due + others).saturating_sub(change.ago)),
        Some(_) => When::Now,
        None => spaced(recall.probed_ago, backoff(recall.probes - 2)),
    }
}

fn spaced(last: Option<Duration>, interval: Duration) -> When {
    match last {
        Some(ago) if ago < interval => When::In(interval.saturating_sub(ago)),
        _ => When::Now,
    }
}

/// Times from a change to the first tries.
fn delays(pace: Pace) -> [Duration; 3] {
    match pace {
        Pace::Slow => SLOW,
        Pace::Fast => FAST,
    }
}

/// Time between tries after the first ones, and of a proof that something else refuses: 1 s, doubling to 1 min.
fn backoff(tries: u32) -> Duration {
    Duration::from_secs((1u64 << tries.saturating_sub(1).min(6)).min(60))
}

/// The pod of the proof: fixed, `restricted` (Pod Security Standards), with requests and limits. It is never stored, and its
/// image never pulled; but a cluster may take images of some registries alone, and user ids of some ranges alone.
pub fn pod(compute: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{PROBE_PREFIX}{compute}"),
            "labels": {LABEL_COMPUTE: compute, LABEL_MANAGED_BY: MANAGED_BY},
        },
        "spec": {
            "serviceAccountName": PROBE_SERVICE_ACCOUNT,
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "probe",
                "image": image,
                "resources": {
                    "requests": {"cpu": "1m", "memory": "1Mi"},
                    "limits": {"cpu": "1m", "memory": "1Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

/// What the API server answered to the dry-run pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The pod as it would be stored.
    Pod(Value),
    /// Admission refused it, with this message.
    Refused(String),
    /// Poros may not ask; the message names the permission.
    Forbidden(String),
    /// There was no answer to speak of.
    None(String),
}

/// Judges the answer.
///
/// Other admission adds to a pod, so its placement must *contain* what the Placement says. A pod that is not placed at
/// all may be early: admission takes up to `proof_patience` to act on what was applied. While a shared policy is absent or
/// altered, that is what is wrong, and no content is to blame.
pub fn judge(answer: &Answer, observed: &Observed, wanted: &Wanted, settings: &Settings) -> Proof {
    // Before this process knew the Compute, another one may have written just now.
    let since_change = observed.recall.changed_ago.map_or(observed.recall.known_for, |change| change.ago);
    match found(answer, &observed.name, wanted, since_change, settings) {
        Proof::Mismatch(why) if observed.policies.missing.is_some() => Proof::NotYet(why),
        proof => proof,
    }
}

fn found(answer: &Answer, name: &str, wanted: &Wanted, since_change: Duration, settings: &Settings) -> Proof {
    match answer {
        Answer::None(why) => Proof::Unreachable(why.clone()),
        // Our own policies refuse what they do not know yet.
        Answer::Refused(why) if why.contains(".poros.dataos.io'") => {
            early(why.clone(), since_change, settings)
        }
        // It knows the policies before it knows the Placements that they refer to.
        Answer::Refused(why)
            if why.contains(POLICY_PLACEMENT) && why.contains("failed to configure policy") =>
        {
            Proof::Blocked(STARTING.into())
        }
        Answer::Refused(why) | Answer::Forbidden(why) => Proof::Blocked(why.clone()),
        Answer::Pod(pod) => placed(pod, name, wanted, since_change, settings),
    }
}

fn early(why: String, since_change: Duration, settings: &Settings) -> Proof {
    if since_change < settings.proof_patience { Proof::NotYet(why) } else { Proof::Mismatch(why) }
}

fn placed(pod: &Value, name: &str, wanted: &Wanted, since_change: Duration, settings: &Settings) -> Proof {
    let mark = pod["metadata"]["annotations"][MARK_PLACED_BY].as_str().unwrap_or_default();
    let expected = format!("{name}/{}", wanted.placement.revision);
    if mark != expected {
        let found = if mark.is_empty() { "none".to_owned() } else { format!("{mark:?}") };
        let text = format!("metadata.annotations[{MARK_PLACED_BY}]: expected {expected:?}, found {found}");
        return early(text, since_change, settings);
    }
    for (key, value) in &wanted.placement.node_selector {
        let found = &pod["spec"]["nodeSelector"][key];
        if found.as_str() != Some(value) {
            return Proof::Mismatch(format!(
                "spec.nodeSelector[{key}]: expected {value:?}, found {}",
                shown(found)
            ));
        }
    }
    let tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    for (index, wanted) in wanted.placement.tolerations.iter().enumerate() {
        let wanted = json!(wanted);
        if !tolerations.contains(&wanted) {
            return Proof::Mismatch(format!(
                "spec.tolerations: toleration {index} of the Compute is not there: {wanted}"
            ));
        }
    }
    Proof::Proven
}

fn shown(value: &Value) -> String {
    if value.is_null() { "none".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::placement::PlacementSpec;
    use crate::decide::observed::{Change, Recall};

    fn wanted() -> Wanted {
        let placement: PlacementSpec = serde_json::from_value(json!({
            "revision": 2, "lastRevision": 2, "closed": false,
            "nodeSelector": {"pool": "query"},
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "query"}],
        }))
        .unwrap();
        Wanted { placement, bound: true }
    }

    fn observed(since_change: u64) -> Observed {
        let change = Change { ago: Duration::from_secs(since_change), pace: Pace::Slow };
        Observed {
            name: "query".into(),
            compute: None,
            placement: None,
            binding: None,
            pool: crate::decide::observed::Pool::default(),
            users: crate::api::status::Users::default(),
            policies: crate::decide::observed::Policies::default(),
            doubted: false,
            api_servers: Some(1),
            admission: crate::decide::mode::Admission::default(),
            recall: Recall { changed_ago: Some(change), ..Recall::default() },
        }
    }

    fn judged(answer: Answer, since_change: u64) -> Proof {
        judge(&answer, &observed(since_change), &wanted(), &Settings::default())
    }

    fn placed_pod() -> Value {
        json!({
            "metadata": {"annotations": {MARK_PLACED_BY: "query/2"}},
            "spec": {
                "nodeSelector": {"pool": "query", "more": "from others"},
                "tolerations": [
                    {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
                    {"key": "dedicated", "operator": "Equal", "value": "query"},
                ],
            },
        })
    }

    #[test]
    fn a_pod_that_contains_the_placement_proves_it() {
        assert_eq!(judged(Answer::Pod(placed_pod()), 1), Proof::Proven);
    }

    #[test]
    fn what_differs_is_named() {
        let check = |change: &dyn Fn(&mut Value), field: &str| {
            let mut pod = placed_pod();
            change(&mut pod);
            let Proof::Mismatch(why) = judged(Answer::Pod(pod), 1) else { panic!("{field}") };
            assert!(why.starts_with(field), "{why}");
        };
        check(
            &|pod| pod["spec"]["nodeSelector"]["pool"] = "other".into(),
            "spec.nodeSelector[pool]: expected \"query\", found \"other\"",
        );
        check(
            &|pod| pod["spec"]["nodeSelector"] = json!({}),
            "spec.nodeSelector[pool]: expected \"query\", found none",
        );
        check(
            &|pod| pod["spec"]["tolerations"] = json!([]),
            "spec.tolerations: toleration 0 of the Compute is not there",
        );
    }

    #[test]
    fn what_is_not_placed_yet_is_early_until_patience_ends() {
        let unplaced = || Answer::Pod(json!({"spec": {}}));
        let refused = || {
            Answer::Refused(
                "ValidatingAdmissionPolicy 'placed.poros.dataos.io' with binding denied request".into(),
            )
        };
        assert!(matches!(judged(unplaced(), 14), Proof::NotYet(_)));
        assert!(matches!(judged(refused(), 14), Proof::NotYet(_)));
        assert!(matches!(judged(unplaced(), 15), Proof::Mismatch(_)));
        assert!(matches!(judged(refused(), 15), Proof::Mismatch(_)));
        let mut without_policies = observed(15);
        without_policies.policies.missing = Some("placement is absent".into());
        assert!(matches!(
            judge(&unplaced(), &without_policies, &wanted(), &Settings::default()),
            Proof::NotYet(_)
        ));
    }

    #[test]
    fn what_others_refuse_is_no_mismatch() {
        let quota = Answer::Refused("exceeded quota: none, requested: pods=1".into());
        let rights = Answer::Forbidden("pods is forbidden: User \"poros\" cannot create resource".into());
        for refused in [quota, rights] {
            assert!(matches!(judged(refused, 100), Proof::Blocked(_)));
        }
        assert!(matches!(judged(Answer::None("timeout".into()), 100), Proof::Unreachable(_)));
    }

    #[test]
    fn the_probe_presumes_neither_a_registry_nor_a_user() {
        let pod = pod("query", "poros:1");
        assert_eq!(pod["spec"]["containers"][0]["image"], "poros:1");
        let text = pod.to_string();
        for word in ["runAsUser", "runAsGroup", "fsGroup", "registry"] {
            assert!(!text.contains(word), "{word} is in {text}");
        }
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    }

    #[test]
    fn proofs_are_tried_soon_and_then_seldom() {
        let tried = |ago: Option<u64>, probes, probed_ago| {
            let mut observed = observed(0);
            observed.recall.changed_ago =
                ago.map(|ago| Change { ago: Duration::from_millis(ago), pace: Pace::Slow });
            (observed.recall.probes, observed.recall.probed_ago) =
                (probes, Some(Duration::from_millis(probed_ago)));
            let compute = crate::world::project::compute(
                serde_json::from_value(json!({"metadata": {"name": "query"}})).unwrap(),
            );
            let wanted = wanted();
            let target = target(&observed, &compute, &wanted);
            when(&observed, &compute, &Desired::Spec(wanted), &target, None)
        };
        assert_eq!(tried(Some(100), 0, 0), When::In(Duration::from_millis(700)));
        assert_eq!(tried(Some(800), 0, 0), When::Now);
        assert_eq!(tried(Some(850), 1, 50), When::In(Duration::from_millis(200)));
        assert_eq!(
            tried(Some(1800), 3, 100),
            When::In(Duration::from_millis(900)),
            "then 1 s apart, 2 s, ..."
        );
        assert_eq!(
            tried(Some(600_000), 100, 100),
            When::In(Duration::from_millis(59_900)),
            "and never more than one a minute"
        );
        // Proven before, and not kept by the API server.
        assert_eq!(tried(None, 0, 100), When::In(Duration::from_millis(900)));
        assert_eq!(tried(None, 100, 100), When::In(Duration::from_millis(59_900)));
        let backoffs: Vec<_> = (1..9).map(|tries| backoff(tries).as_secs()).collect();
        assert_eq!(backoffs, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}

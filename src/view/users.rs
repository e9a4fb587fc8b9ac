//! Who uses a Compute, and what that means for its deletion.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decide::in_use::{in_words, may_go, override_command};
use crate::decide::observed::Compute;
use crate::view::Seen;
use crate::view::names::listed;

/// How many names a fact lists.
const LISTED: usize = 5;

/// An unfinished pod that carries the label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The revision in its mark; none if this Compute did not place it.
    pub revision: Option<u64>,
}

/// Who uses a Compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsersTold {
    /// Unfinished pods that it placed.
    pub pods: usize,
    /// Of these, pods that another revision placed than the one in force.
    pub outdated: usize,
    /// The first of the outdated ones, as `namespace/name`.
    pub outdated_examples: Vec<String>,
    /// Pods by namespace.
    pub namespaces: BTreeMap<String, usize>,
    /// Pods that carry the label and were not placed by it: no users.
    pub unplaced: Vec<String>,
    /// The command that tells why the first of these was not.
    pub why_unplaced: Option<String>,
    /// Workloads that carry the label themselves.
    pub workloads: Vec<String>,
}

/// Whether a Compute can be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Whether its users stand against it.
    pub blocked: bool,
    /// The same in a sentence.
    pub text: String,
    /// The command that allows it all the same.
    pub command: Option<String>,
}

/// Counts who uses a Compute whose Placement has this revision.
pub fn users(pods: &[UserPod], workloads: &[Seen<Vec<String>>], revision: Option<u64>) -> UsersTold {
    let full = |pod: &UserPod| format!("{}/{}", pod.namespace, pod.name);
    let mut told = UsersTold::default();
    for pod in pods {
        let Some(placed_by) = pod.revision else {
            told.unplaced.push(full(pod));
            continue;
        };
        told.pods += 1;
        *told.namespaces.entry(pod.namespace.clone()).or_default() += 1;
        if revision.is_some_and(|revision| revision != placed_by) {
            told.outdated += 1;
            if told.outdated_examples.len() < LISTED {
                told.outdated_examples.push(full(pod));
            }
        }
    }
    told.why_unplaced = told.unplaced.first().map(|pod| format!("kubectl poros explain pod {pod}"));
    told.workloads = workloads.iter().flatten().flatten().cloned().collect();
    told
}

/// As the shared policy judges it: by the users in the status. `seen` are those that there are now, where all of them can
/// be seen; the status may be some seconds behind them.
pub fn deletion(compute: &Compute, seen: Option<&UsersTold>) -> Deletion {
    let told = compute.status.users.clone().unwrap_or_default();
    let verb = if compute.deleting { "it is being deleted" } else { "possible" };
    let free = |text: String| Deletion { blocked: false, text, command: None };
    let counted = (told.pods as usize, told.workloads as usize);
    let words = |(pods, workloads)| in_words(pods, workloads);
    let now = seen.map(|seen| (seen.pods, seen.workloads.len())).filter(|now| *now != counted);
    let used = words(counted);
    if used.is_empty() {
        return free(match now.map(words) {
            None => format!("{verb}: nothing uses it"),
            Some(now) => format!("{verb}: nothing uses it by its status, which does not count {now} yet"),
        });
    }
    if may_go(compute) {
        return free(format!("{verb}, though {used} still use it: they run on where they are"));
    }
    let now = now.map(words).map(|now| match now.as_str() {
        "" => " by its status, though none is there any more".to_owned(),
        now => format!(" by its status, {now} by now"),
    });
    let now = now.unwrap_or_default();
    let named = if told.examples.is_empty() {
        String::new()
    } else {
        format!(" ({})", listed(&told.examples, LISTED))
    };
    let verb = if compute.deleting { "it is being deleted, and held" } else { "refused" };
    Deletion {
        blocked: true,
        text: format!("{verb}: in use by {used}{now}{named}; remove them first, or override that:"),
        command: Some(override_command(&compute.name)),
    }
}

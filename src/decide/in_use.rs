//! Whether users stand against the deletion of a Compute: the rule of the guard `in-use`, in its words, for all who keep to it
//! or tell of it.

use crate::api::compute::DeletionPolicy;
use crate::api::names::ANNOTATION_DELETE_IN_USE;
use crate::decide::observed::Compute;
use crate::decide::validate::deletion_policy;

/// Whether it may be deleted while it is in use: its pods run on where they are.
pub fn may_go(compute: &Compute) -> bool {
    compute.delete_in_use || deletion_policy(compute) == DeletionPolicy::Detach
}

/// The command that lets it be deleted while it is in use.
pub fn override_command(name: &str) -> String {
    format!("kubectl annotate compute {name} {ANNOTATION_DELETE_IN_USE}=true")
}

/// `3 pods and 1 workload`; empty where there are none.
pub fn in_words(pods: usize, workloads: usize) -> String {
    let counted = [(pods, "pod"), (workloads, "workload")].into_iter().filter(|(number, _)| *number > 0);
    let words = counted.map(|(number, one)| format!("{number} {one}{}", if number == 1 { "" } else { "s" }));
    words.collect::<Vec<_>>().join(" and ")
}

/// Why it must not be deleted; none if it may.
pub fn refusal(compute: &Compute) -> Option<String> {
    let users = compute.status.users.as_ref()?;
    if !users.any() || may_go(compute) {
        return None;
    }
    let more = users.examples.len() < users.pods.saturating_add(users.workloads) as usize;
    let examples = match users.examples.as_slice() {
        [] => String::new(),
        examples => format!(" ({}{})", examples.join(", "), if more { ", …" } else { "" }),
    };
    let name = &compute.name;
    Some(format!(
        "Compute {name} is in use by {}{examples}; remove them first, or allow it: {}",
        in_words(users.pods as usize, users.workloads as usize),
        override_command(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::project;
    use serde_json::{Value, json};

    fn told(object: Value) -> Option<String> {
        refusal(&project::compute(serde_json::from_value(object).unwrap()))
    }

    fn used(pods: u32, workloads: u32, examples: &[&str]) -> Value {
        json!({
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute",
            "metadata": {"name": "q", "annotations": {}},
            "spec": {"purpose": "query", "nodePool": {"nodeSelector": {"a": "b"}}},
            "status": {"users": {"pods": pods, "workloads": workloads, "examples": examples}},
        })
    }

    #[test]
    fn what_is_in_use_is_refused_in_the_words_of_the_guard() {
        assert_eq!(
            told(used(1, 0, &["Pod/default/a"])).unwrap(),
            "Compute q is in use by 1 pod (Pod/default/a); remove them first, or allow it: kubectl annotate compute q poros.dataos.io/delete-in-use=true"
        );
        let many = told(used(2, 1, &["Pod/default/a"])).unwrap();
        assert!(many.contains("by 2 pods and 1 workload (Pod/default/a, …);"), "{many}");
        assert!(told(used(0, 3, &[])).unwrap().contains("by 3 workloads; remove"));
    }

    #[test]
    fn what_nobody_uses_or_what_may_go_all_the_same_is_not() {
        assert_eq!(told(used(0, 0, &[])), None);
        let mut detaches = used(1, 0, &[]);
        detaches["spec"]["deletionPolicy"] = json!("Detach");
        assert_eq!(told(detaches), None);
        for (word, refused) in [("true", false), ("", false), ("false", true)] {
            let mut allowed = used(1, 0, &[]);
            allowed["metadata"]["annotations"][ANNOTATION_DELETE_IN_USE] = json!(word);
            assert_eq!(told(allowed).is_some(), refused, "{word:?}");
        }
        let mut unread = used(1, 0, &[]);
        unread["spec"] = json!({"nodePool": 7});
        assert!(told(unread).is_some(), "what cannot be read is kept");
        assert_eq!(told(json!({"metadata": {"name": "q"}})), None, "one that was never looked at");
    }
}

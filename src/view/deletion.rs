//! What is told where a Compute is deleted: who stands against it, in the words of the reference, and what to do.

use crate::api::names::LABEL_COMPUTE;
use crate::api::status::Users;
use crate::view::names::count;

/// The sentence of the reference on a resource that others depend on, with the names of some of them.
pub fn refused(users: &Users) -> String {
    let named: Vec<String> =
        users.examples.iter().map(|example| format!("'{}'", identifier(example))).collect();
    let all = users.pods.saturating_add(users.workloads) as usize;
    let more = match all.saturating_sub(named.len()) {
        0 => String::new(),
        // None is named: they are counted.
        more if named.is_empty() => count(more, "user"),
        more => format!(" and {}", count(more, "other")),
    };
    format!(
        "Invalid Parameter - failure deleting instance resource : cannot delete resource, it is a dependency of {}{more}",
        named.join(", ")
    )
}

/// What to do about it, a line each.
pub fn remedies(name: &str, users: &Users) -> Vec<String> {
    let counted =
        [(users.workloads, "workload"), (users.pods, "pod")].into_iter().filter(|(number, _)| *number > 0);
    let counted: Vec<String> = counted.map(|(number, noun)| count(number as usize, noun)).collect();
    let namespaces = match users.namespaces {
        0 => String::new(),
        number => format!(" in {}", count(number as usize, "namespace")),
    };
    vec![
        format!(
            "first remove what uses it, {}{namespaces}; to see them: kubectl get deployments,statefulsets,cronjobs,jobs,pods -A -l {LABEL_COMPUTE}={name}",
            if counted.is_empty() { "pods and workloads".to_owned() } else { counted.join(" and ") }
        ),
        format!(
            "or delete it all the same: dataos-ctl delete -t compute -n {name} --force; they run on where they are, and what names it anew is refused"
        ),
    ]
}

/// `Pod/default/etl-7` as the reference names it: `pod:v1:etl-7:default`. What has another form stays as it is.
fn identifier(example: &str) -> String {
    match example.split('/').collect::<Vec<_>>().as_slice() {
        [kind, namespace, name] => format!("{}:v1:{name}:{namespace}", kind.to_lowercase()),
        _ => example.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_users_as_the_reference_does() {
        let users = Users {
            pods: 6,
            workloads: 1,
            namespaces: 2,
            examples: vec!["Deployment/data/etl".into(), "Pod/default/etl-7".into()],
            ..Users::default()
        };
        assert_eq!(
            refused(&users),
            "Invalid Parameter - failure deleting instance resource : cannot delete resource, it is a dependency of 'deployment:v1:etl:data', 'pod:v1:etl-7:default' and 5 others"
        );
        let [remove, force] = remedies("query", &users).try_into().unwrap();
        assert!(
            remove.starts_with("first remove what uses it, 1 workload and 6 pods in 2 namespaces"),
            "{remove}"
        );
        assert!(remove.ends_with("-A -l poros.dataos.io/compute=query"), "{remove}");
        assert!(force.contains("delete -t compute -n query --force"), "{force}");
        let unnamed = Users { pods: 2, ..Users::default() };
        assert!(refused(&unnamed).ends_with("it is a dependency of 2 users"));
    }
}

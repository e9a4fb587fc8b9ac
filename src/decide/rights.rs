//! What Poros may do in a cluster where a chart installs it: the one table of it. The roles of the chart, and those that the
//! tests run with, are made from it.

use crate::api::names::{
    ADMISSION_GROUP, EVENT_NAMESPACE, EVENTS_ROLE, GROUP, LEASE, SERVICE_ACCOUNT, WEBHOOK, WEBHOOK_SECRET,
};

/// Where a right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In the namespace of Poros.
    Home,
    /// In the namespace [`EVENT_NAMESPACE`].
    Events,
}

impl Scope {
    /// All of them, in the order in which their roles are written.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Home, Self::Events];

    /// The namespace of its role; none for the whole cluster.
    pub fn namespace(self, home: &str) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Home => Some(home),
            Self::Events => Some(EVENT_NAMESPACE),
        }
    }

    /// The name of its role, and of what binds it.
    pub fn role(self) -> &'static str {
        match self {
            Self::Cluster | Self::Home => SERVICE_ACCOUNT,
            Self::Events => EVENTS_ROLE,
        }
    }
}

/// When a right is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Always.
    Always,
    /// Where there are default Computes to create.
    DefaultComputes,
    /// Where the webhook places pods: the API server has no MutatingAdmissionPolicy (Kubernetes below 1.36).
    Webhook,
}

/// A rule of a role.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// Where it holds.
    pub scope: Scope,
    /// When it is given.
    pub need: Need,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resources.
    pub resources: &'static [&'static str],
    /// The names to which it is limited; none for all.
    pub names: &'static [&'static str],
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// What it is for.
    pub why: &'static str,
}

const fn right(
    scope: Scope,
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    why: &'static str,
) -> Right {
    Right { scope, need: Need::Always, group, resources, names: &[], verbs, why }
}

const fn named(right: Right, names: &'static [&'static str]) -> Right {
    Right { names, ..right }
}

const fn by_webhook(right: Right) -> Right {
    Right { need: Need::Webhook, ..right }
}

const READ: &[&str] = &["list", "watch"];

/// All rights: what is read first, then what is written.
pub const RIGHTS: [Right; 21] = [
    right(
        Scope::Cluster,
        GROUP,
        &["computes", "placements"],
        &["get", "list", "watch"],
        "What people ask for, and what is in force. get: nothing is decided by old news, and admission asks it of who binds a policy to a Placement",
    ),
    right(
        Scope::Cluster,
        ADMISSION_GROUP,
        &["mutatingadmissionpolicybindings"],
        &["get", "list", "watch"],
        "What is in force",
    ),
    right(
        Scope::Cluster,
        ADMISSION_GROUP,
        &["mutatingadmissionpolicies", "validatingadmissionpolicies", "validatingadmissionpolicybindings"],
        READ,
        "Whether the shared policies stand. Poros cannot write them",
    ),
    named(
        right(
            Scope::Cluster,
            ADMISSION_GROUP,
            &["mutatingwebhookconfigurations"],
            READ,
            "Whether the API server calls Poros",
        ),
        &[WEBHOOK],
    ),
    right(
        Scope::Cluster,
        "",
        &["nodes", "pods"],
        READ,
        "Pools, and who uses a Compute. Of pods only those with the label are read, and only their metadata, unless pools are to count what pods request",
    ),
    right(
        Scope::Cluster,
        "apps",
        &["deployments", "statefulsets"],
        READ,
        "Who uses a Compute: metadata only",
    ),
    right(
        Scope::Cluster,
        "batch",
        &["jobs", "cronjobs"],
        READ,
        "Who uses a Compute: metadata, and whether a Job ended",
    ),
    right(
        Scope::Cluster,
        GROUP,
        &["computes"],
        &["patch"],
        "The finalizer. The guard `account` lets nothing else through",
    ),
    right(Scope::Cluster, GROUP, &["computes/status"], &["update"], "What is told of a Compute"),
    right(
        Scope::Cluster,
        GROUP,
        &["placements"],
        &["create", "update", "delete", "build"],
        "What is built. build: by that verb the guards know Poros",
    ),
    right(
        Scope::Cluster,
        ADMISSION_GROUP,
        &["mutatingadmissionpolicybindings"],
        &["create", "update", "delete"],
        "What is built. Their names follow from those of Computes, so no list of names limits this",
    ),
    by_webhook(named(
        right(
            Scope::Cluster,
            ADMISSION_GROUP,
            &["mutatingwebhookconfigurations"],
            &["patch"],
            "Whom the API server is to trust: caBundle. The guard `account` lets nothing else through",
        ),
        &[WEBHOOK],
    )),
    by_webhook(right(
        Scope::Cluster,
        "authorization.k8s.io",
        &["subjectaccessreviews"],
        &["create"],
        "Who may assign-owner, asked by the webhook",
    )),
    Right {
        need: Need::DefaultComputes,
        ..right(Scope::Cluster, GROUP, &["computes"], &["create"], "Default Computes that are absent")
    },
    right(
        Scope::Home,
        "",
        &["pods"],
        &["create"],
        "The probe. The guard `account` lets dry runs through alone",
    ),
    right(
        Scope::Home,
        "coordination.k8s.io",
        &["leases"],
        &["create"],
        "The Lease of the leader; a right to create knows no names. The guard `account` lets no other through",
    ),
    named(
        right(Scope::Home, "coordination.k8s.io", &["leases"], &["get", "update"], "The Lease of the leader"),
        &[LEASE],
    ),
    by_webhook(right(
        Scope::Home,
        "",
        &["secrets"],
        &["create"],
        "The certificates of the webhook; a right to create knows no names. The guard `account` lets no other through",
    )),
    by_webhook(named(
        right(
            Scope::Home,
            "",
            &["secrets"],
            &["get", "list", "watch", "update"],
            "The certificates of the webhook",
        ),
        &[WEBHOOK_SECRET],
    )),
    right(
        Scope::Events,
        "events.k8s.io",
        &["events"],
        &["create"],
        "Events about Computes: those about what has no namespace are here",
    ),
    right(Scope::Events, "discovery.k8s.io", &["endpointslices"], READ, "How many API servers there are"),
];

/// The rights of a scope.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Right> {
    RIGHTS.iter().filter(move |right| right.scope == scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_right_is_a_way_to_more_rights() {
        for Right { group, resources, names, verbs, why, scope, need } in RIGHTS {
            for word in resources.iter().chain(verbs).chain(&[group]) {
                assert_ne!(*word, "*", "{why}");
            }
            for verb in verbs {
                assert!(
                    !["escalate", "bind", "impersonate", "deletecollection", "assign-owner"].contains(verb),
                    "{why}"
                );
            }
            let writes = verbs.iter().any(|verb| !["get", "list", "watch"].contains(verb));
            assert!(group != "rbac.authorization.k8s.io", "{why}");
            for policy in [
                "mutatingadmissionpolicies",
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
            ] {
                assert!(
                    !writes || !resources.contains(&policy),
                    "a right to write policies is as good as cluster-admin"
                );
            }
            if resources.contains(&"secrets") {
                assert_eq!((scope, need), (Scope::Home, Need::Webhook), "the dearest right of all");
                assert!(
                    verbs == ["create"] || names == [WEBHOOK_SECRET],
                    "no secret but the one of the webhook"
                );
            }
            assert!(why.len() > 10);
        }
    }
}

//! What somebody may not do, and which role lets them: read from the words in which the API server refuses.

use crate::api::names::{ADMISSION_GROUP, GROUP, ROLE_EDIT, ROLE_VIEW};

/// What somebody may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Who.
    pub user: String,
    /// The verb, as RBAC has it.
    pub verb: String,
    /// The resource.
    pub resource: String,
    /// Its API group; empty for the core group.
    pub group: String,
    /// The namespace; none at the cluster scope.
    pub namespace: Option<String>,
}

impl Denied {
    /// Reads `… User "ann" cannot list resource "computes" in API group "poros.dataos.io" at the cluster scope`; none where
    /// it says something else.
    pub fn read(message: &str) -> Option<Self> {
        let (_, rest) = message.split_once("User \"")?;
        let (user, rest) = rest.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, rest) = rest.split_once('"')?;
        let namespace = rest.split_once("in the namespace \"").and_then(|(_, rest)| rest.split_once('"'));
        Some(Self {
            user: user.into(),
            verb: verb.into(),
            resource: resource.into(),
            group: group.into(),
            namespace: namespace.map(|(namespace, _)| namespace.into()),
        })
    }

    /// The role of Poros that gives it.
    pub fn role(&self) -> Option<&'static str> {
        match (self.group.as_str(), self.resource.as_str(), self.verb.as_str()) {
            (GROUP, "computes" | "placements", "get" | "list" | "watch")
            | ("", "nodes", "get" | "list" | "watch")
            | (ADMISSION_GROUP, "mutatingadmissionpolicybindings", "get" | "list" | "watch") => {
                Some(ROLE_VIEW)
            }
            (GROUP, "computes", "create" | "update" | "patch" | "delete") => Some(ROLE_EDIT),
            _ => None,
        }
    }

    /// What an administrator may do about it; `writes`: what was to be read was to be written then.
    pub fn remedy(&self, writes: bool) -> String {
        let Self { user, verb, resource, group, namespace } = self;
        let whom = match user.strip_prefix("system:serviceaccount:") {
            Some(account) => format!("--serviceaccount={account}"),
            None => format!("--user={user}"),
        };
        let full = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
        if let Some(role) = self.role() {
            let (given, role) = match role {
                ROLE_VIEW if writes => {
                    let given = "what is to be changed or deleted is read first; an administrator may give both rights";
                    (given, ROLE_EDIT)
                }
                role => ("an administrator may give it", role),
            };
            return format!(
                "{given} by the role {role}: kubectl create clusterrolebinding {role}-NAME --clusterrole={role} {whom}"
            );
        }
        let at = namespace.as_ref().map(|name| format!(" in the namespace {name}")).unwrap_or_default();
        format!("ask an administrator for the verb {verb} on {full}{at} for {user}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_and_the_role_that_heals_it_named() {
        let said = |verb: &str, resource: &str, group: &str, at: &str| {
            format!(
                "{resource}.{group} is forbidden: User \"ann\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {at}"
            )
        };
        let cluster = "at the cluster scope";
        let denied = Denied::read(&said("list", "computes", GROUP, cluster)).unwrap();
        assert_eq!(
            (denied.user.as_str(), denied.verb.as_str(), denied.namespace.clone()),
            ("ann", "list", None)
        );
        assert_eq!(
            denied.remedy(false),
            "an administrator may give it by the role poros-view: kubectl create clusterrolebinding poros-view-NAME --clusterrole=poros-view --user=ann"
        );
        let denied = Denied::read(&said("patch", "computes", GROUP, cluster)).unwrap();
        assert_eq!(denied.role(), Some(ROLE_EDIT));
        let (read, write) = (Denied::read(&said("get", "computes", GROUP, cluster)).unwrap(), &denied);
        assert_eq!(
            read.remedy(true),
            "what is to be changed or deleted is read first; an administrator may give both rights by the role poros-edit: kubectl create clusterrolebinding poros-edit-NAME --clusterrole=poros-edit --user=ann"
        );
        assert_eq!(write.remedy(true), write.remedy(false));
        assert_eq!(Denied::read(&said("patch", "placements", GROUP, cluster)).unwrap().role(), None);
        assert_eq!(Denied::read(&said("list", "nodes", "", cluster)).unwrap().role(), Some(ROLE_VIEW));
        assert_eq!(Denied::read(&said("patch", "nodes", "", cluster)).unwrap().role(), None);
        let denied = Denied::read(&said("create", "pods", "", "in the namespace \"data\"")).unwrap();
        assert_eq!(
            denied.remedy(false),
            "ask an administrator for the verb create on pods in the namespace data for ann"
        );
        let account = Denied {
            user: "system:serviceaccount:data:etl".into(),
            ..Denied::read(&said("get", "computes", GROUP, cluster)).unwrap()
        };
        assert!(account.remedy(false).ends_with("--serviceaccount=data:etl"), "{}", account.remedy(false));
        assert_eq!(Denied::read("no"), None);
        assert_eq!(Denied::read("User \"x\" cannot"), None);
    }
}

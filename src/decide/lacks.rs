//! What keeps Poros from its work: permissions that it lacks, a cluster or CRDs that are too old. Each is told with what it
//! is for and how to mend it.

use std::collections::BTreeSet;

use crate::decide::rights::{Need, RIGHTS, Right, Scope};

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// What, why, and how to mend it, in one line.
    pub text: String,
    /// Whether Poros does its work all the same, only worse.
    pub dispensable: bool,
}

impl Lack {
    /// One that Poros cannot work with.
    pub fn of(text: String) -> Self {
        Self { text, dispensable: false }
    }
}

/// A rule by which the API server lets Poros do something. `*` stands for all; no names are all names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// API groups.
    pub groups: Vec<String>,
    /// Resources.
    pub resources: Vec<String>,
    /// Names of objects.
    pub names: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
}

impl Rule {
    fn lets(&self, permission: &Permission) -> bool {
        let has = |words: &[String], word: &str| words.iter().any(|found| found == "*" || found == word);
        let (resource, name) = (permission.resource, permission.name);
        // A subresource of any resource is written `*/status`.
        let below = resource
            .split_once('/')
            .is_some_and(|(_, part)| self.resources.iter().any(|found| *found == format!("*/{part}")));
        let named =
            self.names.is_empty() || name.is_some_and(|name| self.names.iter().any(|found| found == name));
        has(&self.groups, permission.group)
            && (has(&self.resources, resource) || below)
            && has(&self.verbs, permission.verb)
            && named
    }
}

/// One thing that Poros must be let do: a right of the table, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Where.
    pub scope: Scope,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, such as `computes/status`.
    pub resource: &'static str,
    /// The one object, where it is one.
    pub name: Option<&'static str>,
    /// The verb.
    pub verb: &'static str,
    /// What it is for.
    pub why: &'static str,
}

/// What decides which rights are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a set
pub struct Uses {
    /// The API server serves MutatingAdmissionPolicy.
    pub policies: bool,
    /// The API server calls the webhook, or would.
    pub webhook: bool,
    /// Replicas choose the one that leads.
    pub election: bool,
    /// Events are written.
    pub events: bool,
    /// There are default Computes to create.
    pub defaults: bool,
}

impl Uses {
    fn include(self, right: &Right, resource: &str) -> bool {
        let asked = match right.need {
            Need::Always => true,
            Need::DefaultComputes => self.defaults,
            Need::Webhook => self.webhook,
        };
        let used = match resource {
            "mutatingadmissionpolicies" | "mutatingadmissionpolicybindings" => self.policies,
            "leases" => self.election,
            "events" => self.events,
            _ => true,
        };
        asked && used
    }
}

/// All that Poros must be let do.
pub fn needed(uses: Uses) -> Vec<Permission> {
    let mut all = Vec::new();
    for right in &RIGHTS {
        let Right { scope, group, why, .. } = *right;
        // Each name is a right of its own; no names are one for all of them.
        let names: Vec<_> = match right.names {
            [] => vec![None],
            names => names.iter().copied().map(Some).collect(),
        };
        for (resource, name) in
            right.resources.iter().flat_map(|resource| names.iter().map(move |name| (*resource, *name)))
        {
            if uses.include(right, resource) {
                let permission = |verb| Permission { scope, group, resource, name, verb, why };
                all.extend(right.verbs.iter().copied().map(permission));
            }
        }
    }
    all
}

/// Of what is needed, what no rule gives: `home` holds in the namespace of Poros, `events` in that of events. What holds in the
/// whole cluster holds in both.
pub fn lacking(needed: &[Permission], home: &[Rule], events: &[Rule]) -> Vec<Permission> {
    let given = |rules: &[Rule], permission: &Permission| rules.iter().any(|rule| rule.lets(permission));
    let lacks = |permission: &&Permission| match permission.scope {
        Scope::Cluster => !given(home, permission) || !given(events, permission),
        Scope::Home => !given(home, permission),
        Scope::Events => !given(events, permission),
    };
    needed.iter().filter(lacks).copied().collect()
}

/// Says which permissions are lacking, for a Poros in the namespace `home`: one lack for each resource, or one for all where
/// nothing is given.
pub fn permissions(needed: &[Permission], lacking: &[Permission], home: &str) -> Vec<Lack> {
    let mut lacks = Vec::new();
    for scope in Scope::ALL {
        let of =
            |all: &[Permission]| all.iter().filter(|one| one.scope == scope).copied().collect::<Vec<_>>();
        let (needed, lacking) = (of(needed), of(lacking));
        if lacking.is_empty() {
            continue;
        }
        let dispensable = scope == Scope::Events;
        if needed.len() == lacking.len() && scope != Scope::Events {
            lacks.push(Lack { text: nothing(scope, home), dispensable });
            continue;
        }
        let mut seen = BTreeSet::new();
        for one in &lacking {
            if seen.insert((one.group, one.resource, one.name, one.why)) {
                let same = |other: &&Permission| {
                    (other.group, other.resource, other.name, other.why)
                        == (one.group, one.resource, one.name, one.why)
                };
                let verbs: Vec<_> = lacking.iter().filter(same).map(|other| other.verb).collect();
                lacks.push(Lack { text: permission(one, &verbs, home), dispensable });
            }
        }
    }
    lacks
}

fn place(scope: Scope, home: &str) -> (String, &'static str) {
    match scope.namespace(home) {
        None => ("in the whole cluster".into(), "ClusterRole"),
        Some(namespace) => (format!("in the namespace {namespace}"), "Role"),
    }
}

fn nothing(scope: Scope, home: &str) -> String {
    let (place, role) = place(scope, home);
    let wrong = match scope {
        Scope::Home => "is that namespace there, and is it the one of the release (--namespace)? The",
        Scope::Cluster | Scope::Events => "the",
    };
    format!(
        "Poros has none of its permissions {place}; {wrong} {role} {} of the chart gives them, and its {role}Binding names the account that Poros runs as; helm upgrade puts both back",
        scope.role()
    )
}

fn permission(one: &Permission, verbs: &[&str], home: &str) -> String {
    let (place, role) = place(one.scope, home);
    let group = if one.group.is_empty() { String::new() } else { format!(" ({})", one.group) };
    let name = one.name.map(|name| format!(" {name}")).unwrap_or_default();
    // What comes after the first clause is for who writes roles.
    let why = one.why.split([':', '.', ';']).next().unwrap_or_default();
    let mut letters = why.chars();
    let why: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    format!(
        "Poros may not {} {}{group}{name} {place}, which is for: {why}; the {role} {} of the chart gives it, and helm upgrade puts it back",
        verbs.join(", "),
        one.resource,
        one.scope.role()
    )
}

/// Says that an API server of this version lacks what Poros stands on.
pub fn too_old(version: &str) -> Lack {
    let minor = version.split('.').nth(1).and_then(|minor| minor.trim_end_matches('+').parse::<u32>().ok());
    let (what, remedy) = match minor {
        Some(minor) if minor < 30 && version.starts_with("v1.") => (
            "is too old: it has no ValidatingAdmissionPolicy v1",
            "upgrade the cluster to Kubernetes 1.30 or newer",
        ),
        _ => (
            "does not serve ValidatingAdmissionPolicy v1",
            "it was turned off: take validatingadmissionpolicies out of --runtime-config of the API server",
        ),
    };
    Lack::of(format!(
        "the API server ({version}) {what}, which refuses pods that no Placement places; {remedy}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rights;

    const ALL: Uses = Uses { policies: true, webhook: true, election: true, events: true, defaults: true };

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn rule(right: &Right) -> Rule {
        Rule {
            groups: words(&[right.group]),
            resources: words(right.resources),
            names: words(right.names),
            verbs: words(right.verbs),
        }
    }

    /// What the roles of the chart give in the two namespaces.
    fn given(rights: &[Right]) -> [Vec<Rule>; 2] {
        [Scope::Home, Scope::Events].map(|scope| {
            let holds = |right: &&Right| right.scope == Scope::Cluster || right.scope == scope;
            rights.iter().filter(holds).map(rule).collect()
        })
    }

    fn told(rights: &[Right], uses: Uses) -> Vec<Lack> {
        let [home, events] = given(rights);
        let needed = needed(uses);
        permissions(&needed, &lacking(&needed, &home, &events), "home")
    }

    #[test]
    fn the_roles_of_the_chart_are_enough_and_each_verb_that_goes_is_told() {
        assert_eq!(told(&RIGHTS, ALL), []);
        let mut tried = 0;
        for (at, right) in RIGHTS.iter().enumerate() {
            for (gone, verb) in right.verbs.iter().enumerate() {
                let verbs: Vec<&str> = right
                    .verbs
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != gone)
                    .map(|(_, verb)| *verb)
                    .collect();
                let mut rights = RIGHTS;
                rights[at].verbs = verbs.leak();
                let told = told(&rights, ALL);
                let place = match right.scope.namespace("home") {
                    None => "in the whole cluster".to_owned(),
                    Some(namespace) => format!("in the namespace {namespace}"),
                };
                assert_eq!(told.len(), right.resources.len(), "{told:?}");
                for (lack, resource) in told.iter().zip(right.resources) {
                    assert!(
                        lack.text.starts_with(&format!("Poros may not {verb} {resource}")),
                        "{}",
                        lack.text
                    );
                    assert!(
                        lack.text.contains(&place) && lack.text.contains("helm upgrade"),
                        "{}",
                        lack.text
                    );
                    let role = if right.scope == Scope::Events {
                        "the Role poros-events of"
                    } else {
                        "Role poros of"
                    };
                    assert!(lack.text.contains(role), "{}", lack.text);
                    assert_eq!(lack.dispensable, right.scope == Scope::Events);
                }
                tried += 1;
            }
        }
        assert_eq!(tried, rights::RIGHTS.iter().map(|right| right.verbs.len()).sum::<usize>());
    }

    #[test]
    fn what_is_not_used_is_not_missed() {
        let policies = Uses { webhook: false, election: false, events: false, defaults: false, ..ALL };
        let only = |without: &[&str]| {
            let kept =
                RIGHTS.iter().filter(|right| !right.resources.iter().any(|found| without.contains(found)));
            kept.copied().collect::<Vec<_>>()
        };
        assert_eq!(told(&only(&["leases", "secrets", "subjectaccessreviews", "events"]), policies), []);
        assert_eq!(told(&only(&["secrets"]), ALL).len(), 2, "to create, and to keep");
        let webhook = Uses { policies: false, ..ALL };
        assert_eq!(told(&only(&["mutatingadmissionpolicybindings"]), webhook), []);
    }

    #[test]
    fn an_account_without_a_role_is_told_in_a_line_for_each_place() {
        let told = told(&[], ALL);
        let texts: Vec<_> = told.iter().map(|lack| lack.text.as_str()).collect();
        assert_eq!(texts.len(), 2 + 2, "{texts:?}");
        assert_eq!(
            texts[0],
            "Poros has none of its permissions in the whole cluster; the ClusterRole poros of the chart gives them, and its ClusterRoleBinding names the account that Poros runs as; helm upgrade puts both back"
        );
        assert!(
            texts[1].contains("in the namespace home; is that namespace there, and is it the one"),
            "{}",
            texts[1]
        );
        assert!(told[2].dispensable && told[3].dispensable);
    }

    #[test]
    fn an_administrator_lacks_nothing_and_what_is_given_in_one_namespace_is_not_given_in_all() {
        let all =
            Rule { groups: words(&["*"]), resources: words(&["*"]), names: vec![], verbs: words(&["*"]) };
        let needed = needed(ALL);
        let admin = std::slice::from_ref(&all);
        assert_eq!(lacking(&needed, admin, admin), []);
        assert!(lacking(&needed, admin, &[]).iter().all(|one| one.scope != Scope::Home));
        let status = Rule { resources: words(&["*/status"]), ..all.clone() };
        let lacks = lacking(&needed, std::slice::from_ref(&status), std::slice::from_ref(&status));
        assert!(
            !lacks.iter().any(|one| one.resource == "computes/status") && lacks.len() + 1 == needed.len()
        );
        let named = &[Rule { names: words(&["another"]), ..all }];
        assert_eq!(lacking(&needed, named, named).len(), needed.len());
    }

    #[test]
    fn an_old_cluster_is_told_from_one_that_turned_it_off() {
        let old = too_old("v1.29.14-gke.100").text;
        assert!(old.contains("(v1.29.14-gke.100) is too old") && old.ends_with("1.30 or newer"), "{old}");
        for version in ["v1.30.0", "v1.36.3", "v1.30+", "what", ""] {
            assert!(too_old(version).text.contains("turned off"), "{version}");
        }
        assert!(too_old("v1.9+").text.contains("too old"));
    }
}

//! Without a cluster: lint, and each generated part as Helm renders it.

use std::collections::{BTreeMap, BTreeSet};

use poros::decide::policies::{self, Choice};
use poros::decide::registration;
use poros::decide::rights::{self, Need, Scope};
use serde_json::{Value, json};

use super::{CHART, documents, documents_in, helm, printed};
use crate::trials;

trials![
    helm_finds_no_fault,
    policies_are_those_of_the_code,
    exempt_namespaces_need_no_answer_of_the_webhook,
    crds_are_those_of_the_code_byte_for_byte,
    rights_are_those_of_the_table,
    no_role_of_the_chart_is_a_way_to_more,
    nothing_is_rendered_twice,
    nothing_optional_is_kept,
    each_object_is_marked_as_part_of_poros,
];

fn is(object: &Value, kind: &str) -> bool {
    object["kind"] == kind
}

async fn helm_finds_no_fault() {
    printed(helm().args(["lint", "--strict", CHART]));
    let chart: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(format!("{CHART}/Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"), "the chart installs this version");
}

/// What is there of shared objects, by kind and name.
fn shared(mutates: bool, flags: &[&str]) -> BTreeMap<(String, String), Value> {
    let of = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&object["kind"]), text(&object["metadata"]["name"]))
    };
    let all = documents(mutates, flags).into_iter().map(|(object, _)| object);
    all.filter(|object| object["apiVersion"] == "admissionregistration.k8s.io/v1")
        .map(|object| (of(&object), object))
        .collect()
}

async fn policies_are_those_of_the_code() {
    let choice = |require_use, namespace_defaults, levels: &str| Choice {
        namespace: "elsewhere".into(),
        require_use,
        namespace_defaults,
        levels: levels.parse().unwrap(),
    };
    let open = ["placed", "labels", "in-use", "builder", "account", "workloads", "use"]
        .map(|guard| format!("--set=guards.{guard}=Audit"));
    let open: Vec<&str> = open.iter().map(String::as_str).collect();
    let mut cases: Vec<(bool, Vec<&str>, Choice)> = Vec::new();
    for mutates in [true, false] {
        cases.push((mutates, vec![], choice(false, false, "")));
        cases.push((
            mutates,
            vec!["--set=requireUse=true", "--set=guards.use=Warn"],
            choice(true, false, "use=Warn"),
        ));
        cases.push((
            mutates,
            vec!["--set=guards.placed=Warn,guards.workloads=Deny,crds.keep=false"],
            choice(false, false, "placed=Warn,workloads=Deny"),
        ));
        cases.push((mutates, open.clone(), choice(false, false, "all=Audit")));
    }
    cases.push((true, vec!["--set=namespaceDefaults=true,requireUse=true"], choice(true, true, "")));
    for (mutates, flags, choice) in cases {
        let mut found = shared(mutates, &flags);
        let registration = found.remove(&("MutatingWebhookConfiguration".into(), "poros.dataos.io".into()));
        assert_eq!(
            registration.is_some(),
            !mutates,
            "the webhook is registered just where no policies can be"
        );
        for wanted in policies::servable(&choice, mutates) {
            let key = (wanted.kind.kind().to_owned(), wanted.name.to_owned());
            let object =
                found.remove(&key).unwrap_or_else(|| panic!("{key:?} is not rendered with {flags:?}"));
            let mut expected = wanted.to_json();
            // Helm calls itself the manager.
            expected["metadata"]["labels"].as_object_mut().unwrap().remove("app.kubernetes.io/managed-by");
            let mut object = object;
            object["metadata"]["annotations"].as_object_mut().unwrap().remove("helm.sh/resource-policy");
            assert_eq!(object, expected, "{key:?} with {flags:?}");
        }
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            [] as [&(String, String); 0],
            "nothing else with {flags:?}"
        );
    }
    // Exempt namespaces are of the guards that look at what is in namespaces.
    let found = shared(true, &["--set=exemptNamespaces={a,b}", "--set=requireUse=true"]);
    let spared: Vec<&str> = found
        .iter()
        .filter(|((kind, _), object)| {
            let expressions = &object["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
            kind == "ValidatingAdmissionPolicyBinding" && expressions[0]["values"] == json!(["a", "b"])
        })
        .map(|((_, name), _)| name.split('.').next().unwrap())
        .collect();
    assert_eq!(spared, ["labels", "placed", "use", "workloads"]);
}

/// Where the webhook places pods, nobody has to answer for those of exempt namespaces; all else is as without them.
async fn exempt_namespaces_need_no_answer_of_the_webhook() {
    let webhooks = |flags: &[&str]| {
        let mut found = shared(false, flags);
        let object = found.remove(&("MutatingWebhookConfiguration".into(), "poros.dataos.io".into()));
        object.unwrap()["webhooks"].as_array().unwrap().clone()
    };
    let all = webhooks(&[]);
    let found = webhooks(&["--set=exemptNamespaces={a,b}"]);
    let selector = |operator: &str| {
        json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": operator, "values": ["a", "b"]},
        ]})
    };
    let mut pods = all[0].clone();
    pods["namespaceSelector"] = selector("NotIn");
    let mut exempt = all[0].clone();
    exempt["name"] = json!("exempt.poros.dataos.io");
    exempt["failurePolicy"] = json!("Ignore");
    exempt["namespaceSelector"] = selector("In");
    assert_eq!(found, [pods, exempt, all[1].clone()]);
    // It is a registration that Poros takes for its own.
    assert_eq!(registration::lack(Some(&json!(found))), None);
}

async fn nothing_optional_is_kept() {
    let flags = ["--set=namespaceDefaults=true,requireUse=true"];
    let found = shared(true, &flags);
    let kept = |object: &Value| object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
    for ((kind, name), object) in &found {
        // `computes` would give Computes a finalizer that nobody takes off.
        let goes = ["use", "defaults", "computes"].contains(&name.split('.').next().unwrap());
        assert_eq!(kept(object), !goes, "{kind} {name}");
    }
    assert!(
        !shared(false, &[])
            .iter()
            .any(|((kind, _), object)| kind == "MutatingWebhookConfiguration" && kept(object))
    );
    assert!(!shared(true, &["--set=crds.keep=false"]).values().any(kept));
    assert!(
        documents(true, &[])
            .iter()
            .filter(|(object, _)| is(object, "CustomResourceDefinition"))
            .all(|(crd, _)| kept(crd))
    );
}

async fn crds_are_those_of_the_code_byte_for_byte() {
    let found = documents(true, &["--set=crds.keep=false"]);
    for name in ["computes", "placements"] {
        let wanted =
            std::fs::read_to_string(format!("{}/crds/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let crd =
            found.iter().find(|(object, _)| object["metadata"]["name"] == format!("{name}.poros.dataos.io"));
        let (_, text) = crd.unwrap_or_else(|| panic!("the CRD of {name} is not rendered"));
        assert_eq!(text.trim_end(), wanted.trim_end(), "{name}");
    }
    let without = documents(true, &["--set=crds.enabled=false"]);
    assert!(!without.iter().any(|(object, _)| is(object, "CustomResourceDefinition")));
}

async fn rights_are_those_of_the_table() {
    let defaults = &["--set=defaultComputes.query-default.enabled=true"][..];
    for (mutates, flags) in [(true, &[][..]), (false, &[]), (true, defaults), (false, defaults)] {
        let found = documents(mutates, flags);
        for scope in Scope::ALL {
            let kind = if scope == Scope::Cluster { "ClusterRole" } else { "Role" };
            let place = scope.namespace("elsewhere").map_or(Value::Null, Value::from);
            let role = found.iter().find(|(object, _)| {
                is(object, kind)
                    && object["metadata"]["name"] == scope.role()
                    && object["metadata"]["namespace"] == place
            });
            let given = role.unwrap_or_else(|| panic!("no {kind} of {scope:?}")).0["rules"].clone();
            let wanted: Vec<Value> = rights::of(scope)
                .filter(|right| match right.need {
                    Need::Always => true,
                    Need::DefaultComputes => !flags.is_empty(),
                    Need::Webhook => !mutates,
                })
                .map(crate::harness::rights::rule)
                .collect();
            assert_eq!(given, json!(wanted), "{scope:?} {mutates} {flags:?}");
        }
    }
}

/// Values with which all is rendered that can be.
const VALUES: [&[&str]; 5] = [
    &[],
    &["--set=crds.keep=false"],
    &["--set=poolUsage=true,requireUse=true,defaultComputes.query-default.enabled=true"],
    &["--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true"],
    &["--set=roles.create=false,networkPolicy.enabled=false,crds.enabled=false"],
];

/// Of two objects of one name Helm 3 refuses the second one, and Helm 4 lets it replace the first one. The namespace of the
/// release may be any, also the one of events.
async fn nothing_is_rendered_twice() {
    for (namespace, mutates) in
        ["default", "kube-system", "elsewhere"].into_iter().flat_map(|one| [(one, true), (one, false)])
    {
        for flags in VALUES {
            let mut seen = BTreeSet::new();
            for (object, _) in documents_in(namespace, mutates, flags) {
                let metadata = &object["metadata"];
                let key = format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]);
                assert!(seen.insert(key.clone()), "{key} is rendered twice in {namespace} with {flags:?}");
            }
            assert!(seen.len() > 20, "{seen:?}");
        }
    }
}

/// Of every role that the chart can render, whatever the values, and of every binding.
async fn no_role_of_the_chart_is_a_way_to_more() {
    let (mut roles, mut bindings) = (BTreeSet::new(), BTreeSet::new());
    for flags in VALUES {
        for (object, _) in [documents(true, flags), documents(false, flags)].concat() {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            match object["kind"].as_str().unwrap() {
                kind @ ("Role" | "ClusterRole") => {
                    roles.insert(name);
                    for rule in object["rules"].as_array().unwrap() {
                        no_way_to_more(kind, rule);
                    }
                }
                "RoleBinding" | "ClusterRoleBinding" => {
                    // Its own role, for its own account.
                    assert_eq!(object["roleRef"]["name"], name.as_str());
                    let account = name.trim_end_matches("-events");
                    let subject =
                        json!([{"kind": "ServiceAccount", "name": account, "namespace": "elsewhere"}]);
                    assert_eq!(object["subjects"], subject, "{name}");
                    bindings.insert(name);
                }
                _ => assert_eq!(object["rules"], Value::Null, "{name}"),
            }
        }
    }
    let people = ["poros-assign-owner", "poros-edit", "poros-use", "poros-view"];
    let robots = ["poros", "poros-delete-computes", "poros-events", "poros-retire", "poros-test"];
    assert_eq!(roles, robots.into_iter().chain(people).map(str::to_owned).collect());
    assert_eq!(
        bindings,
        robots.map(str::to_owned).into(),
        "whom people are, the cluster's administrator says"
    );
}

fn no_way_to_more(kind: &str, rule: &Value) {
    let has = |field: &str, words: &[&str]| {
        rule[field].as_array().into_iter().flatten().any(|word| words.contains(&word.as_str().unwrap()))
    };
    for field in rule.as_object().unwrap().keys() {
        assert!(["apiGroups", "resources", "resourceNames", "verbs"].contains(&field.as_str()), "{rule}");
        assert!(!rule[field].to_string().contains('*'), "{rule}");
    }
    let writes = rule["verbs"].as_array().unwrap().iter().any(|verb| {
        !["get", "list", "watch", "build", "use", "assign-owner"].contains(&verb.as_str().unwrap())
    });
    assert!(
        !has("verbs", &["escalate", "bind", "impersonate", "approve", "sign", "deletecollection"]),
        "{rule}"
    );
    let never = [
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/proxy",
        "pods/log",
        "pods/ephemeralcontainers",
        "nodes/proxy",
        "services/proxy",
        "serviceaccounts",
        "serviceaccounts/token",
        "configmaps",
        "customresourcedefinitions",
        "computes/finalizers",
    ];
    assert!(!has("resources", &never), "{rule}");
    assert!(
        !has("apiGroups", &["rbac.authorization.k8s.io", "certificates.k8s.io", "apiregistration.k8s.io"]),
        "{rule}"
    );
    let read = [
        "nodes",
        "deployments",
        "statefulsets",
        "jobs",
        "cronjobs",
        "endpointslices",
        "mutatingadmissionpolicies",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    ];
    assert!(!writes || !has("resources", &read), "{rule}");
    if has("resources", &["secrets"]) {
        let named = rule["resourceNames"] == json!(["poros-webhook"]);
        assert!(kind == "Role" && (named || rule["verbs"] == json!(["create"])), "{rule}");
    }
    if writes && has("resources", &["pods", "leases"]) {
        assert_eq!(kind, "Role", "{rule}");
    }
}

/// By that label what an uninstall left behind is found.
async fn each_object_is_marked_as_part_of_poros() {
    let flags = ["--set=crds.keep=false,requireUse=true,defaultComputes.query-default.enabled=true"];
    for (object, _) in [documents(true, &flags), documents(false, &flags)].concat() {
        let crd = is(&object, "CustomResourceDefinition");
        let part_of = &object["metadata"]["labels"]["app.kubernetes.io/part-of"];
        assert!(crd || part_of == "poros", "{} {}", object["kind"], object["metadata"]["name"]);
    }
}

//! Without a cluster: lint, schema, and each generated part as Helm renders it.

use std::collections::{BTreeMap, BTreeSet};

use poros::decide::policies::{self, Choice};
use poros::decide::rights::{self, Need, Scope};
use serde_json::{Value, json};

use super::{CHART, documents, documents_in, helm, printed, run};
use crate::trials;

trials![
    helm_finds_no_fault,
    wrong_values_are_refused_with_their_path,
    policies_are_those_of_the_code,
    crds_are_those_of_the_code_byte_for_byte,
    rights_are_those_of_the_table,
    no_role_of_the_chart_is_a_way_to_more,
    nothing_is_rendered_twice,
    nothing_optional_is_kept,
    alerts_and_dashboard_speak_of_metrics_that_there_are,
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

async fn wrong_values_are_refused_with_their_path() {
    for (flag, path) in [
        // Keys that there are not, at each level.
        ("nope=1", "''"),
        ("image.tagg=1", "'/image'"),
        ("crds.kept=true", "'/crds'"),
        ("guards.plased=Deny", "'/guards'"),
        ("roles.made=true", "'/roles'"),
        ("resources.request.cpu=1", "'/resources'"),
        ("metrics.group=totals", "'/metrics'"),
        ("networkPolicy.on=true", "'/networkPolicy'"),
        ("serviceMonitor.every=30s", "'/serviceMonitor'"),
        ("prometheusRule.book=a", "'/prometheusRule'"),
        ("dashboard.label=a", "'/dashboard'"),
        ("defaultComputes.query-default.owner=me", "'/defaultComputes/query-default'"),
        ("imagePullSecrets[0].nam=a", "'/imagePullSecrets/0'"),
        // Values that cannot be.
        ("replicas=0", "'/replicas'"),
        ("replicas=-1", "'/replicas'"),
        ("replicas=10", "'/replicas'"),
        ("replicas=1.5", "'/replicas'"),
        ("replicas=two", "'/replicas'"),
        ("dataplane=My_Cluster", "'/dataplane'"),
        ("dataplane=", "'/dataplane'"),
        ("image.repository=", "'/image/repository'"),
        ("image.repository=a b", "'/image/repository'"),
        ("image.repository=poros@sha256:12", "'/image/repository'"),
        ("image.tag=a:b", "'/image/tag'"),
        ("image.tag=1", "'/image/tag'"),
        ("image.digest=sha256:12", "'/image/digest'"),
        ("image.digest=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "'/image/digest'"),
        ("image.pullPolicy=Sometimes", "'/image/pullPolicy'"),
        ("imagePullSecrets[0]=secret", "'/imagePullSecrets/0'"),
        ("crds.keep=maybe", "'/crds/keep'"),
        ("crds.enabled=1", "'/crds/enabled'"),
        ("guards.placed=Maybe", "'/guards/placed'"),
        ("guards.placed=Block", "'/guards/placed'"),
        ("guards.in-use=deny", "'/guards/in-use'"),
        ("guards.use=null", "'/guards'"),
        ("requireUse=1", "'/requireUse'"),
        ("namespaceDefaults=yes", "'/namespaceDefaults'"),
        ("exemptNamespaces=kube-system", "'/exemptNamespaces'"),
        ("exemptNamespaces[0]=Not_A_Namespace", "'/exemptNamespaces/0'"),
        ("exemptNamespaces={a,a}", "'/exemptNamespaces'"),
        ("defaultComputes.Big.enabled=true", "'/defaultComputes'"),
        ("defaultComputes.a_b.enabled=true", "'/defaultComputes'"),
        (
            "defaultComputes.a-name-that-is-longer-than-the-forty-eight-letters.enabled=true",
            "'/defaultComputes'",
        ),
        ("defaultComputes.mine.enabled=true", "'/defaultComputes/mine'"),
        ("defaultComputes.query-default.enabled=on", "'/defaultComputes/query-default/enabled'"),
        ("defaultComputes.query-default.spec=none", "'/defaultComputes/query-default/spec'"),
        ("roles.create=some", "'/roles/create'"),
        ("poolUsage=yes", "'/poolUsage'"),
        ("log=loud", "'/log'"),
        ("log=poros=loud", "'/log'"),
        ("logFormat=xml", "'/logFormat'"),
        ("extraArgs[0]=run", "'/extraArgs/0'"),
        ("extraArgs[0]=1", "'/extraArgs/0'"),
        ("extraArgs=--events=false", "'/extraArgs'"),
        ("listen=127.0.0.1", "'/listen'"),
        ("listen=0.0.0.0:8080", "'/listen'"),
        ("resources=small", "'/resources'"),
        ("resources.requests=64Mi", "'/resources/requests'"),
        ("priorityClassName=1", "'/priorityClassName'"),
        ("nodeSelector.disk=1", "'/nodeSelector/disk'"),
        ("tolerations[0]=all", "'/tolerations/0'"),
        ("affinity=none", "'/affinity'"),
        ("podAnnotations.a=1", "'/podAnnotations/a'"),
        ("podLabels=a", "'/podLabels'"),
        ("metrics.groups[0]=some", "'/metrics/groups/0'"),
        ("metrics.groups={}", "'/metrics/groups/0'"),
        ("metrics.groups={totals,totals}", "'/metrics/groups'"),
        ("networkPolicy.enabled=1", "'/networkPolicy/enabled'"),
        ("networkPolicy.metricsFrom[0]=all", "'/networkPolicy/metricsFrom/0'"),
        ("serviceMonitor.interval=often", "'/serviceMonitor/interval'"),
        ("prometheusRule.labels.a=1", "'/prometheusRule/labels/a'"),
        ("dashboard.enabled=1", "'/dashboard/enabled'"),
        ("global=1", "'/global'"),
    ] {
        let output = run(helm().args(["template", "poros", CHART, "--set", flag]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{flag} is taken");
        assert!(said.contains(&format!("at {path}")), "{flag} is refused without {path}: {said}");
    }
    // What an API server below 1.36 cannot have is said, not left out.
    let output = run(helm().args(["template", "poros", CHART, "--set", "namespaceDefaults=true"]));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("namespaceDefaults: this API server has no MutatingAdmissionPolicy")
    );
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

async fn alerts_and_dashboard_speak_of_metrics_that_there_are() {
    let flags = ["--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true"];
    let found = documents(true, &flags);
    let of = |kind: &str, name: &str| {
        let is_it = |(object, _): &&(Value, String)| is(object, kind) && object["metadata"]["name"] == name;
        let (object, _) = found.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"));
        object.clone()
    };
    of("ServiceMonitor", "poros");
    let runbook = include_str!("../../../docs/operations.md");
    let rules = of("PrometheusRule", "poros")["spec"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 5);
    for rule in &rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(
            runbook.contains(&format!("\n### {alert}\n")),
            "docs/operations.md has no runbook for {alert}"
        );
        let link = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(link.ends_with(&format!("#{}", alert.to_lowercase())), "{link}");
    }
    let dashboard = of("ConfigMap", "poros-dashboard")["data"]["poros.json"].as_str().unwrap().to_owned();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(dashboard["panels"].as_array().unwrap().len(), 10);
    let metrics = include_str!("../../../docs/metrics.md");
    let name = regex::Regex::new("poros_[a-z_]+").unwrap();
    let texts = [Value::Array(rules).to_string(), dashboard.to_string()].join("\n");
    let mut names: Vec<&str> =
        name.find_iter(&texts).map(|found| found.as_str().trim_end_matches("_bucket")).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(metrics.contains(&format!("| `{name}` |")), "there is no metric {name}");
    }
    // Off by default.
    let plain = documents(true, &[]);
    assert!(!plain.iter().any(|(object, _)| is(object, "PrometheusRule") || is(object, "ServiceMonitor")));
}

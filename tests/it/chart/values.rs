//! Without a cluster: what the schema refuses, what other values make of the chart, and the chart as a part of another one.

use serde_json::{Value, json};

use super::{CHART, documents, helm, named, of_version, printed, read, run};
use crate::trials;

trials![
    wrong_values_are_refused_with_their_path,
    a_default_compute_selects_by_another_label,
    another_chart_may_depend_on_it,
    alerts_and_dashboard_speak_of_metrics_that_there_are,
];

/// Values that cannot be, with the path by which they are told.
const WRONG: &[(&str, &str)] = &[
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
    ("image.repository=*poros", "'/image/repository'"),
    ("image.repository=registry/poros:0.2.0", "'/image/repository'"),
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
    ("defaultComputes.a-name-that-is-longer-than-the-forty-eight-letters.enabled=true", "'/defaultComputes'"),
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
    ("hostNetwork=yes", "'/hostNetwork'"),
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
    ("metrics.groups={none,totals}", "'/metrics/groups'"),
    ("networkPolicy.enabled=1", "'/networkPolicy/enabled'"),
    ("networkPolicy.metricsFrom[0]=all", "'/networkPolicy/metricsFrom/0'"),
    ("serviceMonitor.interval=often", "'/serviceMonitor/interval'"),
    ("prometheusRule.labels.a=1", "'/prometheusRule/labels/a'"),
    ("dashboard.enabled=1", "'/dashboard/enabled'"),
    ("global=1", "'/global'"),
    ("prometheusRule.runbook=docs/operations.md", "'/prometheusRule/runbook'"),
    // Labels and annotations that the pods have, or that would have them wait for Poros.
    (r"podLabels.app\.kubernetes\.io/name=x", "'/podLabels/app.kubernetes.io~1name'"),
    (r"podLabels.app\.kubernetes\.io/component=x", "'/podLabels/app.kubernetes.io~1component'"),
    (r"podLabels.poros\.dataos\.io/compute=x", "'/podLabels/poros.dataos.io~1compute'"),
    (
        r"podAnnotations.kubectl\.kubernetes\.io/default-container=x",
        "'/podAnnotations/kubectl.kubernetes.io~1default-container'",
    ),
    (
        r"podAnnotations.poros\.dataos\.io/default-computes=x",
        "'/podAnnotations/poros.dataos.io~1default-computes'",
    ),
    // What is left out, where a template would stumble over it.
    ("crds=null", "'': missing property 'crds'"),
    ("image=null", "'': missing property 'image'"),
    ("image.repository=null", "'/image': missing property 'repository'"),
    ("log=null", "'': missing property 'log'"),
    ("enabled=1", "'/enabled'"),
];

async fn wrong_values_are_refused_with_their_path() {
    for (flag, path) in WRONG {
        let output = run(helm().args(["template", "poros", CHART, "--set", flag]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{flag} is taken");
        assert!(said.contains(&format!("at {path}")), "{flag} is refused without {path}: {said}");
    }
    // What cannot work together is said, and not left out.
    let alert = "could never fire, for metrics.groups lacks";
    for (flags, words) in [
        (
            "namespaceDefaults=true",
            "namespaceDefaults: this API server has no MutatingAdmissionPolicy".to_owned(),
        ),
        (
            "prometheusRule.enabled=true,metrics.groups={totals,conditions}",
            format!("prometheusRule.enabled: the alert PorosComputeError {alert} status"),
        ),
        (
            "prometheusRule.enabled=true,metrics.groups={status}",
            format!("prometheusRule.enabled: the alert PorosProofFailing {alert} conditions"),
        ),
    ] {
        let output = run(helm().args(["template", "poros", CHART, "--set", flags]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&words), "{flags}: {said}");
    }
    documents(true, &["--set=prometheusRule.enabled=true,metrics.groups={status,conditions}"]);
    documents(true, &["--set=metrics.groups={none}"]);
}

/// Helm merges maps, so the label of the chart has to be taken away: values.yaml tells how.
async fn a_default_compute_selects_by_another_label() {
    let select = "defaultComputes.query-default.spec.nodePool.nodeSelector";
    let mine = format!("--set={select}.pool=mine");
    let not_that = format!(r"--set={select}.dataos\.io/purpose=null");
    let on = "--set=defaultComputes.query-default.enabled=true";
    let selector = |flags: &[&str]| {
        let map = named(&documents(true, flags), "ConfigMap", "poros-default-computes");
        let list: Value =
            serde_json::from_str(map["data"]["default-computes.json"].as_str().unwrap()).unwrap();
        list["items"][0]["spec"]["nodePool"]["nodeSelector"].clone()
    };
    assert_eq!(selector(&[on, &mine, &not_that]), json!({"pool": "mine"}));
    assert_eq!(selector(&[on, &mine]), json!({"pool": "mine", "dataos.io/purpose": "query"}));
}

async fn another_chart_may_depend_on_it() {
    let parent = std::env::temp_dir().join(format!("poros-parent-{}", std::process::id()));
    std::fs::create_dir_all(parent.join("charts")).unwrap();
    printed(std::process::Command::new("cp").args(["-R", CHART]).arg(parent.join("charts")));
    let chart = "{apiVersion: v2, name: parent, version: 1.0.0, dependencies: [{name: poros, version: '>=0', condition: poros.enabled}]}";
    std::fs::write(parent.join("Chart.yaml"), chart).unwrap();
    let rendered = |enabled: &str| {
        let values = format!("{{global: {{mine: 1}}, poros: {{enabled: {enabled}, replicas: 3}}}}");
        std::fs::write(parent.join("values.yaml"), values).unwrap();
        let mut command = helm();
        command.args(["template", "poros"]).arg(&parent).args(of_version(true));
        read(&printed(&mut command))
    };
    assert_eq!(named(&rendered("true"), "Deployment", "poros")["spec"]["replicas"], 3);
    assert_eq!(rendered("false").len(), 0);
    std::fs::remove_dir_all(&parent).unwrap();
}

async fn alerts_and_dashboard_speak_of_metrics_that_there_are() {
    let book = "--set=prometheusRule.runbook=https://example.com/runbook";
    let on = "--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true";
    let flags = [on, book];
    let found = documents(true, &flags);
    let of = |kind: &str, name: &str| named(&found, kind, name);
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
        assert_eq!(link, format!("https://example.com/runbook#{}", alert.to_lowercase()));
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
    // A pool that is meant to be empty is no alarm: that is judged where the status is.
    assert!(!texts.contains("poros_compute_nodes{state=\\\"ready\\\"} == 0"), "{texts}");
    // Nobody links to where nothing is.
    let unlinked = documents(true, &[on]);
    let rules = named(&unlinked, "PrometheusRule", "poros")["spec"]["groups"][0]["rules"].clone();
    assert!(rules.as_array().unwrap().iter().all(|rule| rule["annotations"]["runbook_url"].is_null()));
    // Off by default.
    let plain = documents(true, &[]);
    let kinds: Vec<&str> = plain.iter().filter_map(|(object, _)| object["kind"].as_str()).collect();
    assert!(!kinds.contains(&"PrometheusRule") && !kinds.contains(&"ServiceMonitor"), "{kinds:?}");
}

//! The templates of the Helm chart that follow from the code: CRDs, policies with their bindings, the registration of the
//! webhook, and what Poros may do. The rest of the chart is written by hand.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::api::crd;
use crate::api::names::{
    LABEL_PART_OF, PART_OF, POLICY_COMPUTES, POLICY_DEFAULTS, SERVICE_ACCOUNT, WEBHOOK_EXEMPT, WEBHOOK_PODS,
    WEBHOOK_SERVICE,
};
use crate::decide::policies::guard::{Guard, Level};
use crate::decide::policies::{self, Choice, Shared, SharedKind};
use crate::decide::registration::{self, Endpoint};
use crate::decide::rights::{self, Need, Right, Scope};

/// Stands for the namespace of the release in what is written down; no namespace is called so.
const NAMESPACE: &str = "NAMESPACE_OF_THE_RELEASE";
/// Stands for how strict a guard is.
const ACTIONS: &str = "ACTIONS_OF_THE_GUARD";
/// The annotation by which Helm leaves an object when it uninstalls, or when the chart has it no more.
const KEEP: &str = "helm.sh/resource-policy: keep";
/// That the API server calls the webhook, as the chart says it.
const BY_WEBHOOK: &str = "not (include \"poros.mutates\" .)";
/// What the roles for people are, here and for who has no Helm.
const ROLES: &str = include_str!("../../examples/access/roles.yaml");

/// A file that cannot be written down.
pub type WriteError = serde_saphyr::ser::Error;

/// Each generated file: its path in the chart, and its text.
pub fn files() -> Result<Vec<(String, String)>, WriteError> {
    let mut files = Vec::new();
    for crd in crd::all() {
        let text = crd_template(&serde_saphyr::to_string(&crd)?);
        files.push((format!("templates/crds/{}.yaml", crd.spec.names.plural), text));
    }
    let choice = Choice {
        namespace: NAMESPACE.into(),
        require_use: true,
        namespace_defaults: true,
        ..Choice::default()
    };
    let all = policies::chosen(&choice);
    let (mutating, guards): (Vec<_>, Vec<_>) =
        all.iter().partition(|shared| shared.kind.is_mutating_policy());
    files.push(("templates/admission/_levels.tpl".into(), levels()));
    files.push(("templates/admission/guards.yaml".into(), made(&documents(&guards)?)));
    let mutating = documents(&mutating)?;
    files.push((
        "templates/admission/policies.yaml".into(),
        made(&when("include \"poros.mutates\" .", &mutating)),
    ));
    files.push(("templates/admission/webhook.yaml".into(), made(&when(BY_WEBHOOK, &webhook()?))));
    files.push((
        "templates/rights.yaml".into(),
        made(&account("{{ .Release.Namespace | quote }}", Asked::ByValues)),
    ));
    files.push(("templates/roles.yaml".into(), made(&when(".Values.roles.create", ROLES))));
    Ok(files)
}

fn made(text: &str) -> String {
    format!("{{{{- /* Made from the code: POROS_BLESS=1 cargo test --test rooms writes it. */ -}}}}\n{text}")
}

fn when(condition: &str, text: &str) -> String {
    format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n")
}

/// What Helm would take for its own is written so that it comes out as it is.
fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// A CRD: but for the condition around it and the annotation, byte for byte.
fn crd_template(crd: &str) -> String {
    let keep = format!(
        "metadata:\n  {{{{- if .Values.crds.keep }}}}\n  annotations:\n    {KEEP}\n  {{{{- end }}}}\n"
    );
    when(".Values.crds.enabled", &literal(crd).replacen("metadata:\n", &keep, 1))
}

fn levels() -> String {
    let mut levels = String::new();
    for level in Level::ALL {
        let _ = write!(levels, " \"{}\" `{}`", level.word(), level.actions());
    }
    let text =
        format!("{{{{- define \"poros.actions\" -}}}}\n{{{{- get (dict{levels}) . -}}}}\n{{{{- end }}}}\n");
    made(&text)
}

/// Whether it goes when the chart is uninstalled, or has it no more.
fn goes(shared: &Shared) -> bool {
    // `computes` gives new Computes a finalizer, which nobody would take off. What is optional must go when it is no longer
    // asked for.
    shared.name == POLICY_COMPUTES || shared.optional
}

fn documents(all: &[&Shared]) -> Result<String, WriteError> {
    let mut text = String::new();
    for shared in all {
        let document = document(shared)?;
        text += &match (shared.optional, shared.name == POLICY_DEFAULTS) {
            (false, _) => document,
            (true, false) => when(".Values.requireUse", &document),
            (true, true) => when(".Values.namespaceDefaults", &document),
        };
    }
    Ok(text)
}

fn document(shared: &Shared) -> Result<String, WriteError> {
    let mut object = shared.to_json();
    object["metadata"]["labels"] = json!({LABEL_PART_OF: PART_OF});
    let guard = Guard::ALL.into_iter().find(|guard| guard.policy() == shared.name);
    let bound = guard.filter(|_| shared.kind == SharedKind::ValidatingBinding);
    if bound.is_some() {
        object["spec"]["validationActions"] = ACTIONS.into();
    }
    let mut text = literal(&serde_saphyr::to_string(&object)?);
    text = text.replace(NAMESPACE, "{{ .Release.Namespace | quote }}");
    if let Some(guard) = bound {
        let level =
            format!("{{{{ include \"poros.actions\" (index .Values.guards \"{}\") }}}}", guard.word());
        text = text.replace(ACTIONS, &level);
        if exempts(guard) {
            let _ = write!(
                text,
                "  {{{{- with .Values.exemptNamespaces }}}}\n  matchResources:\n    matchPolicy: Equivalent\n    namespaceSelector:\n{}    objectSelector: {{}}\n  {{{{- end }}}}\n",
                namespaces("      ", "NotIn")
            );
        }
    }
    if !goes(shared) {
        let keep =
            format!("  annotations:\n    {{{{- if .Values.crds.keep }}}}\n    {KEEP}\n    {{{{- end }}}}\n");
        text = text.replacen("  annotations:\n", &keep, 1);
    }
    Ok(format!("---\n{text}"))
}

/// Whether a guard spares the namespaces that are exempt: those that look at what is in namespaces.
fn exempts(guard: Guard) -> bool {
    match guard {
        Guard::Placed | Guard::Labels | Guard::Workloads | Guard::Use => true,
        Guard::InUse | Guard::Builder | Guard::Account => false,
    }
}

/// The registration, without the authorities to trust: those are told by Poros.
fn webhook() -> Result<String, WriteError> {
    let endpoint = Endpoint::Service { namespace: NAMESPACE.into(), name: WEBHOOK_SERVICE.into() };
    let mut object = registration::to_json(&endpoint, "");
    object["metadata"]["labels"] = json!({LABEL_PART_OF: PART_OF});
    let mut webhooks = Vec::new();
    for mut webhook in object["webhooks"].take().as_array_mut().into_iter().flat_map(std::mem::take) {
        if let Some(client) = webhook["clientConfig"].as_object_mut() {
            client.remove("caBundle");
        }
        let text = literal(&serde_saphyr::to_string(&json!([webhook]))?);
        webhooks.push(if webhook["name"] == WEBHOOK_PODS { by_namespace(&text) } else { text });
    }
    let head = literal(&serde_saphyr::to_string(&object)?).replace("webhooks: null\n", "webhooks:\n");
    Ok((head + &webhooks.concat()).replace(NAMESPACE, "{{ $.Release.Namespace | quote }}"))
}

/// The webhook for pods, and the same once more for the namespaces that are exempt: there pods go in while nobody answers.
fn by_namespace(webhook: &str) -> String {
    let (begin, all) = ("{{- with .Values.exemptNamespaces }}\n", "  namespaceSelector: {}\n");
    let of = |operator| format!("  namespaceSelector:\n{}", namespaces("    ", operator));
    let pods =
        webhook.replace(all, &format!("  {begin}{}  {{{{- else }}}}\n{all}  {{{{- end }}}}\n", of("NotIn")));
    let exempt = webhook.replace(all, &of("In")).replace(WEBHOOK_PODS, WEBHOOK_EXEMPT);
    let exempt = exempt.replace("failurePolicy: Fail", "failurePolicy: Ignore");
    format!("{pods}{begin}{exempt}{{{{- end }}}}\n")
}

/// Namespaces that are in the list at hand, or are not.
fn namespaces(indent: &str, operator: &str) -> String {
    [
        "matchExpressions:",
        "- key: kubernetes.io/metadata.name",
        &format!("  operator: {operator}"),
        "  values: {{ toJson . }}",
    ]
    .map(|line| format!("{indent}{line}\n"))
    .concat()
}

/// Which of the rights that are not always given are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those that the chart's values and the API server ask for, as a template.
    ByValues,
    /// All.
    All,
}

/// The roles of Poros and their bindings, as YAML, for a Poros in this namespace.
pub fn account(namespace: &str, asked: Asked) -> String {
    let mut text = String::new();
    for scope in Scope::ALL {
        let place = scope.namespace(namespace);
        let (kind, binding) =
            if place.is_some() { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
        let role = scope.role();
        let mut metadata = format!("metadata:\n  name: {role}\n");
        if let Some(place) = place {
            let _ = writeln!(metadata, "  namespace: {place}");
        }
        let _ = write!(metadata, "  labels:\n    {LABEL_PART_OF}: {PART_OF}\n");
        let head = "---\napiVersion: rbac.authorization.k8s.io/v1\n";
        let _ = write!(text, "{head}kind: {kind}\n{metadata}rules:\n");
        for right in rights::of(scope) {
            let condition = match right.need {
                Need::Always => None,
                Need::DefaultComputes => Some("include \"poros.defaultComputes\" ."),
                Need::Webhook => Some(BY_WEBHOOK),
            };
            text += &match (condition, asked) {
                (Some(condition), Asked::ByValues) => when(condition, &rule(right)),
                (None, _) | (_, Asked::All) => rule(right),
            };
        }
        let _ = write!(
            text,
            "{head}kind: {binding}\n{metadata}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {role}\nsubjects:\n- kind: ServiceAccount\n  name: {SERVICE_ACCOUNT}\n  namespace: {namespace}\n"
        );
    }
    text
}

fn rule(right: &Right) -> String {
    let list = |words: &[&str]| Value::from(words.to_vec()).to_string();
    let mut text = format!(
        "# {}.\n- apiGroups: {}\n  resources: {}\n",
        right.why,
        list(&[right.group]),
        list(right.resources)
    );
    if !right.names.is_empty() {
        let _ = writeln!(text, "  resourceNames: {}", list(right.names));
    }
    let _ = writeln!(text, "  verbs: {}", list(right.verbs));
    text
}

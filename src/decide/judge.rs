//! What a document is, and everything that is wrong with it: one validator for Kubernetes manifests of Computes and for
//! native ones, offline. Each problem has the path that the person wrote.

mod metadata;

use std::fmt;

use serde::Deserialize as _;
use serde_json::Value;

use crate::api::compute::Toleration;
use crate::api::dataos::{BODY, FIELDS, OTHER_TYPES, fields_in, to_kubernetes};
use crate::api::identifier::{TYPE, VERSIONS};
use crate::api::names::{API_VERSION, GROUP, VERSION_SHOWN};
use crate::decide::meant::nearest;
use crate::decide::problem::{Problem, Step, path, quoted, shown};
use crate::decide::schema::check_compute;
use crate::decide::validate;

/// How many characters of a name or type are shown.
const SHOWN: usize = 64;

/// In which form a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Compute as Kubernetes has it: `apiVersion`, `kind`, `metadata`, `spec`.
    Kubernetes,
    /// A Compute as DataOS has it: `name`, `version`, `type`, `compute`.
    Native,
    /// It is no Compute.
    Foreign,
}

/// What a document calls itself, as it is shown: `new-usecases:v1beta:compute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// Its name; `?` for none.
    pub name: String,
    /// Its version; `?` for none.
    pub version: String,
    /// Its type or kind; `?` for none.
    pub kind: String,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if [&self.name, &self.version, &self.kind].iter().all(|part| *part == "?") {
            return f.write_str("a document without a name");
        }
        write!(f, "{}:{}:{}", self.name, self.version, self.kind)
    }
}

/// A document, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// In which form it is written.
    pub form: Form,
    /// What it calls itself.
    pub title: Title,
    /// The Compute, as the API server takes it: without status and without what the API server alone writes. Null for a
    /// foreign document.
    pub compute: Value,
    /// All that is wrong with it; of a foreign document, that it is foreign.
    pub problems: Vec<Problem>,
}

impl Judged {
    /// The name of the Compute; empty for none.
    pub fn name(&self) -> &str {
        self.compute["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The path, as it is written here, of a field of the Kubernetes manifest.
    pub fn path(&self, kubernetes: &[&str]) -> Vec<Step> {
        match self.form {
            Form::Native => back(&path(kubernetes)),
            Form::Kubernetes | Form::Foreign => path(kubernetes),
        }
    }
}

/// Judges a document.
pub fn judge(document: &Value) -> Judged {
    let Some(fields) = document.as_object() else {
        let what = format!("is {}; a manifest is a map of fields", shown(document));
        return foreign(title("", "", ""), Problem::found(Vec::new(), what, shown(document)));
    };
    let any = |keys: &[&str]| keys.iter().any(|key| fields.contains_key(*key));
    if any(&["apiVersion", "kind"]) {
        kubernetes(document)
    } else if any(&["type", "version", BODY]) {
        native(document)
    } else {
        let what = "has neither name, version and type, nor apiVersion and kind";
        foreign(title(text(&document["name"]), "", ""), Problem::new(Vec::new(), what))
    }
}

fn kubernetes(document: &Value) -> Judged {
    let (version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
    let name = text(&document["metadata"]["name"]);
    let ours = version.split('/').next() == Some(GROUP);
    let mut problems = Vec::new();
    if kind != "Compute" {
        let meant = nearest(kind, &["Compute"]).is_some();
        let problem = match &document["kind"] {
            Value::Null => Problem::new(path(&["kind"]), "is absent; it takes Compute"),
            Value::String(_) if meant => Problem::word(path(&["kind"]), kind, vec!["Compute".into()]),
            Value::String(_) if ours && kind == "Placement" => Problem::found(
                path(&["kind"]),
                "is Placement, which Poros alone writes; apply the Compute of that name",
                "Placement",
            ),
            Value::String(_) => Problem::found(
                path(&["kind"]),
                format!("is {}, and dataos-ctl applies Computes alone; use kubectl apply -f", quoted(kind)),
                quoted(kind),
            ),
            other => Problem::found(
                path(&["kind"]),
                format!("is {}; it takes Compute", shown(other)),
                shown(other),
            ),
        };
        let near = meant || (ours && kind.is_empty());
        if !near {
            return foreign(title(name, version, kind), problem);
        }
        problems.push(problem);
    } else if !ours && !version.is_empty() && nearest(version, &[API_VERSION]).is_none() {
        // Another's Compute.
        let problem = Problem::found(
            path(&["apiVersion"]),
            format!(
                "is {}, and dataos-ctl applies Computes of {API_VERSION} alone; use kubectl apply -f",
                quoted(version)
            ),
            quoted(version),
        );
        return foreign(title(name, version, kind), problem);
    }
    match &document["apiVersion"] {
        Value::String(version) if version == API_VERSION => {}
        Value::String(version) => {
            problems.push(Problem::word(path(&["apiVersion"]), version, vec![API_VERSION.into()]));
        }
        other => problems.push(Problem::found(
            path(&["apiVersion"]),
            format!(
                "is {}; it takes {API_VERSION}",
                if other.is_null() { "absent".into() } else { shown(other) }
            ),
            shown(other),
        )),
    }
    let compute = metadata::sendable(document);
    problems.extend(check_compute(&compute));
    problems.extend(metadata::problems(&compute));
    problems.extend(rules(&compute, &problems));
    Judged { form: Form::Kubernetes, title: title(name, VERSION_SHOWN, TYPE), compute, problems }
}

fn native(document: &Value) -> Judged {
    let (name, kind) = (text(&document["name"]), text(&document["type"]));
    let mut problems = Vec::new();
    match &document["type"] {
        Value::String(kind) if kind == TYPE => {}
        Value::String(kind) if OTHER_TYPES.contains(&kind.as_str()) => {
            let what = format!(
                "is {kind}, a resource of DataOS that Poros does not build; apply it to DataOS itself"
            );
            let problem = Problem::found(path(&["type"]), what, kind.as_str());
            return foreign(title(name, text(&document["version"]), kind), problem);
        }
        Value::String(kind) => problems.push(Problem::word(path(&["type"]), kind, vec![TYPE.into()])),
        Value::Null => {
            problems.push(Problem::new(Vec::new(), format!("lacks type, which is required: {TYPE}")));
        }
        other => {
            let what = format!("is {}; it takes {TYPE}", shown(other));
            problems.push(Problem::found(path(&["type"]), what, shown(other)));
        }
    }
    let known = problems.is_empty();
    match &document["version"] {
        Value::String(version) if VERSIONS.contains(&version.as_str()) => {}
        Value::String(version) => {
            let allowed = VERSIONS.map(String::from).to_vec();
            problems.push(Problem::word(path(&["version"]), version, allowed));
        }
        Value::Null => {
            problems
                .push(Problem::new(Vec::new(), format!("lacks version, which is required: {VERSION_SHOWN}")));
        }
        other => {
            let what = format!("is {}; it takes {}", shown(other), VERSIONS.join(", "));
            problems.push(Problem::found(path(&["version"]), what, shown(other)));
        }
    }
    for parent in [&[][..], &[BODY][..]] {
        problems.extend(unknown(document, parent));
    }
    let compute = to_kubernetes(document);
    let found = check_compute(&compute);
    let more = rules(&compute, &found);
    let body = &document[BODY];
    // Of a body that is no map it is not said what it lacks.
    let told = |problem: &Problem| body.is_object() || problem.path != path(&[BODY]);
    let all = found.into_iter().chain(more).map(|problem| Problem { path: back(&problem.path), ..problem });
    problems.extend(all.filter(told));
    if body.is_null() {
        problems
            .push(Problem::new(Vec::new(), format!("lacks {BODY}, which is required: purpose and nodePool")));
    } else if !body.is_object() {
        let what = format!("is {}; it takes a map", shown(body));
        problems.push(Problem::found(path(&[BODY]), what, shown(body)));
    }
    if document["name"].is_null() {
        problems.push(Problem::new(Vec::new(), "lacks name, which is required"));
    }
    let title = title(name, VERSION_SHOWN, if known { TYPE } else { kind });
    Judged { form: Form::Native, title, compute, problems }
}

/// The fields of a native manifest that there are none of. `status` is what `get -d` prints along.
fn unknown(document: &Value, parent: &[&str]) -> Vec<Problem> {
    let fields = parent.iter().fold(document, |value, key| &value[*key]);
    let known = fields_in(parent);
    let stated = |key: &str| parent.is_empty() && key == "status";
    let strange = |key: &&String| !known.contains(key) && !stated(key);
    let keys = fields.as_object().into_iter().flatten().map(|(key, _)| key);
    keys.filter(strange)
        .map(|key| {
            let at = path(parent).into_iter().chain([Step::Key(key.clone())]).collect();
            let elsewhere = |other: &[&str]| fields_in(other).contains(key);
            if parent.is_empty() && key == "workspace" {
                Problem::found(
                    at,
                    "is no field: a Compute belongs to the whole instance; remove it",
                    quoted(key),
                )
            } else if parent.is_empty() && elsewhere(&[BODY]) {
                Problem::found(at, format!("belongs into {BODY}"), quoted(key))
            } else if !parent.is_empty() && elsewhere(&[]) {
                Problem::found(at, format!("belongs beside {BODY}, not into it"), quoted(key))
            } else {
                Problem::field(at, key, known.clone())
            }
        })
        .collect()
}

/// The rules that no schema can say, where it did not refuse that field already. Each part is judged by itself: what is wrong
/// with one does not hide what is wrong with another.
fn rules(compute: &Value, refused: &[Problem]) -> Vec<Problem> {
    let told = |at: &[Step]| refused.iter().any(|refused| refused.path == at);
    let pool = &compute["spec"]["nodePool"];
    let pairs = pool["nodeSelector"].as_object().into_iter().flatten();
    let mut found = validate::pairs(pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))));
    let mut whole = Vec::new();
    for (index, item) in pool["tolerations"].as_array().into_iter().flatten().enumerate() {
        if let Ok(toleration) = Toleration::deserialize(item) {
            whole.push((index, toleration));
            continue;
        }
        let at = |key: &str| {
            let below = [Step::Index(index), Step::Key(key.to_owned())];
            path(&["spec", "nodePool", "tolerations"]).into_iter().chain(below).collect::<Vec<_>>()
        };
        let Some(fields) = item.as_object() else { continue };
        // Without the operator nobody knows what the rest means.
        if told(&at("operator")) {
            continue;
        }
        let left = fields.iter().filter(|(key, _)| !told(&at(key)));
        let rest: Value = left.map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Ok(toleration) = Toleration::deserialize(&rest) {
            // By itself: it may differ from its like in what is left out.
            found.extend(validate::tolerations([(index, &toleration)]));
        }
    }
    found.extend(validate::tolerations(whole.iter().map(|(index, toleration)| (*index, toleration))));
    found.retain(|problem| !told(&problem.path));
    found
}

/// The path in the native manifest of a path in the Kubernetes one.
fn back(at: &[Step]) -> Vec<Step> {
    for field in &FIELDS {
        let there = path(field.kubernetes);
        if at.starts_with(&there) {
            return path(field.native).into_iter().chain(at[there.len()..].iter().cloned()).collect();
        }
    }
    match at {
        [Step::Key(top), ..] if top == "spec" => path(&[BODY]),
        _ => Vec::new(),
    }
}

fn foreign(title: Title, problem: Problem) -> Judged {
    Judged { form: Form::Foreign, title, compute: Value::Null, problems: vec![problem] }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A title, on one line and of a length that a line bears.
fn title(name: &str, version: &str, kind: &str) -> Title {
    let shown = |text: &str| {
        if text.is_empty() {
            return "?".to_owned();
        }
        let mut shown = String::new();
        for c in text.chars().take(SHOWN) {
            match c {
                '\'' | '"' => shown.push(c),
                _ => shown.extend(c.escape_debug()),
            }
        }
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    };
    Title { name: shown(name), version: shown(version), kind: shown(kind) }
}

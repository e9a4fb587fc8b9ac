//! What the webhook does to pods and Computes: the same as the policies in `decide::policies` do, as JSON patches.
//!
//! Where the API server has MutatingAdmissionPolicy none of this runs. While both stand, what one of them did the other
//! finds done.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::names::{FINALIZER, LABEL_COMPUTE, MARK_CLOSED, MARK_CONFLICT, MARK_PLACED_BY};
use crate::api::placement::PlacementSpec;
use crate::decide::observed::{Child, Compute, Standing};

const MARKS: [&str; 3] = [MARK_PLACED_BY, MARK_CONFLICT, MARK_CLOSED];

/// The Placement that is in force for a Compute: built by Poros for this incarnation, as Poros wrote it, and not withdrawn.
/// With policies the binding says as much, by being there.
pub fn in_force(compute: &Compute, placement: &Child) -> Option<PlacementSpec> {
    let ours = placement.standing(&compute.uid) == Standing::Ours;
    if !ours || placement.deleting || !placement.is_as_written() {
        return None;
    }
    placement.placement_spec().filter(|spec| !spec.withdrawn)
}

/// The Compute that a pod names.
pub fn named(pod: &Value) -> Option<&str> {
    pod["metadata"]["labels"][LABEL_COMPUTE].as_str()
}

/// The patch (RFC 6902) that places a pod which names the Compute `name`; with no Placement in force it takes off marks
/// and no more, so that the policy `placed` refuses the pod. Made again over its own result it is empty.
pub fn place(pod: &Value, name: &str, placement: Option<&PlacementSpec>) -> Vec<Value> {
    let mut operations = Patch::default();
    let empty = Map::new();
    let own = pod["spec"]["nodeSelector"].as_object();
    let marks = placement.map(|placement| marks(name, placement, own.unwrap_or(&empty))).unwrap_or_default();
    let annotations = pod["metadata"]["annotations"].as_object();
    if annotations.is_none() && !marks.is_empty() {
        operations.add("/metadata/annotations", json!({}));
    }
    let carries = |key: &str| annotations.and_then(|annotations| annotations.get(key));
    for key in MARKS {
        let wanted = marks.iter().find(|(mark, _)| *mark == key).map(|(_, value)| value);
        let path = format!("/metadata/annotations/{}", escaped(key));
        match (carries(key), wanted) {
            (Some(found), Some(wanted)) if found.as_str() == Some(wanted) => {}
            (_, Some(wanted)) => operations.add(&path, wanted.as_str()),
            (Some(_), None) => operations.remove(&path),
            (None, None) => {}
        }
    }
    let Some(placement) = placement else { return operations.0 };
    if own.is_none() && !placement.node_selector.is_empty() {
        operations.add("/spec/nodeSelector", json!({}));
    }
    for (key, value) in &placement.node_selector {
        if own.is_none_or(|own| !own.contains_key(key)) {
            operations.add(&format!("/spec/nodeSelector/{}", escaped(key)), value.as_str());
        }
    }
    let own = pod["spec"]["tolerations"].as_array();
    if own.is_none() && !placement.tolerations.is_empty() {
        operations.add("/spec/tolerations", json!([]));
    }
    for toleration in placement.tolerations.iter().map(|toleration| json!(toleration)) {
        if own.is_none_or(|own| !own.contains(&toleration)) {
            operations.add("/spec/tolerations/-", toleration);
        }
    }
    operations.0
}

/// The marks of a pod that is placed.
fn marks(name: &str, placement: &PlacementSpec, own: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let mut marks = vec![(MARK_PLACED_BY, format!("{name}/{}", placement.revision))];
    if placement.closed {
        marks.push((MARK_CLOSED, "true".into()));
    }
    let differs = |(key, pool): (&String, &String)| {
        let own = own.get(key)?.as_str()?;
        (own != pool).then(|| format!("{key}={own} (pool: {pool})"))
    };
    let conflicts: Vec<_> = placement.node_selector.iter().filter_map(differs).collect();
    if !conflicts.is_empty() {
        marks.push((MARK_CONFLICT, conflicts.join(", ")));
    }
    marks
}

/// Who asks (`userInfo` of an AdmissionReview).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// The name.
    pub username: String,
    /// The uid, if it has one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else the API server's authenticator said.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Who asks to write a Compute, and what it was.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The Compute as it would be stored.
    pub object: &'a Value,
    /// As it is stored; none at create.
    pub old: Option<&'a Value>,
    /// `userInfo.username` of who asks.
    pub user: &'a str,
}

impl Request<'_> {
    /// Who the owner is, unless who asks may assign another.
    fn kept(&self) -> &str {
        self.old.and_then(|old| old["spec"]["owner"].as_str()).unwrap_or(self.user)
    }

    /// Whether it is an update of metadata alone: who makes one becomes no owner.
    fn as_it_was(&self) -> bool {
        self.old.is_some_and(|old| old["spec"] == self.object["spec"])
    }

    /// Whether the answer hangs on the right to assign owners: another owner than the one that is kept is named.
    pub fn assigns(&self) -> bool {
        !self.as_it_was() && self.object["spec"]["owner"].as_str().is_some_and(|owner| owner != self.kept())
    }
}

/// The patch (RFC 6902) that sets the owner, and at create the finalizer. `may_assign`: whether who asks may
/// `assign-owner`; it counts only where [`Request::assigns`].
pub fn own(request: &Request<'_>, may_assign: bool) -> Vec<Value> {
    let mut patch = Patch::default();
    // Without a spec there is no owner to set; the schema refuses such a Compute.
    if !request.object["spec"].is_object() {
        return patch.0;
    }
    let named = request.object["spec"]["owner"].as_str();
    let owner = named.filter(|_| may_assign).unwrap_or_else(|| request.kept());
    if named != Some(owner) && !request.as_it_was() {
        patch.add("/spec/owner", owner);
    }
    if request.old.is_none() {
        let held = request.object["metadata"]["finalizers"].as_array();
        if held.is_none() {
            patch.add("/metadata/finalizers", json!([]));
        }
        if held.is_none_or(|held| !held.iter().any(|finalizer| finalizer == FINALIZER)) {
            patch.add("/metadata/finalizers/-", FINALIZER);
        }
    }
    patch.0
}

#[derive(Default)]
struct Patch(Vec<Value>);

impl Patch {
    fn add(&mut self, path: &str, value: impl Into<Value>) {
        let value: Value = value.into();
        self.0.push(json!({"op": "add", "path": path, "value": value}));
    }

    fn remove(&mut self, path: &str) {
        self.0.push(json!({"op": "remove", "path": path}));
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(closed: bool) -> PlacementSpec {
        serde_json::from_value(json!({
            "revision": 3, "lastRevision": 3, "closed": closed,
            "nodeSelector": {"dataos.io/purpose": "query", "pool": "a"},
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "query", "effect": "NoSchedule"}],
        }))
        .unwrap()
    }

    /// Carries out a patch of the few operations that are made here.
    fn patched(mut object: Value, operations: &[Value]) -> Value {
        for operation in operations {
            let pointer = operation["path"].as_str().unwrap();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let key = key.replace("~1", "/").replace("~0", "~");
            let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}: no parent"));
            match (operation["op"].as_str().unwrap(), parent) {
                ("add", Value::Array(list)) if key == "-" => list.push(operation["value"].clone()),
                ("add", Value::Object(map)) => drop(map.insert(key, operation["value"].clone())),
                ("remove", Value::Object(map)) => {
                    drop(map.remove(&key).expect("only what is there is removed"));
                }
                other => panic!("{other:?}"),
            }
        }
        object
    }

    fn placed(pod: &Value, placement: Option<&PlacementSpec>) -> Value {
        let once = patched(pod.clone(), &place(pod, "query", placement));
        assert_eq!(place(&once, "query", placement), [] as [Value; 0], "made again, it is empty");
        once
    }

    #[test]
    fn a_plain_pod_is_placed_and_marked() {
        let pod = json!({"metadata": {"labels": {LABEL_COMPUTE: "query"}}, "spec": {"containers": []}});
        assert_eq!(named(&pod), Some("query"));
        let placed = placed(&pod, Some(&placement(false)));
        assert_eq!(placed["metadata"]["annotations"], json!({MARK_PLACED_BY: "query/3"}));
        assert_eq!(placed["spec"]["nodeSelector"], json!({"dataos.io/purpose": "query", "pool": "a"}));
        assert_eq!(placed["spec"]["tolerations"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_a_pod_brings_is_kept_and_conflicts_are_marked() {
        let pod = json!({
            "metadata": {"annotations": {"example.com/a": "b", MARK_PLACED_BY: "query/99", MARK_CLOSED: "true"}},
            "spec": {
                "nodeSelector": {"pool": "b", "disk": "ssd"},
                "tolerations": [{"key": "own"}, json!(placement(false).tolerations[0])],
            },
        });
        let placed = placed(&pod, Some(&placement(false)));
        let marks = json!({
            "example.com/a": "b", MARK_PLACED_BY: "query/3", MARK_CONFLICT: "pool=b (pool: a)",
        });
        assert_eq!(placed["metadata"]["annotations"], marks);
        let selector = json!({"pool": "b", "disk": "ssd", "dataos.io/purpose": "query"});
        assert_eq!(placed["spec"]["nodeSelector"], selector);
        assert_eq!(placed["spec"]["tolerations"].as_array().unwrap().len(), 2, "nothing is doubled");
    }

    #[test]
    fn a_closed_placement_marks_so_and_none_takes_marks_off() {
        let pod = json!({"metadata": {}, "spec": {}});
        let marks = &placed(&pod, Some(&placement(true)))["metadata"]["annotations"];
        assert_eq!(*marks, json!({MARK_PLACED_BY: "query/3", MARK_CLOSED: "true"}));
        assert_eq!(place(&pod, "query", None), [] as [Value; 0]);
        let forged = json!({"metadata": {"annotations": {MARK_PLACED_BY: "query/1", "a": "b"}}});
        assert_eq!(placed(&forged, None)["metadata"]["annotations"], json!({"a": "b"}));
    }

    #[test]
    fn garbage_is_patched_without_a_panic() {
        for pod in [
            json!(null),
            json!([]),
            json!({"metadata": [], "spec": "x"}),
            json!({"spec": {"tolerations": 3}}),
        ] {
            place(&pod, "query", Some(&placement(true)));
            own(&Request { object: &pod, old: Some(&pod), user: "anna" }, true);
        }
    }

    #[test]
    fn the_owner_is_who_created_it_and_stays_so() {
        let compute = |owner: Option<&str>, purpose: &str| {
            let mut compute = json!({"metadata": {"finalizers": [FINALIZER]}, "spec": {"purpose": purpose}});
            if let Some(owner) = owner {
                compute["spec"]["owner"] = json!(owner);
            }
            compute
        };
        // What is stored, what is written, who asks, whether they may assign: the owner then.
        let table = [
            (None, Some(None), "anna", false, Some("anna")),
            (None, Some(Some("bob")), "anna", false, Some("anna")),
            (None, Some(Some("bob")), "anna", true, Some("bob")),
            (Some(Some("anna")), Some(Some("anna")), "bob", false, Some("anna")),
            (Some(Some("anna")), Some(None), "bob", false, Some("anna")),
            (Some(Some("anna")), Some(Some("bob")), "bob", false, Some("anna")),
            (Some(Some("anna")), Some(Some("bob")), "bob", true, Some("bob")),
            (Some(None), Some(None), "bob", false, Some("bob")),
        ];
        for (old, new, user, may_assign, expect) in table {
            let (old, object) = (old.map(|owner| compute(owner, "query")), compute(new.unwrap(), "gpu"));
            let request = Request { object: &object, old: old.as_ref(), user };
            let stored = patched(object.clone(), &own(&request, may_assign && request.assigns()));
            assert_eq!(stored["spec"]["owner"].as_str(), expect, "{old:?} {object} {user} {may_assign}");
        }
        // Metadata alone: nobody becomes an owner.
        let object = compute(None, "query");
        assert_eq!(
            own(&Request { object: &object, old: Some(&object), user: "poros" }, true),
            [] as [Value; 0]
        );
    }

    #[test]
    fn a_new_compute_gets_the_finalizer_once() {
        let made = |metadata: Value| {
            let object = json!({"metadata": metadata, "spec": {"owner": "anna"}});
            patched(object.clone(), &own(&Request { object: &object, old: None, user: "anna" }, false))
        };
        assert_eq!(made(json!({}))["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(made(json!({"finalizers": ["x"]}))["metadata"]["finalizers"], json!(["x", FINALIZER]));
        assert_eq!(made(json!({"finalizers": [FINALIZER]}))["metadata"]["finalizers"], json!([FINALIZER]));
    }
}

//! Each field of each built object, changed or removed by another manager: named, put back by one write, never an error.

use futures::{StreamExt as _, stream};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use poros::decide::manifest::Kind;
use serde_json::{Value, json};

use super::{clear, poolless, revision, seq, shared};
use crate::harness::audit::Audit;
use crate::harness::objects::{bindings, computes, delete, placements};
use crate::harness::until;
use crate::harness::wait::{self, LIMIT, condition};
use crate::kstatus;
use crate::trials;

trials![
    each_field_that_somebody_changes_is_named_and_put_back,
    what_others_add_is_theirs,
    a_child_of_a_dead_incarnation_is_rebuilt,
];

/// The field manager of who meddles.
pub const RIVAL: &str = "rival-edit";
/// Cases that run at one time: more of them slow a small machine down.
const AT_ONCE: usize = 8;

/// What a rival does.
enum Deed {
    /// A merge patch; `{uid}` and `{name}` in it are those of the Compute.
    Patch(Value),
    Delete,
}

struct Case {
    kind: Kind,
    deed: Deed,
    /// What `Drifted` says after the kind.
    told: String,
}

fn cases() -> Vec<Case> {
    let case = |kind, deed, told: &str| Case { kind, deed: Deed::Patch(deed), told: told.to_owned() };
    let changed = |field: &str| format!("differs at {field} (last changed by {RIVAL})");
    let removed = |field: &str| format!("differs at {field} (it was removed)");
    let mut cases = Vec::new();
    for kind in [Kind::Placement, Kind::Binding] {
        for (map, key) in [
            ("labels", "app.kubernetes.io/managed-by"),
            ("labels", "poros.dataos.io/compute"),
            ("annotations", "poros.dataos.io/owner-uid"),
            ("annotations", "poros.dataos.io/content-hash"),
            ("annotations", "poros.dataos.io/hash-version"),
        ] {
            let field = format!("metadata.{map}[{key}]");
            cases.push(case(kind, json!({"metadata": {map: {key: "rival"}}}), &changed(&field)));
            cases.push(case(kind, json!({"metadata": {map: {key: null}}}), &removed(&field)));
        }
        let owner = json!({
            "apiVersion": "poros.dataos.io/v1beta1", "kind": "Compute", "name": "{name}", "uid": "{uid}",
            "controller": true, "blockOwnerDeletion": false,
        });
        for (key, value) in [
            ("name", json!("another")),
            ("uid", json!("00000000-0000-0000-0000-000000000000")),
            ("controller", json!(false)),
            ("blockOwnerDeletion", json!(true)),
        ] {
            let mut owner = owner.clone();
            owner[key] = value;
            let patch = json!({"metadata": {"ownerReferences": [owner]}});
            cases.push(case(kind, patch, &changed("metadata.ownerReferences")));
        }
        let none = json!({"metadata": {"ownerReferences": null}});
        cases.push(case(kind, none, &removed("metadata.ownerReferences")));
        cases.push(Case { kind, deed: Deed::Delete, told: "was removed".into() });
    }
    let mut spec = |kind, spec: Value, told: &str| cases.push(case(kind, json!({"spec": spec}), told));
    for (value, field) in [
        (json!({"revision": 7}), "spec.revision"),
        (json!({"lastRevision": 7}), "spec.lastRevision"),
        (json!({"nodeSelector": {"pool": "wrong"}}), "spec.nodeSelector.pool"),
        (json!({"nodeSelector": {"example.com/also": "x"}}), "spec.nodeSelector[example.com/also]"),
        (json!({"tolerations": []}), "spec.tolerations"),
        (json!({"closed": true}), "spec.closed"),
        (
            json!({"previous": {"revision": 1, "nodeSelector": {"pool": "x"}, "tolerations": []}}),
            "spec.previous",
        ),
    ] {
        spec(Kind::Placement, value, &changed(field));
    }
    spec(
        Kind::Placement,
        json!({"nodeSelector": {"pool": null, "x": "y"}}),
        &removed("spec.nodeSelector.pool"),
    );
    let resources =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}]);
    for (value, field) in [
        (json!({"policyName": "another.example.com"}), "spec.policyName"),
        (json!({"paramRef": {"name": "another"}}), "spec.paramRef.name"),
        (json!({"paramRef": {"parameterNotFoundAction": "Allow"}}), "spec.paramRef.parameterNotFoundAction"),
        (json!({"matchResources": {"matchPolicy": "Exact"}}), "spec.matchResources.matchPolicy"),
        (
            json!({"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}),
            "spec.matchResources.namespaceSelector.matchLabels",
        ),
        (
            json!({"matchResources": {"objectSelector": {"matchLabels": {"poros.dataos.io/compute": "x"}}}}),
            "spec.matchResources.objectSelector.matchLabels[poros.dataos.io/compute]",
        ),
        (
            json!({"matchResources": {"objectSelector": {"matchLabels": null}}}),
            "spec.matchResources.objectSelector.matchLabels",
        ),
        (
            json!({"matchResources": {"excludeResourceRules": resources}}),
            "spec.matchResources.excludeResourceRules",
        ),
        (json!({"matchResources": {"resourceRules": resources}}), "spec.matchResources.resourceRules"),
    ] {
        spec(Kind::Binding, value, &changed(field));
    }
    spec(Kind::Binding, json!({"paramRef": null}), &removed("spec.paramRef"));
    cases
}

fn children(client: &Client, kind: Kind) -> Api<DynamicObject> {
    match kind {
        Kind::Placement => placements(client),
        Kind::Binding => bindings(client),
    }
}

/// Merges a patch as the rival.
pub async fn meddle(api: &Api<DynamicObject>, name: &str, patch: &Value) {
    let parameters = PatchParams { field_manager: Some(RIVAL.into()), ..PatchParams::default() };
    api.patch(name, &parameters, &Patch::Merge(patch))
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// An object without what each write changes.
fn content(object: &DynamicObject) -> Value {
    let metadata = &object.metadata;
    json!({
        "labels": metadata.labels, "annotations": metadata.annotations, "owners": metadata.owner_references,
        "finalizers": metadata.finalizers, "spec": object.data["spec"],
    })
}

async fn each_field_that_somebody_changes_is_named_and_put_back() {
    let cluster = shared().await;
    let client = cluster.client().await;
    let cases = cases();
    let audit = Audit::from_now(cluster);
    let runs = cases.iter().enumerate().map(|(index, case)| drifts(&client, &audit, index, case));
    let failed: Vec<Vec<String>> = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<String> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    println!("{} fields changed or removed, each put back by one write", cases.len());
}

/// One case on a Compute of its own. Says what went wrong: the list of all that fail says more than the first one.
async fn drifts(client: &Client, audit: &Audit, index: usize, case: &Case) -> Vec<String> {
    let name = format!("drift-{index}");
    let active = poolless(client, &name).await;
    let (api, child) = (children(client, case.kind), case.kind.name_for(&name));
    let before = api.get(&child).await.unwrap();
    let written = || {
        let requests = audit.poros().into_iter();
        let of_child = |request: &crate::harness::audit::Request| {
            request.writes() && request.resource == case.kind.plural() && request.name == child
        };
        requests.filter(of_child).count()
    };
    let built = written();
    kstatus::caught_up(&active).await;
    let versions = kstatus::seen(&name).len();
    match &case.deed {
        Deed::Patch(patch) => {
            let patch = patch.to_string().replace("{name}", &name);
            let patch = patch.replace("{uid}", active.metadata.uid.as_deref().unwrap());
            meddle(&api, &child, &serde_json::from_str(&patch).unwrap()).await;
        }
        Deed::Delete => delete(&api, &child).await.unwrap(),
    }
    let expect = format!("{} {}", case.kind.kind(), case.told);
    // What is repaired in a moment is said in a version that a look now and then would miss.
    let told = || -> Vec<String> {
        let since = kstatus::seen(&name).into_iter().skip(versions);
        since.map(|seen| seen.drifted).filter(|told| !told.is_empty()).collect()
    };
    until(&format!("{name} to tell: {expect}"), LIMIT, || {
        std::future::ready(if told().is_empty() { Err("nothing") } else { Ok(()) }.map_err(str::to_owned))
    })
    .await;
    let calm = wait::compute(client, &name, "proven again", |compute| {
        condition(compute, "Drifted").is_empty() && condition(compute, "PlacementVerified") == "True"
    })
    .await;
    kstatus::caught_up(&calm).await;
    let told = told();
    let after = api.get(&child).await.unwrap();
    let story: Vec<_> = kstatus::seen(&name).into_iter().skip(versions).map(|seen| seen.words).collect();
    let found = [
        (told.iter().all(|told| *told == expect), format!("told {told:?}")),
        (seq(&calm) == seq(&active), "it was a transition".into()),
        (story.iter().all(|words| words == "active/built Active"), format!("it was {story:?}")),
        (revision(client, &name).await == (1, 1), "the revision changed".into()),
        (content(&after) == content(&before), format!("put back as {}", content(&after))),
        (written() - built == 1, format!("{} writes", written() - built)),
        (
            (after.metadata.uid == before.metadata.uid) == !matches!(case.deed, Deed::Delete),
            "repaired means updated, and removed means made again".into(),
        ),
    ];
    wait::placed(client, &name, 1).await;
    clear(client, &name).await;
    found.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("{expect}: {what}")).collect()
}

async fn what_others_add_is_theirs() {
    let cluster = shared().await;
    let (client, name) = (cluster.client().await, "drift-additions");
    let active = poolless(&client, name).await;
    let others = |finalizers: Value| {
        json!({"metadata": {
            "labels": {"team": "data"}, "annotations": {"note": "x"}, "finalizers": finalizers,
        }})
    };
    let mut after = Vec::new();
    let audit = Audit::from_now(cluster);
    for kind in [Kind::Placement, Kind::Binding] {
        let (api, child) = (children(&client, kind), kind.name_for(name));
        meddle(&api, &child, &others(json!(["example.com/hold"]))).await;
        let mut owners = api.get(&child).await.unwrap().metadata.owner_references.unwrap();
        owners.push(
            serde_json::from_value(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u-x"}),
            )
            .unwrap(),
        );
        meddle(&api, &child, &json!({"metadata": {"ownerReferences": owners}})).await;
        after.push((kind, api.get(&child).await.unwrap()));
    }
    // What Poros says next, it says having seen all that.
    super::edit(&client, name, json!({"spec": {"description": "after the additions"}})).await;
    let still = wait::active(&client, name).await;
    assert_eq!(seq(&still), seq(&active));
    let ours = |request: &crate::harness::audit::Request| request.writes() && request.name.ends_with(name);
    let writes: Vec<_> = audit.poros().into_iter().filter(ours).map(|request| request.what()).collect();
    assert_eq!(writes, ["update computes/status"], "the edit is told, and nothing else is written");
    for (kind, stored) in after {
        // A repair of another field carries them along, and tells the generation that it was made for.
        let mut repaired = content(&stored);
        repaired["annotations"]["poros.dataos.io/compute-generation"] = json!("2");
        let (api, child) = (children(&client, kind), kind.name_for(name));
        meddle(&api, &child, &json!({"metadata": {"labels": {"poros.dataos.io/compute": null}}})).await;
        until("the label to be put back", LIMIT, || async {
            let found = content(&api.get(&child).await.map_err(|error| error.to_string())?);
            if found == repaired { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
        meddle(&api, &child, &json!({"metadata": {"finalizers": null}})).await;
    }
    clear(&client, name).await;
}

/// As a backup leaves it: Placement and binding of an incarnation that is gone, with its uid and its number.
async fn a_child_of_a_dead_incarnation_is_rebuilt() {
    let (client, name) = (shared().await.client().await, "drift-restored");
    let first = poolless(&client, name).await;
    let mut restored = Vec::new();
    for kind in [Kind::Placement, Kind::Binding] {
        let mut object = children(&client, kind).get(&kind.name_for(name)).await.unwrap();
        object.metadata.uid = None;
        object.metadata.resource_version = None;
        object.metadata.managed_fields = None;
        if kind == Kind::Placement {
            object.data["spec"]["nodeSelector"] = json!({"pool": "of-the-dead"});
        }
        restored.push((kind, object));
    }
    clear(&client, name).await;
    for (kind, object) in &restored {
        children(&client, *kind).create(&PostParams::default(), object).await.unwrap();
    }
    let second = poolless(&client, name).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    for kind in [Kind::Placement, Kind::Binding] {
        let child = children(&client, kind).get(&kind.name_for(name)).await.unwrap();
        let owner = child.metadata.annotations.as_ref().and_then(|all| all.get("poros.dataos.io/owner-uid"));
        assert_eq!(owner, second.metadata.uid.as_ref());
    }
    let pod = wait::placed(&client, name, 1).await;
    assert_eq!(pod["spec"]["nodeSelector"], json!({"pool": name}));
    assert!(computes(&client).get(name).await.unwrap().status.unwrap().history.len() <= 3);
    clear(&client, name).await;
}

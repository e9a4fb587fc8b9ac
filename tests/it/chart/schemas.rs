//! What a CRD of another version does to what is stored: one that lacks a field, and one that has a rule more.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use xtask::rig::Options;

use super::release::{Installed, identity};
use crate::harness::objects::{
    bindings, compute, delete, dry_run, dynamic, patch, placements, raw_computes, refusal, with,
};
use crate::harness::{until, wait};
use crate::rows::apply;
use crate::trials;

trials![what_is_stored_outlives_an_older_schema_and_a_stricter_one];

/// A field that people write, and one that Poros writes: what the older schema lacks.
const FIELDS: [&str; 2] = ["/spec/tags", "/status/placement/provenWith"];
/// What is done to each of them while the schema is the older one.
const NAMES: [&str; 4] = ["untouched", "told", "released", "edited"];

async fn what_is_stored_outlives_an_older_schema_and_a_stricter_one() {
    let installed = Installed::start(Options::api_only("it-chart-schemas"), &[]).await;
    let client = &installed.client;
    installed.cluster.await_policies();
    let poros = installed.poros();
    for name in NAMES {
        apply(client, &with(tagged(name), "/metadata/labels", json!({"team": "data"}))).await;
    }
    for name in NAMES {
        wait::proven(client, name).await;
    }
    drop(poros);
    let crd = Crd::of(client).await;
    a_write_under_an_older_schema_prunes(&installed, &crd).await;
    who_runs_meanwhile_goes_on(&installed, &crd).await;
    a_rule_counts_for_what_is_changed(&installed, &crd).await;
}

/// Nothing is lost by the schema itself, and each write loses what the schema does not know, of that object alone.
async fn a_write_under_an_older_schema_prunes(installed: &Installed, crd: &Crd) {
    let client = &installed.client;
    let (before, built) = (all(client).await, built(client).await);
    for field in FIELDS {
        assert!(before.values().all(|stored| stored.pointer(field).is_some()), "{field} is in no Compute");
    }
    crd.serve(&crd.older()).await;
    until("the older schema to be served", wait::LIMIT, || lacks(client, "untouched", true)).await;

    // As an older Poros and a person write.
    let computes = raw_computes(client);
    let mut told = computes.get("told").await.unwrap();
    told.data["status"]["builderState"]["info"] = json!("an older Poros was here");
    computes.replace_status("told", &PostParams::default(), &told).await.unwrap();
    patch(&computes, "released", &json!({"metadata": {"finalizers": null}})).await;
    patch(&computes, "edited", &json!({"spec": {"description": "edited"}})).await;

    crd.serve(&crd.today).await;
    until("today's schema to be served", wait::LIMIT, || lacks(client, "untouched", false)).await;
    let pruned =
        |name: &str| FIELDS.iter().fold(before[name].clone(), |all, field| with(all, field, Value::Null));
    let after = all(client).await;
    let same = |name: &str, expected: Value| assert_eq!(bare(&after[name]), bare(&expected), "{name}");
    assert_eq!(after["untouched"], before["untouched"]);
    same("told", with(pruned("told"), "/status/builderState/info", json!("an older Poros was here")));
    same("released", with(pruned("released"), "/metadata/finalizers", Value::Null));
    let edited = with(pruned("edited"), "/spec/description", json!("edited"));
    let generation = before["edited"]["metadata"]["generation"].as_u64().unwrap() + 1;
    same("edited", with(edited, "/metadata/generation", json!(generation)));

    // What Poros lost of its own it finds out anew; nothing is rebuilt. What people wrote they have to apply again.
    let _poros = installed.poros();
    for name in NAMES {
        until(&format!("{name} to be as it was"), wait::LIMIT, || async {
            let compute = json!(computes.get(name).await.unwrap());
            let lost = |field: &str| compute.pointer(field) != before[name].pointer(field);
            let found = ["/status/placement/provenWith", "/status/builderState/info", "/metadata/finalizers"];
            let lost: Vec<&str> = found.into_iter().filter(|field| lost(field)).collect();
            if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} of {compute}")) }
        })
        .await;
        wait::proven(client, name).await;
    }
    assert_eq!(self::built(client).await, built, "nothing is rebuilt");
    assert_eq!(all(client).await["untouched"], before["untouched"], "it was proven, so nothing is written");
    // None is stuck: what was released is held again, and goes.
    delete(&computes, "released").await.unwrap();
    wait::gone(client, "released").await;
}

/// A Poros that works already goes on, and does not write again and again what is not kept.
async fn who_runs_meanwhile_goes_on(installed: &Installed, crd: &Crd) {
    let client = &installed.client;
    let poros = installed.poros();
    let before = identity(&wait::proven(client, "untouched").await);
    let built = built(client).await;
    crd.serve(&crd.older()).await;
    until("the older schema to be served", wait::LIMIT, || lacks(client, "untouched", true)).await;
    // The first may yet be told by the watch from before, which is ended; the second is told by the one that follows.
    for words in ["once more", "and again"] {
        let edited = patch(&raw_computes(client), "edited", &json!({"spec": {"description": words}})).await;
        wait::compute(client, "edited", "looked at", |compute| {
            let status = compute.status.as_ref();
            status.map(|status| status.observed_generation) == edited.metadata.generation
        })
        .await;
    }
    wait::placed(client, "untouched", 1).await;
    // It is proven after 1 s, 2 s, 4 s, 8 s: not once a second.
    let written = || poros.metric("poros_api_writes_total").unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let first = written();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let more = written() - first;
    println!("{more} writes within 8 s");
    assert!(first > 0.0 && more <= 4.0, "it writes again and again what is not kept");
    assert_eq!(identity(&wait::active(client, "untouched").await), before);
    crd.serve(&crd.today).await;
    until("today's schema to be served", wait::LIMIT, || lacks(client, "untouched", false)).await;
    // What was lost is written again as soon as there is something to look at.
    patch(&raw_computes(client), "edited", &json!({"spec": {"description": "at last"}})).await;
    wait::compute(client, "edited", "proven with what", |compute| {
        let placement = compute.status.as_ref().and_then(|status| status.placement.as_ref());
        placement.is_some_and(|placement| placement.proven_with.is_some())
    })
    .await;
    assert_eq!(self::built(client).await, built, "nothing is rebuilt");
}

/// What breaks a rule that is newer than it may stay, be told of, be edited elsewhere, and go; a new value may not break it.
async fn a_rule_counts_for_what_is_changed(installed: &Installed, crd: &Crd) {
    let client = &installed.client;
    let computes = raw_computes(client);
    let poros = installed.poros();
    apply(client, &tagged("lax")).await;
    wait::proven(client, "lax").await;
    let before = all(client).await["lax"]["spec"].clone();
    crd.serve(&crd.stricter()).await;
    let fields = until("the rules to be served", wait::LIMIT, || async {
        match dry_run(&computes, &tagged("later")).await {
            Ok(_) => Err("it is let in".into()),
            refused => Ok(refusal(refused).2),
        }
    })
    .await;
    // Rules are asked when the rest is well.
    assert_eq!(fields[0], "spec.description");

    // An edit of something else is let in, and Poros writes status and Placement for it.
    let tolerations = json!([{"key": "extra", "operator": "Exists"}]);
    patch(&computes, "lax", &json!({"spec": {"nodePool": {"tolerations": tolerations}}})).await;
    wait::placed(client, "lax", 2).await;
    wait::proven(client, "lax").await;
    let after = all(client).await["lax"]["spec"].clone();
    assert_eq!(after, with(before, "/nodePool/tolerations", tolerations));
    for (field, value) in [("description", json!("twelve letters")), ("tags", json!(["a", "c"]))] {
        let changed = json!({"spec": {field: value}});
        let change = kube::api::Patch::Merge(&changed);
        let refused = computes.patch("lax", &kube::api::PatchParams::default(), &change).await;
        let (code, message, fields) = refusal(refused);
        assert_eq!((code, &fields[0]), (422, &format!("spec.{field}")), "{message}");
    }
    // Its finalizer goes, and it with it.
    delete(&computes, "lax").await.unwrap();
    wait::gone(client, "lax").await;
    drop(poros);
    crd.serve(&crd.today).await;
}

/// One that has what the older schema lacks, and what the stricter one forbids; it needs no node.
fn tagged(name: &str) -> Value {
    let poolless = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    let told = with(poolless, "/spec/description", json!("more than ten letters"));
    with(told, "/spec/tags", json!(["a", "b"]))
}

/// The CRD of Computes: what its spec is today, and what it might have been or become.
struct Crd {
    api: Api<DynamicObject>,
    today: Value,
}

const CRD: &str = "computes.poros.dataos.io";

impl Crd {
    async fn of(client: &Client) -> Self {
        let (kind, plural) = ("CustomResourceDefinition", "customresourcedefinitions");
        let api = dynamic(client, "apiextensions.k8s.io/v1", kind, plural, None);
        let today = api.get(CRD).await.unwrap().data["spec"].take();
        Self { api, today }
    }

    /// Without [`FIELDS`].
    fn older(&self) -> Value {
        FIELDS.iter().fold(self.today.clone(), |spec, field| with(spec, &schema_of(field), Value::Null))
    }

    /// With a rule for each of two fields.
    fn stricter(&self) -> Value {
        let longest = schema_of("/spec/description") + "/maxLength";
        let most = schema_of("/spec/tags") + "/x-kubernetes-validations";
        let rule = json!([{"rule": "self.size() < 2", "message": "one tag at most"}]);
        with(with(self.today.clone(), &longest, json!(10)), &most, rule)
    }

    /// Replaces it: an apply would leave what Helm has written.
    async fn serve(&self, spec: &Value) {
        until("the CRD to be replaced", wait::LIMIT, || async {
            let mut crd = self.api.get(CRD).await.map_err(|error| error.to_string())?;
            crd.data["spec"] = spec.clone();
            let replaced = self.api.replace(CRD, &PostParams::default(), &crd).await;
            replaced.map(|_| ()).map_err(|error| error.to_string())
        })
        .await;
    }
}

/// Where the spec of a CRD has the schema of a field.
fn schema_of(field: &str) -> String {
    format!("/versions/0/schema/openAPIV3Schema{}", field.replace('/', "/properties/"))
}

/// Whether the API server tells [`FIELDS`] of a Compute, as far as it is asked for.
async fn lacks(client: &Client, name: &str, expected: bool) -> Result<(), String> {
    let all = listed(client).await?;
    let compute = all.get(name).ok_or_else(|| format!("{name} is not listed"))?;
    let lacks = FIELDS.map(|field| compute.pointer(field).is_none());
    if lacks == [expected; 2] { Ok(()) } else { Err(compute.to_string()) }
}

/// All Computes as they are stored, but for who wrote which field. For a moment after their CRD was changed each can be read,
/// and a list is answered with 429, "storage is (re)initializing".
async fn all(client: &Client) -> BTreeMap<String, Value> {
    until("the Computes to be listed", wait::LIMIT, || listed(client)).await
}

async fn listed(client: &Client) -> Result<BTreeMap<String, Value>, String> {
    let list = raw_computes(client).list(&kube::api::ListParams::default()).await;
    let list = list.map_err(|error| error.to_string())?;
    let named = list.items.into_iter().map(|mut object| {
        object.metadata.managed_fields = None;
        (object.metadata.name.clone().unwrap(), json!(object))
    });
    Ok(named.collect())
}

/// But for the version, which each write changes.
fn bare(stored: &Value) -> Value {
    with(stored.clone(), "/metadata/resourceVersion", Value::Null)
}

/// What is built for Computes: which objects, and in which version.
async fn built(client: &Client) -> Vec<(String, String, String)> {
    let mut built = Vec::new();
    for api in [placements(client), bindings(client)] {
        for object in api.list(&kube::api::ListParams::default()).await.unwrap().items {
            let metadata = object.metadata;
            let (name, version) = (metadata.name.unwrap(), metadata.resource_version.unwrap());
            if NAMES[..2].iter().any(|mine| name.ends_with(mine)) {
                built.push((name, metadata.uid.unwrap(), version));
            }
        }
    }
    assert_eq!(built.len(), 4, "{built:?}");
    built
}

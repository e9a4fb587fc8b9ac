//! `InvalidSpec` and `Undecodable`: objects stored under another schema than ours.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{apply, clear, edit, own, poolless, seq};
use crate::harness::objects::{compute, dry_run, placements, raw_computes, with};
use crate::harness::poros::Poros;
use crate::harness::until;
use crate::harness::wait::{self, condition, info};
use crate::trials;

trials![a_stored_object_that_breaks_the_rules_degrades_itself_alone];

/// Drops every rule from the CRD, as an older chart might have had none; waits until that is served.
async fn relax(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "computes.poros.dataos.io";
    let mut crd = api.get(name).await.unwrap();
    let anything = JSONSchemaProps {
        type_: Some("object".into()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    let schema = crd.spec.versions[0].schema.as_mut().unwrap();
    let properties = schema.open_api_v3_schema.as_mut().unwrap().properties.as_mut().unwrap();
    // The default of the status stays: without it kstatus would read what Poros has not seen as done.
    let status = JSONSchemaProps { default: properties["status"].default.clone(), ..anything.clone() };
    *properties = [("spec".to_owned(), anything), ("status".to_owned(), status)].into();
    api.replace(name, &PostParams::default(), &crd).await.unwrap();
    until("the schema to be served", wait::LIMIT, || async {
        let bad = with(compute("stored-probe"), "/spec/nodePool", json!("anything"));
        dry_run(&raw_computes(client), &bad).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

/// A good manifest with all that the schema would have defaulted.
fn whole(name: &str) -> Value {
    let mut manifest = compute(name);
    manifest["spec"]["nodePool"]["minReadyNodes"] = json!(0);
    manifest["spec"]["deletionPolicy"] = json!("Block");
    manifest
}

async fn a_stored_object_that_breaks_the_rules_degrades_itself_alone() {
    let (cluster, client) = own("it-stored").await;
    let _poros = Poros::start(&cluster, &["--manage-policies", "--counter-interval=1"]);
    let neighbour = poolless(&client, "stored-neighbour").await;
    relax(&client).await;
    for (what, part, words) in [
        (
            "selector-key",
            json!({"nodeSelector": {"bad key": "x"}}),
            "spec.nodePool.nodeSelector[\"bad key\"] is no label key",
        ),
        ("selector-none", json!({"nodeSelector": {}}), "spec.nodePool.nodeSelector has 0 pairs"),
        ("selector-value", json!({"nodeSelector": {"a": "x y"}}), "spec.nodePool.nodeSelector.a is \"x y\""),
        (
            "toleration",
            json!({"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]}),
            "spec.nodePool.tolerations[0].value",
        ),
    ] {
        in_build(&client, &format!("stored-{what}"), "InvalidSpec", &json!({"nodePool": part}), words).await;
    }
    for (what, part, words) in [
        ("pool", json!({"nodePool": "everything"}), "spec: "),
        ("purpose", json!({"purpose": "storage"}), "storage"),
        ("label", json!({"nodePool": {"nodeSelector": {"a": 7}}}), "spec: "),
        ("number", json!({"nodePool": {"nodeSelector": {"a": "b"}, "minReadyNodes": "some"}}), "spec: "),
    ] {
        in_build(&client, &format!("stored-{what}"), "Undecodable", &part, words).await;
    }
    after_build(
        &client,
        "stored-was-valid",
        "InvalidSpec",
        json!({"nodePool": {"nodeSelector": {"bad key": "x"}}}),
    )
    .await;
    after_build(
        &client,
        "stored-was-read",
        "Undecodable",
        json!({"nodePool": {"tolerations": "all of them"}}),
    )
    .await;
    edit(&client, "stored-neighbour", json!({"spec": {"description": "served all the while"}})).await;
    let unharmed = wait::active(&client, "stored-neighbour").await;
    assert_eq!(seq(&unharmed), seq(&neighbour));
    clear(&client, "stored-neighbour").await;
}

/// Gives a Compute a good spec; a merge patch would leave what is wrong with the old one.
async fn mend(client: &Client, name: &str) {
    let mut object = raw_computes(client).get(name).await.unwrap();
    object.data["spec"] = whole(name)["spec"].clone();
    raw_computes(client).replace(name, &PostParams::default(), &object).await.unwrap();
}

/// Merges a part into the spec of a new Compute.
async fn in_build(client: &Client, name: &str, category: &str, part: &Value, words: &str) {
    let mut manifest = whole(name);
    for (key, value) in part.as_object().unwrap() {
        manifest["spec"][key] = value.clone();
    }
    apply(client, &manifest).await;
    let failed = raw_says(client, name, &format!("error/error {category}")).await;
    let said = failed["builderState"]["info"].as_str().unwrap();
    assert!(said.contains(words), "{words:?} is not in: {said}");
    if category == "Undecodable" {
        assert!(said.starts_with("the stored Compute cannot be read: "), "{said}");
    }
    assert!(placements(client).get_opt(name).await.unwrap().is_none(), "nothing is built");
    wait::refused(client, name, &format!("Compute {name} is not in force")).await;
    mend(client, name).await;
    wait::active(client, name).await;
    wait::placed(client, name, 1).await;
    clear(client, name).await;
}

/// Breaks the spec of a Compute that is active.
async fn after_build(client: &Client, name: &str, category: &str, part: Value) {
    apply(client, &whole(name)).await;
    wait::active(client, name).await;
    let before = placements(client).get(name).await.unwrap();
    edit(client, name, json!({"spec": part})).await;
    raw_says(client, name, &format!("error/error {category}")).await;
    wait::placed(client, name, 1).await;
    let after = placements(client).get(name).await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "what is in force stays");
    mend(client, name).await;
    let healed = wait::active(client, name).await;
    assert_eq!(condition(&healed, "Stalled"), "");
    assert_eq!(info(&healed), "revision 1 is in force");
    // One that cannot be read can be deleted all the same.
    edit(client, name, json!({"spec": {"nodePool": 7}})).await;
    raw_says(client, name, "error/error Undecodable").await;
    clear(client, name).await;
}

/// As `wait::says`, for an object that may not fit the types; gives back its status.
async fn raw_says(client: &Client, name: &str, expect: &str) -> Value {
    until(&format!("{name} to be {expect}"), wait::LIMIT, || async {
        let object = raw_computes(client).get(name).await.map_err(|error| error.to_string())?;
        let status = &object.data["status"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned();
        let words = format!(
            "{}/{} {}",
            word(&status["aggregateStatus"]),
            word(&status["builderState"]["stage"]),
            ready.map(|ready| word(&ready["reason"])).unwrap_or_default()
        );
        let current = status["observedGeneration"].as_i64() == object.metadata.generation;
        if words == expect && current { Ok(status.clone()) } else { Err(format!("{words} {status}")) }
    })
    .await
}

//! What is wrong with one Compute costs that one alone.

use std::time::Duration;

use serde_json::json;

use super::{LIMIT, pool, settled};
use crate::harness::objects::{bindings, compute, create, delete, patch, raw_computes, with};
use crate::harness::proxy::stage::Stage;
use crate::harness::{until, wait};
use crate::{rows, trials};

trials![a_broken_one_an_undecodable_one_and_a_rival_cost_fifty_others_nothing];

async fn a_broken_one_an_undecodable_one_and_a_rival_cost_fifty_others_nothing() {
    let stage = Stage::alone().await;
    let (poros, client) = (stage.poros(), &stage.client);
    let computes = raw_computes(client);
    pool(client, "rival").await;
    create(&computes, &compute("rival")).await.unwrap();
    settled(client, "rival", 1).await;

    // A schema that lets in what the types of Poros cannot hold, as one of a newer version would.
    let loosen = |crd: &mut k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let schema = crd.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
        spec.properties.as_mut().unwrap().get_mut("purpose").unwrap().enum_ = None;
    };
    stage.cluster().change_crd("computes.poros.dataos.io", loosen).await;
    let undecodable = with(compute("undecodable"), "/spec/purpose", json!("of-tomorrow"));
    until("the looser schema to be served", LIMIT, || async {
        create(&computes, &undecodable).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    let broken = with(compute("broken"), "/spec/dataplane", json!("elsewhere"));
    rows::apply(client, &broken).await;
    let rival = {
        let bindings = bindings(client);
        tokio::spawn(async move {
            loop {
                // It may not be there yet; then there is nothing to undo.
                let _ = delete(&bindings, "poros-rival").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    wait::compute(client, "rival", "contended", |compute| wait::condition(compute, "Contended") == "True")
        .await;

    let names: Vec<String> = (0..50).map(|index| format!("bystander-{index}")).collect();
    for name in &names {
        // No pool is needed: what is to be seen is that Poros works on them.
        let value = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
        rows::apply(client, &value).await;
    }
    for name in &names {
        settled(client, name, 1).await;
    }
    assert!(!rival.is_finished(), "the rival was at work all the while");
    wait::says(client, "broken", "error/error UnknownDataplane").await;
    until("the undecodable one to say so", LIMIT, || async {
        let compute = computes.get("undecodable").await.map_err(|error| error.to_string())?;
        let status = &compute.data["status"];
        let reason =
            status["conditions"].as_array().and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
        let reason = reason.map(|ready| ready["reason"].clone());
        let said = status["aggregateStatus"] == "error" && reason == Some(json!("Undecodable"));
        if said { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    rival.abort();

    settled(client, "rival", 1).await;
    patch(&computes, "broken", &json!({"spec": {"dataplane": "hub", "nodePool": {"minReadyNodes": 0}}}))
        .await;
    patch(&computes, "undecodable", &json!({"spec": {"purpose": "query", "nodePool": {"minReadyNodes": 0}}}))
        .await;
    for name in ["broken", "undecodable"] {
        settled(client, name, 1).await;
    }
    poros.await_ready(LIMIT);
}

//! `get`: the reference's table, whose Computes are shown, and which.

pub mod changes;
pub mod formats;
pub mod many;

use serde_json::{Value, json};

use super::transcript::Transcript;
use crate::harness::cluster;
use crate::harness::objects::{compute, with};
use crate::harness::wait;
use crate::rows::{apply, clear};
use crate::trials;

trials![the_page_comes_out_as_printed, rows_grow_with_what_they_show];

/// A Compute that needs no node. Who asks may name its owner.
fn of(owner: &str, name: &str) -> Value {
    let poolless = with(compute(name), "/spec/nodePool/minReadyNodes", json!(0));
    with(poolless, "/spec/owner", json!(owner))
}

async fn the_page_comes_out_as_printed() {
    let cluster = cluster::shared().await;
    let mut told = Transcript::new("get-page", cluster, "iamgroot");
    let client = cluster.client().await;
    let name = "new-usecases";
    // So that there is another's, however few tests run.
    apply(&client, &of("somebody", "cli-get-other")).await;
    told.replace(r"shows all \d+ *", "shows all N");
    told.run("dataos-ctl get -t compute");
    told.file("new-usecases.yaml", of("iamgroot", name).to_string());
    told.quietly("kubectl apply -f new-usecases.yaml");
    wait::active(&client, name).await;
    told.run("dataos-ctl get -t compute");
    told.set("LANG", "C");
    told.run("dataos-ctl resource get -t compute -n new-usecases --no-headers");
    told.compare();
    clear(&client, name).await;
    clear(&client, "cli-get-other").await;
}

async fn rows_grow_with_what_they_show() {
    let cluster = cluster::shared().await;
    let owner = "ann.of.the.long.names@example.com";
    let client = cluster.client().await;
    let long = "cli-get-".to_owned() + &"x".repeat(40);
    let names: Vec<String> = (1..12).map(|index| format!("cli-get-{index:02}")).chain([long]).collect();
    for name in &names {
        apply(&client, &of(owner, name)).await;
    }
    for name in &names {
        wait::active(&client, name).await;
    }
    let mut told = Transcript::new("get-twelve", cluster, owner);
    told.run("dataos-ctl get -t compute --quiet");
    told.run("dataos-ctl get -i 'cli-get-02 | v1beta | compute' --id compute:v1beta:cli-get-01 -q");
    told.run("dataos-ctl get -t compute -o nobody -q");
    // What else there is, is other tests' business.
    told.replace("(no Compute named .*There are:) .*", "$1 …");
    told.run("dataos-ctl get -t compute -n cli-get-20");
    told.run("dataos-ctl get -t computee");
    told.compare();
    for name in &names {
        clear(&client, name).await;
    }
}

//! The rows of the two tables of the design, each caused on the real API server and healed.

use crate::harness::cluster;
use crate::harness::objects::{compute, create, delete, node, raw_computes};
use crate::harness::wait;
use crate::trials;

trials![a_compute_becomes_active_and_goes_without_a_trace];

async fn a_compute_becomes_active_and_goes_without_a_trace() {
    let client = cluster::shared().await.client().await;
    node(&client, "rows-active-1", "rows-active", true).await;
    create(&raw_computes(&client), &compute("rows-active")).await.unwrap();
    let active = wait::active(&client, "rows-active").await;
    assert_eq!(active.status.unwrap().nodes.unwrap().summary, "1/1");
    delete(&raw_computes(&client), "rows-active").await.unwrap();
    wait::gone(&client, "rows-active").await;
}

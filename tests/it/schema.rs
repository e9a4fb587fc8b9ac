//! The CRDs on a real API server.

use crate::harness::cluster;
use crate::harness::objects::{compute, create, raw_computes};
use crate::trials;

trials![a_good_manifest_is_taken];

async fn a_good_manifest_is_taken() {
    let client = cluster::shared().await.client().await;
    let stored = create(&raw_computes(&client), &compute("schema-good")).await.unwrap();
    assert_eq!(stored.data["spec"]["deletionPolicy"], "Block");
}

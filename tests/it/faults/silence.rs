//! Slow: half-open connections, which only silence gives away.

use std::time::Duration;

use super::{pool, settled, settled_within};
use crate::harness::objects::{compute, create, raw_computes};
use crate::harness::proxy::Order;
use crate::harness::proxy::stage::Stage;
use crate::trials;

trials![; slow: watches_that_say_nothing_any_more_are_found_out];

/// The API server ends a watch after 60 s, and 5 s later its silence tells that it is dead.
const FOUND_OUT: Duration = Duration::from_secs(120);

async fn watches_that_say_nothing_any_more_are_found_out() {
    let stage = Stage::new().await;
    let _poros = stage.poros();
    pool(&stage.client, "silent").await;
    create(&raw_computes(&stage.client), &compute("silent")).await.unwrap();
    settled(&stage.client, "silent", 1).await;
    stage.proxy.order(Order::Silence, None);
    pool(&stage.client, "silent-new").await;
    create(&raw_computes(&stage.client), &compute("silent-new")).await.unwrap();
    settled_within(&stage.client, "silent-new", 1, FOUND_OUT).await;
}

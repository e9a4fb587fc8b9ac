//! The oracle of silence: once all is as it should be, Poros writes nothing and nothing moves.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams};

use crate::harness::audit::Audit;
use crate::harness::objects::{bindings, nodes, placements, raw_computes};
use crate::harness::proxy::stage::Stage;
use crate::harness::{until, wait};

/// The versions of all objects that Poros writes or reads, by kind and name.
async fn versions(stage: &Stage) -> BTreeMap<String, String> {
    let client = &stage.client;
    let kinds: [(&str, Api<DynamicObject>); 4] = [
        ("Compute", raw_computes(client)),
        ("Placement", placements(client)),
        ("binding", bindings(client)),
        ("Node", nodes(client)),
    ];
    let mut versions = BTreeMap::new();
    for (kind, api) in kinds {
        for object in api.list(&ListParams::default()).await.unwrap() {
            let name = object.metadata.name.unwrap_or_default();
            versions.insert(format!("{kind} {name}"), object.metadata.resource_version.unwrap_or_default());
        }
    }
    versions
}

/// Longer than an interval of counters, and than a rival is remembered.
const CALM: Duration = Duration::from_secs(7);

/// For so long nothing is written, neither by Poros nor to what it reads and writes.
pub(super) async fn holds(stage: &Stage, time: Duration) {
    // What was under way when the test saw its end comes first: a counter, a condition that is taken back.
    until("what was under way to be over", wait::LIMIT, || async {
        let (audit, before) = (Audit::from_now(stage.cluster()), versions(stage).await);
        tokio::time::sleep(CALM).await;
        let calm = audit.writes().is_empty() && versions(stage).await == before;
        if calm { Ok(()) } else { Err(format!("{:?}", audit.writes())) }
    })
    .await;
    let (audit, before) = (Audit::from_now(stage.cluster()), versions(stage).await);
    tokio::time::sleep(time).await;
    assert_eq!(audit.writes(), [], "Poros writes although nothing changes");
    let after = versions(stage).await;
    assert_eq!(before, after, "objects move although nothing changes");
}

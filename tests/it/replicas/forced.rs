//! Two leaders by force (`--leader-elect=false`): the election is an optimisation, so they may cost conflicts and no more.

use std::collections::BTreeMap;

use futures::future::join_all;
use kube::Client;
use serde_json::{Value, json};

use super::{LIMIT, Replica, children, gapless, pooled};
use crate::harness::audit::{Audit, Request};
use crate::harness::objects::{
    bindings, compute, computes, create, delete, patch, placements, raw_computes, with,
};
use crate::harness::proxy::stage::Stage;
use crate::harness::{until, wait};
use crate::trials;

trials![two_leaders_do_what_one_would_do];

const FORCED: [&str; 1] = ["--leader-elect=false"];
/// Computes that go through the churn at one time.
const COMPUTES: usize = 8;

async fn two_leaders_do_what_one_would_do() {
    let stage = Stage::new().await;
    let first = Replica::start(&stage, &FORCED).await;
    let alone = churn(&stage, "one").await;
    let second = Replica::start(&stage, &FORCED).await;
    assert!(first.poros.leads() && second.poros.leads());
    // They meet by chance, so more than once if need be.
    let mut together = churn(&stage, "two").await;
    for prefix in ["two-more", "two-last"] {
        if together.conflicts == 0 {
            together = churn(&stage, prefix).await;
        }
    }
    println!("conflicts of one leader: {}, of two: {}", alone.conflicts, together.conflicts);
    println!("statuses of one leader: {}, of two: {}", alone.statuses, together.statuses);
    println!("proofs of one leader: {}, of two: {}", alone.proofs, together.proofs);
    assert!(together.conflicts > 0, "they never met: nothing was tested");
    for replica in [&first, &second] {
        let mine =
            replica.proxy.count(0, |seen| seen.write.is_some() && seen.done() && seen.name.contains("two-"));
        assert!(mine > 0, "one of them did nothing: nothing was tested");
    }
    for (name, end) in &alone.ends {
        assert_eq!(together.ends.get(name), Some(end), "the end of {name}");
    }
    for (name, road) in &alone.roads {
        assert_eq!(together.roads.get(name), Some(road), "what was done to {name}");
    }
    assert_eq!(alone.roads.len(), together.roads.len());
}

/// What a churn came to.
struct Churned {
    /// By Compute, without its prefix: what stands.
    ends: BTreeMap<String, Value>,
    /// By object and verb, without the prefix: how often it was done to a child.
    roads: BTreeMap<String, usize>,
    conflicts: usize,
    statuses: usize,
    proofs: usize,
}

/// Creates, edits, breaks, deletes and makes anew.
async fn churn(stage: &Stage, prefix: &str) -> Churned {
    let client = &stage.client;
    let audit = Audit::from_now(stage.cluster());
    let names: Vec<String> = (0..COMPUTES).map(|index| format!("{prefix}-{index}")).collect();
    let ends = join_all(names.iter().map(|name| life(client, name))).await;
    let ends = names.iter().map(|name| plain(name, prefix)).zip(ends).collect();
    let mine: Vec<Request> =
        audit.poros().into_iter().filter(|request| request.name.contains(prefix)).collect();
    let done = |request: &&Request| (200..300).contains(&request.code) && request.writes();
    let mut roads = BTreeMap::new();
    let children = ["placements", "mutatingadmissionpolicybindings"];
    for request in mine.iter().filter(done).filter(|request| children.contains(&request.resource.as_str())) {
        *roads.entry(format!("{} {}", request.what(), plain(&request.name, prefix))).or_default() += 1;
    }
    Churned {
        ends,
        roads,
        conflicts: mine.iter().filter(|request| request.writes() && request.code == 409).count(),
        statuses: mine.iter().filter(done).filter(|request| request.resource == "computes/status").count(),
        proofs: mine.iter().filter(|request| request.dry_run).count(),
    }
}

fn plain(name: &str, prefix: &str) -> String {
    name.replace(&format!("{prefix}-"), "NAME-")
}

/// The life of a Compute under two hands, of which each wants to prove what it wrote itself; gives back what stands at its end, for comparison.
async fn life(client: &Client, name: &str) -> Value {
    let api = raw_computes(client);
    pooled(client, name).await;
    wait::proven(client, name).await;
    let edit =
        |key: &str| json!({"spec": {"nodePool": {"tolerations": [{"key": key, "operator": "Exists"}]}}});
    patch(&api, name, &edit("a")).await;
    wait::proven(client, name).await;
    // Before the proof of one edit has come, the next one comes.
    patch(&api, name, &edit("b")).await;
    wait::placed(client, name, 3).await;
    wait::proven(client, name).await;
    // Repaired once, not twice.
    delete(&bindings(client), &format!("poros-{name}")).await.unwrap();
    there(client, name).await;
    wait::proven(client, name).await;
    patch(&placements(client), name, &json!({"spec": {"nodeSelector": {"meddled": "with"}}})).await;
    until("the Placement to be repaired", LIMIT, || async {
        let selector = placements(client).get(name).await.unwrap().data["spec"]["nodeSelector"].clone();
        if selector == json!({"pool": name}) { Ok(()) } else { Err(selector.to_string()) }
    })
    .await;
    wait::proven(client, name).await;
    // Another incarnation.
    delete(&api, name).await.unwrap();
    wait::gone(client, name).await;
    create(&api, &with(compute(name), "/spec/description", json!("the second one"))).await.unwrap();
    let active = wait::proven(client, name).await;
    gapless(&active);
    children(client, name).await;
    let status = computes(client).get(name).await.unwrap().status.unwrap();
    let placement = placements(client).get(name).await.unwrap();
    let transitions: Vec<String> =
        status.history.iter().map(|transition| format!("{} {}", transition.seq, transition.reason)).collect();
    let text = json!({"placement": placement.data["spec"], "transitions": transitions, "said": wait::words(&active)});
    serde_json::from_str(&text.to_string().replace(name, "NAME")).unwrap()
}

async fn there(client: &Client, name: &str) {
    until("the binding to be repaired", LIMIT, || async {
        let found = bindings(client).get_opt(&format!("poros-{name}")).await.unwrap();
        found.map(|_| ()).ok_or_else(|| "it is not there".to_owned())
    })
    .await;
}

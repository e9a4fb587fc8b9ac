//! Several replicas of Poros, and several API servers: who leads, who follows, and that nobody does harm who should not.

mod blind;
mod forced;
mod lease;
mod servers;
mod stale;
mod zombie;

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, DynamicObject};
use libtest_mimic::Trial;
use poros::api::compute::Compute;

use crate::harness::cluster::NAMESPACE;
use crate::harness::objects::{
    bindings, compute, computes, create, delete, dynamic, node, placements, raw_computes,
};
use crate::harness::poros::{Poros, READY, SHORT};
use crate::harness::proxy::Proxy;
use crate::harness::proxy::stage::Stage;
use crate::harness::until;

pub fn trials() -> Vec<Trial> {
    [
        lease::trials(),
        zombie::trials(),
        zombie::slow::trials(),
        forced::trials(),
        stale::trials(),
        servers::trials(),
        blind::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Longer than any failover here takes, on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(90);
/// Short times of an election, so that tests need not wait out a Lease of 15 s.
const BRIEF: [&str; 4] =
    ["--leader-elect=true", "--lease-duration=6", "--lease-renew-deadline=4.5", "--lease-retry=0.7"];
const BRIEF_LEASE: Duration = Duration::from_secs(6);

/// A Poros with a proxy of its own: what it asks is told apart from what others ask.
struct Replica {
    poros: Poros,
    proxy: Proxy,
}

impl Replica {
    /// Starts one on a stage whose Lease nobody holds, and waits until it leads.
    async fn first(stage: &Stage, flags: &[&str]) -> Self {
        // A Poros of an earlier test may have died with it.
        let _ = delete(&leases(&stage.client), "poros").await;
        let replica = Self::start(stage, flags).await;
        replica.await_lead().await;
        replica
    }

    /// Starts it, and waits until it is ready: to lead, or to stand by.
    async fn start(stage: &Stage, flags: &[&str]) -> Self {
        let proxy = Proxy::start(stage.cluster()).await;
        let flags = [&["--manage-policies"], &SHORT[..], flags].concat();
        let poros = Poros::launch(stage.cluster(), proxy.kubeconfig(), &flags);
        poros.await_ready(READY);
        stage.cluster().await_served();
        Self { poros, proxy }
    }

    /// Starts one that leads, and after it one that stands by.
    async fn two(stage: &Stage, flags: &[&str]) -> (Self, Self) {
        let leader = Self::first(stage, flags).await;
        let other = Self::start(stage, flags).await;
        assert!(leader.poros.leads() && !other.poros.leads(), "the first one leads");
        (leader, other)
    }

    /// Waits until it leads; gives back how long that took.
    async fn await_lead(&self) -> Duration {
        let start = Instant::now();
        until("the replica to lead", LIMIT, || async {
            if self.poros.leads() { Ok(()) } else { Err(last_words(&self.poros)) }
        })
        .await;
        start.elapsed()
    }

    /// How often it ended to lead, by its log: what lasts but seconds, a look now and then might miss.
    fn ends(&self) -> usize {
        self.poros.log_text().matches("leads no more: ").count()
    }

    /// Waits until it ended to lead once more than so often.
    async fn await_end(&self, before: usize) {
        until("the replica to lead no more", LIMIT, || async {
            if self.ends() > before { Ok(()) } else { Err(last_words(&self.poros)) }
        })
        .await;
    }
}

/// A Compute with a pool of one ready node.
async fn pooled(client: &Client, name: &str) {
    node(client, &format!("{name}-node"), name, true).await;
    create(&raw_computes(client), &compute(name)).await.unwrap();
}

/// The end of its log.
fn last_words(poros: &Poros) -> String {
    let log = poros.log_text();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn leases(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "coordination.k8s.io/v1", "Lease", "leases", Some(NAMESPACE))
}

/// Who holds the Lease; none if it is released or absent.
async fn holder(client: &Client) -> Option<String> {
    let lease = leases(client).get_opt("poros").await.unwrap()?;
    lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

/// No number of a transition is missing or given twice.
fn gapless(compute: &Compute) {
    let status = compute.status.as_ref().unwrap();
    let numbers: Vec<u64> = status.history.iter().map(|transition| transition.seq).collect();
    let rising = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(rising && numbers.last() == Some(&status.transition_seq), "{:?}", status.history);
}

/// The uids of Placement and binding, and that they are this Compute's.
async fn children(client: &Client, name: &str) -> [String; 2] {
    let uid = computes(client).get(name).await.unwrap().metadata.uid.unwrap();
    let placement = placements(client).get(name).await.unwrap();
    let binding = bindings(client).get(&format!("poros-{name}")).await.unwrap();
    [placement, binding].map(|child| {
        let owner = &child.metadata.annotations.as_ref().unwrap()["poros.dataos.io/owner-uid"];
        assert_eq!(*owner, uid, "{:?}", child.metadata);
        child.metadata.uid.unwrap()
    })
}

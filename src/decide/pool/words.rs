//! What is said of a pool: the condition `PoolReady` while no fault counts, and `Overlapping`.

use crate::api::status::NodeCounts;
use crate::decide::observed::{Overlap, Pool};
use crate::decide::reason::Reason;

/// Reason and message of `PoolReady` of a pool without a fault: what matters most, with counts.
pub fn ready(pool: &Pool) -> (Reason, String) {
    let counts = &pool.counts;
    if has_none_schedulable(counts) {
        let of = match counts.ready {
            1 => "the one ready node takes no new pods".to_owned(),
            ready => format!("none of the {ready} ready nodes takes new pods"),
        };
        let cordoned = match counts.ready.saturating_sub(counts.untolerated) {
            0 => None,
            1 => Some("1 is cordoned".to_owned()),
            nodes => Some(format!("{nodes} are cordoned")),
        };
        let tainted = (counts.untolerated > 0)
            .then(|| format!("{} {}", counts.untolerated, uncovered(pool, counts.untolerated)));
        let why: Vec<_> = cordoned.into_iter().chain(tainted).collect();
        return (Reason::NoneSchedulable, format!("{of}: {}", why.join(", ")));
    }
    if counts.untolerated > 0 {
        let (bad, ready) = (counts.untolerated, counts.ready);
        return (Reason::TaintUncovered, format!("{bad} of {ready} ready nodes {}", uncovered(pool, bad)));
    }
    if counts.untainted > 0 {
        let (open, all) = (counts.untainted, counts.matched);
        let has = if open == 1 { "has" } else { "have" };
        return (
            Reason::PoolUntainted,
            format!(
                "the pool is ready; {open} of {all} nodes {has} no taint, so that pods that name no Compute may run there too"
            ),
        );
    }
    (Reason::PoolReady, "the pool has the ready nodes that spec.nodePool.minReadyNodes asks for".into())
}

/// What is added to the sentence of an active Compute whose pool takes no pods now, without numbers that churn.
pub fn hint(pool: &Pool) -> Option<&'static str> {
    has_none_schedulable(&pool.counts).then_some(
        "no node takes new pods: each is cordoned, or has a taint that spec.nodePool.tolerations does not cover",
    )
}

fn has_none_schedulable(counts: &NodeCounts) -> bool {
    counts.ready > 0 && counts.schedulable == 0
}

/// `has a taint that …`: which, and how to use the nodes all the same.
fn uncovered(pool: &Pool, nodes: u32) -> String {
    let has = if nodes == 1 { "has a taint" } else { "have taints" };
    let taints: Vec<_> = pool.taints.iter().map(ToString::to_string).collect();
    let more = match pool.more_taints {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    // Nobody should tolerate what a node has for a moment, because of its state.
    let remedy = pool.taints.iter().find(|taint| !taint.of_the_state()).map_or_else(String::new, |taint| {
        let value =
            if taint.value.is_empty() { String::new() } else { format!(", value: {:?}", taint.value) };
        let them = if nodes == 1 { "it" } else { "them" };
        let (key, effect) = (&taint.key, taint.effect.word());
        format!("; to use {them}, add {{key: {key}{value}, effect: {effect}}} to the tolerations")
    });
    format!("{has} that spec.nodePool.tolerations does not cover ({}{more}){remedy}", taints.join(", "))
}

/// The message of `Overlapping`.
pub fn overlapping(overlap: &Overlap) -> String {
    let nodes = match overlap.nodes {
        None => "all nodes of the pool are".to_owned(),
        Some(1) => "1 node of the pool is".to_owned(),
        Some(nodes) => format!("{nodes} nodes of the pool are"),
    };
    let more = match overlap.more {
        0 => None,
        more if more > EXACT => Some(format!("more than {} more", coarse(more))),
        more => Some(format!("{more} more")),
    };
    let others: Vec<_> = overlap.names.iter().cloned().chain(more).collect();
    let others = match others.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    };
    format!("{nodes} also in the pool of {others}: pods of each may take the room of the others")
}

/// Up to so many Computes are counted exactly.
const EXACT: usize = 20;

/// A number that is exact while it is small and changes seldom when it is large, so that one Compute more in a crowd is no
/// news to each of them: 20, 50, 100, 200, 500, …
pub fn coarse(number: usize) -> usize {
    if number <= EXACT {
        return number;
    }
    let mut step = EXACT;
    for factor in [5, 2, 2].into_iter().cycle() {
        // 20, 50, 100, 200, 500, …
        let next = if factor == 5 { step / 2 * 5 } else { step * 2 };
        if number <= next {
            break;
        }
        step = next;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compute::TaintEffect;
    use crate::decide::pool::Taint;

    fn pool(matched: u32, ready: u32, schedulable: u32, untolerated: u32, untainted: u32) -> Pool {
        let counts =
            NodeCounts { matched, ready, schedulable, untolerated, untainted, summary: String::new() };
        Pool { counts, ..Pool::default() }
    }

    fn taint(key: &str, value: &str) -> Taint {
        Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule }
    }

    #[test]
    fn the_pool_says_what_matters_most() {
        let fenced = pool(3, 3, 3, 0, 0);
        assert_eq!(ready(&fenced).0, Reason::PoolReady);
        let (reason, message) = ready(&pool(4, 3, 3, 0, 1));
        assert_eq!(reason, Reason::PoolUntainted);
        assert!(message.contains("1 of 4 nodes has no taint"), "{message}");
        let mut tainted = pool(5, 4, 2, 2, 1);
        tainted.taints = vec![taint("gpu", "true"), taint("spot", "")];
        tainted.more_taints = 2;
        assert_eq!(
            ready(&tainted),
            (
                Reason::TaintUncovered,
                "2 of 4 ready nodes have taints that spec.nodePool.tolerations does not cover \
                 (gpu=true:NoSchedule, spot:NoSchedule and 2 more); to use them, add {key: gpu, value: \"true\", effect: NoSchedule} to the tolerations"
                    .to_owned()
            )
        );
        let mut none = pool(5, 4, 0, 1, 0);
        none.taints = vec![taint("node.kubernetes.io/disk-pressure", "")];
        let (reason, message) = ready(&none);
        assert_eq!(reason, Reason::NoneSchedulable);
        assert_eq!(
            message,
            "none of the 4 ready nodes takes new pods: 3 are cordoned, 1 has a taint that spec.nodePool.tolerations does not cover \
             (node.kubernetes.io/disk-pressure:NoSchedule)"
        );
        assert!(hint(&none).is_some() && hint(&tainted).is_none());
    }

    #[test]
    fn the_others_are_named_up_to_five_and_counted_coarsely_beyond() {
        let overlap = |names: &[&str], more, nodes| {
            overlapping(&Overlap { names: names.iter().map(|name| (*name).into()).collect(), more, nodes })
        };
        assert!(overlap(&["b"], 0, None).starts_with("all nodes of the pool are also in the pool of b: "));
        assert!(
            overlap(&["b", "c"], 0, Some(1))
                .starts_with("1 node of the pool is also in the pool of b and c: ")
        );
        let many = overlap(&["b", "c", "d", "e", "f"], 4, Some(2));
        assert!(
            many.starts_with("2 nodes of the pool are also in the pool of b, c, d, e, f and 4 more: "),
            "{many}"
        );
        assert!(overlap(&["b"], 51, None).contains("b and more than 50 more"));
        let steps: Vec<_> = [20, 21, 50, 51, 100, 101, 201, 501, 1001, 2500].map(coarse).into();
        assert_eq!(steps, [20, 20, 20, 50, 50, 100, 200, 500, 1000, 2000]);
    }
}

//! Which watches fail, and for how long: a Poros that no longer sees the cluster says that it is not ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::watch::{Cause, Watched};

/// Failures further apart than this are no streak: the watch was well between them. Longer than it takes to find out that a
/// watch is silent (65 s) and to try again (10 s).
const GAP: Duration = Duration::from_secs(90);

/// The failures of all watches.
#[derive(Debug)]
pub struct Health {
    grace: Duration,
    failing: Mutex<BTreeMap<Watched, Streak>>,
    /// Those that failed since their last list.
    unlisted: Mutex<BTreeSet<Watched>>,
}

#[derive(Debug)]
struct Streak {
    since: Instant,
    last: Instant,
    why: String,
    cause: Cause,
}

impl Streak {
    /// Whether it goes on, and has for longer than this.
    fn lasts(&self, grace: Duration, now: Instant) -> bool {
        now - self.last <= GAP && now - self.since > grace
    }
}

impl Health {
    /// No failures yet; a watch may fail for `grace`.
    pub fn new(grace: Duration) -> Self {
        Self { grace, failing: Mutex::default(), unlisted: Mutex::default() }
    }

    /// A watch failed.
    pub fn failed(&self, what: Watched, why: String, cause: Cause, now: Instant) {
        let mut failing = self.failing();
        let since =
            failing.get(&what).filter(|streak| now - streak.last <= GAP).map_or(now, |streak| streak.since);
        failing.insert(what, Streak { since, last: now, why, cause });
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
    }

    /// A watch has its list. Says whether it failed since the one before.
    pub fn listed(&self, what: Watched) -> bool {
        self.heard(what);
        self.unlisted.lock().unwrap_or_else(PoisonError::into_inner).remove(&what)
    }

    /// A watch told something, so it is well; or it was given up, and fails no more.
    pub fn heard(&self, what: Watched) {
        self.failing().remove(&what);
    }

    /// Why a watch fails, if it does.
    pub fn why(&self, what: Watched) -> Option<(String, Cause)> {
        self.failing().get(&what).map(|streak| (streak.why.clone(), streak.cause))
    }

    /// The watches that have failed for longer than they may, and why.
    pub fn overdue(&self, now: Instant) -> Vec<(Watched, String)> {
        let failing = self.failing();
        let overdue = failing.iter().filter(|(_, streak)| streak.lasts(self.grace, now));
        overdue.map(|(what, streak)| (*what, streak.why.clone())).collect()
    }

    /// Whether a watch that Poros cannot do without has failed for twice as long as it may: time enough for whoever is asked
    /// to see that it is not ready.
    pub fn is_blind(&self, now: Instant) -> bool {
        let failing = self.failing();
        failing.iter().any(|(what, streak)| !what.is_dispensable() && streak.lasts(2 * self.grace, now))
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<Watched, Streak>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSE: Cause = Cause::Unanswered;

    #[test]
    fn a_watch_that_fails_for_long_is_told_until_it_is_heard_again() {
        let (health, start) = (Health::new(Duration::from_secs(60)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = |seconds| health.overdue(at(seconds)).len();
        health.failed(Watched::Nodes, "no route".into(), CAUSE, at(0));
        health.failed(Watched::Nodes, "no route".into(), CAUSE, at(55));
        assert_eq!(told(60), 0, "not yet");
        health.failed(Watched::Nodes, "refused".into(), CAUSE, at(61));
        assert_eq!(health.overdue(at(61)), [(Watched::Nodes, "refused".to_owned())]);
        health.heard(Watched::Pods);
        assert_eq!(told(62), 1, "another watch is another");
        assert!(!health.is_blind(at(120)) && health.is_blind(at(121)));
        health.heard(Watched::Nodes);
        assert_eq!((told(62), health.is_blind(at(121))), (0, false));
        health.failed(Watched::Servers, "refused".into(), CAUSE, at(0));
        health.failed(Watched::Servers, "refused".into(), CAUSE, at(80));
        assert!(!health.is_blind(at(150)), "Poros works without it");
    }

    #[test]
    fn failures_far_apart_are_no_streak() {
        let (health, start) = (Health::new(Duration::from_secs(60)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        health.failed(Watched::Nodes, "cut".into(), CAUSE, at(0));
        health.failed(Watched::Nodes, "cut".into(), CAUSE, at(80));
        assert_eq!(health.overdue(at(80)).len(), 1);
        assert_eq!(health.overdue(at(171)).len(), 0, "a quiet watch is a healthy one");
        health.failed(Watched::Nodes, "cut".into(), CAUSE, at(300));
        assert_eq!(health.overdue(at(300)).len(), 0, "it begins anew");
    }
}

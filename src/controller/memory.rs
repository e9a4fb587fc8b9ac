//! What this process remembers of each Compute between passes: when things were, on the monotonic clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::api::status::ComputeStatus;
use crate::decide::applied::{Applied, Pace, State};
use crate::decide::fault::{Category, Fault};
use crate::decide::observed::{Change, Observed, Proof, Recall, Rejected, Settings, Target};
use crate::decide::pool;
use crate::decide::prove;
use crate::decide::truth::Outcome;
use crate::decide::validate::Valid;

/// How soon a pass that met a conflict is made again: the watch needs a moment to tell what changed.
const CONFLICT: Duration = Duration::from_millis(100);
/// Conflicts in a row that are looked at that soon: more of them are no lost race.
const CONFLICTS_AT_ONCE: u32 = 5;
/// The longest pause between passes that fail; chance may shorten it to the half.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause between passes that meet conflicts: who makes them may stop at any time, and nothing tells when.
const LONGEST_CONFLICT: Duration = Duration::from_secs(10);

/// What a pass leaves to be done.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own about a pass
pub struct Next {
    /// Look again after this long.
    pub wake: Option<Duration>,
    /// Something failed: look again with backoff.
    pub retry: bool,
    /// Something had changed in the meantime: look again soon.
    pub conflict: bool,
    /// Nothing is left to look at.
    pub gone: bool,
    /// Something was written: what fails now is not what failed before.
    pub progress: bool,
}

impl Next {
    /// Look again with backoff.
    pub fn retry() -> Self {
        Self { retry: true, ..Self::default() }
    }
}

/// The memories of all Computes.
#[derive(Debug)]
pub struct Memories {
    settings: Settings,
    by_name: HashMap<String, Box<Memory>>,
    failing: HashMap<String, Failing>,
}

#[derive(Debug)]
struct Memory {
    uid: Box<str>,
    known_since: Instant,
    changed: Option<(Instant, Pace)>,
    policies: Arc<str>,
    probes: u32,
    probed: Option<Instant>,
    proof: Option<Box<(Target, Proof)>>,
    blocked_since: Option<Instant>,
    pool: Option<Judged>,
    repairs: u32,
    repaired: Option<Instant>,
    rival: Option<String>,
    rejected: Option<Box<(Rejected, Instant)>>,
    policies_missing_since: Option<Instant>,
    trouble_since: Option<Instant>,
    unbound_since: Option<Instant>,
    status_written: Option<Instant>,
    released: Option<Instant>,
}

/// What was found of a pool.
#[derive(Clone, Copy, Debug)]
struct Judged {
    /// How many ready nodes were asked for.
    least: u32,
    /// Whether it has them.
    ready: bool,
    /// When nodes made it so; none where another number that is asked for did.
    flapped: Option<Instant>,
}

impl Memory {
    /// At first sight. What the status says to be changed and not proven again, whoever began that, counts as changed now.
    fn of(observed: &Observed, now: Instant) -> Self {
        let compute = observed.compute.as_ref();
        let open = compute.is_some_and(|compute| prove::is_open(&compute.status));
        Self {
            uid: compute.map_or("", |compute| compute.uid.as_str()).into(),
            known_since: now,
            changed: open.then_some((now, Pace::Slow)),
            policies: observed.policies.fingerprint.clone(),
            probes: 0,
            probed: None,
            proof: None,
            blocked_since: None,
            pool: None,
            repairs: 0,
            repaired: None,
            rival: None,
            rejected: None,
            policies_missing_since: None,
            trouble_since: None,
            unbound_since: None,
            status_written: None,
            released: None,
        }
    }

    /// Something that a proof depends on changed: what was tried before says nothing any more.
    fn changed(&mut self, pace: Pace, now: Instant) {
        self.changed = Some((now, pace));
        self.probes = 0;
        self.proof = None;
    }
}

impl Memories {
    /// No memory of anything.
    pub fn new(settings: Settings) -> Self {
        Self { settings, by_name: HashMap::new(), failing: HashMap::new() }
    }

    /// Forgets everything: what was remembered holds for the leader that saw it.
    pub fn forget(&mut self) {
        self.by_name.clear();
        self.failing.clear();
    }

    /// What is remembered of a Compute as it is observed now.
    pub fn recall(&mut self, observed: &Observed, valid: &Result<Valid, Fault>, now: Instant) -> Recall {
        let uid = observed.compute.as_ref().map_or("", |compute| compute.uid.as_str());
        let policies = &observed.policies;
        let memory = self
            .by_name
            .entry(observed.name.clone())
            .and_modify(|memory| {
                if *memory.uid != *uid {
                    **memory = Memory::of(observed, now);
                }
            })
            .or_insert_with(|| Box::new(Memory::of(observed, now)));
        if memory.policies != policies.fingerprint {
            memory.policies = policies.fingerprint.clone();
            memory.changed(Pace::Slow, now);
        }
        match (&policies.missing, memory.policies_missing_since) {
            (Some(_), None) => memory.policies_missing_since = Some(now),
            (None, Some(_)) => memory.policies_missing_since = None,
            _ => {}
        }
        if let Ok(valid) = valid {
            let least = valid.min_ready_nodes;
            let ready = pool::judge(&observed.pool, least).is_none();
            let flapped = match memory.pool {
                Some(before) if before.least != least => None,
                Some(before) if before.ready == ready => before.flapped,
                Some(_) | None => Some(now),
            };
            memory.pool = Some(Judged { least, ready, flapped });
        }
        if memory.repaired.is_some_and(|repaired| now - repaired >= self.settings.contended_quiet) {
            (memory.repairs, memory.repaired, memory.rival) = (0, None, None);
        }
        let ago = |since: Option<Instant>| since.map(|since| now - since);
        Recall {
            known_for: now - memory.known_since,
            changed_ago: memory.changed.map(|(changed, pace)| Change { ago: now - changed, pace }),
            probes: memory.probes,
            probed_ago: ago(memory.probed),
            proof: memory.proof.as_deref().cloned(),
            blocked_for: ago(memory.blocked_since),
            pool_flapped_ago: ago(memory.pool.and_then(|judged| judged.flapped)),
            repairs: memory.repairs,
            repaired_ago: ago(memory.repaired),
            rival: memory.rival.clone(),
            rejected: memory
                .rejected
                .as_deref()
                .cloned()
                .map(|(rejected, at)| Rejected { ago: now - at, ..rejected }),
            policies_missing_for: ago(memory.policies_missing_since).unwrap_or_default(),
            trouble_for: ago(memory.trouble_since).unwrap_or_default(),
            unbound_for: ago(memory.unbound_since),
            status_written_ago: ago(memory.status_written),
            released_ago: ago(memory.released),
        }
    }

    /// Notes what was written, and whose work it undid.
    pub fn note_applied(&mut self, name: &str, rival: Option<&str>, applied: &Applied, now: Instant) {
        let Some(memory) = self.by_name.get_mut(name) else { return };
        if let Some(pace) = applied.wrote {
            memory.changed(pace, now);
        }
        if applied.repaired {
            memory.repairs += 1;
            memory.repaired = Some(now);
            memory.rival = memory.rival.take().or(rival.map(str::to_owned));
        }
        let trouble = applied.waits_for().is_some()
            || applied
                .fault()
                .is_some_and(|fault| matches!(fault.category, Category::ApplyFailed | Category::Forbidden));
        memory.trouble_since = if trouble { memory.trouble_since.or(Some(now)) } else { None };
        let unbound = matches!(applied.binding, State::Absent | State::Unneeded);
        memory.unbound_since = if unbound { memory.unbound_since.or(Some(now)) } else { None };
    }

    /// Notes what came of a proof.
    pub fn note_proof(&mut self, name: &str, target: &Target, proof: &Proof, now: Instant) {
        let Some(memory) = self.by_name.get_mut(name) else { return };
        let again = memory.proof.as_deref().is_some_and(|(of, last)| of == target && *last == Proof::Proven);
        memory.probes += 1;
        memory.probed = Some(now);
        memory.proof = Some(Box::new((target.clone(), proof.clone())));
        memory.blocked_since = match proof {
            Proof::Blocked(_) | Proof::Unreachable(_) => memory.blocked_since.or(Some(now)),
            Proof::Proven | Proof::NotYet(_) | Proof::Mismatch(_) => None,
        };
        match proof {
            Proof::Proven => {
                memory.changed = None;
                // Proven again and again is what no status keeps, where the CRD is an older one.
                memory.probes = if again { memory.probes } else { 0 };
                memory.rejected = None;
            }
            Proof::Mismatch(text) => {
                memory.changed = memory.changed.or(Some((now, Pace::Slow)));
                let same =
                    memory.rejected.as_deref().filter(|(rejected, _)| rejected.content == target.content);
                let rejected = Rejected {
                    content: target.content.clone(),
                    text: text.clone(),
                    policies: memory.policies.as_ref().into(),
                    times: same.map_or(0, |(rejected, _)| rejected.times) + 1,
                    ago: Duration::ZERO,
                };
                memory.rejected = Some(Box::new((rejected, now)));
            }
            Proof::NotYet(_) | Proof::Blocked(_) | Proof::Unreachable(_) => {
                memory.changed = memory.changed.or(Some((now, Pace::Slow)));
            }
        }
    }

    /// Notes what a pass came to. Content that counts as built although its proof, once failed, cannot be made any more is
    /// told as that, and memory must not know better: another leader would not.
    pub fn note_outcome(&mut self, name: &str, outcome: &Outcome) {
        let accepted = match outcome {
            Outcome::Active { .. } | Outcome::FailedAfterBuild(_) => true,
            Outcome::Building { .. }
            | Outcome::FailedInBuild(_)
            | Outcome::Deleting { .. }
            | Outcome::Deleted => false,
        };
        if let Some(memory) = self.by_name.get_mut(name).filter(|_| accepted) {
            memory.rejected = None;
        }
    }

    /// Notes that the status was written, over another one.
    pub fn note_status(&mut self, name: &str, before: &ComputeStatus, status: &ComputeStatus, now: Instant) {
        if let Some(memory) = self.by_name.get_mut(name) {
            memory.status_written = Some(now);
            if before.is_used() && !status.is_used() {
                memory.released = Some(now);
            }
        }
    }

    /// Ends a pass: when to look again. Failures in a row wait 0.5 s to 5 min, and so do conflicts after the first five;
    /// success resets that.
    pub fn settle(&mut self, name: &str, next: &Next) -> Option<Duration> {
        if next.gone {
            self.by_name.remove(name);
        }
        if !next.retry && (next.progress || !next.conflict) {
            self.failing.remove(name);
        }
        if !(next.retry || next.conflict) {
            return next.wake.filter(|_| !next.gone);
        }
        let failing = self.failing.entry(name.to_owned()).or_insert_with(Failing::new);
        failing.conflicts = if next.retry { CONFLICTS_AT_ONCE } else { failing.conflicts + 1 };
        let pause = match (next.retry, failing.conflicts > CONFLICTS_AT_ONCE) {
            (true, _) => failing.pauses.next().unwrap_or(LONGEST_PAUSE),
            (false, true) => failing.pauses.next().unwrap_or(LONGEST_CONFLICT).min(LONGEST_CONFLICT),
            (false, false) => CONFLICT,
        };
        Some(next.wake.map_or(pause, |wake| wake.min(pause)))
    }

    /// The names whose passes fail, with their pauses begun anew: what made them fail may be over.
    pub fn forgive(&mut self) -> Vec<String> {
        self.failing.drain().map(|(name, _)| name).collect()
    }
}

/// A name whose passes fail, one after the other.
#[derive(Debug)]
struct Failing {
    conflicts: u32,
    pauses: ExponentialBackoff,
}

impl Failing {
    fn new() -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(LONGEST_PAUSE / 2)
            .with_jitter()
            .without_max_times()
            .build();
        Self { conflicts: 0, pauses }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_longer_also_of_a_compute_that_is_gone() {
        let mut memories = Memories::new(Settings::default());
        let pauses: Vec<_> = (0..12).filter_map(|_| memories.settle("gone", &Next::retry())).collect();
        assert!(pauses[0] >= Duration::from_millis(500));
        assert!(pauses[11] >= LONGEST_PAUSE / 2, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
        assert_eq!(memories.forgive(), ["gone"]);
        assert!(memories.settle("gone", &Next::retry()).unwrap() <= Duration::from_secs(1), "begun anew");
        memories.settle("gone", &Next::default());
        assert!(
            memories.settle("gone", &Next::retry()).unwrap() <= Duration::from_secs(1),
            "success resets that"
        );
    }

    #[test]
    fn the_first_conflicts_are_looked_at_soon_and_endless_ones_seldom() {
        let mut memories = Memories::new(Settings::default());
        let conflict = Next { conflict: true, ..Next::default() };
        let pauses: Vec<_> = (0..12).filter_map(|_| memories.settle("query", &conflict)).collect();
        assert_eq!(pauses[..5], [CONFLICT; 5]);
        assert_eq!(pauses[11], LONGEST_CONFLICT, "{pauses:?}");
    }

    #[test]
    fn nothing_is_remembered_of_a_name_that_is_done_with() {
        let mut memories = Memories::new(Settings::default());
        memories.settle("gone", &Next::retry());
        memories.settle("gone", &Next { gone: true, ..Next::default() });
        assert!(memories.failing.is_empty() && memories.by_name.is_empty());
    }
}

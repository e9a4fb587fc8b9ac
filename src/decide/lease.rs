//! The election of a leader, as client-go holds it: from what is seen of the Lease, and when, to what is to be done.
//!
//! Only what this process itself saw change counts, by its own monotonic clock (`now` is a time on it): never the times in
//! the Lease, and never its duration. Those are written for people. What a hostile Lease says can so delay a takeover by
//! its changes, and by nothing else. A Lease is no fence: two leaders for a moment must do no harm.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

use crate::api::names::LEASE;

/// The shortest pause between two tries: a shorter one would be a load, not an election.
const LEAST_RETRY: Duration = Duration::from_millis(100);
/// Within these a call about the Lease must be answered.
const CALL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Why the times of an election do not fit together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TermsError {
    /// A leader could still think that it leads while another one takes over.
    #[error(
        "--lease-duration ({duration:?}) must be longer than --lease-renew-deadline ({deadline:?}): a leader must stop before another one may begin"
    )]
    Deadline {
        /// The duration.
        duration: Duration,
        /// The deadline.
        deadline: Duration,
    },
    /// A leader could not try twice.
    #[error(
        "--lease-renew-deadline ({deadline:?}) must be longer than 1.2 times --lease-retry ({retry:?}): a leader must have time to try again"
    )]
    Retry {
        /// The deadline.
        deadline: Duration,
        /// The pause.
        retry: Duration,
    },
    /// There would be no pause.
    #[error("--lease-retry ({0:?}) must be at least 0.1 s")]
    Pause(Duration),
}

/// How long the parts of an election take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    duration: Duration,
    deadline: Duration,
    retry: Duration,
}

impl Terms {
    /// A candidate takes over after `duration` without a change; a leader that could not renew for `deadline` stops; tries
    /// are at most `retry` apart.
    pub fn new(duration: Duration, deadline: Duration, retry: Duration) -> Result<Self, TermsError> {
        if duration <= deadline {
            return Err(TermsError::Deadline { duration, deadline });
        }
        if deadline <= retry.saturating_mul(6) / 5 {
            return Err(TermsError::Retry { deadline, retry });
        }
        if retry < LEAST_RETRY {
            return Err(TermsError::Pause(retry));
        }
        Ok(Self { duration, deadline, retry })
    }

    /// How long a call about the Lease may take: a quarter of the deadline, so that a leader whose renewal hangs has time to
    /// pause, to read and to renew; 1 s to 5 s.
    pub fn call_limit(&self) -> Duration {
        (self.deadline / 4).clamp(CALL.0, CALL.1)
    }

    /// After this long without a sign of life the election of this process counts as dead.
    pub fn stall(&self) -> Duration {
        self.duration + 2 * CALL.1
    }

    /// A leader renews three times within its deadline: one lost renewal is not the end of its term.
    fn renew_every(&self) -> Duration {
        (self.deadline / 3).max(self.retry)
    }
}

/// A Lease as stored: the whole object, of which only the holder and the number of transitions are ever read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record(Value);

impl Record {
    /// From the object as the API server sends it.
    pub fn new(object: Value) -> Self {
        Self(object)
    }

    /// Who holds it; none for one that was released.
    pub fn holder(&self) -> Option<&str> {
        self.0["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
    }

    /// How often it changed hands.
    fn transitions(&self) -> i32 {
        let number = self.0["spec"]["leaseTransitions"].as_i64().unwrap_or_default();
        i32::try_from(number.max(0)).unwrap_or(i32::MAX)
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Todo {
    /// Nothing for this long; then ask again.
    Wait(Duration),
    /// Read the Lease.
    Read,
    /// Write it: [`Elector::manifest`]. A create, if there is none.
    Write {
        /// Whether there is none.
        create: bool,
    },
}

/// What is known of the Lease for a write.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    /// It is to be read first.
    Nothing,
    /// There is none.
    Absent,
    /// It is like this.
    Is(Record),
}

/// One candidate.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    terms: Terms,
    /// The pause between tries of this candidate.
    pause: Duration,
    known: Known,
    /// What the Lease said when it was seen to change last, and when that was.
    seen: Option<(Value, Duration)>,
    /// Nothing is to be done before.
    due: Duration,
    /// When the last renewal that was taken was *sent*.
    renewed: Option<Duration>,
    refusals: u32,
    why_lost: String,
    /// Whether this process does not see what it would work on, and did not when it began to lead.
    blind: bool,
    begun_blind: bool,
}

impl Elector {
    /// A candidate. `spread`, from 0 to 1, is what its pauses differ by from those of others.
    pub fn new(identity: String, terms: Terms, spread: f64) -> Self {
        // Never the whole: who looked just before the last sign of a leader's life leads `duration + retry` after it, and
        // its calls take of that, too.
        let share = 0.7 + 0.2 * spread.clamp(0.0, 1.0);
        Self {
            identity,
            pause: terms.retry.mul_f64(share),
            terms,
            known: Known::Nothing,
            seen: None,
            due: Duration::ZERO,
            renewed: None,
            refusals: 0,
            why_lost: String::new(),
            blind: false,
            begun_blind: false,
        }
    }

    /// Says whether this process sees what it would work on. One that does not is a candidate behind all that do.
    pub fn sees(&mut self, sees: bool) {
        self.blind = !sees;
        self.begun_blind &= self.blind;
    }

    /// Whether it leads and should not: it turned blind, and others may see. Who was blind when it began leads on: nobody
    /// who sees had come.
    pub fn should_resign(&self) -> bool {
        self.renewed.is_some() && self.blind && !self.begun_blind
    }

    /// It leads no more, by its own will.
    pub fn resign(&mut self, now: Duration) {
        self.lose("its watches fail".into());
        self.due = now + self.pause;
    }

    /// Until when it leads, unless it renews; none while it does not lead.
    pub fn leads_until(&self) -> Option<Duration> {
        self.renewed.map(|renewed| renewed + self.terms.deadline)
    }

    /// Whether it leads.
    pub fn leads(&self, now: Duration) -> bool {
        self.leads_until().is_some_and(|until| now < until)
    }

    /// Why it leads no more.
    pub fn why_lost(&self) -> &str {
        &self.why_lost
    }

    /// What to do now. A leader whose time is over leads no more from here on.
    pub fn next(&mut self, now: Duration) -> Todo {
        if self.renewed.is_some() && !self.leads(now) {
            self.lose(format!("the Lease was not renewed for {} s", self.terms.deadline.as_secs_f64()));
        }
        if now < self.due {
            let end = self.leads_until().unwrap_or(self.due);
            return Todo::Wait(self.due.min(end).saturating_sub(now));
        }
        match self.known {
            Known::Nothing => Todo::Read,
            Known::Absent => Todo::Write { create: true },
            Known::Is(_) => Todo::Write { create: false },
        }
    }

    /// The Lease as it is to be written; `time` is the wall clock's, for people.
    pub fn manifest(&self, time: Timestamp) -> Value {
        self.held_by(Some(&self.identity), time)
    }

    /// The Lease as it is to be written by a leader that stops; none where that is not its own.
    pub fn release(&self, time: Timestamp) -> Option<Value> {
        let ours = matches!(&self.known, Known::Is(record) if record.holder() == Some(&self.identity));
        ours.then(|| self.held_by(None, time))
    }

    fn held_by(&self, holder: Option<&str>, time: Timestamp) -> Value {
        let stored = match &self.known {
            Known::Is(record) => Some(record),
            Known::Nothing | Known::Absent => None,
        };
        let mut object = stored.map_or_else(
            || json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}}),
            |record| record.0.clone(),
        );
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let (before, transitions) = stored.map_or((None, 0), |r| (r.holder(), r.transitions()));
        let same = holder.is_none() || before == holder;
        if !object["spec"].is_object() {
            object["spec"] = json!({});
        }
        let spec = &mut object["spec"];
        // A time that is the same as before would be no change, and so no sign of life.
        let text = |time: Timestamp| format!("{time:.6}");
        let later = time.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(time);
        let now = if spec["renewTime"] == text(time) { text(later) } else { text(time) };
        if !(same && spec["acquireTime"].is_string()) || holder.is_none() {
            spec["acquireTime"] = json!(now);
        }
        spec["renewTime"] = json!(now);
        spec["leaseTransitions"] =
            json!(if same || stored.is_none() { transitions } else { transitions.saturating_add(1) });
        let seconds = if holder.is_some() { self.terms.duration.as_secs_f64().ceil() } else { 1.0 };
        // At most a day: as `--lease-duration` allows.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = (seconds as i64).max(1);
        spec["leaseDurationSeconds"] = json!(seconds);
        match (holder, spec.as_object_mut()) {
            (Some(holder), Some(spec)) => {
                spec.insert("holderIdentity".into(), json!(holder));
            }
            (None, Some(spec)) => {
                spec.remove("holderIdentity");
            }
            (_, None) => {}
        }
        object
    }

    /// The Lease was read: none if there is none.
    pub fn read(&mut self, found: Option<Record>, now: Duration) {
        self.due = now;
        let Some(record) = found else {
            self.seen = None;
            self.known = Known::Absent;
            return;
        };
        self.see(&record, now);
        let holder = record.holder().map(str::to_owned);
        self.known = Known::Is(record);
        match holder {
            None => self.wait_for_change(Duration::ZERO, now),
            // Ours: renewed, or written by a call whose answer was lost. Who is blind and could not release it waits as for
            // anybody's: those who see come first.
            Some(holder) if holder == self.identity && (self.renewed.is_some() || !self.blind) => {}
            Some(holder) => {
                if self.renewed.is_some() {
                    // As long as an identity may be, which anybody may write.
                    let holder: String = holder.chars().take(100).collect();
                    self.lose(format!("{holder} holds the Lease"));
                }
                self.wait_for_change(self.terms.duration, now);
            }
        }
    }

    /// Waits until the Lease was silent for so long. Who is blind waits longer, for those who see look once in that time.
    fn wait_for_change(&mut self, silence: Duration, now: Duration) {
        let behind = if self.blind { 2 * self.terms.retry + self.terms.call_limit() } else { Duration::ZERO };
        let silent_at = self.seen.as_ref().map_or(now, |(_, since)| *since) + silence + behind;
        if now < silent_at {
            self.known = Known::Nothing;
            self.due = (now + self.pause).min(silent_at);
        }
    }

    /// A write that was sent at `sent` was taken, and this is what was stored.
    pub fn wrote(&mut self, sent: Duration, stored: Record, now: Duration) {
        self.refusals = 0;
        if self.renewed.is_none() {
            self.begun_blind = self.blind;
        }
        self.see(&stored, now);
        self.known = Known::Is(stored);
        // From when it was sent: others saw it later than that.
        self.renewed = Some(sent);
        self.due = sent + self.terms.renew_every();
    }

    /// A write was refused, since the Lease had changed: it is looked at, at once the first time.
    pub fn refused(&mut self, now: Duration) {
        self.refusals += 1;
        self.known = Known::Nothing;
        self.due = if self.refusals > 1 { now + self.pause } else { now };
    }

    /// A call failed, and nobody knows whether it was done.
    pub fn failed(&mut self, now: Duration) {
        self.known = Known::Nothing;
        self.due = now + self.pause;
    }

    fn see(&mut self, record: &Record, now: Duration) {
        let spec = &record.0["spec"];
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != spec) {
            self.seen = Some((spec.clone(), now));
        }
    }

    fn lose(&mut self, why: String) {
        self.renewed = None;
        self.known = Known::Nothing;
        self.why_lost = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn terms() -> Terms {
        Terms::new(15 * S, 10 * S, 2 * S).unwrap()
    }

    fn elector(identity: &str) -> Elector {
        Elector::new(identity.into(), terms(), 1.0)
    }

    fn lease(spec: Value) -> Record {
        Record::new(json!({"metadata": {"name": "poros", "resourceVersion": "7"}, "spec": spec}))
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// An elector that leads since 0 s.
    fn leader(identity: &str) -> Elector {
        let mut elector = elector(identity);
        elector.read(None, Duration::ZERO);
        let stored = Record::new(elector.manifest(time(0)));
        elector.wrote(Duration::ZERO, stored, Duration::ZERO);
        elector
    }

    #[test]
    fn terms_that_do_not_fit_are_refused() {
        assert_eq!(
            Terms::new(10 * S, 10 * S, 2 * S),
            Err(TermsError::Deadline { duration: 10 * S, deadline: 10 * S })
        );
        assert_eq!(
            Terms::new(15 * S, 10 * S, 9 * S),
            Err(TermsError::Retry { deadline: 10 * S, retry: 9 * S })
        );
        assert_eq!(Terms::new(15 * S, 10 * S, Duration::ZERO), Err(TermsError::Pause(Duration::ZERO)));
        assert_eq!(terms().call_limit(), 5 * S / 2);
        assert_eq!(Terms::new(3 * S, 2 * S, S / 2).unwrap().call_limit(), S);
    }

    #[test]
    fn a_lease_that_is_absent_or_released_is_taken_at_once() {
        let mut first = elector("a");
        assert_eq!(first.next(Duration::ZERO), Todo::Read);
        first.read(None, Duration::ZERO);
        assert_eq!(first.next(Duration::ZERO), Todo::Write { create: true });
        let object = first.manifest(time(5));
        assert_eq!(
            object["spec"],
            json!({
                "holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                "acquireTime": "1970-01-01T00:00:05.000000Z", "renewTime": "1970-01-01T00:00:05.000000Z",
            })
        );
        for holder in [json!(null), json!("")] {
            let mut next = elector("b");
            next.read(Some(lease(json!({"holderIdentity": holder, "leaseTransitions": 3}))), S);
            assert_eq!(next.next(S), Todo::Write { create: false });
            assert_eq!(next.manifest(time(5))["spec"]["leaseTransitions"], 4);
        }
    }

    #[test]
    fn only_observed_silence_makes_a_takeover_whatever_the_lease_says() {
        let hostile = [
            json!({"holderIdentity": "x", "leaseDurationSeconds": 0, "renewTime": "2036-01-01T00:00:00.000000Z"}),
            json!({"holderIdentity": "x", "leaseDurationSeconds": -1, "renewTime": "1990-01-01T00:00:00.000000Z"}),
            json!({"holderIdentity": "x", "leaseDurationSeconds": i32::MAX, "leaseTransitions": i32::MAX}),
            json!({"holderIdentity": "x", "leaseTransitions": -5}),
            json!({"holderIdentity": "x", "leaseTransitions": u64::MAX, "renewTime": 7, "acquireTime": []}),
        ];
        for spec in hostile {
            let mut elector = elector("a");
            for second in 0..15 {
                elector.read(Some(lease(spec.clone())), S * second);
                assert!(matches!(elector.next(S * second), Todo::Wait(_)), "{spec} at {second} s");
            }
            assert_eq!(elector.next(15 * S), Todo::Read, "it looks once more");
            elector.read(Some(lease(spec.clone())), 15 * S);
            assert_eq!(elector.next(15 * S), Todo::Write { create: false });
            let written = elector.manifest(time(1));
            assert!(
                written["spec"]["leaseTransitions"]
                    .as_i64()
                    .is_some_and(|n| (1..=2_147_483_647).contains(&n))
            );
            assert_eq!(written["spec"]["leaseDurationSeconds"], 15);
            assert!(written["spec"]["acquireTime"].is_string());
        }
    }

    #[test]
    fn a_change_begins_the_silence_anew_and_a_foreign_label_is_none() {
        let mut elector = elector("a");
        let held = |renewed: u32| json!({"holderIdentity": "b", "renewTime": renewed});
        elector.read(Some(lease(held(1))), Duration::ZERO);
        elector.read(Some(lease(held(2))), 14 * S);
        assert!(matches!(elector.next(14 * S), Todo::Wait(_)));
        let labelled = Record::new(json!({"metadata": {"labels": {"a": "b"}}, "spec": held(2)}));
        elector.read(Some(labelled), 29 * S);
        assert_eq!(elector.next(29 * S), Todo::Write { create: false });
    }

    #[test]
    fn a_leader_renews_in_time_and_stops_at_its_deadline() {
        let mut leader = leader("a");
        assert!(leader.leads(Duration::ZERO));
        let Todo::Wait(wait) = leader.next(Duration::ZERO) else { panic!("it renews at once") };
        assert!(wait > 3 * S && wait < 4 * S, "{wait:?}");
        assert_eq!(leader.next(4 * S), Todo::Write { create: false });
        leader.failed(5 * S);
        assert_eq!(leader.next(7 * S), Todo::Read);
        leader.failed(9 * S);
        assert_eq!(leader.next(9 * S), Todo::Wait(S), "not beyond its deadline");
        assert!(leader.leads(10 * S - Duration::from_nanos(1)) && !leader.leads(10 * S));
        leader.next(10 * S);
        assert_eq!(leader.leads_until(), None);
        assert_eq!(leader.why_lost(), "the Lease was not renewed for 10 s");
    }

    #[test]
    fn a_renewal_that_hangs_is_not_the_end_of_a_term() {
        let mut leader = leader("a");
        let limit = leader.terms.call_limit();
        let mine = Record::new(leader.manifest(time(0)));
        let Todo::Wait(sent) = leader.next(Duration::ZERO) else { panic!("it renews at once") };
        assert_eq!(leader.next(sent), Todo::Write { create: false });
        leader.failed(sent + limit);
        let Todo::Wait(pause) = leader.next(sent + limit) else { panic!("it does not pause") };
        let again = sent + limit + pause;
        assert_eq!(leader.next(again), Todo::Read);
        // Each of these may take a second.
        leader.read(Some(mine), again + S);
        assert_eq!(leader.next(again + S), Todo::Write { create: false });
        assert!(leader.leads(again + 2 * S), "{:?}", again + 2 * S);
    }

    #[test]
    fn a_renewal_whose_reply_was_lost_is_found_to_be_ours() {
        let mut leader = leader("a");
        let mine = leader.manifest(time(4));
        leader.failed(5 * S);
        leader.read(Some(Record::new(mine)), 7 * S);
        assert_eq!(leader.next(7 * S), Todo::Write { create: false });
        assert_eq!(leader.manifest(time(7))["spec"]["leaseTransitions"], 0, "the same term");
        assert!(leader.leads(7 * S));
    }

    #[test]
    fn a_leader_whose_lease_was_stolen_stops_at_once_and_one_whose_lease_was_deleted_makes_it_anew() {
        let mut stolen = leader("a");
        stolen.refused(4 * S);
        assert_eq!(stolen.next(4 * S), Todo::Read);
        stolen.read(Some(lease(json!({"holderIdentity": "thief"}))), 4 * S);
        assert!(!stolen.leads(4 * S));
        assert_eq!(stolen.why_lost(), "thief holds the Lease");
        assert!(matches!(stolen.next(4 * S), Todo::Wait(_)));

        let mut deleted = leader("a");
        deleted.refused(4 * S);
        deleted.read(None, 4 * S);
        assert!(deleted.leads(4 * S));
        assert_eq!(deleted.next(4 * S), Todo::Write { create: true });
    }

    #[test]
    fn a_leader_that_turns_blind_makes_way_and_comes_back_behind_those_who_see() {
        let mut blind = leader("a");
        assert!(!blind.should_resign());
        blind.sees(false);
        assert!(blind.should_resign());
        let free = Record::new(blind.release(time(4)).unwrap());
        blind.resign(4 * S);
        assert!(!blind.leads(4 * S) && !blind.should_resign());
        assert_eq!(blind.why_lost(), "its watches fail");
        assert_eq!(blind.next(6 * S), Todo::Read);
        blind.read(Some(free.clone()), 6 * S);
        assert_eq!(blind.next(6 * S), Todo::Wait(S * 9 / 5));
        let mut sees = elector("b");
        sees.read(Some(free.clone()), 7 * S);
        assert_eq!(sees.next(7 * S), Todo::Write { create: false }, "at once");
        // Nobody came: it is as blind as all are, and leads on.
        blind.read(Some(free.clone()), 12 * S);
        assert!(matches!(blind.next(12 * S), Todo::Wait(_)));
        blind.read(Some(free), 13 * S);
        assert_eq!(blind.next(13 * S), Todo::Write { create: false });
        blind.wrote(13 * S, Record::new(blind.manifest(time(13))), 13 * S);
        assert!(blind.leads(13 * S) && !blind.should_resign());
        blind.sees(true);
        blind.sees(false);
        assert!(blind.should_resign(), "it saw in between");
    }

    #[test]
    fn a_blind_leader_whose_release_failed_waits_out_its_own_lease() {
        let mut blind = leader("a");
        // The last renewal, whose answer was lost: first seen at 6 s.
        let mine = Record::new(blind.manifest(time(1)));
        blind.sees(false);
        blind.resign(4 * S);
        let mut sees = elector("b");
        sees.read(Some(mine.clone()), 2 * S);
        for second in 6..28 {
            blind.read(Some(mine.clone()), S * second);
            assert!(matches!(blind.next(S * second), Todo::Wait(_)), "at {second} s");
        }
        sees.read(Some(mine.clone()), 17 * S);
        assert_eq!(sees.next(17 * S), Todo::Write { create: false }, "the one that sees comes first");
        // Nobody came.
        let mut alone = blind;
        alone.read(Some(mine.clone()), 28 * S);
        assert_eq!(alone.next(28 * S), Todo::Write { create: false });
        alone.wrote(28 * S, Record::new(alone.manifest(time(28))), 28 * S);
        assert!(alone.leads(28 * S) && !alone.should_resign());

        let mut healed = leader("a");
        healed.sees(false);
        healed.resign(4 * S);
        healed.sees(true);
        healed.read(Some(mine), 6 * S);
        assert_eq!(healed.next(6 * S), Todo::Write { create: false }, "its own, and it sees");
    }

    #[test]
    fn refusals_without_end_are_no_loop() {
        let mut elector = elector("a");
        elector.read(None, Duration::ZERO);
        elector.refused(Duration::ZERO);
        assert_eq!(elector.next(Duration::ZERO), Todo::Read);
        elector.read(None, Duration::ZERO);
        elector.refused(Duration::ZERO);
        assert_eq!(elector.next(Duration::ZERO), Todo::Wait(S * 9 / 5));
    }

    #[test]
    fn each_renewal_is_a_change_also_when_the_wall_clock_stands_still() {
        let mut leader = leader("a");
        let first = leader.manifest(time(0));
        assert_eq!(first["spec"]["renewTime"], "1970-01-01T00:00:00.000001Z");
        leader.wrote(S, Record::new(first.clone()), S);
        assert_ne!(leader.manifest(time(0))["spec"]["renewTime"], first["spec"]["renewTime"]);
    }

    #[test]
    fn a_release_keeps_what_others_wrote_and_is_made_by_the_holder_alone() {
        let mut elector = elector("a");
        assert_eq!(elector.release(time(0)), None);
        let object = json!({
            "metadata": {"name": "poros", "labels": {"a": "b"}, "managedFields": []},
            "spec": {"holderIdentity": "a", "leaseTransitions": 4, "strategy": null},
        });
        elector.read(Some(Record::new(object)), Duration::ZERO);
        let released = elector.release(time(9)).unwrap();
        assert_eq!(released["spec"]["holderIdentity"], json!(null));
        assert_eq!(released["spec"]["leaseTransitions"], 4);
        assert_eq!(released["metadata"], json!({"name": "poros", "labels": {"a": "b"}}));
    }
}

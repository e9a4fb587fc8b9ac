//! Candidates with clocks of their own, pauses, lost requests and lost replies: no two lead at a time, and in the end one does.
//! In fair weather, who leads after a leader's death does so soon.

use std::time::Duration;

use jiff::Timestamp;
use poros::decide::lease::{Elector, Record, Terms, Todo};
use proptest::prelude::*;
use serde_json::{Value, json};

const MS: Duration = Duration::from_millis(1);
/// A step of true time.
const STEP: Duration = Duration::from_millis(50);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Done,
    RequestLost,
    ReplyLost,
}

/// What happens to a candidate in a second.
#[derive(Clone, Copy, Debug)]
struct Weather {
    paused: bool,
    fate: Fate,
    /// How long a call takes there, and its answer back.
    delay: u16,
}

fn weather() -> impl Strategy<Value = Weather> {
    let fate = prop_oneof![6 => Just(Fate::Done), 1 => Just(Fate::RequestLost), 1 => Just(Fate::ReplyLost)];
    (prop::bool::weighted(0.25), fate, 0..2500u16).prop_map(|(paused, fate, delay)| Weather {
        paused,
        fate,
        delay,
    })
}

/// The Lease in the API server.
#[derive(Default)]
struct Store {
    object: Option<Value>,
    version: u64,
}

impl Store {
    fn write(&mut self, mut object: Value, create: bool) -> Result<Value, ()> {
        let current = self.object.as_ref().map(|object| object["metadata"]["resourceVersion"].clone());
        if create != current.is_none()
            || current.is_some_and(|at| at != object["metadata"]["resourceVersion"])
        {
            return Err(());
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.object = Some(object.clone());
        Ok(object)
    }
}

/// A call under way: first on its way there, then on its way back.
struct Call {
    todo: Todo,
    manifest: Value,
    sent: Duration,
    fate: Fate,
    there_at: Duration,
    back_at: Duration,
    limit_at: Duration,
    answer: Option<Result<Option<Value>, ()>>,
}

struct Candidate {
    elector: Elector,
    /// What its clock makes of true time.
    rate: f64,
    offset: Duration,
    call: Option<Call>,
    asleep_until: Duration,
}

impl Candidate {
    fn clock(&self, now: Duration) -> Duration {
        self.offset + now.mul_f64(self.rate)
    }

    fn leads(&self, now: Duration) -> bool {
        self.elector.leads(self.clock(now))
    }

    /// What the API server does with its call, whether it runs or not.
    fn serve(&mut self, store: &mut Store, now: Duration) {
        let Some(call) = self.call.as_mut().filter(|call| call.answer.is_none() && now >= call.there_at)
        else {
            return;
        };
        if call.fate == Fate::RequestLost {
            return;
        }
        call.answer = Some(match call.todo {
            Todo::Read => Ok(store.object.clone()),
            Todo::Write { create } => store.write(call.manifest.clone(), create).map(Some),
            Todo::Wait(_) => Err(()),
        });
    }

    fn run(&mut self, now: Duration, weather: Weather, terms: Terms) {
        let clock = self.clock(now);
        if let Some(call) = &self.call {
            let heard = call.fate == Fate::Done && call.answer.is_some() && now >= call.back_at;
            if !heard && now < call.limit_at {
                return;
            }
            let call = self.call.take().unwrap();
            match (heard, call.answer, call.todo) {
                (true, Some(Ok(found)), Todo::Read) => self.elector.read(found.map(Record::new), clock),
                (true, Some(Ok(Some(stored))), _) => {
                    self.elector.wrote(call.sent, Record::new(stored), clock);
                }
                (true, Some(Err(())), _) => self.elector.refused(clock),
                _ => self.elector.failed(clock),
            }
        }
        if now < self.asleep_until {
            return;
        }
        let todo = self.elector.next(clock);
        if let Todo::Wait(wait) = todo {
            self.asleep_until = now + wait.div_f64(self.rate).min(Duration::from_secs(60));
            return;
        }
        let left = self.elector.leads_until().map_or(terms.call_limit(), |until| until.saturating_sub(clock));
        let delay = MS * u32::from(weather.delay);
        self.call = Some(Call {
            todo,
            manifest: self.elector.manifest(
                Timestamp::from_millisecond(1_000_000 + i64::try_from(now.as_millis()).unwrap()).unwrap(),
            ),
            sent: clock,
            fate: weather.fate,
            there_at: now + delay / 2,
            back_at: now + delay,
            limit_at: now + left.min(terms.call_limit()).div_f64(self.rate),
            answer: None,
        });
    }
}

/// The times that `poros run` has by itself.
fn terms() -> Terms {
    let second = Duration::from_secs(1);
    Terms::new(15 * second, 10 * second, 2 * second).unwrap()
}

/// Candidates with these clocks and these pauses.
fn candidates(rates: &[f64], offsets: &[u32], spreads: &[f64]) -> Vec<Candidate> {
    let candidate = |(index, rate): (usize, &f64)| Candidate {
        elector: Elector::new(format!("candidate-{index}"), terms(), spreads[index]),
        rate: *rate,
        offset: MS * offsets[index],
        call: None,
        asleep_until: Duration::ZERO,
    };
    rates.iter().enumerate().map(candidate).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_two_lead_and_in_the_end_one_does(
        // A deadline of 10 s of the slowest clock must end before 15 s of the fastest: their ratio is below 1.5.
        rates in prop::collection::vec(0.85..1.15f64, 2..4),
        offsets in prop::collection::vec(0..1_000_000u32, 3),
        spreads in prop::collection::vec(0.0..1.0f64, 3),
        weathers in prop::collection::vec(prop::collection::vec(weather(), 3), 30..90),
    ) {
        let second = Duration::from_secs(1);
        let mut store = Store::default();
        let mut candidates = candidates(&rates, &offsets, &spreads);
        let fair = Weather { paused: false, fate: Fate::Done, delay: 20 };
        let storm = second * u32::try_from(weathers.len()).unwrap();
        // After the storm: a whole duration of the slowest clock, and some tries.
        let end = storm + 40 * second;
        let (mut now, mut led_at_the_end) = (Duration::ZERO, 0);
        while now < end {
            let of = usize::try_from(now.as_secs()).unwrap();
            for (index, candidate) in candidates.iter_mut().enumerate() {
                candidate.serve(&mut store, now);
                let weather = weathers.get(of).map_or(fair, |weathers| weathers[index]);
                if !weather.paused {
                    candidate.run(now, weather, terms());
                }
            }
            // One that is paused leads, too, as long as its clock says so: it may wake at any moment.
            let leaders = candidates.iter().filter(|candidate| candidate.leads(now)).count();
            prop_assert!(leaders <= 1, "{leaders} leaders at {now:?}");
            led_at_the_end = leaders;
            now += STEP;
        }
        prop_assert_eq!(led_at_the_end, 1, "somebody leads when all is well again");
    }

    #[test]
    fn a_leader_that_is_killed_is_followed_within_the_duration_of_its_lease_and_two_seconds(
        // Clocks as they are: of one rate, within 100 in a million.
        rates in prop::collection::vec(0.9999..1.0001f64, 2..4),
        offsets in prop::collection::vec(0..1_000_000u32, 3),
        spreads in prop::collection::vec(prop_oneof![1 => Just(0.0), 3 => Just(1.0), 1 => 0.0..=1.0f64], 3),
        starts in prop::collection::vec(0..5_000u32, 3),
        // A call is answered within 30 ms.
        delay in prop_oneof![Just(30), 0..=30u16],
        // At any moment, and often at the worst one: a renewal was just taken, and those who stand by just looked.
        renewals in 3..12u64,
        later in prop_oneof![3 => Just(0), 1 => 0..3_500u32],
    ) {
        let second = Duration::from_secs(1);
        let (limit, step) = (17 * second, 10 * MS);
        let fair = Weather { paused: false, fate: Fate::Done, delay };
        let mut store = Store::default();
        let mut candidates = candidates(&rates, &offsets, &spreads);
        for (candidate, start) in candidates.iter_mut().zip(starts) {
            candidate.asleep_until = MS * start;
        }
        let (mut now, mut renewed_at, mut dead, mut killed_at) = (Duration::ZERO, None, None, Duration::MAX);
        loop {
            if store.version == renewals && dead.is_none() {
                killed_at = *renewed_at.get_or_insert(now) + MS * later;
            }
            if dead.is_none() && now >= killed_at {
                dead = candidates.iter().position(|candidate| candidate.leads(now));
                prop_assert!(dead.is_some(), "nobody leads in fair weather");
            }
            for (index, candidate) in candidates.iter_mut().enumerate() {
                // What the dead one sent may arrive.
                candidate.serve(&mut store, now);
                if dead != Some(index) {
                    candidate.run(now, fair, terms());
                }
            }
            let next = |(index, candidate): (usize, &Candidate)| dead != Some(index) && candidate.leads(now);
            if dead.is_some() && candidates.iter().enumerate().any(next) {
                break;
            }
            prop_assert!(now < 60 * second || dead.is_some(), "nobody renews in fair weather");
            prop_assert!(now < killed_at.saturating_add(limit), "nobody leads {limit:?} after the leader's death");
            now += step;
        }
    }
}

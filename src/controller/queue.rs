//! The queue of names: each at most once, none twice at a time, live changes before the backlog of the start.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A burst of changes to one name: the first is worked on at once, the rest in one pass this long after its start.
const COALESCE: Duration = Duration::from_millis(100);

/// When a name is looked at again whose work ended without a word.
const LOST: Duration = Duration::from_secs(1);

/// A keyed, deduplicating queue with timers.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    live: VecDeque<String>,
    backlog: VecDeque<String>,
    queued: HashSet<String>,
    running: HashSet<String>,
    /// Changed while it was worked on.
    again: HashSet<String>,
    started: HashMap<String, Instant>,
    timers: BTreeSet<(Instant, String)>,
    timer_of: HashMap<String, Instant>,
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something changed about a name. The backlog waits behind live changes.
    pub fn push(&self, name: String, backlog: bool) {
        self.state().push(name, backlog, Instant::now());
        self.changed.notify_one();
    }

    /// Something changed about a name that can wait so long; any look at it before meets that.
    pub fn push_within(&self, name: &str, delay: Duration) {
        self.state().push_within(name, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// The next name to work on.
    pub async fn next(&self) -> String {
        loop {
            let changed = self.changed.notified();
            let wait = match self.state().pop(Instant::now()) {
                Ok(name) => return name,
                Err(wait) => wait,
            };
            match wait {
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// The work on a name is under way until what this gives is dropped; whatever ends it, it ends.
    pub fn working(&self, name: String) -> Working<'_> {
        Working { queue: self, name, wake: Some(LOST) }
    }

    /// Forgets all that waits; what is worked on is worked on.
    pub fn clear(&self) {
        let mut state = self.state();
        let running = std::mem::take(&mut state.running);
        *state = State { running, ..State::default() };
    }

    /// Names that wait to be worked on.
    pub fn len(&self) -> usize {
        self.state().queued.len()
    }

    /// Whether no name waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names that are worked on.
    pub fn running(&self) -> usize {
        self.state().running.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work on a name.
#[derive(Debug)]
pub struct Working<'a> {
    queue: &'a Queue,
    name: String,
    wake: Option<Duration>,
}

impl Working<'_> {
    /// It is done; the name is looked at again after `wake`, if nothing changes before.
    pub fn done(mut self, wake: Option<Duration>) {
        self.wake = wake;
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.queue.state().done(&self.name, self.wake, Instant::now());
        self.queue.changed.notify_one();
    }
}

impl State {
    fn push(&mut self, name: String, backlog: bool, now: Instant) {
        if self.running.contains(&name) {
            self.again.insert(name);
            return;
        }
        if self.queued.contains(&name) {
            return;
        }
        let earliest = self.started.get(&name).map(|started| *started + COALESCE);
        if let Some(at) = earliest.filter(|at| *at > now) {
            self.at(&name, at);
            return;
        }
        self.enqueue(name, backlog);
    }

    fn push_within(&mut self, name: &str, at: Instant) {
        if !self.queued.contains(name) {
            self.at(name, at);
        }
    }

    fn enqueue(&mut self, name: String, backlog: bool) {
        self.queued.insert(name.clone());
        if backlog { self.backlog.push_back(name) } else { self.live.push_back(name) }
    }

    /// Sets the timer of a name, unless it has an earlier one.
    fn at(&mut self, name: &str, at: Instant) {
        if let Some(known) = self.timer_of.get(name) {
            if *known <= at {
                return;
            }
            self.timers.remove(&(*known, name.to_owned()));
        }
        self.timers.insert((at, name.to_owned()));
        self.timer_of.insert(name.to_owned(), at);
    }

    /// The next name, or how long until there may be one.
    fn pop(&mut self, now: Instant) -> Result<String, Option<Duration>> {
        while let Some((at, name)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, name.clone()));
            self.timer_of.remove(&name);
            if self.running.contains(&name) {
                self.again.insert(name);
            } else if !self.queued.contains(&name) {
                self.enqueue(name, false);
            }
        }
        let Some(name) = self.live.pop_front().or_else(|| self.backlog.pop_front()) else {
            return Err(self.timers.first().map(|(at, _)| at.saturating_duration_since(now)));
        };
        self.queued.remove(&name);
        // This pass looks at everything, so an earlier wish to look again is met.
        if let Some(at) = self.timer_of.remove(&name) {
            self.timers.remove(&(at, name.clone()));
        }
        self.running.insert(name.clone());
        self.started.retain(|_, started| now < *started + COALESCE);
        self.started.insert(name.clone(), now);
        Ok(name)
    }

    fn done(&mut self, name: &str, wake: Option<Duration>, now: Instant) {
        self.running.remove(name);
        if let Some(wake) = wake {
            self.at(name, now + wake);
        }
        if self.again.remove(name) {
            self.push(name.to_owned(), false, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_name_is_queued_once_and_worked_on_once_at_a_time() {
        let (mut state, start) = (State::default(), Instant::now());
        state.push("a".into(), false, start);
        state.push("a".into(), false, start);
        assert_eq!(state.pop(start), Ok("a".into()));
        assert_eq!(state.pop(start), Err(None));
        state.push("a".into(), false, start + MS);
        assert_eq!(state.pop(start + MS), Err(None), "it is worked on");
        state.done("a", None, start + 2 * MS);
        assert_eq!(state.pop(start + 2 * MS), Err(Some(COALESCE - 2 * MS)), "the rest of a burst waits");
        assert_eq!(state.pop(start + COALESCE), Ok("a".into()));
    }

    #[test]
    fn what_can_wait_waits_for_the_next_look() {
        let (mut state, start) = (State::default(), Instant::now());
        let later = start + 1000 * MS;
        state.push_within("a", later);
        state.push_within("a", later + MS);
        assert_eq!(state.pop(start), Err(Some(1000 * MS)));
        state.push("a".into(), false, start);
        assert_eq!(state.pop(start), Ok("a".into()));
        state.done("a", None, start);
        assert_eq!(state.pop(later), Err(None), "it was looked at");
        state.push("a".into(), false, later);
        assert_eq!(state.pop(later), Ok("a".into()));
        state.push_within("a", later + 500 * MS);
        state.done("a", None, later);
        assert_eq!(state.pop(later), Err(Some(500 * MS)), "what changed during a look is not lost");
    }

    #[test]
    fn a_timer_that_fires_during_a_look_makes_no_second_one_beside_it() {
        let (mut state, start) = (State::default(), Instant::now());
        state.push("a".into(), false, start);
        assert_eq!(state.pop(start), Ok("a".into()));
        state.push_within("a", start + MS);
        assert_eq!(state.pop(start + 1000 * MS), Err(None), "it is worked on");
        state.done("a", None, start + 1001 * MS);
        assert_eq!(state.pop(start + 1001 * MS), Ok("a".into()), "and looked at after that");
    }

    #[test]
    fn live_changes_go_before_the_backlog() {
        let (mut state, now) = (State::default(), Instant::now());
        state.push("old".into(), true, now);
        state.push("new".into(), false, now);
        assert_eq!(state.pop(now), Ok("new".into()));
        assert_eq!(state.pop(now), Ok("old".into()));
    }

    #[tokio::test]
    async fn work_that_panics_ends_and_is_made_again() {
        let queue = std::sync::Arc::new(Queue::new());
        queue.push("a".into(), false);
        assert_eq!(queue.next().await, "a");
        let of = queue.clone();
        let panicked = tokio::spawn(async move {
            let _working = of.working("a".into());
            assert!(std::env::args().count() == 0, "a bug");
        });
        assert!(panicked.await.is_err());
        assert_eq!(queue.running(), 0);
        assert_eq!(queue.next().await, "a");
        queue.working("a".into()).done(None);
        assert_eq!(queue.running(), 0);
    }

    #[test]
    fn the_earliest_timer_counts_and_a_pass_meets_it() {
        let (mut state, now) = (State::default(), Instant::now());
        state.push("a".into(), false, now);
        assert_eq!(state.pop(now), Ok("a".into()));
        state.done("a", Some(500 * MS), now);
        state.at("a", now + 900 * MS);
        assert_eq!(state.pop(now), Err(Some(500 * MS)));
        state.push("a".into(), false, now + 200 * MS);
        assert_eq!(state.pop(now + 200 * MS), Ok("a".into()));
        state.done("a", None, now + 201 * MS);
        assert_eq!(state.pop(now + 10_000 * MS), Err(None), "the timer went with the pass");
    }
}

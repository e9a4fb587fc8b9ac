//! What changes all the time costs little: a whole pool that flips, users that come and go, by the real world and rules.

use std::time::Duration;

use poros::api::status::AggregateStatus;
use poros::decide::pool::Node;
use poros::world::users::Pod;
use poros::world::{Change, World};

use crate::sim::{NAME, Sim};

/// A burst is folded into one pass this long after the last one, as the queue does.
const COALESCE: Duration = Duration::from_millis(100);
const MS: Duration = Duration::from_millis(1);

/// A pretended Compute whose pool and users come from a real world.
struct Story {
    sim: Sim,
    world: World,
    /// When the pass that is due is to be made.
    due: Option<Duration>,
    passed: Option<Duration>,
    passes: u32,
}

impl Story {
    /// One Compute, active over 1,000 nodes.
    fn new() -> Self {
        let mut sim = Sim::new();
        sim.nodes(0);
        let mut world = World::new();
        for index in 0..1000 {
            world.apply(node(index, true));
        }
        world.apply(Change::Compute(NAME.into(), sim.compute.clone().map(Box::new)));
        let mut story = Self { sim, world, due: Some(Duration::ZERO), passed: None, passes: 0 };
        story.run(Duration::from_secs(600));
        let status = &story.sim.compute.as_ref().unwrap().status;
        assert_eq!(status.aggregate_status, AggregateStatus::Active);
        assert_eq!(status.nodes.as_ref().unwrap().summary, "1000/1000");
        assert_eq!(story.due, None, "nothing is left to do");
        story
    }

    fn apply(&mut self, change: Change) {
        for name in self.world.apply(change) {
            assert_eq!(name, NAME);
            let earliest = self.passed.map_or(Duration::ZERO, |passed| passed + COALESCE);
            let at = earliest.max(self.sim.elapsed);
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Lets time pass, and makes the passes that are due meanwhile.
    fn run(&mut self, time: Duration) {
        let end = self.sim.elapsed + time;
        while let Some(due) = self.due.filter(|due| *due <= end) {
            self.sim.elapsed = due.max(self.sim.elapsed);
            let observed = self.world.observe(NAME);
            (self.sim.pool, self.sim.users) = (observed.pool, observed.users);
            let wake = self.sim.pass().ok().flatten().and_then(|(_, wake)| wake);
            self.passed = Some(self.sim.elapsed);
            self.passes += 1;
            self.due = wake.map(|wake| self.sim.elapsed + wake);
        }
        self.sim.elapsed = end;
    }

    /// Status writes during `what`.
    fn writes(&mut self, what: impl FnOnce(&mut Self)) -> usize {
        let before = self.sim.written.len();
        what(self);
        self.sim.written.len() - before
    }
}

fn node(index: u32, ready: bool) -> Change {
    let labels = [("pool".to_owned(), "a".to_owned())].into();
    Change::Node(format!("node-{index}"), Some(Box::new(Node { labels, ready, ..Node::default() })))
}

fn pod(index: u32, is: bool) -> Change {
    Change::Pod(format!("ns/pod-{index}"), is.then(|| Pod { compute: NAME.into(), revision: Some(1) }))
}

#[test]
fn a_thousand_nodes_that_flip_within_a_second_are_at_most_eleven_writes() {
    let mut story = Story::new();
    let down = story.writes(|story| {
        for index in 0..1000 {
            story.apply(node(index, false));
            story.run(MS);
        }
        story.run(Duration::from_secs(120));
    });
    let status = &story.sim.compute.as_ref().unwrap().status;
    assert_eq!(status.aggregate_status, AggregateStatus::Error);
    assert_eq!(status.nodes.as_ref().unwrap().summary, "0/1000");
    assert!(down <= 11, "{down} writes");
    let flapping = story.writes(|story| {
        for round in 0..10 {
            for index in 0..1000 {
                story.apply(node(index, round % 2 == 0));
                if index % 10 == 0 {
                    story.run(MS);
                }
            }
        }
        story.run(Duration::from_secs(120));
    });
    assert!(flapping <= 11, "{flapping} writes");
}

#[test]
fn a_hundred_pods_a_second_are_one_counter_write_an_interval() {
    let mut story = Story::new();
    story.apply(pod(1_000_000, true));
    story.run(Duration::from_secs(60));
    let interval = story.sim.settings.counter_interval;
    let writes = story.writes(|story| {
        for index in 0..6000 {
            story.apply(pod(index, true));
            story.run(5 * MS);
            story.apply(pod(index, index % 7 == 0));
            story.run(5 * MS);
        }
    });
    let most = 1 + usize::try_from(60 / interval.as_secs()).unwrap();
    assert!((most - 1..=most).contains(&writes), "{writes} writes in 60 s, {most} are allowed");
    // Then the last number is told, at most once.
    assert!(story.writes(|story| story.run(Duration::from_secs(60))) <= 1);
    assert_eq!(story.sim.compute.as_ref().unwrap().status.users.as_ref().unwrap().pods, 859);
}

#[test]
fn users_that_come_and_go_one_after_the_other_cost_little_too() {
    let mut story = Story::new();
    let used = |story: &Story| story.sim.compute.as_ref().unwrap().status.is_used();
    // The first one is told at once, and so is that it went.
    story.apply(pod(0, true));
    story.run(COALESCE);
    assert!(used(&story));
    story.apply(pod(0, false));
    story.run(COALESCE);
    assert!(!used(&story));
    let writes = story.writes(|story| {
        for index in 0..120 {
            story.apply(pod(index, true));
            story.run(250 * MS);
            // Whatever else: while it is used, the status says so.
            assert!(used(story));
            story.apply(pod(index, false));
            story.run(250 * MS);
        }
    });
    assert!(writes <= 18, "{writes} writes in 60 s: at most 3 in 10 s");
    story.run(Duration::from_secs(20));
    assert!(!used(&story), "in the end it is told");
}

#[test]
fn heartbeats_are_no_passes() {
    let mut story = Story::new();
    let before = story.passes;
    for index in 0..1000 {
        story.apply(node(index, true));
        story.run(MS);
    }
    assert_eq!(story.passes, before);
}

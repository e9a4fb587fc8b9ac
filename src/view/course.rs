//! A wait for one Compute or several: what was seen so far, what is told of it, and how it ends.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::decide::goal::{Cause, Goal, Sight, Standing, Verdict};
use crate::decide::observed::Compute;
use crate::view::table::shown;

/// A Compute that is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// The incarnation that is meant; none: whichever is seen first.
    pub uid: Option<String>,
    /// What is older than this generation is old news: that of an object that was just written; 0 if any will do.
    pub generation: i64,
}

impl Target {
    /// Whatever bears this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// This incarnation, as it is now or later.
    pub fn incarnation(compute: &Compute) -> Self {
        Self { uid: Some(compute.uid.clone()), ..Self::named(&compute.name) }
    }
}

/// A wait.
#[derive(Clone, Debug)]
pub struct Course {
    goal: Goal,
    ways: Vec<Way>,
}

/// Of one Compute.
#[derive(Clone, Debug)]
struct Way {
    target: Target,
    last: Option<(Compute, Value)>,
    /// None before anything was seen.
    verdict: Option<Verdict>,
}

/// What came of a look at one Compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It stands as before.
    Same,
    /// It is where it should be.
    Met,
    /// It stands otherwise: a line that says so.
    Other(String),
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All of them are where they should be.
    Met,
    /// One cannot get there.
    Never {
        /// Its name.
        name: String,
        /// Why.
        cause: Cause,
        /// What is wrong, and what to do.
        standing: Standing,
    },
}

impl Course {
    /// Begins.
    pub fn new(goal: Goal, targets: &[Target]) -> Self {
        let way = |target: &Target| Way { target: target.clone(), last: None, verdict: None };
        Self { goal, ways: targets.iter().map(way).collect() }
    }

    /// The names that are waited for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().map(|way| way.target.name.as_str())
    }

    /// Whether it is known of each which incarnation is meant.
    pub fn knows_all(&self) -> bool {
        self.ways.iter().all(|way| way.target.uid.is_some())
    }

    /// The names of those that are not where they should be.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        let open = self.ways.iter().filter(|way| way.verdict != Some(Verdict::Met));
        open.map(|way| way.target.name.as_str())
    }

    /// What is waited for.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Notes what is seen of a name: the Compute, or that there is none.
    pub fn see(&mut self, name: &str, now: Option<(Compute, Value)>) -> Turn {
        let Some(way) = self.ways.iter_mut().find(|way| way.target.name == name) else { return Turn::Same };
        if let Some((compute, _)) = &now {
            way.target.uid.get_or_insert_with(|| compute.uid.clone());
        }
        let sight = Sight {
            now: now.as_ref().map(|(compute, stored)| (compute, stored)),
            uid: way.target.uid.as_deref(),
            generation: way.target.generation,
        };
        let verdict = self.goal.judge(sight);
        if now.is_some() {
            way.last = now;
        }
        let turn = match &verdict {
            same if way.verdict.as_ref() == Some(same) => Turn::Same,
            Verdict::Met => Turn::Met,
            Verdict::NotYet(standing) | Verdict::Never(_, standing) => {
                Turn::Other(format!("{name}: {}", shown(&standing.told())))
            }
        };
        way.verdict = Some(verdict);
        turn
    }

    /// Notes that a list is complete: of these names, those that it did not tell of are not there, also if they were seen
    /// before it.
    pub fn see_rest(&mut self, names: &[String], listed: &BTreeSet<String>) -> Vec<(String, Turn)> {
        let absent = names.iter().filter(|name| !listed.contains(*name));
        absent.map(|name| (name.clone(), self.see(name, None))).collect()
    }

    /// Whether it is over.
    pub fn end(&self) -> Option<End> {
        let never = self.ways.iter().find_map(|way| match &way.verdict {
            Some(Verdict::Never(cause, standing)) => {
                Some(End::Never { name: way.target.name.clone(), cause: *cause, standing: standing.clone() })
            }
            _ => None,
        });
        never.or_else(|| (self.met() == self.ways.len()).then_some(End::Met))
    }

    fn met(&self) -> usize {
        self.ways.iter().filter(|way| way.verdict == Some(Verdict::Met)).count()
    }

    /// `2 of 5 active`; nothing where only one is waited for.
    fn tally(&self) -> Option<String> {
        (self.ways.len() > 1).then(|| format!("{} of {} {}", self.met(), self.ways.len(), self.goal.told()))
    }

    /// How it stands, in a line of which the end may be cut.
    pub fn progress(&self) -> String {
        let open = self.ways.iter().find_map(|way| match &way.verdict {
            Some(Verdict::NotYet(standing)) => {
                Some(format!("{}: {}", way.target.name, shown(&standing.told_shortly())))
            }
            _ => None,
        });
        self.tally().into_iter().chain(open).collect::<Vec<_>>().join("; ")
    }

    /// How it stands where it was broken off, and what to do: a line each.
    pub fn left(&self) -> (String, Vec<String>) {
        let open = |way: &Way| match &way.verdict {
            Some(Verdict::NotYet(standing) | Verdict::Never(_, standing)) => Some(standing.clone()),
            Some(Verdict::Met) => None,
            None => Some(Standing { text: "nothing was seen of it".into(), ..Standing::default() }),
        };
        let mut to_do = Vec::new();
        let mut lines = Vec::new();
        for (way, standing) in self.ways.iter().filter_map(|way| Some((way, open(way)?))) {
            lines.push((way.target.name.as_str(), shown(&standing.told())));
            // What to do about several is told of the first: the others are told by the same words.
            if to_do.is_empty() {
                to_do = standing.to_do;
            }
        }
        let text = match (self.tally(), lines.as_slice()) {
            (None, [(_, only)]) => only.clone(),
            (tally, lines) => {
                let lines = lines.iter().map(|(name, text)| format!("\n  {name}: {text}"));
                tally.unwrap_or_default() + &lines.collect::<String>()
            }
        };
        (text, to_do)
    }

    /// The sentence on one that cannot get there.
    pub fn hopeless(&self, name: &str, cause: Cause, standing: &Standing) -> String {
        let (goal, why) = (self.goal.told(), shown(&standing.told()));
        let text = match cause {
            Cause::Absent => format!("no Compute named {name} exists"),
            Cause::Gone => format!("{name} will not be {goal}: {why}"),
            Cause::Fault => format!("{name} will not be {goal} until somebody helps: {why}"),
            Cause::Over => format!("{name} is not {goal}, and what it was to wait through is over: {why}"),
        };
        match self.tally() {
            Some(tally) => format!("{text} ({tally})"),
            None => text,
        }
    }

    /// The Computes as they were seen last, in the order in which they were asked for.
    pub fn seen(self) -> Vec<Value> {
        self.ways.into_iter().filter_map(|way| way.last).map(|(_, stored)| stored).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{AggregateStatus, ComputeStatus};
    use serde_json::json;

    fn seen(name: &str, status: AggregateStatus) -> Option<(Compute, Value)> {
        let mut told =
            ComputeStatus { aggregate_status: status, observed_generation: 1, ..ComputeStatus::default() };
        told.builder_state.summary = "1/2".into();
        told.builder_state.info = "built\u{1b}[2J".into();
        let compute = Compute {
            name: name.into(),
            uid: format!("uid-{name}"),
            resource_version: "1".into(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            paused: false,
            delete_in_use: false,
            spec: Err(String::new()),
            status: told,
        };
        Some((compute, json!({"metadata": {"name": name}})))
    }

    #[test]
    fn several_are_waited_for_until_all_are_there() {
        let mut course = Course::new(Goal::active(), &["a", "b"].map(Target::named));
        let other = course.see("a", seen("a", AggregateStatus::Pending));
        // What a status tells cannot command the terminal.
        assert_eq!(other, Turn::Other("a: stage building, 1/2 resources, built\u{fffd}[2J".into()));
        assert_eq!(course.see("a", seen("a", AggregateStatus::Pending)), Turn::Same);
        assert_eq!(course.see("a", seen("a", AggregateStatus::Active)), Turn::Met);
        assert_eq!((course.end(), course.progress()), (None, "1 of 2 active".into()));
        course.see("b", seen("b", AggregateStatus::Pending));
        // What matters first: the end may be cut.
        let cut = "1 of 2 active; b: built\u{fffd}[2J (stage building, 1/2 resources)";
        assert_eq!(course.progress(), cut);
        let (left, _) = course.left();
        assert_eq!(left, "1 of 2 active\n  b: stage building, 1/2 resources, built\u{fffd}[2J");
        // One that was there may be so no longer: all are to be so at one time.
        course.see("a", seen("a", AggregateStatus::Error));
        course.see("b", seen("b", AggregateStatus::Active));
        assert_eq!(course.end(), None);
        course.see("a", seen("a", AggregateStatus::Active));
        assert_eq!(course.end(), Some(End::Met));
        assert_eq!(course.seen().len(), 2);
    }

    #[test]
    fn what_a_list_leaves_out_is_not_there() {
        let mut course = Course::new(Goal::active(), &["a", "b"].map(Target::named));
        course.see("a", seen("a", AggregateStatus::Active));
        let turns = course.see_rest(&["a".into(), "b".into()], &BTreeSet::from(["a".into()]));
        assert_eq!(turns.len(), 1, "{turns:?}");
        let Some(End::Never { name, cause, .. }) = course.end() else { panic!() };
        assert_eq!((name.as_str(), cause), ("b", Cause::Absent));
        // What was seen a moment before the list, and went: no event will ever say so.
        let mut course = Course::new(Goal::deleted(), &[Target::named("a")]);
        course.see("a", seen("a", AggregateStatus::Deleting));
        assert_eq!(course.see_rest(&["a".into()], &BTreeSet::new()), [("a".into(), Turn::Met)]);
    }
}

//! What is told of a wait on the way: only what lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::identifier::Identifier;
use crate::cluster::computes::Stored;
use crate::ctl::terminal::Terminal;
use crate::view::course::{Course, Turn};

/// A state that lasts for less is not told: most are over in a moment.
const SETTLES: Duration = Duration::from_secs(1);

/// How the lines of a wait read.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What stands before them.
    pub sign: &'static str,
    /// What stands before the name of a Compute that is where it should be.
    pub doing: &'static str,
}

/// Tells what is seen.
pub(super) struct Telling<'a> {
    pub(super) manner: Manner,
    pub(super) terminal: &'a mut Terminal,
    /// Lines that are told if nothing else is seen until then, by name.
    pub(super) unsettled: Option<(Instant, BTreeMap<String, String>)>,
}

impl Telling<'_> {
    /// A Compute is there, and so. Gives back its name.
    pub(super) fn there(&mut self, stored: Stored, course: &mut Course) -> String {
        let name = stored.compute.name.clone();
        let turn = course.see(&name, Some((stored.compute, stored.object)));
        self.turn(&name, turn, course);
        name
    }

    /// There is no Compute of this name.
    pub(super) fn gone(&mut self, name: &str, course: &mut Course) {
        let turn = course.see(name, None);
        self.turn(name, turn, course);
    }

    /// Of these names, those that a list left out: there are no such Computes.
    pub(super) fn rest(&mut self, names: &[String], listed: &BTreeSet<String>, course: &mut Course) {
        for (name, turn) in course.see_rest(names, listed) {
            self.turn(&name, turn, course);
        }
    }

    /// What came of a look at one Compute.
    fn turn(&mut self, name: &str, turn: Turn, course: &Course) {
        match turn {
            Turn::Same => {}
            Turn::Met => {
                if let Some((_, lines)) = &mut self.unsettled {
                    lines.remove(name);
                }
                let (doing, identifier) = (self.manner.doing, Identifier::compute(name).told());
                self.terminal
                    .info(self.manner.sign, &format!("{doing}{identifier}...{}", course.goal().told()));
            }
            Turn::Other(line) => {
                let settled = || (Instant::now() + SETTLES, BTreeMap::new());
                self.unsettled.get_or_insert_with(settled).1.insert(name.to_owned(), line);
            }
        }
    }

    /// When something is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unsettled.as_ref().map(|(due, _)| *due)
    }

    /// Tells what has lasted.
    pub(super) fn settle(&mut self, course: &Course) {
        let Some((_, lines)) = self.unsettled.take() else { return };
        if self.terminal.look.live {
            self.terminal.progress(&course.progress());
            return;
        }
        for line in lines.values() {
            self.terminal.progress(line);
        }
    }
}

//! How a Compute's explanation is told on a page.

use crate::decide::observed::Compute;
use crate::view::compute::{ComputeExplanation, FaultTold};
use crate::view::names::{count, listed, pairs};
use crate::view::nodes::{Fit, more};
use crate::view::page::{Line, Page, Tone};
use crate::view::talk::Voice;
use crate::view::users::UsersTold;

/// How many names a fact lists.
const LISTED: usize = 5;
/// How many namespaces of users are told.
const NAMESPACES: usize = 10;

impl ComputeExplanation {
    /// As a page.
    pub fn page(&self) -> Page {
        let mut page = Page::new(format!("Compute {}", self.name), Tone::Plain);
        page.say("State", Line::new(&self.state).tone(self.tone));
        if let Some(fault) = &self.fault {
            fault.tell(&mut page);
        }
        for notice in &self.notices {
            page.say("Notice", Line::new(notice).tone(Tone::Odd));
        }
        self.tell_substance(&mut page);
        for transition in &self.history {
            page.say("History", transition.as_str());
        }
        self.tell_unseen(&mut page);
        page
    }

    /// What is in force, built, there and used.
    pub(in crate::view) fn tell_substance(&self, page: &mut Page) {
        for line in &self.in_force {
            page.say("In force", line.as_str());
        }
        for built in &self.built {
            page.say("Built", built.as_str());
        }
        if let Some(pool) = &self.pool {
            pool.tell(page, "Pool", "fit");
            if pool.fitting > 0 {
                page.say("Pool", format!("what fits offers {}", pairs(&self.offers)));
            }
            if let Some(open) = self.open.filter(|open| *open > 0) {
                let matched = self.matched.unwrap_or_default();
                let have = if open == 1 { "has" } else { "have" };
                let text = format!(
                    "{open} of its {} {have} no taint: pods that name no Compute may land there, too",
                    count(matched, "node")
                );
                page.say("Pool", Line::new(text).tone(Tone::Odd));
            }
        }
        for overlap in &self.overlaps {
            let (nodes, names) = (count(overlap.nodes, "node"), more(&overlap.names, overlap.nodes));
            page.say("Overlaps", format!("with Compute {} in {nodes}: {names}", overlap.compute));
        }
        if let Some(users) = &self.users {
            users.tell(page);
        }
        let tone = if self.deletion.blocked { Tone::Odd } else { Tone::Plain };
        page.say("Deletion", Line::new(&self.deletion.text).tone(tone));
        if let Some(command) = &self.deletion.command {
            page.say("Deletion", Line::command(command));
        }
    }

    /// What could not be seen, and why.
    pub(in crate::view) fn tell_unseen(&self, page: &mut Page) {
        for why in &self.unseen {
            page.say("Not seen", Line::new(why).tone(Tone::Odd));
        }
    }
}

impl FaultTold {
    pub(in crate::view) fn tell(&self, page: &mut Page) {
        page.say(
            "Fault",
            Line::new(format!("{}, found in the step {}", self.category, self.step)).tone(Tone::Bad),
        );
        page.say("Fault", self.what);
        page.say("Fault", format!("pods that name it: {}", self.pods));
        page.say("Fault", format!("healed by: {}", self.healed_by));
        for (what, command) in self.acts() {
            page.say("What to do", format!("{what}:"));
            page.say("What to do", Line::command(command));
        }
    }
}

impl UsersTold {
    fn tell(&self, page: &mut Page) {
        let pods = count(self.pods, "pod");
        let mut by_count: Vec<_> = self.namespaces.iter().collect();
        match by_count.as_slice() {
            [] => page.say("Users", "no pods"),
            [(namespace, _)] => {
                page.say("Users", format!("{pods} in namespace {namespace}"));
                by_count.clear();
            }
            some => page.say("Users", format!("{pods} in {} namespaces", some.len())),
        }
        by_count.sort_by(|(a, most), (b, other)| other.cmp(most).then(a.cmp(b)));
        for (namespace, pods) in by_count.iter().take(NAMESPACES) {
            page.say("Users", Line::counted(**pods, format!("in namespace {namespace}")));
        }
        if by_count.len() > NAMESPACES {
            page.say("Users", format!("and in {}", count(by_count.len() - NAMESPACES, "more namespace")));
        }
        if self.outdated > 0 {
            let names = more(&self.outdated_examples, self.outdated);
            let text = format!(
                "{} of them run with an older revision until they are made anew: {names}",
                self.outdated
            );
            page.say("Users", Line::new(text).tone(Tone::Odd));
        }
        if !self.unplaced.is_empty() {
            let text = format!(
                "{} more carry the label, but were not placed by it: {}; see why:",
                self.unplaced.len(),
                listed(&self.unplaced, LISTED)
            );
            page.say("Users", Line::new(text).tone(Tone::Odd));
            page.say("Users", Line::command(self.why_unplaced.as_deref().unwrap_or_default()));
        }
        if !self.workloads.is_empty() {
            page.say("Users", format!("workloads that carry the label: {}", listed(&self.workloads, LISTED)));
        }
    }
}

impl ComputeExplanation {
    /// Puts its commands as those of this program.
    pub fn speak(&mut self, voice: Voice) {
        let to_do = self.fault.iter_mut().flat_map(|fault| &mut fault.to_do).map(|(_, command)| command);
        let why = self.users.iter_mut().filter_map(|users| users.why_unplaced.as_mut());
        // What the builder says may end in one.
        let others = [&mut self.state].into_iter().chain(&mut self.deletion.command);
        for text in to_do.chain(why).chain(others) {
            *text = voice.command(text);
        }
    }
}

/// A command of the table of faults, with what can be known of the words in capitals.
pub(super) fn filled(command: &str, compute: &Compute, pool: Option<&Fit>) -> String {
    let mut command = command.to_owned();
    if let Ok(spec) = &compute.spec {
        let labels = spec.node_pool.node_selector.iter().map(|(key, value)| format!("{key}={value}"));
        command = command.replace("KEY=VALUE", &labels.collect::<Vec<_>>().join(" "));
    }
    let groups = pool.iter().flat_map(|pool| &pool.others);
    let unready =
        groups.filter(|group| group.reason.starts_with("not ready")).find_map(|group| group.names.first());
    match unready {
        Some(node) if command.contains("describe node") => command.replace("NODE", node),
        _ => command,
    }
}

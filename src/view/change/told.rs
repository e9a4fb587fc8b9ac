//! How a change is told on a page.

use crate::view::change::{Change, PoolChange};
use crate::view::names::count;
use crate::view::nodes::more;
use crate::view::page::{Line, Page, Tone};

impl Change {
    /// As a page.
    pub fn page(&self) -> Page {
        let (file, name) = (&self.file, &self.name);
        if !self.problems.is_empty() {
            let found = count(self.problems.len(), "error");
            let mut page = Page::new(format!("{file} cannot be built: {found}"), Tone::Bad);
            for misfit in &self.problems {
                let at = format!("{file}:{}:{}", misfit.line, misfit.column);
                page.say("Errors", Line::new(format!("{at}: {}", misfit.text)).tone(Tone::Bad));
            }
            if !self.new {
                page.say("Until then", "what is in force stays so");
            }
            return page;
        }
        let headline = if self.new { "would make a new Compute" } else { "would change Compute" };
        let mut page = Page::new(format!("{file} {headline} {name}"), Tone::Plain);
        if !self.new && self.edits.is_empty() {
            page.say("Edits", "nothing in the spec");
        }
        for edit in &self.edits {
            page.say("Edits", edit.as_str());
        }
        page.say("Revision", self.revision.as_str());
        if let Some(pool) = &self.pool {
            pool.tell(&mut page, self.new);
        }
        if let Some(fit) = &self.fit {
            fit.tell(&mut page, "Nodes then", "fit");
        }
        for taint in &self.untolerated {
            let (nodes, names) = (count(taint.nodes, "node"), more(&taint.names, taint.nodes));
            let text = format!("{} on {nodes} of the pool would not be tolerated: {names}", taint.taint);
            page.say("Taints", Line::new(text).tone(Tone::Odd));
        }
        for overlap in &self.overlaps {
            let nodes = count(overlap.nodes, "node");
            let text = format!(
                "with Compute {} in {nodes}: {}",
                overlap.compute,
                more(&overlap.names, overlap.nodes)
            );
            page.say("Overlaps", Line::new(text).tone(Tone::Odd));
        }
        match self.outdated_pods {
            None | Some(0) => {}
            Some(pods) => page.say(
                "Users",
                Line::new(format!("{} would run with an older revision until made anew", count(pods, "pod")))
                    .tone(Tone::Odd),
            ),
        }
        if let Some((category, text)) = &self.pool_fault {
            page.say("Fault", Line::new(format!("{category}: {text}")).tone(Tone::Bad));
        }
        for why in &self.unseen {
            page.say("Not seen", Line::new(why).tone(Tone::Odd));
        }
        page
    }
}

impl PoolChange {
    fn tell(&self, page: &mut Page, new: bool) {
        if new {
            return page.say("Pool", format!("{} match its selector", count(self.then, "node")));
        }
        page.say("Pool", format!("{} now, {} then", count(self.now, "node"), self.then));
        for (number, names, verb) in
            [(self.joining, &self.joining_names, "join"), (self.leaving, &self.leaving_names, "leave")]
        {
            if number > 0 {
                page.say("Pool", Line::counted(number, format!("{verb}: {}", more(names, number))));
            }
        }
    }
}

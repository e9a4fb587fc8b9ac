//! How a pod's explanation is told on a page.

use crate::view::names::pairs;
use crate::view::page::{Line, Page, Tone};
use crate::view::pod::{Demands, PodExplanation};
use crate::view::talk::Voice;

impl PodExplanation {
    /// Puts the command in which the state of its Compute may end as one of this program.
    pub fn speak(&mut self, voice: Voice) {
        if let Some(compute) = &mut self.compute {
            compute.state = voice.command(&compute.state);
        }
    }

    /// As a page.
    pub fn page(&self) -> Page {
        let title = match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        };
        let mut page = match &self.compute {
            Some(compute) => Page::new(format!("{title} names Compute {}", compute.name), Tone::Plain),
            None => Page::new(format!("{title} names no Compute"), Tone::Odd),
        };
        if let Some(compute) = &self.compute {
            page.say("Compute", Line::new(&compute.state).tone(compute.tone));
        }
        for (index, text) in self.placed.text.iter().enumerate() {
            let tone = if index == 0 { self.placed.tone } else { Tone::Plain };
            page.say("Placed", Line::new(text).tone(tone));
        }
        if let Some(admission) = &self.admission {
            let (text, tone) = match admission.taken {
                Some(true) => (admission.words.clone(), Tone::Good),
                Some(false) => (format!("the API server would refuse it: {}", admission.words), Tone::Bad),
                None => (format!("not known: {}", admission.words), Tone::Odd),
            };
            page.say("Admission", Line::new(text).tone(tone));
        }
        match &self.injected {
            Some(injected) => injected.tell(&mut page, "Injected"),
            None if self.placed.outdated => {
                page.say(
                    "Injected",
                    "the content of that revision is not kept, so it is not told from the pod's own",
                );
            }
            None => {}
        }
        self.own.tell(&mut page, "Its own");
        if let Some(nodes) = &self.nodes {
            nodes.tell(&mut page, "Nodes", "fit");
            page.say("Nodes", "by labels, taints, state and size; what other pods occupy is not counted");
        }
        if let Some(text) = &self.whereabouts {
            page.say("Runs", text.as_str());
        }
        for why in &self.unseen {
            page.say("Not seen", Line::new(why).tone(Tone::Odd));
        }
        page
    }
}

impl Demands {
    fn tell(&self, page: &mut Page, fact: &'static str) {
        let mut said = false;
        let mut say = |what: &str, text: String| {
            page.say(fact, format!("{what} {text}"));
            said = true;
        };
        if !self.node_selector.is_empty() {
            say("nodeSelector", pairs(&self.node_selector));
        }
        if self.node_affinity {
            say("nodeAffinity", "(required)".into());
        }
        if !self.tolerations.is_empty() {
            say("tolerations", self.tolerations.join(", "));
        }
        if !self.requests.is_empty() {
            say("requests", pairs(&self.requests));
        }
        if !said {
            page.say(fact, "nothing");
        }
    }
}

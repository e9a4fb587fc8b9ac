//! Which nodes fit, and why the others do not, grouped by reason.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::api::compute::Toleration;
use crate::decide::fit::{self, Against, Asks};
use crate::decide::pool::Node;
use crate::view::names::{count, listed};
use crate::view::page::{Line, Page, Tone};

/// Nodes by name.
pub type Nodes = BTreeMap<String, Node>;

/// How many node names a reason lists.
const NAMES: usize = 3;
/// How many reasons are told.
const REASONS: usize = 12;
/// How many values of a label a reason lists.
const VALUES: usize = 3;

/// Which nodes fit, and why the others do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fit {
    /// How many nodes were looked at.
    pub nodes: usize,
    /// How many of them fit.
    pub fitting: usize,
    /// The first of these, by name; all of them if that was asked for.
    pub names: Vec<String>,
    /// The others, by what speaks against them; the largest group first.
    pub others: Vec<Group>,
}

/// Nodes that do not fit for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How many.
    pub nodes: usize,
    /// What speaks against them.
    pub reason: String,
    /// The first of them, by name; all of them if that was asked for.
    pub names: Vec<String>,
}

/// Judges every node for a pod. `pool` is the part of the pod's node selector that its Compute brings: a node outside of the
/// pool is told for that alone, for nothing else about it matters.
pub fn fit(nodes: &Nodes, asks: &Asks, pool: &BTreeMap<String, String>, all: bool) -> Fit {
    judge(nodes.iter(), all, |name, node| {
        let outside = fit::labels(node, pool);
        if outside.is_empty() { fit::against(name, node, asks) } else { outside }
    })
}

/// Judges every node for the pods of a Compute as such.
pub fn pool(nodes: &Nodes, asks: &Asks, all: bool) -> Fit {
    judge(nodes.iter(), all, |_, node| {
        let outside = fit::labels(node, &asks.selector);
        if outside.is_empty() { fit::untaken(node, &asks.tolerations) } else { outside }
    })
}

/// Judges the nodes that the selector of a Compute matches, for its pods as such.
pub fn members<'a>(
    nodes: impl Iterator<Item = (&'a String, &'a Node)>,
    tolerations: &[Toleration],
    all: bool,
) -> Fit {
    judge(nodes, all, |_, node| fit::untaken(node, tolerations))
}

fn judge<'a>(
    nodes: impl Iterator<Item = (&'a String, &'a Node)>,
    all: bool,
    against: impl Fn(&str, &Node) -> Vec<Against>,
) -> Fit {
    let most = if all { usize::MAX } else { NAMES };
    let mut told = Fit::default();
    let mut groups: BTreeMap<Vec<Kind>, Members<'_>> = BTreeMap::new();
    for (name, node) in nodes {
        told.nodes += 1;
        let found = against(name, node);
        if found.is_empty() {
            told.fitting += 1;
            if told.names.len() < most {
                told.names.push(name.clone());
            }
            continue;
        }
        let (names, reasons) = groups.entry(found.iter().map(Kind::of).collect()).or_default();
        names.push(name);
        reasons.push(found);
    }
    told.others = groups
        .into_values()
        .map(|(names, reasons)| Group {
            nodes: names.len(),
            reason: worded(&reasons),
            names: names.into_iter().take(most).map(str::to_owned).collect(),
        })
        .collect();
    told.others.sort_by(|a, b| b.nodes.cmp(&a.nodes).then_with(|| a.reason.cmp(&b.reason)));
    told
}

/// The nodes of one group, by name, and what speaks against each.
type Members<'a> = (Vec<&'a str>, Vec<Vec<Against>>);

/// What nodes of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Missing(String),
    Differs(String),
    Affinity(String),
    NotReady,
    Cordoned,
    Tainted(String),
    TooSmall(String),
}

impl Kind {
    fn of(against: &Against) -> Self {
        match against {
            Against::LabelMissing { key, .. } => Self::Missing(key.clone()),
            Against::LabelDiffers { key, .. } => Self::Differs(key.clone()),
            Against::Affinity(why) => Self::Affinity(why.clone()),
            Against::NotReady => Self::NotReady,
            Against::Cordoned => Self::Cordoned,
            Against::Tainted(taint) => Self::Tainted(taint.clone()),
            Against::TooSmall { resource, .. } => Self::TooSmall(resource.clone()),
        }
    }
}

/// What speaks against the nodes of one group, in words; each node has the same kinds of it, in the same order.
fn worded(nodes: &[Vec<Against>]) -> String {
    let Some(first) = nodes.first() else { return String::new() };
    let words: Vec<String> = first
        .iter()
        .enumerate()
        .map(|(index, against)| {
            let each = || nodes.iter().filter_map(|node| node.get(index));
            match against {
                Against::LabelMissing { key, want } => format!("no label {key} ({want} is wanted)"),
                Against::LabelDiffers { key, want, .. } => {
                    let have: BTreeSet<&str> = each()
                        .filter_map(|against| match against {
                            Against::LabelDiffers { have, .. } => Some(have.as_str()),
                            _ => None,
                        })
                        .collect();
                    let have: Vec<String> = have.into_iter().map(|have| format!("{have:?}")).collect();
                    format!("label {key} is {}, not {want:?}", listed(&have, VALUES))
                }
                Against::Affinity(why) => format!("the pod's own node affinity does not hold: {why}"),
                Against::NotReady => "not ready".into(),
                Against::Cordoned => "cordoned".into(),
                Against::Tainted(taint) => format!("taint {taint} is not tolerated"),
                Against::TooSmall { resource, asks, .. } => {
                    let offers = each().filter_map(|against| match against {
                        Against::TooSmall { offers, .. } => Some(crate::decide::quantity::Sum::of(offers)),
                        _ => None,
                    });
                    let most = offers.reduce(|most, next| if next.exceeds(&most) { next } else { most });
                    let most = most.unwrap_or_default();
                    format!("too small: {resource} {asks} is requested, {most} offered")
                }
            }
        })
        .collect();
    words.join("; ")
}

impl Fit {
    /// Tells it on a page; the verb is what fitting nodes do, in the plural.
    pub fn tell(&self, page: &mut Page, fact: &'static str, verb: &str) {
        let tone = if self.fitting == 0 { Tone::Bad } else { Tone::Good };
        if self.nodes == 0 {
            return page.say(fact, Line::new("the cluster has no nodes").tone(Tone::Bad));
        }
        let whole = count(self.nodes, "node");
        let text = match self.fitting {
            0 => format!("none of {whole} {verb}s"),
            1 => format!("1 of {whole} {verb}s: {}", more(&self.names, 1)),
            fitting => format!("{fitting} of {whole} {verb}: {}", more(&self.names, fitting)),
        };
        page.say(fact, Line::new(text).tone(tone));
        for group in self.others.iter().take(REASONS) {
            let names = more(&group.names, group.nodes);
            page.say(fact, Line::counted(group.nodes, format!("{}: {names}", group.reason)));
        }
        if self.others.len() > REASONS {
            page.say(
                fact,
                format!(
                    "and {} (--output json lists all)",
                    count(self.others.len() - REASONS, "more reason")
                ),
            );
        }
    }
}

/// Names, and that there are more of them.
pub fn more(names: &[String], of: usize) -> String {
    let mut text = names.join(", ");
    if of > names.len() {
        text.push_str(if names.is_empty() { "…" } else { ", …" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::quantity::Sum;
    use crate::view::page::Style;

    fn node(pool: &str, cpu: &str) -> Node {
        Node {
            labels: [("pool".to_owned(), pool.to_owned())].into(),
            ready: true,
            allocatable: [("cpu".to_owned(), cpu.to_owned())].into(),
            ..Node::default()
        }
    }

    #[test]
    fn nodes_are_grouped_by_what_speaks_against_them() {
        let mut nodes = Nodes::new();
        for index in 0..5 {
            nodes.insert(format!("q{index}"), node("query", "8"));
            nodes.insert(format!("g{index}"), node(if index == 0 { "old" } else { "gpu" }, "8"));
        }
        nodes.insert("s1".into(), node("query", "2"));
        nodes.insert("s2".into(), node("query", "1500m"));
        nodes.insert("x".into(), Node { labels: BTreeMap::new(), ..node("", "8") });
        nodes.get_mut("q4").unwrap().unschedulable = true;
        nodes.get_mut("q3").unwrap().ready = false;
        let selector: BTreeMap<_, _> = [("pool".to_owned(), "query".to_owned())].into();
        let asks = Asks {
            selector: selector.clone(),
            requests: [("cpu".to_owned(), Sum::of("4"))].into(),
            ..Asks::default()
        };
        let told = fit(&nodes, &asks, &selector, false);
        assert_eq!((told.nodes, told.fitting), (13, 3));
        let mut page = Page::new("x", Tone::Plain);
        told.tell(&mut page, "Nodes", "fit");
        assert_eq!(
            page.lay_out(Style::default()),
            "\
x
  Nodes      3 of 13 nodes fit: q0, q1, q2
                 5  label pool is \"gpu\", \"old\", not \"query\": g0, g1, g2, …
                 2  too small: cpu 4 is requested, 2 offered: s1, s2
                 1  cordoned: q4
                 1  no label pool (query is wanted): x
                 1  not ready: q3
"
        );
        assert_eq!(fit(&nodes, &asks, &selector, true).others[0].names.len(), 5);
        assert_eq!(pool(&nodes, &asks, false).fitting, 5, "a Compute as such requests nothing");
    }
}

//! Whether one node takes one pod, and everything that speaks against it: the scheduler's filters, as far as Poros knows.
//!
//! What other pods occupy is not counted, and neither are spreading, pod affinity, ports and volumes: those change by the
//! minute, and the scheduler itself says them in the pod's condition `PodScheduled`.

use std::collections::BTreeMap;

use crate::api::compute::Toleration;
use crate::decide::pool::{Node, Taint};
use crate::decide::quantity::Sum;

/// What a pod asks of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asks {
    /// `spec.nodeSelector`.
    pub selector: BTreeMap<String, String>,
    /// The terms of `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`; none when there is none.
    /// A node must fit one of them.
    pub terms: Option<Vec<Term>>,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
    /// What its containers request together, as the scheduler sums it, and `pods: 1`.
    pub requests: BTreeMap<String, Sum>,
}

/// A term of a required node affinity (core/v1 `NodeSelectorTerm`). All of it must hold; an empty one holds for no node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// On labels.
    pub labels: Vec<Expression>,
    /// On fields; the API knows `metadata.name` alone.
    pub fields: Vec<Expression>,
}

/// One demand of a term (core/v1 `NodeSelectorRequirement`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// A label, or `metadata.name`.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`. Any other holds for no node.
    pub operator: String,
    /// What the operator compares with.
    pub values: Vec<String>,
}

/// Something that speaks against a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Against {
    /// It lacks a label that the node selector asks for.
    LabelMissing {
        /// Its key.
        key: String,
        /// The value that is asked for.
        want: String,
    },
    /// It carries the label with another value.
    LabelDiffers {
        /// Its key.
        key: String,
        /// The value that the node has.
        have: String,
        /// The value that is asked for.
        want: String,
    },
    /// No term of the pod's required node affinity holds; what is wrong with each.
    Affinity(String),
    /// Its condition Ready is not True.
    NotReady,
    /// It is cordoned.
    Cordoned,
    /// A taint that the pod does not tolerate, as `key=value:Effect`.
    Tainted(String),
    /// It offers less of a resource than the pod requests, even when it is empty.
    TooSmall {
        /// The resource.
        resource: String,
        /// What the pod requests.
        asks: String,
        /// What the node offers (`status.allocatable`).
        offers: String,
    },
}

impl Against {
    /// Whether a taint says the same again: Kubernetes also taints a node that is not ready or cordoned.
    fn is_said_by(&self, taint: &Taint) -> bool {
        match self {
            Self::NotReady => {
                matches!(
                    taint.key.as_str(),
                    "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"
                )
            }
            Self::Cordoned => taint.key == "node.kubernetes.io/unschedulable",
            Self::LabelMissing { .. }
            | Self::LabelDiffers { .. }
            | Self::Affinity(_)
            | Self::Tainted(_)
            | Self::TooSmall { .. } => false,
        }
    }
}

/// All that speaks against this node for this pod; nothing when it fits.
pub fn against(name: &str, node: &Node, asks: &Asks) -> Vec<Against> {
    let mut found = labels(node, &asks.selector);
    if let Some(terms) = &asks.terms
        && let Err(why) = any_holds(name, node, terms)
    {
        found.push(Against::Affinity(why));
    }
    found.extend(untaken(node, &asks.tolerations));
    for (resource, asked) in &asks.requests {
        let offers = node.allocatable.get(resource).map(|text| Sum::of(text)).unwrap_or_default();
        if asked.exceeds(&offers) {
            found.push(Against::TooSmall {
                resource: resource.clone(),
                asks: asked.to_string(),
                offers: offers.to_string(),
            });
        }
    }
    found
}

/// The labels of a selector that a node lacks or carries with another value.
pub fn labels(node: &Node, selector: &BTreeMap<String, String>) -> Vec<Against> {
    let differs = |(key, want): (&String, &String)| match node.labels.get(key) {
        Some(have) if have == want => None,
        Some(have) => {
            Some(Against::LabelDiffers { key: key.clone(), have: have.clone(), want: want.clone() })
        }
        None => Some(Against::LabelMissing { key: key.clone(), want: want.clone() }),
    };
    selector.iter().filter_map(differs).collect()
}

/// Why a node takes no new pod with these tolerations, whatever its labels: empty exactly when [`Node::takes`] says yes.
pub fn untaken(node: &Node, tolerations: &[Toleration]) -> Vec<Against> {
    let mut found = Vec::new();
    if !node.ready {
        found.push(Against::NotReady);
    }
    if node.unschedulable {
        found.push(Against::Cordoned);
    }
    let taints: Vec<Against> = node
        .untolerated(tolerations)
        .filter(|taint| !found.iter().any(|against| against.is_said_by(taint)))
        .map(|taint| Against::Tainted(taint.to_string()))
        .collect();
    found.extend(taints);
    found
}

fn any_holds(name: &str, node: &Node, terms: &[Term]) -> Result<(), String> {
    let mut whys = Vec::new();
    for term in terms {
        if term.labels.is_empty() && term.fields.is_empty() {
            whys.push("an empty term fits no node".to_owned());
            continue;
        }
        let on_labels =
            term.labels.iter().map(|wanted| (wanted, node.labels.get(&wanted.key).map(String::as_str)));
        let on_fields =
            term.fields.iter().map(|wanted| (wanted, (wanted.key == "metadata.name").then_some(name)));
        match on_labels.chain(on_fields).find(|(wanted, have)| !wanted.holds(*have)) {
            None => return Ok(()),
            Some((wanted, _)) => whys.push(wanted.to_string()),
        }
    }
    whys.dedup();
    Err(if whys.is_empty() { "it has no term".into() } else { whys.join(", or ") })
}

impl Expression {
    /// Whether it holds for what a node has, as `labels.Requirement.Matches` judges it.
    pub fn holds(&self, have: Option<&str>) -> bool {
        let listed = |have: &str| self.values.iter().any(|value| value == have);
        let number = |text: &str| text.parse::<i64>().ok();
        let wanted = || self.values.first().and_then(|value| number(value));
        match self.operator.as_str() {
            "In" => have.is_some_and(listed),
            "NotIn" => !have.is_some_and(listed),
            "Exists" => have.is_some(),
            "DoesNotExist" => have.is_none(),
            "Gt" => have.and_then(number).zip(wanted()).is_some_and(|(have, wanted)| have > wanted),
            "Lt" => have.and_then(number).zip(wanted()).is_some_and(|(have, wanted)| have < wanted),
            _ => false,
        }
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.key, self.operator)?;
        if self.values.is_empty() { Ok(()) } else { write!(f, " [{}]", self.values.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::compute::TaintEffect;

    fn node(labels: &[(&str, &str)]) -> Node {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Node { labels, ready: true, ..Node::default() }
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Expression {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Expression { key: key.into(), operator: operator.into(), values }
    }

    #[test]
    fn expressions_hold_as_the_scheduler_says() {
        for (holds, operator, values, have) in [
            (true, "In", &["a", "b"][..], Some("b")),
            (false, "In", &["a"], Some("b")),
            (false, "In", &["a"], None),
            (true, "NotIn", &["a"], Some("b")),
            (true, "NotIn", &["a"], None),
            (false, "NotIn", &["a"], Some("a")),
            (true, "Exists", &[], Some("")),
            (false, "Exists", &[], None),
            (true, "DoesNotExist", &[], None),
            (false, "DoesNotExist", &[], Some("x")),
            (true, "Gt", &["4"], Some("5")),
            (false, "Gt", &["5"], Some("5")),
            (false, "Gt", &["4"], None),
            (false, "Gt", &["x"], Some("5")),
            (true, "Lt", &["6"], Some("5")),
            (false, "Lt", &["5"], Some("five")),
            (false, "Like", &["a"], Some("a")),
        ] {
            assert_eq!(
                expression("k", operator, values).holds(have),
                holds,
                "{have:?} {operator} {values:?}"
            );
        }
    }

    #[test]
    fn one_term_is_enough_and_an_empty_one_is_none() {
        let ssd = Term { labels: vec![expression("disk", "In", &["ssd"])], fields: vec![] };
        let named = Term { labels: vec![], fields: vec![expression("metadata.name", "In", &["n1"])] };
        let asks = |terms: &[&Term]| Asks {
            terms: Some(terms.iter().map(|term| (*term).clone()).collect()),
            ..Asks::default()
        };
        let hdd = node(&[("disk", "hdd")]);
        assert_eq!(against("n1", &hdd, &asks(&[&ssd, &named])), []);
        assert_eq!(
            against("n2", &hdd, &asks(&[&ssd, &named])),
            [Against::Affinity("disk In [ssd], or metadata.name In [n1]".into())]
        );
        let empty = Term::default();
        assert_eq!(against("n1", &hdd, &asks(&[&empty])).len(), 1);
        assert_eq!(against("n1", &hdd, &asks(&[])).len(), 1);
    }

    #[test]
    fn everything_that_speaks_against_a_node_is_said_and_nothing_twice() {
        let mut node = node(&[("pool", "gpu")]);
        node.ready = false;
        node.unschedulable = true;
        let taint = |key: &str| Taint { key: key.into(), value: "x".into(), effect: TaintEffect::NoSchedule };
        node.taints = vec![taint("dedicated"), taint("node.kubernetes.io/not-ready")];
        node.allocatable.insert("cpu".into(), "1900m".into());
        let asks = Asks {
            selector: [("pool".to_owned(), "query".to_owned()), ("zone".to_owned(), "a".to_owned())].into(),
            requests: [("cpu".to_owned(), Sum::of("2")), ("memory".to_owned(), Sum::of("1Gi"))].into(),
            ..Asks::default()
        };
        let found = against("n", &node, &asks);
        assert_eq!(
            found,
            [
                Against::LabelDiffers { key: "pool".into(), have: "gpu".into(), want: "query".into() },
                Against::LabelMissing { key: "zone".into(), want: "a".into() },
                Against::NotReady,
                Against::Cordoned,
                Against::Tainted("dedicated=x:NoSchedule".into()),
                Against::TooSmall { resource: "cpu".into(), asks: "2".into(), offers: "1900m".into() },
                Against::TooSmall { resource: "memory".into(), asks: "1Gi".into(), offers: "0".into() },
            ]
        );
    }

    #[test]
    fn a_taint_is_left_out_only_where_the_same_is_said_in_plain_words() {
        let (value, effect) = (String::new(), TaintEffect::NoSchedule);
        let taint = |key: String| Taint { key, value: value.clone(), effect };
        let taints = ["not-ready", "unschedulable"].map(|word| taint(format!("node.kubernetes.io/{word}")));
        let found = |ready, unschedulable| {
            let node = Node { ready, unschedulable, taints: taints.to_vec(), ..Node::default() };
            untaken(&node, &[])
        };
        let [not_ready, cordoned] = taints.each_ref().map(|taint| Against::Tainted(taint.to_string()));
        assert_eq!(found(false, true), [Against::NotReady, Against::Cordoned]);
        assert_eq!(found(true, true), [Against::Cordoned, not_ready.clone()], "it may be ready again by now");
        assert_eq!(found(false, false), [Against::NotReady, cordoned.clone()]);
        assert_eq!(found(true, false), [not_ready, cordoned]);
    }

    #[test]
    fn a_node_is_untaken_exactly_when_it_does_not_take() {
        let taint = |effect| Taint { key: "k".into(), value: String::new(), effect };
        for (ready, unschedulable, taints) in [
            (true, false, vec![]),
            (false, false, vec![]),
            (true, true, vec![]),
            (true, false, vec![taint(TaintEffect::NoExecute)]),
            (true, false, vec![taint(TaintEffect::PreferNoSchedule)]),
        ] {
            let node = Node { ready, unschedulable, taints, ..Node::default() };
            assert_eq!(untaken(&node, &[]).is_empty(), node.takes(&[]), "{node:?}");
        }
    }
}

//! The state of the Computes as metrics, told by the leader alone so that sums count each Compute once. They are made from
//! the cache when somebody asks, so nothing outlives its Compute; no label has more values than there are Computes, and none
//! holds a node, a pod or a text.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::api::status::{AggregateStatus, ComputeStatus, Stage};
use crate::decide::fault::Category;
use crate::decide::observed::Compute;
use crate::decide::status::OWNED;

/// A group of metrics that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// How many Computes have which status and which fault: as many series for one Compute as for all.
    Totals,
    /// Status, stage, fault and last transition of each Compute: 9 or 10 series a Compute.
    Status,
    /// The conditions of each Compute: 4 to 7 series a Compute.
    Conditions,
    /// Built objects, nodes and users of each Compute: 8 series a Compute.
    Counts,
}

/// The state of all Computes at one moment.
#[derive(Debug, Default)]
pub struct States {
    computes: Vec<Arc<Compute>>,
    groups: BTreeSet<Group>,
}

impl States {
    /// Of these Computes, in these groups.
    pub fn new(mut computes: Vec<Arc<Compute>>, groups: BTreeSet<Group>) -> Self {
        computes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Self { computes, groups }
    }

    fn totals(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let count = |holds: &dyn Fn(&ComputeStatus) -> bool| {
            self.computes.iter().filter(|compute| holds(&compute.status)).count()
        };
        let mut family = gauge(to, "computes", "Computes, by aggregate status")?;
        for status in AggregateStatus::ALL {
            let computes = count(&|found| found.aggregate_status == status);
            sample(&mut family, &[("status", status.word())], number(computes))?;
        }
        let mut family = gauge(to, "faults", "Computes in error, by the category of their fault")?;
        for category in Category::ALL {
            let computes = count(&|found| fault(found) == Some(category.word()));
            sample(&mut family, &[("category", category.word())], number(computes))?;
        }
        Ok(())
    }

    fn statuses(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family =
            gauge(to, "compute_status", "Whether the aggregate status of a Compute is this one: 1 or 0")?;
        for (name, status) in self.each() {
            for one in AggregateStatus::ALL {
                let is = i64::from(status.aggregate_status == one);
                sample(&mut family, &[("compute", name), ("status", one.word())], is)?;
            }
        }
        let mut family =
            gauge(to, "compute_stage", "Whether the builder stage of a Compute is this one: 1 or 0")?;
        for (name, status) in self.each() {
            for one in Stage::ALL {
                let is = i64::from(status.builder_state.stage == one);
                sample(&mut family, &[("compute", name), ("stage", one.word())], is)?;
            }
        }
        let mut family =
            gauge(to, "compute_fault", "The category of the fault of a Compute: 1, while it is in error")?;
        for (name, status) in self.each() {
            if let Some(category) = fault(status) {
                sample(&mut family, &[("compute", name), ("category", category)], 1)?;
            }
        }
        let help = "When the status, stage or reason of a Compute changed last, in seconds since 1970";
        let mut family = gauge(to, "compute_last_transition_timestamp_seconds", help)?;
        for (name, status) in self.each() {
            if let Some(last) = status.history.last() {
                sample(&mut family, &[("compute", name)], last.time.0.as_second())?;
            }
        }
        Ok(())
    }

    fn conditions(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The status of a condition of a Compute: 1 for the one that it has";
        let mut family = gauge(to, "compute_condition", help)?;
        for (name, status) in self.each() {
            for type_ in OWNED {
                let truth = match status.condition(type_).map(|condition| condition.status.as_str()) {
                    Some("True") => "true",
                    Some("False") => "false",
                    Some(_) => "unknown",
                    None => continue,
                };
                sample(&mut family, &[("compute", name), ("type", type_), ("status", truth)], 1)?;
            }
        }
        Ok(())
    }

    fn counts(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = gauge(
            to,
            "compute_resources",
            "Objects that a Compute needs (wanted), and that are in place (processed)",
        )?;
        for (name, status) in self.each() {
            let built = &status.builder_state;
            for (state, count) in [
                ("wanted", built.number_of_wanted_resources),
                ("processed", built.number_of_processed_resources),
            ] {
                sample(&mut family, &[("compute", name), ("state", state)], count.into())?;
            }
        }
        let mut family = gauge(to, "compute_nodes", "Nodes of the pool of a Compute, by state")?;
        for (name, status) in self.each() {
            let Some(nodes) = &status.nodes else { continue };
            for (state, count) in
                [("matched", nodes.matched), ("ready", nodes.ready), ("schedulable", nodes.schedulable)]
            {
                sample(&mut family, &[("compute", name), ("state", state)], count.into())?;
            }
        }
        let help = "Users of a Compute: unfinished pods (pods), those of them that an older revision placed (outdated), and \
                    workloads that carry its label themselves (workloads)";
        let mut family = gauge(to, "compute_users", help)?;
        for (name, status) in self.each() {
            let Some(users) = &status.users else { continue };
            for (kind, count) in
                [("pods", users.pods), ("outdated", users.outdated_pods), ("workloads", users.workloads)]
            {
                sample(&mut family, &[("compute", name), ("kind", kind)], count.into())?;
            }
        }
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = (&str, &ComputeStatus)> {
        self.computes.iter().map(|compute| (compute.name.as_str(), &compute.status))
    }
}

impl Collector for States {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        for group in &self.groups {
            match group {
                Group::Totals => self.totals(&mut to)?,
                Group::Status => self.statuses(&mut to)?,
                Group::Conditions => self.conditions(&mut to)?,
                Group::Counts => self.counts(&mut to)?,
            }
        }
        Ok(())
    }
}

/// The category of the fault of a Compute in error. A word that is none of ours is not repeated: it would be a label without
/// bounds.
fn fault(status: &ComputeStatus) -> Option<&'static str> {
    let error = status.aggregate_status == AggregateStatus::Error;
    let reason = status.condition("Ready").and_then(|ready| Category::of_word(&ready.reason));
    error.then(|| reason.map_or("Unknown", Category::word))
}

fn gauge<'a>(
    to: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    to.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn sample<L: EncodeLabelSet>(family: &mut MetricEncoder<'_>, labels: &L, value: i64) -> fmt::Result {
    ConstGauge::new(value).encode(family.encode_family(labels)?)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

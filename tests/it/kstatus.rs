//! kstatus by its published rules (kubernetes-sigs/cli-utils, `pkg/kstatus`), for objects without rules of their kind.

mod recorder;

pub use recorder::{Seen, caught_up, record, seen, verdict, was};

use poros::api::compute::Compute;

/// What a tool such as Flux or `kubectl wait` makes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    Terminating,
    InProgress,
    Failed,
    Current,
}

/// Computes it.
pub fn of(compute: &Compute) -> Kstatus {
    let status = compute.status.as_ref();
    let condition = |type_: &str| {
        let conditions = status.iter().flat_map(|status| &status.conditions);
        conditions
            .into_iter()
            .find(|condition| condition.type_ == type_)
            .map(|condition| condition.status.as_str())
    };
    if compute.metadata.deletion_timestamp.is_some() {
        return Kstatus::Terminating;
    }
    if status.is_some_and(|status| Some(status.observed_generation) != compute.metadata.generation) {
        return Kstatus::InProgress;
    }
    if condition("Reconciling") == Some("True") {
        return Kstatus::InProgress;
    }
    if condition("Stalled") == Some("True") {
        return Kstatus::Failed;
    }
    match condition("Ready") {
        Some("True") | None => Kstatus::Current,
        Some(_) => Kstatus::InProgress,
    }
}

/// What the truth table says that it should be; an error if it has no such row.
pub fn expected(compute: &Compute) -> Result<Kstatus, String> {
    use poros::api::status::{AggregateStatus, Stage};
    let Some(status) = &compute.status else { return Ok(Kstatus::InProgress) };
    if compute.metadata.deletion_timestamp.is_some() {
        return Ok(Kstatus::Terminating);
    }
    let row = match (status.aggregate_status, status.builder_state.stage) {
        (AggregateStatus::Active, Stage::Built) => Kstatus::Current,
        (AggregateStatus::Error, Stage::Error) => Kstatus::Failed,
        (AggregateStatus::Pending | AggregateStatus::Error, Stage::Building) => Kstatus::InProgress,
        words => return Err(format!("no row of the truth table has {words:?}")),
    };
    // What the status says of an older generation is not what the object is.
    let observed = Some(status.observed_generation) == compute.metadata.generation;
    Ok(if observed { row } else { Kstatus::InProgress })
}

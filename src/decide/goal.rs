//! What can be waited for, and how far a Compute is from it: there, on its way, or never without somebody's help.

mod asked;
mod path;

use serde_json::Value;

use crate::api::names::FINALIZER;
use crate::api::status::{AggregateStatus, Stage};
use crate::decide::fault::Category;
use crate::decide::observed::Compute;

pub use crate::decide::goal::asked::GoalError;
pub use crate::decide::goal::path::Path;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// This is to come.
    pub aim: Aim,
    /// And only while this holds; the end of it without the aim is a failure.
    pub meanwhile: Option<Fact>,
}

/// What is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// It is so.
    Is(Fact),
    /// It is so no longer.
    IsNot(Fact),
    /// The object is there.
    Created,
    /// The object is gone.
    Deleted,
}

/// What can be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `status.aggregateStatus` is this.
    Status(AggregateStatus),
    /// `status.builderState.stage` is this.
    Stage(Stage),
    /// A condition of this type has this status; both in any case, as kubectl reads them.
    Condition {
        /// Its type.
        type_: String,
        /// `True`, `False` or `Unknown`.
        status: String,
    },
    /// A field is there, and has this value where one is given.
    Field {
        /// Where.
        path: Path,
        /// As text.
        value: Option<String>,
    },
}

/// What is seen of the Compute that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The Compute, and the same as it is stored; none if there is none of that name.
    pub now: Option<(&'a Compute, &'a Value)>,
    /// The uid of the incarnation that it is about; none while none was seen.
    pub uid: Option<&'a str>,
    /// What is older than this generation is old news.
    pub generation: i64,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There.
    Met,
    /// On its way.
    NotYet(Standing),
    /// It cannot come any more, unless somebody helps.
    Never(Cause, Standing),
}

/// How it stands, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// In a sentence: `stage building, 1/2 resources, the pool is awaited`.
    pub text: String,
    /// What can be done about it, a line each.
    pub to_do: Vec<String>,
}

/// Why it cannot come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no such object.
    Absent,
    /// It is gone, or is going.
    Gone,
    /// A fault that needs somebody.
    Fault,
    /// What should have lasted is over.
    Over,
}

impl Goal {
    /// Active: what is waited for unless something else is asked.
    pub fn active() -> Self {
        Self { aim: Aim::Is(Fact::Status(AggregateStatus::Active)), meanwhile: None }
    }

    /// Gone.
    pub fn deleted() -> Self {
        Self { aim: Aim::Deleted, meanwhile: None }
    }

    /// How far the Compute is from it.
    pub fn judge(&self, sight: Sight<'_>) -> Verdict {
        let met = match (&self.aim, sight.now) {
            (Aim::Deleted, None) => true,
            (Aim::Deleted, Some((compute, _))) => sight.uid.is_some_and(|uid| uid != compute.uid),
            (Aim::Created, now) => now.is_some(),
            // Only the last status says `deleted`, and who looks a moment later sees nothing.
            (Aim::Is(Fact::Status(AggregateStatus::Deleted)), None) => sight.uid.is_some(),
            (Aim::Is(_), None) => false,
            (Aim::IsNot(_), None) => sight.uid.is_some(),
            (Aim::Is(fact), Some(now)) => fact.is_told(sight, now) && fact.holds(now),
            (Aim::IsNot(fact), Some(now)) => fact.is_told(sight, now) && !fact.holds(now),
        };
        if met {
            return Verdict::Met;
        }
        let Some(now @ (compute, _)) = sight.now else {
            return match (&self.aim, sight.uid) {
                (Aim::Created, _) => Verdict::NotYet(Standing::of("it does not exist yet")),
                (_, Some(_)) => Verdict::Never(Cause::Gone, Standing::of("it was deleted")),
                (_, None) => Verdict::Never(Cause::Absent, Standing::of("it does not exist")),
            };
        };
        let standing = Standing::now(compute, sight.generation);
        let (Aim::Is(fact) | Aim::IsNot(fact)) = &self.aim else {
            return Verdict::NotYet(Standing::going(compute, standing));
        };
        if let Some(meanwhile) = &self.meanwhile
            && meanwhile.is_told(sight, now)
            && !meanwhile.holds(now)
        {
            return Verdict::Never(Cause::Over, standing);
        }
        if compute.deleting {
            return match fact.outlives_the_spec() {
                true => Verdict::NotYet(Standing::going(compute, standing)),
                false => Verdict::Never(Cause::Gone, Standing::of("it is being deleted")),
            };
        }
        if fact.outlives_the_spec() {
            return Verdict::NotYet(standing);
        }
        if compute.paused {
            return Verdict::Never(Cause::Fault, standing);
        }
        if is_told(sight, compute)
            && compute.status.builder_state.stage == Stage::Error
            && let Mend::Somebody(_) = fault(compute).unwrap_or(Category::Internal).mend()
        {
            return Verdict::Never(Cause::Fault, standing);
        }
        Verdict::NotYet(standing)
    }

    /// What is waited for, as it is told: `active`, `condition Ready=True`.
    pub fn told(&self) -> String {
        match &self.aim {
            Aim::Is(fact) => fact.told(),
            Aim::IsNot(fact) => format!("no longer {}", fact.told()),
            Aim::Created => "created".into(),
            Aim::Deleted => "deleted".into(),
        }
    }
}

impl Fact {
    /// As it is told.
    pub fn told(&self) -> String {
        match self {
            Self::Status(status) => status.word().into(),
            Self::Stage(stage) => stage.word().into(),
            Self::Condition { type_, status } => format!("condition {type_}={status}"),
            Self::Field { path, value: Some(value) } => format!("{path}={value}"),
            Self::Field { path, value: None } => format!("{path} set"),
        }
    }

    fn holds(&self, (compute, stored): (&Compute, &Value)) -> bool {
        match self {
            Self::Status(status) => compute.status.aggregate_status == *status,
            Self::Stage(stage) => compute.status.builder_state.stage == *stage,
            Self::Condition { type_, status } => compute.status.conditions.iter().any(|condition| {
                condition.type_.eq_ignore_ascii_case(type_) && condition.status.eq_ignore_ascii_case(status)
            }),
            Self::Field { path, value } => path.find(stored).is_some_and(|found| match value {
                Some(value) => path::as_text(found) == *value,
                None => !found.is_null(),
            }),
        }
    }

    /// Whether what is seen speaks of what is asked for now. What people wrote themselves always does.
    fn is_told(&self, sight: Sight<'_>, (compute, _): (&Compute, &Value)) -> bool {
        match self {
            Self::Field { path, .. } if !path.is_in("status") => true,
            Self::Status(_) | Self::Stage(_) | Self::Condition { .. } | Self::Field { .. } => {
                is_told(sight, compute)
            }
        }
    }

    /// Whether it may still come while the spec cannot be built, or the Compute is on its way out.
    fn outlives_the_spec(&self) -> bool {
        match self {
            Self::Status(status) => match status {
                AggregateStatus::Deleting | AggregateStatus::Deleted => true,
                AggregateStatus::Pending | AggregateStatus::Active | AggregateStatus::Error => false,
            },
            Self::Stage(_) => false,
            Self::Condition { type_, .. } => !type_.eq_ignore_ascii_case("Ready"),
            Self::Field { .. } => true,
        }
    }
}

/// Whether the status speaks of the generation that is asked for now.
fn is_told(sight: Sight<'_>, compute: &Compute) -> bool {
    compute.generation >= sight.generation && compute.status.observed_generation == compute.generation
}

/// The category of the fault that the status tells, if it tells one.
fn fault(compute: &Compute) -> Option<Category> {
    Category::of_word(&compute.status.condition("Ready")?.reason)
}

impl Standing {
    fn of(text: &str) -> Self {
        Self { text: text.into(), to_do: Vec::new() }
    }

    fn now(compute: &Compute, asked: i64) -> Self {
        let status = &compute.status;
        let (told, generation) = (status.observed_generation, compute.generation.max(asked));
        if compute.paused {
            let resume = format!("kubectl annotate compute {} poros.dataos.io/paused-", compute.name);
            return Self {
                text: "it is paused: Poros changes nothing for it".into(),
                to_do: vec![format!("let Poros go on: {resume}")],
            };
        }
        if told != generation {
            let text = match told {
                ..1 => "Poros has not looked at it yet".into(),
                told => format!("Poros has not looked at generation {generation} yet, only at {told}"),
            };
            return Self { text, to_do: vec![WHETHER_POROS_RUNS.into()] };
        }
        let builder = &status.builder_state;
        let state = match status.aggregate_status {
            // One word says it all.
            AggregateStatus::Pending => String::new(),
            state => format!("status {}, ", state.word()),
        };
        let fault = match status.aggregate_status {
            AggregateStatus::Error => fault(compute),
            _ => None,
        };
        let reason = fault.map(|category| format!("{}: ", category.word())).unwrap_or_default();
        let text = format!(
            "{state}stage {}, {} resources, {reason}{}",
            builder.stage.word(),
            builder.summary,
            builder.info
        );
        let to_do = fault.map(|category| to_do(category, &compute.name)).unwrap_or_default();
        Self { text, to_do }
    }

    /// Of a Compute that is to go: who holds it.
    fn going(compute: &Compute, standing: Self) -> Self {
        if !compute.deleting {
            return Self { text: format!("nobody has asked it to go ({})", standing.text), ..standing };
        }
        let others: Vec<&str> =
            compute.finalizers.iter().filter(|held| *held != FINALIZER).map(String::as_str).collect();
        let poros = compute.finalizers.iter().any(|held| held == FINALIZER);
        if poros && compute.status.observed_generation != compute.generation && !compute.paused {
            return Self {
                text: format!(
                    "it is being deleted; its finalizer {FINALIZER} waits for Poros, which has not looked at it yet"
                ),
                to_do: vec![WHETHER_POROS_RUNS.into()],
            };
        }
        if poros {
            let reason = compute.status.condition("Ready").map(|ready| ready.reason.as_str());
            let fault = reason.and_then(Category::of_word);
            let to_do = fault.map(|category| to_do(category, &compute.name)).unwrap_or_default();
            return Self {
                text: format!("it is being deleted: {}", compute.status.builder_state.info),
                to_do,
            };
        }
        let text = match others.as_slice() {
            [] => "it is being deleted".into(),
            [one] => format!("all that was built for it is gone; the finalizer {one} holds it"),
            many => format!("all that was built for it is gone; the finalizers {} hold it", many.join(", ")),
        };
        let whose = "see who put that finalizer there".to_owned();
        let to_do = match others.is_empty() {
            true => Vec::new(),
            false => {
                vec![format!("{whose}: kubectl get compute {} -o yaml --show-managed-fields", compute.name)]
            }
        };
        Self { text, to_do }
    }
}

const WHETHER_POROS_RUNS: &str = "see whether Poros runs: kubectl get pods,leases -n poros-system";

/// What the table of faults says to do.
fn to_do(category: Category, name: &str) -> Vec<String> {
    let row = category.row();
    row.to_do.iter().map(|(what, command)| format!("{what}: {}", command.replace("NAME", name))).collect()
}

/// Who mends a fault that came in the build, and why it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// It may pass while one waits.
    Itself(&'static str),
    /// It stays until somebody does something.
    Somebody(&'static str),
}

impl Mend {
    /// Why.
    pub fn why(self) -> &'static str {
        match self {
            Self::Itself(why) | Self::Somebody(why) => why,
        }
    }
}

impl Category {
    /// Who mends it while the stage is `error`. Who waits is told at once where nothing but somebody does.
    pub fn mend(self) -> Mend {
        match self {
            Self::Undecodable => Mend::Somebody("only an edit, or another Poros, makes it readable"),
            Self::InvalidSpec => Mend::Somebody("only an edit mends a spec"),
            Self::UnknownDataplane => Mend::Somebody("only an edit names another dataplane"),
            Self::NameTaken => Mend::Somebody("only who owns the other object can take it away"),
            Self::Forbidden => Mend::Somebody("it outlasted its grace; somebody has to grant the right"),
            Self::PolicyMissing => {
                Mend::Somebody("it outlasted its grace; somebody has to apply the policies")
            }
            Self::ProofMismatch => Mend::Somebody("an edit mends it, or a change of who else changes pods"),
            Self::ApplyFailed => Mend::Itself("the API server may answer the next try"),
            Self::ProofBlocked => Mend::Itself("it is no error, and is tried again"),
            Self::Contended => Mend::Itself("a rival that is quiet for a minute is gone"),
            Self::NoNodesMatch | Self::NoReadyNodes => Mend::Itself("a node may join"),
            Self::Internal => Mend::Itself("it is tried again"),
        }
    }
}

//! What can be waited for, and how far a Compute is from it: there, on its way, or never without somebody's help.

use serde_json::Value;

use crate::api::names::FINALIZER;
use crate::api::status::{AggregateStatus, Stage};
use crate::decide::desired::ready_reason;
use crate::decide::fault::Category;
use crate::decide::jsonpath::{self, Path};
use crate::decide::observed::Compute;

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// This is to come.
    pub aim: Aim,
    /// And only while this holds; the end of it without the aim is a failure.
    pub meanwhile: Option<Fact>,
}

/// What is to come.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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
            (Aim::Is(fact), Some(now)) => fact.can_be(now) && fact.is_told(sight, now) && fact.holds(now),
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
            return if fact.outlives_the_spec() {
                Verdict::NotYet(Standing::going(compute, standing))
            } else {
                Verdict::Never(Cause::Gone, Standing::of("it is being deleted"))
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
            Self::Field { path, value: Some(value) } => format!("{{{path}}}={value}"),
            Self::Field { path, value: None } => format!("{{{path}}} set"),
        }
    }

    fn holds(&self, (compute, stored): (&Compute, &Value)) -> bool {
        match self {
            Self::Status(status) => compute.status.aggregate_status == *status,
            Self::Stage(stage) => compute.status.builder_state.stage == *stage,
            Self::Condition { type_, status } => compute.status.conditions.iter().any(|condition| {
                condition.type_.eq_ignore_ascii_case(type_) && condition.status.eq_ignore_ascii_case(status)
            }),
            Self::Field { path, value } => path.find(stored).first().is_some_and(|found| match value {
                Some(value) => jsonpath::told(found) == *value,
                None => !found.is_null(),
            }),
        }
    }

    /// Whether it can be so: what is on its way out is not active, whatever its last status says.
    fn can_be(&self, (compute, _): (&Compute, &Value)) -> bool {
        !compute.deleting || self.outlives_the_spec()
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
    Category::of_word(ready_reason(compute)?)
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
            return Self { text, to_do: vec![who_leads()] };
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
            return Self::of(&format!(
                "it is being deleted, and its finalizer {FINALIZER} waits for Poros; {}",
                who_leads()
            ));
        }
        if poros {
            let to_do = fault(compute).map(|category| to_do(category, &compute.name)).unwrap_or_default();
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
        let whose = format!(
            "see who put it there: kubectl get compute {} -o yaml --show-managed-fields",
            compute.name
        );
        let to_do = if others.is_empty() { Vec::new() } else { vec![whose] };
        Self { text, to_do }
    }
}

/// What to look at, and the command that shows it: who holds the Lease, in whatever namespace Poros is.
pub const WHO_LEADS: [&str; 2] = [
    "see whether a Poros leads, and since when",
    "kubectl get leases -A --field-selector metadata.name=poros",
];

fn who_leads() -> String {
    WHO_LEADS.join(": ")
}

/// What the table of faults says to do.
fn to_do(category: Category, name: &str) -> Vec<String> {
    category.row().to_do_for(name).map(|(what, command)| format!("{what}: {command}")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{BuilderState, ComputeStatus, Users};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use serde_json::json;

    /// A Compute of generation 3, whose status speaks of it.
    fn compute(aggregate: AggregateStatus, stage: Stage, reason: &str) -> Compute {
        let ready = Condition {
            type_: "Ready".into(),
            status: "Unknown".into(),
            reason: reason.into(),
            message: "as it is".into(),
            observed_generation: Some(3),
            last_transition_time: Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH),
        };
        Compute {
            name: "query".into(),
            uid: "one".into(),
            resource_version: "7".into(),
            generation: 3,
            deleting: false,
            finalizers: vec![FINALIZER.into()],
            paused: false,
            delete_in_use: false,
            spec: Err("not read here".into()),
            status: ComputeStatus {
                aggregate_status: aggregate,
                builder_state: BuilderState {
                    stage,
                    summary: "1/2".into(),
                    info: "as it is".into(),
                    ..BuilderState::default()
                },
                conditions: vec![ready],
                observed_generation: 3,
                ..ComputeStatus::default()
            },
        }
    }

    fn judge(goal: &str, compute: &Compute) -> Verdict {
        let stored = json!({"status": {"n": 1}, "metadata": {"labels": {"a": "b"}}});
        let now = Some((compute, &stored));
        goal.parse::<Goal>().unwrap().judge(Sight { now, uid: Some("one"), generation: 0 })
    }

    fn unseen(goal: &str, uid: Option<&str>) -> Verdict {
        goal.parse::<Goal>().unwrap().judge(Sight { now: None, uid, generation: 0 })
    }

    fn cause(verdict: &Verdict) -> Option<Cause> {
        match verdict {
            Verdict::Never(cause, _) => Some(*cause),
            Verdict::Met | Verdict::NotYet(_) => None,
        }
    }

    fn text(verdict: Verdict) -> String {
        match verdict {
            Verdict::Met => "met".into(),
            Verdict::NotYet(standing) => standing.text,
            Verdict::Never(cause, standing) => format!("{cause:?}: {}", standing.text),
        }
    }

    /// A row for each category: whether a wait ends where it is an error in the build; after the build it never does.
    #[test]
    fn a_wait_ends_where_only_somebody_mends_the_fault() {
        use Category as C;
        let rows = [
            (C::Undecodable, true),
            (C::InvalidSpec, true),
            (C::UnknownDataplane, true),
            (C::NameTaken, true),
            (C::Forbidden, true),
            (C::ApplyFailed, false),
            (C::PolicyMissing, true),
            (C::ProofMismatch, true),
            (C::ProofBlocked, false),
            (C::Contended, false),
            (C::NoNodesMatch, false),
            (C::NoReadyNodes, false),
            (C::Internal, false),
        ];
        assert_eq!(rows.map(|(category, _)| category), C::ALL);
        for (category, ends) in rows {
            for goal in ["status=active", "stage=built", "condition=Ready"] {
                let in_build = judge(goal, &compute(AggregateStatus::Error, Stage::Error, category.word()));
                assert_eq!(
                    cause(&in_build),
                    ends.then_some(Cause::Fault),
                    "{category:?} {goal} {in_build:?}"
                );
                let (Verdict::Never(_, standing) | Verdict::NotYet(standing)) = in_build else { panic!() };
                assert_eq!(
                    standing.text,
                    format!("status error, stage error, 1/2 resources, {}: as it is", category.word())
                );
                assert!(!standing.to_do.is_empty(), "{category:?}");
                assert!(standing.to_do.iter().all(|line| !line.contains("NAME")), "{standing:?}");
                let after = judge(goal, &compute(AggregateStatus::Error, Stage::Building, category.word()));
                assert_eq!(cause(&after), None, "{category:?} {goal} {after:?}");
            }
        }
    }

    #[test]
    fn each_status_and_stage_is_met_by_itself_alone() {
        let states = [
            (AggregateStatus::Pending, Stage::Building),
            (AggregateStatus::Active, Stage::Built),
            (AggregateStatus::Error, Stage::Error),
            (AggregateStatus::Error, Stage::Building),
        ];
        for (status, stage) in states {
            let now = compute(status, stage, "NoNodesMatch");
            for wanted in AggregateStatus::ALL {
                let verdict = judge(&format!("status={}", wanted.word()), &now);
                assert_eq!(verdict == Verdict::Met, wanted == status, "{wanted:?} {verdict:?}");
            }
            for wanted in Stage::ALL {
                let verdict = judge(&format!("stage={}", wanted.word()), &now);
                assert_eq!(verdict == Verdict::Met, wanted == stage, "{wanted:?} {verdict:?}");
            }
            assert_eq!(judge("created", &now), Verdict::Met);
            assert!(text(judge("deleted", &now)).starts_with("nobody has asked it to go"));
        }
    }

    #[test]
    fn what_speaks_of_an_older_generation_does_not_count() {
        let mut active = compute(AggregateStatus::Active, Stage::Built, "Active");
        active.generation = 4;
        assert_eq!(
            text(judge("status=active", &active)),
            "Poros has not looked at generation 4 yet, only at 3"
        );
        active.status.observed_generation = -1;
        assert_eq!(text(judge("stage=built", &active)), "Poros has not looked at it yet");
        // What was just written is newer than what is seen: a lagging API server must not pass it for done.
        let active = compute(AggregateStatus::Active, Stage::Built, "Active");
        let stored = json!({});
        let sight = Sight { now: Some((&active, &stored)), uid: Some("one"), generation: 5 };
        assert_eq!(text(Goal::active().judge(sight)), "Poros has not looked at generation 5 yet, only at 3");
        // Nor does an old error end it.
        let mut failed = compute(AggregateStatus::Error, Stage::Error, "InvalidSpec");
        failed.generation = 4;
        assert!(matches!(judge("status=active", &failed), Verdict::NotYet(_)));
        // What people wrote themselves is as it is.
        assert_eq!(judge("jsonpath={.metadata.labels.a}=b", &failed), Verdict::Met);
        assert!(matches!(judge("jsonpath={.status.n}=1", &failed), Verdict::NotYet(_)));
    }

    #[test]
    fn what_is_not_there_or_going_is_told_apart() {
        assert_eq!(cause(&unseen("status=active", None)), Some(Cause::Absent));
        assert_eq!(cause(&unseen("status=active", Some("one"))), Some(Cause::Gone));
        assert!(matches!(unseen("created", None), Verdict::NotYet(_)));
        assert_eq!(unseen("deleted", None), Verdict::Met);
        assert_eq!(unseen("status=deleted", Some("one")), Verdict::Met);
        let mut going = compute(AggregateStatus::Active, Stage::Built, "Active");
        going.deleting = true;
        assert_eq!(cause(&judge("status=active", &going)), Some(Cause::Gone));
        assert!(text(judge("deleted", &going)).contains("as it is"));
        let stored = json!({});
        let other = Sight { now: Some((&going, &stored)), uid: Some("another"), generation: 0 };
        assert_eq!(Goal::deleted().judge(other), Verdict::Met, "the one that was meant is gone");
    }

    #[test]
    fn who_holds_a_deletion_is_told() {
        let mut going = compute(AggregateStatus::Deleting, Stage::Building, "InUse");
        going.deleting = true;
        going.status.users = Some(Users { pods: 1, ..Users::default() });
        going.status.builder_state.info = "it is still in use (Pod/default/a)".into();
        assert_eq!(text(judge("deleted", &going)), "it is being deleted: it is still in use (Pod/default/a)");
        going.generation = 4;
        assert_eq!(
            text(judge("deleted", &going)),
            "it is being deleted, and its finalizer poros.dataos.io/cleanup waits for Poros; see whether a Poros leads, and since when: kubectl get leases -A --field-selector metadata.name=poros"
        );
        going.finalizers = vec!["example.com/hold".into()];
        assert_eq!(
            text(judge("deleted", &going)),
            "all that was built for it is gone; the finalizer example.com/hold holds it"
        );
    }

    #[test]
    fn a_paused_compute_is_not_waited_for() {
        let mut paused = compute(AggregateStatus::Pending, Stage::Building, "Paused");
        paused.paused = true;
        let Verdict::Never(Cause::Fault, standing) = judge("status=active", &paused) else { panic!() };
        assert_eq!(
            standing.to_do,
            ["let Poros go on: kubectl annotate compute query poros.dataos.io/paused-"]
        );
        let mut active = compute(AggregateStatus::Active, Stage::Built, "Active");
        active.paused = true;
        assert_eq!(judge("status=active", &active), Verdict::Met);
    }

    #[test]
    fn a_goal_may_hold_only_while_something_does() {
        let pending: Fact = "status=pending".parse().unwrap();
        let goal = Goal { meanwhile: Some(pending.clone()), ..Goal::active() };
        let stored = json!({});
        let at = |compute: &Compute, goal: &Goal| {
            goal.judge(Sight { now: Some((compute, &stored)), uid: Some("one"), generation: 0 })
        };
        let building = compute(AggregateStatus::Pending, Stage::Building, "Building");
        let waiting = compute(AggregateStatus::Error, Stage::Building, "NoNodesMatch");
        let active = compute(AggregateStatus::Active, Stage::Built, "Active");
        assert!(matches!(at(&building, &goal), Verdict::NotYet(_)));
        assert_eq!(cause(&at(&waiting, &goal)), Some(Cause::Over));
        assert_eq!(at(&active, &goal), Verdict::Met);
        let over = Goal { aim: Aim::IsNot(pending), meanwhile: None };
        assert!(matches!(at(&building, &over), Verdict::NotYet(_)));
        assert_eq!(at(&waiting, &over), Verdict::Met);
        assert_eq!(over.told(), "no longer pending");
        let mut unseen = building;
        unseen.status.observed_generation = -1;
        assert!(matches!(at(&unseen, &over), Verdict::NotYet(_)));
    }
}

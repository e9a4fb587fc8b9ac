//! A cluster of one Compute, in memory: the real rules over a pretended API server whose clock only moves when told.
//!
//! It stands beside the tests on a real API server, not in their place: it reaches interleavings that those cannot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::DynamicObject;
use poros::api::compute::ComputeSpec;
use poros::api::names::FINALIZER;
use poros::api::status::{ComputeStatus, NodeCounts, Users};
use poros::controller::memory::{Memories, Next};
use poros::decide::admission::in_force;
use poros::decide::applied::{Applied, Pace, State};
use poros::decide::desired::{Desired, desired};
use poros::decide::fault::Fault;
use poros::decide::manifest::{Kind, Manifest};
use poros::decide::mode::Admission;
use poros::decide::observed::{Child, Compute, Observed, Policies, Pool, Proof, Recall, Settings, Standing};
use poros::decide::outcome::outcome;
use poros::decide::plan::{Action, Plan, plan};
use poros::decide::prove::{self, When};
use poros::decide::status::{Worth, status, worth};
use poros::decide::truth::Outcome;
use poros::decide::validate::validate;
use poros::decide::verdict::{Facts, Verdict};
use poros::world::project;
use serde_json::{Value, json};

pub const NAME: &str = "query";

/// The pretended cluster.
pub struct Sim {
    pub compute: Option<Compute>,
    pub placement: Option<Child>,
    pub binding: Option<Child>,
    pub pool: Pool,
    pub users: Users,
    pub policies: Policies,
    pub api_servers: Option<usize>,
    /// What admission makes of a probe that is placed as the Placement says.
    pub admission: Proof,
    /// What places pods.
    pub mode: Admission,
    pub settings: Settings,
    pub memories: Memories,
    /// Every status that was written, in order.
    pub written: Vec<(Compute, ComputeStatus)>,
    /// Every content that a status gave a number to.
    pub contents: Vec<(u64, Value)>,
    /// What the API server answers to each write of a built object, if it refuses them.
    pub refusal: Option<Fault>,
    /// Writes left until Poros is killed.
    pub kill_after: Option<u32>,
    pub writes: u32,
    version: u64,
    begin: Instant,
    pub elapsed: Duration,
    changed: Option<(Duration, Pace)>,
}

/// Poros was killed at a write.
pub struct Killed;

/// The spec of a Compute over the nodes `pool: <pool>`.
pub fn spec(pool: &str) -> ComputeSpec {
    serde_json::from_value(json!({
        "purpose": "query",
        "nodePool": {"nodeSelector": {"pool": pool}, "tolerations": [{"key": "dedicated", "value": pool}]},
    }))
    .unwrap()
}

impl Sim {
    pub fn new() -> Self {
        let settings = Settings::default();
        let compute = Compute {
            name: NAME.into(),
            uid: "uid-1".into(),
            resource_version: "1".into(),
            generation: 1,
            deleting: false,
            finalizers: vec![FINALIZER.into()],
            paused: false,
            delete_in_use: false,
            spec: Ok(spec("a")),
            status: ComputeStatus { observed_generation: -1, ..ComputeStatus::default() },
        };
        let mut sim = Self {
            compute: Some(compute),
            placement: None,
            binding: None,
            pool: Pool::default(),
            users: Users::default(),
            policies: Policies { missing: None, fingerprint: "policies-1".into() },
            api_servers: Some(1),
            admission: Proof::Proven,
            mode: Admission::default(),
            memories: Memories::new(settings.clone()),
            settings,
            written: Vec::new(),
            contents: Vec::new(),
            refusal: None,
            kill_after: None,
            writes: 0,
            version: 1,
            begin: Instant::now(),
            elapsed: Duration::ZERO,
            changed: None,
        };
        sim.nodes(2);
        sim
    }

    /// Sets how many nodes the pool has, all ready.
    pub fn nodes(&mut self, ready: u32) {
        self.pool.counts = NodeCounts {
            matched: ready,
            ready,
            schedulable: ready,
            summary: format!("{ready}/{ready}"),
            ..NodeCounts::default()
        };
    }

    /// Changes the Compute as a person would.
    pub fn edit(&mut self, change: impl FnOnce(&mut Compute)) {
        let version = self.next_version();
        if let Some(compute) = &mut self.compute {
            let before = compute.spec.clone();
            change(compute);
            compute.generation += i64::from(compute.spec != before);
            compute.resource_version = version;
        }
    }

    /// Starts Poros anew: its memory is gone.
    pub fn restart(&mut self) {
        self.memories = Memories::new(self.settings.clone());
    }

    pub fn wait(&mut self, time: Duration) {
        self.elapsed += time;
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn now(&self) -> Instant {
        self.begin + self.elapsed
    }

    fn write(&mut self) -> Result<(), Killed> {
        self.writes += 1;
        if let Some(left) = &mut self.kill_after {
            if *left == 0 {
                self.kill_after = None;
                self.restart();
                return Err(Killed);
            }
            *left -= 1;
        }
        Ok(())
    }

    pub fn observe(&self) -> Observed {
        Observed {
            name: NAME.into(),
            compute: self.compute.clone().map(Arc::new),
            placement: self.placement.clone().map(Arc::new),
            // As `World::observe` has it.
            binding: self.binding.clone().filter(|_| self.mode.binds).map(Arc::new),
            pool: self.pool.clone(),
            users: self.users.clone(),
            policies: Policies {
                // As `policies::compare` has it.
                fingerprint: format!("{} {:?}", self.policies.fingerprint, self.mode).into(),
                ..self.policies.clone()
            },
            admission: self.mode,
            doubted: false,
            api_servers: self.api_servers,
            recall: Recall::default(),
        }
    }

    /// Makes a pass as `controller::pass` does. Gives back the verdict, and when to look again.
    pub fn pass(&mut self) -> Result<Option<(Verdict, Option<Duration>)>, Killed> {
        let mut observed = self.observe();
        let Some(compute) = observed.compute.clone() else { return Ok(None) };
        let settings = self.settings.clone();
        let valid = validate(&compute, &settings);
        observed.recall = self.memories.recall(&observed, &valid, self.now());
        let desired = desired(&observed, &valid);
        let plan = plan(&observed, &desired, &settings);
        let applied = self.apply(&plan)?;
        let compute = Arc::new(self.compute.clone().unwrap());
        self.memories.note_applied(NAME, plan.rival(), &applied, self.now());
        let (mut target, mut proof, mut prove_in) = (None, None, None);
        if let Some(task) = prove::task(&observed, &compute, &desired, &applied) {
            match task.when {
                When::Not => {}
                When::In(wait) => (proof, prove_in) = (task.known, Some(wait)),
                When::Now => {
                    let found = self.admit();
                    self.memories.note_proof(NAME, &task.target, &found, self.now());
                    prove_in = prove::again(&found);
                    proof = Some(found);
                }
            }
            target = Some(task.target);
        }
        let facts = Facts {
            observed: &observed,
            compute: &compute,
            valid: &valid,
            desired: &desired,
            plan: &plan,
            applied: &applied,
            target: target.as_ref(),
            proof: proof.as_ref(),
            prove_in,
            settings: &settings,
            now: Timestamp::UNIX_EPOCH + self.elapsed,
        };
        let verdict = outcome(&facts);
        self.memories.note_outcome(NAME, &verdict.outcome);
        let new = status(&facts, &verdict);
        let mut wake = verdict.wake;
        match worth(&facts, &new) {
            Worth::Nothing => {}
            Worth::Counters(wait) => wake = Some(wake.map_or(wait, |wake| wake.min(wait))),
            Worth::News => {
                // While failed content is tried again it is in force for a moment, and the last word stands; so it does for
                // a paused Compute.
                let judged = matches!(desired, Desired::Kept(..));
                let refused = new.builder_state.info.ends_with("pods that name this Compute are refused");
                assert!(!judged || !refused || !self.in_force(), "placed, and said to be refused: {new:?}");
                self.write()?;
                self.written.push(((*compute).clone(), new.clone()));
                if let (Some(said), Some(child)) = (&new.placement, &self.placement)
                    && child.uid != "foreign" // its number is not one that Poros gave
                    && child.spec["revision"] == said.revision
                {
                    self.contents.push((
                        said.revision,
                        json!([child.spec["nodeSelector"], child.spec["tolerations"]]),
                    ));
                }
                let version = self.next_version();
                self.memories.note_status(NAME, &compute.status, &new, self.now());
                let stored = self.compute.as_mut().unwrap();
                (stored.status, stored.resource_version) = (new, version);
            }
        }
        if verdict.outcome == Outcome::Deleted {
            self.write()?;
            self.compute = None;
        }
        let next = Next { wake, retry: applied.fault().is_some(), ..Next::default() };
        Ok(Some((verdict, self.memories.settle(NAME, &next))))
    }

    /// Makes passes, and lets the time pass that they ask for, until nothing is left to do or `limit` is over.
    pub fn settle(&mut self, limit: Duration) -> Option<Verdict> {
        let end = self.elapsed + limit;
        let mut last = None;
        for _ in 0..10_000 {
            match self.pass() {
                Err(Killed) => {}
                Ok(None) => return None,
                Ok(Some((verdict, wake))) => {
                    last = Some(verdict);
                    let Some(wake) = wake else { return last };
                    if self.elapsed + wake > end {
                        self.elapsed = end;
                        return last;
                    }
                    self.elapsed += wake.max(Duration::from_millis(1));
                }
            }
        }
        panic!("10000 passes, and still something to do: {last:?}");
    }

    /// Whether a pod that names the Compute would be placed: by the policy, or by the webhook.
    pub fn in_force(&self) -> bool {
        let (Some(compute), Some(placement)) = (&self.compute, &self.placement) else { return false };
        let ours = |child: &Child| child.standing(&compute.uid) == Standing::Ours;
        let bound = self.mode.binds && self.binding.as_ref().is_some_and(ours);
        bound || self.mode.calls_webhook() && in_force(compute, placement).is_some()
    }

    /// What admission makes of a probe now: what was written lately, it does not know yet.
    fn admit(&self) -> Proof {
        match self.changed {
            Some((at, Pace::Slow)) if self.elapsed < at + Duration::from_millis(900) => {
                Proof::NotYet("early".into())
            }
            Some((at, Pace::Fast)) if self.elapsed < at + Duration::from_millis(20) => {
                Proof::NotYet("early".into())
            }
            _ => match &self.admission {
                // As `prove::judge` has it.
                Proof::Mismatch(why) if self.policies.missing.is_some() => Proof::NotYet(why.clone()),
                admission => admission.clone(),
            },
        }
    }

    fn apply(&mut self, plan: &Plan) -> Result<Applied, Killed> {
        let mut applied =
            Applied { placement: State::Absent, binding: State::Absent, wrote: None, repaired: false };
        if plan.add_finalizer {
            self.write()?;
            self.edit(|compute| compute.finalizers.push(FINALIZER.into()));
        }
        if plan.teardown {
            applied.binding = self.one(Kind::Binding, &plan.binding, &mut applied)?;
            applied.placement = self.one(Kind::Placement, &plan.placement, &mut applied)?;
        } else {
            applied.placement = self.one(Kind::Placement, &plan.placement, &mut applied)?;
            applied.binding = match &applied.placement {
                State::Failed(_) | State::Pending(_) if plan.binding.writes() => {
                    State::Pending("waits".into())
                }
                _ => self.one(Kind::Binding, &plan.binding, &mut applied)?,
            };
        }
        Ok(applied)
    }

    fn one(&mut self, kind: Kind, action: &Action, applied: &mut Applied) -> Result<State, Killed> {
        let mut put = |sim: &mut Self, manifest: &Manifest, over: Option<&Child>, repair: bool| {
            if let Some(fault) = &sim.refusal {
                return Ok(State::Failed(fault.clone()));
            }
            sim.write()?;
            let version = sim.next_version();
            let uid = over.map_or_else(|| format!("child-{version}"), |child| child.uid.clone());
            let mut object: DynamicObject = serde_json::from_value(manifest.to_json(over)).unwrap();
            object.metadata.uid = Some(uid);
            object.metadata.resource_version = Some(version);
            *sim.slot(kind) = Some(project::child(kind, object));
            let pace = if kind == Kind::Binding { Pace::Slow } else { Pace::Fast };
            sim.changed = Some((sim.elapsed, pace));
            applied.repaired |= repair;
            if applied.wrote != Some(Pace::Slow) {
                applied.wrote = Some(pace);
            }
            Ok(State::InPlace)
        };
        match action {
            Action::Keep => Ok(State::InPlace),
            Action::None => Ok(State::Absent),
            Action::Unneeded => Ok(State::Unneeded),
            Action::Await | Action::Linger(_) | Action::Postpone { .. } => Ok(State::Pending("later".into())),
            Action::Refuse(fault) => Ok(State::Failed(fault.clone())),
            Action::Create { manifest, repair } => put(self, manifest, None, *repair),
            Action::Update { manifest, over, repair, .. } => put(self, manifest, Some(over), *repair),
            Action::Remove { .. } | Action::Replace { .. } => {
                self.write()?;
                *self.slot(kind) = None;
                match action {
                    Action::Replace { manifest: Some(manifest), .. } => put(self, manifest, None, false),
                    _ => Ok(State::Absent),
                }
            }
        }
    }

    pub fn slot(&mut self, kind: Kind) -> &mut Option<Child> {
        match kind {
            Kind::Placement => &mut self.placement,
            Kind::Binding => &mut self.binding,
        }
    }
}

/// An object by a child's name that Poros did not make.
pub fn foreign(kind: Kind) -> Child {
    Child {
        uid: "foreign".into(),
        resource_version: "1".into(),
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        owners: Vec::new(),
        finalizers: Vec::new(),
        writers: Vec::new(),
        spec: match kind {
            Kind::Placement => {
                // A number that Poros gives, too.
                json!({"revision": 2, "lastRevision": 2, "nodeSelector": {}, "tolerations": [], "closed": false})
            }
            Kind::Binding => json!({"policyName": "other"}),
        },
    }
}

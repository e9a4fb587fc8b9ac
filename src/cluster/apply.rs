//! Carries out a plan. Each write is guarded: a create fails if something has the name, the rest if something changed.
//!
//! Plain create and replace instead of server-side apply: apply has no way to say "only if absent", and an object by our
//! name that is not ours must never be taken over. Foreign labels and annotations are carried along.

use kube::Client;
use kube::api::{DeleteParams, PostParams, Preconditions};

use crate::api::names::MANAGER_BUILDER;
use crate::cluster::call::{CallError, call};
use crate::cluster::{resources, status};
use crate::decide::applied::{Applied, Pace, State};
use crate::decide::fault::{Category, Fault};
use crate::decide::manifest::{Kind, Manifest};
use crate::decide::observed::{Child, Compute};
use crate::decide::plan::{Action, Plan};
use crate::world::{Change, project};

/// What stands after a plan was carried out, and the objects as they were stored by it.
pub struct Carried {
    /// What stands.
    pub applied: Applied,
    /// What was stored or removed: to be known at once, before the watch tells it.
    pub changes: Vec<Change>,
    /// Whether something had changed in the meantime, so that the pass is to be made again soon.
    pub conflict: bool,
    /// The Compute as stored, if the finalizer was added.
    pub held: Option<Compute>,
}

/// Carries out a plan: the finalizer first, then the two objects. None for `compute` is a Compute that is gone.
pub async fn apply(client: &Client, name: &str, compute: Option<&Compute>, plan: &Plan) -> Carried {
    let mut work =
        Work { client, name, changes: Vec::new(), conflict: false, wrote: None, repaired: false, held: None };
    if let Some(compute) = compute.filter(|_| plan.add_finalizer) {
        match status::hold(client, compute).await {
            Ok(compute) => {
                work.changes.push(Change::Compute(name.to_owned(), Some(Box::new(compute.clone()))));
                work.held = Some(compute);
            }
            Err(error) => {
                let placement = work.failed(error);
                let binding = State::Pending("waits for the Placement".into());
                return work.carried(placement, binding);
            }
        }
    }
    let (placement, binding);
    if plan.teardown {
        binding = work.one(Kind::Binding, &plan.binding).await;
        placement = match &binding {
            // The Placement outlives its binding: pods are refused, never placed by half.
            State::Failed(_) | State::Pending(_) if plan.placement.writes() => {
                State::Pending("waits for the binding to go".into())
            }
            _ => work.one(Kind::Placement, &plan.placement).await,
        };
    } else {
        placement = work.one(Kind::Placement, &plan.placement).await;
        binding = match &placement {
            State::Failed(_) | State::Pending(_) if plan.binding.writes() => {
                State::Pending("waits for the Placement".into())
            }
            _ => work.one(Kind::Binding, &plan.binding).await,
        };
    }
    work.carried(placement, binding)
}

struct Work<'a> {
    client: &'a Client,
    name: &'a str,
    changes: Vec<Change>,
    conflict: bool,
    wrote: Option<Pace>,
    repaired: bool,
    held: Option<Compute>,
}

impl Work<'_> {
    fn carried(self, placement: State, binding: State) -> Carried {
        let Self { changes, conflict, wrote, repaired, held, .. } = self;
        Carried { applied: Applied { placement, binding, wrote, repaired }, changes, conflict, held }
    }

    async fn one(&mut self, kind: Kind, action: &Action) -> State {
        match action {
            Action::Keep => State::InPlace,
            Action::None => State::Absent,
            Action::Unneeded => State::Unneeded,
            Action::Await => State::Pending("is being removed".into()),
            Action::Postpone { field } => {
                State::Pending(format!("differs at {field}; the repair waits for its turn"))
            }
            Action::Refuse(fault) => State::Failed(fault.clone()),
            Action::Create { manifest, repair } => self.create(manifest, *repair).await,
            Action::Update { manifest, over, repair, .. } => self.replace(manifest, over, *repair).await,
            Action::Remove { uid } => self.remove(kind, uid).await,
            Action::Replace { uid, manifest } => match (self.remove(kind, uid).await, manifest) {
                (State::Absent, Some(manifest)) => self.create(manifest, false).await,
                (state, _) => state,
            },
        }
    }

    async fn create(&mut self, manifest: &Manifest, repair: bool) -> State {
        let Some(object) = as_object(manifest, None) else { return unreadable(manifest) };
        let parameters = PostParams { field_manager: Some(MANAGER_BUILDER.into()), ..PostParams::default() };
        let api = resources::children(self.client, manifest.kind);
        let result = call(api.create(&parameters, &object)).await;
        if let Err(CallError::Conflict(_)) = result
            && let Ok(Some(there)) = call(api.get_opt(&manifest.name)).await
        {
            // Something is there that no watch has told of: looked at, so that the next pass knows.
            self.changes.push(change(
                manifest.kind,
                manifest.name.clone(),
                Some(Box::new(project::child(manifest.kind, there))),
            ));
        }
        if let Err(CallError::NotFound(_)) = result {
            let text =
                format!("the API server does not serve {}: is the CRD installed?", manifest.kind.plural());
            return State::Failed(Fault::new(Category::ApplyFailed, text));
        }
        self.stored(manifest, result, repair)
    }

    async fn replace(&mut self, manifest: &Manifest, over: &Child, repair: bool) -> State {
        let Some(object) = as_object(manifest, Some(over)) else { return unreadable(manifest) };
        let parameters = PostParams { field_manager: Some(MANAGER_BUILDER.into()), ..PostParams::default() };
        let api = resources::children(self.client, manifest.kind);
        let result = call(api.replace(&manifest.name, &parameters, &object)).await;
        self.stored(manifest, result, repair)
    }

    fn stored(
        &mut self,
        manifest: &Manifest,
        result: Result<kube::api::DynamicObject, CallError>,
        repair: bool,
    ) -> State {
        let object = match result {
            Ok(object) => object,
            Err(error) => return self.failed(error),
        };
        let child = project::child(manifest.kind, object);
        let difference = manifest.difference(&child);
        let child = Some(Box::new(child));
        self.changes.push(change(manifest.kind, manifest.name.clone(), child));
        self.repaired |= repair;
        let pace = match manifest.kind {
            Kind::Placement => Pace::Fast,
            Kind::Binding => Pace::Slow,
        };
        if self.wrote != Some(Pace::Slow) {
            self.wrote = Some(pace);
        }
        match difference {
            None => State::InPlace,
            // Written again and again, it would never be as wanted.
            Some(field) => State::Failed(Fault::new(
                Category::ApplyFailed,
                format!(
                    "{} {} was stored otherwise than written, at {field}: a webhook changes it, or its CRD is older than this Poros",
                    manifest.kind.kind(),
                    manifest.name
                ),
            )),
        }
    }

    async fn remove(&mut self, kind: Kind, uid: &str) -> State {
        let name = kind.name_for(self.name);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::background()
        };
        match call(resources::children(self.client, kind).delete(&name, &parameters)).await {
            // The answer is the object, as it is, while finalizers of others hold it.
            Ok(answer)
                if answer
                    .as_ref()
                    .left()
                    .is_some_and(|object| object.metadata.deletion_timestamp.is_some()) =>
            {
                State::Pending("is being removed".into())
            }
            Ok(_) | Err(CallError::NotFound(_)) => {
                self.changes.push(Change::Removed(kind, name, uid.to_owned()));
                State::Absent
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: CallError) -> State {
        match error {
            CallError::Conflict(why) | CallError::NotFound(why) => {
                self.conflict = true;
                State::Pending(format!("changed in the meantime: {why}"))
            }
            CallError::Forbidden(why) => State::Failed(Fault::new(Category::Forbidden, why)),
            CallError::Refused { .. } | CallError::Timeout | CallError::Unreachable(_) => {
                State::Failed(Fault::new(Category::ApplyFailed, error.chain()))
            }
        }
    }
}

fn change(kind: Kind, name: String, child: Option<Box<Child>>) -> Change {
    match kind {
        Kind::Placement => Change::Placement(name, child),
        Kind::Binding => Change::Binding(name, child),
    }
}

fn as_object(manifest: &Manifest, over: Option<&Child>) -> Option<kube::api::DynamicObject> {
    serde_json::from_value(manifest.to_json(over)).ok()
}

/// Not reachable: a manifest is made of maps and strings. Said as a fault all the same, never as a panic.
fn unreadable(manifest: &Manifest) -> State {
    State::Failed(Fault::new(
        Category::Internal,
        format!("{} {} could not be written down", manifest.kind.kind(), manifest.name),
    ))
}

//! Carries out a plan. Each write is guarded: a create fails if something has the name, the rest if something changed.
//!
//! Plain create and replace instead of server-side apply: apply has no way to say "only if absent", and an object by our
//! name that is not ours must never be taken over. Foreign labels and annotations are carried along.
//!
//! A guard on a child says nothing of its Compute, so where a plan may come from old news (`Plan::confirm`) the Compute itself
//! is read first: a list or a watch may have told of an incarnation that is gone.

use either::Either;
use kube::Client;
use kube::api::{DeleteParams, PostParams, Preconditions};

use crate::api::names::MANAGER_BUILDER;
use crate::cluster::call::{CallError, call, named};
use crate::cluster::{computes, resources, status};
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
    /// What was found to be otherwise than known when it was looked at.
    pub looked: Vec<Change>,
    /// Whether something had changed in the meantime, so that the pass is to be made again soon.
    pub conflict: bool,
    /// The Compute as stored, if the finalizer was added.
    pub held: Option<Compute>,
}

/// Carries out a plan: the finalizer first, then the two objects. None for `compute` is a Compute that is gone.
pub async fn apply(client: &Client, name: &str, compute: Option<&Compute>, plan: &Plan) -> Carried {
    let mut work = Work {
        client,
        name,
        changes: Vec::new(),
        looked: Vec::new(),
        conflict: false,
        wrote: None,
        repaired: false,
        held: None,
    };
    if let Some(compute) = compute.filter(|_| plan.confirm)
        && let Err(state) = work.look_at(compute).await
    {
        return work.carried(state.clone(), state);
    }
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
    looked: Vec<Change>,
    conflict: bool,
    wrote: Option<Pace>,
    repaired: bool,
    held: Option<Compute>,
}

impl Work<'_> {
    fn carried(self, placement: State, binding: State) -> Carried {
        let Self { changes, looked, conflict, wrote, repaired, held, .. } = self;
        Carried { applied: Applied { placement, binding, wrote, repaired }, changes, looked, conflict, held }
    }

    /// Reads the Compute itself; an error says why nothing can be written for it now.
    async fn look_at(&mut self, compute: &Compute) -> Result<(), State> {
        match computes::one::<Compute>(self.client, self.name).await {
            Ok(Some(live)) => {
                // Its version alone may be another: what passes decide by is the same.
                let same = Compute { resource_version: compute.resource_version.clone(), ..live.clone() }
                    == *compute;
                self.looked.push(Change::Compute(self.name.to_owned(), Some(Box::new(live))));
                if same {
                    return Ok(());
                }
            }
            Ok(None) => self.looked.push(Change::Gone(self.name.to_owned(), compute.uid.clone())),
            Err(error) => return Err(self.failed(error)),
        }
        self.conflict = true;
        Err(State::Pending("waits for what is known of the Compute to be up to date".into()))
    }

    /// Looks at a child of which a write found that it is not as known.
    async fn look_at_child(&mut self, kind: Kind, uid: Option<&str>) {
        let name = kind.name_for(self.name);
        match call(resources::children(self.client, kind).get_opt(&name)).await {
            Ok(Some(there)) => {
                if let Ok(there) = named(there, &name) {
                    self.looked.push(change(kind, name, Some(Box::new(project::child(kind, there)))));
                }
            }
            Ok(None) => self.looked.extend(uid.map(|uid| Change::Removed(kind, name, uid.to_owned()))),
            // The next pass meets the same conflict, or the watch has told by then.
            Err(_) => {}
        }
    }

    async fn one(&mut self, kind: Kind, action: &Action) -> State {
        match action {
            Action::Keep => State::InPlace,
            Action::None => State::Absent,
            Action::Unneeded => State::Unneeded,
            Action::Await => State::Pending("is being removed".into()),
            Action::Linger(_) => {
                State::Pending("stays until every API server has forgotten its binding".into())
            }
            Action::Postpone { drift } => {
                State::Pending(format!("{}; the repair waits for its turn", drift.told))
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
        if let Err(CallError::Conflict(_)) = result {
            self.look_at_child(manifest.kind, None).await;
        }
        if let Err(CallError::NotFound(_) | CallError::Unserved(_)) = result {
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
        if let Err(CallError::Conflict(_) | CallError::NotFound(_) | CallError::Unserved(_)) = result {
            self.look_at_child(manifest.kind, Some(&over.uid)).await;
        }
        self.stored(manifest, result, repair)
    }

    fn stored(
        &mut self,
        manifest: &Manifest,
        result: Result<kube::api::DynamicObject, CallError>,
        repair: bool,
    ) -> State {
        let object = match result.and_then(|object| named(object, &manifest.name)) {
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
            // The answer is a success, or the object: as it was, or as it is while finalizers of others hold it.
            Ok(Either::Left(object)) => match named(object, &name) {
                Ok(object) if object.metadata.deletion_timestamp.is_some() => {
                    State::Pending("is being removed".into())
                }
                Ok(_) => self.removed(kind, name, uid),
                Err(error) => self.failed(error),
            },
            Ok(Either::Right(_)) | Err(CallError::NotFound(_) | CallError::Unserved(_)) => {
                self.removed(kind, name, uid)
            }
            Err(error) => {
                if let CallError::Conflict(_) = error {
                    self.look_at_child(kind, Some(uid)).await;
                }
                self.failed(error)
            }
        }
    }

    fn removed(&mut self, kind: Kind, name: String, uid: &str) -> State {
        self.changes.push(Change::Removed(kind, name, uid.to_owned()));
        State::Absent
    }

    fn failed(&mut self, error: CallError) -> State {
        match error {
            CallError::Conflict(why) | CallError::NotFound(why) | CallError::Unserved(why) => {
                self.conflict = true;
                State::Pending(format!("changed in the meantime: {why}"))
            }
            CallError::Forbidden(why) => State::Failed(Fault::new(Category::Forbidden, why)),
            CallError::Unauthorized(_)
            | CallError::Login(_)
            | CallError::Refused { .. }
            | CallError::Otherwise(_)
            | CallError::Timeout(_)
            | CallError::Unreachable(_)
            | CallError::Unreadable(_) => State::Failed(Fault::new(Category::ApplyFailed, error.chain())),
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

//! Computes, one and all, as whoever asks may read and write them: each as much of it as is wanted.

pub mod follow;

use std::time::Duration;

use kube::Client;
use kube::api::{DynamicObject, GetParams, ListParams, Patch, PatchParams};
use kube::core::ObjectList;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::listed::Listed;
use crate::api::names::MANAGER_CTL;
use crate::cluster::call::{CallError, call, call_within, named};
use crate::cluster::read::paged;
use crate::cluster::resources;
use crate::decide::observed::Compute;
use crate::decide::validate::is_object_name;
use crate::world::project;

/// Computes in one page of a list: so many that one answer holds them all, almost always.
const MANY: u32 = 5_000;

/// The longest that a list may take.
const MANY_TIMEOUT: Duration = Duration::from_secs(60);

/// A Compute, or as much of one as is wanted.
pub trait Read: Clone {
    /// How many are read at one time.
    const PAGE: u32 = MANY;
    /// What is read of the answer.
    type Answer: Clone + DeserializeOwned + 'static;
    /// It, from what was read.
    fn of(answer: Self::Answer) -> Self;
    /// Its `metadata.name`.
    fn name(&self) -> &str;
    /// Its `metadata.resourceVersion`.
    fn version(&self) -> &str;
}

/// What rows show.
impl Read for Listed {
    type Answer = Self;

    fn of(answer: Self) -> Self {
        answer
    }

    fn name(&self) -> &str {
        &self.metadata.name
    }

    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

/// All of it.
impl Read for Value {
    type Answer = Self;

    fn of(answer: Self) -> Self {
        answer
    }

    fn name(&self) -> &str {
        self["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn version(&self) -> &str {
        self["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }
}

/// What Poros reads of it.
impl Read for Compute {
    // Of each the whole answer is read, which is several times as large.
    const PAGE: u32 = 500;
    type Answer = DynamicObject;

    fn of(answer: DynamicObject) -> Self {
        project::compute(answer)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.resource_version
    }
}

/// What Poros reads of a Compute, and all of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What Poros reads of it.
    pub compute: Compute,
    /// All of it.
    pub object: Value,
}

impl Read for Stored {
    type Answer = DynamicObject;

    fn of(answer: DynamicObject) -> Self {
        let object = serde_json::to_value(&answer).unwrap_or_default();
        Self { compute: project::compute(answer), object }
    }

    fn name(&self) -> &str {
        &self.compute.name
    }

    fn version(&self) -> &str {
        &self.compute.resource_version
    }
}

/// Which Computes; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that these labels select.
    pub labels: Option<String>,
    /// The one of this name: who may see that one alone may ask so.
    pub name: Option<String>,
}

impl Selection {
    /// As a field selector.
    fn fields(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("metadata.name={name}"))
    }
}

/// A list, and the version of what is stored that it shows: a watch goes on from there.
#[derive(Clone, Debug)]
pub struct Listing<K> {
    /// What is in it.
    pub items: Vec<K>,
    /// The version.
    pub version: String,
}

/// The Compute of this name as the API server has it now; none if there is none, as of what can be no name, or no Computes
/// are served.
pub async fn one<K: Read>(client: &Client, name: &str) -> Result<Option<K>, CallError> {
    if !is_object_name(name) {
        return Ok(None);
    }
    let request = kube::core::Request::new(resources::computes(client).resource_url());
    let asked = request.get(name, &GetParams::default()).map_err(kube::Error::BuildRequest);
    let found = match call(async { client.request::<K::Answer>(asked?).await }).await {
        Ok(answer) => K::of(answer),
        Err(CallError::NotFound(_) | CallError::Unserved(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    // An answer that is another, or nothing at all, must not pass for it.
    let is_it = found.name() == name && !found.version().is_empty();
    if is_it { Ok(Some(found)) } else { Err(CallError::Otherwise(name.to_owned())) }
}

/// All Computes.
pub async fn all<K: Read>(client: &Client) -> Result<Vec<K>, CallError> {
    list(client, &Selection::default()).await.map(|listing| listing.items)
}

/// Those that are selected, for who follows them from then on.
pub async fn list<K: Read>(client: &Client, selection: &Selection) -> Result<Listing<K>, CallError> {
    let mut parameters = ListParams::default().limit(K::PAGE);
    parameters.label_selector.clone_from(&selection.labels);
    parameters.field_selector = selection.fields();
    let request = kube::core::Request::new(resources::computes(client).resource_url());
    let listing = paged(parameters, async |parameters| {
        let asked = request.list(parameters).map_err(kube::Error::BuildRequest);
        let asked = async { client.request::<ObjectList<K::Answer>>(asked?).await };
        let ObjectList { types, metadata, items } = call_within(MANY_TIMEOUT, asked).await?;
        Ok(ObjectList { types, metadata, items: items.into_iter().map(K::of).collect() })
    });
    let (items, version) = listing.await?;
    Ok(Listing { items, version })
}

/// How a manifest is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Whether the API server is only to say what it would store.
    pub dry_run: bool,
    /// Whether fields that another manager holds are taken over.
    pub force: bool,
    /// Whether it is refused, as a conflict, if there is one of that name by now.
    pub only_new: bool,
}

/// Server-side apply. Gives back the Compute as it is, or would be, stored.
///
/// New ones too are made by it: by a plain create the fields would belong to another kind of manager of the same name, and
/// the next apply would be in conflict with it.
pub async fn apply(client: &Client, name: &str, manifest: &Value, how: Sending) -> Result<Stored, CallError> {
    let parameters = PatchParams {
        dry_run: how.dry_run,
        force: how.force,
        field_manager: Some(MANAGER_CTL.into()),
        // Strict: what was misspelled is refused, not dropped.
        field_validation: Some(kube::api::ValidationDirective::Strict),
    };
    let mut manifest = manifest.clone();
    if how.only_new {
        // The version of what is not stored; of what is, the API server finds that it is none.
        manifest["metadata"]["resourceVersion"] = "0".into();
    }
    let api = resources::computes(client);
    let object = match call(api.patch(name, &parameters, &Patch::Apply(manifest))).await {
        Err(CallError::Refused { code: 422, message })
            if how.only_new && message.contains("metadata.resourceVersion") =>
        {
            return Err(CallError::Conflict("somebody else made one of that name at this moment".into()));
        }
        answer => answer?,
    };
    let object = if how.dry_run { object } else { named(object, name)? };
    Ok(Stored::of(object))
}

//! Watches: what is watched, and what is kept of it.

mod supervise;

use std::collections::HashSet;
use std::time::Duration;

use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::watcher::Config;

use crate::api::names::{LABEL_COMPUTE, WEBHOOK, WEBHOOK_SECRET, compute_of_binding};
use crate::cluster::resources;
pub use crate::cluster::watch::supervise::{Cause, Known, News};
use crate::cluster::watch::supervise::{Seen, supervise};
use crate::decide::manifest::Kind;
use crate::decide::policies::{self, SharedKind};
use crate::world::users::WorkloadKind;
use crate::world::{Change, project};

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watched {
    /// Computes.
    Computes,
    /// Placements.
    Placements,
    /// Nodes.
    Nodes,
    /// Pods that name a Compute.
    Pods,
    /// Workloads that name a Compute.
    Workloads(WorkloadKind),
    /// All scheduled, unfinished pods: only where what they request is counted.
    Scheduled,
    /// The `EndpointSlice`s in which the API servers name themselves.
    Servers,
    /// Admission policies and their bindings, shared and per Compute.
    Policies(SharedKind),
    /// The Secret with the certificates of the webhook.
    Certificates,
}

impl Watched {
    /// What is listed before passes are made. The API server need not serve all of it, and what is dispensable is not waited
    /// for once it failed.
    pub const FIRST: [Self; 14] = [
        Self::Computes,
        Self::Placements,
        Self::Nodes,
        Self::Pods,
        Self::Workloads(WorkloadKind::Deployment),
        Self::Workloads(WorkloadKind::StatefulSet),
        Self::Workloads(WorkloadKind::CronJob),
        Self::Workloads(WorkloadKind::Job),
        Self::Servers,
        Self::Policies(SharedKind::Mutating),
        Self::Policies(SharedKind::MutatingBinding),
        Self::Policies(SharedKind::Validating),
        Self::Policies(SharedKind::ValidatingBinding),
        Self::Policies(SharedKind::Webhook),
    ];

    /// What the webhook answers from.
    pub const ANSWERED_FROM: [Self; 2] = [Self::Computes, Self::Placements];

    /// Whether it needs an API server that has MutatingAdmissionPolicy.
    pub fn is_mutating_policy(self) -> bool {
        matches!(self, Self::Policies(kind) if kind.is_mutating_policy())
    }

    /// Whether Poros works without it, only slower: it leads though it may not read this.
    pub fn is_dispensable(self) -> bool {
        match self {
            Self::Servers => true,
            Self::Computes
            | Self::Placements
            | Self::Nodes
            | Self::Pods
            | Self::Workloads(_)
            | Self::Scheduled
            | Self::Policies(_)
            | Self::Certificates => false,
        }
    }

    /// The resource, as in a URL of the API. (All pods have a word of their own.)
    pub fn plural(self) -> &'static str {
        match self {
            Self::Computes => "computes",
            Self::Placements => "placements",
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Workloads(kind) => kind.plural(),
            Self::Scheduled => "scheduled pods",
            Self::Servers => "endpointslices",
            Self::Policies(kind) => kind.plural(),
            Self::Certificates => "secrets",
        }
    }
}

/// Watches for ever, and tells each news. `namespace` is that of Poros; `known` is what earlier watches of
/// it told of, and `held` gives names that are known of otherwise. Each watch
/// is begun anew with a list after one to two times `audit`: the net under all that a watch may have missed.
#[allow(clippy::too_many_lines)] // a line or two for each resource
pub async fn run(
    client: Client,
    namespace: &str,
    what: Watched,
    audit: Duration,
    known: &Known,
    held: impl Fn() -> Vec<String> + Send,
    tell: impl Fn(News) + Send,
) {
    let everything = Config::default();
    match what {
        Watched::Computes => {
            supervise(resources::computes(&client), everything, audit, known, held, tell, |name, object| {
                Some(Change::Compute(name, object.map(|object| Box::new(project::compute(object)))))
            })
            .await;
        }
        Watched::Placements => {
            supervise(
                resources::children(&client, Kind::Placement),
                everything,
                audit,
                known,
                held,
                tell,
                |name, object| Some(child(Kind::Placement, name, object)),
            )
            .await;
        }
        Watched::Nodes => {
            supervise(resources::nodes(&client), everything, audit, known, held, tell, |name, object| {
                Some(Change::Node(name, object.map(|object| Box::new(project::node(object)))))
            })
            .await;
        }
        Watched::Pods => {
            let unfinished =
                everything.labels(LABEL_COMPUTE).fields("status.phase!=Succeeded,status.phase!=Failed");
            supervise(resources::pods(&client), unfinished, audit, known, held, tell, |name, object| {
                Some(Change::Pod(name, object.map(|object| project::pod(&object)).flatten()))
            })
            .await;
        }
        Watched::Workloads(WorkloadKind::Job) => {
            // Their metadata alone does not tell that they are finished.
            let labelled = everything.labels(LABEL_COMPUTE);
            supervise(resources::jobs(&client), labelled, audit, known, held, tell, |name, object| {
                let compute = object.map(|object| project::job(&object)).flatten();
                Some(Change::Workload(WorkloadKind::Job, name, compute))
            })
            .await;
        }
        Watched::Workloads(kind) => {
            let labelled = everything.labels(LABEL_COMPUTE);
            supervise(
                resources::workloads(&client, kind),
                labelled,
                audit,
                known,
                held,
                tell,
                move |name, object| {
                    let compute = object.map(|object| project::workload(&object.metadata)).flatten();
                    Some(Change::Workload(kind, name, compute))
                },
            )
            .await;
        }
        Watched::Scheduled => {
            let scheduled = everything.fields("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");
            supervise(resources::scheduled(&client), scheduled, audit, known, held, tell, |name, object| {
                Some(Change::Scheduled(name, object.map(project::scheduled)))
            })
            .await;
        }
        Watched::Servers => {
            let theirs = everything.labels("kubernetes.io/service-name=kubernetes");
            supervise(
                resources::endpoint_slices(&client),
                theirs,
                audit,
                known,
                held,
                tell,
                |name, object| Some(Change::Servers(name, object.map(project::slice))),
            )
            .await;
        }
        Watched::Certificates => {
            let ours = everything.fields(&format!("metadata.name={WEBHOOK_SECRET}"));
            let secrets = resources::core(&client, Some(namespace), "Secret", "secrets");
            supervise(secrets, ours, audit, known, held, tell, |_, object| {
                Some(Change::Keyring(object.map(|object| Box::new(project::keyring(&object)))))
            })
            .await;
        }
        Watched::Policies(SharedKind::Webhook) => {
            let ours = everything.fields(&format!("metadata.name={WEBHOOK}"));
            let registrations = resources::shared(&client, SharedKind::Webhook);
            supervise(registrations, ours, audit, known, held, tell, |name, object| {
                let kind = SharedKind::Webhook;
                Some(Change::Shared((kind, name), object.map(|object| project::shared(kind, object))))
            })
            .await;
        }
        Watched::Policies(kind) => {
            let ours: HashSet<_> = policies::known()
                .iter()
                .filter(|shared| shared.kind == kind)
                .map(|shared| shared.name)
                .collect();
            supervise(
                resources::shared(&client, kind),
                everything,
                audit,
                known,
                held,
                tell,
                move |name, object| {
                    if ours.contains(name.as_str()) {
                        return Some(Change::Shared(
                            (kind, name),
                            object.map(|object| project::shared(kind, object)),
                        ));
                    }
                    // A binding by the name of a Compute's is that Compute's affair, whoever made it.
                    let bears_name =
                        kind == SharedKind::MutatingBinding && compute_of_binding(&name).is_some();
                    bears_name.then(|| child(Kind::Binding, name, object))
                },
            )
            .await;
        }
    }
}

fn child(kind: Kind, name: String, seen: Seen<DynamicObject>) -> Change {
    match (kind, seen) {
        // By its uid: the pass may have made another one of that name since.
        (kind, Seen::Gone(Some(uid))) => Change::Removed(kind, name, uid),
        (Kind::Placement, seen) => {
            Change::Placement(name, seen.map(|object| Box::new(project::child(kind, object))))
        }
        (Kind::Binding, seen) => {
            Change::Binding(name, seen.map(|object| Box::new(project::child(kind, object))))
        }
    }
}

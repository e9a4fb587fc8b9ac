//! The drivers: watches feed the world, the world feeds the queue, workers make passes. No rule lives here.

pub mod context;
pub mod events;
pub mod guard;
pub mod health;
pub mod memory;
pub mod pass;
pub mod queue;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cluster::install;
use crate::cluster::watch::{News, Watched};
use crate::controller::context::{Context, Options};
use crate::controller::health::Health;
use crate::controller::memory::Next;
use crate::controller::pass::pass;
use crate::controller::queue::Queue;
use crate::decide::manifest::Kind;
use crate::decide::observed::Compute;
use crate::decide::policies::{self, Choice, SharedKind};
use crate::telemetry::Metrics;
use crate::world::{Change, Written};

/// Passes at one time.
const WORKERS: usize = 16;
/// The longest that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long passes under way are awaited when Poros stops.
const DRAIN: Duration = Duration::from_secs(8);
/// How long events are awaited after them.
const DRAIN_EVENTS: Duration = Duration::from_secs(1);

/// A running controller.
pub struct Controller {
    context: Arc<Context>,
    queue: Queue,
    health: Health,
    unsynced: watch::Sender<BTreeSet<Watched>>,
    policies_changed: Notify,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Arc<Self> {
        let watched = watched(&options);
        Arc::new(Self {
            health: Health::new(options.settings.watch_grace),
            context: Arc::new(Context::new(client, options, metrics)),
            queue: Queue::new(),
            unsynced: watch::Sender::new(watched.collect()),
            policies_changed: Notify::new(),
        })
    }

    /// Why no passes are made, or why they are made without knowing what is: ready when nothing is said.
    pub fn unready(&self) -> Vec<String> {
        let unsynced = self.unsynced.borrow().clone();
        let failing = self.health.overdue(Instant::now()).into_iter();
        let overdue = failing.filter(|(what, _)| !unsynced.contains(what));
        let overdue = overdue.map(|(what, why)| format!("the watch of {} fails: {why}", what.plural()));
        let unlisted = unsynced.iter().map(|what| match self.health.why(*what) {
            Some(why) => format!("{} are not listed yet: {why}", what.plural()),
            None => format!("{} are not listed yet", what.plural()),
        });
        unlisted.chain(overdue).collect()
    }

    /// All Computes as they are known now.
    pub fn computes(&self) -> Vec<Arc<Compute>> {
        self.context.world().computes()
    }

    /// Runs until `stop` says so; passes under way are finished.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for what in watched(&self.context.options) {
            let controller = self.clone();
            tasks.spawn(async move {
                let (holder, teller) = (controller.clone(), controller.clone());
                let held = move || holder.held(what);
                let tell = move |news| teller.hear(what, news);
                crate::cluster::watch::run(controller.context.client.clone(), what, held, tell).await;
            });
        }
        let teller = self.clone();
        tasks.spawn(async move {
            let context = &teller.context;
            context.events.run(&context.client, &context.options.instance).await;
        });
        if let Some(choice) = self.context.options.manage_policies.clone() {
            let controller = self.clone();
            tasks.spawn(async move { controller.keep_policies(&choice).await });
        }
        let controller = self.clone();
        let dispatch = controller.dispatch();
        tokio::select! {
            () = dispatch => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        info!("stopping: passes under way are finished");
        let drained = async {
            while self.queue.running() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            warn!(
                running = self.queue.running(),
                "passes did not end in time; their work is taken up at the next start"
            );
        }
        let told = async {
            while self.context.events.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_EVENTS, told).await;
        tasks.shutdown().await;
    }

    /// The names that are known of, of the resources that this process writes itself.
    fn held(&self, what: Watched) -> Vec<String> {
        match what {
            Watched::Placements => self.context.world().names(Kind::Placement),
            Watched::Policies(SharedKind::MutatingBinding) => self.context.world().names(Kind::Binding),
            Watched::Computes
            | Watched::Nodes
            | Watched::Pods
            | Watched::Workloads(_)
            | Watched::Scheduled
            | Watched::Policies(_) => Vec::new(),
        }
    }

    /// A list is about to be asked for: it holds all that this process wrote so far.
    fn list_begins(&self, what: Watched) {
        let written = match what {
            Watched::Computes => Written::Compute,
            Watched::Placements => Written::Child(Kind::Placement),
            Watched::Policies(SharedKind::MutatingBinding) => Written::Child(Kind::Binding),
            Watched::Nodes
            | Watched::Pods
            | Watched::Workloads(_)
            | Watched::Scheduled
            | Watched::Policies(_) => return,
        };
        self.context.world().list_begins(written);
    }

    fn hear(&self, what: Watched, news: News) {
        match news {
            News::Listing => self.list_begins(what),
            News::Change(change) => {
                self.health.heard(what);
                let backlog = self.unsynced.borrow().contains(&what);
                self.learn(change, backlog);
            }
            News::Synced => {
                self.health.heard(what);
                self.unsynced.send_if_modified(|unsynced| unsynced.remove(&what));
                self.context.metrics.watch_synced(what.plural());
            }
            News::Failing { why, code } => {
                self.context.metrics.watch_failed(what.plural());
                let hint = match what {
                    Watched::Computes | Watched::Placements if code == Some(404) => {
                        "; are the CRDs installed? (poros crd | kubectl apply -f -)"
                    }
                    Watched::Policies(_) if code == Some(404) => {
                        "; Poros needs admissionregistration.k8s.io/v1 with MutatingAdmissionPolicy: Kubernetes 1.36 or newer"
                    }
                    _ if why.contains(" cannot ") => {
                        "; Poros needs the verbs list and watch on it, in the whole cluster"
                    }
                    _ => "",
                };
                warn!("the watch of {} failed, trying again: {why}{hint}", what.plural());
                self.health.failed(what, format!("{why}{hint}"), Instant::now());
            }
        }
    }

    /// Takes in a change and queues whom it concerns.
    fn learn(&self, change: Change, backlog: bool) {
        let shared = matches!(change, Change::Shared(..));
        // Requests change with each pod of the cluster, and are counters that are written once an interval at most.
        let lazily = matches!(change, Change::Scheduled(..));
        let names = self.context.world().apply(change);
        if shared {
            self.policies_changed.notify_one();
        }
        for name in names {
            if lazily && !backlog {
                self.queue.push_within(&name, self.context.options.settings.counter_interval);
            } else {
                // A changed policy concerns every Compute, and none of them more than what people do meanwhile.
                self.queue.push(name, backlog || shared);
            }
        }
    }

    async fn dispatch(self: Arc<Self>) {
        let mut unsynced = self.unsynced.subscribe();
        if unsynced.wait_for(BTreeSet::is_empty).await.is_err() {
            return;
        }
        info!("caches are complete; passes begin");
        let slots = Arc::new(tokio::sync::Semaphore::new(WORKERS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let name = self.queue.next().await;
            let controller = self.clone();
            tokio::spawn(async move {
                controller.work(name).await;
                drop(slot);
            });
        }
    }

    /// Makes a pass over one name. A panic or a hang in it costs this name a retry, and nobody else anything.
    async fn work(self: Arc<Self>, name: String) {
        let started = Instant::now();
        let (context, of) = (self.context.clone(), name.clone());
        let next = match guard::guarded(async move { pass(&context, &of).await }, PASS_TIMEOUT).await {
            Ok(next) => next,
            Err(failure) => {
                self.context.metrics.panicked();
                error!(compute = name, category = "Internal", "{failure}, trying again");
                Next::retry()
            }
        };
        self.context.metrics.passed(started.elapsed(), next.retry);
        let wake = self.context.memories().settle(&name, &next);
        self.queue.done(&name, wake);
        let concerned = self.context.world().take_concerned();
        for other in concerned {
            self.queue.push(other, false);
        }
        self.context.metrics.queued(self.queue.len());
    }

    /// Installs namespace, probe account and shared policies, and puts back what others change of them.
    async fn keep_policies(self: Arc<Self>, choice: &Choice) {
        let pause = Duration::from_secs(1);
        let patience = ExponentialBuilder::new()
            .with_min_delay(pause)
            .with_max_delay(Duration::from_secs(60))
            .without_max_times();
        let mut unsynced = self.unsynced.subscribe();
        let policies_known =
            |unsynced: &BTreeSet<Watched>| !unsynced.iter().any(|what| matches!(what, Watched::Policies(_)));
        let (mut pauses, mut at_home) = (patience.build(), false);
        loop {
            if !at_home {
                at_home = self.make_home().await;
            }
            if unsynced.wait_for(policies_known).await.is_err() {
                return;
            }
            let lacking = self.context.world().lacking(policies::chosen(choice));
            if at_home && lacking.is_empty() {
                pauses = patience.build();
                tokio::select! {
                    () = self.policies_changed.notified() => {}
                    () = self.context.blocked.notified() => {
                        at_home = false;
                        // A quota blocks the probe of every Compute, and is not mended here.
                        tokio::time::sleep(pause).await;
                    }
                }
                continue;
            }
            for shared in lacking {
                if let Err(error) = install::policy(&self.context.client, &shared).await {
                    let (kind, name) = (shared.kind.kind(), shared.name);
                    warn!("{kind} {name} could not be applied, trying again: {}", error.chain());
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(pause)).await;
        }
    }

    /// Makes the namespace of Poros and the account of the probe, if they are not there.
    async fn make_home(&self) -> bool {
        let namespace = &self.context.options.namespace;
        let made = install::namespace(&self.context.client, namespace).await;
        if let Err(error) = &made {
            let why = error.chain();
            warn!("the namespace {namespace} or its probe account could not be made, trying again: {why}");
        }
        made.is_ok()
    }
}

/// What this controller watches.
fn watched(options: &Options) -> impl Iterator<Item = Watched> + use<> {
    Watched::ALL.into_iter().chain(options.pool_usage.then_some(Watched::Scheduled))
}

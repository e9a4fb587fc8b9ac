//! The drivers: watches feed the world, the world feeds the queue, workers make passes. No rule lives here.

pub mod context;
pub mod guard;
pub mod memory;
pub mod pass;
pub mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cluster::install;
use crate::cluster::watch::{News, Watched};
use crate::controller::context::{Context, Options};
use crate::controller::memory::Next;
use crate::controller::pass::pass;
use crate::controller::queue::Queue;
use crate::decide::manifest::Kind;
use crate::decide::policies::{self, SharedKind};
use crate::telemetry::Metrics;
use crate::world::{Change, Written};

/// Passes at one time.
const WORKERS: usize = 16;
/// The longest that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long passes under way are awaited when Poros stops.
const DRAIN: Duration = Duration::from_secs(8);

/// A cache whose list is awaited for longer is no longer up to date.
const STALE_AFTER: Duration = Duration::from_secs(20);

/// A running controller.
pub struct Controller {
    context: Arc<Context>,
    queue: Queue,
    unsynced: watch::Sender<BTreeSet<Watched>>,
    policies_changed: Notify,
    watching: Mutex<Watching>,
}

/// How the watches do.
#[derive(Default)]
struct Watching {
    /// Since when a list is awaited.
    lists: BTreeMap<Watched, Instant>,
    /// Those that failed since their last list.
    failed: BTreeSet<Watched>,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            context: Arc::new(Context::new(client, options, metrics)),
            queue: Queue::new(),
            unsynced: watch::Sender::new(Watched::ALL.into()),
            policies_changed: Notify::new(),
            watching: Mutex::default(),
        })
    }

    /// What is still to be listed before passes are made; ready when nothing is.
    pub fn unsynced(&self) -> Vec<&'static str> {
        self.unsynced.borrow().iter().map(|what| what.plural()).collect()
    }

    /// What could not be listed anew for a while: the API server is away, or refuses, and what is known grows old.
    pub fn stale(&self) -> Vec<&'static str> {
        let watching = self.watching();
        let late = watching.lists.iter().filter(|(_, since)| since.elapsed() > STALE_AFTER);
        late.map(|(what, _)| what.plural()).collect()
    }

    /// Runs until `stop` says so; passes under way are finished.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for what in Watched::ALL {
            let controller = self.clone();
            tasks.spawn(async move {
                let (holder, teller) = (controller.clone(), controller.clone());
                let held = move || holder.held(what);
                let tell = move |news| teller.hear(what, news);
                let (client, audit) = (controller.context.client.clone(), controller.context.options.audit);
                crate::cluster::watch::run(client, what, audit, held, tell).await;
            });
        }
        if self.context.options.manage_policies {
            let controller = self.clone();
            tasks.spawn(async move { controller.keep_policies().await });
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
        tasks.shutdown().await;
    }

    /// The names that are known of, of the resources that this process writes itself.
    fn held(&self, what: Watched) -> Vec<String> {
        match what {
            Watched::Placements => self.context.world().names(Kind::Placement),
            Watched::Policies(SharedKind::MutatingBinding) => self.context.world().names(Kind::Binding),
            Watched::Computes | Watched::Nodes | Watched::Pods | Watched::Policies(_) => Vec::new(),
        }
    }

    /// Of what this process writes itself, which is watched by this.
    fn written(what: Watched) -> Option<Written> {
        match what {
            Watched::Computes => Some(Written::Compute),
            Watched::Placements => Some(Written::Child(Kind::Placement)),
            Watched::Policies(SharedKind::MutatingBinding) => Some(Written::Child(Kind::Binding)),
            Watched::Nodes | Watched::Pods | Watched::Policies(_) => None,
        }
    }

    fn watching(&self) -> std::sync::MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list is about to be asked for: it holds all that this process wrote so far.
    fn list_begins(&self, what: Watched) {
        self.watching().lists.entry(what).or_insert_with(Instant::now);
        if let Some(written) = Self::written(what) {
            self.context.world().list_begins(written);
        }
    }

    /// A list is complete. After a failure, passes may have failed for the same reason: they are made again.
    fn list_ends(&self, what: Watched) {
        if let Some(written) = Self::written(what) {
            self.context.world().list_ends(written);
        }
        let failed = {
            let mut watching = self.watching();
            watching.lists.remove(&what);
            watching.failed.remove(&what)
        };
        if failed {
            let names = self.context.memories().forgive();
            for name in names {
                self.queue.push(name, true);
            }
        }
    }

    fn hear(&self, what: Watched, news: News) {
        match news {
            News::Listing => self.list_begins(what),
            News::Change(change) => {
                let backlog = self.unsynced.borrow().contains(&what);
                self.learn(change, backlog);
            }
            News::Synced => {
                self.list_ends(what);
                self.unsynced.send_if_modified(|unsynced| unsynced.remove(&what));
                self.context.metrics.watch_synced(what.plural());
            }
            News::Failing(why) => {
                self.watching().failed.insert(what);
                self.context.metrics.watch_failed(what.plural());
                let hint = match what {
                    Watched::Computes | Watched::Placements if why.contains("404") => {
                        "; are the CRDs installed? (poros crd | kubectl apply -f -)"
                    }
                    Watched::Policies(_) if why.contains("404") => {
                        "; Poros needs admissionregistration.k8s.io/v1 with MutatingAdmissionPolicy: Kubernetes 1.36 or newer"
                    }
                    _ => "",
                };
                warn!("the watch of {} failed, trying again: {why}{hint}", what.plural());
            }
        }
    }

    /// Takes in a change and queues whom it concerns.
    fn learn(&self, change: Change, backlog: bool) {
        let shared = matches!(change, Change::Shared(..));
        let names = self.context.world().apply(change);
        if shared {
            self.policies_changed.notify_one();
        }
        for name in names {
            // A changed policy concerns every Compute, and none of them more than what people do meanwhile.
            self.queue.push(name, backlog || shared);
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
        self.context.metrics.queued(self.queue.len());
    }

    /// Installs the shared policies and puts back what others change of them.
    async fn keep_policies(self: Arc<Self>) {
        let pause = Duration::from_secs(1);
        while let Err(error) = install::namespace(&self.context.client, &self.context.options.namespace).await
        {
            warn!(
                "the namespace {} could not be made, trying again: {}",
                self.context.options.namespace,
                error.chain()
            );
            tokio::time::sleep(pause).await;
        }
        let mut unsynced = self.unsynced.subscribe();
        let policies_known =
            |unsynced: &BTreeSet<Watched>| !unsynced.iter().any(|what| matches!(what, Watched::Policies(_)));
        if unsynced.wait_for(policies_known).await.is_err() {
            return;
        }
        let patience = ExponentialBuilder::new()
            .with_min_delay(pause)
            .with_max_delay(Duration::from_secs(60))
            .without_max_times();
        let mut pauses = patience.build();
        loop {
            if self.context.world().policies().missing.is_none() {
                pauses = patience.build();
                self.policies_changed.notified().await;
                continue;
            }
            for shared in policies::all() {
                if let Err(error) = install::policy(&self.context.client, &shared).await {
                    let (kind, name) = (shared.kind.kind(), shared.name);
                    warn!("{kind} {name} could not be applied, trying again: {}", error.chain());
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(pause)).await;
        }
    }
}

//! The drivers: watches feed the world, the world feeds the queue, workers make passes. No rule lives here.

pub mod context;
pub mod elect;
pub mod events;
pub mod guard;
pub mod health;
pub mod home;
pub mod leadership;
pub mod memory;
pub mod pass;
pub mod queue;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::cluster::lease::Place;
use crate::cluster::watch::{News, Watched};
use crate::controller::context::{Context, Options};
use crate::controller::elect::Election;
use crate::controller::health::Health;
use crate::controller::leadership::{Leadership, Term};
use crate::controller::memory::Next;
use crate::controller::pass::pass;
use crate::controller::queue::Queue;
use crate::decide::manifest::Kind;
use crate::decide::observed::Compute;
use crate::decide::policies::SharedKind;
use crate::telemetry::Metrics;
use crate::world::{Change, Written};

/// Passes at one time.
const WORKERS: usize = 16;
/// The longest that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long passes under way are awaited when Poros stops.
const DRAIN: Duration = Duration::from_secs(6);
/// How long events are awaited after them.
const DRAIN_EVENTS: Duration = Duration::from_secs(1);
/// How long passes under way, which are cancelled, are awaited when Poros leads no more.
const CANCEL: Duration = Duration::from_secs(2);
/// How long the Lease of a Poros that stops may take to be released.
const RESIGN: Duration = Duration::from_secs(2);

/// A running controller.
pub struct Controller {
    context: Arc<Context>,
    queue: Queue,
    health: Health,
    unsynced: watch::Sender<BTreeSet<Watched>>,
    policies_changed: Notify,
    leadership: Arc<Leadership>,
    election: Option<Arc<Election>>,
    /// Whether what changes is queued: only a leader works on it.
    working: AtomicBool,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Arc<Self> {
        let watched = watched(&options);
        let leadership = Arc::new(if options.election.is_some() {
            Leadership::standing_by()
        } else {
            Leadership::forced()
        });
        let election = options.election.clone().map(|(identity, terms)| {
            let place = Place {
                client: client.clone(),
                namespace: options.namespace.clone(),
                limit: terms.call_limit(),
            };
            let make_namespace = options.manage_policies.is_some();
            Election::new(place, identity, terms, make_namespace, leadership.clone(), metrics.clone())
        });
        metrics.leads(election.is_none());
        Arc::new(Self {
            health: Health::new(options.settings.watch_grace),
            leadership,
            election,
            working: AtomicBool::new(false),
            context: Arc::new(Context::new(client, options, metrics)),
            queue: Queue::new(),
            unsynced: watch::Sender::new(watched.collect()),
            policies_changed: Notify::new(),
        })
    }

    /// What is missing before this process can lead, or stand by to lead at once, or why it does so without knowing what
    /// is: ready when nothing is said.
    pub fn unready(&self) -> Vec<String> {
        let unsynced = self.unsynced.borrow().clone();
        let failing = self.health.overdue(Instant::now()).into_iter();
        let overdue = failing.filter(|(what, _)| !unsynced.contains(what));
        let overdue = overdue.map(|(what, why)| format!("the watch of {} fails: {why}", what.plural()));
        let unlisted = unsynced.iter().map(|what| match self.health.why(*what) {
            Some(why) => format!("{} are not listed yet: {why}", what.plural()),
            None => format!("{} are not listed yet", what.plural()),
        });
        let election =
            self.election.iter().filter(|_| unsynced.is_empty()).filter_map(|election| election.unready());
        unlisted.chain(overdue).chain(election).collect()
    }

    /// All Computes as they are known now.
    pub fn computes(&self) -> Vec<Arc<Compute>> {
        self.context.world().computes()
    }

    /// Runs until `stop` says so; passes under way are finished, and the Lease is given up after them.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for what in watched(&self.context.options) {
            let controller = self.clone();
            tasks.spawn(async move {
                let (holder, teller) = (controller.clone(), controller.clone());
                let held = move || holder.held(what);
                let tell = move |news| teller.hear(what, news);
                let (client, audit) = (controller.context.client.clone(), controller.context.options.audit);
                crate::cluster::watch::run(client, what, audit, held, tell).await;
            });
        }
        let teller = self.clone();
        tasks.spawn(async move {
            let context = &teller.context;
            context.events.run(&context.client, &context.options.instance).await;
        });
        if let Some(choice) = self.context.options.manage_policies.clone() {
            tasks.spawn(self.clone().keep_home());
            tasks.spawn(self.clone().keep_policies(choice));
        }
        let (resign, resigned) = watch::channel(false);
        let campaign = tokio::spawn(self.clone().campaign(resigned));
        tokio::select! {
            () = self.clone().lead() => {}
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
        let _ = resign.send(true);
        if tokio::time::timeout(RESIGN, campaign).await.is_err() {
            warn!("the election did not end in time");
        }
    }

    /// Takes part in the election as soon as this process could lead: one that cannot list what it works on must not keep
    /// another one from leading.
    async fn campaign(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let prepared = async {
            self.synced().await;
        };
        tokio::select! {
            () = prepared => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Some(election) = &self.election {
            election.clone().run(stop).await;
        }
    }

    async fn synced(&self) {
        // An error is the end of this, too.
        let _ = self.unsynced.subscribe().wait_for(BTreeSet::is_empty).await;
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
            | Watched::Servers
            | Watched::Policies(_) => Vec::new(),
        }
    }

    /// A list is about to be asked for: it holds all that this process wrote so far.
    fn list_begins(&self, what: Watched) {
        if let Some(written) = written(what) {
            self.context.world().list_begins(written);
        }
    }

    /// A list is complete. After a failure, passes may have failed for the same reason: they are made again.
    fn list_ends(&self, what: Watched) {
        if let Some(written) = written(what) {
            self.context.world().list_ends(written);
        }
        if self.health.listed(what) {
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
                self.health.heard(what);
                self.learn(change);
            }
            News::Synced => {
                self.list_ends(what);
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

    /// Takes in a change and, as a leader, queues whom it concerns.
    fn learn(&self, change: Change) {
        let shared = matches!(change, Change::Shared(..));
        // Requests change with each pod of the cluster, and are counters that are written once an interval at most.
        let lazily = matches!(change, Change::Scheduled(..));
        let names = self.context.world().apply(change);
        if shared {
            self.policies_changed.notify_one();
        }
        if !self.working.load(Ordering::SeqCst) {
            self.context.world().stand_by();
            return;
        }
        for name in names {
            if lazily {
                self.queue.push_within(&name, self.context.options.settings.counter_interval);
            } else {
                // A changed policy concerns every Compute, and none of them more than what people do meanwhile.
                self.queue.push(name, shared);
            }
        }
    }

    /// Makes passes whenever this process leads, and stands by when it does not.
    async fn lead(self: Arc<Self>) {
        self.synced().await;
        info!("caches are complete");
        loop {
            let term = self.leadership.won().await;
            self.begin();
            let ended: Option<()> = self.leadership.during(term, self.clone().dispatch(term)).await;
            debug_assert!(ended.is_none(), "dispatching has no end of its own");
            self.stand_by().await;
        }
    }

    /// A term begins: nothing is remembered that another leader may have made untrue, and everything is looked at.
    fn begin(&self) {
        self.queue.clear();
        self.context.memories().forget();
        self.working.store(true, Ordering::SeqCst);
        let names = self.context.world().everything();
        info!(names = names.len(), "passes begin");
        for name in names {
            self.queue.push(name, true);
        }
    }

    /// A term has ended: its passes are cancelled, and nothing is queued until the next one.
    async fn stand_by(&self) {
        self.working.store(false, Ordering::SeqCst);
        let cancelled = async {
            while self.queue.running() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(CANCEL, cancelled).await.is_err() {
            error!(running = self.queue.running(), "passes could not be cancelled");
        }
        self.queue.clear();
        self.context.metrics.queued(0);
    }

    async fn dispatch(self: Arc<Self>, term: Term) {
        let slots = Arc::new(tokio::sync::Semaphore::new(WORKERS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let name = self.queue.next().await;
            let controller = self.clone();
            tokio::spawn(async move {
                controller.work(name, term).await;
                drop(slot);
            });
        }
    }

    /// Makes a pass over one name. A panic or a hang in it costs this name a retry, and nobody else anything.
    async fn work(self: Arc<Self>, name: String, term: Term) {
        let started = Instant::now();
        let (context, leadership, of) = (self.context.clone(), self.leadership.clone(), name.clone());
        let pass = async move { leadership.during(term, Box::pin(pass(&context, &of))).await };
        let next = match guard::guarded(pass, PASS_TIMEOUT).await {
            Ok(Some(next)) => next,
            Ok(None) => {
                debug!(compute = name, "the pass was cancelled: this process leads no more");
                self.queue.done(&name, None);
                return;
            }
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
}

/// What this controller watches.
fn watched(options: &Options) -> impl Iterator<Item = Watched> + use<> {
    Watched::ALL.into_iter().chain(options.pool_usage.then_some(Watched::Scheduled))
}

/// Of what this process writes itself: what is watched by this.
fn written(what: Watched) -> Option<Written> {
    match what {
        Watched::Computes => Some(Written::Compute),
        Watched::Placements => Some(Written::Child(Kind::Placement)),
        Watched::Policies(SharedKind::MutatingBinding) => Some(Written::Child(Kind::Binding)),
        Watched::Nodes
        | Watched::Pods
        | Watched::Workloads(_)
        | Watched::Scheduled
        | Watched::Servers
        | Watched::Policies(_) => None,
    }
}

//! The drivers: watches feed the world, the world feeds the queue, workers make passes. No rule lives here.

pub mod context;
mod defaults;
pub mod elect;
pub mod events;
pub mod guard;
pub mod health;
mod hearing;
mod home;
mod knowledge;
pub mod lacks;
mod lasting;
pub mod leadership;
pub mod memory;
pub mod mode;
pub mod pass;
pub mod queue;
mod readiness;
pub mod retire;
pub mod said;
pub mod supervise;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::cluster::lease::Place;
use crate::cluster::watch::Watched;
use crate::controller::context::{Context, Options};
use crate::controller::elect::Election;
use crate::controller::health::Health;
use crate::controller::knowledge::knowledge;
use crate::controller::leadership::{Leadership, Term};
use crate::controller::memory::Next;
use crate::controller::mode::Modes;
use crate::controller::pass::pass;
use crate::controller::queue::Queue;
use crate::controller::webhook::Webhook;
use crate::decide::observed::Compute;
use crate::telemetry::Metrics;

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
/// How long the Lease of a Poros that stops may take to be released: longer than the election itself takes.
const RESIGN: Duration = Duration::from_secs(4);

/// A running controller.
pub struct Controller {
    context: Arc<Context>,
    queue: Queue,
    health: Arc<Health>,
    unsynced: watch::Sender<BTreeSet<Watched>>,
    policies_changed: Notify,
    /// Whether the policies act that Poros itself manages, as far as it can tell.
    policies_act: AtomicBool,
    /// Whether this process installed any of them: what stood before says nothing of them then.
    policies_written: AtomicBool,
    /// Whether this process was ready once: who is now would be asked less, not more.
    was_ready: AtomicBool,
    /// Why default Computes could not be created, by name.
    refusals: Mutex<BTreeMap<String, String>>,
    leadership: Arc<Leadership>,
    election: Option<Arc<Election>>,
    /// Whether what changes is queued: only a leader works on it.
    working: AtomicBool,
    modes: Modes,
    webhook: Webhook,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Arc<Self> {
        let watched = watched(&options).collect();
        let health = Arc::new(Health::new(options.settings.watch_grace));
        let leadership = Arc::new(if options.election.is_some() {
            Leadership::standing_by()
        } else {
            Leadership::forced()
        });
        let context = Arc::new(Context::new(client, options, metrics));
        let election = context.options.election.clone().map(|(identity, terms)| {
            let place = Place {
                client: context.client.clone(),
                namespace: context.options.namespace.clone(),
                limit: terms.call_limit(),
            };
            let make_namespace = context.options.manage_policies.is_some();
            let (health, metrics) = (health.clone(), context.metrics.clone());
            let sees = Arc::new(move || !health.is_blind(Instant::now()));
            Election::new(
                place,
                identity,
                terms,
                make_namespace,
                leadership.clone(),
                metrics,
                sees,
                context.lacks.clone(),
            )
        });
        context.metrics.leads(election.is_none());
        let unsynced = watch::Sender::new(watched);
        let webhook =
            Webhook::new(context.clone(), leadership.clone(), knowledge(&context, unsynced.subscribe()));
        Arc::new(Self {
            health,
            leadership,
            election,
            working: AtomicBool::new(false),
            queue: Queue::new(),
            policies_changed: Notify::new(),
            was_ready: AtomicBool::new(false),
            refusals: Mutex::default(),
            policies_written: AtomicBool::new(false),
            policies_act: AtomicBool::new(context.options.manage_policies.is_none()),
            modes: Modes::new(),
            context,
            unsynced,
            webhook,
        })
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All Computes as they are known now; none while another process leads, for that one tells of them.
    pub fn computes(&self) -> Option<Vec<Arc<Compute>>> {
        self.leadership.term().map(|_| self.context.world().computes())
    }

    /// Runs until `stop` says so; passes under way are finished, the Lease is given up after them, and the webhook answers until
    /// its pod is out of the Service.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for what in watched(&self.context.options).chain([Watched::Certificates]) {
            tasks.spawn(self.clone().keep_watching(what));
        }
        tasks.spawn(self.clone().lasting("the discovery", |controller| async move {
            let tell = |names| controller.concern(names);
            controller.modes.run(&controller.context, &controller.unsynced, tell).await;
        }));
        tasks.spawn(self.clone().lasting("the look at what is lacking", Self::keep_looking));
        tasks.spawn(self.clone().lasting("the wait for readiness", Self::note_ready));
        tasks.spawn(self.clone().lasting("the webhook", |controller| async move {
            controller.modes.known().await;
            controller.webhook.run().await;
        }));
        tasks.spawn(self.clone().lasting("the writer of events", |controller| async move {
            let context = &controller.context;
            context.events.run(&context.client, &context.options.instance, &context.lacks).await;
        }));
        if !self.context.options.defaults.is_empty() {
            tasks.spawn(self.clone().lasting("the keeper of default Computes", Self::keep_defaults));
        }
        if let Some(choice) = self.context.options.manage_policies.clone() {
            tasks.spawn(self.clone().lasting("the keeper of the namespace", Self::keep_home));
            let awaited = choice.clone();
            let wait = move |controller: Arc<Self>| controller.await_policies(awaited.clone());
            tasks.spawn(self.clone().lasting("the wait for the policies", wait));
            let keep = move |controller: Arc<Self>| controller.keep_policies(choice.clone());
            tasks.spawn(self.clone().lasting("the keeper of the policies", keep));
        }
        let (resign, resigned) = watch::channel(false);
        let campaign = tokio::spawn(self.clone().campaign(resigned));
        tokio::select! {
            () = self.clone().lead() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        info!("stopping: passes under way are finished");
        let served_until = self.webhook.leave();
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
        let _ = resign.send(true);
        if tokio::time::timeout(RESIGN, campaign).await.is_err() {
            warn!("the election did not end in time");
        }
        // What it answers from is watched to the end.
        if let Some(until) = served_until {
            tokio::time::sleep_until(until.into()).await;
        }
        tasks.shutdown().await;
    }

    /// Takes part in the election as soon as this process could lead: one that cannot list what it works on must not keep
    /// another one from leading.
    async fn campaign(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.synced() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Some(election) = &self.election {
            election.clone().run(stop).await;
        }
    }

    /// Has the passes made again at once that failed.
    fn retry_failed(&self) {
        let names = self.context.memories().forgive();
        for name in names {
            self.queue.push(name, true);
        }
    }

    /// Waits until all is listed, it is decided what places pods, and the CRDs take all that is written.
    async fn synced(&self) {
        // An error is the end of this, too.
        let _ = self.unsynced.subscribe().wait_for(BTreeSet::is_empty).await;
        self.modes.known().await;
        self.context.lacks.fit().await;
    }

    /// Makes passes whenever this process leads, and stands by when it does not.
    async fn lead(self: Arc<Self>) {
        self.synced().await;
        info!("caches are complete");
        self.tell_policies();
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
        self.webhook.look();
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
        let working = self.queue.working(name.clone());
        let (context, leadership, of) = (self.context.clone(), self.leadership.clone(), name.clone());
        let pass = async move { leadership.during(term, Box::pin(pass(&context, &of))).await };
        let next = match guard::guarded(pass, PASS_TIMEOUT).await {
            Ok(Some(next)) => next,
            Ok(None) => {
                debug!(compute = name, "the pass was cancelled: this process leads no more");
                working.done(None);
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
        let concerned = {
            let mut world = self.context.world();
            world.passed(&name);
            world.take_concerned()
        };
        working.done(wake);
        for other in concerned {
            self.queue.push(other, false);
        }
        self.context.metrics.queued(self.queue.len());
    }
}

/// What this controller watches.
fn watched(options: &Options) -> impl Iterator<Item = Watched> + use<> {
    Watched::FIRST.into_iter().chain(options.pool_usage.then_some(Watched::Scheduled))
}

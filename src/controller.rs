//! The drivers: watches feed the world, the world feeds the queue, workers make passes. No rule lives here.

pub mod context;
pub mod guard;
pub mod memory;
pub mod mode;
pub mod pass;
pub mod queue;
pub mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::admission::Knowledge;
use crate::cluster::access;
use crate::cluster::install;
use crate::cluster::watch::{News, Watched};
use crate::controller::context::{Context, Options};
use crate::controller::memory::Next;
use crate::controller::mode::Modes;
use crate::controller::pass::pass;
use crate::controller::queue::Queue;
use crate::controller::webhook::Webhook;
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

/// A running controller.
pub struct Controller {
    context: Arc<Context>,
    queue: Queue,
    unsynced: watch::Sender<BTreeSet<Watched>>,
    policies_changed: Notify,
    modes: Modes,
    webhook: Webhook,
}

impl Controller {
    /// A controller that has seen nothing yet.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Arc<Self> {
        let context = Arc::new(Context::new(client, options, metrics));
        let unsynced = watch::Sender::new(Watched::FIRST.into());
        let webhook = Webhook::new(context.clone(), knowledge(&context, unsynced.subscribe()));
        let (queue, policies_changed, modes) = (Queue::new(), Notify::new(), Modes::new());
        Arc::new(Self { context, queue, unsynced, policies_changed, modes, webhook })
    }

    /// What is still to be listed before passes are made; ready when nothing is.
    pub fn unsynced(&self) -> Vec<&'static str> {
        self.unsynced.borrow().iter().map(|what| what.plural()).collect()
    }

    /// Runs until `stop` says so; passes under way are finished.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for what in Watched::FIRST {
            let controller = self.clone();
            tasks.spawn(async move {
                if what.is_mutating_policy() {
                    controller.modes.while_served(what, || controller.clone().watch(what)).await;
                } else {
                    controller.clone().watch(what).await;
                }
            });
        }
        let controller = self.clone();
        tasks.spawn(async move {
            controller.webhook.needed().await;
            controller.clone().watch(Watched::Certificates).await;
        });
        let controller = self.clone();
        tasks.spawn(async move {
            let tell = |names| controller.concern(names);
            controller.modes.run(&controller.context, &controller.unsynced, tell).await;
        });
        let controller = self.clone();
        tasks.spawn(async move {
            controller.modes.known().await;
            controller.webhook.run().await;
        });
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

    async fn watch(self: Arc<Self>, what: Watched) {
        let (holder, teller) = (self.clone(), self.clone());
        let held = move || holder.held(what);
        let tell = move |news| teller.hear(what, news);
        let (client, namespace) = (self.context.client.clone(), &self.context.options.namespace);
        crate::cluster::watch::run(client, namespace, what, held, tell).await;
    }

    /// Another way to place pods concerns these Computes, the shared policies and the webhook.
    fn concern(&self, names: Vec<String>) {
        self.policies_changed.notify_one();
        self.webhook.look();
        for name in names {
            self.queue.push(name, true);
        }
    }

    /// The names that are known of, of the resources that this process writes itself.
    fn held(&self, what: Watched) -> Vec<String> {
        match what {
            Watched::Placements => self.context.world().names(Kind::Placement),
            Watched::Policies(SharedKind::MutatingBinding) => self.context.world().names(Kind::Binding),
            Watched::Computes
            | Watched::Nodes
            | Watched::Pods
            | Watched::Policies(_)
            | Watched::Certificates => Vec::new(),
        }
    }

    /// A list is about to be asked for: it holds all that this process wrote so far.
    fn list_begins(&self, what: Watched) {
        let written = match what {
            Watched::Computes => Written::Compute,
            Watched::Placements => Written::Child(Kind::Placement),
            Watched::Policies(SharedKind::MutatingBinding) => Written::Child(Kind::Binding),
            Watched::Nodes | Watched::Pods | Watched::Policies(_) | Watched::Certificates => return,
        };
        self.context.world().list_begins(written);
    }

    fn hear(&self, what: Watched, news: News) {
        match news {
            News::Listing => self.list_begins(what),
            News::Change(change) => {
                let backlog = self.unsynced.borrow().contains(&what);
                self.learn(change, backlog);
            }
            News::Synced => {
                if what.is_mutating_policy() {
                    self.modes.list(what);
                }
                match what {
                    Watched::Certificates => self.webhook.list(),
                    Watched::Policies(SharedKind::Validating) => self.modes.look(),
                    _ => {}
                }
                self.unsynced.send_if_modified(|unsynced| unsynced.remove(&what));
                self.context.metrics.watch_synced(what.plural());
            }
            News::Failing(why) => {
                self.context.metrics.watch_failed(what.plural());
                let hint = match what {
                    Watched::Computes | Watched::Placements if why.contains("404") => {
                        "; are the CRDs installed? (poros crd | kubectl apply -f -)"
                    }
                    Watched::Policies(kind) if why.contains("404") && !kind.is_mutating_policy() => {
                        "; Poros needs ValidatingAdmissionPolicy v1: Kubernetes 1.30 or newer"
                    }
                    _ => "",
                };
                // Not served any more, or nobody there: who answers next may be another one. A refusal says nothing of it.
                let gone = why.contains("(status 404)") || !why.contains("(status ");
                if gone && matches!(what, Watched::Policies(_)) {
                    self.modes.doubt();
                }
                warn!("the watch of {} failed, trying again: {why}{hint}", what.plural());
            }
        }
    }

    /// Takes in a change and queues whom it concerns.
    fn learn(&self, change: Change, backlog: bool) {
        let shared = matches!(change, Change::Shared(..));
        let webhook = shared || matches!(change, Change::Keyring(_));
        let names = self.context.world().apply(change);
        if shared {
            self.policies_changed.notify_one();
        }
        if webhook {
            self.webhook.look();
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
        self.modes.known().await;
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
        self.modes.known().await;
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
            let binds = self.context.world().admission().binds;
            for shared in policies::servable(binds) {
                if let Err(error) = install::policy(&self.context.client, &shared).await {
                    let (kind, name) = (shared.kind.kind(), shared.name);
                    warn!("{kind} {name} could not be applied, trying again: {}", error.chain());
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(pause)).await;
        }
    }
}

/// What the webhook answers from: the world, and the API server where it is asked what somebody may do.
fn knowledge(context: &Arc<Context>, unsynced: watch::Receiver<BTreeSet<Watched>>) -> Knowledge {
    let (known, asking) = (context.clone(), context.client.clone());
    Knowledge {
        unready: Arc::new(move || {
            let unsynced = unsynced.borrow();
            let needed = [Watched::Computes, Watched::Placements];
            needed.into_iter().filter(|what| unsynced.contains(what)).map(Watched::plural).collect()
        }),
        in_force: Arc::new(move |name| known.world().in_force(name)),
        may_assign: Arc::new(move |subject, name| {
            let client = asking.clone();
            Box::pin(async move {
                let answer = access::may_assign_owner(&client, subject, &name).await;
                answer.unwrap_or_else(|error| {
                    warn!(compute = name, "who may assign its owner could not be asked: {}", error.chain());
                    false
                })
            })
        }),
    }
}

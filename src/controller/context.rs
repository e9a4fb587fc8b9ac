//! What all passes share: the client, the world, the memories, the metrics.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::Notify;

use crate::controller::events::Events;
use crate::controller::lacks::Lacks;
use crate::controller::memory::Memories;
use crate::controller::said::Said;
use crate::decide::certificate::Lifetime;
use crate::decide::defaults::DefaultCompute;
use crate::decide::lease::Terms;
use crate::decide::observed::Settings;
use crate::decide::policies::Choice;
use crate::decide::registration::Endpoint;
use crate::telemetry::Metrics;
use crate::world::{Change, World};

/// What a controller is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace in which probes are made.
    pub namespace: String,
    /// The image that probes name; nobody pulls it.
    pub probe_image: String,
    /// The shared policies to install and repair; none where somebody else does that.
    pub manage_policies: Option<Choice>,
    /// Computes to create where they are absent.
    pub defaults: Vec<DefaultCompute>,
    /// Whether to watch all pods, and to count what they request of each pool.
    pub pool_usage: bool,
    /// Whether events are written.
    pub events: bool,
    /// What tells this process from others: `reportingInstance` of its events.
    pub instance: String,
    /// Every cache is compared with a list after one to two times this long.
    pub audit: Duration,
    /// How long things may last.
    pub settings: Settings,
    /// Who this process is to other replicas, and how they choose one that leads; none leads without asking them.
    pub election: Option<(String, Terms)>,
    /// What the API server serves must have been the same this long before only one of the two ways to place pods stands.
    pub discovery_settle: Duration,
    /// The webhook, where it is needed.
    pub webhook: WebhookOptions,
}

/// What is told of the webhook.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the API server finds it; none where it listens.
    pub endpoint: Option<Endpoint>,
    /// How long its certificates are valid.
    pub lifetime: Lifetime,
}

/// What all passes share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the controller was told.
    pub options: Options,
    /// Counters.
    pub metrics: Metrics,
    /// Events that are to be written.
    pub events: Events,
    /// Something refuses the probes: perhaps their namespace or account is gone.
    pub blocked: Notify,
    /// What keeps this process from working.
    pub lacks: Arc<Lacks>,
    /// What was logged of late.
    pub said: Said,
    world: Mutex<World>,
    memories: Mutex<Memories>,
}

impl Context {
    /// Nothing seen, nothing remembered.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Self {
        let memories = Mutex::new(Memories::new(options.settings.clone()));
        let mut world = World::of(&options.namespace);
        if options.pool_usage {
            world.count_usage();
        }
        let events = Events::new(options.events, metrics.clone());
        let (blocked, said) = (Notify::new(), Said::default());
        let lacks = Arc::new(Lacks::new(options.settings.forbidden_grace));
        Self { client, options, metrics, events, blocked, lacks, said, world: Mutex::new(world), memories }
    }

    /// The world, for a moment: never held over a call.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memories, for a moment: never held over a call.
    pub fn memories(&self) -> MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what this process wrote itself: known at once, and no reason to look again.
    pub fn learn_own(&self, changes: Vec<Change>) {
        self.metrics.wrote(changes.len());
        self.learn_seen(changes);
    }

    /// Takes in what this process read itself: as true as the answer to a write.
    pub fn learn_seen(&self, changes: Vec<Change>) {
        let mut world = self.world();
        for change in changes {
            world.apply_own(change);
        }
    }
}

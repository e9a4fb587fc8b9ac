//! What all passes share: the client, the world, the memories, the metrics.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;

use crate::controller::memory::Memories;
use crate::decide::certificate::Lifetime;
use crate::decide::observed::Settings;
use crate::decide::registration::Endpoint;
use crate::telemetry::Metrics;
use crate::world::{Change, World};

/// What a controller is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace in which probes are made.
    pub namespace: String,
    /// Whether to install and repair the shared policies.
    pub manage_policies: bool,
    /// How long things may last.
    pub settings: Settings,
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
    world: Mutex<World>,
    memories: Mutex<Memories>,
}

impl Context {
    /// Nothing seen, nothing remembered.
    pub fn new(client: Client, options: Options, metrics: Metrics) -> Self {
        let memories = Mutex::new(Memories::new(options.settings.clone()));
        Self { client, options, metrics, world: Mutex::new(World::new()), memories }
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
        let mut world = self.world();
        for change in changes {
            world.apply_own(change);
        }
    }
}

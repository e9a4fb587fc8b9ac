//! Keeps the webhook up while the API server calls it: its certificates, its server, and its registration.
//!
//! Every replica does all of it; what they share (the Secret, the registration) is written so that it does not matter who
//! comes first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;
use tracing::{error, info, warn};

use crate::admission::authority::{self, AuthorityError};
use crate::admission::tls::{self, TlsError, TlsListener};
use crate::admission::{self, Knowledge};
use crate::cluster::call::{CallError, chain};
use crate::cluster::{certificates, registration as writes};
use crate::controller::context::Context;
use crate::controller::leadership::Leadership;
use crate::controller::supervise::while_on;
use crate::decide::certificate::{Generation, Keyring, Step, StoredKeyring};
use crate::decide::registration::{self, Endpoint};
use crate::listen::listen;
use crate::world::Change;

/// How long the server still answers after its registration went: API servers act on that a moment later.
const LAST_CALLS: Duration = Duration::from_secs(10);
/// How long the server still answers after its process was told to stop: only then is its pod taken out of the Service, and API
/// servers learn of that a moment later.
const FAREWELL: Duration = Duration::from_secs(5);
/// Time between writes of the whole registration: two Poros that want it otherwise must not keep the API server busy.
const REGISTER_EVERY: Duration = Duration::from_secs(5);
/// The pause after another replica was faster; its watch may tell sooner.
const PAUSE: Duration = Duration::from_millis(500);

/// Why the webhook is not as it should be.
#[derive(Debug, Error)]
enum WebhookError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another with --webhook-listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("its certificate could not be made")]
    Make(#[source] AuthorityError),
    /// The stored certificate cannot be served.
    #[error("its certificate cannot be served")]
    Serve(#[source] TlsError),
    /// The Secret could not be read or written.
    #[error("its Secret could not be read or written")]
    Secret(#[source] CallError),
    /// The registration could not be written.
    #[error("its registration could not be written")]
    Register(#[source] CallError),
}

/// The keeper of the webhook.
pub struct Webhook {
    context: Arc<Context>,
    leadership: Arc<Leadership>,
    knowledge: Knowledge,
    changed: Notify,
    needed: watch::Sender<bool>,
    listed: watch::Sender<bool>,
    leaving: watch::Sender<bool>,
}

/// What runs while the webhook is needed. Dropping it stops it.
struct Running {
    endpoint: Endpoint,
    hosts: Vec<String>,
    configs: watch::Sender<Option<Arc<ServerConfig>>>,
    served: Option<Generation>,
    /// What was stored last: a Secret that somebody deletes is put back.
    last: Keyring,
    /// When the whole registration was written last.
    registered: Option<Instant>,
    /// The server.
    server: JoinSet<()>,
}

impl Webhook {
    /// It does nothing until it is needed.
    pub fn new(context: Arc<Context>, leadership: Arc<Leadership>, knowledge: Knowledge) -> Self {
        let [needed, listed, leaving] = [false; 3].map(watch::Sender::new);
        Self { context, leadership, knowledge, changed: Notify::new(), needed, listed, leaving }
    }

    /// Something that it looks at may have changed.
    pub fn look(&self) {
        self.changed.notify_one();
    }

    /// The Secret is listed: known, or known to be absent.
    pub fn list(&self) {
        self.listed.send_replace(true);
        self.look();
    }

    /// Runs `watching` (its Secret) while it is needed, for ever, for the right to do so goes with the need; says when that
    /// is given up.
    pub async fn while_needed<F: Future<Output = ()>>(&self, watching: impl Fn() -> F, given_up: impl Fn()) {
        let given_up = || {
            self.listed.send_replace(false);
            given_up();
        };
        while_on(self.needed.subscribe(), |needed| *needed, watching, given_up).await;
    }

    /// To be called as the process is told to stop: gives back until when it is to go on serving. Called by a URL it has no
    /// Service that others would answer for.
    pub fn leave(&self) -> Option<Instant> {
        let by_service = matches!(self.context.options.webhook.endpoint, Some(Endpoint::Service { .. }));
        let called = by_service && *self.needed.borrow() && self.is_needed();
        self.leaving.send_replace(true);
        called.then(|| Instant::now() + FAREWELL)
    }

    /// Runs for ever.
    pub async fn run(&self) {
        let patience = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(30))
            .with_jitter()
            .without_max_times();
        let mut pauses = patience.build();
        let mut running: Option<Running> = None;
        loop {
            let wait = if self.is_needed() {
                self.needed.send_replace(true);
                match self.step(&mut running).await {
                    Ok(wait) => {
                        pauses = patience.build();
                        wait
                    }
                    Err(error) => {
                        if let WebhookError::Secret(error) | WebhookError::Register(error) = &error {
                            self.context.lacks.hear(error);
                        }
                        let why = chain(&error);
                        if self.context.said.is_news("the webhook", &why, Instant::now()) {
                            warn!("the webhook is not as it should be, trying again: {why}");
                        }
                        pauses.next()
                    }
                }
            } else {
                if running.is_some() {
                    tokio::time::sleep(LAST_CALLS).await;
                    if self.is_needed() {
                        continue;
                    }
                    info!("the webhook is no longer registered, and served no longer");
                    running = None;
                }
                self.needed.send_replace(false);
                None
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            let served = async {
                match &mut running {
                    // Nobody but an error or a panic ends it.
                    Some(running) => {
                        let _ = running.server.join_next().await;
                    }
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                () = pause => false,
                () = self.changed.notified() => false,
                () = served => true,
            };
            if ended {
                error!("the server of the webhook ended, beginning it anew");
                running = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Whether the API server calls it, or would: a registration that was left behind is answered, for without an answer
    /// pods are refused.
    pub(super) fn is_needed(&self) -> bool {
        let registers = self.context.options.manage_policies.is_some();
        let world = self.context.world();
        world.admission().needs_webhook(world.registration().is_some(), registers)
    }

    /// Does what is to be done now. Gives back when to look again, if nothing happens before.
    async fn step(&self, running: &mut Option<Running>) -> Result<Option<Duration>, WebhookError> {
        if !*self.listed.borrow() {
            return Ok(None);
        }
        let running = match running {
            Some(running) => running,
            None => running.insert(self.start().await?),
        };
        let Some(stored) = self.keep_keyring(running).await? else { return Ok(Some(PAUSE)) };
        let ring = &stored.keyring;
        running.last.clone_from(ring);
        let (lifetime, now) = (self.context.options.webhook.lifetime, now());
        let registered = self.context.world().registration().map(|stored| stored.spec.clone());
        let trusted = |generation: &Generation| {
            ring.generations.len() == 1 || registration::trusts(registered.as_ref(), &generation.authority)
        };
        let serving = ring.serving(&running.hosts, lifetime, now, trusted);
        if let Some(generation) = serving.filter(|serving| running.served.as_ref() != Some(serving)) {
            running.configs.send_replace(Some(tls::config(generation).map_err(WebhookError::Serve)?));
            running.served = Some(generation.clone());
            info!(
                made_at = generation.made_at,
                not_after = generation.not_after,
                "the webhook serves a certificate"
            );
        }
        match self.register(running, &stored, registered.as_ref()).await? {
            None => Ok(ring.next_look(lifetime, now)),
            later => Ok(later),
        }
    }

    /// Listens, and serves as soon as there is a certificate.
    async fn start(&self) -> Result<Running, WebhookError> {
        let options = &self.context.options.webhook;
        let failed = |source| WebhookError::Listen { address: options.listen, source };
        let listener = listen(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let endpoint =
            options.endpoint.clone().unwrap_or_else(|| Endpoint::Url(format!("https://{address}")));
        let (configs, served) = watch::channel(None);
        let listener = TlsListener::new(listener, served).map_err(failed)?;
        let (knowledge, leaving) = (self.knowledge.clone(), self.leaving.subscribe());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = admission::serve(listener, knowledge, leaving).await {
                warn!("the webhook is served no longer: {error}");
            }
        });
        info!(%address, ?endpoint, "the webhook is up");
        let hosts = endpoint.hosts();
        Ok(Running {
            endpoint,
            hosts,
            configs,
            served: None,
            last: Keyring::default(),
            registered: None,
            server: tasks,
        })
    }

    /// The keyring as it is to be, and stored; none if another replica was faster.
    async fn keep_keyring(&self, running: &Running) -> Result<Option<Arc<StoredKeyring>>, WebhookError> {
        let stored = self.context.world().keyring();
        let ring = stored.as_ref().map_or(&running.last, |stored| &stored.keyring);
        let now = now();
        let next = match (ring.step(&running.hosts, self.context.options.webhook.lifetime, now), &stored) {
            (Step::Keep, Some(stored)) => return Ok(Some(stored.clone())),
            (Step::Keep, None) => ring.clone(),
            (Step::Add { hosts, lifetime }, _) => {
                ring.with(authority::make(&hosts, lifetime, now).map_err(WebhookError::Make)?)
            }
            (Step::Replace(next), _) => next,
        };
        let (client, namespace) = (&self.context.client, &self.context.options.namespace);
        match certificates::write(client, namespace, stored.as_deref(), &next).await {
            Ok(written) => {
                info!(
                    generations = written.keyring.generations.len(),
                    "stored the certificates of the webhook"
                );
                Ok(self.learn(Some(written)))
            }
            Err(CallError::Conflict(_) | CallError::NotFound(_)) => {
                let read = certificates::read(client, namespace).await.map_err(WebhookError::Secret)?;
                self.learn(read);
                Ok(None)
            }
            Err(error) => Err(WebhookError::Secret(error)),
        }
    }

    fn learn(&self, stored: Option<StoredKeyring>) -> Option<Arc<StoredKeyring>> {
        let mut world = self.context.world();
        world.apply(Change::Keyring(stored.map(Box::new)));
        world.keyring()
    }

    /// Has the API server call and trust this webhook. Gives back when to try again what could not be written now.
    async fn register(
        &self,
        running: &mut Running,
        stored: &StoredKeyring,
        registered: Option<&serde_json::Value>,
    ) -> Result<Option<Duration>, WebhookError> {
        let (client, options) = (&self.context.client, &self.context.options);
        let (endpoint, bundle) = (&running.endpoint, stored.keyring.bundle());
        let (called, placed_otherwise) = {
            let world = self.context.world();
            (world.admission().calls_webhook(), world.policies().missing.is_none())
        };
        // The registration is the leader's; whom to trust is told by whoever knows.
        let manages = options.manage_policies.is_some() && self.leadership.term().is_some();
        if manages && !called {
            if registered.is_some() && placed_otherwise {
                writes::remove(client).await.map_err(WebhookError::Register)?;
                info!("the policies of the API server place pods; the webhook is registered no longer");
            }
            return Ok(None);
        }
        let trust = registered.map(|registered| registration::trust(registered, &bundle)).unwrap_or_default();
        let as_wanted =
            || registered.is_some_and(|registered| registration::is_as_wanted(registered, endpoint, &bundle));
        if if manages { as_wanted() } else { trust.is_empty() } {
            return Ok(None);
        }
        // A replica that is late must not take the trust from what another one serves.
        let read = certificates::read(client, &options.namespace).await.map_err(WebhookError::Secret)?;
        if read.as_ref() != Some(stored) {
            self.learn(read);
            return Ok(Some(PAUSE));
        }
        if !trust.is_empty() {
            writes::patch(client, trust).await.map_err(WebhookError::Register)?;
            info!("the API server is told whom to trust");
        }
        if manages {
            let since = running.registered.map_or(REGISTER_EVERY, |registered| registered.elapsed());
            if since < REGISTER_EVERY {
                return Ok(Some(REGISTER_EVERY.saturating_sub(since)));
            }
            let object = registration::to_json(endpoint, &bundle);
            writes::apply(client, &object).await.map_err(WebhookError::Register)?;
            running.registered = Some(Instant::now());
            info!(?endpoint, "the API server is told to call the webhook");
        }
        Ok(None)
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

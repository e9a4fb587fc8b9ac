//! Metrics and logs: a leaf that rooms with I/O may use.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// What the names of all metrics begin with.
const PREFIX: &str = "poros";

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter for logs that cannot be read.
#[derive(Debug, Error)]
#[error(
    "--log {filter:?} is neither a level (error, warn, info, debug, trace) nor a list such as poros=debug,kube=info"
)]
pub struct LogError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Sends logs to stderr. `filter` is a level or a list of `target=level`.
pub fn log(filter: &str, format: LogFormat) -> Result<(), LogError> {
    // An answer that cannot be read is logged there in full, whatever its size and whatever it holds, and one that does not
    // come as an error without its cause. Poros says why itself.
    let whole = if filter.contains("kube_client") {
        filter.to_owned()
    } else {
        format!("{filter},kube_client::client=off")
    };
    let filter =
        EnvFilter::builder().parse(whole).map_err(|source| LogError { filter: filter.to_owned(), source })?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    resource: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    verb: &'static str,
    resource: String,
    code: &'static str,
}

/// Handles to all metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<Ended, Counter>,
    duration: Histogram,
    panics: Counter,
    task_panics: Counter,
    queued: Gauge,
    requests: Family<Asked, Counter>,
    writes: Counter,
    probes: Family<Ended, Counter>,
    failures: Family<Of, Counter>,
    synced: Family<Of, Gauge>,
    repairs: Family<By, Counter>,
    events: Family<Ended, Counter>,
    leader: Gauge,
    lease_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let passes = Family::default();
        registry.register(
            "passes",
            "Passes made, by whether they are to be made again with backoff",
            passes.clone(),
        );
        let duration = Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        registry.register("pass_duration_seconds", "How long passes took", duration.clone());
        let panics = Counter::default();
        registry.register("pass_panics", "Passes that panicked", panics.clone());
        let task_panics = Counter::default();
        registry.register(
            "task_panics",
            "Watches and other lasting tasks that panicked and were begun anew",
            task_panics.clone(),
        );
        let queued = Gauge::default();
        registry.register("queue_depth", "Computes that wait for a pass", queued.clone());
        let requests = Family::default();
        registry.register(
            "api_requests",
            "Requests to the API server, by verb, resource and class of the answer (none for no answer); a watch counts when it begins",
            requests.clone(),
        );
        let writes = Counter::default();
        registry.register("api_writes", "Objects written to the API server", writes.clone());
        let probes = Family::default();
        registry.register("probes", "Proofs tried, by result", probes.clone());
        let failures = Family::default();
        registry.register("watch_failures", "Failures of watches, by resource", failures.clone());
        let synced = Family::default();
        registry.register("watch_synced", "Whether a watch has listed its resource", synced.clone());
        let repairs = Family::default();
        registry.register(
            "drift_repairs",
            "Built objects that were put back as they should be, by kind",
            repairs.clone(),
        );
        let events: Family<Ended, Counter> = Family::default();
        registry.register("events", "Events for people, by what became of them", events.clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of Poros", build);
        let leader = Gauge::default();
        registry.register("leader", "Whether this process leads: 1, or stands by: 0", leader.clone());
        let lease_failures = Counter::default();
        registry.register(
            "lease_failures",
            "Calls about the Lease of the leader that failed",
            lease_failures.clone(),
        );
        Self {
            registry: Arc::new(registry),
            passes,
            duration,
            panics,
            task_panics,
            queued,
            requests,
            writes,
            probes,
            failures,
            synced,
            repairs,
            events,
            leader,
            lease_failures,
        }
    }

    /// This process leads, or stands by.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A call about the Lease failed.
    pub fn lease_failed(&self) {
        self.lease_failures.inc();
    }

    /// A pass ended.
    pub fn passed(&self, took: Duration, retry: bool) {
        let result = if retry { "retry" } else { "done" };
        self.passes.get_or_create(&Ended { result }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// A task that runs for ever panicked.
    pub fn task_panicked(&self) {
        self.task_panics.inc();
    }

    /// A pass panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// So many Computes wait.
    pub fn queued(&self, depth: usize) {
        self.queued.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// A request was answered, with a code of this class (`4xx`), or was not (`none`).
    pub fn asked(&self, verb: &'static str, resource: String, code: &'static str) {
        self.requests.get_or_create(&Asked { verb, resource, code }).inc();
    }

    /// So many objects were written.
    pub fn wrote(&self, objects: usize) {
        self.writes.inc_by(objects as u64);
    }

    /// A proof was tried.
    pub fn probed(&self, result: &'static str) {
        self.probes.get_or_create(&Ended { result }).inc();
    }

    /// A watch failed.
    pub fn watch_failed(&self, resource: &'static str) {
        self.failures.get_or_create(&Of { resource }).inc();
    }

    /// A watch has listed its resource.
    pub fn watch_synced(&self, resource: &'static str) {
        self.synced.get_or_create(&Of { resource }).set(1);
    }

    /// A built object that somebody changed was put back.
    pub fn repaired(&self, kind: &'static str) {
        self.repairs.get_or_create(&By { kind }).inc();
    }

    /// An event was written, or was not.
    pub fn event(&self, result: &'static str) {
        self.events.get_or_create(&Ended { result }).inc();
    }

    /// All of them, and what is collected now, in the OpenMetrics text format.
    pub fn render(&self, collected: Box<dyn Collector>) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        now.register_collector(collected);
        let mut text = String::new();
        // Writing to a String does not fail; were it to, the scrape is short, and has no mark at its end.
        let whole = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_eof(&mut text));
        debug_assert!(whole.is_ok());
        text
    }
}

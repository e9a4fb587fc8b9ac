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
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

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

/// Where answers that cannot be read are logged in full, whatever their size and whatever they hold: a private key, too.
const BODIES: &str = "kube_client::client";

/// What logs each try of a watch, at the level of a warning: Poros says why it fails, once a minute.
const TRIES: &str = "kube_runtime::watcher";

/// Sends logs to stderr. `filter` is a level or a list of `target=level`; no filter lets bodies of answers through.
pub fn log(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    logs(filter, format, colours, std::io::stderr)?.init();
    Ok(())
}

/// What takes in all that is logged, and writes what passes the filter.
fn logs<W>(filter: &str, format: LogFormat, colours: bool, writer: W) -> Result<impl Subscriber, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What is within that target logs an answer that does not come as an error without its cause: off unless it is named.
    // Poros says why itself.
    let told = EnvFilter::builder()
        .parse(format!("{BODIES}=off,{TRIES}=off,{filter}"))
        .map_err(|source| LogError { filter: filter.to_owned(), source })?;
    let filter = told.and(filter_fn(|metadata| metadata.target() != BODIES));
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_lets_bodies_of_answers_into_the_log() {
        for (filter, names_it) in [
            ("trace", false),
            ("info,kube_client=trace", false),
            ("kube_client::client=trace", true),
            ("kube_client::client::builder=trace", true),
            ("info,kube_client::client[{body}]=trace", false),
            ("info,[asks]=trace", true),
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let written = Written::default();
                let writer = written.clone();
                let logs = logs(filter, format, false, move || writer.clone()).unwrap();
                tracing::subscriber::with_default(logs, || {
                    let _span = tracing::info_span!("asks").entered();
                    tracing::warn!(target: "kube_client::client", body = 1, "PRIVATE KEY");
                    tracing::trace!(target: "kube_client::client", "PRIVATE KEY");
                    tracing::error!(target: "kube_client::client::builder", "without its cause");
                    tracing::error!("said by Poros");
                });
                let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
                assert!(!text.contains("PRIVATE"), "{filter}: {text}");
                assert_eq!(text.contains("without its cause"), names_it, "{filter}: {text}");
                let poros = !filter.starts_with("kube_client");
                assert_eq!(text.contains("said by Poros"), poros, "{filter}: {text}");
            }
        }
        // Each try of a watch is logged where that is asked for alone.
        for (filter, told) in
            [("info", false), ("kube=debug", false), ("info,kube_runtime::watcher=warn", true)]
        {
            let written = Written::default();
            let writer = written.clone();
            let logs = logs(filter, LogFormat::Text, false, move || writer.clone()).unwrap();
            tracing::subscriber::with_default(logs, || {
                tracing::warn!(target: "kube_runtime::watcher", "watch list error");
            });
            assert_eq!(!written.0.lock().unwrap().is_empty(), told, "{filter}");
        }
        assert!(logs("kube=loud", LogFormat::Text, false, std::io::stderr).is_err());
    }
}

//! `poros`: the controller. Wiring and exit codes; everything else is in the library.
#![allow(clippy::print_stderr)] // the edge: here printing is the job

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use poros::cluster::call::chain;
use poros::cluster::client::connect;
use poros::controller::Controller;
use poros::controller::context::{Options, WebhookOptions};
use poros::decide::certificate::Lifetime;
use poros::decide::observed::Settings;
use poros::decide::registration::Endpoint;
use poros::telemetry::{self, Metrics};
use poros::{api, decide, web};

/// Turns pools of nodes into named things that people can rely on.
#[derive(Parser)]
#[command(version, max_term_width = 110)]
struct Poros {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller, in a cluster or beside one
    Run(Box<Run>),
    /// Print the CRDs: poros crd | kubectl apply -f -
    Crd,
    /// Print the shared admission policies: poros policies | kubectl apply -f -
    Policies {
        /// Only those that Kubernetes 1.30 to 1.35 has
        #[arg(long)]
        validating_only: bool,
    },
}

/// Every flag is also an environment variable.
#[derive(Args)]
struct Run {
    /// The kubeconfig to use. Default: as kubectl, else the service account of the pod
    #[arg(long, env = "POROS_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of Poros: proofs are made there, as dry runs
    #[arg(long, env = "POROS_NAMESPACE", default_value = "poros-system")]
    namespace: String,
    /// The name of this cluster, as `spec.dataplane` gives it
    #[arg(long, env = "POROS_DATAPLANE", default_value = "hub")]
    dataplane: String,
    /// Install and repair the namespace, the probe's account and the shared policies: for trying Poros without its chart
    #[arg(long, env = "POROS_MANAGE_POLICIES")]
    manage_policies: bool,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, env = "POROS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// What to log: error, warn, info, debug, trace, or a list such as poros=debug,kube=info
    #[arg(long, env = "POROS_LOG", default_value = "info")]
    log: String,
    /// How to log
    #[arg(long, env = "POROS_LOG_FORMAT", default_value = "text")]
    log_format: Format,
    /// Threads that work
    #[arg(long, env = "POROS_THREADS", default_value_t = 2, value_name = "N")]
    threads: usize,
    #[command(flatten)]
    webhook: Webhook,
    #[command(flatten)]
    patience: Patience,
}

/// Where the API server has no MutatingAdmissionPolicy (Kubernetes below 1.36)
#[derive(Args)]
#[command(
    next_help_heading = "The webhook, where the API server has no MutatingAdmissionPolicy (Kubernetes below 1.36)"
)]
#[allow(clippy::struct_field_names)] // the names are those of the flags
struct Webhook {
    /// Where the webhook is served; port 0 is a free one
    #[arg(long, env = "POROS_WEBHOOK_LISTEN", default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    webhook_listen: SocketAddr,
    /// Where the API server finds it, without a path. Default: where it listens
    #[arg(long, env = "POROS_WEBHOOK_URL", value_name = "URL", value_parser = webhook_url)]
    webhook_url: Option<String>,
    /// The Service, in the namespace of Poros, by which the API server finds it (in a cluster)
    #[arg(long, env = "POROS_WEBHOOK_SERVICE", value_name = "NAME", conflicts_with = "webhook_url")]
    webhook_service: Option<String>,
    /// How long its certificates are valid; they are renewed after two thirds of that
    #[arg(long, env = "POROS_WEBHOOK_CERTIFICATE_LIFETIME", default_value_t = 31_536_000, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=315_360_000))]
    webhook_certificate_lifetime: u64,
    /// What the API server serves must have been the same this long before only one way to place pods stands
    #[arg(long, env = "POROS_DISCOVERY_SETTLE", default_value = "600", value_name = "SECONDS", value_parser = seconds, hide = true)]
    discovery_settle: Duration,
}

impl Webhook {
    /// What the controller is told of it.
    fn options(&self, namespace: &str) -> Result<WebhookOptions, Failure> {
        let endpoint = match (&self.webhook_service, &self.webhook_url) {
            (Some(name), _) => {
                Some(Endpoint::Service { namespace: namespace.to_owned(), name: name.clone() })
            }
            (None, Some(url)) => Some(Endpoint::Url(url.clone())),
            (None, None) if self.webhook_listen.ip().is_unspecified() => {
                return Err(format!(
                    "--webhook-listen {} is every address of this machine: say with --webhook-url or --webhook-service by which the API server finds the webhook",
                    self.webhook_listen
                )
                .into());
            }
            (None, None) => None,
        };
        let lifetime = Lifetime(Duration::from_secs(self.webhook_certificate_lifetime));
        Ok(WebhookOptions { listen: self.webhook_listen, endpoint, lifetime })
    }
}

fn webhook_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let plain = url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']));
    if plain { Ok(url.to_owned()) } else { Err("https://HOST or https://HOST:PORT is expected".into()) }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// How long things may last before they count, in seconds
#[derive(Args)]
#[command(next_help_heading = "How long things may last before they count")]
#[allow(clippy::struct_field_names)] // the names are those of the flags
struct Patience {
    /// A pool fault of an active Compute counts after this long, and is over after this long
    #[arg(long, env = "POROS_POOL_GRACE", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pool_grace: Duration,
    /// A shared policy may be absent or altered this long
    #[arg(long, env = "POROS_POLICY_GRACE", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    policy_grace: Duration,
    /// Poros may lack a permission this long: an API server that has just started refuses everybody for a moment
    #[arg(long, env = "POROS_FORBIDDEN_GRACE", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    forbidden_grace: Duration,
    /// A proof that cannot be made holds a new Compute back this long
    #[arg(long, env = "POROS_PROOF_BLOCKED_GRACE", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    proof_blocked_grace: Duration,
    /// Admission may take this long to place pods as applied before that counts as wrong
    #[arg(long, env = "POROS_PROOF_PATIENCE", default_value = "15", value_name = "SECONDS", value_parser = seconds)]
    proof_patience: Duration,
    /// A rival that undid no repair for this long is gone
    #[arg(long, env = "POROS_CONTENDED_QUIET", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    contended_quiet: Duration,
    /// Time between repairs while a rival is at work
    #[arg(long, env = "POROS_REPAIR_INTERVAL", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    repair_interval: Duration,
    /// Counters in a status are written at most this often
    #[arg(long, env = "POROS_COUNTER_INTERVAL", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    counter_interval: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds is expected, such as 10 or 0.5".to_owned())?;
    let bounded =
        Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= Duration::from_secs(86_400));
    bounded.ok_or_else(|| "0 to 86400 seconds are possible".to_owned())
}

fn main() -> ExitCode {
    let result = match Poros::parse().command {
        Command::Run(arguments) => run(*arguments),
        Command::Crd => print(api::crd::all().iter().map(serde_saphyr::to_string)),
        Command::Policies { validating_only } => print(
            decide::policies::servable(!validating_only)
                .map(|shared| serde_saphyr::to_string(&shared.to_json())),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("poros: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn print<E: std::error::Error + Send + Sync + 'static>(
    documents: impl Iterator<Item = Result<String, E>>,
) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    for document in documents {
        match writeln!(stdout, "---\n{}", document?.trim_end()) {
            // The reader has seen enough, as `head` has.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            result => result?,
        }
    }
    Ok(())
}

fn run(arguments: Run) -> Result<(), Failure> {
    let format = match arguments.log_format {
        Format::Text => telemetry::LogFormat::Text,
        Format::Json => telemetry::LogFormat::Json,
    };
    telemetry::log(&arguments.log, format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads.clamp(1, 64))
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(arguments));
    // A name look-up that hangs must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(arguments: Run) -> Result<(), Failure> {
    let patience = arguments.patience;
    let settings = Settings {
        dataplane: arguments.dataplane,
        pool_grace: patience.pool_grace,
        policy_grace: patience.policy_grace,
        forbidden_grace: patience.forbidden_grace,
        proof_blocked_grace: patience.proof_blocked_grace,
        proof_patience: patience.proof_patience,
        contended_quiet: patience.contended_quiet,
        repair_interval: patience.repair_interval,
        counter_interval: patience.counter_interval,
    };
    let (stopper, stop) = tokio::sync::watch::channel(false);
    let signals = tokio::spawn(stop_on_signal(stopper)?);
    let client = connect(arguments.kubeconfig.as_deref()).await?;
    let options = Options {
        webhook: arguments.webhook.options(&arguments.namespace)?,
        discovery_settle: arguments.webhook.discovery_settle,
        namespace: arguments.namespace,
        manage_policies: arguments.manage_policies,
        settings,
    };
    let metrics = Metrics::new();
    let controller = Controller::new(client, options, metrics.clone());
    let asked = controller.clone();
    let unready: web::Unready = Arc::new(move || {
        asked.unsynced().into_iter().map(|what| format!("{what} are not listed yet")).collect()
    });
    let (address, http) = web::serve(arguments.listen, metrics, unready).await?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "health and metrics are served");
    let http = tokio::spawn(http);
    controller.run(stop).await;
    http.abort();
    signals.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Says stop at the first SIGTERM or Ctrl-C; a second one ends the process at once.
fn stop_on_signal(stopper: tokio::sync::watch::Sender<bool>) -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        let _ = stopper.send(true);
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(130);
    })
}

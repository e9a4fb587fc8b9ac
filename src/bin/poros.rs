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
use poros::controller::context::Options;
use poros::decide::observed::Settings;
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
    Policies,
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
    /// Every cache is compared with a list after one to two times this long
    #[arg(long, env = "POROS_AUDIT_INTERVAL", default_value = "3600", value_name = "SECONDS", value_parser = some_seconds)]
    audit_interval: Duration,
    /// Threads that work
    #[arg(long, env = "POROS_THREADS", default_value_t = 2, value_name = "N")]
    threads: usize,
    #[command(flatten)]
    patience: Patience,
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

/// As [`seconds`], for what would be asked without a pause otherwise.
fn some_seconds(text: &str) -> Result<Duration, String> {
    let some = seconds(text).ok().filter(|duration| *duration >= Duration::from_secs(1));
    some.ok_or_else(|| "1 to 86400 seconds are possible".to_owned())
}

fn main() -> ExitCode {
    let result = match Poros::parse().command {
        Command::Run(arguments) => run(*arguments),
        Command::Crd => print(api::crd::all().iter().map(serde_saphyr::to_string)),
        Command::Policies => {
            print(decide::policies::all().iter().map(|shared| serde_saphyr::to_string(&shared.to_json())))
        }
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
        namespace: arguments.namespace,
        manage_policies: arguments.manage_policies,
        audit: arguments.audit_interval,
        settings,
    };
    let metrics = Metrics::new();
    let controller = Controller::new(client, options, metrics.clone());
    let asked = controller.clone();
    let unready: web::Unready = Arc::new(move || {
        let unsynced = asked.unsynced().into_iter().map(|what| format!("{what} are not listed yet"));
        let stale = asked.stale().into_iter().map(|what| format!("{what} cannot be listed anew"));
        let mut missing: Vec<_> = unsynced.chain(stale.filter(|_| asked.unsynced().is_empty())).collect();
        missing.dedup();
        missing
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

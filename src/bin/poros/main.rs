//! `poros`: the controller. Wiring and exit codes; everything else is in the library.
#![allow(clippy::print_stderr)] // the edge: here printing is the job

#[path = "../dataos-ctl/ctl.rs"]
mod ctl;
mod election;
mod retire;
mod values;
mod webhook;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::election::{Election, host};
use crate::retire::Retire;
use crate::values::{Defaults, address, default_computes, image, label, seconds, some_seconds};
use crate::webhook::Webhook;
use clap::{Args, Parser, Subcommand, ValueEnum};
use poros::cluster::call::chain;
use poros::cluster::client::{Access, Asked, connect};
use poros::controller::Controller;
use poros::controller::context::{Options, WebhookOptions};
use poros::decide::lease::Terms;
use poros::decide::observed::Settings;
use poros::decide::policies::Choice;
use poros::decide::policies::guard::Levels;
use poros::telemetry::{self, Metrics};
use poros::web::states::Group;
use poros::web::{Readiness, Scrape};
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
    Policies(Policies),
    /// Do what is left to do when Poros is uninstalled: the chart runs it
    Retire(Retire),
}

#[derive(Args)]
struct Policies {
    /// The namespace of Poros
    #[arg(long, env = "POROS_NAMESPACE", default_value = "poros-system", value_name = "NAME", value_parser = label)]
    namespace: String,
    #[command(flatten)]
    optional: Optional,
    /// How strict a guard is: Deny, Warn or Audit. all=Audit opens every guard that is not named
    #[arg(
        long,
        env = "POROS_ENFORCE",
        default_value = "",
        hide_default_value = true,
        value_name = "GUARD=LEVEL,..."
    )]
    enforce: Levels,
    /// Only those that Kubernetes 1.30 to 1.35 has
    #[arg(long, env = "POROS_VALIDATING_ONLY")]
    validating_only: bool,
}

/// What is installed only when asked for.
#[derive(Args, Clone, Copy)]
struct Optional {
    /// Refuse pods whose service account does not have the verb `use` on the Compute that they name
    #[arg(long, env = "POROS_REQUIRE_USE")]
    require_use: bool,
    /// Let the namespace label poros.dataos.io/default-compute name the Compute of pods that name none
    #[arg(long, env = "POROS_NAMESPACE_DEFAULTS")]
    namespace_defaults: bool,
}

impl Optional {
    fn choice(self, namespace: String, levels: Levels) -> Choice {
        let Self { require_use, namespace_defaults } = self;
        Choice { namespace, require_use, namespace_defaults, levels }
    }
}

/// Each flag is also an environment variable.
#[derive(Args)]
#[command(next_help_heading = "Where it works")]
struct Run {
    /// The kubeconfig to use. Default: as kubectl, else the service account of the pod
    #[arg(long, env = "POROS_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of Poros: its Lease is there, and proofs are made there as dry runs
    #[arg(long, env = "POROS_NAMESPACE", default_value = "poros-system", value_name = "NAME", value_parser = label)]
    namespace: String,
    /// The name of this cluster, as `spec.dataplane` gives it
    #[arg(long, env = "POROS_DATAPLANE", default_value = "hub", value_name = "NAME", value_parser = label)]
    dataplane: String,
    /// The image that proofs name: nobody pulls it, but the cluster must let it in. Name the one of this pod
    #[arg(long, env = "POROS_PROBE_IMAGE", default_value = concat!("poros:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE", value_parser = image)]
    probe_image: String,
    /// What tells this Poros from others, in its events and in the Lease. Default: the pod (`POD_NAME`), else the host
    #[arg(long, env = "POROS_INSTANCE", value_name = "NAME")]
    instance: Option<String>,
    /// Threads that work
    #[arg(long, env = "POROS_THREADS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Watch all pods, and count what they request of each pool (status.capacity.requested and free)
    #[arg(long, env = "POROS_POOL_USAGE")]
    pool_usage: bool,
    /// Compare every cache with a list after one to two times this long
    #[arg(long, env = "POROS_AUDIT_INTERVAL", default_value = "3600", value_name = "SECONDS", value_parser = some_seconds)]
    audit_interval: Duration,
    /// Create the Computes of this file (one, or a List) that are absent when this Poros begins to lead; never change any
    #[arg(long, env = "POROS_DEFAULT_COMPUTES", value_name = "FILE", value_parser = default_computes)]
    default_computes: Option<Defaults>,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    election: Election,
    #[command(flatten)]
    webhook: Webhook,
    /// Install and repair the namespace, the probe's account and the shared policies
    #[arg(long, env = "POROS_MANAGE_POLICIES", help_heading = "Trying it without a chart")]
    manage_policies: bool,
    #[command(flatten, next_help_heading = "With --manage-policies")]
    optional: Optional,
    #[command(flatten)]
    patience: Patience,
}

/// How it tells what it does
#[derive(Args)]
#[command(next_help_heading = "How it tells what it does")]
struct Telling {
    /// Serve /healthz, /readyz and /metrics here; [::] is every address, of either family
    #[arg(long, env = "POROS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// Serve metrics about each Compute (status, conditions, counts) and about all of them (totals); none for none of these
    #[arg(
        long,
        env = "POROS_METRICS",
        value_name = "GROUP,...",
        value_delimiter = ',',
        default_value = "totals,status,conditions,counts"
    )]
    metrics: Vec<MetricGroup>,
    /// Write events: what `kubectl describe compute` shows
    #[arg(
        long, env = "POROS_EVENTS", value_name = "true|false", default_value_t = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set
    )]
    events: bool,
    /// Log error, warn, info, debug or trace, or by a list such as poros=debug,kube=info
    #[arg(long, env = "POROS_LOG", default_value = "info", value_name = "LEVEL")]
    log: String,
    /// How to log
    #[arg(long, env = "POROS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricGroup {
    /// How many Computes have which status and fault
    Totals,
    /// Status, stage, fault and last transition of each Compute
    Status,
    /// Conditions of each Compute
    Conditions,
    /// Built objects, nodes and users of each Compute
    Counts,
    /// None of these
    None,
}

impl MetricGroup {
    fn group(self) -> Option<Group> {
        match self {
            Self::Totals => Some(Group::Totals),
            Self::Status => Some(Group::Status),
            Self::Conditions => Some(Group::Conditions),
            Self::Counts => Some(Group::Counts),
            Self::None => None,
        }
    }
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
    /// A watch may fail this long before /readyz says that Poros is not ready
    #[arg(long, env = "POROS_WATCH_GRACE", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    watch_grace: Duration,
}

/// The names by which this program is the command line: an image holds one program for all.
const COMMAND_LINE: [&str; 3] = ["dataos-ctl", "kubectl-poros", "kubectl_complete-poros"];

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if COMMAND_LINE.iter().any(|other| Path::new(&name).ends_with(other)) {
        return ctl::main();
    }
    let result = match Poros::parse().command {
        Command::Run(arguments) => run(*arguments),
        Command::Crd => print(api::crd::all().iter().map(serde_saphyr::to_string)),
        Command::Retire(arguments) => retire::run(arguments),
        Command::Policies(policies) => {
            let choice = policies.optional.choice(policies.namespace, policies.enforce);
            let chosen = decide::policies::servable(&choice, !policies.validating_only);
            print(chosen.map(|shared| serde_saphyr::to_string(&shared.to_json())))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("poros: {}", chain(error.as_ref()));
            if error.is::<Wrong>() { ExitCode::from(2) } else { retire::exit_code(&error) }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Flags that do not go together, or a value that cannot be: `poros` ends with 2, as with a flag that it does not know.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Wrong(Failure);

fn wrong(why: impl Into<Failure>) -> Failure {
    Box::new(Wrong(why.into()))
}

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
    let optional = arguments.optional;
    if !arguments.manage_policies && (optional.require_use || optional.namespace_defaults) {
        return Err(wrong(
            "--require-use and --namespace-defaults go with --manage-policies: without it Poros installs nothing; give them to `poros policies`, or to whatever installs the policies",
        ));
    }
    let instance = arguments.instance.clone().or_else(host).unwrap_or_else(|| "poros".into());
    let election = arguments.election.candidacy(&instance).map_err(wrong)?;
    let webhook = arguments.webhook.options(&arguments.namespace).map_err(wrong)?;
    let format = match arguments.telling.log_format {
        Format::Text => telemetry::LogFormat::Text,
        Format::Json => telemetry::LogFormat::Json,
    };
    telemetry::log(&arguments.telling.log, format).map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads.into())
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(arguments, instance, election, webhook));
    // A name look-up that hangs must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(
    arguments: Run,
    instance: String,
    election: Option<(String, Terms)>,
    webhook: WebhookOptions,
) -> Result<(), Failure> {
    let (telling, patience) = (arguments.telling, arguments.patience);
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
        watch_grace: patience.watch_grace,
    };
    let (stopper, stop) = tokio::sync::watch::channel(false);
    let signals = tokio::spawn(stop_on_signal(stopper)?);
    let metrics = Metrics::new();
    let counted = metrics.clone();
    let tell = Arc::new(move |asked: Asked, class| counted.asked(asked.verb, asked.resource, class));
    let access = Access { kubeconfig: arguments.kubeconfig, ..Access::default() };
    let client = connect(&access, tell).await?;
    let choice = arguments.optional.choice(arguments.namespace.clone(), Levels::default());
    let manage_policies = arguments.manage_policies.then_some(choice);
    let options = Options {
        webhook,
        discovery_settle: arguments.webhook.discovery_settle,
        namespace: arguments.namespace,
        probe_image: arguments.probe_image,
        manage_policies,
        audit: arguments.audit_interval,
        defaults: arguments.default_computes.map(|Defaults(computes)| computes).unwrap_or_default(),
        pool_usage: arguments.pool_usage,
        events: telling.events,
        instance,
        settings,
        election,
    };
    let controller = Controller::new(client, options, metrics.clone());
    let (asked, scraped) = (controller.clone(), controller.clone());
    let scrape = Scrape {
        metrics,
        computes: Arc::new(move || scraped.computes()),
        groups: telling.metrics.into_iter().filter_map(MetricGroup::group).collect(),
    };
    let readiness = move || Readiness { missing: asked.unready(), remarks: asked.remarks() };
    let (address, http) = web::serve(telling.listen, scrape, readiness).await?;
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

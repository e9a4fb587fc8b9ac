//! The cluster ring: Poros as a process against a real API server. One binary, one shared control plane, own names.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unchecked_time_subtraction
)] // tests

mod certificates;
mod chart;
mod cli;
mod counts;
mod explain;
mod faults;
mod guards;
mod harness;
mod kills;
mod kstatus;
mod placement;
mod proofs;
mod replicas;
mod report;
mod rows;
mod schema;
mod startup;

use libtest_mimic::{Arguments, Trial};

/// Tests that run at one time, for each core.
const THREADS_PER_CORE: usize = 2;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() {
    // A failed test says what it saw; a backtrace through the harness says nothing more.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let mut arguments = Arguments::from_args();
    // Most tests wait most of the time: for an interval, a grace, a Lease, an API server that starts.
    arguments.test_threads.get_or_insert(THREADS_PER_CORE * cores());
    // Those with the longest tests first, so that no core waits for one of them at the end.
    let trials: Vec<Trial> = [
        counts::trials(),
        placement::trials(),
        certificates::trials(),
        chart::trials(),
        rows::trials(),
        startup::trials(),
        startup::webhook::trials(),
        replicas::trials(),
        kills::trials(),
        proofs::trials(),
        faults::trials(),
        guards::trials(),
        explain::trials(),
        cli::trials(),
        schema::trials(),
        report::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let witness = kstatus::verdict(whole);
    match &witness {
        Ok(versions) => println!("kstatus and the invariants held in {versions} versions of Computes"),
        Err(broken) => eprintln!("versions of Computes that no reader should ever see:\n{broken}"),
    }
    if whole {
        print!("the slowest:\n{}", harness::slowest(25));
    }
    harness::cluster::stop_shared();
    harness::proxy::stage::enter_rights();
    let rights = harness::rights::verdict(whole);
    match &rights {
        Ok(requests) => println!("the chart grants what Poros did in {requests} requests"),
        Err(wrong) => eprintln!("the rights of Poros are not what it needs:\n{wrong}"),
    }
    std::process::exit(i32::from(conclusion.has_failed() || witness.is_err() || rights.is_err()) * 101);
}

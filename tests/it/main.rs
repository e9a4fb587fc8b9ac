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

use libtest_mimic::{Arguments, Trial};

fn main() {
    // A failed test says what it saw; a backtrace through the harness says nothing more.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        schema::trials(),
        rows::trials(),
        proofs::trials(),
        placement::trials(),
        certificates::trials(),
        counts::trials(),
        explain::trials(),
        faults::trials(),
        guards::trials(),
        kills::trials(),
        replicas::trials(),
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
    std::process::exit(i32::from(conclusion.has_failed() || witness.is_err()) * 101);
}

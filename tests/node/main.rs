//! Poros as it is installed: the chart, from the image, on a real node, driven by helm, kubectl and dataos-ctl.
//!
//! Listed with `POROS_TEST_NODE` only, since it needs root, a release build, and a cluster for each trial.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)] // tests

mod facts;
mod images;
mod install;
mod processes;
mod site;
mod size;
mod stream;
mod uninstall;
mod upgrade;
mod webhook;

use libtest_mimic::{Arguments, Trial};

fn main() {
    // A failed trial says what it saw; a backtrace says nothing more.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let mut arguments = Arguments::from_args();
    // Each is a whole cluster, and waits most of the time.
    arguments.test_threads.get_or_insert(2);
    let trial = |name: &str, run: fn()| {
        let run = move || {
            run();
            Ok(())
        };
        Trial::test(name.to_owned(), run)
    };
    let mut trials = Vec::new();
    if std::env::var_os("POROS_TEST_NODE").is_some() {
        // The longest first.
        trials.extend([
            trial(
                "upgrade::nothing_is_rebuilt_and_no_pod_moves",
                upgrade::nothing_is_rebuilt_and_no_pod_moves,
            ),
            trial("uninstall::what_stays_is_what_keep_keeps", uninstall::what_stays_is_what_keep_keeps),
            trial("install::the_lines_of_the_readme_work", install::the_lines_of_the_readme_work),
            trial(
                "webhook::pods_are_placed_through_the_service",
                webhook::pods_are_placed_through_the_service,
            ),
        ]);
        if std::env::var_os("POROS_TEST_ALL").is_some() {
            trials.push(trial(
                "size::a_thousand_computes_fit_the_limits",
                size::a_thousand_computes_fit_the_limits,
            ));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

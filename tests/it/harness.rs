//! What the tests stand on: a control plane, Poros as a process, waits that say what they saw.

pub mod audit;
pub mod cluster;
pub mod exposition;
pub mod objects;
pub mod people;
pub mod poros;
pub mod proxy;
pub mod rights;
pub mod runbook;
pub mod seed;
pub mod wait;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

/// A trial from an async test. Its name is its path, so that `cargo test NAME` finds it.
pub fn trial<F>(name: &str, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let path = name.to_owned();
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Failed::from)?;
        let start = Instant::now();
        runtime.block_on(test());
        times().lock().unwrap().push((start.elapsed(), path));
        Ok(())
    })
}

fn times() -> &'static Mutex<Vec<(Duration, String)>> {
    static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());
    &TIMES
}

/// The tests that took longest, a line each: what to look at when the ring gets slow.
pub fn slowest(count: usize) -> String {
    let mut times = times().lock().unwrap();
    times.sort_by(|one, other| other.cmp(one));
    let line = |(time, name): &(Duration, String)| format!("{:>7.1} s  {name}\n", time.as_secs_f64());
    times.iter().take(count).map(line).collect()
}

/// Whether the slow tests are asked for, as `cargo xtask test --all` does. A slow test is not even listed otherwise, so
/// that nothing passes by being skipped.
pub fn all() -> bool {
    std::env::var_os("POROS_TEST_ALL").is_some()
}

/// Lists tests of a module as trials: `trials![a, b]`, or `trials![a, b; slow: c]`.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        $crate::trials![$($test),*; slow:];
    };
    ($($test:ident),* $(,)?; slow: $($slow:ident),* $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            #[allow(unused_variables)]
            let module = module_path!().trim_start_matches("it::");
            #[allow(unused_mut)]
            let mut trials: Vec<libtest_mimic::Trial> = vec![$($crate::harness::trial(&format!("{module}::{}", stringify!($test)), $test)),*];
            if $crate::harness::all() {
                trials.extend([$($crate::harness::trial(&format!("{module}::{}", stringify!($slow)), $slow)),*]);
            }
            trials
        }
    };
}

/// Tries until it gives something, or panics with what was seen last.
pub async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let start = Instant::now();
    loop {
        let seen = match look().await {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}; last seen: {seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

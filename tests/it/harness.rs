//! What the tests stand on: a control plane, Poros as a process, waits that say what they saw.

pub mod audit;
pub mod cluster;
pub mod exposition;
pub mod objects;
pub mod people;
pub mod poros;
pub mod proxy;
pub mod seed;
pub mod wait;

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

/// A trial from an async test. Its name is its path, so that `cargo test NAME` finds it.
pub fn trial<F>(name: &str, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Failed::from)?;
        runtime.block_on(test());
        Ok(())
    })
}

/// Lists tests of a module as trials: `trials![module; a, b]`.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            #[allow(unused_variables)]
            let module = module_path!().trim_start_matches("it::");
            vec![$($crate::harness::trial(&format!("{module}::{}", stringify!($test)), $test)),*]
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

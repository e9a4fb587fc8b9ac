//! How long a task runs: one that panics is begun anew, and told of; one that is needed at times runs at those.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::error;

use crate::telemetry::Metrics;

/// The pause after a panic, which doubles with each one that follows soon, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs a task whenever the flag is `on`, and no longer than it is; says each time when that is given up. It ends when nobody
/// can set the flag any more.
pub async fn while_on<T, F: Future<Output = ()>>(
    mut flag: watch::Receiver<T>,
    on: impl Fn(&T) -> bool,
    task: impl Fn() -> F,
    given_up: impl Fn(),
) {
    while flag.wait_for(&on).await.is_ok() {
        tokio::select! {
            () = task() => {}
            _ = flag.wait_for(|flag| !on(flag)) => {}
        }
        given_up();
    }
}

/// Runs a task until it ends by itself. One that panics is begun anew after a pause; `died` is told why, at once.
pub async fn supervised<F: Future<Output = ()>>(
    what: &str,
    metrics: &Metrics,
    died: impl Fn(&str),
    begin: impl Fn() -> F,
) {
    let mut pause = PAUSE;
    loop {
        let start = Instant::now();
        // What a task leaves half done is locked state, which is used on as after any panic, and what it begins anew.
        let task = AssertUnwindSafe(async { begin().await });
        let Err(panic) = task.catch_unwind().await else { return };
        let why = text(panic.as_ref());
        metrics.task_panicked();
        error!("{what} died, beginning it anew in {} s: {why}", pause.as_secs());
        died(why);
        if start.elapsed() > 2 * LONGEST_PAUSE {
            pause = PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_begun_anew_until_it_ends_by_itself() {
        let (begun, told) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let start = || async {
            let nth = begun.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            assert!(nth > 0, "a bug in number {nth}");
        };
        let died = |why: &str| told.lock().unwrap().push(why.to_owned());
        supervised("a task", &Metrics::new(), died, start).await;
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert_eq!(told.into_inner().unwrap(), ["a bug in number 0"]);
    }
}

//! What keeps a task that panics from staying dead: it is begun anew, and told of.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tracing::error;

use crate::telemetry::Metrics;

/// The pause after a panic, which doubles with each one that follows soon, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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

//! What keeps a pass that panics or hangs from hurting others: it costs its Compute a retry, and nobody else anything.

use std::time::Duration;

use thiserror::Error;

/// Why a pass gave no result. A bug in Poros either way.
#[derive(Debug, Error)]
pub enum PassError {
    /// It panicked.
    #[error("a pass panicked: {0}")]
    Panicked(String),
    /// It did not end.
    #[error("a pass took more than {} s", .0.as_secs())]
    Endless(Duration),
}

/// Runs a pass apart from all others, for at most `limit`.
pub async fn guarded<T: Send + 'static>(
    pass: impl Future<Output = T> + Send + 'static,
    limit: Duration,
) -> Result<T, PassError> {
    let mut running = tokio::spawn(pass);
    match tokio::time::timeout(limit, &mut running).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(join)) => Err(PassError::Panicked(join.to_string())),
        Err(_) => {
            running.abort();
            Err(PassError::Endless(limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn a_pass_that_panics_is_an_error_and_others_go_on() {
        let other = tokio::spawn(guarded(async { 2 }, LIMIT));
        let panicking = guarded(async { assert!(std::env::args().count() == 0, "a bug") }, LIMIT).await;
        assert!(matches!(panicking, Err(PassError::Panicked(why)) if why.contains("a bug")));
        assert_eq!(other.await.unwrap().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_pass_that_hangs_is_ended() {
        let hanging = guarded(std::future::pending::<()>(), LIMIT).await;
        assert!(matches!(hanging, Err(PassError::Endless(_))));
    }
}

//! Ctrl-C: one for the whole process.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

/// Ctrl-C. Whoever asks for it first takes the signal from the system, which from then on ends the process no more: all that
/// is awaited later must be awaited beside it. It is latched: who asks after it came hears of it at once.
#[derive(Clone)]
pub struct Interrupt(Shared<BoxFuture<'static, ()>>);

impl Interrupt {
    /// That of this process.
    pub fn of_this_process() -> Self {
        let heard = async {
            if tokio::signal::ctrl_c().await.is_err() {
                // It cannot be heard.
                std::future::pending::<()>().await;
            }
        };
        Self(heard.boxed().shared())
    }

    /// Waits for it; for ever where it cannot be heard.
    pub fn heard(&self) -> impl Future<Output = ()> + use<> {
        self.0.clone()
    }
}

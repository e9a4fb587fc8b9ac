//! When a pass is to be made again, if nothing happens before.

use std::time::Duration;

/// The earliest of several times to look again.
#[derive(Default)]
pub(super) struct Wakes(pub(super) Option<Duration>);

impl Wakes {
    /// Look again after this long, or before.
    pub(super) fn at(&mut self, after: Duration) {
        self.0 = Some(self.0.map_or(after, |earliest| earliest.min(after)));
    }
}

//! What was said of late: a trouble that lasts is said when it begins and once a minute, not with each try.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A trouble that goes on is said again after this long.
pub const REMIND: Duration = Duration::from_secs(60);

/// What was said of whom, and when.
#[derive(Debug, Default)]
pub struct Said(Mutex<HashMap<(String, String), Instant>>);

impl Said {
    /// Whether this is to be said of this: it was not within the last minute. It counts as said then.
    pub fn is_news(&self, of: &str, text: &str, now: Instant) -> bool {
        let mut said = self.said();
        said.retain(|_, at| now.saturating_duration_since(*at) < REMIND);
        let key = (of.to_owned(), text.to_owned());
        let news = !said.contains_key(&key);
        if news {
            said.insert(key, now);
        }
        news
    }

    /// All is well with this: what comes next is news.
    pub fn forget(&self, of: &str) {
        self.said().retain(|(about, _), _| about != of);
    }

    fn said(&self) -> MutexGuard<'_, HashMap<(String, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_said_once_a_minute_and_anew_after_all_was_well() {
        let (said, start) = (Said::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(said.is_news("nodes", "refused", at(0)));
        assert!(!said.is_news("nodes", "refused", at(59)));
        assert!(said.is_news("nodes", "another", at(59)) && said.is_news("pods", "refused", at(59)));
        assert!(!said.is_news("nodes", "another", at(60)), "two in turn are no news either");
        assert!(said.is_news("nodes", "refused", at(60)));
        said.forget("nodes");
        assert!(said.is_news("nodes", "refused", at(61)) && !said.is_news("pods", "refused", at(61)));
        assert!(said.is_news("pods", "refused", at(10_000)));
        assert_eq!(said.said().len(), 1, "what is old is forgotten");
    }
}

//! Whether this process leads, by the monotonic clock, and what may be done only while it does.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::watch;

/// Which time this process leads, counted from 1.
pub type Term = u64;

/// Until when this process leads, unless it renews.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// It does not.
    Past,
    /// Until then.
    At(Instant),
    /// For ever: nobody else is asked.
    End,
}

/// Whether this process leads.
#[derive(Debug)]
pub struct Leadership {
    until: Mutex<Until>,
    term: watch::Sender<Option<Term>>,
    terms: Mutex<Term>,
    /// What is done now in a term, or was and has not ended yet: how many works.
    under_way: watch::Sender<usize>,
}

impl Leadership {
    /// It does not lead yet.
    pub fn standing_by() -> Self {
        Self::new(Until::Past, None)
    }

    /// It leads for ever, whoever else does.
    pub fn forced() -> Self {
        Self::new(Until::End, Some(1))
    }

    fn new(until: Until, term: Option<Term>) -> Self {
        Self {
            until: Mutex::new(until),
            term: watch::Sender::new(term),
            terms: Mutex::new(term.unwrap_or_default()),
            under_way: watch::Sender::new(0),
        }
    }

    /// The term in which it leads now.
    pub fn term(&self) -> Option<Term> {
        let leads = match *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
            Until::Past => false,
            // Looked at here, so that a process that was stopped for a while knows before it does anything.
            Until::At(until) => Instant::now() < until,
            Until::End => true,
        };
        if leads { *self.term.borrow() } else { None }
    }

    /// It leads until then, unless this is called again; or it leads no more. Gives back whether that is news.
    pub fn set(&self, until: Option<Instant>) -> bool {
        let mut known = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // A term that the clock ended is over, though it be renewed a moment later: its work was dropped.
        let lapsed = matches!(*known, Until::At(end) if end <= Instant::now());
        *known = until.map_or(Until::Past, Until::At);
        drop(known);
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        self.term.send_if_modified(|term| match (until, *term) {
            (Some(_), Some(_)) if !lapsed => false,
            (Some(_), _) => {
                *terms += 1;
                *term = Some(*terms);
                true
            }
            (None, Some(_)) => {
                *term = None;
                true
            }
            (None, None) => false,
        })
    }

    /// Waits until it leads.
    pub async fn won(&self) -> Term {
        let mut term = self.term.subscribe();
        loop {
            term.borrow_and_update();
            // By the clock: a term that is over and not yet said to be is none to begin.
            if let Some(term) = self.term() {
                return term;
            }
            if term.changed().await.is_err() {
                // Not reachable: the sender is this.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Does some work as long as this term lasts; none if the term ended first. The clock is looked at before each step of
    /// it, so that none is made by a process that does not know yet that it leads no more.
    pub async fn during<T>(&self, term: Term, work: impl Future<Output = T>) -> Option<T> {
        // First, so that it is dropped last: after the work.
        let _under_way = UnderWay::begin(&self.under_way);
        let mut now = self.term.subscribe();
        let mut over = pin!(async move {
            // An error is the end of this, too.
            let _ = now.wait_for(|now| *now != Some(term)).await;
        });
        let mut work = pin!(work);
        poll_fn(|context| {
            if self.term() != Some(term) || over.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Waits until no work of any term is under way. What ended in the middle of a request may have sent it.
    pub async fn idle(&self) {
        // An error is the end of this, too.
        let _ = self.under_way.subscribe().wait_for(|works| *works == 0).await;
    }
}

/// A work that is under way until this is dropped.
struct UnderWay<'a>(&'a watch::Sender<usize>);

impl<'a> UnderWay<'a> {
    fn begin(works: &'a watch::Sender<usize>) -> Self {
        works.send_modify(|works| *works += 1);
        Self(works)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|works| *works -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn in_a_minute() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(60))
    }

    #[tokio::test]
    async fn work_ends_with_its_term() {
        let leadership = Arc::new(Leadership::standing_by());
        assert_eq!(leadership.during(1, async {}).await, None, "there was no term yet");
        assert!(leadership.set(in_a_minute()));
        assert!(!leadership.set(in_a_minute()), "a renewal is no news");
        let term = leadership.won().await;
        assert_eq!(leadership.during(term, async { 7 }).await, Some(7));
        let of = leadership.clone();
        let endless = tokio::spawn(async move { of.during(term, std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        assert!(leadership.set(None));
        assert_eq!(endless.await.unwrap(), None);
        leadership.set(in_a_minute());
        assert_eq!(leadership.during(term, async {}).await, None, "the next term is another one");
    }

    #[tokio::test]
    async fn the_clock_ends_a_term_before_anybody_says_so() {
        let leadership = Leadership::standing_by();
        leadership.set(Some(Instant::now() + Duration::from_millis(20)));
        let term = leadership.won().await;
        let mut steps = 0;
        let stopped = async {
            loop {
                steps += 1;
                // As SIGSTOP does: the thread stands still, the clock does not.
                std::thread::sleep(Duration::from_millis(30));
                tokio::task::yield_now().await;
            }
        };
        let ended: Option<()> = leadership.during(term, stopped).await;
        assert_eq!((ended, steps), (None, 1), "no step after the clock ran out");
    }

    #[tokio::test]
    async fn a_term_that_lapsed_is_not_begun_and_its_late_renewal_is_another_one() {
        let leadership = Arc::new(Leadership::standing_by());
        leadership.set(Some(Instant::now()));
        assert_eq!(leadership.term(), None);
        let of = leadership.clone();
        let won = tokio::spawn(async move { of.won().await });
        tokio::task::yield_now().await;
        assert!(!won.is_finished());
        assert!(leadership.set(in_a_minute()), "news, though nobody said that the first one was over");
        assert_eq!(won.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_forced_leader_leads_for_ever() {
        let leadership = Leadership::forced();
        assert_eq!(leadership.won().await, 1);
        assert_eq!(leadership.term(), Some(1));
    }
}

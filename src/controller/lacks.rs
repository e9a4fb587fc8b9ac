//! Keeps an eye on what Poros lacks: permissions, CRDs, a cluster that is new enough. It asks at the start and whenever
//! something was refused, and again while something is lacking; else never.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::cluster::call::CallError;
use crate::cluster::{discovery, rights};
use crate::controller::said::Said;
use crate::decide::crds::{self, Served};
use crate::decide::lacks::{self, Lack, Uses};

/// Time between looks while a lack is young: an API server that has just started, or was just told of a role, knows no better.
const SOON: Duration = Duration::from_secs(1);
/// The longest time between looks while something is lacking, and the shortest while nothing is.
const LATER: Duration = Duration::from_secs(10);
/// The longest time between looks while only what is dispensable is lacking: a cluster may never give it.
const RARELY: Duration = Duration::from_secs(300);

/// What is lacking, as far as it is known.
#[derive(Debug)]
pub struct Lacks {
    /// How long something may be lacking before it is told.
    grace: Duration,
    found: Mutex<Found>,
    /// Whether the CRDs that are served were seen to know all that is written.
    fit: watch::Sender<bool>,
    doubted: Notify,
    said: Said,
}

#[derive(Debug, Default)]
struct Found {
    /// What is wrong with the API server as a whole, which can be asked nothing else then.
    server: Option<Lack>,
    /// None before the first look.
    lacks: Option<BTreeMap<Lack, Seen>>,
}

/// Of something that is lacking.
#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Instant,
    /// Whether it was said in the log.
    said: bool,
}

/// What is to be said after a look.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    lasting: Vec<Lack>,
    /// What was said, and is lacking no more.
    over: Vec<Lack>,
    /// Whether something is lacking no more, said or not.
    healed: bool,
}

/// How long to wait with the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// So long.
    For(Duration),
    /// So long, or until something indispensable is refused.
    AtMost(Duration),
    /// Until something is refused.
    UntilDoubted,
}

impl Lacks {
    /// Nothing is known yet.
    pub fn new(grace: Duration) -> Self {
        let fit = watch::Sender::new(false);
        Self { grace, found: Mutex::default(), fit, doubted: Notify::new(), said: Said::default() }
    }

    /// Something was refused: looked into.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// As [`Self::doubt`], of something that Poros works without: looked into unless that is known.
    pub fn doubt_dispensable(&self) {
        if !self.found().lacks.iter().flatten().any(|(lack, _)| lack.dispensable) {
            self.doubt();
        }
    }

    /// As [`Self::doubt`], if that is why a call failed.
    pub fn hear(&self, error: &CallError) {
        if let CallError::Forbidden(_) = error {
            self.doubt();
        }
    }

    /// What is wrong with the API server as a whole; none when nothing is.
    pub fn server(&self, lack: Option<Lack>) {
        if let Some(lack) = &lack {
            self.say(lack);
        }
        self.found().server = lack;
    }

    /// What is lacking. What may yet pass, because the API server has just started, is left out where it is `settled` that
    /// this process can work.
    pub fn told(&self, settled: bool) -> Vec<Lack> {
        let found = self.found();
        let lacks = found.lacks.iter().flatten();
        let lasts = lacks.filter(|(_, seen)| !settled || seen.since.elapsed() >= self.grace);
        found.server.iter().chain(lasts.map(|(lack, _)| lack)).cloned().collect()
    }

    /// Whether the first look is still to come.
    pub fn unknown(&self) -> bool {
        self.found().lacks.is_none()
    }

    /// Waits until the CRDs that are served know all that is written.
    pub async fn fit(&self) {
        // It fails only when this is dropped, and then nobody waits.
        let _ = self.fit.subscribe().wait_for(|fit| *fit).await;
    }

    /// Runs for ever, for a Poros in the namespace `home`. `uses` says what is used, once that is known; `heal` is called when something is lacking no more.
    pub async fn run(&self, client: &Client, home: &str, uses: impl Fn() -> Option<Uses>, heal: impl Fn()) {
        loop {
            let Some(uses) = uses() else {
                tokio::time::sleep(SOON / 5).await;
                continue;
            };
            let pause = match self.look(client, home, uses).await {
                Ok(lacks) => {
                    let news = self.keep(lacks);
                    self.tell(&news);
                    if news.healed {
                        heal();
                    }
                    self.pause(Instant::now())
                }
                // Who asks is not known, or nobody answers: the watches tell that.
                Err(_) => Pause::For(SOON),
            };
            let looked = Instant::now();
            match pause {
                Pause::For(pause) => tokio::time::sleep(pause).await,
                Pause::AtMost(pause) => {
                    let doubted = tokio::time::timeout(pause, self.doubted.notified()).await;
                    let least = if doubted.is_ok() { LATER.min(pause) } else { Duration::ZERO };
                    tokio::time::sleep(least.saturating_sub(looked.elapsed())).await;
                }
                Pause::UntilDoubted => {
                    self.doubted.notified().await;
                    tokio::time::sleep(LATER.saturating_sub(looked.elapsed())).await;
                }
            }
        }
    }

    async fn look(&self, client: &Client, home: &str, uses: Uses) -> Result<Vec<Lack>, CallError> {
        let needed = lacks::needed(uses);
        let mut lacks = match rights::lacking(client, home, &needed).await {
            Ok(lacking) => lacks::permissions(&needed, &lacking, home),
            Err(error) => self.unanswered("which permissions Poros has", error)?,
        };
        let served = match discovery::schemas(client).await {
            Ok(openapi) => crds::served(&openapi),
            // There are none yet, which their watches tell.
            Err(CallError::Unserved(_) | CallError::NotFound(_)) => Served::default(),
            Err(error) => {
                Served { lacks: self.unanswered("which fields the CRDs have", error)?, whole: true }
            }
        };
        if served.whole && served.lacks.is_empty() {
            self.fit.send_replace(true);
        }
        lacks.extend(served.lacks);
        Ok(lacks)
    }

    /// What cannot be asked is no lack: a cluster may have taken away the right to ask.
    fn unanswered(&self, what: &str, error: CallError) -> Result<Vec<Lack>, CallError> {
        if !error.lasts() || matches!(error, CallError::Unauthorized(_) | CallError::Login(_)) {
            return Err(error);
        }
        if self.said.is_news(what, "", Instant::now()) {
            info!("the API server does not say {what}: {}", error.chain());
        }
        Ok(Vec::new())
    }

    /// Takes in what was found; gives back what is to be said of it.
    fn keep(&self, lacks: Vec<Lack>) -> News {
        let now = Instant::now();
        let mut found = self.found();
        let before = found.lacks.take().unwrap_or_default();
        let mut kept = BTreeMap::new();
        let mut news = News::default();
        for lack in lacks {
            let mut seen = before.get(&lack).copied().unwrap_or(Seen { since: now, said: false });
            if now.saturating_duration_since(seen.since) >= self.grace {
                seen.said = true;
                news.lasting.push(lack.clone());
            }
            kept.insert(lack, seen);
        }
        for (lack, seen) in before.into_iter().filter(|(lack, _)| !kept.contains_key(lack)) {
            news.healed = true;
            if seen.said {
                news.over.push(lack);
            }
        }
        found.lacks = Some(kept);
        news
    }

    fn tell(&self, news: &News) {
        for lack in &news.lasting {
            self.say(lack);
        }
        for lack in &news.over {
            self.said.forget(&lack.text);
            info!("lacking no more: {}", lack.text);
        }
    }

    fn say(&self, lack: &Lack) {
        if self.said.is_news(&lack.text, "", Instant::now()) {
            warn!("{}", lack.text);
        }
    }

    fn pause(&self, now: Instant) -> Pause {
        if !*self.fit.borrow() {
            return Pause::For(SOON);
        }
        let found = self.found();
        let lacks = || found.lacks.iter().flatten();
        let ages = lacks().map(|(_, seen)| now.saturating_duration_since(seen.since));
        match ages.min() {
            None => Pause::UntilDoubted,
            Some(youngest) if youngest < self.grace => Pause::For(SOON),
            // As long again as it has lasted.
            Some(youngest) if lacks().all(|(lack, _)| lack.dispensable) => {
                Pause::AtMost(youngest.clamp(SOON, RARELY))
            }
            Some(_) => Pause::For(self.grace.clamp(SOON, LATER)),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack(text: &str) -> Lack {
        Lack::of(text.into())
    }

    #[test]
    fn a_lack_is_told_at_once_by_who_never_worked_and_after_its_grace_by_who_did() {
        let lacks = Lacks::new(Duration::from_secs(60));
        assert!(lacks.unknown());
        lacks.fit.send_replace(true);
        assert_eq!(lacks.keep(vec![lack("a"), lack("b")]), News::default());
        assert_eq!((lacks.told(false), lacks.told(true)), (vec![lack("a"), lack("b")], vec![]));
        assert_eq!(lacks.pause(Instant::now()), Pause::For(SOON));
        let healed = News { healed: true, ..News::default() };
        assert_eq!(lacks.keep(vec![lack("b")]), healed, "one of them is over, of which nothing was said");
        assert_eq!(lacks.keep(vec![]), healed);
        assert!(lacks.pause(Instant::now()) == Pause::UntilDoubted && !lacks.unknown());

        let strict = Lacks::new(Duration::ZERO);
        assert_eq!(strict.keep(vec![lack("a")]).lasting, [lack("a")]);
        assert_eq!(strict.told(true), [lack("a")]);
        assert_eq!(strict.keep(vec![]).over, [lack("a")], "what was said to be lacking is said to be over");
        strict.keep(vec![lack("a")]);
        strict.server(Some(lack("too old")));
        assert_eq!(strict.told(true), [lack("too old"), lack("a")]);
        strict.server(None);
        strict.keep(vec![]);
        assert_eq!(strict.told(false), []);
    }

    #[test]
    fn what_is_dispensable_and_never_given_is_asked_for_ever_more_seldom() {
        let lacks = Lacks::new(Duration::from_secs(10));
        lacks.fit.send_replace(true);
        let dispensable = Lack { text: "events".into(), dispensable: true };
        lacks.keep(vec![dispensable.clone()]);
        let start = Instant::now();
        let pause = |lacks: &Lacks, age| lacks.pause(start + Duration::from_secs(age));
        let longer = |pause: Pause, least| matches!(pause, Pause::AtMost(pause) if pause >= least);
        assert_eq!(pause(&lacks, 5), Pause::For(SOON));
        assert!(longer(pause(&lacks, 20), Duration::from_secs(20)));
        assert_eq!(pause(&lacks, 100_000), Pause::AtMost(RARELY));
        // A day of it: some hundred looks, and not one each ten seconds.
        let (mut age, mut looks) = (10, 0);
        while age < 86_400 {
            let Pause::AtMost(pause) = pause(&lacks, age) else { panic!("{age}") };
            (age, looks) = (age + pause.as_secs(), looks + 1);
        }
        assert!(looks < 300, "{looks}");
        // What Poros needs is asked for as ever, whatever else is lacking.
        lacks.keep(vec![dispensable, lack("a")]);
        assert_eq!(pause(&lacks, 100_000), Pause::For(LATER));
    }

    #[tokio::test]
    async fn a_doubt_of_what_is_known_to_be_lacking_is_none() {
        let lacks = Lacks::new(Duration::ZERO);
        let doubted =
            async || tokio::time::timeout(Duration::from_millis(20), lacks.doubted.notified()).await.is_ok();
        lacks.keep(vec![]);
        lacks.doubt_dispensable();
        assert!(doubted().await);
        lacks.keep(vec![Lack { text: "events".into(), dispensable: true }]);
        lacks.doubt_dispensable();
        assert!(!doubted().await);
        lacks.doubt();
        assert!(doubted().await);
    }
}

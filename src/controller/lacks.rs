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
    since: Option<BTreeMap<Lack, Instant>>,
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
        let since = found.since.iter().flatten();
        let lasts = since.filter(|(_, since)| !settled || since.elapsed() >= self.grace);
        found.server.iter().chain(lasts.map(|(lack, _)| lack)).cloned().collect()
    }

    /// Whether the first look is still to come.
    pub fn unknown(&self) -> bool {
        self.found().since.is_none()
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
                    if self.keep(lacks) {
                        heal();
                    }
                    self.pause()
                }
                // Who asks is not known, or nobody answers: the watches tell that.
                Err(_) => Some(SOON),
            };
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
                continue;
            }
            let looked = Instant::now();
            self.doubted.notified().await;
            tokio::time::sleep(LATER.saturating_sub(looked.elapsed())).await;
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

    /// Takes in what was found, and says what is to be said of it. Gives back whether something is lacking no more.
    fn keep(&self, lacks: Vec<Lack>) -> bool {
        let now = Instant::now();
        let (lasting, over) = {
            let mut found = self.found();
            let before = found.since.take().unwrap_or_default();
            let since: BTreeMap<Lack, Instant> = lacks
                .into_iter()
                .map(|lack| (before.get(&lack).copied().unwrap_or(now), lack))
                .map(|(at, lack)| (lack, at))
                .collect();
            let over: Vec<Lack> = before.into_keys().filter(|lack| !since.contains_key(lack)).collect();
            let lasts = since.iter().filter(|(_, since)| now - **since >= self.grace);
            let lasting: Vec<Lack> = lasts.map(|(lack, _)| lack.clone()).collect();
            found.since = Some(since);
            (lasting, over)
        };
        for lack in &lasting {
            self.say(lack);
        }
        for lack in &over {
            self.said.forget(&lack.text);
            info!("lacking no more: {}", lack.text);
        }
        !over.is_empty()
    }

    fn say(&self, lack: &Lack) {
        if self.said.is_news(&lack.text, "", Instant::now()) {
            warn!("{}", lack.text);
        }
    }

    /// How long until the next look; none when something must be refused first.
    fn pause(&self) -> Option<Duration> {
        if !*self.fit.borrow() {
            return Some(SOON);
        }
        let found = self.found();
        let youngest = found.since.iter().flatten().map(|(_, since)| since.elapsed()).min()?;
        Some(if youngest < self.grace { SOON } else { self.grace.clamp(SOON, LATER) })
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
        assert!(!lacks.keep(vec![lack("a"), lack("b")]));
        assert_eq!((lacks.told(false), lacks.told(true)), (vec![lack("a"), lack("b")], vec![]));
        assert_eq!(lacks.pause(), Some(SOON));
        assert!(lacks.keep(vec![lack("b")]), "one of them is over");
        assert!(lacks.keep(vec![]) && lacks.pause().is_none() && !lacks.unknown());

        let strict = Lacks::new(Duration::ZERO);
        strict.keep(vec![lack("a")]);
        assert_eq!(strict.told(true), [lack("a")]);
        strict.server(Some(lack("too old")));
        assert_eq!(strict.told(true), [lack("too old"), lack("a")]);
        strict.server(None);
        strict.keep(vec![]);
        assert_eq!(strict.told(false), []);
    }
}

//! Drives the election: asks `decide::lease` what to do about the Lease, does it, and says who leads.

use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::api::names::LEASE;
use crate::cluster::call::CallError;
use crate::cluster::install;
use crate::cluster::lease::Place;
use crate::controller::lacks::Lacks;
use crate::controller::leadership::Leadership;
use crate::controller::said::REMIND;
use crate::controller::supervise::supervised;
use crate::decide::lease::{Elector, Record, Terms, Todo};
use crate::telemetry::Metrics;

/// How long a leader that gives up its Lease waits for the end of what it does as the leader, which is cancelled.
const CANCEL: Duration = Duration::from_secs(2);
/// Within this it releases the Lease then; if it cannot, the next one waits.
const RELEASE: Duration = Duration::from_millis(1500);

/// A candidate's part in the election.
pub struct Election {
    place: Place,
    identity: String,
    terms: Terms,
    /// Whether to make the namespace of the Lease where there is none.
    make_namespace: bool,
    leadership: Arc<Leadership>,
    metrics: Metrics,
    /// Whether this process sees what it would work on.
    sees: Sight,
    lacks: Arc<Lacks>,
    health: Mutex<Health>,
}

/// Whether a process sees what it would work on.
pub type Sight = Arc<dyn Fn() -> bool + Send + Sync>;

/// How the election does.
struct Health {
    /// When it last did something; none before it began.
    beat: Option<Instant>,
    /// Whether the Lease was ever read or written.
    reached: bool,
    /// What fails now.
    failing: Option<Failing>,
    /// Who else leads, as it was said.
    leader: Option<String>,
}

/// A failure that goes on.
struct Failing {
    kind: Discriminant<CallError>,
    text: String,
    said: Instant,
}

impl Election {
    /// A candidate of this identity, which nobody else has.
    #[allow(clippy::too_many_arguments)] // each is a part of its own
    pub fn new(
        place: Place,
        identity: String,
        terms: Terms,
        make_namespace: bool,
        leadership: Arc<Leadership>,
        metrics: Metrics,
        sees: Sight,
        lacks: Arc<Lacks>,
    ) -> Arc<Self> {
        let health = Health { beat: None, reached: false, failing: None, leader: None };
        let health = Mutex::new(health);
        Arc::new(Self { place, identity, terms, make_namespace, leadership, metrics, sees, lacks, health })
    }

    /// What is wrong with it; none while it works.
    pub fn unready(&self) -> Option<String> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = health.beat.map(|beat| beat.elapsed());
        if let Some(silent) = silent.filter(|silent| *silent > self.terms.stall()) {
            return Some(format!("the election of a leader has stood still for {} s", silent.as_secs()));
        }
        match &health.failing {
            Some(failing) if !health.reached => {
                let hint = if failing.kind == discriminant(&CallError::NotFound(String::new())) {
                    "; make the namespace, or name the one of the release with --namespace"
                } else {
                    ""
                };
                Some(format!("the Lease {LEASE} could not be used yet: {}{hint}", failing.text))
            }
            None if !health.reached => Some(format!("the Lease {LEASE} was not read yet")),
            _ => None,
        }
    }

    /// Takes part until `stop` says so; then the Lease is released, if it was held. A panic begins the candidacy anew.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        self.supervised(|| self.clone().stand(stop.clone())).await;
    }

    async fn supervised<F: Future<Output = ()>>(&self, begin: impl Fn() -> F) {
        // Nobody renews: what this process does as a leader ends here, not when somebody notices.
        let died = |_: &str| self.publish(None, "the election died");
        supervised("the election of a leader", &self.metrics, died, begin).await;
    }

    async fn stand(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let start = Instant::now();
        let mut elector = Elector::new(self.identity.clone(), self.terms, share());
        loop {
            elector.sees((self.sees)());
            if elector.should_resign() {
                self.make_way(&mut elector, start, "its watches fail; another one may see more").await;
                elector.resign(start.elapsed());
            }
            let todo = elector.next(start.elapsed());
            self.publish(elector.leads_until().map(|until| start + until), elector.why_lost());
            self.beat();
            let wait = match todo {
                Todo::Wait(wait) => wait,
                Todo::Read | Todo::Write { .. } => Duration::ZERO,
            };
            let stopped = async { stop.wait_for(|stop| *stop).await.is_ok() };
            tokio::select! {
                biased;
                _ = stopped => break,
                () = self.step(&mut elector, todo, start), if wait == Duration::ZERO => {}
                () = tokio::time::sleep(wait), if wait > Duration::ZERO => {}
            }
        }
        self.make_way(&mut elector, start, "stopped").await;
    }

    /// Leads no more: ends what it does as the leader, and then releases the Lease, for the next one begins at once.
    async fn make_way(&self, elector: &mut Elector, start: Instant, why: &str) {
        self.publish(None, why);
        if tokio::time::timeout(CANCEL, self.leadership.idle()).await.is_err() {
            warn!("what this process did as the leader did not end in {} s", CANCEL.as_secs());
        }
        if !tokio::time::timeout(RELEASE, self.release(elector, start)).await.unwrap_or(false) {
            warn!("the Lease could not be released: the next leader waits until it is silent");
        }
    }

    /// Makes one call, and tells the elector what came of it.
    async fn step(&self, elector: &mut Elector, todo: Todo, start: Instant) {
        let sent = start.elapsed();
        // What a leader asks is of no use to it after its time.
        let left = elector.leads_until().map(|until| until.saturating_sub(sent));
        let limit = left.map_or(self.place.limit, |left| left.min(self.place.limit));
        let place = Place { limit, ..self.place.clone() };
        let failure = match todo {
            Todo::Wait(_) => return,
            Todo::Read => match place.read().await {
                // Whether it can be used shows when it is made: its namespace may be missing.
                Ok(None) => return elector.read(None, start.elapsed()),
                Ok(found) => {
                    self.follow(found.as_ref());
                    elector.read(found, start.elapsed());
                    None
                }
                Err(error) => {
                    elector.failed(start.elapsed());
                    Some(error)
                }
            },
            Todo::Write { create } => {
                match place.write(&elector.manifest(Timestamp::now()), create).await {
                    Ok(stored) => {
                        elector.wrote(sent, stored, start.elapsed());
                        None
                    }
                    // Somebody else was faster, or the Lease is gone.
                    Err(CallError::Conflict(_)) => {
                        elector.refused(start.elapsed());
                        None
                    }
                    Err(CallError::NotFound(_)) if !create => {
                        elector.refused(start.elapsed());
                        None
                    }
                    Err(error) => {
                        elector.failed(start.elapsed());
                        Some(error)
                    }
                }
            }
        };
        if let Some(CallError::NotFound(_)) = failure
            && self.make_namespace
            && let Err(error) = install::namespace(&self.place.client, &self.place.namespace).await
        {
            warn!("the namespace {} could not be made: {}", self.place.namespace, error.chain());
        }
        self.note(failure);
    }

    /// Releases the Lease; gives back whether it is not held any more.
    async fn release(&self, elector: &mut Elector, start: Instant) -> bool {
        if !elector.leads(start.elapsed()) {
            return true;
        }
        // A renewal that was under way may have been taken.
        for _ in 0..2 {
            if let Some(manifest) = elector.release(Timestamp::now())
                && self.place.write(&manifest, false).await.is_ok()
            {
                return true;
            }
            let Ok(found) = self.place.read().await else { return false };
            elector.read(found, start.elapsed());
        }
        // Somebody else may hold it by now.
        !elector.leads(start.elapsed())
    }

    fn publish(&self, until: Option<Instant>, why: &str) {
        if !self.leadership.set(until) {
            return;
        }
        self.metrics.leads(until.is_some());
        let identity = &self.identity;
        if until.is_some() {
            info!(identity, "became the leader");
        } else {
            warn!(identity, "leads no more: {why}");
        }
    }

    /// Says who leads, when that is news and somebody else.
    fn follow(&self, found: Option<&Record>) {
        let other = found.and_then(Record::holder).filter(|holder| *holder != self.identity);
        // As long as an identity may be, which anybody may write.
        let leader: Option<String> = other.map(|holder| holder.chars().take(100).collect());
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.leader != leader {
            if let Some(leader) = &leader {
                info!(leader, "stands by");
            }
            health.leader = leader;
        }
    }

    fn beat(&self) {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).beat = Some(Instant::now());
    }

    /// Says what fails: at once when it is news, and again once a minute.
    fn note(&self, failure: Option<CallError>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = failure else {
            health.reached = true;
            if health.failing.take().is_some() {
                info!("the Lease {LEASE} answers again");
            }
            return;
        };
        self.metrics.lease_failed();
        self.lacks.hear(&error);
        let text = error.chain();
        let kind = discriminant(&error);
        if let Some(failing) = &mut health.failing
            && failing.kind == kind
            && failing.said.elapsed() < REMIND
        {
            debug!("the Lease {LEASE}: {text}");
            failing.text = text;
            return;
        }
        let namespace = &self.place.namespace;
        if let CallError::Forbidden(_) = error {
            error!(
                "nobody can lead without the Lease {LEASE} in the namespace {namespace}: {text}; Poros needs the verbs get, create and update on leases (coordination.k8s.io) there"
            );
        } else {
            warn!("the Lease {LEASE} in the namespace {namespace} could not be used, trying again: {text}");
        }
        health.failing = Some(Failing { kind, text, said: Instant::now() });
    }
}

/// A number from 0 to 1, at random: replicas that start together do not ask together.
fn share() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let number = RandomState::new().hash_one(()) % 1000;
    f64::from(u32::try_from(number).unwrap_or_default()) / 1000.0
}

/// An identity that nobody else has: the name of the pod or host, for people, and a random end.
pub fn identity(host: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{host}_{:016x}", RandomState::new().hash_one(host))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn election() -> Arc<Election> {
        let second = Duration::from_secs(1);
        let terms = Terms::new(15 * second, 10 * second, 2 * second).unwrap();
        // Nobody listens there.
        let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let place = Place { client, namespace: "poros-system".into(), limit: second };
        let leadership = Arc::new(Leadership::standing_by());
        let (sees, lacks) = (Arc::new(|| true), Arc::new(Lacks::new(second)));
        Election::new(place, identity("here"), terms, false, leadership, Metrics::new(), sees, lacks)
    }

    #[tokio::test]
    async fn an_election_that_dies_ends_the_term_and_begins_anew() {
        let election = election();
        election.leadership.set(Some(Instant::now() + Duration::from_secs(60)));
        let begun = Arc::new(AtomicU32::new(0));
        let (counted, leadership) = (begun.clone(), election.leadership.clone());
        let once = move || {
            let (counted, leadership) = (counted.clone(), leadership.clone());
            async move {
                let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
                assert!(!first, "a bug");
                assert_eq!(leadership.term(), None, "nobody renewed it");
            }
        };
        election.supervised(once).await;
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_leader_that_makes_way_ends_its_work_before_it_gives_up_the_lease() {
        let election = election();
        let start = Instant::now();
        let mut elector = Elector::new(election.identity.clone(), election.terms, 0.0);
        let held = Record::new(elector.manifest(Timestamp::now()));
        elector.wrote(start.elapsed(), held, start.elapsed());
        election.publish(elector.leads_until().map(|until| start + until), "");
        let (leadership, ended) = (election.leadership.clone(), Arc::new(Mutex::new(None)));
        let term = leadership.won().await;
        let (begun, begins) = tokio::sync::oneshot::channel();
        let end = ended.clone();
        let step = async move {
            begun.send(()).unwrap();
            // A step that is under way ends before its work can be dropped.
            std::thread::sleep(Duration::from_millis(300));
            *end.lock().unwrap() = Some(Instant::now());
            std::future::pending::<()>().await;
        };
        let working = tokio::spawn(async move { leadership.during(term, step).await });
        begins.await.unwrap();
        election.make_way(&mut elector, start, "a test").await;
        assert!(ended.lock().unwrap().is_some(), "the Lease is given up while a step is made");
        assert_eq!(election.leadership.term(), None);
        assert_eq!(working.await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_election_that_never_reached_its_lease_or_stands_still_is_not_ready() {
        let election = election();
        assert_eq!(election.unready().unwrap(), "the Lease poros was not read yet");
        let (stopper, stop) = watch::channel(false);
        let running = tokio::spawn(election.clone().run(stop));
        while !election.unready().unwrap().contains("could not be used yet") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(election.leadership.term(), None);
        stopper.send(true).unwrap();
        running.await.unwrap();

        election.note(None);
        assert_eq!(election.unready(), None);
        let long_ago = Instant::now() - election.terms.stall() - Duration::from_secs(1);
        election.health.lock().unwrap().beat = Some(long_ago);
        assert!(election.unready().unwrap().contains("has stood still for"));
    }

    #[test]
    fn identities_differ_also_on_one_host() {
        assert_ne!(identity("here"), identity("here"));
        assert!(identity("here").starts_with("here_"));
    }
}

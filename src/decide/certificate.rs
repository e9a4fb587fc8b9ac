//! The certificates of the webhook: when a new one is made, which one is served, and when an old one goes.
//!
//! Each generation is a certificate and the authority that signed it and nothing else: the authority's key is thrown away
//! at once, so none is ever stored. All generations that are kept are trusted; replicas share them in one Secret.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest that replicas and API servers are given to read of a new generation before it is served.
const OVERLAP: Duration = Duration::from_secs(3600);

/// A certificate and its authority. Times are seconds since 1970, UTC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// When it was made.
    pub made_at: i64,
    /// Until when it is valid.
    pub not_after: i64,
    /// The names and addresses that it is for.
    pub hosts: Vec<String>,
    /// The certificate of the authority, as PEM.
    pub authority: String,
    /// The certificate that is served, as PEM.
    pub certificate: String,
    /// Its private key, as PEM.
    pub key: String,
}

impl Generation {
    /// By its own life, which may have been set otherwise when it was made.
    fn renew_at(&self) -> i64 {
        self.made_at + (self.not_after - self.made_at) / 3 * 2
    }
}

impl fmt::Debug for Generation {
    /// Without the key, and without what nobody reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made_at, not_after, hosts, .. } = self;
        write!(formatter, "Generation {{ made_at: {made_at}, not_after: {not_after}, hosts: {hosts:?} }}")
    }
}

/// The generations that are kept, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// Oldest first.
    pub generations: Vec<Generation>,
}

/// A keyring as stored in its Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKeyring {
    /// `metadata.resourceVersion` of the Secret.
    pub resource_version: String,
    /// What it holds; empty if that cannot be read.
    pub keyring: Keyring,
}

/// What is to be done about the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Make a generation for these names and addresses, valid this long.
    Add {
        /// Names and addresses.
        hosts: Vec<String>,
        /// How long it is valid.
        lifetime: Duration,
    },
    /// Store this one, without what is no longer trusted.
    Replace(Keyring),
}

/// How long certificates live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(pub Duration);

impl Lifetime {
    /// How long a new generation is only trusted before it is served, and an old one is still trusted after that.
    pub fn overlap(self) -> Duration {
        (self.0 / 10).min(OVERLAP)
    }

    fn served_from(self, generation: &Generation) -> i64 {
        generation.made_at + seconds(self.overlap())
    }

    fn gone_at(self, newer: &Generation) -> i64 {
        self.served_from(newer) + seconds(self.overlap())
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl Keyring {
    /// What is to be done now. `hosts` are what this replica is called by.
    pub fn step(&self, hosts: &[String], lifetime: Lifetime, now: i64) -> Step {
        let newest = self.generations.last();
        let covered = newest.is_some_and(|newest| covers(newest, hosts));
        if newest.is_none_or(|newest| now >= newest.renew_at()) || !covered {
            // Replicas that are called by other names keep theirs, or each would replace the other's for ever.
            let mut all: Vec<String> = hosts.to_vec();
            let others = newest.iter().flat_map(|newest| &newest.hosts);
            all.extend(others.filter(|host| !hosts.contains(host)).cloned());
            all.sort();
            return Step::Add { hosts: all, lifetime: lifetime.0 };
        }
        let kept: Vec<_> = self
            .generations
            .iter()
            .enumerate()
            .filter(|(index, _)| {
                !self.generations[index + 1..].iter().any(|newer| now >= lifetime.gone_at(newer))
            })
            .map(|(_, generation)| generation.clone())
            .collect();
        if kept.len() == self.generations.len() {
            return Step::Keep;
        }
        Step::Replace(Self { generations: kept })
    }

    /// When to look again, if nothing happens before.
    pub fn next_look(&self, lifetime: Lifetime, now: i64) -> Option<Duration> {
        let newest = self.generations.last()?;
        let times = [newest.renew_at(), lifetime.served_from(newest), lifetime.gone_at(newest)];
        let next = times.into_iter().filter(|time| *time > now).min()?;
        u64::try_from(next - now).ok().map(Duration::from_secs)
    }

    /// With one more generation.
    #[must_use]
    pub fn with(&self, generation: Generation) -> Self {
        let mut generations = self.generations.clone();
        generations.push(generation);
        Self { generations }
    }

    /// The generation to serve: the newest that replicas and API servers have had time to read of, and that the API
    /// server is told to trust (`trusted`); else the oldest that is valid.
    pub fn serving(
        &self,
        hosts: &[String],
        lifetime: Lifetime,
        now: i64,
        trusted: impl Fn(&Generation) -> bool,
    ) -> Option<&Generation> {
        let valid: Vec<_> = self.generations.iter().filter(|generation| now < generation.not_after).collect();
        let fitting: Vec<_> = valid.iter().copied().filter(|generation| covers(generation, hosts)).collect();
        let candidates = if fitting.is_empty() { valid } else { fitting };
        let due = |generation: &&&Generation| now >= lifetime.served_from(generation) && trusted(generation);
        candidates.iter().rev().find(due).or_else(|| candidates.first()).copied()
    }

    /// The authorities that the API server is to trust, as PEM.
    pub fn bundle(&self) -> String {
        self.generations.iter().map(|generation| generation.authority.as_str()).collect()
    }
}

fn covers(generation: &Generation, hosts: &[String]) -> bool {
    hosts.iter().all(|host| generation.hosts.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Lifetime = Lifetime(Duration::from_secs(365 * 86_400));
    const DAY: i64 = 86_400;

    fn generation(made_at: i64) -> Generation {
        Generation {
            made_at,
            not_after: made_at + 365 * DAY,
            hosts: vec!["a".into()],
            authority: format!("CA {made_at}\n"),
            certificate: String::new(),
            key: "SECRET".into(),
        }
    }

    fn ring(made_at: &[i64]) -> Keyring {
        Keyring { generations: made_at.iter().map(|made| generation(*made)).collect() }
    }

    fn hosts() -> Vec<String> {
        vec!["a".into()]
    }

    fn served(ring: &Keyring, now: i64) -> Option<i64> {
        ring.serving(&hosts(), YEAR, now, |_| true).map(|generation| generation.made_at)
    }

    #[test]
    fn a_new_generation_is_trusted_first_served_later_and_alone_last() {
        let first = ring(&[0]);
        assert!(matches!(ring(&[]).step(&hosts(), YEAR, 0), Step::Add { .. }));
        assert_eq!(first.step(&hosts(), YEAR, 100 * DAY), Step::Keep);
        assert_eq!(served(&first, 0), Some(0), "the first one is served at once");
        let renewal = first.next_look(YEAR, 7200).unwrap().as_secs();
        let due = 7200 + i64::try_from(renewal).unwrap();
        assert!((240 * DAY..245 * DAY).contains(&due), "{due}");
        assert_eq!(first.step(&hosts(), YEAR, due - 1), Step::Keep);
        assert!(matches!(first.step(&hosts(), YEAR, due), Step::Add { .. }));
        let both = first.with(generation(due));
        assert_eq!(both.bundle(), format!("CA 0\nCA {due}\n"));
        assert_eq!(served(&both, due + 3599), Some(0));
        assert_eq!(served(&both, due + 3600), Some(due));
        assert_eq!(both.step(&hosts(), YEAR, due + 7199), Step::Keep);
        assert_eq!(both.step(&hosts(), YEAR, due + 7200), Step::Replace(ring(&[due])));
        assert_eq!(both.next_look(YEAR, due), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn what_the_api_server_does_not_trust_yet_is_not_served_while_another_is_valid() {
        let both = ring(&[0, 10]);
        let old = |generation: &Generation| generation.made_at == 0;
        assert_eq!(both.serving(&hosts(), YEAR, 10 * DAY, old).unwrap().made_at, 0);
        assert_eq!(both.serving(&hosts(), YEAR, 365 * DAY + 5, old).unwrap().made_at, 10);
        assert_eq!(both.serving(&hosts(), YEAR, 400 * DAY, |_| true), None, "nothing is valid");
    }

    #[test]
    fn after_a_year_of_sleep_a_new_one_is_made_and_served_at_once() {
        let slept = ring(&[0]);
        let now = 400 * DAY;
        assert!(matches!(slept.step(&hosts(), YEAR, now), Step::Add { .. }));
        assert_eq!(served(&slept.with(generation(now)), now), Some(now));
    }

    #[test]
    fn a_replica_that_is_called_otherwise_adds_its_names_to_those_of_others() {
        let Step::Add { hosts, .. } = ring(&[0]).step(&["b".into()], YEAR, 5) else { panic!("added") };
        assert_eq!(hosts, ["a", "b"]);
        let both = ring(&[0]).with(Generation { hosts, ..generation(5) });
        assert_eq!(both.step(&["b".into()], YEAR, 6), Step::Keep);
        assert_eq!(both.step(&["a".into()], YEAR, 6), Step::Keep);
        assert_eq!(both.serving(&["b".into()], YEAR, 6, |_| true).unwrap().made_at, 5);
        assert_eq!(both.serving(&["a".into()], YEAR, 6, |_| true).unwrap().made_at, 0);
    }

    #[test]
    fn no_key_is_shown() {
        assert!(!format!("{:?}", ring(&[0])).contains("SECRET"));
    }
}

//! What of all that is told is news: what this process wrote may be newer than what a list or a watch tells of it, and
//! a list may be old.

use crate::world::{Source, World, Written};

impl World {
    /// A list of this kind begins. It holds all that was written before, so nothing of that is newer than what it tells.
    pub fn list_begins(&mut self, kind: Written) {
        self.written.retain(|(written, _)| *written != kind);
        if kind == Written::Compute {
            (self.listing, self.newest) = (true, 0);
        }
    }

    /// The watch of Computes broke.
    pub fn lose_computes(&mut self) {
        self.adrift = true;
    }

    /// The list of this kind is complete: what is told from now on is news.
    pub fn list_ends(&mut self, kind: Written) {
        if kind == Written::Compute {
            (self.listing, self.adrift) = (false, false);
        }
    }

    /// Whether what is told of an object is no news: it is known, or newer is.
    pub(super) fn stale(
        &self,
        kind: Written,
        name: &str,
        version: &str,
        known: &str,
        source: Source,
    ) -> bool {
        let may_be_older = source == Source::Own || self.written.contains(&(kind, name.to_owned()));
        may_be_older && Self::is_older(version, known)
    }

    /// Notes whether what is told of a Compute may be old.
    pub(super) fn doubt(&mut self, name: &str, version: u64, back: bool, source: Source) {
        let doubtful = source == Source::Heard && (self.listing || back || version < self.newest);
        self.adrift &= source != Source::Heard || self.listing;
        if doubtful {
            self.doubted.insert(name.to_owned());
        } else {
            self.doubted.remove(name);
        }
        if source == Source::Heard {
            self.newest = self.newest.max(version);
        }
    }

    /// Whether a resourceVersion is older than another. They compare as numbers (KEP-5504); others never do.
    pub(super) fn is_older(version: &str, known: &str) -> bool {
        match (version.parse::<u64>(), known.parse::<u64>()) {
            (Ok(version), Ok(known)) => version < known,
            _ => false,
        }
    }
}

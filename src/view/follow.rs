//! What a watch tells people: each change once, whatever a broken watch tells again.

use std::collections::{BTreeMap, BTreeSet};

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is there, or is among those that are shown.
    Added,
    /// It is otherwise than before.
    Modified,
    /// It is gone.
    Deleted,
}

impl Event {
    /// As Kubernetes says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// What was shown: of each object, by name, what of it would be news, and the object as it was then. So much as there are
/// objects, and no more.
#[derive(Clone, Debug)]
pub struct Shown<T, N> {
    known: BTreeMap<String, (N, T)>,
}

impl<T, N> Default for Shown<T, N> {
    fn default() -> Self {
        Self { known: BTreeMap::new() }
    }
}

impl<T: Clone, N: PartialEq> Shown<T, N> {
    /// An object is there. `chosen`: whether it is one of those that are shown; one that is no more is shown once again, as it
    /// is now.
    pub fn seen(&mut self, name: &str, object: T, news: N, chosen: bool) -> Option<(Event, T)> {
        if !chosen {
            return self.known.remove(name).map(|_| (Event::Modified, object));
        }
        let before = self.known.insert(name.to_owned(), (news, object));
        let (now, object) = self.known.get(name)?;
        match before {
            None => Some((Event::Added, object.clone())),
            Some((before, _)) if before != *now => Some((Event::Modified, object.clone())),
            Some(_) => None,
        }
    }

    /// An object is gone. It is shown as it was last.
    pub fn gone(&mut self, name: &str, last: Option<T>) -> Option<(Event, T)> {
        let (_, before) = self.known.remove(name)?;
        Some((Event::Deleted, last.unwrap_or(before)))
    }

    /// These are all that there are: the names of those that went unseen.
    pub fn missing(&self, there: &BTreeSet<&str>) -> Vec<String> {
        self.known.keys().filter(|name| !there.contains(name.as_str())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let mut shown = Shown::default();
        assert_eq!(shown.seen("a", "a1", 1, true), Some((Event::Added, "a1")));
        assert_eq!(shown.seen("a", "a1'", 1, true), None, "nothing that is shown changed");
        assert_eq!(shown.seen("a", "a2", 2, true), Some((Event::Modified, "a2")));
        assert_eq!(shown.seen("b", "b", 1, false), None, "not one of those");
        assert_eq!(shown.seen("a", "a3", 3, false), Some((Event::Modified, "a3")), "it leaves them");
        assert_eq!(shown.seen("a", "a4", 4, false), None);
        assert_eq!(shown.seen("a", "a5", 5, true), Some((Event::Added, "a5")));
        assert_eq!(shown.missing(&BTreeSet::from(["b"])), ["a"]);
        assert_eq!(shown.gone("b", None), None, "it was never shown");
        assert_eq!(shown.gone("a", None), Some((Event::Deleted, "a5")));
        assert_eq!(shown.gone("a", None), None);
    }
}

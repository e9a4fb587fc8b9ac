//! How many API servers stand side by side, by the `EndpointSlice`s of `default/kubernetes` in which they name themselves.

use std::collections::{BTreeMap, BTreeSet};

/// The ready addresses of one slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// `addressType`: a server with an IPv4 and an IPv6 address is one server.
    pub family: String,
    /// The addresses of endpoints that are ready, or do not say.
    pub addresses: BTreeSet<String>,
}

/// The slices, by name.
#[derive(Debug, Default)]
pub struct Servers {
    slices: BTreeMap<String, Slice>,
    listed: bool,
}

impl Servers {
    /// Takes in a slice, or that it is gone.
    pub fn apply(&mut self, name: String, slice: Option<Slice>) {
        match slice {
            Some(slice) => self.slices.insert(name, slice),
            None => self.slices.remove(&name),
        };
    }

    /// All slices were told.
    pub fn list(&mut self) {
        self.listed = true;
    }

    /// How many there are: 0 where they do not name themselves; none before they were listed, which may be never.
    pub fn count(&self) -> Option<usize> {
        if !self.listed {
            return None;
        }
        let mut families: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for slice in self.slices.values() {
            let known = families.entry(&slice.family).or_default();
            known.extend(slice.addresses.iter().map(String::as_str));
        }
        Some(families.values().map(BTreeSet::len).max().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(family: &str, addresses: &[&str]) -> Option<Slice> {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Some(Slice { family: family.into(), addresses })
    }

    #[test]
    fn servers_are_counted_once_however_they_are_named() {
        let mut servers = Servers::default();
        assert_eq!(servers.count(), None, "nobody knows yet");
        servers.list();
        assert_eq!(servers.count(), Some(0));
        servers.apply("a".into(), slice("IPv4", &["192.0.2.1", "192.0.2.2"]));
        servers.apply("b".into(), slice("IPv4", &["192.0.2.2"]));
        servers.apply("c".into(), slice("IPv6", &["2001:db8::1", "2001:db8::2"]));
        assert_eq!(servers.count(), Some(2));
        servers.apply("a".into(), None);
        servers.apply("c".into(), None);
        assert_eq!(servers.count(), Some(1));
    }
}

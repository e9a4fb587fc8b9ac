//! Which Computes a verb is about, where it can be about several.

use kube::Client;

use crate::cluster::call::CallError;
use crate::cluster::computes::{Selection, list};
use crate::ctl::failure::{Exit, Failure};
use crate::decide::observed::Compute;
use crate::view::course::Target;

/// Which Computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of these names, whether they are there or not.
    Named(Vec<String>),
    /// Those that a label selector matches now.
    Selected(String),
    /// All that there are now.
    All,
}

impl Which {
    /// From what was typed: names, a selector, all; one of them, and one is needed.
    pub fn of(mut names: Vec<String>, selector: Option<String>, all: bool) -> Result<Self, Failure> {
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        match (names.is_empty(), selector, all) {
            (false, None, false) => Ok(Self::Named(names)),
            (true, Some(selector), false) => Ok(Self::Selected(selector)),
            (true, None, true) => Ok(Self::All),
            (true, None, false) => Err(Failure::new(
                Exit::Usage,
                "which Computes? Name them, give -f, or choose them by a selector",
            )),
            _ => Err(Failure::new(Exit::Usage, "names, a selector and all of them exclude each other")),
        }
    }

    /// What it names now.
    pub async fn targets(&self, client: &Client) -> Result<Vec<Target>, CallError> {
        let selector = match self {
            Self::Named(names) => return Ok(names.iter().map(Target::named).collect()),
            Self::Selected(selector) => Some(selector.as_str()),
            Self::All => None,
        };
        let selected = Selection { labels: selector.map(str::to_owned), name: None };
        let found = list::<Compute>(client, &selected).await?;
        let mut targets: Vec<Target> = found.items.iter().map(Target::incarnation).collect();
        targets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(targets)
    }
}

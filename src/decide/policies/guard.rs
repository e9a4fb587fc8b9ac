//! The guards: the policies that refuse or warn, and how strictly each does.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::api::names::{
    POLICY_ACCOUNT, POLICY_BUILDER, POLICY_IN_USE, POLICY_LABELS, POLICY_PLACED, POLICY_USE, POLICY_WORKLOADS,
};

/// A validating policy. What it refuses is told in docs/admission.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guard {
    /// Pods that nothing placed.
    Placed,
    /// Changes of the label and the marks of a pod.
    Labels,
    /// Deletion of a Compute in use.
    InUse,
    /// Placements that are not written by Poros.
    Builder,
    /// What Poros's own account has no business to do.
    Account,
    /// Workloads that are half labelled.
    Workloads,
    /// Pods whose service account may not use the Compute. Optional.
    Use,
}

impl Guard {
    /// All of them, in the order in which they are applied: what refuses pods first, so that none slips through.
    pub const ALL: [Self; 7] =
        [Self::Placed, Self::Labels, Self::InUse, Self::Builder, Self::Account, Self::Workloads, Self::Use];

    /// Its name in `--enforce` and in the chart's values.
    pub fn word(self) -> &'static str {
        let policy = self.policy();
        policy.split_once('.').map_or(policy, |(word, _)| word)
    }

    /// `metadata.name` of its policy and of its binding.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Placed => POLICY_PLACED,
            Self::Labels => POLICY_LABELS,
            Self::InUse => POLICY_IN_USE,
            Self::Builder => POLICY_BUILDER,
            Self::Account => POLICY_ACCOUNT,
            Self::Workloads => POLICY_WORKLOADS,
            Self::Use => POLICY_USE,
        }
    }

    /// `<guard>=<level>`, as `--enforce` reads it, where a stored binding has another level than the default.
    pub fn told_level(self, binding: &Value) -> Option<String> {
        let stored = binding["validationActions"].as_array()?;
        let same = |actions: &[Value]| {
            actions.len() == stored.len() && actions.iter().all(|action| stored.contains(action))
        };
        let level =
            Level::ALL.into_iter().find(|level| level.actions().as_array().is_some_and(|of| same(of)))?;
        (level != self.default_level()).then(|| format!("{}={}", self.word(), level.word()))
    }

    /// How strict it is unless told otherwise.
    pub fn default_level(self) -> Level {
        match self {
            // A workload that is half labelled may be meant so, for the time of a migration.
            Self::Workloads => Level::Warn,
            Self::Placed | Self::Labels | Self::InUse | Self::Builder | Self::Account | Self::Use => {
                Level::Deny
            }
        }
    }
}

/// How strict a guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It refuses.
    Deny,
    /// It lets through, warns who asks, and notes it in the audit log of the API server.
    Warn,
    /// It lets through, and notes it in the audit log of the API server.
    Audit,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deny, Self::Warn, Self::Audit];

    /// Its name in `--enforce`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
        }
    }

    /// `validationActions` of a binding.
    pub fn actions(self) -> Value {
        match self {
            Self::Deny => json!(["Deny"]),
            Self::Warn => json!(["Warn", "Audit"]),
            Self::Audit => json!(["Audit"]),
        }
    }
}

/// How strict each guard is; what is not named has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels(BTreeMap<Guard, Level>);

impl Levels {
    /// How strict this guard is.
    pub fn of(&self, guard: Guard) -> Level {
        self.0.get(&guard).copied().unwrap_or_else(|| guard.default_level())
    }
}

/// A text that names no level for a guard.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LevelError {
    /// It is not `<guard>=<level>`.
    #[error("\"{0}\" is not <guard>=<level>, such as workloads=Audit or all=Audit")]
    Form(String),
    /// There is no such guard.
    #[error("there is no guard \"{0}\"; the guards are all, {guards}", guards = words(Guard::ALL.map(Guard::word)))]
    Guard(String),
    /// There is no such level.
    #[error("there is no level \"{0}\"; the levels are {levels}", levels = words(Level::ALL.map(Level::word)))]
    Level(String),
    /// A guard is named twice.
    #[error("the guard \"{0}\" is named twice")]
    Twice(&'static str),
}

fn words<const N: usize>(words: [&str; N]) -> impl fmt::Display {
    words.join(", ")
}

impl std::str::FromStr for Levels {
    type Err = LevelError;

    /// Reads `placed=Warn,in-use=Audit`; `all=Audit` means each guard that is not named.
    fn from_str(text: &str) -> Result<Self, LevelError> {
        let (mut levels, mut rest) = (BTreeMap::new(), None);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (guard, level) = part.split_once('=').ok_or_else(|| LevelError::Form(part.to_owned()))?;
            let level = Level::ALL
                .into_iter()
                .find(|known| known.word().eq_ignore_ascii_case(level.trim()))
                .ok_or_else(|| LevelError::Level(level.trim().to_owned()))?;
            let guard = guard.trim();
            if guard == "all" {
                if rest.replace(level).is_some() {
                    return Err(LevelError::Twice("all"));
                }
                continue;
            }
            let guard = Guard::ALL
                .into_iter()
                .find(|known| known.word() == guard)
                .ok_or_else(|| LevelError::Guard(guard.to_owned()))?;
            if levels.insert(guard, level).is_some() {
                return Err(LevelError::Twice(guard.word()));
            }
        }
        if let Some(level) = rest {
            for guard in Guard::ALL {
                levels.entry(guard).or_insert(level);
            }
        }
        Ok(Self(levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_the_rest_keeps_its_default() {
        let levels: Levels = "placed=Warn, in-use=audit".parse().unwrap();
        assert_eq!(levels.of(Guard::Placed), Level::Warn);
        assert_eq!(levels.of(Guard::InUse), Level::Audit);
        assert_eq!(levels.of(Guard::Builder), Level::Deny);
        assert_eq!(levels.of(Guard::Workloads), Level::Warn);
        let open: Levels = "all=Audit,placed=Deny".parse().unwrap();
        assert_eq!((open.of(Guard::Placed), open.of(Guard::Use)), (Level::Deny, Level::Audit));
    }

    #[test]
    fn what_is_no_level_is_told_with_what_would_be() {
        let error = |text: &str| text.parse::<Levels>().unwrap_err().to_string();
        assert_eq!(
            error("placed"),
            "\"placed\" is not <guard>=<level>, such as workloads=Audit or all=Audit"
        );
        assert_eq!(
            error("place=Deny"),
            "there is no guard \"place\"; the guards are all, placed, labels, in-use, builder, account, workloads, use"
        );
        assert_eq!(error("placed=Off"), "there is no level \"Off\"; the levels are Deny, Warn, Audit");
        assert_eq!(error("use=Deny,use=Warn"), "the guard \"use\" is named twice");
    }
    #[test]
    fn the_docs_tell_of_each_guard_and_its_level() {
        let docs = include_str!("../../../docs/admission.md");
        for guard in Guard::ALL {
            let row = docs.lines().find(|line| line.starts_with(&format!("| `{}`", guard.word())));
            let row = row.unwrap_or_else(|| panic!("docs/admission.md has no row of {}", guard.word()));
            let level = row.split('|').nth(3).unwrap().trim();
            assert_eq!(level, guard.default_level().word(), "{}", guard.word());
        }
    }
}

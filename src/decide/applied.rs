//! What stands after a plan was carried out. A status is made from this, never from what was merely planned.

use crate::decide::fault::Fault;

/// The two objects after a plan was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The Placement.
    pub placement: State,
    /// The binding.
    pub binding: State,
    /// Whether something was written that a proof depends on, and how fast admission acts on it.
    pub wrote: Option<Pace>,
    /// Whether a repair was among it.
    pub repaired: bool,
}

/// How fast admission acts on what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In milliseconds: its informer of Placements.
    Fast,
    /// In 0 to 1 s: its refresh of policies and bindings.
    Slow,
}

/// One of the two objects after a plan was carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It stands as wanted.
    InPlace,
    /// It is not there.
    Absent,
    /// The API server does not serve its kind, and pods are placed without it.
    Unneeded,
    /// It is not as wanted yet, for this reason.
    Pending(String),
    /// It could not be written.
    Failed(Fault),
}

impl Applied {
    /// How many of the two stand as wanted.
    pub fn in_place(&self) -> u32 {
        u32::from(self.placement == State::InPlace) + u32::from(self.binding == State::InPlace)
    }

    /// How many are needed: the Placement, and the binding where the API server serves bindings.
    pub fn needed(&self) -> u32 {
        [&self.placement, &self.binding].into_iter().map(|state| u32::from(*state != State::Unneeded)).sum()
    }

    /// Whether all that is needed stands as wanted.
    pub fn all_in_place(&self) -> bool {
        self.in_place() == self.needed()
    }

    /// Whether neither is there.
    pub fn all_absent(&self) -> bool {
        let absent = |state: &State| matches!(state, State::Absent | State::Unneeded);
        absent(&self.placement) && absent(&self.binding)
    }

    /// What an object that is not as wanted yet waits for.
    pub fn waits_for(&self) -> Option<&str> {
        [&self.placement, &self.binding].into_iter().find_map(|state| match state {
            State::Pending(why) => Some(why.as_str()),
            State::InPlace | State::Absent | State::Unneeded | State::Failed(_) => None,
        })
    }

    /// The first fault.
    pub fn fault(&self) -> Option<&Fault> {
        [&self.placement, &self.binding].into_iter().find_map(|state| match state {
            State::Failed(fault) => Some(fault),
            State::InPlace | State::Absent | State::Unneeded | State::Pending(_) => None,
        })
    }
}

//! How many events and parts are in each state, as changes to what the file says.

use std::collections::BTreeMap;

use crate::inbound::EventState;
use crate::outbound::{Part, PartState};
use crate::store::Counts;

/// Changes by name: `event received`, `part dead`.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    changes: BTreeMap<(&'static str, &'static str), i64>,
}

impl Tally {
    /// An event comes to be, or goes to another state.
    pub(crate) fn event(&mut self, from: Option<EventState>, to: EventState) {
        if let Some(from) = from {
            self.add("event", from.as_str(), -1);
        }
        self.add("event", to.as_str(), 1);
    }

    /// An event is gone.
    pub(crate) fn no_event(&mut self, from: EventState) {
        self.add("event", from.as_str(), -1);
    }

    /// Parts come to be, change, or are gone.
    pub(crate) fn parts(&mut self, from: &[Part], to: &[Part]) {
        for part in from {
            self.add("part", part.state.as_str(), -1);
        }
        for part in to {
            self.add("part", part.state.as_str(), 1);
        }
    }

    fn add(&mut self, what: &'static str, state: &'static str, change: i64) {
        *self.changes.entry((what, state)).or_default() += change;
    }

    /// What there is to write: names and changes.
    pub(crate) fn take(&mut self) -> Vec<(String, i64)> {
        let changes = std::mem::take(&mut self.changes).into_iter();
        changes
            .filter(|(_, change)| *change != 0)
            .map(|((what, state), change)| (format!("{what} {state}"), change))
            .collect()
    }
}

/// Adds what the file says under a name.
pub(crate) fn count(counts: &mut Counts, name: &str, count: i64) {
    let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) else {
        return;
    };
    let event = |state: &EventState| name.strip_prefix("event ") == Some(state.as_str());
    let part = |state: &PartState| name.strip_prefix("part ") == Some(state.as_str());
    if let Some(state) = EventState::ALL.into_iter().find(event) {
        counts.events.insert(state, count);
    } else if let Some(state) = PartState::ALL.into_iter().find(part) {
        counts.parts.insert(state, count);
    }
}

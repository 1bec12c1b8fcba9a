//! The record of every call that a platform has received.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::shared::{Platform, Stateful};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is still waiting, for instance a long poll.
    Pending,
    /// The answer was given to the connection.
    Answered,
    /// It was executed, but the connection was dropped instead of answering.
    AnswerLost,
    /// The connection was dropped before it was executed.
    Dropped,
    /// The caller went away before the answer.
    Abandoned,
}

/// A call as a platform records it.
pub(crate) trait Recorded {
    /// Its place in the ledger; counts from 1.
    fn number(&self) -> u64;
    /// Gives it its place.
    fn set_number(&mut self, number: u64);
    /// How it ended.
    fn outcome(&self) -> Outcome;
    /// Notes how it ended, with status and body of the answer if there was one.
    fn end(&mut self, outcome: Outcome, answer: Option<(u16, Value)>);
    /// The method or endpoint, as in faults.
    fn method(&self) -> &str;
    /// Whether it was made with the credentials of this bot, by the id that the platform shows.
    fn is_by(&self, bot: &str) -> bool;
}

/// The last calls, oldest first.
#[derive(Debug)]
pub(crate) struct Ledger<C> {
    calls: VecDeque<C>,
    count: u64,
    room: usize,
}

impl<C: Recorded> Ledger<C> {
    /// Keeps the last `room` calls.
    pub(crate) const fn new(room: usize) -> Self {
        Self {
            calls: VecDeque::new(),
            count: 0,
            room,
        }
    }

    /// Keeps a call and gives it its number.
    pub(crate) fn begin(&mut self, mut call: C) -> u64 {
        self.count += 1;
        while self.calls.len() >= self.room.max(1) {
            self.calls.pop_front();
        }
        call.set_number(self.count);
        self.calls.push_back(call);
        self.count
    }

    /// Ends a call that has not ended yet.
    pub(crate) fn end(&mut self, number: u64, outcome: Outcome, answer: Option<(u16, Value)>) {
        let mut newest = self.calls.iter_mut().rev();
        if let Some(call) = newest.find(|call| call.number() == number)
            && call.outcome() == Outcome::Pending
        {
            call.end(outcome, answer);
        }
    }

    /// All calls that are kept, oldest first.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &C> {
        self.calls.iter()
    }
}

/// What a platform records of a call.
pub(crate) type CallOf<P> = <<P as Platform>::State as Stateful>::Call;

/// An open entry in the ledger; dropped without an answer it reads as abandoned by the caller.
pub(crate) struct Entry<P: Platform> {
    platform: P,
    number: u64,
    open: bool,
}

impl<P: Platform> Entry<P> {
    /// Opens an entry.
    pub(crate) fn begin(platform: &P, call: CallOf<P>) -> Self {
        Self {
            number: platform.shared().with(|state| state.ledger().begin(call)),
            platform: platform.clone(),
            open: true,
        }
    }

    /// Closes it, with status and body of the answer if there was one.
    pub(crate) fn end(mut self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.close(outcome, answer);
    }

    fn close(&mut self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.open = false;
        self.platform
            .shared()
            .with(|state| state.ledger().end(self.number, outcome, answer));
    }
}

impl<P: Platform> Drop for Entry<P> {
    fn drop(&mut self) {
        if self.open {
            self.close(Outcome::Abandoned, None);
        }
    }
}

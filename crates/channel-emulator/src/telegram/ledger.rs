//! The record of every call.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

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

/// One call of the Bot API.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Counts from 1 over all bots.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The bot that called.
    pub bot: i64,
    /// The method as the caller spelled it.
    pub method: String,
    /// The parameters; in form bodies all values are strings. Files stand as name and size.
    pub params: Value,
    /// The call came in the body of an answer to a webhook.
    pub in_webhook_reply: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status of the answer, also of one that was lost.
    pub status: Option<u16>,
    /// Body of the answer, also of one that was lost.
    pub answer: Option<Value>,
}

/// The last calls, oldest first.
#[derive(Debug)]
pub(crate) struct Ledger {
    calls: VecDeque<Call>,
    count: u64,
    room: usize,
}

impl Ledger {
    pub(crate) const fn new(room: usize) -> Self {
        Self {
            calls: VecDeque::new(),
            count: 0,
            room,
        }
    }

    pub(crate) fn begin(
        &mut self,
        bot: i64,
        method: &str,
        params: Value,
        at_ms: i64,
        in_webhook_reply: bool,
    ) -> u64 {
        self.count += 1;
        while self.calls.len() >= self.room.max(1) {
            self.calls.pop_front();
        }
        self.calls.push_back(Call {
            number: self.count,
            at_ms,
            bot,
            method: method.to_owned(),
            params,
            in_webhook_reply,
            outcome: Outcome::Pending,
            status: None,
            answer: None,
        });
        self.count
    }

    pub(crate) fn end(&mut self, number: u64, outcome: Outcome, answer: Option<(u16, Value)>) {
        if let Some(call) = self
            .calls
            .iter_mut()
            .rev()
            .find(|call| call.number == number)
            && call.outcome == Outcome::Pending
        {
            call.outcome = outcome;
            if let Some((status, body)) = answer {
                call.status = Some(status);
                call.answer = Some(body);
            }
        }
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }
}

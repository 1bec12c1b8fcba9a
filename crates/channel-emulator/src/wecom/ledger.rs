//! The record of every call.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is still waiting.
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

/// One call of the API, or one command on a long connection.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Counts from 1 over all bots.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The bot that called; empty when nobody knows.
    pub bot: String,
    /// The path below `/cgi-bin/` such as `message/send`, `media` for a download, or a command such as `aibot_send_msg`.
    pub method: String,
    /// The JSON body; null when there is none or it is not JSON. Secrets are left out.
    pub body: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// The `errcode` of the answer, also of one that was lost.
    pub errcode: Option<i64>,
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

    /// Keeps a call and gives it its number.
    pub(crate) fn begin(&mut self, mut call: Call) -> u64 {
        self.count += 1;
        while self.calls.len() >= self.room.max(1) {
            self.calls.pop_front();
        }
        call.number = self.count;
        self.calls.push_back(call);
        self.count
    }

    pub(crate) fn end(&mut self, number: u64, outcome: Outcome, answer: Option<Value>) {
        let mut newest = self.calls.iter_mut().rev();
        if let Some(call) = newest.find(|call| call.number == number)
            && call.outcome == Outcome::Pending
        {
            call.outcome = outcome;
            call.errcode = answer
                .as_ref()
                .and_then(|answer| answer.get("errcode")?.as_i64());
            call.answer = answer;
        }
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }
}

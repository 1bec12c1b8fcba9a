//! The record of every call.

use serde::Serialize;
use serde_json::Value;

use crate::common::ledger::{Outcome, Recorded};

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

impl Recorded for Call {
    fn number(&self) -> u64 {
        self.number
    }
    fn set_number(&mut self, number: u64) {
        self.number = number;
    }
    fn outcome(&self) -> Outcome {
        self.outcome
    }
    fn end(&mut self, outcome: Outcome, answer: Option<(u16, Value)>) {
        self.outcome = outcome;
        if let Some((status, body)) = answer {
            self.status = Some(status);
            self.answer = Some(body);
        }
    }
    fn method(&self) -> &str {
        &self.method
    }
    fn is_by(&self, bot: &str) -> bool {
        bot.parse() == Ok(self.bot)
    }
}

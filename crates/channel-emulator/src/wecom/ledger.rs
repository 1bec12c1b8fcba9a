//! The record of every call.

use serde::Serialize;
use serde_json::Value;

use crate::common::ledger::{Outcome, Recorded};

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
        if let Some((_, body)) = answer {
            self.errcode = body.get("errcode").and_then(Value::as_i64);
            self.answer = Some(body);
        }
    }
    fn method(&self) -> &str {
        &self.method
    }
    fn is_by(&self, bot: &str) -> bool {
        self.bot == bot
    }
}

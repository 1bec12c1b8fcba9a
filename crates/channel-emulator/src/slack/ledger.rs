//! The record of every call.

use serde::Serialize;
use serde_json::Value;

use crate::common::ledger::{Outcome, Recorded};

/// One call of the Web API, or of an address that it gave out.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Call {
    /// Counts from 1 over all apps.
    pub number: u64,
    /// Milliseconds since the epoch by the emulator's clock.
    pub at_ms: i64,
    /// The app that called; empty when the token is not known.
    pub app: String,
    /// The workspace of the token.
    pub team: String,
    /// The method, or `upload`, `download` and `response_url`.
    pub method: String,
    /// The arguments, without secrets.
    pub params: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status of the answer, also of one that was lost.
    pub status: Option<u16>,
    /// Body of the answer, also of one that was lost; without tokens.
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
        self.app == bot
    }
}
